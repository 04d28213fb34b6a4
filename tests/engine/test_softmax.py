import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isbe_np.compiler.jit import SETTINGS
from isbe_np.engine import softmax as kernels

SLOW = bool(SETTINGS.DISABLE_JIT)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def naive_softmax(x):
    e = np.exp(np.longdouble(x) - np.max(x, axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax(x):
    y = np.full_like(x, 7)
    with np.errstate(all="ignore"):
        kernels.softmax(x, y)
    return y


def example(dtype=np.float64, N=5, C=7, seed=0):
    random = np.random.default_rng(seed)
    x = (3 * random.normal(size=(N, C))).astype(dtype)
    return x, softmax(x), random.normal(size=(N, C)).astype(dtype)


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
        assert kernels.first_bad_row(y) == 2
    assert kernels.first_bad_row(y[:2]) == -1
    assert y[1, 1] == 0
    np.testing.assert_allclose(y[1], [1 / (1 + np.e), 0, np.e / (1 + np.e)], rtol=1e-6)


@every_dtype
def test_no_rows(dtype):
    y = softmax(np.empty((0, 3), dtype))
    assert y.shape == (0, 3) and kernels.first_bad_row(y) == -1


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


def test_jacobian_is_what_central_differences_give():
    x, y, _ = example()
    J = np.full((5, 7, 7), 7.0)
    kernels.softmax_jacobian(y, J)
    for j in range(7):
        step = 1e-6 * (np.arange(7) == j)
        np.testing.assert_allclose(J[:, :, j], (softmax(x + step) - softmax(x - step)) / 2e-6, atol=1e-9)


@every_dtype
def test_jacobian_is_symmetric_semidefinite_of_rank_one_less(dtype):
    _, y, _ = example(dtype)
    J = np.full((5, 7, 7), 7, dtype)
    kernels.softmax_jacobian(y, J)
    values = np.linalg.eigvalsh(np.float64(J))
    tiny = 4 * np.finfo(dtype).eps
    assert np.array_equal(J, J.transpose(0, 2, 1))
    assert np.abs(J.sum(axis=2)).max() < tiny and np.abs(values[:, 0]).max() < tiny
    assert (values[:, 1] > tiny).all() and values.max() <= 0.5 + tiny


@every_dtype
def test_jacobian_product_transposes(dtype):
    _, _, g = example(dtype)
    J = np.random.default_rng(1).normal(size=(5, 7, 7)).astype(dtype)
    dx = np.full_like(g, 7)
    kernels.jacobian_product(J, g, dx)
    np.testing.assert_allclose(dx, np.einsum("nij,ni->nj", np.float64(J), g), atol=30 * np.finfo(dtype).eps)


@every_dtype
def test_softmax_product_is_the_jacobian_product(dtype):
    _, y, g = example(dtype)
    J = np.array([np.diag(row) - np.outer(row, row) for row in np.float64(y)])
    dx = np.full_like(g, 7)
    kernels.softmax_product(y, g, dx)
    np.testing.assert_allclose(dx, np.einsum("nij,ni->nj", J, g), atol=8 * np.finfo(dtype).eps)


@every_dtype
def test_log_softmax_and_cross_entropy(dtype):
    x, _, _ = example(dtype)
    t = np.random.default_rng(2).random(x.shape).astype(dtype)
    t[0] = 0
    labels = np.array([0, 6, 3, 2, 1])
    z, loss, label_loss = np.empty(x.shape), np.empty(5), np.empty(5)
    kernels.log_softmax(x, z)
    kernels.cross_entropy(x, t, loss)
    kernels.cross_entropy_labels(x, labels, label_loss)
    expected = np.float64(np.log(naive_softmax(x)))
    np.testing.assert_allclose(z, expected, rtol=1e-13)
    np.testing.assert_allclose(loss, -(t * expected).sum(axis=1), rtol=1e-13)
    np.testing.assert_allclose(label_loss, -expected[np.arange(5), labels], rtol=1e-13)


def test_a_large_shift_does_not_swallow_the_logarithm():
    """(x − m) − log Σ must not be reordered to x − (m + log Σ)."""
    x = np.full((2, 4), 1e300)
    z, loss, label_loss = np.empty(x.shape), np.empty(2), np.empty(2)
    kernels.log_softmax(x, z)
    kernels.cross_entropy(x, np.eye(4)[:2], loss)
    kernels.cross_entropy_labels(x, np.array([0, 3]), label_loss)
    for result in (-z, loss, label_loss):
        np.testing.assert_allclose(result, np.log(4), rtol=1e-15)


def test_a_class_without_target_may_have_no_probability():
    loss = np.empty(1)
    kernels.cross_entropy(np.array([[0, -np.inf, 0]]), np.array([[0.5, 0, 0.5]]), loss)
    np.testing.assert_allclose(loss, np.log(2))


@every_dtype
def test_errors(dtype):
    _, y, _ = example(dtype)
    t = np.random.default_rng(3).random(y.shape).astype(dtype)
    labels = np.array([0, 6, 3, 2, 1])
    e = np.full_like(y, 7)
    kernels.isbe_error(y, t, e)
    assert np.array_equal(e, y - t)
    kernels.isbe_error_labels(y, labels, -1.0, 0.5, e)
    assert np.array_equal(e, y - np.where(np.arange(7) == labels[:, None], 0.5, -1).astype(dtype))


@every_dtype
def test_fused_error(dtype):
    """Its errors come from log y, not from y, and so agree with τ y − t by mathematics, not by sharing code."""
    x, y, _ = example(dtype)
    z = np.log(np.float64(naive_softmax(x)))
    t = np.random.default_rng(3).random(y.shape).astype(dtype)
    labels, rows = np.array([0, 6, 3, 2, 1]), np.arange(5)
    e, loss = np.full_like(y, 7), np.full(5, 7.0)
    kernels.fused_error(x, y, t, loss, e)
    tight = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(e, np.float64(t).sum(axis=1, keepdims=True) * np.exp(z) - t, atol=tight)
    np.testing.assert_allclose(loss, -(t * z).sum(axis=1), rtol=tight)
    kernels.fused_error_labels(x, y, labels, loss, e)
    np.testing.assert_allclose(e, np.exp(z) - (np.arange(7) == labels[:, None]), atol=tight)
    np.testing.assert_allclose(loss, -z[rows, labels], rtol=tight)


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
    for dense, by_label in ((kernels.softmax_isbe_error, kernels.softmax_isbe_error_labels),
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
    kernels.softmax_isbe_error_labels(x, np.array([1, 0, 2, 1]), 0.0, 1.0, 1.0, e)
    np.testing.assert_allclose(e, y - np.eye(3)[[1, 0, 2, 1]], rtol=0, atol=np.finfo(dtype).eps)


@every_dtype
@pytest.mark.parametrize("row", [[0, np.nan, 1], [0, -np.nan, 1], [0, np.inf, 1], [np.inf, np.inf, -np.inf], [-np.inf] * 3])
def test_one_pass_marks_rows_without_a_softmax(row, dtype):
    x = np.array([[1, 2, 3], [0, -np.inf, 1], row], dtype)
    e = np.full_like(x, 7)
    for label in range(3):
        kernels.softmax_isbe_error_labels(x, np.full(3, label), 0.0, 1.0, 0.5, e)
        assert np.isnan(e[2]).all() and not np.isnan(e[:2]).any() and kernels.first_bad_row(e) == 2
    kernels.softmax_isbe_error(x, np.ones_like(x), 0.5, e)
    assert np.isnan(e[2]).all() and kernels.first_bad_row(e) == 2


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
    labels, loss, e, f = np.zeros(shape[0], int), np.empty(shape[0]), np.full_like(x, 7), np.full_like(x, 8)
    kernels.fused_error_labels(x, y, labels, loss, e)
    kernels.fused_block_labels(x, y, labels, loss, f)
    assert np.array_equal(e, f)
