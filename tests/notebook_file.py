"""A notebook as it lies on disk, and what can be read off it."""

import ast
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Notebook:
    """A notebook as it lies on disk: nothing is repaired in reading it."""

    path: Path

    @cached_property
    def content(self) -> dict[str, Any]:
        return json.loads(self.path.read_text(encoding="utf-8"))

    @cached_property
    def cells(self) -> list[dict[str, Any]]:
        return self.content["cells"]

    @cached_property
    def code(self) -> list[tuple[int, dict[str, Any], str]]:
        """Index, cell and source of the code cells."""
        return [
            (i, c, text(c["source"])) for i, c in enumerate(self.cells) if c["cell_type"] == "code"
        ]

    @cached_property
    def prose(self) -> list[tuple[int, str]]:
        """Index and text of the Markdown cells, without fenced code."""
        fence = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)
        return [
            (i, fence.sub("", text(c["source"])))
            for i, c in enumerate(self.cells)
            if c["cell_type"] == "markdown"
        ]

    @cached_property
    def headings(self) -> list[tuple[int, int, str]]:
        """Cell, level and text of the headings."""
        pattern = re.compile(r"^(#{1,6}) +(.+?) *$", re.M)
        return [(i, len(m[1]), m[2]) for i, prose in self.prose for m in pattern.finditer(prose)]

    @property
    def is_solution(self) -> bool:
        return self.path.parent.name == "solutions"

    def tagged(self, tag: str) -> list[tuple[int, dict[str, Any], str]]:
        """The code cells with a tag."""
        return [item for item in self.code if tag in item[1]["metadata"].get("tags", [])]


def text(value: str | list[str]) -> str:
    """Text as notebooks hold it: a string, or its lines."""
    return value if isinstance(value, str) else "".join(value)


def python(source: str) -> ast.Module:
    """The syntax tree of a cell, without magics."""
    return ast.parse(
        "\n".join(line for line in source.splitlines() if not line.startswith(("%", "!")))
    )


def words(prose: str) -> int:
    """The number of words: without tags and without the addresses of links."""
    return len(re.findall(r"\w[\w'’.,%-]*", re.sub(r"<[^>]+>|\]\([^)]*\)", " ", prose)))


def parameters(notebook: Notebook) -> dict[str, tuple[str, Any]]:
    """The declared type and default of each parameter; a default that is no literal is `...`."""
    found = {}
    for _, _, source in notebook.tagged("parameters"):
        for node in python(source).body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                try:
                    value = ast.literal_eval(node.value)
                except ValueError:
                    value = ...
                found[node.target.id] = ast.unparse(node.annotation), value
    return found
