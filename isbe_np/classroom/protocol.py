"""What passes between the grader and a submission's process: numbers and arrays, and nothing that could be run.

Runs on both sides: the standard library and NumPy alone, nothing of isbe_np. A frame is one letter for its kind, eight bytes
for the length of what follows, and that. Arrays are told by their dtype (of the list below), their shape and their bytes; the
length of the bytes must be what dtype and shape say before an array is made.
"""

import json
import math
import struct
from functools import cached_property

import numpy as np

HEAD = struct.Struct("<cQ")
DTYPES = ("bool", "uint8", "int32", "int64", "float32", "float64", "int8", "int16", "uint16", "uint32", "uint64", "float16")
MOST_AXES, MOST_NUMBERS = 8, 2**40


class WireError(ValueError):
    """What came is not what this protocol says."""


class NotNumbers(TypeError):
    """A function returned what is no array of numbers; the sentence says what it is and what to do."""


def frame(kind: bytes, body: bytes) -> bytes:
    """A frame, ready to be written."""
    return HEAD.pack(kind, len(body)) + body


def pack(values) -> bytes:
    """Arrays and Python numbers as bytes. TypeError for anything else."""
    parts = [struct.pack("<B", len(values))]
    for value in values:
        array = np.asarray(value)
        if array.dtype.name not in DTYPES:
            raise TypeError(f"{array.dtype} is none of {', '.join(DTYPES)}")
        number = not isinstance(value, (np.ndarray, np.generic))
        parts.append(struct.pack(f"<BBB{array.ndim}Q", number, DTYPES.index(array.dtype.name), array.ndim, *array.shape))
        parts.append(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return b"".join(parts)


def pack_result(result) -> bytes:
    """What a function returned, as bytes: one array or number, or several in a tuple or list. NotNumbers for anything else."""
    values = result if isinstance(result, (tuple, list)) else (result,)
    return pack([_numbers(value, f"result {k + 1}" if len(values) > 1 else "the result") for k, value in enumerate(values)])


def _numbers(value, name: str):
    """`value` as an array or a Python number that `pack` takes."""
    if value is None:
        raise NotNumbers("the function returned None where an array or a number is expected: is a return missing?")
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise NotNumbers(f"{name} is a masked array with masked elements. Return a plain array, as .filled(0) makes one.")
    try:
        array = np.asarray(value)
    except ValueError:
        raise NotNumbers(f"{name} is a {type(value).__name__} whose rows differ in length. Return an array.") from None
    if array.dtype.kind == "c":
        raise NotNumbers(f"{name} is of dtype {array.dtype} where real numbers are expected. Return the real part, .real.")
    if array.dtype.name not in DTYPES:
        what = f"dtype {array.dtype}" if isinstance(value, np.ndarray) else f"type {type(value).__name__}"
        raise NotNumbers(f"{name} is of {what} where numbers are expected: integers of at most 64 bits, floats of at most 64 "
                         "bits, or True and False. Convert it with np.asarray(result, dtype=np.float64).")
    return value if isinstance(value, (int, float, bool)) else array


def unpack(body: bytes) -> list:
    """The arrays and numbers that `pack` was given; WireError, before any array is made, where lengths do not agree."""
    view, at, values = memoryview(body), 0, []

    def take(count: int) -> memoryview:
        nonlocal at
        if at + count > len(view):
            raise WireError("the arrays are shorter than their shapes say")
        at += count
        return view[at - count:at]

    for _ in range(take(1)[0]):
        number, dtype, axes = take(3)
        if number > 1 or dtype >= len(DTYPES) or axes > MOST_AXES:
            raise WireError("an array has an unknown dtype or too many axes")
        shape = struct.unpack(f"<{axes}Q", take(8 * axes))
        if math.prod(max(1, length) for length in shape) > MOST_NUMBERS:  # also where one length is 0, and there is no data
            raise WireError("an array is too large")
        kind = np.dtype(DTYPES[dtype]).newbyteorder("<")
        data = take(math.prod(shape) * kind.itemsize)
        array = np.frombuffer(data, kind).reshape(shape).astype(DTYPES[dtype])
        values.append(array.item() if number and not axes else array)
    if at != len(view):
        raise WireError("the arrays are longer than their shapes say")
    return values


def pack_arguments(arguments) -> bytes:
    """A call's arguments: arrays and numbers, and `Formula` objects."""
    texts = {str(k): [a.variable, a.text, sorted(a.values)] for k, a in enumerate(arguments) if isinstance(a, Formula)}
    flat = [value for a in arguments for value in ([a.values[name] for name in sorted(a.values)] if isinstance(a, Formula)
                                                   else [a])]
    told = json.dumps([len(arguments), texts]).encode()
    return struct.pack("<I", len(told)) + told + pack(flat)


def unpack_arguments(body: bytes) -> list:
    """The arguments that `pack_arguments` was given, a `Formula` as a plain function."""
    length, = struct.unpack_from("<I", body)
    count, texts = json.loads(body[4:4 + length])
    values = iter(unpack(body[4 + length:]))
    arguments: list = []
    for k in range(count):
        if str(k) in texts:
            variable, text, names = texts[str(k)]
            arguments.append(Formula(variable, text, **{name: next(values) for name in names}).function)
        else:
            arguments.append(next(values))
    return arguments


class Formula:
    """A function that can be sent: ``Formula("x", "(a * x**2).sum()", a=array)``; ``np`` may be used in the text."""

    def __init__(self, variable: str, text: str, **values):
        self.variable, self.text, self.values = variable, text, values
        self._code = compile(f"lambda {variable}: {text}", "<formula>", "eval", dont_inherit=True)

    @cached_property
    def function(self):
        """The formula as a function. Text from a file is run only here, and so only where the function is asked for."""
        return eval(self._code, {"np": np, **self.values})

    def __call__(self, x):
        """The formula's value at x."""
        return self.function(x)
