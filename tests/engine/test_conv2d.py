"""Convolution through the layer (padding, layouts, kernels) against the naive reference in float64."""

import naive
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.engine import conv2d as kernels

# N, C, H, W, O, kernel, stride, padding
CASES = [
    (3, 1, 7, 7, 4, (5, 5), (1, 1), (2, 2)), (2, 3, 6, 5, 5, (3, 3), (1, 1), (1, 1)), (1, 2, 5, 5, 1, (1, 1), (1, 1), (0, 0)),
    (4, 4, 8, 8, 8, (3, 3), (1, 1), (0, 0)), (5, 6, 9, 8, 7, (3, 2), (2, 2), (1, 1)), (2, 1, 9, 9, 2, (4, 4), (3, 2), (0, 1)),
    (3, 5, 4, 6, 3, (2, 5), (1, 1), (0, 3)), (1, 1, 3, 3, 1, (3, 3), (1, 1), (2, 2)), (2, 2, 8, 7, 6, (3, 3), (2, 1), (2, 0)),
    (9, 4, 5, 5, 4, (5, 5), (4, 4), (4, 4)), (2, 1, 1, 1, 2, (1, 1), (2, 2), (1, 1)),
]


@pytest.fixture(params=CASES, ids=str)
def case(request, random, dtype):
    N, C, H, W, O, kernel, stride, padding = request.param
    layer = isbe.Conv2D(O, kernel, stride, padding)
    net = isbe.Sequential((C, H, W), layer, dtype=dtype)
    weight, bias = net.parameters()
    bias.value[...] = random.normal(size=O)
    x = random.normal(size=(N, C, H, W)).astype(dtype)
    return net, x, weight.value.astype(np.float64), bias.value.astype(np.float64), stride, padding


def test_forward(case, assert_close):
    net, x, w, b, stride, padding = case
    assert_close(net.forward(x), naive.conv2d(x, w, b, stride, padding))


def test_backward(case, random, assert_close):
    net, x, w, _, stride, padding = case
    dy = random.normal(size=net.forward(x).shape).astype(x.dtype)
    net.grads[...] = 7
    dx = net.backward(dy, input_gradient=True)
    wanted = naive.conv2d_backward(dy.astype(np.float64), x, w, stride, padding)
    for got, want in zip((dx, *(p.grad for p in net.parameters())), wanted, strict=True):
        assert_close(got, want, factor=4)


@pytest.mark.parametrize("padding, stride", [(0, 1), (1, 1), (1, (1, 2))])
@pytest.mark.parametrize("N, W", [(300, 7), (100, 90), (256, 9)], ids=["rest", "rows", "pieces"])
def test_longer_than_one_piece(N, W, padding, stride, random, assert_close):
    """A large batch lies in pieces, the last of them not always full, and in the weights' gradient a long row is cut too."""
    assert (kernels.pieces(N) > kernels.TOGETHER) != (2 * kernels.LINE < N * W)
    assert (N % kernels.PIECE == 0) == (N == 256)
    net = isbe.Sequential((1, 3, W), isbe.Conv2D(10, 3, stride, padding), dtype=np.float64)
    x = random.normal(size=(N, 1, 3, W))
    w, b = (p.value for p in net.parameters())
    b[...] = random.normal(size=10)
    y, moves = net.forward(x), (np.broadcast_to(stride, 2), (padding, padding))
    assert_close(y, naive.conv2d(x, w, b, *moves))
    dy = random.normal(size=y.shape)
    wanted = naive.conv2d_backward(dy, x, w, *moves)
    for dx in (net.backward(dy), net.backward(dy, input_gradient=True)):
        for got, want in zip((dx, *(p.grad for p in net.parameters())), wanted, strict=True):
            if got is not None:
                assert_close(got, want, factor=10)


def test_infinite_pixel_reaches_only_its_windows(dtype):
    """Taps are never padded with zero weights: 0 * inf would spread NaN over the image."""
    net = isbe.Sequential((1, 6, 6), isbe.Conv2D(3, 3), dtype=dtype)
    step = net._plan(1).steps[0][1]
    net.forward(np.zeros((1, 1, 6, 6), dtype))
    step.x[0, 0, 0] = np.inf
    net.nodes[1].layer.forward(step)
    reached = ~np.isfinite(step.y[..., 0])
    assert reached[:, 0, 0].all() and reached.sum() == len(reached)
