"""Pooling through the layers against the naive reference, and what is particular to it: ties, NaN, winners' type."""

import naive
import numpy as np
import pytest

import isbe_np as isbe

CASES = [  # N, C, H, W, size, stride, padding
    (3, 2, 6, 6, (2, 2), (2, 2), (0, 0)), (2, 1, 7, 5, (3, 2), (2, 1), (0, 0)), (1, 3, 5, 5, (3, 3), (1, 1), (1, 1)),
    (5, 1, 8, 9, (2, 4), (3, 3), (1, 2)), (2, 2, 4, 4, (4, 4), (4, 4), (0, 0)),
]
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
def test_max_keeps_nan(dtype, place):
    net = isbe.Sequential((1, 2, 2), isbe.MaxPool2D(2), dtype=dtype)
    step = net._plan(1).steps[0][1]
    step.x.reshape(-1)[...] = [1, 2, 3, 4]
    step.x.reshape(-1)[place] = np.nan
    net.nodes[1].layer.forward(step)
    assert np.isnan(step.y).all() and step.work.winner.item() == place


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
