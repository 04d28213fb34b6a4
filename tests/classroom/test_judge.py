"""Right or wrong, and the sentence about it."""

import numpy as np
import pytest

from isbe_np.classroom.judge import compare, shown
from isbe_np.classroom.protocol import Formula

WANT = np.array([[1.0, -2.0], [np.inf, np.nan]])


def test_right_answers():
    assert compare([WANT], [WANT.copy()], 0) is None
    assert compare([np.array(3.0)], [3], 1e-9) is None
    assert compare([np.array([1e6, 1.0])], [np.array([1e6, 1.0005])], 1e-9) is None  # measured by the largest
    assert compare([np.array([1.0])], [np.array([1.0], np.float32)], 1e-9) is None
    assert compare([np.zeros((0, 3))], [np.zeros((0, 3))], 0) is None


@pytest.mark.parametrize(
    ("got", "words"),
    [
        ([WANT[0]], "the result has shape (2,) where (2, 2) is expected."),
        ([WANT.reshape(4)], "the result has shape (4,) where (2, 2) is expected."),
        ([WANT, WANT], "2 results came back where one result (the result) is expected."),
        ([], "0 results came back where one result"),
        ([np.full((2, 2), np.nan)], "the result at [0, 0]: expected 1, got nan (not comparable); 3 of 4 elements are wrong."),
        (
            [WANT + np.array([[0, 0.5], [0, 0]])],
            "the result at [0, 1]: expected -2, got -1.5 (off by 0.5, allowed 2e-09); 1 of 4 elements are wrong.",
        ),
        ([np.where(np.isinf(WANT), -np.inf, WANT)], "the result at [1, 0]: expected inf, got -inf"),
        ([np.where(np.isnan(WANT), 0.0, WANT)], "the result at [1, 1]: expected nan, got 0"),
        ([np.where(np.isinf(WANT), 1e308, WANT)], "expected inf, got 1e+308"),
    ],
)
def test_wrong_answers_are_told(got, words):
    assert words in compare([WANT], got, 1e-9)


def test_the_wrong_one_of_several_is_named_and_its_worst_element_shown():
    words = compare([np.zeros(2), np.zeros(3)], [np.zeros(2), np.array([0, 1e-3, 5])], 1e-9, returns=("dx", "dw"))
    assert words.startswith("dw at [2]: expected 0, got 5 (off by 5, allowed 1e-09); 2 of 3")


def test_dtypes_count_where_they_are_asked_for():
    single = np.zeros(2, np.float32)
    assert compare([single], [np.zeros(2)], 1e-6) is None
    assert (
        compare([single], [np.zeros(2)], 1e-6, same_dtype=True) == "the result is of dtype float64 where float32 is expected."
    )


@pytest.mark.parametrize("dtype", ["int8", "int16", ">i4", "int64", "float16", "float32"])
def test_a_right_answer_is_right_in_any_dtype_that_holds_it(dtype):
    assert compare([np.array([-1, 0, 2])], [np.array([-1, 0, 2], dtype)], 1e-9) is None
    assert compare([np.array([True, False])], [np.array([1, 0], dtype)], 1e-9) is None


@pytest.mark.parametrize(
    ("want", "dtype", "words"),
    [
        ([0, 1, -1], "uint8", "at [2]: expected -1, got 255 (off by 2.6e+02, allowed 1e-09); 1 of 3 elements are wrong. It is "
         "of dtype uint8, which holds whole numbers from 0 to 255 only, where int64 is expected."),
        ([300], "int8", "expected 300, got 44 (off by 2.6e+02, allowed 3e-07). It is of dtype int8, which holds whole "
         "numbers from -128 to 127 only, where int64 is expected."),
        ([0, 1, 2], "bool", "It is of dtype bool, which holds True and False only, where int64 is expected."),
        ([0.5, 0.25], "bool", "It is of dtype bool, which holds True and False only, where float64 is expected."),
        ([0.5, -2.5], "int32", "got 0 (off by 0.5, allowed 2.5e-09); 2 of 2 elements are wrong. It is of dtype int32, which "
         "holds whole numbers only, where float64 is expected."),
        ([0.1], "float16", "It is of dtype float16, which holds 3 digits, where float64 is expected."),
        ([0.1], "float32", "It is of dtype float32, which holds 6 digits, where float64 is expected."),
    ],
)
def test_a_dtype_that_cannot_hold_the_answer_is_named(want, dtype, words):
    assert compare([np.array(want)], [np.array(want).astype(dtype)], 1e-9).endswith(words)


def test_a_wrong_answer_is_not_blamed_on_a_dtype_that_could_hold_it():
    for want, got in (([1, 2], np.array([2, 1], np.int8)), ([0.1], np.array([0.2], np.float32)), ([True], np.array([False]))):
        assert "dtype" not in compare([np.array(want)], [got], 1e-9)
    assert "dtype" not in compare([np.array([0.1], np.float32)], [np.array([0.2], np.float16)], 1e-9)


def test_numbers_that_overflow_are_wrong_not_an_error():
    assert "expected 1.797" in compare([np.array([1.797e308])], [np.array([-1.797e308])], 1e-9)


def test_arguments_are_shortened():
    text = shown((np.arange(3.0), np.zeros((100, 100)), 2, Formula("x", "a * x + b", a=2, b=np.ones(2))))
    assert text == "[0, 1, 2]; an array (100, 100) of float64; 2; x -> a * x + b with a = 2 with b = [1, 1]"
    assert len(shown((np.arange(24.0) / 7,) * 5)) == 300
