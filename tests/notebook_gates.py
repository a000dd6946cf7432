"""What a committed notebook must be like: each gate yields its offences as text.

A gate with ``solutions=False`` does not hold for the notebooks in `notebooks/solutions`: they
answer exercises, so they need neither the anatomy nor the size and balance of a chapter, no
parameters and no compared cell.
"""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from nbformat.validator import iter_validate
from notebook_file import Notebook, parameters, python, text, words

MAX_LINES, MAX_WORDS, CELLS, PARAMETERS = 25, 1500, range(25, 61), range(1, 9)

Gate = Callable[[Notebook], Iterator[str]]
GATES: dict[Gate, bool] = {}


def gate(*, solutions: bool = True) -> Callable[[Gate], Gate]:
    """Register a gate; ``solutions`` says whether it holds for solutions as well."""

    def register(function: Gate) -> Gate:
        GATES[function] = solutions
        return function

    return register


def offences(notebook: Notebook) -> list[str]:
    """Everything that any gate finds in a notebook."""
    gates = [g for g, solutions in GATES.items() if solutions or not notebook.is_solution]
    return [f"{function.__name__}: {found}" for function in gates for found in function(notebook)]


@gate()
def format_is_valid(notebook: Notebook) -> Iterator[str]:
    for error in iter_validate(notebook.content):
        yield str(error).partition("\n")[0]
    ids = [cell.get("id") for cell in notebook.cells]
    for i, name in enumerate(ids):
        if not name:
            yield f"cell {i} has no id"
        elif name in ids[:i]:
            yield f"cell {i} has the id {name!r} a second time"


@gate()
def kernel_is_python3(notebook: Notebook) -> Iterator[str]:
    name = notebook.content["metadata"].get("kernelspec", {}).get("name")
    if name != "python3":
        yield f"the kernelspec is {name!r}, not 'python3'"


@gate()
def metadata_is_clean(notebook: Notebook) -> Iterator[str]:
    for key in sorted({"widgets", "papermill"} & set(notebook.content["metadata"])):
        yield f"notebook metadata {key!r}: run make format"
    for i, cell in enumerate(notebook.cells):
        for key in sorted(set(cell["metadata"]) - {"tags", "jupyter", "slideshow"}):
            yield f"cell {i} has metadata {key!r}: run make format"


@gate()
def executed_from_top_to_bottom(notebook: Notebook) -> Iterator[str]:
    counts = [cell["execution_count"] for _, cell, _ in notebook.code]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}, not 1 to {len(counts)}: restart and run all"


@gate()
def outputs_are_clean(notebook: Notebook) -> Iterator[str]:
    for i, cell, _ in notebook.code:
        for output in cell["outputs"]:
            kind = output.get("name", output["output_type"])
            if kind in ("stderr", "error"):
                body = output.get("text", output.get("evalue", ""))
                yield f"cell {i} has an output of kind {kind}: {text(body)[:80]!r}"
            if widgets := [m for m in output.get("data", {}) if "widget" in m]:
                yield f"cell {i} has widget output: {', '.join(widgets)}"


@gate()
def no_personal_paths(notebook: Notebook) -> Iterator[str]:
    folders = "home|Users|root|tmp|var/folders|private|mnt|opt|work|content|kaggle"
    personal = re.compile(rf"(?<![\w.~/-])/(?:{folders})/[\w.-]+|[A-Z]:\\+Users\\+\w+")
    for i, cell in enumerate(notebook.cells):
        outputs = cell.get("outputs", [])
        parts = [text(cell["source"]), *(text(o.get("text", "")) for o in outputs)]
        for data in (o.get("data", {}) for o in outputs):
            parts += [json.dumps(v) for k, v in data.items() if not k.startswith("image/p")]
        if found := sorted({m[0] for part in parts for m in personal.finditer(part)}):
            yield f"cell {i} holds {', '.join(found)}"


@gate()
def one_title(notebook: Notebook) -> Iterator[str]:
    titles = [(i, title) for i, level, title in notebook.headings if level == 1]
    if [i for i, _ in titles] != [0]:
        yield f"there must be one H1, in the first cell; found in cells {[i for i, _ in titles]}"
    elif not notebook.is_solution:
        number = int(notebook.path.name[:2])
        if not titles[0][1].startswith(f"{number}. "):
            yield f"the title must begin with '{number}. ', not {titles[0][1]!r}"


@gate(solutions=False)
def anatomy(notebook: Notebook) -> Iterator[str]:
    sections = [title for _, level, title in notebook.headings if level == 2]
    if sections[:1] != ["Overview"]:
        yield f"the first section must be Overview, not {sections[:1]}"
    if sections[-3:] != ["Exercises", "Recap", "Next"]:
        yield f"it must end with Exercises, Recap, Next, not {sections[-3:]}"
    elif (
        "<details>"
        not in "".join(prose for _, prose in notebook.prose).partition("## Exercises")[2]
    ):
        yield "no exercise has a hint folded in <details>"


@gate(solutions=False)
def one_parameters_cell(notebook: Notebook) -> Iterator[str]:
    tagged = notebook.tagged("parameters")
    if len(tagged) != 1:
        yield f"{len(tagged)} cells are tagged 'parameters', not one"
        return
    ((i, _, source),) = tagged
    lines = source.strip().splitlines()
    if len(lines) not in PARAMETERS:
        yield f"cell {i} has {len(lines)} parameters, not {PARAMETERS[0]} to {PARAMETERS[-1]}"
    for line in lines:
        if not re.fullmatch(r"[a-z]\w*: [a-z][a-z\[\], ]* = [^#=|]+  # \S[^=]*", line):
            yield f"cell {i}: not of the form 'name: type = literal  # help': {line!r}"
    for name, (annotation, value) in parameters(notebook).items():
        if value is ...:
            yield f"cell {i}: the default of {name} is no literal"
        elif annotation.partition("[")[0] != type(value).__name__:
            yield f"cell {i}: {name} is declared {annotation}, but its default is {value!r}"


@gate(solutions=False)
def parameters_are_used_and_kept(notebook: Notebook) -> Iterator[str]:
    names, used = set(parameters(notebook)), set()
    cells = notebook.tagged("parameters")
    for i, cell, source in notebook.code:
        if any(cell is parameters_cell for _, parameters_cell, _ in cells):
            continue
        for node in ast.walk(python(source)):
            if isinstance(node, ast.Name) and node.id in names:
                used.add(node.id)
                if not isinstance(node.ctx, ast.Load):
                    yield f"cell {i} reassigns the parameter {node.id}"
    if names - used:
        yield f"never used: {', '.join(sorted(names - used))}"


@gate()
def cells_are_short(notebook: Notebook) -> Iterator[str]:
    for i, _, source in notebook.code:
        lines = len(source.splitlines())
        if lines > MAX_LINES:
            yield f"cell {i} has {lines} lines of code, more than {MAX_LINES}"
        if lines == 0:
            yield f"cell {i} is empty"


@gate(solutions=False)
def size_and_balance(notebook: Notebook) -> Iterator[str]:
    if len(notebook.cells) not in CELLS:
        yield f"{len(notebook.cells)} cells, not {CELLS[0]} to {CELLS[-1]}"
    prose = sum(words(part) for _, part in notebook.prose)
    code = sum(words(source) for _, _, source in notebook.code)
    if prose > MAX_WORDS:
        yield f"{prose} words of prose, more than {MAX_WORDS}"
    if prose < code:
        yield f"less prose than code: {prose} words against {code}"


@gate()
def links_resolve(notebook: Notebook) -> Iterator[str]:
    for i, prose in notebook.prose:
        for mark, label, target in re.findall(r"(!?)\[([^\]]*)\]\(<?([^)\s>]+)[^)]*\)", prose):
            if mark and not label:
                yield f"cell {i}: the image {target} has no alt text"
            file = target.partition("#")[0]
            if "://" not in target and file and not (notebook.path.parent / file).exists():
                yield f"cell {i} links to {target}, which is not there"


@gate()
def plain_markdown(notebook: Notebook) -> Iterator[str]:
    myst = re.compile(r"^:{3,}|^(?:```|~~~)\{|\{[a-z:-]+\}`", re.M)
    for i, _ in notebook.prose:
        if found := myst.search(text(notebook.cells[i]["source"])):
            yield f"cell {i} uses MyST: {found[0]!r}"


@gate(solutions=False)
def something_is_compared(notebook: Notebook) -> Iterator[str]:
    checks = notebook.tagged("nbval-check-output")
    if not checks:
        yield "no cell is tagged 'nbval-check-output'"
    for i, cell, _ in checks:
        if not any("text" in o or "text/plain" in o.get("data", {}) for o in cell["outputs"]):
            yield f"cell {i} is tagged 'nbval-check-output' and has no text to compare"


@gate()
def runs_without_failing_or_drawing_widgets(notebook: Notebook) -> Iterator[str]:
    for tag in ("raises-exception", "nbval-raises-exception", "nbval-skip"):
        for i, _, _ in notebook.tagged(tag):
            yield f"cell {i} is tagged {tag!r}: show an error with try/except"
    for i, _, source in notebook.code:
        if re.search(r"tqdm\.(auto|notebook)", source):
            yield f"cell {i}: tqdm.auto leaves widget state; from tqdm import tqdm"
        if "plt.show()" in source and source.rstrip().splitlines()[-1].strip() != "plt.show()":
            yield f"cell {i}: plt.show() must end the cell"


@gate()
def ruff_clean(notebook: Notebook) -> Iterator[str]:
    root = Path(__file__).resolve().parents[1]
    for arguments in (
        ["check", "--no-cache", "--output-format=concise"],
        ["format", "--no-cache", "--check"],
    ):
        command = [
            sys.executable,
            "-m",
            "ruff",
            *arguments,
            "--config",
            str(root / "pyproject.toml"),
        ]
        done = subprocess.run([*command, str(notebook.path)], capture_output=True, text=True)
        if done.returncode:
            yield f"ruff {arguments[0]}:\n{done.stdout}{done.stderr}".rstrip()
