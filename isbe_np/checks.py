"""Readers and checks of what users pass in. Every refusal names who, what was expected, what came and what to do.

This is the one place that reads a user's arrays: numbers by `numbers`, or by `float_array` and `real_array` where the dtype
matters, and class indices by `labels`. So a mask, text or a missing value is refused in the same words at every entry.
"""

import difflib
from numbers import Real

import numpy as np

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
NUMBER_CLASSES = "Number the classes, those of training and test data at once: names, y = np.unique(y, return_inverse=True)."


def nearest(who: str, given, valid) -> str:
    """`given` if it is one of the names in `valid`; otherwise a ValueError with the nearest valid name."""
    if isinstance(given, str) and given in valid:
        return given
    close = difflib.get_close_matches(str(given).lower(), valid, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"{who} expects one of {', '.join(map(repr, valid))}; got {given!r}.{hint}")


def numbers(who: str, given, expected: str = "numbers", names: bool = False) -> np.ndarray:
    """`given` as an array of whole or real numbers, read by position, in native byte order; copied only if it must be.

    Lists, pandas tables and series, and whatever else NumPy reads as an array of numbers will do. ValueError for masked
    entries, which an array cannot mark, and for rows of different lengths; TypeError for text, dates, complex numbers and
    other objects. `expected` is what the sentence asks for; `names`: text is likely to be names of classes.
    """
    array = given if type(given) is np.ndarray else _array(who, given, expected, names)
    if array.dtype.kind not in "biuf":
        came, remedy = _other(given, array, names)
        raise TypeError(f"{who} expects {expected}; got {came}. {remedy}")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def float_array(who: str, given, dtype=None) -> np.ndarray:
    """`given` as a C-contiguous float32 or float64 array (of `dtype` where one is named), copied only if it must be.

    Numbers of Python, alone or in lists, have no dtype of their own: they are read in `dtype`, or in float64.
    """
    wanted = np.dtype(dtype).name if dtype is not None else "float32 or float64"
    array = numbers(who, given, f"a {wanted} array")
    if type(given) is not np.ndarray and _kinds(given) <= {int, float}:
        array = _in_range(who, array, dtype or np.float64)
    if array.dtype not in FLOATS or (dtype is not None and array.dtype != dtype):
        mend = np.dtype(dtype).name if dtype is not None else "float32"
        how = f".astype(np.{mend})" if hasattr(given, "astype") else f"np.asarray(x, np.{mend})"
        raise TypeError(f"{who} expects a {wanted} array; got {array.dtype}. Convert it with {how}.")
    return np.ascontiguousarray(array) if array.ndim else array


def real_array(who: str, given, dtype, expected: str = "numbers") -> np.ndarray:
    """`given`, whole or real numbers of any dtype, as a C-contiguous array of `dtype`; infinite where it is too large."""
    with np.errstate(over="ignore"):
        return np.asarray(numbers(who, given, expected), dtype, order="C")


def labels(who: str, given, shape: tuple[int, ...], classes: int) -> np.ndarray:
    """`given` as int64 class indices of `shape`, (N,) or (N, T), each from 0 to `classes` - 1.

    ValueError for another shape and for a label that is no class's; TypeError for what is no number.
    """
    array = numbers(who, given, "whole-number labels", names=True)
    if array.shape != shape:
        positions = f" and {shape[1]} positions" if len(shape) > 1 else ""
        raise ValueError(f"{who} expects one label for each of {shape[0]} examples{positions}, shape {shape}; "
                         f"got shape {array.shape}.{one_too_many(array.shape, shape, classes)}")
    return class_indices(who, array, classes)


def one_too_many(came: tuple[int, ...], shape: tuple[int, ...], classes: int) -> str:
    """What to do about labels that `came` one-hot or as a column, where `shape` was expected; "" for others."""
    if came == (*shape, classes) and classes > 1:
        return " If they are one-hot, pass np.asarray(y).argmax(axis=-1)."
    return " Pass a flat array, np.ravel(y)." if len(shape) == 1 and came in ((*shape, 1), (1, *shape)) else ""


def class_indices(who: str, array: np.ndarray, classes: int) -> np.ndarray:
    """Whole numbers of any dtype, as `numbers` reads them, as C-contiguous int64 from 0 to `classes` - 1; else ValueError.

    Booleans are the two classes 0 and 1, and no labels where there are more.
    """
    whole = array
    if array.dtype.kind == "b" and classes > 2:
        raise ValueError(f"{who} expects labels from 0 to {classes - 1}, one for each of the network's {classes} scores; got "
                         f"booleans, which name two classes. Pass the number of each example's class.")
    if array.dtype.kind == "f":
        if (broken := ~np.isfinite(array) | (array != np.floor(array))).any():
            _refuse_broken(who, array, np.argwhere(broken)[0])
        with np.errstate(over="ignore"):  # clipped, no real number is too large for int64
            whole = np.asarray(array, np.float64).clip(-1, classes)
    indices = np.ascontiguousarray(whole, np.int64)
    # Read without a sign, negative numbers are larger than any number of classes: one pass finds both.
    if indices.view(np.uint64).max(initial=0) >= classes:
        n = np.argwhere(indices.view(np.uint64) >= classes)[0]
        raise ValueError(f"{who} expects labels from 0 to {classes - 1}, one for each of the network's {classes} scores; "
                         f"label {place(n)} is {array[tuple(n)]}.{_count_from_0(array, classes)}")
    return indices


def place(index) -> str:
    """An index as one writes it: 3, or (3, 1)."""
    whole = tuple(int(i) for i in index)
    return str(whole[0] if len(whole) == 1 else whole)


def _refuse_broken(who, array, n):
    found = array[tuple(n)]
    remedy = "Leave out the examples without a label." if not np.isfinite(found) else (
        "For soft targets, give a head one number for each score, shape (N, C).")
    raise ValueError(f"{who} expects whole-number labels; label {place(n)} is {found}. {remedy}")


def _count_from_0(array, classes):
    """What to do about labels out of range, by the ways in which people number classes."""
    low, high = array.min(), array.max()
    if classes == 1:
        return " For one score for each example, give a head targets of shape (N, 1)."
    if low >= 1 and high == classes:
        return " They seem to count from 1: pass y - 1."
    if low == -1 and classes == 2 and high == 1 and (array != 0).all():
        return " Of labels -1 and 1, make 0 and 1 with (y > 0).astype(np.int64)."
    if low < 0:
        shift = f" If classes count from {low:.0f}, pass y + {-low:.0f}." if high < classes + low else ""
        return f" If {low:.0f} marks examples without a label, leave them out: keep = y >= 0, x[keep], y[keep].{shift}"
    return (" Number the classes from 0 without gaps, as names, y = np.unique(y, return_inverse=True) does, or give the "
            "network a score for each class.")


def _array(who, given, expected, names):
    """`given` as an array, if nothing is lost on the way."""
    if masked := _masked(given):
        remedy = "keep = ~np.ma.getmaskarray(y), x[keep], y[keep]" if names else "or fill them, for example with .filled(0)"
        raise ValueError(f"{who} expects {expected}; {masked} masked. Leave those examples out{':,'[not names]} "
                         f"{remedy}.")
    try:
        return np.asarray(given)
    except Exception as fault:  # any kind of object may refuse in its own way
        if isinstance(given, (list, tuple)):
            raise ValueError(f"{who} expects {expected}; got a {type(given).__name__} that is no array: its parts differ in "
                             f"length, or are no numbers. Give all rows the same length.") from fault
        raise TypeError(f"{who} expects {expected}; got a {type(given).__name__}, which cannot be read as an array: "
                        f"{fault}") from fault


def _masked(given):
    """How many entries are masked, as a clause: "3 of 10 are"; "" where none is."""
    if isinstance(given, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(given)
        mask = mask if mask.dtype == bool else mask.view(bool)
        return f"{mask.sum()} of {mask.size} entries are" * bool(mask.any())
    kinds = set(map(type, given)) if isinstance(given, (list, tuple)) else ()
    within = tuple(kind for kind in kinds if issubclass(kind, (list, tuple, np.ma.MaskedArray)))
    return next(filter(None, (_masked(part) for part in given if isinstance(part, within))), "") if within else ""


def _kinds(given) -> set[type]:
    """The types of what lists within lists hold, or of `given` itself."""
    if not isinstance(given, (list, tuple)):
        return {type(given)}
    kinds = set(map(type, given))
    lists = tuple(kind for kind in kinds if issubclass(kind, (list, tuple)))
    return kinds.difference(lists).union(*(_kinds(part) for part in given if isinstance(part, lists)))


def _in_range(who, array, dtype):
    """The numbers of Python in `array` in `dtype`; ValueError where one is too large for it."""
    with np.errstate(over="ignore"):
        cast = array.astype(dtype)
    if (lost := np.isinf(cast) & np.isfinite(array)).any():
        raise ValueError(f"{who} expects numbers that {cast.dtype} can hold; got {array[lost][0]}. Use smaller numbers, or "
                         f"float64.")
    return cast


def _other(given, array, names):
    """What came instead of numbers, and what to do about it."""
    kind = array.dtype.kind
    numeric = "np.asarray(y, np.int64)" if names else "np.asarray(x, np.float64)"
    if kind == "O":
        if array.ndim == 0:
            remedy = "Make it dense with .toarray()." if hasattr(given, "toarray") else "Pass an array or a list of numbers."
            return f"a {type(given).__name__}" if given is not None else "None", remedy
        n, entry = next(((n, e) for n, e in np.ndenumerate(array) if not isinstance(e, Real) or e != e), (None, 0))
        if n is None:
            return "an array of objects", f"If they are numbers, convert them with {numeric}."
        if entry is None or type(entry).__name__ in ("NAType", "NaTType") or isinstance(entry, float):
            return f"{entry} at {place(n)}", "Leave out the examples that lack a value, or fill it."
        if not isinstance(entry, (str, bytes)):
            return f"a {type(entry).__name__} at {place(n)}", "Pass an array or a list of numbers."
        array = np.asarray(entry)
    if array.dtype.kind in "USTO":
        example = array.flat[0] if array.size else ""
        if str(example.decode("latin-1") if isinstance(example, bytes) else example).strip().lstrip("+-").isdigit():
            return f"text, such as {_short(example)}", f"Convert it with {numeric}."
        return f"text, such as {_short(example)}", (
            NUMBER_CLASSES if names else "Leave out columns of text, or turn them into numbers.")
    came = {"c": "complex numbers", "V": "records of several fields", "M": "dates", "m": "time differences"}
    remedy = {"c": "Take their real part, .real, or their absolute value.", "V": "Take one field, as in x['name'].",
              "M": "Count the days since the first: (x - x.min()) / np.timedelta64(1, 'D').",
              "m": "Divide them by a unit, such as np.timedelta64(1, 's')."}
    return f"{came[kind]} ({array.dtype})", NUMBER_CLASSES if names and kind in "Mm" else remedy[kind]


def _short(text):
    shown = repr(bytes(text) if isinstance(text, bytes) else str(text))
    return shown if len(shown) <= 40 else f"{shown[:36]}...{shown[-1]}"


def is_room(out, shape: tuple[int, ...], dtype) -> bool:
    """Whether `out` is an array of this shape and dtype without a mask, which results written to it would not lift."""
    return isinstance(out, np.ndarray) and not isinstance(out, np.ma.MaskedArray) and (out.shape, out.dtype) == (shape, dtype)


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
