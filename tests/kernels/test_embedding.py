"""Embedding's plain kernels: what is a token, rows by number, and the sums of rows that belong to one number."""

import numpy as np
import pytest

from isbe_np.kernels.embedding import embedding, embedding_backward, whole_numbers


@pytest.mark.parametrize("case", [(1, 1, 1), (7, 3, 5), (40, 4, 1), (300, 50, 17), (5, 1000, 3), (0, 4, 2)], ids=str)
def test_rows_and_their_sums(case, random, dtype, assert_close):
    """In matrices: Y = S W and dW = Sᵀ dY, S of ones where a token stands and zeros elsewhere."""
    M, V, K = case
    tokens, w, dy = random.integers(0, V, M), random.normal(size=(V, K)).astype(dtype), random.normal(size=(M, K)).astype(dtype)
    S, y, dw = np.eye(V)[tokens], np.full((M, K), np.nan, dtype), np.full((V, K), np.nan, dtype)
    embedding(w, tokens, y)
    embedding_backward(dy, tokens, dw)
    assert (y == S @ w).all()
    assert_close(dw, S.T @ dy)


@pytest.mark.parametrize("bad", [-1, 5, 5.5, 0.5, -1e-20, 4.999, np.nan, np.inf, -np.inf, 1e30])
def test_what_is_no_token_is_found(bad, dtype):
    x, tokens = np.array([0, 4, -0.0, bad, 1, bad], dtype), np.full(6, 77)
    if bad == 4.999 or np.float64(dtype.type(bad)) == bad or np.isnan(bad) or abs(bad) < 1 or bad > 5:
        assert whole_numbers(x, 5, tokens) == 3
        assert tokens.tolist() == [0, 4, 0, 77, 77, 77]


def test_every_number_up_to_2_to_the_24_is_a_token_of_float32():
    most, tokens = 1 << 24, np.zeros(3, np.int64)
    assert whole_numbers(np.array([most - 1, most - 2, 0], np.float32), most, tokens) == -1
    assert tokens.tolist() == [most - 1, most - 2, 0]


def test_the_sums_of_a_frequent_token_are_float64():
    """1 + 2⁻²⁵ is 1 in float32; of many such rows something must be left."""
    dy, dw = np.full((1 + 2**12, 1), 2.0**-25, np.float32), np.empty((2, 1), np.float32)
    dy[0] = 1
    embedding_backward(dy, np.zeros(len(dy), np.int64), dw)
    assert dw[0, 0] == np.float32(1 + 2.0**-13) and dw[1, 0] == 0
