"""The engine's convolution through its layer (borders, layouts, kernels) against the plain kernels."""

import naive
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.engine import conv2d as kernels
from isbe_np.engine.layers.conv2d import FastConv2D
from isbe_np.kernels import conv2d as plain

pytestmark = pytest.mark.usefixtures("engine")

# N, C, H, W, O, kernel, stride, padding
CASES = [
    (3, 1, 7, 7, 4, (5, 5), (1, 1), (2, 2)), (2, 3, 6, 5, 5, (3, 3), (1, 1), (1, 1)), (1, 2, 5, 5, 1, (1, 1), (1, 1), (0, 0)),
    (4, 4, 8, 8, 8, (3, 3), (1, 1), (0, 0)), (5, 6, 9, 8, 7, (3, 2), (2, 2), (1, 1)), (2, 1, 9, 9, 2, (4, 4), (3, 2), (0, 1)),
    (3, 5, 4, 6, 3, (2, 5), (1, 1), (0, 3)), (1, 1, 3, 3, 1, (3, 3), (1, 1), (2, 2)), (2, 2, 8, 7, 6, (3, 3), (2, 1), (2, 0)),
    (9, 4, 5, 5, 4, (5, 5), (4, 4), (4, 4)), (2, 1, 1, 1, 2, (1, 1), (2, 2), (1, 1)),
]


def network(case, dtype):
    """A convolution, with parameters that are not those it starts with at the second call either."""
    C, H, W, O, kernel, stride, padding = case[1:]
    return isbe.Sequential((C, H, W), isbe.Conv2D(O, kernel, stride, padding), dtype=dtype)


def batch(net, N, random):
    """Images, the gradient by the output, and new parameters in `net`."""
    net.values[...] = random.normal(size=net.values.size)
    return (random.normal(size=(N, *node.shape)).astype(net.dtype) for node in net.nodes)


def by_plain_kernels(net, x, dy):
    """y, dx, dw and db in float64, images batch first."""
    layer, (w, b) = net.nodes[1].layer, (parameter.value.astype(np.float64) for parameter in net.parameters())
    x, dy = (np.ascontiguousarray(np.moveaxis(images.astype(np.float64), 0, -1)) for images in (x, dy))
    y, dx, dw, db = (np.empty_like(array) for array in (dy, x, w, b))
    plain.conv2d(x, w, b, y, layer.stride, layer.padding)
    plain.conv2d_backward_input(dy, w, dx, layer.stride, layer.padding)
    plain.conv2d_backward_parameters(dy, x, dw, db, layer.stride, layer.padding)
    return np.moveaxis(y, -1, 0), np.moveaxis(dx, -1, 0), dw, db


def by_the_engine(net, x, dy, input_gradient=True):
    y = net.forward(x)
    net.grads[...] = 7
    dx = net.backward(dy, input_gradient)
    assert FastConv2D in [type(layer) for layer, *_ in net._ran.steps]
    return y, dx, *(parameter.grad for parameter in net.parameters())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward_and_backward(case, random, dtype, assert_close):
    """In two batches, with other parameters: the second sees nothing of what the first has left in the buffers."""
    net = network(case, dtype)
    for _ in range(2):
        x, dy = batch(net, case[0], random)
        for got, want in zip(by_the_engine(net, x, dy), by_plain_kernels(net, x, dy), strict=True):
            assert_close(got, want, factor=4)


@pytest.mark.parametrize("padding, stride", [(0, 1), (1, 1), (1, (1, 2))])
@pytest.mark.parametrize("N, W", [(300, 7), (100, 90), (256, 9)], ids=["rest", "rows", "pieces"])
def test_longer_than_one_piece(N, W, padding, stride, random, assert_close):
    """A large batch lies in pieces, the last of them not always full, and in the weights' gradient a long row is cut too."""
    assert (kernels.pieces(N) > kernels.TOGETHER) != (2 * kernels.LINE < N * W)
    assert (N % kernels.PIECE == 0) == (N == 256)
    moves = np.broadcast_to(stride, 2), (padding, padding)
    net = network((N, 1, 3, W, 10, 3, stride, padding), np.float64)
    x, dy = batch(net, N, random)
    w, b = (parameter.value for parameter in net.parameters())
    wanted = naive.conv2d(x, w, b, *moves), *naive.conv2d_backward(dy, x, w, *moves)
    for input_gradient in (False, True):
        for got, want in zip(by_the_engine(net, x, dy, input_gradient), wanted, strict=True):
            if got is not None:
                assert_close(got, want, factor=10)


def test_infinite_pixel_reaches_only_its_windows(dtype):
    """Taps are never padded with zero weights: 0 * inf would spread NaN over the image."""
    net = isbe.Sequential((1, 6, 6), isbe.Conv2D(3, 3), dtype=dtype)
    layer, step = net._plan(1).steps[0][:2]
    net.forward(np.zeros((1, 1, 6, 6), dtype))
    step.x[0, 0, 0] = np.inf
    layer.forward(step)
    reached = ~np.isfinite(step.y[..., 0])
    assert reached[:, 0, 0].all() and reached.sum() == len(reached)
