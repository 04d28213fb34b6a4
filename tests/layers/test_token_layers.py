"""Dense on tokens, images as tokens, and the mean of tokens."""

import numba
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.engine.dense import LARGE, LARGE_ERROR
from isbe_np.engine.layers.dense import BLOCK
from isbe_np.layers.attention import MultiHeadSelfAttention
from isbe_np.layers.embedding import PositionEmbedding
from isbe_np.layers.tokens import MeanTokens, Patches


@pytest.mark.parametrize("N, T", [(1, 1), (2, 3), (LARGE, 1), (3, LARGE // 3), (2, LARGE_ERROR // 2), (BLOCK // 4, 4),
                                  (BLOCK // 4, 9), (2 * BLOCK + 1, 1)])
def test_dense_of_tokens_is_dense_of_each(N, T, random, dtype, assert_close):
    """At all sizes where another kernel takes over, and beyond a block of rows."""
    net = isbe.Sequential((T, 5), isbe.Dense(7), dtype=dtype)
    w, b = (np.float64(parameter.value) for parameter in net.parameters())
    x, dy = random.normal(size=(N, T, 5)).astype(dtype), random.normal(size=(N, T, 7)).astype(dtype)
    assert_close(net.forward(x), x @ w.T + b)
    assert_close(net.backward(dy, input_gradient=True), dy @ w)
    for parameter, wanted in zip(net.parameters(), (np.einsum("nto,ntk->ok", np.float64(dy), x), np.float64(dy).sum((0, 1))),
                                 strict=True):
        assert_close(parameter.grad, wanted, factor=4)
    vectors = isbe.Sequential((5,), isbe.Dense(7), dtype=dtype)
    assert vectors.forward(x.reshape(-1, 5)).tobytes() == net.forward(x).tobytes()
    vectors.backward(dy.reshape(-1, 7))
    net.backward(dy)
    assert vectors.grads.tobytes() == net.grads.tobytes()


def test_dense_and_relu_of_tokens_are_fused_to_the_same_bits(random, dtype):
    x, dy = random.normal(size=(3, 20, 5)).astype(dtype), random.normal(size=(3, 20, 4)).astype(dtype)
    results = []
    for fuse in (True, False):
        net = isbe.Sequential((20, 5), isbe.Dense(7), isbe.ReLU(), isbe.Dense(4), dtype=dtype, fuse=fuse)
        results.append([net.forward(x).tobytes(), net.backward(dy, input_gradient=True).tobytes(), net.grads.tobytes(),
                        net.value("dense_1").tobytes(), net.gradient("dense_1").tobytes()])
    assert results[0] == results[1]


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes without the compiler")
def test_the_gradient_of_many_tokens_is_no_less_exact(random):
    """16,384 rows of float32, added up in one sum, would be off by 6e-6."""
    x, dy = random.normal(size=(2, 128, 128, 64)).astype(np.float32)
    net = isbe.Sequential((128, 64), isbe.Dense(64))
    net.forward(x)
    net.backward(dy)
    wide, wide_dy = np.float64(x).reshape(-1, 64), np.float64(dy).reshape(-1, 64)
    for parameter, wanted in zip(net.parameters(), (wide_dy.T @ wide, wide_dy.sum(0)), strict=True):
        assert np.abs(parameter.grad - wanted).max() < 2e-6 * np.abs(wanted).max()


def test_patches_go_row_by_row_and_hold_channel_after_channel(random, dtype):
    net = isbe.Sequential((2, 6, 9), Patches(3), dtype=dtype)
    x = random.normal(size=(4, 2, 6, 9)).astype(dtype)
    y = net.forward(x)
    assert y.shape == (4, 6, 18)
    for n, i, j in np.ndindex(4, 2, 3):
        assert (y[n, 3 * i + j] == x[n, :, 3 * i:3 * i + 3, 3 * j:3 * j + 3].ravel()).all()
    assert (net.backward(y, input_gradient=True) == x).all()


def test_patches_of_one_pixel_and_of_the_whole_image(random):
    x = random.normal(size=(2, 3, 4, 4))
    pixels, image = (isbe.Sequential((3, 4, 4), Patches(size), dtype=np.float64) for size in (1, 4))
    assert (pixels.forward(x) == x.reshape(2, 3, 16).transpose(0, 2, 1)).all()
    assert (image.forward(x) == x.reshape(2, 1, 48)).all()


def test_patches_of_a_convolution(random):
    """Convolutions store the batch last, patches first."""
    net = isbe.Sequential((1, 4, 6), isbe.Conv2D(2, 3, padding=1), Patches(2), isbe.Dense(2), dtype=np.float64)
    assert isbe.check_gradients(net, random.normal(size=(2, 1, 4, 6))).worst < 1e-6


def test_mean(random, dtype, assert_close):
    net = isbe.Sequential((6, 5), MeanTokens(), dtype=dtype)
    x, dy = random.normal(size=(4, 6, 5)).astype(dtype), random.normal(size=(4, 5)).astype(dtype)
    assert_close(net.forward(x), np.float64(x).mean(1))
    assert_close(net.backward(dy, input_gradient=True), np.repeat(np.float64(dy)[:, None] / 6, 6, axis=1))


def test_the_mean_is_added_up_in_float64():
    """2^25 + 1 + 1 + ...: in float32 every 1 would be lost."""
    x = np.ones((1, 4096, 1), np.float32)
    x[0, 0] = 2 ** 25
    assert isbe.Sequential((4096, 1), MeanTokens()).forward(x) == 2 ** 13 + 1


def test_mean_of_one_token_and_of_equal_ones(dtype):
    x = np.full((2, 1, 3), 1e4, dtype)
    assert (isbe.Sequential((1, 3), MeanTokens(), dtype=dtype).forward(x) == 1e4).all()
    assert (isbe.Sequential((7, 3), MeanTokens(), dtype=dtype).forward(np.repeat(x, 7, axis=1)) == 1e4).all()


@pytest.mark.parametrize("layer, shape", [
    (Patches(2), (2, 2, 4, 6)), (Patches(1), (1, 1, 1, 1)), (MeanTokens(), (2, 3, 4)), (MeanTokens(), (1, 1, 1)),
    (isbe.Dense(3), (2, 3, 4)), (isbe.Dense(1), (1, 1, 1)),
], ids=str)
def test_gradients(layer, shape, random):
    assert isbe.check_gradients(layer, random.normal(size=shape)).worst < 1e-6


def test_gradients_of_a_patch_transformer(random):
    image = isbe.Input((1, 4, 6))
    x = PositionEmbedding()(isbe.Dense(4)(Patches(2)(image)))
    x = isbe.Add()(x, MultiHeadSelfAttention(2)(x))
    x = isbe.Add()(x, isbe.Dense(4)(isbe.GELU()(isbe.Dense(6)(x))))
    net = isbe.Graph(image, isbe.Dense(3)(isbe.Add()(MeanTokens()(x), isbe.Tanh()(MeanTokens()(x)))), dtype=np.float64)
    assert isbe.check_gradients(net, random.normal(size=(2, 1, 4, 6))).worst < 1e-6


@pytest.mark.parametrize("make, message", [
    (lambda: Patches(0), r"Patches\(size\) expects a whole number of at least 1; got 0"),
    (lambda: Patches(5)(isbe.Input((1, 28, 28))), r"Patches\(5\) expects images whose height and width are multiples of 5; "
                                                  r"got shape \(1, 28, 28\).*4 or 7 for 28 x 28"),
    (lambda: Patches(4)(isbe.Input((1, 8, 6))), r"multiples of 4; got shape \(1, 8, 6\)"),
    (lambda: Patches(2)(isbe.Input((4, 4))), r"Patches\(2\) expects images \(channels, height, width\); got shape \(4, 4\)"),
    (lambda: MeanTokens()(isbe.Input(4)), r"MeanTokens\(\) expects tokens \(T, features\); got shape \(4,\).*Make tokens"),
    (lambda: isbe.Dense(2)(isbe.Input((1, 4, 4))), r"Dense\(2\) expects vectors \(features,\); got shape \(1, 4, 4\).*Flatten"),
])
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()
