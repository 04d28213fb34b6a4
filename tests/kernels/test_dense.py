"""The plain dense layer against NumPy's matrix product in float64, and against central differences."""

import naive
import numpy as np
import pytest

from isbe_np.kernels.dense import dense, dense_backward_input, dense_backward_parameters

SIZES = [(8, 16, 12), (7, 13, 6), (1, 1, 1), (1, 9, 5), (5, 1, 3), (4, 3, 1), (50, 70, 51)]  # N, K, O


def forward(x, w, b):
    y = np.full((len(x), len(w)), 7, x.dtype)
    dense(x, w, b, y)
    return y


def backward(dy, x, w):
    """dx, dw and db; what the kernels write is filled with numbers that they must overwrite."""
    dx, dw, db = np.full_like(x, 7), np.full_like(w, 7), np.full(len(w), 7, w.dtype)
    dense_backward_input(dy, w, dx)
    dense_backward_parameters(dy, x, dw, db)
    return dx, dw, db


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_forward_and_backward(sizes, random, dtype, assert_close):
    N, K, O = sizes
    x, w, b, dy = (random.normal(size=shape).astype(dtype) for shape in ((N, K), (O, K), (O,), (N, O)))
    assert_close(forward(x, w, b), x.astype(np.float64) @ w.astype(np.float64).T + b)
    X, W, D = (array.astype(np.float64) for array in (x, w, dy))
    wanted = D @ W, D.T @ X, D.sum(0)
    for got, want in zip(backward(dy, x, w), wanted, strict=True):
        assert_close(got, want, factor=4)


def test_gradients_are_those_of_the_forward_pass(random):
    """By differences of Σ g y."""
    x, w, b, g = (random.normal(size=shape) for shape in ((3, 4), (2, 4), (2,), (3, 2)))
    for array, gradient in zip((x, w, b), backward(g, x, w), strict=True):
        differences = naive.central_difference(lambda: (g * forward(x, w, b)).sum(), array)
        np.testing.assert_allclose(gradient, differences, rtol=0, atol=1e-8)


def test_nan_stays_in_its_row(dtype):
    x = np.ones((6, 5), dtype)
    x[5, 2] = np.nan
    y = forward(x, np.ones((7, 5), dtype), np.zeros(7, dtype))
    assert np.isnan(y[5]).all() and (y[:5] == 5).all()
