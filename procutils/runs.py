"""Run directories: where the notebooks of one run leave what they made.

A run is a folder, ``runs/<name>``. Each notebook opens it by name, takes what the one before left
there, and adds its own. Every number that is quoted anywhere is in its ``metrics.json``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: The project's folder.
ROOT = Path(__file__).resolve().parents[1]


def runs_folder() -> Path:
    """Where runs lie: ``runs/`` of the project, or the environment's PROCUTILS_RUNS."""
    return ROOT / os.environ.get("PROCUTILS_RUNS", "runs")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write and rename, so that a reader, or a crash, never meets half a file."""
    text = json.dumps(content, indent=2, allow_nan=False, default=_plain)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _plain(value: object) -> object:
    """NumPy and torch scalars as Python's own."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r} ({type(value).__name__}) is not a plain value that JSON can hold")


@dataclass(frozen=True)
class Run:
    """One run directory."""

    path: Path

    @classmethod
    def open(cls, name: str | Path) -> Run:
        """The run of that name, made if it does not exist; an absolute path is taken as it is.

        Raises ValueError for a name that would lie outside the runs folder, or over its profiles.
        """
        path = Path(name)
        if not path.is_absolute():
            if len(path.parts) != 1 or path.parts[0] in ("..", "profiles"):
                raise ValueError(
                    f"{str(name)!r} cannot name a run: give one plain word, such as 'quick', "
                    "or an absolute path"
                )
            path = runs_folder() / path
        path.mkdir(parents=True, exist_ok=True)
        return cls(path)

    @property
    def kurrentdb(self) -> Path:
        """The folder of the embedded KurrentDB."""
        return self.path / "kurrentdb"

    @property
    def examples(self) -> Path:
        """The folder of the training, calibration and test examples."""
        return self.path / "examples"

    @property
    def model(self) -> Path:
        """The folder of the trained model."""
        return self.path / "model"

    @property
    def metrics(self) -> dict[str, Any]:
        """What the run has measured so far, nested; empty before the first ``record``."""
        file = self.path / "metrics.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def record(self, numbers: dict[str, Any]) -> None:
        """Merge nested numbers into metrics.json; what was there under the same keys is replaced.

        Raises ValueError for NaN and infinities, TypeError for what JSON cannot hold.
        """
        write_json(self.path / "metrics.json", _merged(self.metrics, numbers))

    def require(self, what: str, made_by: str) -> Path:
        """The path of a file or folder of this run.

        Raises FileNotFoundError, naming the notebook to run first, if it is missing or empty.
        """
        path = self.path / what
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            raise FileNotFoundError(f"{path} is missing: {self._first(made_by)}")
        return path

    def metric(self, key: str, made_by: str) -> Any:
        """A recorded number by its dotted key (``data.commit_position``).

        Raises LookupError, naming the notebook to run first, if it is not there.
        """
        value: Any = self.metrics
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                raise LookupError(
                    f"{self.path / 'metrics.json'} has no {key}: {self._first(made_by)}"
                )
            value = value[part]
        return value

    def _first(self, notebook: str) -> str:
        return f"run notebook {notebook} first, with run_name = {self.path.name!r}"


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(old.get(key), dict)
        merged[key] = _merged(old[key], value) if both else value
    return merged
