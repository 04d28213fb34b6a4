"""Is an answer right, and if not: what was expected, what came, where, and how far off."""

from __future__ import annotations

import numpy as np

from isbe_np.classroom.protocol import Formula


def compare(expected: list, got: list, tolerance: float, same_dtype: bool = False,
            returns: tuple[str, ...] = ("the result",)) -> str | None:
    """None where `got` is right, else a sentence: the first array of `got` that is wrong, its worst element, and how far off.

    An element is right where |got − expected| ≤ tolerance · max(1, largest finite |expected| of that array), or where both are
    the same infinity or both NaN. A NaN anywhere else is wrong, as is another number of arrays or another shape.
    """
    if len(got) != len(expected):
        verb = "is" if len(expected) == 1 else "are"
        list_hint = " A list or tuple counts as several results: np.array makes one of it." if len(expected) == 1 else ""
        return f"{_count(got)} came back where {_count(expected)} ({', '.join(returns)}) {verb} expected.{list_hint}"
    for k, (want, have) in enumerate(zip(expected, got, strict=True)):
        name = returns[k] if k < len(returns) else f"result {k + 1}"
        fault = _compare_one(name, np.asarray(want), np.asarray(have), tolerance, same_dtype)
        if fault is not None:
            return fault
    return None


def _compare_one(name: str, want: np.ndarray, have: np.ndarray, tolerance: float, same_dtype: bool) -> str | None:
    if have.shape != want.shape:
        return f"{name} has shape {_shape(have)} where {_shape(want)} is expected."
    if same_dtype and have.dtype != want.dtype:
        return f"{name} is of dtype {have.dtype} where {want.dtype} is expected."
    wanted, dtype = want.dtype, have.dtype
    want, have = want.astype(np.float64), have.astype(np.float64)  # before any difference, which small integers would wrap
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(have - want)
        largest = float(np.max(np.abs(want), initial=0.0, where=np.isfinite(want)))
        scale = max(1.0, largest)
        right = (have == want) | (gap <= tolerance * scale) | (np.isnan(have) & np.isnan(want))
    if right.all():
        return None
    badness = np.where(right, -1.0, np.where(np.isnan(gap), np.inf, gap))
    at = np.unravel_index(int(np.argmax(badness)), want.shape)
    where = f" at [{', '.join(map(str, at))}]" if want.ndim else ""
    far = f"off by {gap[at]:.2g}, allowed {tolerance * scale:.2g}" if np.isfinite(gap[at]) else "not comparable"
    wrong = int((~right).sum())
    many = f"; {wrong:,} of {want.size:,} elements are wrong" if want.size > 1 else ""
    holds = _holds(dtype, want, at, gap[at] <= 100 * scale * (np.finfo(dtype).eps if dtype.kind == "f" else 0), wanted)
    remark = f" It is of dtype {dtype}, which holds {holds}, where {wanted} is expected." if holds else ""
    return f"{name}{where}: expected {number(want[at])}, got {number(have[at])} ({far}){many}.{remark}"


def _holds(dtype: np.dtype, want: np.ndarray, at: tuple, rounded: bool, wanted: np.dtype) -> str:
    """What the dtype of an answer holds, where that alone makes the answer at `at` wrong; otherwise empty."""
    if dtype.kind == "f":
        coarse = wanted.kind == "f" and np.finfo(dtype).eps > np.finfo(wanted).eps
        return f"{np.finfo(dtype).precision} digits" if coarse and rounded else ""
    if not np.isfinite(want[at]) or want[at] != np.round(want[at]):
        return "True and False only" if dtype.kind == "b" else "whole numbers only"
    least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if least <= int(want[at]) <= most:
        return ""
    return "True and False only" if dtype.kind == "b" else f"whole numbers from {least:,} to {most:,} only"


def number(value: float) -> str:
    """A number with as many digits as tell it from its neighbours at a glance."""
    return f"{float(value):.10g}"


def shown(arguments: tuple, longest: int = 300) -> str:
    """The arguments of a call, shortened for a reader: small arrays in full, others by shape and dtype."""
    parts = []
    for value in arguments:
        if isinstance(value, np.ndarray) and value.size > 24:
            parts.append(f"an array {_shape(value)} of {value.dtype}")
        elif isinstance(value, np.ndarray):
            parts.append(np.array2string(value, separator=", ", formatter={"float_kind": "{:.6g}".format}).replace("\n", ""))
        elif isinstance(value, Formula):
            given = "".join(f" with {name} = {shown((v,))}" for name, v in sorted(value.values.items()))
            parts.append(f"{value.variable} -> {value.text}{given}")
        else:
            parts.append(repr(value))
    text = "; ".join(" ".join(part.split()) for part in parts)
    return text if len(text) <= longest else text[:longest - 1] + "…"


def _shape(array: np.ndarray) -> str:
    return f"({', '.join(map(str, array.shape))}{',' if array.ndim == 1 else ''})"


def _count(values: list) -> str:
    return "one result" if len(values) == 1 else f"{len(values)} results"
