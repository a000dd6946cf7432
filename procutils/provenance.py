"""run.json: which code, packages, machine and inputs made a run, what ran, and how it ended."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from procutils.runs import ROOT, Run, write_json

#: The packages whose versions change numbers or formats.
PACKAGES = (
    *("torch", "transformers", "peft", "trl", "datasets", "accelerate", "gguf", "tokenizers"),
    *("kurrentdbclient", "grpcio", "protobuf", "papermill", "nbclient", "ipykernel"),
    *("numpy", "pandas", "matplotlib"),
)

_DEVICE = """
import json, torch
gpu = torch.cuda.is_available()
print(json.dumps({
    "device": torch.cuda.get_device_name() if gpu else "cpu",
    "threads": torch.get_num_threads(),
}))
"""


@dataclass(frozen=True)
class Step:
    """A notebook with the values that it runs with.

    given: the parameters that are injected; values: those and the defaults of the rest.
    code: sha256 of its code cells, so that prose and stored outputs can change freely.
    inputs: sha256 of its code, its values and the inputs of the step before it.
    """

    notebook: Path
    given: dict[str, Any]
    values: dict[str, Any]
    code: str
    inputs: str

    @property
    def name(self) -> str:
        return self.notebook.stem


class Record:
    """run.json of a run, saved at every change."""

    def __init__(self, run: Run) -> None:
        self._file = run.path / "run.json"
        self._steps: list[Step] = []
        self.content: dict[str, Any] = {"name": run.path.name}
        if self._file.exists():
            self.content = json.loads(self._file.read_text(encoding="utf-8"))

    def is_done(self, step: Step) -> bool:
        """Whether this notebook ran through with the same code, values and predecessors."""
        entry = self.content.get("notebooks", {}).get(step.name, {})
        return entry.get("status") == "completed" and entry.get("inputs") == step.inputs

    def begin(self, profile: str, steps: list[Step]) -> None:
        """Start the run, or take it up again with what is known of its notebooks."""
        self._steps = steps
        done = self.content.get("notebooks", {})
        self.content = {
            "name": self.content["name"],
            "profile": profile,
            "status": "running",
            "started": self.content.get("started", _now()),
            "ended": None,
            "failure": None,
            **provenance(),
            "seeds": {
                name: value
                for step in steps
                for name, value in step.values.items()
                if name == "seed" or name.endswith("_seed")
            },
            "notebooks": {step.name: done.get(step.name, {"status": "pending"}) for step in steps},
        }
        write_json(self._file, self.content)

    @contextmanager
    def running(self, step: Step) -> Iterator[None]:
        """Around one notebook, which is then completed, failed as ``fail`` said, or interrupted."""
        entry = {
            "status": "running",
            "code": step.code,
            "inputs": step.inputs,
            "parameters": step.values,
            "git": self.content["git"],
            "started": _now(),
        }
        self.content["notebooks"][step.name] = entry
        write_json(self._file, self.content)
        begun = time.monotonic()
        try:
            yield
            if self.content["failure"] is None:
                entry["status"] = "completed"
        finally:
            if entry["status"] == "running":
                entry["status"] = self._end("failed" if self.content["failure"] else "interrupted")
            entry |= {"ended": _now(), "seconds": round(time.monotonic() - begun, 1)}
            write_json(self._file, self.content)

    def fail(self, step: Step, cell: int, error: str) -> None:
        """Note where and why; no credentials, should an error quote them."""
        if uri := os.environ.get("KURRENTDB_URI"):
            error = error.replace(uri, "$KURRENTDB_URI")
        self.content["failure"] = {"notebook": step.name, "cell": cell, "error": error}

    @property
    def failure(self) -> dict[str, Any] | None:
        """notebook, cell (its place in the executed notebook, from 0) and error of a failed run."""
        return self.content["failure"]

    def close(self) -> None:
        """Note the end: completed if every notebook is done, partial if some were left out."""
        done = all(self.is_done(step) for step in self._steps)
        self._end("completed" if done else "partial")
        write_json(self._file, self.content)

    def _end(self, status: str) -> str:
        self.content |= {"status": status, "ended": _now()}
        return status


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def provenance() -> dict[str, Any]:
    """git, python, platform, packages, device, threads: what numbers and times depend on."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "git": _git(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        **_device(versions["torch"] is not None),
    }


def _git() -> dict[str, Any] | None:
    """Revision and dirty flag of this project's own checkout; None outside one."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != ROOT:
            return None
        return {"revision": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (FileNotFoundError, subprocess.CalledProcessError):  # no git, or no repository
        return None


@functools.cache
def _device(has_torch: bool) -> dict[str, Any]:
    """Asked in a process of its own: this one must not hold GPU memory while notebooks run."""
    if not has_torch:
        return {"device": "cpu", "threads": os.cpu_count()}
    answer = subprocess.run(
        [sys.executable, "-c", _DEVICE], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(answer.stdout)
