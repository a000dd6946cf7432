"""Every committed notebook passes every gate; every gate stops what it is there to stop."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from conftest import ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_file import Notebook, parameters
from notebook_gates import offences

CHAPTERS = [Notebook(path) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
SOLUTIONS = [Notebook(path) for path in sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))]
QUICK: dict[str, Any] = yaml.safe_load((ROOT / "runs/profiles/quick.yaml").read_text("utf-8"))


@pytest.mark.parametrize("notebook", CHAPTERS + SOLUTIONS, ids=lambda notebook: notebook.path.stem)
def test_notebook_passes_every_gate(notebook: Notebook):
    found = offences(notebook)
    assert not found, f"{notebook.path.relative_to(ROOT)}:\n  " + "\n  ".join(found)


def test_chapters_are_numbered_without_a_gap():
    assert [int(n.path.name[:2]) for n in CHAPTERS] == list(range(1, len(CHAPTERS) + 1))
    assert CHAPTERS, "there is no notebook"


@pytest.mark.parametrize("notebook", CHAPTERS, ids=lambda notebook: notebook.path.stem)
def test_defaults_are_the_quick_profile(notebook: Notebook):
    """Run by hand, cell by cell, a notebook does what `make run` does."""
    expected = {"run_name": "quick"} | QUICK
    wrong = [
        f"{name} is {default!r} in the notebook and {expected.get(name, 'absent')!r} in quick.yaml"
        for name, (_, default) in parameters(notebook).items()
        if name not in expected or repr(expected[name]) != repr(default)
    ]
    assert not wrong, f"{notebook.path.name}:\n  " + "\n  ".join(wrong)
    assert "run_name" in parameters(notebook), f"{notebook.path.name} has no run_name"


def test_the_quick_profile_holds_nothing_else():
    known = {name for notebook in CHAPTERS for name in parameters(notebook)}
    assert set(QUICK) <= known, f"no notebook has {sorted(set(QUICK) - known)}"


def chapter() -> nbformat.NotebookNode:
    """A small chapter that passes all gates."""
    prose = "An event says that something happened; a case is one instance of the process. "
    compared = new_output("stream", name="stdout", text="2 events\n")
    cells = [
        new_markdown_cell("# 1. Events\n\nWhat this chapter builds."),
        new_markdown_cell("## Overview\n\n1. Counting\n\nNext: [this](01_chapter.ipynb)."),
        new_code_cell(
            'run_name: str = "quick"  # folder under runs/\ncases: int = 2  # cases a process',
            metadata={"tags": ["parameters"]},
        ),
        new_code_cell(
            'print(f"{cases} events" if run_name else "none")',
            metadata={"tags": ["nbval-check-output"]},
            outputs=[compared],
        ),
        *(new_markdown_cell(f"## Part {i}\n\n{prose}") for i in range(20)),
        new_markdown_cell("## Exercises\n\nCount.\n\n<details>len</details>"),
        new_markdown_cell("## Recap\n\nEvents."),
        new_markdown_cell("## Next\n\nCases."),
    ]
    for count, cell in enumerate((c for c in cells if c.cell_type == "code"), start=1):
        cell.execution_count = count
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def written(content: nbformat.NotebookNode, path: Path) -> Notebook:
    """The notebook on disk, exactly as given."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return Notebook(path)


def output(cell: int, **fields: Any) -> Callable[[nbformat.NotebookNode], None]:
    """An edit that adds an output to a cell."""
    return lambda nb: nb.cells[cell].outputs.append(new_output(**fields))


def source(cell: int, old: str, new: str) -> Callable[[nbformat.NotebookNode], None]:
    """An edit that replaces a part of the source of a cell, which must be there."""

    def edit(nb: nbformat.NotebookNode) -> None:
        assert old in nb.cells[cell].source
        nb.cells[cell].source = nb.cells[cell].source.replace(old, new)

    return edit


def setting(cell: int, **fields: Any) -> Callable[[nbformat.NotebookNode], None]:
    """An edit that sets fields of a cell."""
    return lambda nb: nb.cells[cell].update(fields)


def test_a_good_chapter_passes(tmp_path: Path):
    assert offences(written(chapter(), tmp_path / "01_chapter.ipynb")) == []


WIDGET = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "HBox"}
SPOILT = {
    "format_is_valid: cell 5": setting(5, id=""),
    "format_is_valid: cell 5 has the id": lambda nb: nb.cells[5].update(id=nb.cells[4].id),
    "kernel_is_python3": lambda nb: nb.metadata.kernelspec.update(name="my-env"),
    "metadata_is_clean: notebook": lambda nb: nb.metadata.update(widgets={}),
    "metadata_is_clean: cell 3": setting(3, metadata={"papermill": {}}),
    "executed_from_top_to_bottom": setting(3, execution_count=7),
    "outputs_are_clean: cell 3 has an output of kind stderr": output(
        3, output_type="stream", name="stderr", text="Warning"
    ),
    "outputs_are_clean: cell 3 has an output of kind error": output(
        3, output_type="error", ename="ValueError", evalue="no", traceback=[]
    ),
    "outputs_are_clean: cell 3 has widget": output(3, output_type="display_data", data=WIDGET),
    "no_personal_paths: cell 3": output(
        3, output_type="stream", name="stdout", text="see /Users/me/runs"
    ),
    "one_title: there must be": source(9, "## Part", "# Part"),
    "one_title: the title": source(0, "# 1.", "# 2."),
    "anatomy: the first section": source(1, "## Overview", "## Goals"),
    "anatomy: it must end": source(-2, "## Recap", "## Summary"),
    "anatomy: no exercise": source(-3, "<details>", ""),
    "one_parameters_cell: 0 cells": setting(2, metadata={}),
    "one_parameters_cell: 2 cells": setting(3, metadata={"tags": ["parameters"]}),
    "one_parameters_cell: cell 2 has 9": source(
        2, "run_name", "a: int = 1  # help\n" * 7 + "run_name"
    ),
    "one_parameters_cell: cell 2: not of the form": source(2, "  # cases a process", ""),
    "one_parameters_cell: cell 2: not of the form 'name: type": source(
        2, "cases: int", "cases: int | None"
    ),
    "one_parameters_cell: cell 2: the default of cases is no": source(2, "= 2", "= len(run_name)"),
    "one_parameters_cell: cell 2: cases is declared int": source(2, "= 2", "= 2.5"),
    "parameters_are_used_and_kept: cell 3": source(3, "print", "cases = 3\nprint"),
    "parameters_are_used_and_kept: never used: cases": source(3, "{cases}", "no"),
    "cells_are_short: cell 3 has 27": source(3, "print", "print()\n" * 26 + "print"),
    "cells_are_short: cell 3 is empty": setting(3, source=""),
    "size_and_balance: 24 cells": lambda nb: nb.cells.__delitem__(slice(10, 13)),
    "size_and_balance: 17": source(10, "An event", "word " * 1400 + "An event"),
    "size_and_balance: less prose": source(3, "print", "print('" + "word " * 600 + "')\nprint"),
    "links_resolve: cell 1 links": source(1, "01_chapter.ipynb", "02_later.ipynb"),
    "links_resolve: cell 1: the image": source(1, "[this]", "![]"),
    "plain_markdown: cell 6": source(6, "An event", "```{note}\nAn event\n```"),
    "something_is_compared: no cell": setting(3, metadata={}),
    "something_is_compared: cell 3": setting(3, outputs=[]),
    "runs_without_failing_or_drawing_widgets: cell 3 is tagged": setting(
        3, metadata={"tags": ["nbval-check-output", "raises-exception"]}
    ),
    "runs_without_failing_or_drawing_widgets: cell 3: tqdm": source(
        3, "print", "from tqdm.auto import tqdm\n\nprint"
    ),
    "runs_without_failing_or_drawing_widgets: cell 3: plt": source(3, "print", "plt.show()\nprint"),
    "ruff_clean: ruff check": source(3, "print", "import os\n\nprint"),
    "ruff_clean: ruff format": source(3, '"none"', "'none'"),
}


@pytest.mark.parametrize(("expected", "spoil"), SPOILT.items(), ids=SPOILT)
def test_a_gate_stops_what_it_is_there_to_stop(
    expected: str, spoil: Callable[[nbformat.NotebookNode], None], tmp_path: Path
):
    content = chapter()
    spoil(content)
    found = offences(written(content, tmp_path / "01_chapter.ipynb"))
    assert any(offence.startswith(expected) for offence in found), found


def test_all_offences_are_reported_and_solutions_are_spared_some(tmp_path: Path):
    content = chapter()
    for cell in content.cells[2:4]:
        cell.metadata, cell.execution_count = {}, None
    names = {o.partition(":")[0] for o in offences(written(content, tmp_path / "01_chapter.ipynb"))}
    assert names == {"executed_from_top_to_bottom", "one_parameters_cell", "something_is_compared"}
    solution = written(content, tmp_path / "solutions" / "01_solutions.ipynb")
    names = {o.partition(":")[0] for o in offences(solution)}
    assert names == {"executed_from_top_to_bottom", "links_resolve"}
