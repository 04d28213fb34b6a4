"""Layers that a plan runs as one: the same bits as apart, and every value between them still to be read."""

import numba
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.engine.layers.base import Fast
from isbe_np.engine.layers.fused import FusedConv2D, FusedDense

pytestmark = pytest.mark.usefixtures("engine")
COMPILED = not numba.config.DISABLE_JIT
CASES = {  # input shape, layers, the kinds of steps that the plan makes of them
    "conv-relu-pool": ((2, 9, 8), lambda: [isbe.Conv2D(7, 3, padding=1), isbe.ReLU(), isbe.MaxPool2D(2)], [FusedConv2D]),
    "conv-pool": ((1, 8, 8), lambda: [isbe.Conv2D(3, (3, 2)), isbe.MaxPool2D((3, 2))], [FusedConv2D]),
    "conv-hardtanh": ((3, 6, 5), lambda: [isbe.Conv2D(5, 3, stride=2), isbe.HardTanh()], [FusedConv2D]),
    "strided": ((2, 12, 11), lambda: [isbe.Conv2D(4, 3, (2, 3), 1), isbe.HardTanh(), isbe.MaxPool2D((2, 1))], [FusedConv2D]),
    "large-windows": ((1, 40, 34), lambda: [isbe.Conv2D(2, 3), isbe.ReLU(), isbe.MaxPool2D((17, 16))], [FusedConv2D]),
    "two": ((1, 12, 12), lambda: [isbe.Conv2D(6, 3), isbe.ReLU(),
                                  isbe.Conv2D(5, 3, padding=2), isbe.ReLU(), isbe.MaxPool2D(2)], [FusedConv2D, FusedConv2D]),
    "dense": ((11,), lambda: [isbe.Dense(13), isbe.ReLU(), isbe.Dense(7), isbe.HardTanh(), isbe.Dense(3)],
              [FusedDense, FusedDense, isbe.Dense]),
    "overlapping": ((1, 9, 9), lambda: [isbe.Conv2D(3, 3), isbe.ReLU(), isbe.MaxPool2D(3, 2)],
                    [FusedConv2D, isbe.MaxPool2D]),
    "gaps": ((1, 10, 10), lambda: [isbe.Conv2D(3, 3), isbe.ReLU(), isbe.MaxPool2D(2, 3)], [FusedConv2D, isbe.MaxPool2D]),
    "padded": ((1, 8, 8), lambda: [isbe.Conv2D(3, 3), isbe.ReLU(), isbe.MaxPool2D(2, 2, 1)], [FusedConv2D, isbe.MaxPool2D]),
    "smooth": ((1, 6, 6), lambda: [isbe.Conv2D(3, 3), isbe.Tanh(), isbe.MaxPool2D(2)],
               [isbe.Conv2D, isbe.Tanh, isbe.MaxPool2D]),
}


def twins(case, dtype, seed=0):
    shape, layers, _ = CASES[case]
    return [isbe.Sequential(shape, *layers(), seed=seed, dtype=dtype, fuse=fuse) for fuse in (True, False)]


def run(net, N, random):
    x = random.normal(size=(N, *net.nodes[0].shape)).astype(net.dtype)
    y = net.forward(x, training=True)
    net.grads[...] = 7
    return y, net.backward(random.normal(size=y.shape).astype(net.dtype), input_gradient=True)


@pytest.mark.exhaustive
@pytest.mark.parametrize("N", [1, 3, 33, 130])
@pytest.mark.parametrize("case", CASES)
def test_the_same_bits(case, N, dtype):
    if not COMPILED and ((N > 3 and (N, case) != (130, "conv-pool")) or case == "large-windows"):
        pytest.skip("takes minutes without the compiler")
    fused, apart = twins(case, dtype)
    one, other = (run(net, N, np.random.default_rng(1)) for net in (fused, apart))
    for a, b in zip((*one, fused.grads), (*other, apart.grads), strict=True):
        assert (a == b).all() and a.any()
    ran = [layer.core if isinstance(layer, Fast) else layer for layer, *_ in fused._ran.steps]
    assert [type(layer) for layer in ran if type(layer).__name__ != "Turn"] == CASES[case][2]


@pytest.mark.parametrize("case", CASES)
def test_every_value_and_gradient_can_be_read(case, dtype):
    fused, apart = twins(case, dtype)
    for net in (fused, apart):
        run(net, 5 if COMPILED else 2, np.random.default_rng(2))
    for name in fused.names.values():
        assert (fused.value(name) == apart.value(name)).all(), name
        assert (fused.gradient(name) == apart.gradient(name)).all(), name


def test_a_value_that_can_no_longer_be_computed_is_refused(dtype):
    net, _ = twins("conv-relu-pool", dtype)
    run(net, 5, np.random.default_rng(3))
    isbe.SGD(0.1).step(net)
    assert net.value("maxpool2d_1").shape == (5, 7, 4, 4)
    with pytest.raises(RuntimeError, match=r"parameters were changed.*fuse=False"):
        net.value("conv2d_1")


def test_what_somebody_else_reads_stays_apart(dtype):
    """A second reader, or the graph's output in the middle, needs the value itself."""
    x = isbe.Input((1, 6, 6))
    a = isbe.Conv2D(3, 3, padding=1)(x)
    y = isbe.Add()(a, isbe.ReLU()(a))
    net = isbe.Graph(x, isbe.MaxPool2D(2)(y), dtype=dtype)
    run(net, 2, np.random.default_rng(4))
    assert "Fused" not in str([type(layer) for layer, *_ in net._ran.steps])


def test_layers_of_your_own_stay_as_they_are(dtype):
    class Loud(isbe.ReLU):
        def forward(self, step):
            super().forward(step)
            step.y[...] += 1

    class Louder(isbe.Dense):
        def forward(self, step):
            super().forward(step)
            step.y[...] += 1

    class Still(isbe.Dense):
        def backward(self, step):
            step.dw.weight[...], step.dw.bias[...], step.dx[...] = 0, 0, 0

    for layers in ((isbe.Dense(3), Loud()), (Louder(3), isbe.ReLU())):
        net = isbe.Sequential((4,), *layers, dtype=dtype)
        assert (net.forward(np.zeros((2, 4), dtype)) >= 1).all()
    for after in ((), (isbe.ReLU(),)):
        net = isbe.Sequential((4,), Still(3), *after, dtype=dtype)
        dy = np.ones_like(net.forward(np.ones((2, 4), dtype)))
        assert not net.backward(dy, input_gradient=True).any() and not net.grads.any()


def test_nan_and_infinity_pass_as_apart(dtype):
    """A weight that went wrong shows in the scores, fused or not."""
    for bad in (np.nan, np.inf):
        results = []
        for net in twins("conv-relu-pool", dtype):
            net.parameters()[0].value[0, 0, 0, 0] = bad
            results.append(net.forward(np.random.default_rng(5).normal(size=(3, 2, 9, 8)).astype(dtype)))
        assert np.array_equal(*results, equal_nan=True) and not np.isfinite(results[0]).all()


@pytest.mark.parametrize("N", [1, 19])
@pytest.mark.parametrize("case", ["dense", "conv-hardtanh", "conv-relu-pool", "conv-pool"])
def test_nan_goes_back_as_apart(case, N, dtype, random):
    """The error of a unit that is NaN passes its ReLU, in vectors and in the rest of them; NaN in the error is not lost."""
    for spoil in ("unit", "error"):
        results = []
        for net in twins(case, dtype):
            if spoil == "unit":
                net.parameters()[1].value[1] = np.nan  # the bias of the first layer: all else stays finite
            y = net.forward(np.random.default_rng(5).normal(size=(N, *net.nodes[0].shape)).astype(dtype))
            error = np.random.default_rng(6).normal(size=y.shape).astype(dtype)
            if spoil == "error":
                error[-1] = np.nan
            dx = net.backward(error, input_gradient=True)
            results.append((net.parameters()[1].grad.copy(), net.parameters()[0].grad.copy(), dx))
        for a, b in zip(*results, strict=True):
            assert np.array_equal(a, b, equal_nan=True)
        bias = results[0][0]
        if spoil == "error":
            assert np.isnan(bias).any()
        elif case != "dense":  # behind which the next layer mixes the units
            axes = (0, *range(2, error.ndim))
            np.testing.assert_allclose(bias[1], np.float64(error).sum(axes)[1], rtol=1e-4)


@pytest.mark.parametrize("N", [1, 19])
@pytest.mark.parametrize("place", range(4))
def test_a_tie_goes_to_the_first_pixel_and_nan_wins(place, N, dtype):
    net = isbe.Sequential((1, 2, 2), isbe.Conv2D(1, 1), isbe.MaxPool2D(2), dtype=dtype)
    net.parameters()[0].value[...] = 1
    layer, step = net._plan(N).steps[0][:2]
    for value, first in ((1, 0), (np.nan, place)):
        step.x[...] = 1
        step.x.reshape(4, N)[place] = value
        layer.forward(step)
        assert isinstance(layer, FusedConv2D) and (step.work.winner == first).all()
        assert np.array_equal(step.y, np.full((1, 1, 1, N), value), equal_nan=True)


@pytest.mark.parametrize("activation", [isbe.ReLU, isbe.HardTanh])
@pytest.mark.parametrize("fuse", [True, False])
def test_a_dense_unit_that_is_nan_passes_its_error_on(activation, fuse, dtype):
    net = isbe.Sequential((2,), isbe.Dense(3), activation(), dtype=dtype, fuse=fuse)
    net.values[...] = 0
    net.parameters()[1].value[...] = [np.nan, -2, 0.5]
    net.forward(np.ones((19, 2), dtype))
    net.backward(np.full((19, 3), 2, dtype))
    assert net.parameters()[1].grad.tolist() == [38, 0, 38] and np.isnan(net.value(list(net.names.values())[-1])[:, 0]).all()
