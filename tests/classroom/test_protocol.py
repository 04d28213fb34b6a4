"""Frames between the grader and a submission: what goes through unchanged, and what is refused before an array is made."""

import struct

import numpy as np
import pytest

from isbe_np.classroom.protocol import (
    DTYPES,
    Formula,
    NotNumbers,
    WireError,
    pack,
    pack_arguments,
    pack_result,
    unpack,
    unpack_arguments,
)

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


@pytest.mark.parametrize("dtype", [*DTYPES, ">i2", ">f4", ">u8"])
def test_every_dtype_of_numbers_comes_back(dtype):
    array = np.array([0, 1, 1]).astype(dtype)
    (back,) = unpack(pack_result(array))
    same(array, back)


@pytest.mark.parametrize(
    ("result", "came"),
    [
        (np.array([[1, 2]]).view(np.matrix), [np.array([[1, 2]])]),
        (np.ma.array([1, 2], mask=False), [np.array([1, 2])]),
        (np.int8(3), [np.array(3, np.int8)]),
        (2**63, [2**63]),
        ((np.array(5.0), [1, 2]), [np.array(5.0), np.array([1, 2])]),
        ([], []),
    ],
)
def test_what_a_function_returns_comes_as_arrays_and_numbers(result, came):
    back = unpack(pack_result(result))
    assert len(back) == len(came) and all(type(b) is type(c) for b, c in zip(back, came, strict=True))
    assert all(np.array_equal(b, c) and np.shape(b) == np.shape(c) for b, c in zip(back, came, strict=True))


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (np.ones(2, complex), "the result is of dtype complex128 where real numbers are expected. Return the real part"),
        ((1.0, 1j), "result 2 is of dtype complex128"),
        (np.array([1, 2], object), "the result is of dtype object where numbers are expected: integers of at most 64 bits"),
        ({"a": 1}, "the result is of type dict where numbers are expected"),
        (10**30, "the result is of type int where numbers are expected: integers of at most 64 bits"),
        (np.longdouble(1), "Convert it with np.asarray(result, dtype=np.float64)."),
        ("text", "the result is of type str where numbers are expected"),
        (np.array("2020", "datetime64[D]"), "the result is of dtype datetime64[D] where numbers are expected"),
        (np.ma.array([1, 2], mask=[0, 1]), "the result is a masked array with masked elements. Return a plain array"),
        (([1], [[1], [2, 3]]), "result 2 is a list whose rows differ in length. Return an array."),
        ((1, None), "the function returned None where an array or a number is expected: is a return missing?"),
    ],
)
def test_what_is_no_numbers_is_refused_in_a_sentence(result, words):
    with pytest.raises(NotNumbers) as told:
        pack_result(result)
    assert words in str(told.value) and str(told.value)[-1] in ".?"


@pytest.mark.parametrize("text", ["0, open({file!r}, 'w')", "0 if x else open({file!r}, 'w')"])
def test_a_formula_from_a_file_runs_nothing_until_it_is_asked_for(tmp_path, text):
    formula = Formula("x", text.format(file=str(tmp_path / "ran")))
    pack_arguments([formula])
    assert not (tmp_path / "ran").exists()
    with pytest.raises(SyntaxError):
        Formula("x", "(a")


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
