"""Does the data of an event have the shape that its dataclass declares?"""

from __future__ import annotations

import math
from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints


@cache
def shape(event_type: type) -> dict[str, Any]:
    """Field name → declared type, in declaration order."""
    hints = get_type_hints(event_type)
    return {field.name: hints[field.name] for field in fields(event_type)}


def misfit(event_type: type, data: dict[str, Any]) -> tuple[str, str] | None:
    """(field, what is wrong with it) for the first field that does not fit; None if all do."""
    declared = shape(event_type)
    for name in declared:
        if name not in data:
            return name, "a required field is present"
    for name, value in data.items():
        if name not in declared:
            return name, "an event has only its declared fields"
        if not _fits(declared[name], value):
            return name, f"the value is {_words(declared[name])}"
    return None


def _fits(kind: Any, value: Any) -> bool:
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if get_origin(kind) is list:
        (element,) = get_args(kind)
        return isinstance(value, list) and all(_fits(element, item) for item in value)
    if isinstance(kind, UnionType):
        return any(_fits(option, value) for option in get_args(kind))
    if kind is float:  # JSON does not tell 100 from 100.0
        return isinstance(value, int | float) and type(value) is not bool and math.isfinite(value)
    return type(value) is kind


def _words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    if get_origin(kind) is list:
        return "a list, each entry " + _words(get_args(kind)[0])
    if isinstance(kind, UnionType):
        return " or ".join(_words(option) for option in get_args(kind))
    names = {str: "a text", float: "a finite number", int: "a whole number", bool: "true or false"}
    return "absent" if kind is NoneType else names[kind]
