"""The plain convolution against NumPy's einsum over windows, in float64, and against central differences."""

import naive
import numpy as np
import pytest

from isbe_np.kernels.conv2d import conv2d, conv2d_backward_input, conv2d_backward_parameters

# N, C, H, W, O, kernel, stride, padding
CASES = [
    (3, 1, 7, 7, 4, (5, 5), (1, 1), (2, 2)), (2, 3, 6, 5, 5, (3, 3), (1, 1), (1, 1)), (1, 2, 5, 5, 1, (1, 1), (1, 1), (0, 0)),
    (4, 4, 8, 8, 8, (3, 3), (1, 1), (0, 0)), (5, 6, 9, 8, 7, (3, 2), (2, 2), (1, 1)), (2, 1, 9, 9, 2, (4, 4), (3, 2), (0, 1)),
    (3, 5, 4, 6, 3, (2, 5), (1, 1), (0, 3)), (1, 1, 3, 3, 1, (3, 3), (1, 1), (2, 2)), (2, 2, 8, 7, 6, (3, 3), (2, 1), (2, 0)),
    (9, 4, 5, 5, 4, (5, 5), (4, 4), (4, 4)), (2, 1, 1, 1, 2, (1, 1), (2, 2), (1, 1)),
]


def batch_last(images, dtype):
    """A batch (N, C, H, W) as the kernels take it, (C, H, W, N)."""
    return np.ascontiguousarray(np.moveaxis(images, 0, -1).astype(dtype))


def batch_first(images):
    return np.moveaxis(images, -1, 0)


def forward(x, w, b, stride, padding):
    """y (N, O, OH, OW) by the kernel, for x (N, C, H, W)."""
    sizes = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(x.shape[2:], padding, w.shape[2:], stride, strict=True)]
    y = np.full((len(w), *sizes, len(x)), 7, w.dtype)
    conv2d(batch_last(x, w.dtype), w, b, y, stride, padding)
    return batch_first(y)


def backward(dy, x, w, stride, padding):
    """dx (N, C, H, W), dw and db by the kernels; what they write is filled with numbers that they must overwrite."""
    dx, dw, db = np.full((*x.shape[1:], len(x)), 7, w.dtype), np.full_like(w, 7), np.full(len(w), 7, w.dtype)
    conv2d_backward_input(batch_last(dy, w.dtype), w, dx, stride, padding)
    conv2d_backward_parameters(batch_last(dy, w.dtype), batch_last(x, w.dtype), dw, db, stride, padding)
    return batch_first(dx), dw, db


def numbers(case, random, dtype):
    """x (N, C, H, W), w and b."""
    N, C, H, W, O, kernel = case[:6]
    return (random.normal(size=shape).astype(dtype) for shape in ((N, C, H, W), (O, C, *kernel), (O,)))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward_and_backward(case, random, dtype, assert_close):
    moves, (x, w, b) = case[6:], numbers(case, random, dtype)
    y = forward(x, w, b, *moves)
    assert_close(y, naive.conv2d(x.astype(np.float64), w.astype(np.float64), b, *moves))
    dy = random.normal(size=y.shape).astype(dtype)
    wanted = naive.conv2d_backward(dy.astype(np.float64), x.astype(np.float64), w.astype(np.float64), *moves)
    for got, want in zip(backward(dy, x, w, *moves), wanted, strict=True):
        assert_close(got, want, factor=4)


@pytest.mark.parametrize("case", [(2, 2, 4, 3, 2, (2, 3), (1, 1), (1, 1)), (1, 2, 5, 4, 2, (3, 2), (2, 1), (0, 1))], ids=str)
def test_gradients_are_those_of_the_forward_pass(case, random):
    """By differences of Σ g y, whatever the reference says."""
    moves, (x, w, b) = case[6:], numbers(case, random, np.float64)
    g = random.normal(size=forward(x, w, b, *moves).shape)
    for array, gradient in zip((x, w, b), backward(g, x, w, *moves), strict=True):
        differences = naive.central_difference(lambda: (g * forward(x, w, b, *moves)).sum(), array)
        np.testing.assert_allclose(gradient, differences, rtol=0, atol=1e-8)


def test_an_infinite_pixel_reaches_only_its_windows(dtype):
    """Pixels outside the image are left out, not multiplied by 0, and so are those of other windows."""
    x = np.zeros((1, 1, 6, 6), dtype)
    x[0, 0, 0, 5] = np.inf
    y = forward(x, np.ones((3, 1, 3, 3), dtype), np.zeros(3, dtype), (1, 1), (1, 1))
    assert np.isinf(y[0, :, :2, 4:]).all() and np.isfinite(y).sum() == y.size - 3 * 4
