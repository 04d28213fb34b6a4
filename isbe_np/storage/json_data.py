"""Plain data, which JSON holds: making it of objects, and checking what came back from a file."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import numpy as np

DEEPEST = 100


def plain(value: Any, deep: int = 0) -> Any:
    """`value` in dicts with text as keys, lists, text, numbers, True, False and None alone; TypeError where it cannot be."""
    if deep > DEEPEST:
        raise TypeError(f"plain data is expected, up to {DEEPEST} lists and dicts within each other; got more. Leave some out.")
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: plain(item, deep + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, deep + 1) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist(), deep)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"plain data is expected: dicts with text as keys, lists, text, numbers, True, False or None; got a "
                    f"{type(value).__name__}, {value!r}. Leave it out, or turn it into text.")


def settings(thing: object) -> dict[str, Any] | None:
    """The arguments that would make `thing` anew, where it keeps each under the argument's name; otherwise None."""
    try:
        return {name: plain(getattr(thing, name)) for name in inspect.signature(type(thing)).parameters}
    except (AttributeError, TypeError, ValueError):
        return None


def misfit(value: Any, pattern: Any, where: str = "facts") -> tuple[str, str, Any] | None:
    """Where `value` is not as `pattern` says, what was expected there, and what came; None where all of it fits.

    A pattern is a type (float takes whole numbers too, as far as a float can hold them, int no True), None, a dict of patterns,
    whose keys must be exactly these, a dict {str: pattern} for any keys, a list of one pattern for any number of items, or a
    tuple of patterns of which one must fit.
    """
    if isinstance(pattern, tuple):
        faults = [misfit(value, one, where) for one in pattern]
        return None if None in faults else faults[-1]
    if isinstance(pattern, dict) and [*pattern] == [str]:
        if not isinstance(value, dict):
            return where, "names and what they stand for", value
        parts = [(item, pattern[str], f"{where}.{name}") for name, item in value.items()]
    elif isinstance(pattern, dict):
        if not isinstance(value, dict) or value.keys() != pattern.keys():
            return where, f"the names {', '.join(pattern)}", list(value) if isinstance(value, dict) else value
        parts = [(value[name], pattern[name], f"{where}.{name}") for name in pattern]
    elif isinstance(pattern, list):
        if not isinstance(value, list):
            return where, "a list", value
        parts = [(item, pattern[0], f"{where}[{n}]") for n, item in enumerate(value)]
    elif pattern is None:
        return None if value is None else (where, "nothing", value)
    else:
        right = isinstance(value, (int, float) if pattern is float else pattern)
        if right and pattern is float and abs(value) > sys.float_info.max and isinstance(value, int):
            return where, f"a number of at most {sys.float_info.max:.1e}", value
        fits = right and (pattern is bool or not isinstance(value, bool))
        return None if fits or pattern is object else (where, pattern.__name__, value)
    return next((fault for part in parts if (fault := misfit(*part)) is not None), None)
