"""The papermill chain: the notebooks in order into one run directory, resumable.

A notebook is done once it ran through, and stays done as long as its code, its parameters and those
of every notebook before it are the same. Killing the chain loses the notebook that was running, no
more.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import papermill
import yaml
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError

from procutils.parameters import (
    PROFILES,
    UsageError,
    check_names,
    declared,
    literal_path,
    load_profile,
    typed,
)
from procutils.progress import Progress
from procutils.provenance import Record, Step
from procutils.runs import ROOT, Run

NOTEBOOKS = ROOT / "notebooks"

#: Kernels are quiet and repeatable, whatever the shell was set to.
KERNEL_ENV = {
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "PYTHONHASHSEED": "0",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "PYTHONWARNINGS": "ignore:IProgress not found,ignore::FutureWarning",
}

#: Seconds to wait for the kernel of a killed chain: a kernel looks for its parent once a second.
PATIENCE = 15.0


class RunInUse(RuntimeError):
    """Another chain is at work in the run directory."""


def run_chain(
    name: str,
    profile: str = "quick",
    overrides: dict[str, Any] | None = None,
    only: list[str] | None = None,
    fresh: bool = False,
    notebooks: Path = NOTEBOOKS,
    profiles: Path = PROFILES,
) -> int:
    """Execute the notebooks into the run of that name; 0 if each ran, 1 if one failed.

    overrides: parameter values that win over the profile's.
    only: beginnings of notebook names (``["03", "04"]``): these alone, run even if they are done.
    fresh: begin anew, removing what the run directory holds.
    Raises UsageError before anything runs, and RunInUse. An interrupted run can be resumed.
    """
    overrides = overrides or {}
    steps = plan(notebooks, str(name), load_profile(profile, profiles), overrides)
    chosen = _chosen(steps, only)
    idle = set(overrides).difference(*(step.values for step in chosen))
    if idle:
        raise UsageError(f"-p {', '.join(sorted(idle))}: no notebook that --only names declares it")
    run = Run.open(name)
    with _sole_use(run) as lock:
        if fresh:
            _clear(run)
        record = Record(run)
        if only is None:
            chosen = [step for step in steps if not record.is_done(step)]
        else:
            _check_inputs(run, record, steps, chosen)
        if not chosen:
            print(f"{run.path}: all {len(steps)} notebooks have run; --fresh begins anew")
            return 0
        given = {name: value for step in steps for name, value in step.given.items()}
        (run.path / "params.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
        record.begin(profile, steps)
        return _execute(run, record, chosen, lock)


def plan(
    notebooks: Path, run_name: str, profile: dict[str, Any], overrides: dict[str, Any]
) -> list[Step]:
    """Every numbered notebook of the folder with its values, in order.

    Raises UsageError if there is none, for a parameter that no notebook declares, and for a value
    of a wrong type.
    """
    paths = sorted(notebooks.glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise UsageError(f"there are no notebooks in {notebooks}")
    declarations = {path: declared(path) for path in paths}
    known = {name for parameters in declarations.values() for name in parameters}
    check_names(profile, known, "the profile")
    check_names(overrides, known, "-p")
    if "run_name" in {*profile, *overrides}:
        raise UsageError("run_name is given by --name, not as a parameter")
    wanted = {**profile, **overrides, "run_name": run_name}

    steps: list[Step] = []
    inputs = ""
    for path, parameters in declarations.items():
        given = {n: typed(parameters[n], value) for n, value in wanted.items() if n in parameters}
        values = {n: parameter.default for n, parameter in parameters.items()} | given
        cells = nbformat.read(path, as_version=4).cells
        code = _sha256([cell.source for cell in cells if cell.cell_type == "code"])
        inputs = _sha256([inputs, code, values])
        steps.append(Step(path, given, values, code, inputs))
    return steps


def _sha256(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _chosen(steps: list[Step], only: list[str] | None) -> list[Step]:
    if only is None:
        return steps
    for start in only:
        if not start or not any(step.name.startswith(start) for step in steps):
            names = ", ".join(step.name for step in steps)
            raise UsageError(f"--only {start!r} names no notebook: choose from {names}")
    return [step for step in steps if step.name.startswith(tuple(only))]


def _check_inputs(run: Run, record: Record, steps: list[Step], chosen: list[Step]) -> None:
    before = steps[: steps.index(chosen[-1])]
    missing = [step.name for step in before if step not in chosen and not record.is_done(step)]
    if missing:
        raise UsageError(
            f"{chosen[-1].name} builds on {', '.join(missing)}, not yet run in {run.path} as they "
            "stand now with these parameters: leave out --only, or name them too"
        )


def _execute(run: Run, record: Record, steps: list[Step], lock: int) -> int:
    for step in steps:
        cells = len(nbformat.read(step.notebook, as_version=4).cells)
        cells += bool(step.given)  # papermill puts the values in a cell of their own
        with record.running(step), Progress(step.name, cells) as progress:
            try:
                papermill.execute_notebook(
                    literal_path(step.notebook),
                    literal_path(run.path / step.notebook.name),
                    parameters=step.given,
                    kernel_name="python3",
                    kernel_manager_class=_kernel_manager(lock),
                    progress_bar=False,
                    cwd=step.notebook.parent,
                    on_cell_start=progress.cell,
                )
            except papermill.PapermillExecutionError as error:
                record.fail(step, progress.index, f"{error.ename}: {error.evalue}")
            except DeadKernelError:
                record.fail(step, progress.index, "the kernel died; was there too little memory?")
        if failure := record.failure:
            print(
                f"{step.name} failed in cell {failure['cell']}: {failure['error']}\n"
                f"See {run.path / step.notebook.name}; the same command goes on from there.",
                file=sys.stderr,
            )
            return 1
    record.close()
    return 0


def _kernel_manager(lock: int) -> type[AsyncKernelManager]:
    """Kernels of this interpreter, whatever else Jupyter knows as python3, with this procutils.

    They hold the run's lock too: the kernel of a killed chain lives on for a second, and has the
    store open.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))

    class SameInterpreter(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            spec = get_kernel_dict(extra_arguments=["--log-level=ERROR"])
            return KernelSpec(**spec, env=KERNEL_ENV | {"PYTHONPATH": path})

        async def start_kernel(self, **options: Any) -> None:
            await super().start_kernel(pass_fds=(lock,), **options)

    return SameInterpreter


@contextmanager
def _sole_use(run: Run) -> Iterator[int]:
    """Hold the run's lock. Raises RunInUse if another chain, or what it left behind, keeps it."""
    with (run.path / ".lock").open("a") as file:
        deadline = time.monotonic() + PATIENCE
        while not _locked(file.fileno()):
            if time.monotonic() > deadline:
                raise RunInUse(
                    f"another chain is at work in {run.path}: wait for it, or choose another --name"
                )
            time.sleep(0.2)
        yield file.fileno()


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _clear(run: Run) -> None:
    """Remove all but the lock. Raises UsageError if the folder holds something, and no run."""
    content = [path for path in run.path.iterdir() if path.name != ".lock"]
    if content and not any((run.path / made).exists() for made in ("run.json", "metrics.json")):
        raise UsageError(f"{run.path} does not look like a run: --fresh will not empty it")
    for path in content:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
