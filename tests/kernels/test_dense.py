"""Dense kernels against NumPy's matrix product in float64, at sizes that leave every kind of remainder."""

import numpy as np
import pytest

from isbe_np.kernels import dense as kernels

# N, K, O: multiples of four, remainders on each side, single rows and columns, more rows than one block.
SIZES = [(8, 16, 12), (7, 13, 6), (1, 1, 1), (1, 9, 5), (5, 1, 3), (4, 3, 1), (3, 5, 4), (131, 6, 9), (260, 5, 7)]


@pytest.fixture(params=SIZES, ids=str)
def case(request, random, dtype):
    N, K, O = request.param
    x, w, b, dy = (random.normal(size=shape).astype(dtype) for shape in ((N, K), (O, K), (O,), (N, O)))
    return x, w, b, dy


def filled(shape, dtype):
    """Room for a result, filled with what a kernel must overwrite."""
    return np.full(shape, 7, dtype)


def test_forward(case, assert_close):
    x, w, b, dy = case
    y = filled(dy.shape, x.dtype)
    kernels.dense(x, w, b, y)
    assert_close(y, x.astype(np.float64) @ w.T.astype(np.float64) + b)


def test_backward_input(case, assert_close):
    x, w, _, dy = case
    dx = filled(x.shape, x.dtype)
    kernels.dense_backward_input(dy, w, dx)
    assert_close(dx, dy.astype(np.float64) @ w.astype(np.float64))


def test_backward_weight(case, assert_close):
    x, w, b, dy = case
    dw, db = filled(w.shape, x.dtype), filled(b.shape, x.dtype)
    kernels.dense_backward_weight(dy, x, dw, db)
    assert_close(dw, dy.T.astype(np.float64) @ x.astype(np.float64), factor=4)
    assert_close(db, dy.astype(np.float64).sum(0), factor=4)


def test_nan_stays_in_its_row(dtype):
    """Remainders are computed apart, not padded: a NaN must not leak into other rows through filler."""
    x, w = np.ones((6, 5), dtype), np.ones((7, 5), dtype)
    x[5, 2] = np.nan
    y = np.empty((6, 7), dtype)
    kernels.dense(x, w, np.zeros(7, dtype), y)
    assert np.isnan(y[5]).all() and (y[:5] == 5).all()
