"""What passes between the grader and a submission's process: numbers and arrays, and nothing that could be run.

Runs on both sides: the standard library and NumPy alone, nothing of isbe_np. A frame is one letter for its kind, eight bytes
for the length of what follows, and that. Arrays are told by their dtype (of the list below), their shape and their bytes; the
length of the bytes must be what dtype and shape say before an array is made.
"""

import json
import math
import struct

import numpy as np

HEAD = struct.Struct("<cQ")
DTYPES = ("bool", "uint8", "int32", "int64", "float32", "float64")
MOST_AXES, MOST_NUMBERS = 8, 2**40


class WireError(ValueError):
    """What came is not what this protocol says."""


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
        self.function = eval(f"lambda {variable}: {text}", {"np": np, **values})

    def __call__(self, x):
        """The formula's value at x."""
        return self.function(x)
