"""Batch and layer norm in graphs: gradients through the statistics, what is remembered and where, and what is refused."""

import copy
import pickle

import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.layers.normalization import BatchNorm, LayerNorm

COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda net: pickle.loads(pickle.dumps(net))}


def behind(*layers):
    """A function that makes a graph of `layers` behind an input of a shape, its parameters away from 1 and 0."""
    return lambda shape, **options: stirred(isbe.Sequential(shape, *layers, **options))


def stirred(net):
    random = np.random.default_rng(3)
    net.values += random.normal(0, 0.3, net.values.size).astype(net.dtype)
    for array in net.state().values():
        array += random.uniform(0, 0.5, array.shape).astype(net.dtype)
    return net


def residual(layer, shape):
    """x + layer(tanh x) times two: the value before is read twice, and so is the layer's."""
    first = isbe.Input(shape)
    x = isbe.Tanh()(first)
    y = layer(x)
    return stirred(isbe.Graph(first, isbe.Add()(x, y, isbe.Tanh()(y)), dtype=np.float64))


def twice(layer, shape):
    """The same layer in two places."""
    first = isbe.Input(shape)
    return stirred(isbe.Graph(first, layer(isbe.Tanh()(layer(first))), dtype=np.float64))


# In each layout: the batch last behind a convolution, first on the input; vectors both ways, as of a Flatten. Straight behind
# a layer with a bias that layer's gradient by it would be 0, as the mean takes every bias off again.
NETS = {
    "vectors": (behind(BatchNorm()), (5,)),
    "vectors with the batch last": (behind(isbe.MaxPool2D(1), isbe.Flatten(), BatchNorm()), (2, 1, 2)),
    "images": (behind(isbe.Conv2D(3, 2), isbe.Tanh(), BatchNorm(), isbe.Tanh()), (2, 3, 4)),
    "images with the batch first": (behind(BatchNorm(), isbe.Conv2D(1, 2)), (2, 3, 2)),
    "images of one pixel": (behind(BatchNorm(), isbe.Flatten(), isbe.Dense(2)), (3, 1, 1)),
    "before pooling": (behind(isbe.MaxPool2D(1), BatchNorm(eps=0.1), isbe.ReLU(), isbe.AveragePool2D(2)), (1, 4, 4)),
    "between dense layers": (behind(isbe.Dense(4), isbe.Sigmoid(), BatchNorm(), isbe.Dense(2)), (3,)),
    "layer norm of vectors": (behind(LayerNorm()), (5,)),
    "layer norm of tokens": (behind(LayerNorm(eps=0.01)), (3, 4)),
    "layer norm of images": (behind(isbe.Conv2D(2, 1), isbe.Tanh(), LayerNorm()), (2, 2, 3)),
}
every_net = pytest.mark.parametrize("name", NETS)


def made(name, dtype=np.float64, **options):
    make, shape = NETS[name]
    return make(shape, dtype=dtype, **options), shape


@every_net
@pytest.mark.parametrize("N", [3, 4])
def test_gradients_in_training(name, N, random):
    net, shape = made(name)
    assert isbe.check_gradients(net, random.normal(size=(N, *shape))).worst < 1e-6


@every_net
@pytest.mark.parametrize("N", [1, 3])
def test_gradients_in_evaluation(name, N, random):
    """By running statistics, which are constants."""
    net, shape = made(name)

    def function(x):
        return net.forward(x), lambda dy: net.backward(dy, input_gradient=True)
    assert isbe.check_gradients(function, random.normal(size=(N, *shape))).worst < 1e-6


@every_net
def test_parameter_gradients_in_evaluation(name, random):
    net, shape = made(name)
    x = random.normal(size=(3, *shape))
    error = random.normal(size=net.forward(x).shape)
    net.backward(error)
    for k in range(0, net.values.size, 3):
        kept, values = net.values[k], []
        for h in (6e-6, -6e-6):
            net.values[k] = kept + h
            values.append((net.forward(x) * error).sum())
        net.values[k] = kept
        assert net.grads[k] == pytest.approx((values[0] - values[1]) / 12e-6, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("layer, shape", [(BatchNorm(), (3,)), (BatchNorm(), (2, 2, 3)), (LayerNorm(), (4,)),
                                          (LayerNorm(), (2, 3))], ids=repr)
@pytest.mark.parametrize("make", [residual, twice])
def test_gradients_where_a_value_or_the_layer_is_used_twice(make, layer, shape, random):
    isbe.check_gradients(layer, random.normal(size=(4, *shape)))
    isbe.check_gradients(make(layer, shape), random.normal(size=(4, *shape)))


@pytest.mark.parametrize("shape", [(6,), (3, 4, 5)])
def test_a_new_batch_norm_gives_mean_0_and_deviation_1(shape, dtype, random, assert_close):
    net = isbe.Sequential(shape, BatchNorm(), dtype=dtype)
    x = random.normal(3, 2, size=(7, *shape)).astype(dtype)
    axes = (0,) if len(shape) == 1 else (0, 2, 3)
    y, wide = net.forward(x, training=True), np.float64(x)
    assert_close(y, (wide - wide.mean(axes, keepdims=True)) / np.sqrt(wide.var(axes, keepdims=True) + 1e-5))
    # Nothing is known before the first batch: evaluation starts with mean 0 and variance 1.
    assert_close(isbe.Sequential(shape, BatchNorm(), dtype=dtype).forward(x), wide / np.sqrt(1 + 1e-5))


@pytest.mark.parametrize("layer, axis", [(BatchNorm(eps=0.5), 0), (LayerNorm(eps=0.5), 1)], ids=repr)
def test_eps_is_the_layers_own(layer, axis, dtype, random, assert_close):
    x = random.normal(size=(6, 5)).astype(dtype)
    y, wide = isbe.Sequential((5,), layer, dtype=dtype).forward(x, training=True), np.float64(x)
    assert_close(y, (wide - wide.mean(axis, keepdims=True)) / np.sqrt(wide.var(axis, keepdims=True) + 0.5))


def test_running_statistics_follow_the_batches(dtype, random, assert_close):
    net = isbe.Sequential((3, 2, 2), BatchNorm(momentum=0.25), dtype=dtype)
    state = net.state()
    assert list(state) == ["batchnorm_1.mean", "batchnorm_1.variance"]
    mean, variance = np.zeros(3), np.ones(3)
    for N in (5, 1, 2):
        x = random.normal(1, 3, size=(N, 3, 2, 2)).astype(dtype)
        net.forward(x, training=True)
        wide = np.float64(x)
        mean += 0.25 * (wide.mean((0, 2, 3)) - mean)
        variance += 0.25 * (wide.var((0, 2, 3)) * 4 * N / (4 * N - 1) - variance)
        assert_close(state["batchnorm_1.mean"], mean)
        assert_close(state["batchnorm_1.variance"], variance)
    kept = [array.copy() for array in state.values()]
    y = net.forward(x)
    assert_close(y, (wide - mean[:, None, None]) / np.sqrt(variance[:, None, None] + 1e-5), factor=2)
    net.backward(np.ones_like(y))
    assert all((a == b).all() for a, b in zip(kept, net.state().values(), strict=True))


def test_what_is_remembered_is_no_parameter(random):
    net = isbe.Sequential((4,), isbe.Dense(3), BatchNorm(name="norm"), dtype=np.float64)
    assert [p.name for p in net.parameters()] == ["dense_1.weight", "dense_1.bias", "norm.scale", "norm.shift"]
    assert (net.parameters()[2].value == 1).all() and (net.parameters()[3].value == 0).all()
    assert list(net.state()) == ["norm.mean", "norm.variance"]
    net.forward(random.normal(size=(5, 4)), training=True)
    net.backward(random.normal(size=(5, 3)))
    kept = [array.copy() for array in net.state().values()]
    isbe.SGD(0.1, weight_decay=0.5).step(net)
    assert all((a == b).all() for a, b in zip(kept, net.state().values(), strict=True))


def test_networks_without_memory_have_none():
    assert isbe.networks.n0().state() == {} and isbe.Sequential((3, 4), LayerNorm()).state() == {}


def test_what_is_remembered_is_written_in_place(random):
    """As from a checkpoint: it counts from the next pass on, for every batch size that was seen before."""
    net, other = (isbe.Sequential((4,), BatchNorm(), dtype=np.float64) for _ in range(2))
    x = random.normal(size=(5, 4))
    net.forward(x)
    for _ in range(3):
        other.forward(x, training=True)
    for name, array in other.state().items():
        net.state()[name][...] = array
    assert (net.forward(x) == other.forward(x)).all() and (net.forward(x[:2]) == other.forward(x[:2])).all()


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_a_copy_has_what_is_remembered_and_goes_its_own_way(copied, random):
    net = isbe.Sequential((2, 3, 3), isbe.Conv2D(3, 2), BatchNorm(), isbe.ReLU(), dtype=np.float64)
    x = random.normal(size=(4, 2, 3, 3))
    net.forward(x, training=True)
    scores = net.forward(x)
    twin = copied(net)
    assert list(twin.state()) == list(net.state()) and (twin.forward(x) == scores).all()
    twin.forward(x, training=True)
    assert (twin.forward(x) != scores).any() and (net.forward(x) == scores).all()


def test_one_layer_in_two_places_shares_statistics_and_in_two_graphs_does_not(random):
    layer, first = BatchNorm(momentum=0.5), isbe.Input((2,))
    net = isbe.Graph(first, layer(isbe.Tanh()(layer(first))), dtype=np.float64)
    assert len(net.parameters()) == 2 and list(net.state()) == ["batchnorm_1.mean", "batchnorm_1.variance"]
    other = isbe.Sequential((2,), layer, dtype=np.float64)
    x = random.normal(3, 1, size=(6, 2))
    net.forward(x, training=True)
    second = net.value("tanh_1").mean(0)
    np.testing.assert_allclose(net.state()["batchnorm_1.mean"], (x.mean(0) / 2 + second) / 2, rtol=1e-12)
    assert (other.state()["batchnorm_1.mean"] == 0).all()


def test_each_place_goes_back_through_its_own_statistics(random):
    """Evaluation after training, and training after evaluation: backward belongs to the last forward pass."""
    x, error = random.normal(size=(2, 4, 3))
    for training in (True, False):
        net, fresh = (stirred(isbe.Sequential((3,), BatchNorm(), dtype=np.float64)) for _ in range(2))
        net.forward(error, training=not training)
        for name, array in fresh.state().items():
            net.state()[name][...] = array
        got, wanted = ([g.forward(x, training), g.backward(error, True), g.grads] for g in (net, fresh))
        assert all((a == b).all() for a, b in zip(got, wanted, strict=True))


@every_net
def test_a_pass_forgets_the_one_before(name, random):
    net, shape = made(name)
    fresh, x = made(name)[0], random.normal(size=(4, *shape))
    error = random.normal(size=net.forward(x, training=True).shape)
    net.forward(2 * x - 1, training=True)
    net.backward(3 * error, input_gradient=True)
    for backward in (False, True, False):
        got, wanted = ([g.forward(x, True), g.backward(error, backward), g.grads] for g in (net, fresh))
        assert all(a is b is None or (a == b).all() for a, b in zip(got, wanted, strict=True))


@every_net
def test_fused_networks_give_the_same_bits(name, random):
    nets = [made(name, np.float32, fuse=fuse)[0] for fuse in (True, False)]
    x = random.normal(size=(4, *nets[0].nodes[0].shape)).astype(np.float32)
    error = random.normal(size=nets[0].forward(x).shape).astype(np.float32)
    one, other = ([net.forward(x, True), net.backward(error, True), net.grads, *net.state().values()] for net in nets)
    assert all((a == b).all() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("layer, shape", [(BatchNorm(), (5,)), (BatchNorm(), (3, 3, 5)), (LayerNorm(), (7,)),
                                          (LayerNorm(), (3, 5))], ids=repr)
def test_in_evaluation_no_example_depends_on_another(layer, shape, dtype, random):
    net = stirred(isbe.Sequential(shape, layer, dtype=dtype))
    x, error = random.normal(size=(2, 11, *shape)).astype(dtype)
    y, dx = net.forward(x), net.backward(error, input_gradient=True)
    for k in (1, 2, 5, 10):
        assert (net.forward(x[:k]) == y[:k]).all() and (net.backward(error[:k], input_gradient=True) == dx[:k]).all()


def test_layer_norm_does_the_same_in_training(random):
    net = stirred(isbe.Sequential((3, 4), LayerNorm(), dtype=np.float64))
    x = random.normal(size=(2, 3, 4))
    assert (net.forward(x) == net.forward(x, training=True)).all()


def test_memory_is_counted_and_nothing_is_remembered_of_it():
    net = isbe.Sequential((3, 8, 8), BatchNorm())
    assert net.memory(16).work >= 4 * 8 * 3 and (net.state()["batchnorm_1.mean"] == 0).all()


def test_batch_norm_learns_through_train(random):
    """A training run with a last batch of one image, whose pixels are enough."""
    data = isbe.datasets.Dataset("noise", random.random((9, 1, 4, 4)).astype(np.float32), np.arange(9) % 2,
                                 random.random((2, 1, 4, 4)).astype(np.float32), np.arange(2), ("0", "1"), "Random numbers.")
    net = isbe.Sequential((1, 4, 4), isbe.Conv2D(3, 3), BatchNorm(), isbe.ReLU(), isbe.Flatten(), LayerNorm(), isbe.Dense(2))
    history = isbe.train(net, isbe.Head(), data, epochs=2, batch_size=4, optimizer=isbe.SGD(0.05), progress=False)
    assert history.steps == 6 and net.state()["batchnorm_1.mean"].any() and np.isfinite(net.values).all()


def test_one_vector_in_training_is_refused(random):
    net = isbe.Sequential((3,), isbe.Dense(2), BatchNorm(), dtype=np.float64)
    kept = [array.copy() for array in net.state().values()]
    with pytest.raises(ValueError, match=r"BatchNorm\(momentum=0.1, eps=1e-05\) expects more than one number of each channel "
                                         r"in training, as one alone has no variance; got a batch of one. Make batches larger"):
        net.forward(random.normal(size=(1, 3)), training=True)
    with pytest.raises(RuntimeError, match="call forward first"):
        net.backward(np.ones((1, 2)))
    assert all((a == b).all() for a, b in zip(kept, net.state().values(), strict=True))
    assert net.forward(random.normal(size=(1, 3))).shape == (1, 2)
    image = np.ones((1, 2, 1, 2), np.float32)
    assert (isbe.Sequential((2, 1, 2), BatchNorm()).forward(image, training=True) == 0).all()


def stands_twice():
    layer, first = BatchNorm(), isbe.Input((3,))
    return isbe.Graph(first, layer(isbe.Dense(2)(layer(first))))


REFUSALS = {
    "tokens": (lambda: BatchNorm()(isbe.Input((4, 3))),
               r"expects vectors \(C,\) or images \(C, H, W\); got shape \(4, 3\).*LayerNorm"),
    "no eps": (lambda: BatchNorm(eps=0), r"BatchNorm\(eps\) expects a finite number above 0; got 0"),
    "eps of nothing": (lambda: LayerNorm(eps=None), r"LayerNorm\(eps\) expects a finite number above 0; got None"),
    "eps of NaN": (lambda: LayerNorm(eps=float("nan")), r"LayerNorm\(eps\) expects a finite number above 0; got nan"),
    "no momentum": (lambda: BatchNorm(momentum=0), r"BatchNorm\(momentum\) expects a number above 0, up to 1; got 0"),
    "momentum above 1": (lambda: BatchNorm(1.5), r"BatchNorm\(momentum\) expects a number above 0, up to 1; got 1.5"),
    "two sizes": (stands_twice, r"stands in several places, where its scale would need the shapes \(3,\) and \(2,\)"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    make, sentence = REFUSALS[name]
    with pytest.raises(ValueError, match=sentence):
        make()
