"""Attention's plain kernels against einsum, the Jacobian of softmax as a matrix, and central differences."""

import naive
import numpy as np
import pytest

from isbe_np.kernels.attention import attention, attention_backward, softmax_backward

CASES = [(2, 5, 2, 3), (1, 1, 1, 1), (3, 1, 2, 2), (1, 2, 1, 4), (2, 9, 3, 1)]  # N, T, heads, d
both = pytest.mark.parametrize("causal", [False, True], ids=["all", "causal"])


def run(qkv, do, heads, causal):
    """Weights, outputs (N, T, D) and gradient (N, T, 3 D), in arrays full of what must not be read."""
    N, T, D = do.shape
    shape, a = (N, T, heads, D // heads), np.full((N, heads, T, T), np.nan, do.dtype)
    o, dqkv = np.full(do.shape, np.nan, do.dtype), np.full(qkv.shape, np.nan, do.dtype)
    parts = (N, T, 3, heads, D // heads)
    attention(qkv.reshape(parts), causal, a, o.reshape(shape))
    attention_backward(do.reshape(shape), qkv.reshape(parts), a, dqkv.reshape(parts))
    return a, o, dqkv


def drawn(random, case, dtype=np.float64):
    N, T, heads, d = case
    return [random.normal(size=(N, T, k * heads * d)).astype(dtype) for k in (3, 1)]


@both
@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward_is_einsums(case, causal, random, dtype, assert_close):
    qkv, do = drawn(random, case, dtype)
    for got, wanted in zip(run(qkv, do, case[2], causal)[:2], naive.attention(qkv, case[2], causal), strict=True):
        assert_close(got, wanted)


@both
@pytest.mark.parametrize("case", CASES, ids=str)
def test_backward_is_the_central_difference(case, causal, random):
    qkv, do = drawn(random, case)
    wanted = naive.central_difference(lambda: (naive.attention(qkv, case[2], causal)[1] * do).sum(), qkv)
    np.testing.assert_allclose(run(qkv, do, case[2], causal)[2], wanted, rtol=0, atol=1e-8)


def test_the_softmaxs_backward_is_the_product_with_its_jacobian(random, dtype, assert_close):
    """As a matrix, and multiplied out: a ⊙ (da − ⟨a, da⟩)."""
    a, da = random.dirichlet(np.ones(6), 6).astype(dtype), random.normal(size=(6, 6)).astype(dtype)
    ds = np.full_like(a, np.nan)
    softmax_backward(a, da, ds)
    wide, errors = a.astype(np.float64), da.astype(np.float64)
    assert_close(ds, [(np.diag(row) - np.outer(row, row)).T @ error for row, error in zip(wide, errors, strict=True)])
    assert_close(ds, wide * (errors - (wide * errors).sum(1, keepdims=True)))


@both
def test_large_scores_choose_one_token(causal, dtype):
    """Scores of ±1e8: weights of ones and zeros, and no NaN."""
    qkv = np.tile(np.array([1e4, -1e4, 1], dtype), (1, 5, 1))
    qkv[0, 0, 1] = 1e4
    a, o, dqkv = run(qkv, np.ones((1, 5, 1), dtype), 1, causal)
    assert (a[0, 0, :, 0] == 1).all() and (a[0, 0, :, 1:] == 0).all() and (o == 1).all() and np.isfinite(dqkv).all()


def test_causal_nothing_reaches_earlier_tokens(random, dtype):
    """Neither a later token's numbers, forward, nor an earlier token's error, backward: to the bit."""
    qkv, do = drawn(random, (1, 6, 2, 2), dtype)
    changed, other = qkv.copy(), do.copy()
    changed[:, 4:], other[:, :4] = 3, 3
    _, o, dqkv = run(qkv, do, 2, True)
    assert o[:, :4].tobytes() == run(changed, do, 2, True)[1][:, :4].tobytes()
    assert dqkv[:, 4:, 4:].tobytes() == run(qkv, other, 2, True)[2][:, 4:, 4:].tobytes()
