"""Checks of what users pass in. Every refusal names who, what was expected, what came and what to do."""

import difflib

import numpy as np

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def nearest(who: str, given, valid) -> str:
    """`given` if it is one of the names in `valid`; otherwise a ValueError with the nearest valid name."""
    if isinstance(given, str) and given in valid:
        return given
    close = difflib.get_close_matches(str(given).lower(), valid, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"{who} expects one of {', '.join(map(repr, valid))}; got {given!r}.{hint}")


def float_array(who: str, given, dtype=None) -> np.ndarray:
    """`given` as a C-contiguous float32 or float64 array (of `dtype` where one is named), copied only if it must be."""
    array = np.asarray(given)
    if array.dtype not in FLOATS or (dtype is not None and array.dtype != dtype):
        wanted = np.dtype(dtype).name if dtype is not None else "float32 or float64"
        mend = np.dtype(dtype).name if dtype is not None else "float32"
        raise TypeError(f"{who} expects a {wanted} array; got {array.dtype}. Convert it with .astype(np.{mend}).")
    return np.ascontiguousarray(array) if array.ndim else array


def whole(who: str, given, least: int = 1) -> int:
    """`given` as an int that is at least `least`."""
    if isinstance(given, (bool, np.bool_)) or not isinstance(given, (int, np.integer)):
        raise TypeError(f"{who} expects a whole number; got {given!r}.")
    if given < least:
        raise ValueError(f"{who} expects a whole number of at least {least}; got {given}.")
    return int(given)


def pair(who: str, given, least: int = 1) -> tuple[int, int]:
    """One whole number for both image axes, or a pair (height, width) of them."""
    values = given if isinstance(given, (tuple, list)) else (given, given)
    if len(values) != 2:
        raise ValueError(f"{who} expects one whole number or a pair (height, width); got {given!r}.")
    return whole(who, values[0], least), whole(who, values[1], least)
