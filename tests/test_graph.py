"""The graph: shapes, names, sharing, branches, buffers, and every refusal."""

import copy
import pickle

import naive
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.layers.base import Weights


def branching(dtype=np.float64, seed=0):
    """A graph with a node read three times, a convolution used twice, images and vectors, and branches that join."""
    image = isbe.Input((2, 6, 6))
    shared = isbe.Conv2D(2, 3, padding=1)
    a = shared(image)
    b = shared(isbe.Tanh()(a))
    c = isbe.Add()(a, b, isbe.Sigmoid()(a))
    d = isbe.AveragePool2D(2)(c)
    flat = isbe.Flatten()(d)
    dense = isbe.Dense(9, name="square")
    out = isbe.Add()(isbe.Tanh()(dense(flat)), isbe.Dense(9)(flat))
    return isbe.Graph(image, isbe.Dense(4)(out), seed=seed, dtype=dtype)


def check_by_differences(net, x, random, bound=1e-7):
    """Every gradient of ⟨scores, error⟩ by central differences over every element."""
    error = random.normal(size=net.forward(x).shape)
    dx = net.backward(error, input_gradient=True)
    grads = [parameter.grad.copy() for parameter in net.parameters()]

    def loss():
        return float((net.forward(x) * error).sum())

    for got, array in zip([dx, *grads], [x, *(parameter.value for parameter in net.parameters())], strict=True):
        wanted = naive.central_difference(loss, array)
        assert np.abs(wanted).max() > 0
        assert (np.abs(got - wanted) <= bound * np.abs(wanted).max()).all()


def test_branches_and_joints(random):
    net = branching()
    check_by_differences(net, random.normal(size=(3, 2, 6, 6)), random)


def test_one_layer_in_two_places_shares_its_weights(random):
    vector = isbe.Input(4)
    shared = isbe.Dense(4, name="shared")
    net = isbe.Graph(vector, shared(isbe.Tanh(name="between")(isbe.Dense(4, name="first")(vector))), dtype=np.float64)
    assert [p.name for p in net.parameters()] == ["first.weight", "first.bias", "shared.weight", "shared.bias"]
    vector = isbe.Input(4)
    twice = isbe.Dense(4)
    net = isbe.Graph(vector, twice(isbe.Tanh()(twice(vector))), dtype=np.float64)
    assert [p.name for p in net.parameters()] == ["dense_1.weight", "dense_1.bias"]
    check_by_differences(net, random.normal(size=(3, 4)), random)


def test_a_node_joined_with_itself(random):
    vector = isbe.Input(3)
    x = isbe.Dense(5)(vector)
    check_by_differences(isbe.Graph(vector, isbe.Add()(x, x), dtype=np.float64), random.normal(size=(2, 3)), random)


def test_images_in_and_out(random):
    """A fully convolutional graph: scores are images, batch first again."""
    image = isbe.Input((1, 5, 4))
    net = isbe.Graph(image, isbe.Conv2D(3, 3)(isbe.Add()(image, isbe.Tanh()(image))), dtype=np.float64)
    x = random.normal(size=(2, 1, 5, 4))
    weight, bias = (p.value for p in net.parameters())
    assert np.allclose(net.forward(x), naive.conv2d(x + np.tanh(x), weight, bias, (1, 1), (0, 0)), atol=1e-12)
    check_by_differences(net, x, random)


def test_a_value_read_in_both_layouts(random):
    """Conv2D wants the image batch last, Flatten and Dense want it batch first."""
    image = isbe.Input((1, 4, 4))
    a = isbe.Dense(3)(isbe.Flatten()(image))
    b = isbe.Dense(3)(isbe.Flatten()(isbe.Conv2D(2, 3)(image)))
    check_by_differences(isbe.Graph(image, isbe.Add()(a, b), dtype=np.float64), random.normal(size=(3, 1, 4, 4)), random)


@pytest.mark.parametrize("layer", [isbe.ReLU(), isbe.LeakyReLU(0.1), isbe.Sigmoid(), isbe.Tanh(), isbe.HardSigmoid(),
                                   isbe.HardTanh(), isbe.GELU()], ids=repr)
def test_activation_layers(layer, random):
    net = isbe.Sequential((6,), isbe.Dense(5), layer, dtype=np.float64)
    net.parameters()[1].value[...] = 0.3  # away from the kinks at this seed
    check_by_differences(net, random.normal(size=(4, 6)), random)


def test_values_and_gradients_by_name(random):
    net = isbe.networks.lenet5(dtype=np.float64)
    x = random.normal(size=(3, 1, 28, 28))
    scores = net.forward(x)
    assert (net.value("input") == x).all()
    assert (net.value("dense_3") == scores).all()
    assert net.value("conv2d_2").shape == (3, 16, 10, 10)
    assert (net.value("relu_1") == np.maximum(net.value("conv2d_1"), 0)).all()
    assert (net.value("flatten_1") == net.value("maxpool2d_2").reshape(3, -1)).all()
    error = random.normal(size=scores.shape)
    net.backward(error)
    assert (net.gradient("dense_3") == error).all()
    assert net.gradient("conv2d_1").shape == (3, 6, 28, 28)
    with pytest.raises(ValueError, match="No gradient by 'input' was computed"):
        net.gradient("input")
    with pytest.raises(ValueError, match="no node 'conv2d_9'; its nodes are input, conv2d_1"):
        net.value("conv2d_9")


def test_passes_in_the_wrong_order_are_refused():
    net = isbe.networks.n0()
    for act in (lambda: net.backward(np.zeros((1, 10), np.float32)), lambda: net.value("relu_1")):
        with pytest.raises(RuntimeError, match="call forward first"):
            act()
    net.forward(np.zeros((1, 1, 28, 28), np.float32))
    with pytest.raises(RuntimeError, match="call backward first"):
        net.gradient("relu_1")


def test_scores_are_the_callers_own(random):
    net = isbe.networks.n0()
    x, z = random.random((2, 4, 1, 28, 28), np.float32)
    first = net.forward(x)
    kept = first.copy()
    net.forward(z)
    assert (first == kept).all()
    room = np.empty((4, 10), np.float32)
    assert net.forward(x, out=room) is room and (room == kept).all()


def test_the_batch_may_change_after_forward(random):
    """Backward uses the values that forward saw."""
    net = isbe.networks.n0(dtype=np.float64)
    x = random.random((4, 1, 28, 28))
    error = random.normal(size=(4, 10))
    net.forward(x)
    net.backward(error)
    wanted = net.grads.copy()
    net.forward(x)
    x[...] = 0
    net.backward(error)
    assert (net.grads == wanted).all()


def test_batch_sizes_alternate(random):
    """Each batch size has its plan; gradients are those of the last forward pass."""
    net = isbe.networks.lenet5(dtype=np.float64)
    x = random.random((7, 1, 28, 28))
    error = random.normal(size=(7, 10))
    alone = {}
    for n in (1, 3, 7, 2, 5, 6):
        net.forward(x[:n])
        net.backward(error[:n])
        alone[n] = net.grads.copy()
    for n in (3, 1, 7):
        assert np.allclose(net.forward(x[:n]), net.forward(x)[:n], rtol=0, atol=1e-13)
        net.forward(x[:n])
        net.backward(error[:n])
        assert (net.grads == alone[n]).all()


@pytest.mark.parametrize("fuse", [True, False])
def test_training_allocates_nothing_after_the_first_step(fuse, random):
    """Planned buffers: no array is replaced between steps."""
    net = isbe.networks.lenet5(fuse=fuse)
    x = random.random((4, 1, 28, 28), np.float32)
    error = random.random((4, 10), np.float32)

    def places():
        return {name: (slot.value.ctypes.data, slot.grad.ctypes.data) for name, slot in
                ((net.names[node], slot) for (node, _), slot in net._ran.slots.items()) if slot.grad is not None}

    net.forward(x)
    net.backward(error)
    before = places()
    for _ in range(3):
        net.forward(x)
        net.backward(error)
    assert before == places() and len(before) > (5 if fuse else 10)


def test_parameters_are_views_into_flat_buffers():
    net = isbe.networks.lenet5(seed=3)
    for parameter in net.parameters():
        assert np.shares_memory(parameter.value, net.values) and np.shares_memory(parameter.grad, net.grads)
        assert parameter.value.ctypes.data % 64 == 0
    net.values[...] = 2
    assert all((parameter.value == 2).all() for parameter in net.parameters())


def test_seeds_and_dtypes():
    same, again, other = (isbe.networks.n1(seed=s).values for s in (1, 1, 2))
    assert (same == again).all() and (same != other).any()
    wide = isbe.networks.n1(seed=1, dtype=np.float64).parameters()
    assert all((a.value == b.value.astype(np.float32)).all()
               for a, b in zip(isbe.networks.n1(seed=1).parameters(), wide, strict=True))
    weight, bias = isbe.Sequential((400,), isbe.Dense(900), dtype=np.float64).parameters()
    assert weight.value.std() == pytest.approx((2 / 400) ** 0.5, rel=0.01) and not bias.value.any()


def test_dropout(random):
    net = isbe.Sequential((1000,), isbe.Dropout(0.25), dtype=np.float64, seed=5)
    x = np.ones((8, 1000))
    assert (net.forward(x) == x).all()
    y = net.forward(x, training=True)
    assert set(np.unique(y)) == {0, 1 / 0.75} and np.mean(y == 0) == pytest.approx(0.25, abs=0.02)
    assert (net.backward(np.ones_like(x), input_gradient=True) == y).all()
    assert (net.forward(x, training=True) != y).any()
    assert (isbe.Sequential((1000,), isbe.Dropout(0.25), dtype=np.float64, seed=5).forward(x, training=True) == y).all()


def test_deep_graphs_need_no_recursion(random):
    node = first = isbe.Input(3)
    for _ in range(1500):
        node = isbe.Tanh()(node)
    net = isbe.Graph(first, isbe.Dense(2)(node), dtype=np.float64)
    net.forward(random.normal(size=(2, 3)))
    net.backward(np.ones((2, 2)))
    assert net.grads.any()


def test_summary():
    lines = isbe.networks.lenet5().summary().splitlines()
    assert lines[0].split() == ["name", "layer", "output", "shape", "parameters", "reads"]
    assert lines[3].split() == ["conv2d_1", "Conv2D(6,", "5,", "padding=2)", "(6,", "28,", "28)", "156", "input"]
    assert lines[-1] == "61,706 parameters, float32"


@pytest.mark.parametrize("name, count", [("n0", 784 * 512 + 512 + 512 * 256 + 256 + 2570), ("lenet5", 61706),
                                         ("n1", 832 + 51264 + 3136 * 512 + 512 + 5130)])
def test_networks(name, count):
    net = isbe.networks.NETWORKS[name](seed=1)
    assert sum(parameter.value.size for parameter in net.parameters()) == count
    assert net.forward(np.zeros((2, 1, 28, 28), np.float32)).shape == (2, 10)


REFUSALS = {
    "Dense on an image": (lambda: isbe.Sequential((8, 28, 28), isbe.Dense(10)),
                          r"Dense\(10\) expects vectors \(features,\); got shape \(8, 28, 28\).*Put a Flatten before it"),
    "Conv2D on a vector": (lambda: isbe.Sequential((784,), isbe.Conv2D(8, 3)),
                           r"Conv2D\(8, 3\) expects images \(channels, height, width\); got shape \(784,\)"),
    "kernel too large": (lambda: isbe.Sequential((1, 4, 4), isbe.Conv2D(8, 5)), r"at least \(5, 5\) pixels after padding"),
    "pool too large": (lambda: isbe.Sequential((1, 4, 4), isbe.MaxPool2D(5)), r"MaxPool2D\(5\) expects images of at least"),
    "Add of two shapes": (lambda: isbe.Add()(isbe.Input(3), isbe.Input(4)), r"Add\(\) expects inputs of one shape, \(3,\)"),
    "Add of one input": (lambda: isbe.Add()(isbe.Input(3)), "expects two or more inputs; got 1"),
    "two inputs to Dense": (lambda: isbe.Dense(2)(isbe.Input(3), isbe.Input(3)), "expects 1 input; got 2"),
    "no layers": (lambda: isbe.Sequential((3,)), "at least one layer"),
    "second input": (lambda: isbe.Graph(isbe.Input(3), isbe.Dense(2)(isbe.Input(3))), "depends on a second input"),
    "no path": (lambda: isbe.Graph(isbe.Dense(2)(isbe.Input(3)), isbe.Dense(2)(isbe.Input(3))), "a node made by Input"),
    "same name twice": (lambda: isbe.Sequential((3,), isbe.Dense(3, name="a"), isbe.Dense(3, name="a")),
                        "two layers called 'a'"),
    "shared layer, two shapes": (lambda: shared_in_two_shapes(), "stands in several places"),
    "empty input shape": (lambda: isbe.Input(()), "Input expects a shape of whole numbers"),
    "zero in the input shape": (lambda: isbe.Input((1, 0, 3)), "Input expects a shape of whole numbers"),
    "units zero": (lambda: isbe.Dense(0), r"Dense\(units\) expects a whole number of at least 1; got 0"),
    "kernel triple": (lambda: isbe.Conv2D(1, (1, 2, 3)), r"Conv2D\(kernel\) expects one whole number or a pair"),
    "dropout all": (lambda: isbe.Dropout(1), r"Dropout\(rate\) expects a number from 0 to below 1"),
    "slope": (lambda: isbe.LeakyReLU(2), r"LeakyReLU\(slope\) expects"),
    "seed": (lambda: isbe.networks.n0(seed=-1), r"Graph\(seed\) expects a whole number of at least 0"),
}
TYPE_REFUSALS = {
    "layer on an array": (lambda: isbe.Dense(2)(np.zeros((2, 3))), "is applied to nodes.*got ndarray"),
    "not a layer": (lambda: isbe.Sequential((3,), isbe.Dense), "Sequential expects layers"),
    "not a node": (lambda: isbe.Graph(3, 4), r"Graph\(inputs\) expects one node"),
    "units fractional": (lambda: isbe.Dense(2.5), r"Dense\(units\) expects a whole number; got 2.5"),
    "name a number": (lambda: isbe.Dense(2, name=3), "expects its name as text"),
    "dtype": (lambda: isbe.networks.n0(dtype=np.float16), "Graph expects dtype np.float32 or np.float64"),
}


def shared_in_two_shapes():
    shared, first = isbe.Dense(2), isbe.Input(3)
    return isbe.Graph(first, shared(shared(first)))


@pytest.mark.parametrize("case", REFUSALS)
def test_refused_when_built(case):
    build, words = REFUSALS[case]
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize("case", TYPE_REFUSALS)
def test_wrong_types_are_refused_when_built(case):
    build, words = TYPE_REFUSALS[case]
    with pytest.raises(TypeError, match=words):
        build()


def batch(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("given, kind, words", [
    (batch(1, 28, 28), ValueError, r"shape \(N, 1, 28, 28\); got \(1, 28, 28\). For a single example, pass example\[None\]"),
    (batch(3, 784), ValueError, r"shape \(N, 1, 28, 28\); got \(3, 784\)"),
    (batch(0, 1, 28, 28), ValueError, "at least one example; got an empty batch"),
    (batch(2, 1, 28, 28, dtype=np.float64), TypeError, r"float32 array; got float64. Convert it with .astype\(np.float32\)"),
    (batch(2, 1, 28, 28, dtype=np.uint8), TypeError, "float32 array; got uint8"),
    (np.float32(3), ValueError, r"shape \(N, 1, 28, 28\); got \(\)"),
], ids=str)
def test_bad_batches_are_refused(given, kind, words):
    with pytest.raises(kind, match=words):
        isbe.networks.n0().forward(given)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("make", [isbe.networks.n0, isbe.networks.lenet5])
def test_a_batch_that_is_not_finite_is_refused(bad, make):
    net, x = make(), batch(2, 1, 28, 28)
    net.forward(x)
    x[1, 0, 3, 4] = bad
    with pytest.raises(ValueError, match=rf"expects finite numbers; got {bad} at \(1, 0, 3, 4\)"):
        net.forward(x)
    with pytest.raises(RuntimeError, match="call forward first"):
        net.backward(batch(2, 10))


def test_bad_errors_are_refused():
    net = isbe.networks.n0()
    net.forward(batch(2, 1, 28, 28))
    with pytest.raises(ValueError, match=r"error of the shape of its scores, \(2, 10\); got \(10, 2\)"):
        net.backward(batch(10, 2))
    with pytest.raises(TypeError, match=r"Graph.backward\(error\) expects a float32 array; got float64"):
        net.backward(np.zeros((2, 10)))


@pytest.mark.parametrize("make", [np.asfortranarray, lambda x: x.transpose(0, 1, 3, 2).copy().transpose(0, 1, 3, 2)])
def test_any_memory_order_is_taken(make, random):
    net = isbe.networks.n0()
    x = random.random((3, 1, 28, 28), np.float32)
    assert (net.forward(make(x)) == net.forward(x)).all()


def test_read_only_batches_are_taken_and_left_alone(random):
    x = random.random((3, 1, 28, 28), np.float32)
    x.flags.writeable = False
    kept = x.copy()
    net = isbe.networks.lenet5()
    net.forward(x)
    net.backward(np.ones((3, 10), np.float32), input_gradient=True)
    assert (x == kept).all()


def test_a_layer_that_replaces_its_output_is_told_to_fill_it():
    class Twice(isbe.Layer):
        def forward(self, step):
            step.y = 2 * step.x

        def backward(self, step):
            step.dx = 2 * step.dy

    net = isbe.Sequential((3,), Twice())
    with pytest.raises(AttributeError, match=r"write step.y\[...\] = ..."):
        net.forward(batch(2, 3))
    Twice.forward = lambda self, step: np.multiply(2, step.x, out=step.y)
    net.forward(batch(2, 3))
    with pytest.raises(AttributeError, match=r"write step.dx\[...\] = ..."):
        net.backward(batch(2, 3), input_gradient=True)


def test_input_gradients_may_be_asked_for_now_and_then(random):
    """With a shared layer and branches, whichever of the two ways back came first and whichever last."""
    net, other = branching(), branching()
    x, z = random.normal(size=(2, 3, 2, 6, 6))
    error = random.normal(size=(3, 4))
    other.forward(z)
    wanted = other.backward(error, input_gradient=True)
    for turns in ((True, False, True), (False, True, False, True)):
        for to_input in turns:
            net.forward(x)
            net.backward(3 * error, input_gradient=to_input)
            net.forward(z)
            got = net.backward(error, input_gradient=to_input)
            assert (net.grads == other.grads).all() and (got is None or (got == wanted).all())
    net.forward(x)
    net.backward(error)
    with pytest.raises(ValueError, match="No gradient by 'input' was computed, as it depends on no parameter"):
        net.gradient("input")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_is_a_network_of_its_own(copied, random):
    net = branching()
    x, error = random.normal(size=(3, 2, 6, 6)), random.normal(size=(3, 4))
    scores = net.forward(x)
    twin = copied(net)
    assert (twin.forward(x) == scores).all()
    twin.backward(error)
    isbe.SGD(1.0).step(twin)
    assert twin.grads.any() and (twin.forward(x) != scores).any() and (net.forward(x) == scores).all()
    assert all(np.shares_memory(parameter.value, twin.values) for parameter in twin.parameters())


def test_a_parameter_is_changed_in_place():
    weight = isbe.networks.n0().parameters()[0]
    weight.value += 1
    with pytest.raises(AttributeError, match=r"'dense_1.weight' is changed in place: write parameter.value\[...\] = ..."):
        weight.value = np.zeros_like(weight.value)


def test_names_that_collide_are_numbered_or_refused():
    vector = isbe.Input(3)
    shared = isbe.Dense(3, name="s")
    net = isbe.Graph(vector, shared(isbe.ReLU(name="relu_1")(isbe.ReLU()(shared(vector)))))
    assert list(net.names.values()) == ["input", "s", "relu_2", "relu_1", "s_2"]
    assert list(isbe.Sequential((3,), isbe.Dense(2, name="input")).names.values()) == ["input_2", "input"]


def test_training_then_inference_drops_nothing(random):
    net = isbe.Sequential((50,), isbe.Dropout(0.5), dtype=np.float64)
    x = random.normal(size=(4, 50))
    net.forward(x, training=True)
    net.backward(np.ones_like(x))
    assert (net.forward(x) == x).all()
    assert (net.backward(np.ones_like(x), input_gradient=True) == 1).all()


def test_two_seeds_drop_differently():
    a, b = (isbe.Sequential((50,), isbe.Dropout(0.5), seed=seed).forward(np.ones((4, 50), np.float32), training=True)
            for seed in (0, 1))
    assert (a != b).any()


def test_input_gradients_follow_the_weights(random):
    """Convolution keeps a turned copy of its weights; it must be made anew after a step."""
    net = isbe.Sequential((2, 5, 5), isbe.Conv2D(3, 3), dtype=np.float64)
    x, error = random.normal(size=(2, 2, 5, 5)), random.normal(size=(2, 3, 3, 3))
    for _ in range(2):
        net.forward(x)
        got = net.backward(error, input_gradient=True)
        wanted = naive.conv2d_backward(error, x, net.parameters()[0].value, (1, 1), (0, 0))[0]
        assert np.allclose(got, wanted, rtol=0, atol=1e-12)
        isbe.SGD(0.5).step(net)


def test_what_is_read_is_a_copy(random):
    net = isbe.Sequential((4,), isbe.Dense(3), isbe.Tanh())
    net.forward(batch(2, 4))
    net.backward(np.ones((2, 3), np.float32), input_gradient=True)
    kept = [net.value("dense_1"), net.gradient("dense_1"), net.value("input"), net.gradient("input")]
    before = [array.copy() for array in kept]
    net.forward(np.ones((2, 4), np.float32))
    net.backward(-np.ones((2, 3), np.float32), input_gradient=True)
    assert all((a == b).all() for a, b in zip(kept, before, strict=True))


def test_gradients_are_those_of_the_last_forward_pass():
    net = isbe.networks.n0()
    net.forward(batch(1, 1, 28, 28))
    net.backward(np.ones((1, 10), np.float32))
    net.forward(batch(1, 1, 28, 28))
    with pytest.raises(RuntimeError, match="call backward first"):
        net.gradient("relu_1")


def test_a_pass_that_failed_leaves_nothing_to_go_back_from():
    class Fails(isbe.Layer):
        def forward(self, step):
            raise ArithmeticError("broken")

    net = isbe.Sequential((3,), isbe.Dense(3), Fails())
    with pytest.raises(ArithmeticError):
        net.forward(batch(1, 3))
    with pytest.raises(RuntimeError, match="call forward first"):
        net.backward(batch(1, 3))


@pytest.mark.parametrize("out", [np.zeros((5, 10), np.float32), np.zeros((1, 10)), [0.0] * 10],
                         ids=["too many rows", "float64", "a list"])
def test_room_for_scores_must_fit(out):
    with pytest.raises(ValueError, match=r"out to be an array of shape \(1, 10\) and float32"):
        isbe.networks.n0().forward(batch(1, 1, 28, 28), out=out)


class Parts(isbe.layers.Layer):
    """A layer of one's own, with parameters or arrays of state of these names."""

    def __init__(self, *parts, kind="weights", name=None):
        super().__init__(name)
        self.parts, self.kind = parts, kind

    def weights(self, *shapes):
        return {part: Weights(shapes[0]) for part in self.parts if self.kind == "weights"}

    def state(self, *shapes):
        return {part: Weights(shapes[0]) for part in self.parts if self.kind == "state"}

    def settings(self):
        return ", ".join(map(repr, self.parts))


@pytest.mark.parametrize("kind", ["weights", "state"])
@pytest.mark.parametrize("one, other", [(("a", "b.c"), ("a.b", "c")), (("a.b", "c"), ("a", "b.c")), (("a", ".b"), ("a.", "b")),
                                        (("a.b.c", ""), ("a", "b.c.")), (("parts", "x.y"), ("parts.x", "y"))], ids=str)
def test_two_arrays_of_one_name_are_refused(kind, one, other):
    """They would share their memory, and a place in every file."""
    layers = [Parts(part, kind=kind, name=name) for name, part in (one, other)]
    name = f"{one[0]}.{one[1]}"
    with pytest.raises(ValueError) as caught:
        isbe.Sequential((3,), *layers)
    assert str(caught.value) == (f"Graph has two arrays called {name!r}: {one[1]!r} of {layers[0]!r} and {other[1]!r} of "
                                 f"{layers[1]!r}. Give one of the layers another name.")


def test_names_that_only_look_alike_are_two():
    names = ["a", "a.b", "A", "a_1", "a/b", "a b", "a\0", "parameters/a", "a.b.c.d"]
    net = isbe.Sequential((3,), *(Parts("x", "x/y", name=name) for name in names), Parts("x"), Parts("x"))
    assert len({parameter.name for parameter in net.parameters()}) == len(net.parts(net.values)) == 2 * len(names) + 2
    for n, parameter in enumerate(net.parameters()):
        parameter.value[...] = n
    assert [parameter.value[0] for parameter in net.parameters()] == list(range(2 * len(names) + 2))


def test_a_layer_in_two_places_has_its_parameters_once():
    layer, image = Parts("b.c", name="a"), isbe.Input((3,))
    assert [p.name for p in isbe.Graph(image, layer(layer(image))).parameters()] == ["a.b.c"]


def test_names_steer_no_terminal():
    """They may come out of somebody's file."""
    net = isbe.Sequential((3,), isbe.Dense(2, name="a\x1b[2J\nb\u202e"))
    assert all(line.isprintable() for line in net.summary().split("\n")) and r"a\x1b[2J\nb\u202e  Dense(" in net.summary()
    net.forward(np.zeros((1, 3), np.float32))
    with pytest.raises(ValueError) as caught:
        net.value("none")
    assert str(caught.value).isprintable()


def test_no_more_plans_are_kept_than_a_training_needs():
    """Those used last stay: a fifth batch size takes the place of the one that was used longest ago."""
    net = isbe.Sequential((3,), isbe.Dense(2))
    for N in (1, 2, 3, 4, 1, 5, 6):
        net.forward(np.ones((N, 3), np.float32))
    assert [N for N, _ in net._plans] == [4, 1, 5, 6]


def test_a_shared_layer_is_counted_once():
    vector = isbe.Input(4)
    shared, other = isbe.Dense(4, name="shared"), isbe.Dense(4, name="other")
    nets = [isbe.Graph(vector, second(isbe.Tanh()(shared(vector)))) for second in (shared, other)]
    assert [len(net.parameters()) for net in nets] == [2, 4] and ["20 parameters" in str(net) for net in nets] == [True, False]
    table = nets[0].summary()
    assert [line.split()[-2] for line in table.splitlines()[2:] if line.startswith("shared")] == ["20", "0"]
    assert table.endswith("20 parameters, float32") and nets[1].summary().endswith("40 parameters, float32")
    one, two = (net.memory(1).parameters for net in nets)
    assert two == 2 * one


def test_a_network_is_called_with_a_batch():
    net, x = isbe.Sequential((3,), isbe.Dense(4), isbe.Dropout(0.5), isbe.Dense(2)), np.ones((2, 3), np.float32)
    assert np.array_equal(net(x), net.forward(x)) and not np.array_equal(net(x, training=True), net(x))
    with pytest.raises(TypeError, match="Graph expects a batch of numbers; got <node of shape"):
        net(isbe.Input(3))
