"""Parameters of notebooks: what they declare, what a profile or the command line gives.

papermill injects whatever it is given; a misspelt name is one line in its log. Here it is
refused before anything runs.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import papermill
import yaml

from procutils.runs import ROOT

PROFILES = ROOT / "runs" / "profiles"


class UsageError(ValueError):
    """What was asked for cannot be run; nothing has been run."""


@dataclass(frozen=True)
class Parameter:
    """One line of a notebook's parameters cell: name, annotated type, default value."""

    name: str
    type: str
    default: Any


def declared(notebook: Path) -> dict[str, Parameter]:
    """The parameters that a notebook declares in its cell tagged ``parameters``."""
    parameters = {}
    for name, found in papermill.inspect_notebook(literal_path(notebook)).items():
        try:
            default = ast.literal_eval(found["default"])
        except (ValueError, SyntaxError) as error:
            raise UsageError(
                f"{notebook.name}: the default of parameter {name} must be a literal, "
                f"not {found['default']}"
            ) from error
        kind = found["inferred_type_name"]
        parameters[name] = Parameter(
            name, type(default).__name__ if kind == "None" else kind.replace(" ", ""), default
        )
    return parameters


def literal_path(path: Path) -> str:
    """papermill takes a path as a format string: its braces are doubled to mean themselves."""
    return str(path).replace("{", "{{").replace("}", "}}")


def load_profile(name: str, folder: Path = PROFILES) -> dict[str, Any]:
    """A profile's flat mapping from parameter to value. Raises UsageError where there is none."""
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise UsageError(f"no profile {name!r} in {folder}: choose from {', '.join(known)}")
    content = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8")) or {}
    if not isinstance(content, dict) or any(isinstance(v, dict) for v in content.values()):
        raise UsageError(f"{folder / name}.yaml must be flat: one 'parameter: value' a line")
    return content


def check_names(given: Iterable[str], known: Iterable[str], source: str) -> None:
    """Raise UsageError for given names that are not known, suggesting the nearest that are."""
    known = sorted(known)
    complaints = []
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
            complaints.append(f"no notebook has the parameter {name!r} (from {source}): {hint}")
    if complaints:
        raise UsageError("\n".join(complaints))


def typed(parameter: Parameter, value: Any) -> Any:
    """The value in the parameter's annotated type; text is read as a literal of that type.

    Raises UsageError where it is none: nothing is rounded, and ``true`` is no number.
    """
    kind = parameter.type
    try:
        if isinstance(value, str) and kind != "str":
            value = _read(value, kind)
        if kind == "float" and type(value) is int:
            value = float(value)
        if kind.startswith("list") and isinstance(value, list):
            inner = kind.removeprefix("list").strip("[]")
            return [typed(Parameter(parameter.name, inner, None), v) if inner else v for v in value]
    except ValueError as error:
        raise UsageError(_wrong(parameter, value)) from error
    if kind in ("int", "float", "str", "bool") and type(value).__name__ != kind:
        raise UsageError(_wrong(parameter, value))
    if kind.startswith("list") and not isinstance(value, list):
        raise UsageError(_wrong(parameter, value))
    return value


def _read(text: str, kind: str) -> Any:
    if kind in ("int", "float"):  # YAML would take 1e-3 for text, and 1_000 for a number
        return {"int": int, "float": float}[kind](text)
    if kind == "bool":
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(text) from error


def _wrong(parameter: Parameter, value: Any) -> str:
    return (
        f"parameter {parameter.name} is declared as {parameter.type} (default "
        f"{parameter.default!r}): {value!r} is not"
    )
