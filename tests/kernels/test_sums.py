"""Sums of float32 numbers are added up in float64: one number of 1, and many that each vanish beside it in float32."""

import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.engine import softmax as kernels
from isbe_np.kernels import entmax15, finite, sparsemax
from isbe_np.kernels import softmax as plain

N = 2**15
SMALL = np.float32(2.0**-25)  # 1 + SMALL is 1 in float32; N of them are 2^-10
PARTS = np.full((1, N + 1), SMALL, np.float32)
PARTS[0, 0] = 1
TOTAL = 1 + N * 2.0**-25
ONES = np.ones_like(PARTS)
SCORES = np.full((1, N + 1), np.log(SMALL), np.float32)
SCORES[0, 0] = 0
NORM = 1 + N * float(np.exp(np.float64(SCORES[0, 1])))  # Σ exp
FIRST = np.zeros(1, np.int64)
# Of the sum's small part, which is a thousandth, float32 would lose a sixtieth or more: 2e-5 of the whole.
close = {"rtol": 1e-6, "atol": 0}


def run(kernel, *given, dtype=np.float32, shape=PARTS.shape):
    out = np.full(shape, 7, dtype)
    kernel(*given, out)
    return out


@pytest.mark.parametrize("kernel", [plain.softmax, kernels.softmax_blocks, kernels.softmax_block])
def test_soft_scores_are_divided_by_a_float64_sum(kernel):
    y = run(kernel, SCORES)
    np.testing.assert_allclose(y[0, :2], [1 / NORM, np.exp(np.float64(SCORES[0, 1])) / NORM], **close)


@pytest.mark.parametrize("kernel", [kernels.softmax_isbe_blocks, kernels.softmax_isbe_block])
@pytest.mark.parametrize("target", [0.0, 0.25])
def test_the_one_pass_error_is_divided_by_a_float64_sum(kernel, target):
    e = run(kernel, SCORES, np.full_like(SCORES, target), 1.0)
    np.testing.assert_allclose(e[0, 0], 1 / NORM - target, rtol=1e-6)


@pytest.mark.parametrize("kernel", [kernels.softmax_isbe_blocks_labels, kernels.softmax_isbe_block_labels])
def test_the_one_pass_error_of_labels_is_divided_by_a_float64_sum(kernel):
    e = run(kernel, SCORES, FIRST + 1, 0.0, 1.0, 1.0)
    np.testing.assert_allclose(e[0, 0], 1 / NORM, **close)


def test_log_softmax_and_cross_entropy_are_float64_throughout():
    z, loss = run(plain.log_softmax, SCORES, dtype=np.float64), np.full(1, 7.0)
    np.testing.assert_allclose(z[0, :2], np.float64(SCORES[0, :2]) - np.log(NORM), rtol=0, atol=1e-11)
    plain.cross_entropy(run(plain.log_softmax, ONES, dtype=np.float64), PARTS, loss)
    np.testing.assert_allclose(loss, TOTAL * np.log(N + 1), rtol=1e-11)


@pytest.mark.parametrize("kernel", [plain.fused_error, kernels.fused_blocks, kernels.fused_block])
def test_the_fused_route_adds_up_targets_and_loss_in_float64(kernel):
    far = np.full_like(PARTS, -200)
    far[0, 0] = 0
    loss, e = np.full(1, 7.0), np.empty_like(PARTS)
    kernel(far, run(kernels.softmax_blocks, far), PARTS, loss, e)
    np.testing.assert_allclose(e[0, 0], TOTAL - 1, rtol=1e-6)  # y is (1, 0, 0, ...)
    kernel(ONES, run(kernels.softmax_blocks, ONES), PARTS, loss, e)
    np.testing.assert_allclose(loss, TOTAL * np.log(N + 1), rtol=1e-6)


@pytest.mark.parametrize(("kernel", "y"), [(plain.factored_error, PARTS), (entmax15.entmax15_product, PARTS**2)])
def test_products_with_the_jacobian_add_up_in_float64(kernel, y):
    """y (g − ⟨y, g⟩), and √y (g − ⟨√y, g⟩ / Σ √y), where the difference is as small as the small part of the sum."""
    g = 3 * ONES
    g[0, 0] = 1
    dot = 1 + 3 * N * 2.0**-25
    mean = dot if kernel is plain.factored_error else dot / TOTAL
    np.testing.assert_allclose(run(kernel, y, g)[0, 0], 1 - mean, rtol=1e-3)


def test_sparsemax_takes_off_a_float64_mean():
    np.testing.assert_allclose(run(sparsemax.sparsemax_product, PARTS, PARTS)[0, 1], SMALL - TOTAL / (N + 1), **close)


@pytest.mark.parametrize("kind", ["sparsemax", "entmax15"])
def test_thresholds_of_sparse_normalizers_are_added_up_in_float64(kind):
    """One score of 0 and N of z: what the threshold must be can be written down. For entmax15 it lies just below z."""
    z = np.full((1, N + 1), -1e-5 / 3 if kind == "sparsemax" else 2e-4 - 2 * np.sqrt(1 - N * 1e-8), np.float32)
    z[0, 0] = 0
    low = float(z[0, 1])
    if kind == "sparsemax":
        tau = (N * low - 1) / (N + 1)
        wanted = -tau, low - tau
    else:  # entmax takes z / 2
        mean = N * low / 2 / (N + 1)
        theta = mean - np.sqrt((1 - (mean**2 + N * (low / 2 - mean)**2)) / (N + 1))
        wanted = theta**2, (low / 2 - theta)**2
    np.testing.assert_allclose(isbe.Head(kind).forward(z)[0, :2], wanted, **close)


def test_the_norm_of_a_gradient_is_added_up_in_float64():
    np.testing.assert_allclose(finite.squared_norm(np.sqrt(PARTS[0])), TOTAL, rtol=1e-9)


@pytest.mark.parametrize("shape", [(1,), (1, 1, 2)])
def test_batch_norm_adds_up_gradients_of_the_shift_in_float64(shape, random):
    net = isbe.Sequential(shape, isbe.BatchNorm())
    net.forward(random.normal(size=(N + 1, *shape)).astype(np.float32), training=True)
    error = np.repeat(PARTS.T, shape[-1], axis=1)
    net.backward(error.reshape(N + 1, *shape))
    np.testing.assert_allclose(net.parameters()[1].grad, TOTAL * shape[-1], **close)


def test_layer_norm_adds_up_gradients_of_the_shift_in_float64(random):
    net = isbe.Sequential((2,), isbe.LayerNorm())
    net.forward(random.normal(size=(N + 1, 2)).astype(np.float32))
    net.backward(np.repeat(PARTS.T, 2, axis=1))
    np.testing.assert_allclose(net.parameters()[1].grad, TOTAL, **close)


@pytest.mark.parametrize("make", [lambda x: isbe.Sequential((1, 1, N + 1), isbe.BatchNorm()), lambda x: isbe.Sequential(
    (N + 1,), isbe.LayerNorm())], ids=["batch norm", "layer norm"])
def test_means_of_normalized_numbers_are_added_up_in_float64(make):
    """One number of 0 and N of 1 have the mean N / (N + 1), and the 0 becomes −√N."""
    x = np.ones((1, N + 1), np.float32)
    x[0, 0] = 0
    net = make(x)
    y = net.forward(x.reshape(1, *net.nodes[0].shape), training=True).reshape(-1)
    mean = N / (N + 1)
    r = 1 / np.sqrt(mean / (N + 1) + 1e-5)
    np.testing.assert_allclose(y[:2], [-mean * r, (1 - mean) * r], rtol=1e-5)
