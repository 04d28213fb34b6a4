"""The engine's softmax, fused route and one pass, against the plain kernels and NumPy, alone and in blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isbe_np.compiler.jit import SETTINGS
from isbe_np.engine import softmax as kernels
from isbe_np.kernels import softmax as plain
from isbe_np.kernels.finite import first_nan_row

SLOW = bool(SETTINGS.DISABLE_JIT)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def naive_softmax(x):
    e = np.exp(np.longdouble(x) - np.max(x, axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax(x):
    y = np.full_like(x, 7)
    with np.errstate(all="ignore"):
        kernels.softmax_blocks(x, y)
    return y


@every_dtype
@pytest.mark.parametrize(("C", "spread"), [(1, 1), (2, 1), (10, 3), (33, 3), (10, 60)])
def test_softmax(C, spread, dtype):
    x = (spread * np.random.default_rng(C).normal(size=(6, C))).astype(dtype)
    # Rounding x − m costs |x − m| / 2 units in the last place of y (Blanchard, Higham & Higham, section 4).
    tolerance = (4 + np.ptp(x)) * np.finfo(dtype).eps
    np.testing.assert_allclose(softmax(x), np.float64(naive_softmax(x)), rtol=tolerance, atol=np.finfo(dtype).tiny)


@every_dtype
def test_rows_without_a_softmax_are_nan_and_named(dtype):
    inf, nan = np.inf, np.nan
    rows = {"nan": [0, nan, 1], "inf": [0, inf, 1], "two inf": [inf, inf, -inf], "nothing": [-inf, -inf, -inf]}
    for row in rows.values():
        y = softmax(np.array([[1, 2, 3], [0, -inf, 1], row, [nan, 0, 0]], dtype))
        assert np.isnan(y[2]).all() and not np.isnan(y[:2]).any()
        assert first_nan_row(y) == 2
    assert first_nan_row(y[:2]) == -1
    assert y[1, 1] == 0
    np.testing.assert_allclose(y[1], [1 / (1 + np.e), 0, np.e / (1 + np.e)], rtol=1e-6)


@every_dtype
def test_no_rows(dtype):
    y = softmax(np.empty((0, 3), dtype))
    assert y.shape == (0, 3) and first_nan_row(y) == -1


@every_dtype
@settings(max_examples=25, deadline=None, derandomize=True)
@given(shift=st.integers(-1000, 1000), seed=st.integers(0, 99))
def test_an_exact_shift_changes_no_bit(dtype, shift, seed):
    x = np.random.default_rng(seed).integers(-400, 400, size=(3, 5)).astype(dtype) / 16
    assert np.array_equal(softmax(x), softmax(x + dtype(shift)))


@every_dtype
def test_extreme_scores(dtype):
    far = dtype(1e38 if dtype == np.float32 else 1e300)
    assert np.array_equal(softmax(np.array([[far, -far, 0], [-far, -far, -far]], dtype)),
                          np.array([[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]], dtype))


@every_dtype
@pytest.mark.parametrize("kind", ["labels", "any", "none"])
@pytest.mark.parametrize(("C", "spread"), [(1, 1), (2, 3), (10, 3), (33, 60)])
def test_softmax_and_the_fused_route_agree_with_the_plain_kernels(C, spread, kind, dtype):
    random, eps = np.random.default_rng(C), np.finfo(dtype).eps
    x = (spread * random.normal(size=(9, C))).astype(dtype)
    t = {"labels": np.eye(C)[random.integers(0, C, 9)], "any": random.normal(size=(9, C)), "none": np.zeros((9, C))}[kind]
    t, y, ours = t.astype(dtype), np.empty_like(x), np.full_like(x, 7)
    plain.softmax(x, y)
    for kernel in (kernels.softmax_blocks, kernels.softmax_block):
        kernel(x, ours)
        np.testing.assert_allclose(ours, y, rtol=8 * eps, atol=np.finfo(dtype).tiny)
    loss, e, losses, wanted = np.full(9, 7.0), np.full_like(x, 7), np.empty(9), np.empty_like(x)
    plain.fused_error(x, y, t, losses, wanted)
    for kernel in (kernels.fused_blocks, kernels.fused_block):
        kernel(x, y, t, loss, e)
        np.testing.assert_allclose(e, wanted, rtol=0, atol=(8 + C) * eps)
        np.testing.assert_allclose(loss, losses, rtol=0, atol=(8 + C) * eps * max(1, np.abs(t).max() * np.abs(x).max()))


def test_the_fused_route_at_the_end_of_the_number_line():
    """The largest score is not swallowed, and 0 · ∞ counts as 0."""
    x, t = np.array([[1e300] * 4, [0, -np.inf, 0, -np.inf]]), np.array([[1, 0, 0, 0], [0.5, 0, 0.5, 0]])
    loss, e = np.empty(2), np.empty_like(x)
    kernels.fused_block(x, softmax(x), t, loss, e)
    np.testing.assert_allclose(loss, [np.log(4), np.log(2)], rtol=1e-15)
    np.testing.assert_allclose(e, [[-3 / 4, 1 / 4, 1 / 4, 1 / 4], [0, 0, 0, 0]], rtol=1e-15, atol=1e-16)


SHAPES = [(1, 1), (6, 1), (1, 7), (5, 10), (3, 4097), (1000, 10), (17, 2000)]


@every_dtype
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_one_pass_of_softmax_and_isbe_error(shape, dtype, monkeypatch):
    """Alone and in blocks shared among threads; a row is the same in both."""
    if SLOW:  # small arrays in several blocks; what is compiled keeps its own number, and is not to be kept with another
        monkeypatch.setattr(kernels, "BLOCK", 24)
    if SLOW and np.prod(shape) > 500:
        shape = (shape[0] % 10 + 1, shape[1] % 51)
    N, C = shape
    random = np.random.default_rng(C)
    x, t = (3 * random.normal(size=shape)).astype(dtype), random.random(shape).astype(dtype)
    labels, scale = random.integers(0, C, N), 1 / 3
    y = np.float64(naive_softmax(x))
    hot = np.where(np.arange(C) == labels[:, None], 0.5, -1)
    for dense, by_label in ((kernels.softmax_isbe_blocks, kernels.softmax_isbe_blocks_labels),
                            (kernels.softmax_isbe_block, kernels.softmax_isbe_block_labels)):
        e = np.full_like(x, 7)
        dense(x, t, scale, e)
        np.testing.assert_allclose(e, (y - t) * scale, rtol=0, atol=8 * np.finfo(dtype).eps)
        by_label(x, labels, -1.0, 0.5, scale, e)
        np.testing.assert_allclose(e, (y - hot) * scale, rtol=0, atol=8 * np.finfo(dtype).eps)
        last = np.full_like(x[-1:], 7)
        by_label(x[-1:], labels[-1:], -1.0, 0.5, scale, last)
        assert np.array_equal(last[0], e[-1])


@every_dtype
def test_one_pass_of_extreme_scores(dtype):
    far = dtype(1e38 if dtype == np.float32 else 1e300)
    x = np.array([[0, -1000, -np.inf], [far, -far, 0], [-far, -far, -far], [1000, 0, 1000]], dtype)
    y = np.array([[1, 0, 0], [1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0, 0.5]])
    e = np.full_like(x, 7)
    kernels.softmax_isbe_blocks_labels(x, np.array([1, 0, 2, 1]), 0.0, 1.0, 1.0, e)
    np.testing.assert_allclose(e, y - np.eye(3)[[1, 0, 2, 1]], rtol=0, atol=np.finfo(dtype).eps)


@every_dtype
@pytest.mark.parametrize("row", [[0, np.nan, 1], [0, -np.nan, 1], [0, np.inf, 1], [np.inf, np.inf, -np.inf], [-np.inf] * 3])
def test_one_pass_marks_rows_without_a_softmax(row, dtype):
    x = np.array([[1, 2, 3], [0, -np.inf, 1], row], dtype)
    e = np.full_like(x, 7)
    for label in range(3):
        kernels.softmax_isbe_blocks_labels(x, np.full(3, label), 0.0, 1.0, 0.5, e)
        assert np.isnan(e[2]).all() and not np.isnan(e[:2]).any() and first_nan_row(e) == 2
    kernels.softmax_isbe_blocks(x, np.ones_like(x), 0.5, e)
    assert np.isnan(e[2]).all() and first_nan_row(e) == 2


@every_dtype
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_row_is_the_same_in_every_batch(shape, dtype):
    if SLOW and np.prod(shape) > 500:
        shape = (shape[0] % 10 + 1, shape[1] % 51)
    x = (3 * np.random.default_rng(1).normal(size=shape)).astype(dtype)
    y = softmax(x)
    for n in (0, shape[0] // 2, shape[0] - 1):
        alone = np.full_like(x[:1], 7)
        kernels.softmax_block(x[n:n + 1], alone)
        assert np.array_equal(y[n], alone[0])
    t, loss, e, f = np.zeros_like(x), np.empty(shape[0]), np.full_like(x, 7), np.full_like(x, 8)
    t[:, 0] = 1
    kernels.fused_blocks(x, y, t, loss, e)
    kernels.fused_block(x, y, t, loss, f)
    assert np.array_equal(e, f)
