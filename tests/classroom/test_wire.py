"""Frames between the grader and a submission: what goes through unchanged, and what is refused before an array is made."""

import struct

import numpy as np
import pytest

from isbe_np.classroom.wire import DTYPES, Formula, WireError, pack, pack_arguments, unpack, unpack_arguments

VALUES = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.array(np.nan),
    np.zeros((0, 4)),
    np.array([True, False]),
    3,
    2.5,
    True,
    np.arange(8).reshape(2, 2, 2)[:, ::-1],
    np.array([1, 2], ">i4"),
]


def same(a, b):
    assert np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f") and np.shape(a) == np.shape(b)
    assert np.asarray(a).dtype.newbyteorder("=") == np.asarray(b).dtype and isinstance(b, np.ndarray) == isinstance(
        a, np.ndarray
    )


def test_arrays_and_numbers_come_back_as_they_were():
    for value, back in zip(VALUES, unpack(pack(VALUES)), strict=True):
        same(value, back)
    assert type(unpack(pack([3]))[0]) is int and type(unpack(pack([True]))[0]) is bool


def test_arguments_carry_formulas():
    x, f = np.arange(3.0), Formula("x", "(a * x**2).sum() + b", a=np.array([1.0, 2.0, 3.0]), b=0.5)
    first, second, third = unpack_arguments(pack_arguments([x, f, 7]))
    same(x, first)
    assert second(x) == f(x) == 14.5 and third == 7


@pytest.mark.parametrize(
    "value", ["text", None, 1 + 2j, np.array(["a"]), np.array([object()]), np.longdouble(1), [[1], [2, 3]]]
)
def test_what_is_no_array_of_numbers_is_refused(value):
    with pytest.raises((TypeError, ValueError)):
        pack([value])


def lying(shape, dtype="float64", data=b"", number=0):
    return struct.pack("<B", 1) + struct.pack(f"<BBB{len(shape)}Q", number, DTYPES.index(dtype), len(shape), *shape) + data


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x01",
        lying((10**18,)),
        lying((2**63, 2**63)),
        lying((2,), data=b"\0" * 15),
        lying((1,), data=b"\0" * 9),
        lying((1,) * 9, data=b"\0" * 8),
        struct.pack("<BBBB", 1, 0, 9, 0),
        struct.pack("<BBBB", 1, 2, 0, 0) + b"\0",
        pack(VALUES)[:-1],
        pack(VALUES) + b"\0",
        b"\xff" * 100,
    ],
)
def test_a_lying_reply_is_refused_before_an_array_is_made(body):
    with pytest.raises(WireError):
        unpack(body)


def test_random_bytes_never_do_more_than_raise(random):
    good = pack(VALUES)
    for _ in range(3000):
        body = bytearray(good)
        for at in random.integers(0, len(body), 3):
            body[at] = random.integers(0, 256)
        try:
            unpack(bytes(body))
        except WireError:
            pass
