"""The switch between plain and fast kernels: what it changes, what it leaves, and how nearly both agree on every network."""

import copy
import os
import pickle
import subprocess
import sys

import numba
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.engine.replace import FAST

COMPILED = not numba.config.DISABLE_JIT
needs_both = pytest.mark.skipif(not COMPILED, reason="without the compiler there are only plain kernels")
# Largest difference of an array, relative to the array's largest number.
BOUND = {"float64": 1e-12, "float32": 5e-6}
SMALL = {"n2": {"image": (1, 16, 16)}, "resnet": {"image": (1, 12, 12), "width": 8}, "transformer": {"image": (1, 12, 12)},
         "characters": {"length": 12, "vocabulary": 20}}
NETS = {**isbe.networks.NETWORKS, "characters": isbe.networks.characters,
        "resnet of 14 layers": lambda **options: isbe.networks.resnet(depth=14, width=4, image=(3, 8, 8), **options)}


def net_of_all_parts(**options):
    """Convolution, batch norm, pooling, dropout and a dense layer, small."""
    return isbe.Sequential((2, 6, 6), isbe.Conv2D(3, 3, padding=1), isbe.BatchNorm(), isbe.ReLU(), isbe.MaxPool2D(2),
                           isbe.Flatten(), isbe.Dropout(0.3), isbe.Dense(4), seed=1, **options)


def batch(net, N, seed=0):
    """Images, or tokens where the network begins with an embedding; and the gradient by the scores."""
    random = np.random.default_rng(seed)
    shape = (N, *net.nodes[0].shape)
    x = random.normal(size=shape) if len(shape) > 2 else random.integers(0, 20, shape)
    return x.astype(net.dtype), random.normal(size=(N, *net.nodes[-1].shape)).astype(net.dtype)


def results(net, x, error, training=True):
    """Every node's value and gradient, every parameter's gradient, and what layers remember: by name."""
    net.forward(x, training)
    net.backward(error)
    found = {f"gradient of {parameter.name}": parameter.grad.copy() for parameter in net.parameters()}
    found |= {f"value of {name}": net.value(name) for name in net.names.values()}
    return found | {f"state {name}": array.copy() for name, array in net.state().items()}


def distance(a, b):
    """Largest difference, relative to the largest number."""
    gap = float(np.abs(a - b).max(initial=0))
    return gap / float(np.abs(b).max()) if gap else 0.0


@needs_both
@pytest.mark.parametrize("name", NETS)
def test_both_agree_on_every_value_and_gradient(name, dtype):
    """In two batches, of which the second is of another size, and finds the running statistics of the first."""
    plain, fast = (NETS[name](seed=1, dtype=dtype, kernels=kernels, **SMALL.get(name, {})) for kernels in isbe.KERNELS)
    assert (plain.kernels, fast.kernels) == isbe.KERNELS
    for k, N in enumerate((5, 3)):
        x, error = batch(fast, N, k)
        found, wanted = results(plain, x, error), results(fast, x, error)
        assert found.keys() == wanted.keys() and len(found) > 10
        # A bias straight before a batch norm has the gradient 0, of which rounding is all.
        largest = max(float(np.abs(array).max()) for what, array in wanted.items() if what.startswith("gradient"))
        for what, array in wanted.items():
            if float(np.abs(array).max()) > 1e-6 * largest:
                assert distance(found[what], array) <= BOUND[dtype.name], what
            else:
                assert float(np.abs(found[what]).max()) <= 1e-6 * largest, what


@needs_both
def test_the_engine_takes_the_place_of_layers_and_plain_kernels_run_the_package_s_own():
    kinds = {}
    for kernels in isbe.KERNELS:
        net = isbe.networks.lenet5(kernels=kernels)
        net.forward(np.zeros((2, 1, 28, 28), np.float32))
        kinds[kernels] = {type(layer).__module__.split(".")[1] for layer, *_ in net._ran.steps if not layer.view}
    assert kinds["plain"] <= {"layers", "plan"} and "engine" in kinds["fast"]


@needs_both
def test_one_network_switched_to_and_fro_is_two_networks(dtype):
    """The same parameters and the same random numbers; running statistics go on from where the other kernels left them."""
    net, fast = net_of_all_parts(dtype=dtype), net_of_all_parts(dtype=dtype)
    for k, kernels in enumerate(("plain", "fast", "plain")):
        net.kernels = kernels
        x, error = batch(net, 4, k)
        found, wanted = results(net, x, error), results(fast, x, error)
        assert net.kernels == kernels and all(distance(found[what], wanted[what]) <= 4 * BOUND[dtype.name] for what in wanted
                                              if what != "gradient of conv2d_1.bias")
    assert net.value("dropout_1").any() and not net.value("dropout_1").all()


@needs_both
@pytest.mark.parametrize("layers", [lambda: [isbe.Flatten(), isbe.BatchNorm(), isbe.Dropout(0.4), isbe.Dense(3)],
                                    lambda: [isbe.BatchNorm(), isbe.Dropout(0.4), isbe.Conv2D(2, 3), isbe.Flatten()],
                                    lambda: [isbe.Dropout(0.4), isbe.BatchNorm(), isbe.Flatten(), isbe.Dropout(0.4)]])
def test_dropout_drops_the_same_numbers(layers, dtype):
    """Whatever stands around it: the values that it draws for lie in the same order with both."""
    plain, fast = (isbe.Sequential((2, 4, 5), *layers(), dtype=dtype, kernels=kernels) for kernels in isbe.KERNELS)
    x = np.random.default_rng(0).normal(size=(6, 2, 4, 5)).astype(dtype)
    assert distance(plain.forward(x, training=True), fast.forward(x, training=True)) <= BOUND[dtype.name]


def test_layers_of_the_engine_want_values_to_lie_as_the_package_s_do():
    for kind, fast in FAST.items():
        layer = kind.__new__(kind)
        assert fast(layer).batch_last == kind.batch_last, kind


@pytest.mark.parametrize("layers", [[isbe.BatchNorm()], [isbe.Flatten(), isbe.BatchNorm()],
                                    [isbe.Conv2D(2, 1), isbe.BatchNorm()]], ids=len)
@pytest.mark.parametrize("training", [True, False])
def test_plain_batch_norm_in_each_layout_is_numpys(layers, training):
    net = isbe.Sequential((2, 3, 4), *layers, dtype=np.float64, kernels="plain")
    x = np.random.default_rng(0).normal(size=(5, 2, 3, 4))
    y = net.forward(x, training)
    before = net.value("conv2d_1") if isinstance(layers[0], isbe.Conv2D) else x
    axes = (0, 2, 3) if y.ndim == 4 else (0,)
    before = before.reshape(y.shape)
    mean, variance = (before.mean(axes, keepdims=True), before.var(axes, keepdims=True)) if training else (0, 1)
    assert np.abs(y - (before - mean) / np.sqrt(variance + 1e-5)).max() < 1e-12


def test_a_switch_leaves_parameters_names_and_statistics(dtype):
    net = net_of_all_parts(dtype=dtype)
    before = net.values.copy(), [parameter.name for parameter in net.parameters()], copy.deepcopy(net.state())
    arrays = net.values, net.grads
    net.kernels = "plain"
    assert net.values is arrays[0] and net.grads is arrays[1] and (net.values == before[0]).all()
    assert [parameter.name for parameter in net.parameters()] == before[1]
    assert all((net.state()[name] == array).all() for name, array in before[2].items())


@needs_both
def test_after_a_switch_backward_and_values_need_a_new_forward_pass():
    net = net_of_all_parts()
    x, error = batch(net, 3)
    net.forward(x)
    net.kernels = "fast"  # no switch
    net.backward(error)
    net.kernels = "plain"
    for call in (lambda: net.backward(error), lambda: net.value("relu_1"), lambda: net.gradient("relu_1")):
        with pytest.raises(RuntimeError, match=r"call (forward|backward) first"):
            call()
    net.forward(x)
    net.backward(error)


@pytest.mark.parametrize("make", [lambda given: net_of_all_parts(kernels=given), lambda given: isbe.networks.n0(kernels=given),
                                  lambda given: setattr(net_of_all_parts(), "kernels", given)])
def test_another_name_is_refused(make):
    with pytest.raises(ValueError, match=r"Graph\(kernels\).*'plain'.*'fast'"):
        make("slow")
    assert make("plain") is None or make("plain").kernels == "plain"


@needs_both
def test_copies_pickles_and_checkpoints(tmp_path):
    """Copies compute with the same kernels; a checkpoint holds numbers, which either set goes on with."""
    net = net_of_all_parts(kernels="plain")
    assert copy.deepcopy(net).kernels == pickle.loads(pickle.dumps(net)).kernels == "plain"
    isbe.save_checkpoint(tmp_path / "net.npz", net)
    again = net_of_all_parts(kernels="fast")
    again.values[...] = 0
    isbe.load_checkpoint(tmp_path / "net.npz", again)
    assert (again.values == net.values).all() and again.kernels == "fast"


@needs_both
def test_a_layer_of_your_own_runs_as_it_says_with_both():
    """A subclass that changes how it runs is not replaced by the engine; one that changes its settings only is."""
    class Twice(isbe.Dense):
        def forward(self, step):
            super().forward(step)
            step.y *= 2

    class Narrow(isbe.Dense):
        def __init__(self):
            super().__init__(3)

    for kind, module, factor in ((lambda: Twice(3), "test_switch", 2), (Narrow, "isbe_np.engine.layers.dense", 1)):
        net = isbe.Sequential((5,), kind(), dtype=np.float64)
        x = np.ones((2, 5))
        wanted = factor * (x @ net.parameters()[0].value.T)
        for kernels in isbe.KERNELS:
            net.kernels = kernels
            assert np.abs(net.forward(x) - wanted).max() < 1e-14
        net.kernels = "fast"
        net.forward(x)
        assert type(net._ran.steps[-1][0]).__module__ == module


def test_without_the_compiler_kernels_are_plain():
    code = ("import numpy as np, isbe_np as isbe\n"
            "net = isbe.Sequential((3,), isbe.Dense(2), isbe.ReLU(), kernels='fast')\n"
            "net.forward(np.ones((2, 3), np.float32))\n"
            "print(net.kernels, [type(layer).__module__ for layer, *_ in net._ran.steps])\n")
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, capture_output=True,
                          text=True, check=True)
    assert done.stdout.split()[0] == "plain" and "engine" not in done.stdout
