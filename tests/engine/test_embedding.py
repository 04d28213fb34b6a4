"""The engine's sums of rows that belong to one token, against the plain kernel in float64."""

import numba
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.engine.embedding import sort_tokens, sums_of_rows
from isbe_np.kernels.embedding import embedding_backward

CASES = [(1, 1, 1), (7, 3, 5), (40, 4, 1), (300, 50, 17), (5, 1000, 3), (0, 4, 2)]  # tokens M, vocabulary V, features D


def sorted_places(tokens, V):
    first, order = np.full(V + 1, 77), np.full(tokens.size, 77)
    sort_tokens(tokens, first, order)
    return first, order


def summed(dy, tokens, V):
    first, order = sorted_places(tokens, V)
    dw = np.full((V, dy.shape[1]), np.nan, dy.dtype)
    sums_of_rows(dy, first, order, np.full((numba.config.NUMBA_NUM_THREADS, dy.shape[1]), np.nan), dw)
    return dw


@pytest.mark.parametrize("case", CASES, ids=str)
def test_sums_of_rows(case, random, dtype, assert_close):
    M, V, D = case
    tokens, dy, wanted = random.integers(0, V, M), random.normal(size=(M, D)).astype(dtype), np.full((V, D), np.nan)
    embedding_backward(dy.astype(np.float64), tokens, wanted)
    assert_close(summed(dy, tokens, V), wanted)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_places_are_sorted_by_token_and_then_by_place(case, random):
    M, V, _ = case
    tokens = random.integers(0, V, M)
    first, order = sorted_places(tokens, V)
    assert (order == np.argsort(tokens, kind="stable")).all()
    assert (first == np.searchsorted(np.sort(tokens), np.arange(V + 1))).all()


@pytest.mark.parametrize("V", [1, 2, 5])
@pytest.mark.parametrize("token", range(5))
def test_all_tokens_equal(V, token):
    if token < V:
        first, order = sorted_places(np.full(4, token), V)
        assert order.tolist() == [0, 1, 2, 3] and first.tolist() == [0] * (token + 1) + [4] * (V - token)


def test_a_long_sum_is_as_exact_as_a_short_one(dtype):
    """100,000 times 0.1: added up in float32 it would be off by 1e-4; ones after a large number would be lost."""
    M = 2_000 if numba.config.DISABLE_JIT else 100_000
    tokens, dy = np.zeros(M, np.int64), np.full((M, 2), 0.1, dtype)
    dy[0, 1], dy[1:, 1] = 2**25, 1
    assert summed(dy, tokens, 1)[0] == pytest.approx([M * float(dtype.type(0.1)), 2**25 + M - 1], rel=1e-7)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes without the compiler")
def test_one_thread_and_several_give_the_same_bits(random, dtype):
    tokens, dy, results = random.integers(0, 9, 4000), random.normal(size=(4000, 16)).astype(dtype), []
    try:
        for n in (1, numba.config.NUMBA_NUM_THREADS):
            isbe.set_threads(n)
            results.append(summed(dy, tokens, 9).tobytes())
    finally:
        isbe.set_threads(numba.config.NUMBA_NUM_THREADS)
    assert results[0] == results[1]
