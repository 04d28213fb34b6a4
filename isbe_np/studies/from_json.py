"""A study's result from what its `as_dict` told, so that its text and figure can be made anew from stored JSON."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints


def restore(kind: type, told: Mapping) -> Any:
    """The dataclass `kind`, and those in it, from a dict such as `json.load` returns; what it does not know is left out.

    JSON has only text as names, and no number that is not finite: such come back as the types of the fields say. ValueError
    where a part without a default is missing.
    """
    return _value(kind, told)


def _value(kind: Any, told: Any) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _dataclass(kind, told)
    if origin in (Union, types.UnionType):
        return None if told is None else _value(next(one for one in inner if one is not type(None)), told)
    if origin is list:
        return [_value(inner[0], one) for one in told]
    if origin is tuple:
        each = inner[:1] * len(told) if len(inner) == 2 and inner[1] is Ellipsis else inner
        return tuple(_value(one, part) for one, part in zip(each, told, strict=True))
    if origin is dict:
        return {_value(inner[0], name): _value(inner[1], one) for name, one in told.items()}
    if kind is float:
        return math.nan if told is None else float(told)
    return int(told) if kind is int and isinstance(told, str) else told


def _dataclass(kind: Any, told: Any) -> Any:
    if not isinstance(told, Mapping):
        raise ValueError(f"{kind.__name__} expects an object with its parts by name; got {type(told).__name__}.")
    hints, given = get_type_hints(kind), {}
    for part in fields(kind):
        if part.init and part.name in told:
            given[part.name] = _value(hints[part.name], told[part.name])
    try:
        return kind(**given)
    except TypeError as fault:
        raise ValueError(f"{kind.__name__} cannot be made of what is stored: {fault}. Was it written by another version, or "
                         "by another study?") from None
