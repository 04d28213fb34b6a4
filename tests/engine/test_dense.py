"""Dense kernels against NumPy's matrix product in float64, at sizes that leave every kind of remainder."""

import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.engine import dense as kernels
from isbe_np.engine.layers.base import no_limits
from isbe_np.engine.layers.dense import BLOCK, strips
from isbe_np.engine.vectors import width

# N, K, O: multiples of four, remainders on each side, single rows and columns, more rows than one block, more inputs than one
# pass takes (1024), and just as many.
SIZES = [(8, 16, 12), (7, 13, 6), (1, 1, 1), (1, 9, 5), (5, 1, 3), (4, 3, 1), (3, 5, 4), (131, 6, 9), (260, 5, 7),
         (50, 70, 51), (7, 200, 8), (64, 33, 200), (300, 40, 150),
         (3, 1100, 6), (2, 1100, 6), (4, 1024, 7)]


@pytest.fixture(params=SIZES, ids=str)
def case(request, random, dtype):
    N, K, O = request.param
    x, w, b, dy = (random.normal(size=shape).astype(dtype) for shape in ((N, K), (O, K), (O,), (N, O)))
    return x, w, b, dy


def filled(shape, dtype):
    """Room for a result, filled with what a kernel must overwrite."""
    return np.full(shape, 7, dtype)


def product_of(x, w, b, limits):
    """x Wᵀ + b by blocks."""
    y = filled((len(x), len(w)), x.dtype)
    places, room = strips(x.shape[1], 1, x.dtype)
    kernels.dense_by_blocks(x, w, b, places, limits, room, y)
    return y


def test_forward(case, assert_close):
    x, w, b, dy = case
    y = filled(dy.shape, x.dtype)
    kernels.dense(x, w, b, no_limits(x.dtype), y)
    assert_close(y, x.astype(np.float64) @ w.T.astype(np.float64) + b)


def test_forward_by_blocks(case, assert_close):
    """The same product for large batches, of W turned around."""
    x, w, b, _ = case
    assert_close(product_of(x, w, b, no_limits(x.dtype)), x.astype(np.float64) @ w.T.astype(np.float64) + b)


@pytest.mark.parametrize("N", [kernels.LARGE - 1, kernels.LARGE, kernels.LARGE_ERROR - 1, kernels.LARGE_ERROR, BLOCK + 9])
def test_layer_by_dots_and_by_blocks(N, random, dtype, assert_close):
    net = isbe.Sequential((30,), isbe.Dense(7), dtype=dtype)
    x, (w, b) = random.normal(size=(N, 30)).astype(dtype), (p.value.astype(np.float64) for p in net.parameters())
    assert_close(net.forward(x), x @ w.T + b)
    dy = random.normal(size=(N, 7)).astype(dtype)
    assert_close(net.backward(dy, input_gradient=True), dy @ w, factor=4)
    for parameter, wanted in zip(net.parameters(), (dy.T.astype(np.float64) @ x, dy.astype(np.float64).sum(0)), strict=True):
        assert_close(parameter.grad, wanted, factor=4)


def test_forward_within_limits(case):
    x, w, b, dy = case
    y, limited = filled(dy.shape, x.dtype), filled(dy.shape, x.dtype)
    kernels.dense(x, w, b, no_limits(x.dtype), y)
    kernels.dense(x, w, b, (x.dtype.type(-0.5), x.dtype.type(1)), limited)
    assert (limited == np.clip(y, -0.5, 1)).all()
    limited = product_of(x, w, b, (x.dtype.type(-0.5), x.dtype.type(1)))
    assert (limited == np.clip(product_of(x, w, b, no_limits(x.dtype)), -0.5, 1)).all()


def test_backward_input(case, assert_close):
    x, w, _, dy = case
    dx = filled(x.shape, x.dtype)
    places, room = strips(*w.shape, w.dtype)
    kernels.dense_backward_input(dy, w, places, vector_of_zeros(w.dtype), no_limits(w.dtype), room, dx)
    assert_close(dx, dy.astype(np.float64) @ w.astype(np.float64))


@pytest.mark.parametrize("turned", [False, True])
def test_backward_weight(case, turned, assert_close):
    """From the error as it is, (N, O), and turned around: the terms of a sum are then neighbours."""
    x, w, _, dy = case
    dw, (places, room) = filled(w.shape, x.dtype), strips(*x.shape, x.dtype)
    given, steps = (np.ascontiguousarray(dy.T), (len(dy), 1)) if turned else (dy, (1, dy.shape[1]))
    kernels.dense_backward_weight(given.reshape(-1), steps, x, places, vector_of_zeros(x.dtype), no_limits(x.dtype), room, dw)
    assert_close(dw, dy.T.astype(np.float64) @ x.astype(np.float64), factor=4)


def test_backward_bias(case, assert_close):
    dy, db = case[3], filled(case[2].shape, case[2].dtype)
    kernels.dense_backward_bias(dy, db)
    assert_close(db, dy.astype(np.float64).sum(0), factor=4)


def vector_of_zeros(dtype):
    """Where a product without a bias starts."""
    return np.zeros(width(dtype.itemsize), dtype)


def test_nan_stays_in_its_row(dtype):
    """Remainders are computed apart, not padded: a NaN must not leak into other rows through filler."""
    x, w = np.ones((6, 5), dtype), np.ones((7, 5), dtype)
    x[5, 2] = np.nan
    y, limits = np.empty((6, 7), dtype), no_limits(x.dtype)
    kernels.dense(x, w, np.zeros(7, dtype), limits, y)
    assert np.isnan(y[5]).all() and (y[:5] == 5).all()
    y = product_of(x, w, np.zeros(7, dtype), limits)
    assert np.isnan(y[5]).all() and (y[:5] == 5).all()
