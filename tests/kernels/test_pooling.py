"""Pooling through the layers against NumPy's maximum and mean of windows, and what is particular to it: ties, NaN, rounding."""

import naive
import numba
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.layers.pooling import GlobalAveragePool

CASES = [  # N, C, H, W, size, stride, padding
    (3, 2, 6, 6, (2, 2), (2, 2), (0, 0)), (2, 1, 7, 5, (3, 2), (2, 1), (0, 0)), (1, 3, 5, 5, (3, 3), (1, 1), (1, 1)),
    (5, 1, 8, 9, (2, 4), (3, 3), (1, 2)), (2, 2, 4, 4, (4, 4), (4, 4), (0, 0)),
]
COMPILED = not numba.config.DISABLE_JIT
KINDS = {"max": isbe.MaxPool2D, "mean": isbe.AveragePool2D}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward_and_backward(case, kind, random, dtype, assert_close):
    N, C, H, W, size, stride, padding = case
    net = isbe.Sequential((C, H, W), KINDS[kind](size, stride, padding), dtype=dtype)
    x = random.normal(size=(N, C, H, W)).astype(dtype)
    y = net.forward(x)
    assert_close(y, naive.pool2d(x.astype(np.float64), size, stride, padding, kind))
    dy = random.normal(size=y.shape).astype(dtype)
    wanted = naive.pool2d_backward(dy.astype(np.float64), x.astype(np.float64), size, stride, padding, kind)
    assert_close(net.backward(dy, input_gradient=True), wanted, factor=2)


def test_max_gives_a_tie_to_the_first(dtype):
    net = isbe.Sequential((1, 2, 2), isbe.MaxPool2D(2), dtype=dtype)
    net.forward(np.ones((1, 1, 2, 2), dtype))
    dx = net.backward(np.ones((1, 1, 1, 1), dtype), input_gradient=True)
    assert dx.tolist() == [[[[1, 0], [0, 0]]]]


@pytest.mark.parametrize("place", range(4))
def test_max_keeps_nan_and_its_place_is_that_of_the_first(dtype, place):
    net = isbe.Sequential((1, 2, 2), isbe.MaxPool2D(2), dtype=dtype)
    step = net._plan(1).steps[0][1]
    step.x.reshape(-1)[...] = [1, 2, 3, 4]
    step.x.reshape(-1)[place:] = np.nan
    net.nodes[1].layer.forward(step)
    assert np.isnan(step.y).all() and step.work.argmax.item() == place


@pytest.mark.parametrize("kind", KINDS.values())
def test_gradients_are_those_of_the_forward_pass(kind, random):
    """By differences, also where windows overlap and reach over the edge."""
    isbe.check_gradients(kind((3, 2), (2, 1), (1, 0)), random.normal(size=(2, 2, 5, 4)))


def test_windows_of_more_than_256_pixels(random):
    net = isbe.Sequential((1, 17, 17), isbe.MaxPool2D(17), dtype=np.float64)
    x = random.normal(size=(2, 1, 17, 17))
    x[:, :, 16, 16] = 9
    assert net.forward(x).tolist() == [[[[9]]], [[[9]]]]
    dx = net.backward(np.ones((2, 1, 1, 1)), input_gradient=True)
    assert dx.sum() == 2 and (dx[:, :, 16, 16] == 1).all()


def test_padding_beyond_half_the_window_is_refused():
    with pytest.raises(ValueError, match=r"MaxPool2D\(padding\) expects at most half the window \(2, 2\); got \(2, 2\)"):
        isbe.MaxPool2D(2, padding=2)


@pytest.mark.parametrize("kind", KINDS.values())
def test_windows_lie_side_by_side_by_default(kind):
    net = isbe.Sequential((1, 4, 7), kind((2, 3)), dtype=np.float64)
    assert net.forward(np.zeros((1, 1, 4, 7))).shape == (1, 1, 2, 2)


# Global average pooling: N, C, H, W. Whole vectors of the batch, parts of one, and both.
GLOBAL = [(1, 1, 1, 1), (3, 2, 4, 7), (1, 5, 3, 2), (16, 3, 5, 1), (37, 2, 2, 6), (130, 1, 8, 8)]


@pytest.mark.parametrize("case", GLOBAL, ids=str)
def test_global_average(case, random, dtype, assert_close):
    N, C, H, W = case
    net = isbe.Sequential((C, H, W), GlobalAveragePool(), dtype=dtype)
    x, dy = random.normal(size=case).astype(dtype), random.normal(size=(N, C)).astype(dtype)
    y = net.forward(x)
    assert y.shape == (N, C)
    assert_close(y, x.astype(np.float64).mean((2, 3)))
    wanted = np.broadcast_to(dy.astype(np.float64)[:, :, None, None] / (H * W), case)
    assert_close(net.backward(dy, input_gradient=True), wanted)


def test_global_average_of_a_constant_and_of_large_numbers(dtype):
    net = isbe.Sequential((2, 6, 6), GlobalAveragePool(), dtype=dtype)
    x = np.full((3, 2, 6, 6), 0.1, dtype)
    np.testing.assert_allclose(net.forward(x), 0.1, rtol=4 * np.finfo(dtype).eps)
    x[...] = 1e4
    np.testing.assert_allclose(net.forward(x), 1e4, rtol=4 * np.finfo(dtype).eps)


def test_global_average_of_many_pixels_is_accurate():
    """Sums of rows, then their sum: with the pixels added up one by one the mean of 65,536 equal ones would be off by 6e-4."""
    net = isbe.Sequential((1, 256, 256), GlobalAveragePool())
    x = np.full((2, 1, 256, 256), 0.1, np.float32)
    assert np.abs(net.forward(x) / np.float32(0.1) - 1).max() < 1e-5
    assert np.abs(np.cumsum(x[0], dtype=np.float32)[-1] / np.float32(6553.6) - 1) > 1e-4


def test_global_average_has_right_gradients(random):
    """Alone; between layers with parameters; of a value read twice, also in a residual."""
    isbe.check_gradients(GlobalAveragePool(), random.normal(size=(3, 2, 4, 5)))
    image = isbe.Input((2, 4, 5))
    x = isbe.Conv2D(3, 3, padding=1)(image)
    a = GlobalAveragePool()(x)
    b = GlobalAveragePool()(isbe.Add()(x, isbe.Tanh()(x)))
    y = isbe.Dense(2)(isbe.Add()(a, b, isbe.Sigmoid()(a)))
    for fuse in (True, False):
        isbe.check_gradients(isbe.Graph(image, y, dtype=np.float64, fuse=fuse), random.normal(size=(4, 2, 4, 5)))


def test_global_average_keeps_nan(dtype):
    net = isbe.Sequential((2, 2, 2), GlobalAveragePool(), dtype=dtype)
    step = net._plan(1).steps[0][1]
    step.x.reshape(-1)[...] = np.arange(8)
    step.x.reshape(-1)[2] = np.nan
    net.nodes[1].layer.forward(step)
    assert np.isnan(step.y[0]).all() and step.y[1] == 5.5


@pytest.mark.skipif(not COMPILED or numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
def test_global_average_gives_the_same_bits_with_one_thread_and_two(random):
    x, dy = random.random((64, 16, 9, 9), np.float32), random.random((64, 16), np.float32)
    found = []
    for threads in (1, 2):
        isbe.set_threads(threads)
        try:
            net = isbe.Sequential((16, 9, 9), GlobalAveragePool())
            found.append((net.forward(x).tobytes(), net.backward(dy, input_gradient=True).tobytes()))
        finally:
            isbe.set_threads(numba.config.NUMBA_NUM_THREADS)
    assert found[0] == found[1]


def test_global_average_wants_images():
    with pytest.raises(ValueError, match=r"GlobalAveragePool\(\) expects images \(channels, height, width\); got shape \(5,\)"):
        isbe.Sequential((5,), GlobalAveragePool())
