"""Dense kernels against NumPy's matrix product in float64, at sizes that leave every kind of remainder."""

import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.kernels import dense as kernels
from isbe_np.layers.base import no_limits

# N, K, O: multiples of four, remainders on each side, single rows and columns, more rows than one block.
SIZES = [(8, 16, 12), (7, 13, 6), (1, 1, 1), (1, 9, 5), (5, 1, 3), (4, 3, 1), (3, 5, 4), (131, 6, 9), (260, 5, 7),
         (50, 70, 51), (7, 200, 8),
         (3, 1100, 6)]


@pytest.fixture(params=SIZES, ids=str)
def case(request, random, dtype):
    N, K, O = request.param
    x, w, b, dy = (random.normal(size=shape).astype(dtype) for shape in ((N, K), (O, K), (O,), (N, O)))
    return x, w, b, dy


def filled(shape, dtype):
    """Room for a result, filled with what a kernel must overwrite."""
    return np.full(shape, 7, dtype)


def rows(a):
    """Where the rows of `a` begin in the flat array."""
    return np.arange(a.shape[0]) * a.shape[1]


def test_forward(case, assert_close):
    x, w, b, dy = case
    y = filled(dy.shape, x.dtype)
    kernels.dense(x, w, b, no_limits(x.dtype), y)
    assert_close(y, x.astype(np.float64) @ w.T.astype(np.float64) + b)


def test_forward_turned(case, assert_close):
    """The same for a batch that lies in columns."""
    x, w, b, dy = case
    turned, y = np.ascontiguousarray(x.T), filled(dy.T.shape, x.dtype)
    kernels.dense_turned(turned, w, b, rows(turned), no_limits(x.dtype), y)
    assert_close(y.T, x.astype(np.float64) @ w.T.astype(np.float64) + b)


@pytest.mark.parametrize("N", [kernels.LARGE - 1, kernels.LARGE])
def test_layer_by_dots_and_by_blocks(N, random, dtype, assert_close):
    net = isbe.Sequential((30,), isbe.Dense(7), dtype=dtype)
    x, (w, b) = random.normal(size=(N, 30)).astype(dtype), (p.value.astype(np.float64) for p in net.parameters())
    assert_close(net.forward(x), x @ w.T + b)


def test_forward_within_limits(case):
    x, w, b, dy = case
    y, limited = filled(dy.shape, x.dtype), filled(dy.shape, x.dtype)
    kernels.dense(x, w, b, no_limits(x.dtype), y)
    kernels.dense(x, w, b, (x.dtype.type(-0.5), x.dtype.type(1)), limited)
    assert (limited == np.clip(y, -0.5, 1)).all()
    turned, y, limited = np.ascontiguousarray(x.T), filled(dy.T.shape, x.dtype), filled(dy.T.shape, x.dtype)
    kernels.dense_turned(turned, w, b, rows(turned), no_limits(x.dtype), y)
    kernels.dense_turned(turned, w, b, rows(turned), (x.dtype.type(-0.5), x.dtype.type(1)), limited)
    assert (limited == np.clip(y, -0.5, 1)).all()


def test_backward_input(case, assert_close):
    x, w, _, dy = case
    dx = filled(x.shape, x.dtype)
    kernels.dense_backward_input(dy, w, rows(w), np.zeros(len(dy), dy.dtype), no_limits(x.dtype), dx)
    assert_close(dx, dy.astype(np.float64) @ w.astype(np.float64))


def test_backward_weight(case, assert_close):
    x, w, b, dy = case
    dw, db = filled(w.shape, x.dtype), filled(b.shape, x.dtype)
    kernels.dense_backward_weight(dy.reshape(-1), (1, dy.shape[1]), x, rows(x), np.zeros_like(db), no_limits(x.dtype), dw, db)
    assert_close(dw, dy.T.astype(np.float64) @ x.astype(np.float64), factor=4)
    assert_close(db, dy.astype(np.float64).sum(0), factor=4)


def test_nan_stays_in_its_row(dtype):
    """Remainders are computed apart, not padded: a NaN must not leak into other rows through filler."""
    x, w = np.ones((6, 5), dtype), np.ones((7, 5), dtype)
    x[5, 2] = np.nan
    y = np.empty((6, 7), dtype)
    kernels.dense(x, w, np.zeros(7, dtype), no_limits(x.dtype), y)
    assert np.isnan(y[5]).all() and (y[:5] == 5).all()
