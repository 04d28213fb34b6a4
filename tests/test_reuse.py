"""Buffers are used again: a second pass must not see what the first left, in any layer, order of calls or set of kernels."""

import numpy as np
import pytest

import isbe_np as isbe

pytestmark = pytest.mark.usefixtures("kernels")

LAYERS = [isbe.Conv2D(3, 3, padding=1), isbe.Conv2D(5, (2, 3), stride=2), isbe.MaxPool2D(3, stride=1, padding=1),
          isbe.MaxPool2D(2), isbe.AveragePool2D(3, stride=2, padding=1), isbe.Flatten(), isbe.ReLU(), isbe.LeakyReLU(0.2),
          isbe.Sigmoid(), isbe.Tanh(), isbe.HardSigmoid(), isbe.HardTanh(), isbe.GELU(), isbe.Dropout(0.5),
          isbe.BatchNorm(), isbe.LayerNorm(), isbe.GlobalAveragePool(), isbe.Patches(1)]
OF_TOKENS = [isbe.LayerNorm(), isbe.PositionEmbedding(), isbe.MeanTokens(), isbe.Dense(3), isbe.MultiHeadSelfAttention(2)]


def network(layer):
    """`layer` behind a convolution; its value has two readers, so that its gradient is added up."""
    image = isbe.Input((2, 5, 6))
    before = isbe.Conv2D(2, 3, padding=1, name="before")(image)
    first = layer(isbe.Patches(1)(before) if layer in OF_TOKENS else before)
    both = isbe.Add()(first, isbe.Tanh()(first))
    flat = both if len(both.shape) == 1 else isbe.Flatten()(both)
    return isbe.Graph(image, isbe.Dense(3)(flat), seed=1, dtype=np.float64)


def passes(net, x, error, training=False, **options):
    """Scores and all gradients of one forward and one backward pass."""
    scores = net.forward(x, training)
    dx = net.backward(error, **options)
    return [scores, net.grads.copy(), *([] if dx is None else [dx])]


def same(one, other):
    """The same bits."""
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("layer", LAYERS + OF_TOKENS, ids=repr)
def test_a_pass_forgets_the_one_before(layer, random):
    """After another batch, another error and other weights, the results are those of a fresh graph.

    In training, but for dropout, which then draws on from where it was; what batch norm remembers is for evaluation alone.
    """
    options = {"training": not isinstance(layer, isbe.Dropout), "input_gradient": True}
    x, z = random.normal(size=(2, 3, 2, 5, 6))
    error, other = random.normal(size=(2, 3, 3))
    used, fresh = network(layer), network(layer)
    kept = used.values.copy()
    used.values[...] = random.normal(size=kept.size)
    passes(used, z, other, **options)
    used.values[...] = kept
    assert same(passes(used, x, error, **options), passes(fresh, x, error, **options))
    assert same(passes(used, x, error, **options), passes(fresh, x, error, **options))


@pytest.mark.parametrize("layer", LAYERS + OF_TOKENS, ids=repr)
def test_a_backward_pass_whose_planning_was_stopped_is_planned_again(layer, random, monkeypatch):
    """Stopped at each of its buffers in turn, by Ctrl-C in a notebook, which goes on afterwards; a lack of memory is alike."""
    x, error = random.normal(size=(3, 2, 5, 6)), random.normal(size=(3, 3))
    wanted = {asked: passes(network(layer), x, error, input_gradient=asked) for asked in (False, True)}
    make, stops = np.zeros, {False: 0, True: 0}

    def stopping_at(number):
        before = iter(range(number))

        def zeros(*given, **options):
            if next(before, None) is None:
                raise KeyboardInterrupt
            return make(*given, **options)
        return zeros

    for first in (False, True):
        net = network(layer)
        while True:
            passes(net, x, error, input_gradient=first)
            with monkeypatch.context() as patched:
                patched.setattr(np, "zeros", stopping_at(stops[first]))
                try:
                    net.backward(error, input_gradient=not first)
                    break
                except KeyboardInterrupt:
                    stops[first] += 1
            with pytest.raises(RuntimeError, match="needs a backward pass"):
                net.gradient("before")
            for asked in (first, not first):
                assert same(passes(net, x, error, input_gradient=asked), wanted[asked]), f"buffer {stops[first]}"
    assert min(stops.values()) > 2


@pytest.mark.parametrize("value", ["none", "all"])
def test_the_input_gradient_may_be_asked_for_later(value, random):
    """A graph that first went back without it gives the right one, not the zeros of a buffer nobody wrote."""
    x, error = random.normal(size=(3, 2, 5, 6)), random.normal(size=(3, 3))
    net, fresh = network(isbe.Tanh()), network(isbe.Tanh())
    wanted = passes(fresh, x, error, input_gradient=True)
    passes(net, x, error)
    if value == "all":
        passes(net, x, error)
    assert same(passes(net, x, error, input_gradient=True), wanted) and wanted[2].any()


def test_dropout_after_an_evaluation_passes_every_error(random):
    """Backward belongs to the last forward pass, which dropped nothing."""
    net = isbe.Sequential((50,), isbe.Dropout(0.5), dtype=np.float64)
    x = np.ones((4, 50))
    net.forward(x, training=True)
    assert not net.backward(x, input_gradient=True).all()
    net.forward(x)
    assert (net.backward(x, input_gradient=True) == 1).all()


def test_dropout_draws_from_the_seed():
    """Another seed drops others."""
    x = np.ones((4, 50))
    one, other = (isbe.Sequential((50,), isbe.Dropout(0.5), dtype=np.float64, seed=seed).forward(x, training=True)
                  for seed in (0, 1))
    assert (one != other).any()


def test_a_gradient_by_name_belongs_to_the_last_forward_pass(random):
    """After a new forward pass there is none until backward is called again."""
    net = network(isbe.ReLU())
    x = random.normal(size=(3, 2, 5, 6))
    net.forward(x)
    net.backward(np.ones((3, 3)))
    assert net.gradient("before").shape == (3, 2, 5, 6)
    net.forward(x)
    with pytest.raises(RuntimeError, match="call backward first"):
        net.gradient("before")


def test_leaky_slopes_are_each_layers_own():
    """Two layers of two slopes in one graph."""
    net = isbe.Sequential((1,), isbe.LeakyReLU(0.5), isbe.LeakyReLU(0.25), dtype=np.float64)
    assert net.forward(np.array([[-8.0]])) == -1


def test_the_same_backward_pass_after_one_with_the_input_gradient(random):
    """The two kinds of backward pass have plans of their own, and share the steps."""
    x = random.normal(size=(3, 2, 5, 6))
    error, other = random.normal(size=(2, 3, 3))
    net, fresh = network(isbe.Tanh()), network(isbe.Tanh())
    passes(net, x, error)
    passes(net, x, other, input_gradient=True)
    assert same(passes(net, x, other), passes(fresh, x, other))


def test_each_batch_size_has_buffers_of_its_own(random):
    """A smaller batch, as the last of an epoch, and then the larger one again."""
    net, fresh = network(isbe.ReLU()), network(isbe.ReLU())
    x, error = random.normal(size=(4, 2, 5, 6)), random.normal(size=(4, 3))
    whole = passes(fresh, x, error, input_gradient=True)
    for n in (4, 3, 4, 1):
        scores, _, dx = passes(net, x[:n], error[:n], input_gradient=True)
        assert np.allclose(scores, whole[0][:n], rtol=0, atol=1e-13) and np.allclose(dx, whole[2][:n], rtol=0, atol=1e-13)
