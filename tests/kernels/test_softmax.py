"""The plain softmax and what follows from it: against NumPy in float64, J by einsum, central differences, and extremes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isbe_np.kernels import softmax as kernels
from isbe_np.kernels.finite import first_nan_row

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def naive_softmax(x):
    e = np.exp(np.longdouble(x) - np.max(x, axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def run(kernel, *given, shape=None, dtype=None):
    """What a kernel writes into its last argument, which is full of sevens before."""
    out = np.full(given[0].shape if shape is None else shape, 7, dtype or given[0].dtype)
    kernel(*given, out)
    return out


def softmax(x):
    return run(kernels.softmax, x)


def example(dtype=np.float64, N=5, C=7, seed=0):
    """Scores, soft scores, and targets that do not sum to 1, of which some are 0."""
    random = np.random.default_rng(seed)
    x = (3 * random.normal(size=(N, C))).astype(dtype)
    t = random.random((N, C)).astype(dtype)
    t[0], t[1, 2] = 0, 0
    return x, softmax(x), t


def exact(x, t):
    """τ y − t, and −Σ t log y, in float64."""
    y, t = np.asarray(naive_softmax(x), np.float64), t.astype(np.float64)
    return t.sum(axis=1, keepdims=True) * y - t, -(t * np.float64(np.log(naive_softmax(x)))).sum(axis=1)


@every_dtype
@pytest.mark.parametrize(("C", "spread"), [(1, 1), (2, 1), (10, 3), (33, 3), (10, 60)])
def test_softmax(C, spread, dtype):
    x = (spread * np.random.default_rng(C).normal(size=(6, C))).astype(dtype)
    # Rounding x − m costs |x − m| / 2 units in the last place of y (Blanchard, Higham & Higham, section 4).
    tolerance = (4 + np.ptp(x)) * np.finfo(dtype).eps
    np.testing.assert_allclose(softmax(x), np.asarray(naive_softmax(x), np.float64), rtol=tolerance, atol=np.finfo(dtype).tiny)


@every_dtype
@pytest.mark.parametrize("row", [[0, np.nan, 1], [np.nan, 0, 1], [0, -np.nan, 1], [0, 1, np.nan], [0, np.inf, 1],
                                 [np.inf, np.inf, -np.inf], [-np.inf] * 3], ids=str)
def test_a_row_without_a_softmax_is_nan_and_found(row, dtype):
    y = softmax(np.array([[1, 2, 3], [0, -np.inf, 1], row, [np.nan, 0, 0]], dtype))
    assert np.isnan(y[2]).all() and not np.isnan(y[:2]).any()
    assert first_nan_row(y) == 2 and first_nan_row(y[:3]) == 2 and first_nan_row(y[:2]) == -1 and first_nan_row(y[:0]) == -1
    np.testing.assert_allclose(y[1], [1 / (1 + np.e), 0, np.e / (1 + np.e)], rtol=1e-6)


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
    assert softmax(np.empty((0, 3), dtype)).shape == (0, 3)


def test_the_jacobian_is_what_central_differences_give():
    x, y, _ = example()
    J = run(kernels.softmax_jacobian, y, shape=(5, 7, 7))
    for j in range(7):
        step = 1e-6 * (np.arange(7) == j)
        np.testing.assert_allclose(J[:, :, j], (softmax(x + step) - softmax(x - step)) / 2e-6, atol=1e-9)


@every_dtype
def test_the_jacobian_is_symmetric_semidefinite_of_rank_one_less(dtype):
    J = run(kernels.softmax_jacobian, example(dtype)[1], shape=(5, 7, 7))
    values = np.linalg.eigvalsh(np.float64(J))
    tiny = 4 * np.finfo(dtype).eps
    assert np.array_equal(J, J.transpose(0, 2, 1))
    assert np.abs(J.sum(axis=2)).max() < tiny and np.abs(values[:, 0]).max() < tiny
    assert (values[:, 1] > tiny).all() and values.max() <= 0.5 + tiny


@every_dtype
def test_log_softmax_and_cross_entropy(dtype):
    x, _, t = example(dtype)
    z = run(kernels.log_softmax, x, dtype=np.float64)
    np.testing.assert_allclose(z, np.float64(np.log(naive_softmax(x))), rtol=1e-6 if dtype == np.float32 else 1e-13)
    loss = run(kernels.cross_entropy, z, t, shape=5)
    np.testing.assert_allclose(loss, -(t.astype(np.float64) * z).sum(axis=1), rtol=1e-13)


def test_a_large_shift_does_not_swallow_the_logarithm():
    """(x − m) − log Σ must not be reordered to x − (m + log Σ)."""
    x, loss, e = np.full((2, 4), 1e300), np.empty(2), np.empty((2, 4))
    np.testing.assert_allclose(run(kernels.log_softmax, x), -np.log(4), rtol=1e-15)
    kernels.fused_error(x, softmax(x), np.eye(4)[:2], loss, e)
    np.testing.assert_allclose(loss, np.log(4), rtol=1e-15)
    np.testing.assert_allclose(e, 1 / 4 - np.eye(4)[:2], rtol=1e-15)


def test_a_class_without_target_may_have_no_probability():
    x, t, loss, e = np.array([[0, -np.inf, 0]]), np.array([[0.5, 0, 0.5]]), np.empty(1), np.empty((1, 3))
    np.testing.assert_allclose(run(kernels.cross_entropy, run(kernels.log_softmax, x), t, shape=1), np.log(2))
    kernels.fused_error(x, softmax(x), t, loss, e)
    np.testing.assert_allclose([*loss, *e[0]], [np.log(2), 0, 0, 0], atol=1e-16)
    assert np.array_equal(run(kernels.cross_entropy_gradient, softmax(x), t), [[-1, 0, -1]])
    assert run(kernels.cross_entropy_gradient, softmax(x), 1 - t)[0, 1] == -np.inf


def test_the_gradient_of_cross_entropy_is_what_central_differences_give():
    _, y, t = example()
    g = run(kernels.cross_entropy_gradient, y, t)
    for j in range(7):
        step = 1e-7 * y * (np.arange(7) == j)
        slope = (run(kernels.cross_entropy, np.log(y + step), t, shape=5)
                 - run(kernels.cross_entropy, np.log(y - step), t, shape=5)) / (2e-7 * y[:, j])
        np.testing.assert_allclose(g[:, j], slope, rtol=1e-6, atol=1e-6)


@every_dtype
def test_products_with_a_jacobian(dtype):
    """Any J, transposed; and for softmax's own J the same without it."""
    _, y, g = example(dtype)
    J = np.random.default_rng(1).normal(size=(5, 7, 7)).astype(dtype)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(run(kernels.jacobian_error, J, g, shape=(5, 7)), np.einsum("nij,ni->nj", np.float64(J), g),
                               rtol=0, atol=30 * eps)
    J = np.array([np.diag(row) - np.outer(row, row) for row in y.astype(np.float64)])
    np.testing.assert_allclose(run(kernels.factored_error, y, g), np.einsum("nij,ni->nj", J, g), rtol=0, atol=8 * eps)


@every_dtype
def test_the_three_gradient_routes_give_tau_y_minus_t_and_isbe_gives_y_minus_t(dtype):
    """Each by its own arithmetic, for targets that do not sum to 1. The loss comes with the fused one."""
    x, y, t = example(dtype)
    error, losses = exact(x, t)
    g, J = run(kernels.cross_entropy_gradient, y, t), run(kernels.softmax_jacobian, y, shape=(5, 7, 7))
    loss, fused = np.full(5, 7.0), np.full_like(x, 7)
    kernels.fused_error(x, y, t, loss, fused)
    for e in (run(kernels.jacobian_error, J, g, shape=(5, 7)), run(kernels.factored_error, y, g), fused):
        np.testing.assert_allclose(e, error, rtol=0, atol=30 * np.finfo(dtype).eps)
    np.testing.assert_allclose(loss, losses, rtol=30 * np.finfo(dtype).eps)
    assert np.array_equal(run(kernels.isbe_error, y, t), y - t)
    assert np.abs(fused - (y - t)).max() > 0.1


def test_the_error_is_the_gradient_of_the_loss_by_the_scores():
    x, y, t = example()

    def loss(x):
        return run(kernels.cross_entropy, run(kernels.log_softmax, x), t, shape=5)

    e = run(kernels.factored_error, y, run(kernels.cross_entropy_gradient, y, t))
    for j in range(7):
        step = 1e-6 * (np.arange(7) == j)
        np.testing.assert_allclose(e[:, j], (loss(x + step) - loss(x - step)) / 2e-6, atol=1e-8)
