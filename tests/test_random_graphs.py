"""Graphs drawn at random, by plain and by fast kernels: every value against NumPy, every gradient against differences."""

import math

import naive
import numba
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.layers.attention import Attention

SEEDS = range(6 if numba.config.DISABLE_JIT else 30)
# Numbers in the batch and in all parameters: so many differences are taken, each by two passes.
MOST = 300
ACTIVATIONS = (isbe.ReLU, isbe.LeakyReLU, isbe.Sigmoid, isbe.Tanh, isbe.HardSigmoid, isbe.HardTanh, isbe.GELU)
# What fits behind vectors, tokens and images, by the number of axes; the more often one stands here, the more often it comes.
KINDS = {
    1: [*4 * [isbe.Dense], isbe.BatchNorm, isbe.LayerNorm],
    2: [*2 * [isbe.Dense], *2 * [isbe.MultiHeadSelfAttention], isbe.LayerNorm, isbe.PositionEmbedding, isbe.MeanTokens],
    3: [*2 * [isbe.Conv2D], isbe.MaxPool2D, isbe.AveragePool2D, isbe.Flatten, isbe.GlobalAveragePool, isbe.BatchNorm,
        isbe.LayerNorm, *2 * [isbe.Patches]],
}
# What a layer keeps, in the order in which `naive.layer` takes it.
PARTS = "weight", "bias", "scale", "shift", "mean", "variance"


def draw_layer(random, node):
    """A layer that fits behind `node`, of a kind drawn at random."""
    kinds = [*ACTIVATIONS, isbe.Dropout] + KINDS[len(node.shape)]
    # Less their mean, one number is nothing, and of two hardly more than their order is left.
    kind = draw_one(random, [kind for kind in kinds if kind is not isbe.LayerNorm or node.shape[-1] > 2])
    if kind is isbe.Dense:
        return isbe.Dense(int(random.integers(2, 6)))
    if kind in (isbe.Dropout, isbe.BatchNorm, isbe.LayerNorm):
        return isbe.Dropout(0.5) if kind is isbe.Dropout else kind(eps=0.1)
    if kind is isbe.Patches:
        return isbe.Patches(draw_one(random, divisors(math.gcd(*node.shape[1:]))))
    if kind is isbe.MultiHeadSelfAttention:
        return kind(draw_one(random, divisors(node.shape[1])), causal=bool(random.random() < 0.5))
    if kind not in (isbe.Conv2D, isbe.MaxPool2D, isbe.AveragePool2D):
        return kind()
    sizes = [int(random.integers(1, min(3, n) + 1)) for n in node.shape[1:]]
    stride = tuple(random.integers(1, 3, 2).tolist())
    if kind is isbe.Conv2D:
        return isbe.Conv2D(int(random.integers(1, 4)), sizes, stride=stride, padding=tuple(random.integers(0, 2, 2).tolist()))
    return kind(sizes, stride=stride, padding=tuple(int(random.integers(0, k // 2 + 1)) for k in sizes))


def draw_one(random, things):
    return things[random.integers(len(things))]


def divisors(n):
    return [k for k in range(1, n + 1) if n % k == 0]


def draw_shape(random):
    """The shape of images, tokens or vectors."""
    choice = random.random()
    if choice < 0.6:
        return int(random.integers(1, 3)), *random.integers(3, 6, 2).tolist()
    return tuple(random.integers(2, 5, 2).tolist()) if choice < 0.8 else (int(random.integers(2, 7)),)


def draw_graph(random):
    """A graph of up to eleven layers behind one another, whose branches and joints are random.

    A step appends a node: a new layer behind any node so far, an earlier layer once more where its parameters fit, or the sum
    of nodes of one shape. At the end all nodes that nobody reads are flattened, and a Dense each makes them one sum of
    vectors.
    """
    first = isbe.Input(draw_shape(random))
    nodes, depth = [first], {first: 0}
    for _ in range(random.integers(4, 10)):
        parents = (draw_node(random, nodes, depth),)
        alike = [node for node in nodes if node.shape == parents[0].shape and depth[node] < 6]
        again = [node.layer for node in nodes if len(node.inputs) == 1 and node.inputs[0].shape == parents[0].shape]
        again = [layer for layer in again if isinstance(layer, (isbe.Dense, isbe.Conv2D))] or again
        choice = random.random()
        if choice < 0.25 and len(alike) > 1:
            picked = random.choice(len(alike), min(len(alike), int(random.integers(2, 4))), replace=False)
            parents, layer = tuple(alike[k] for k in picked), isbe.Add()
        elif choice < 0.45 and again:
            layer = draw_one(random, again)
        else:
            layer = draw_layer(random, parents[0])
        made = [layer(*parents)]
        while made[0].inputs != parents:  # the layers that attention consists of
            made.insert(0, made[0].inputs[0])
        for node in made:
            depth[node] = 1 + max(depth[parent] for parent in node.inputs)
        nodes += made
    return first, joined(random, nodes)


def draw_node(random, nodes, depth):
    """A node that still has room behind it, with a preference for the newest."""
    free = [node for node in nodes if depth[node] < 5]
    return free[-1] if random.random() < 0.5 else draw_one(random, free)


def joined(random, nodes):
    """One vector of three scores that depends on all nodes."""
    loose = [node for node in nodes if not any(node in other.inputs for other in nodes)]
    ends = [isbe.Dense(3)(isbe.Flatten()(node) if len(node.shape) > 1 else node) for node in loose]
    return isbe.Add()(*ends) if len(ends) > 1 else ends[0]


def draw(seed):
    """A graph of seed `seed` small enough, with a batch for it."""
    random = np.random.default_rng([20231127, seed])
    while True:
        net = isbe.Graph(*draw_graph(random), seed=seed, dtype=np.float64)
        # In training batch norm needs some numbers: of one there is no variance, of two there is hardly a gradient.
        least = 3 if net.state() else 1
        N = int(random.integers(least, least + 3))
        x = random.normal(size=(N, *net.nodes[0].shape))
        if x.size + sum(parameter.value.size for parameter in net.parameters()) > MOST:
            continue
        for parameter in net.parameters():
            parameter.value[...] += 0.3 * random.normal(size=parameter.value.shape)
        for array in net.state().values():
            array += random.uniform(0, 0.5, array.shape)
        if decided(net, x, training=False) and decided(net, x, training=True):
            return net, x


def decided(net, x, training, margin=1e-4):
    """Whether no node's numbers are so near a corner of its reader, or two pixels so near each other, that steps cross it.

    And whether something moves at each parameter: a check of zeros would prove nothing. Such is a bias straight before a batch
    norm in training, which takes it off again.
    """
    draws, kept = net.random.bit_generator.state, {name: array.copy() for name, array in net.state().items()}
    out = net.forward(x, training)
    net.random.bit_generator.state = draws
    for name, array in net.state().items():
        array[...] = kept[name]
    by_input = net.backward(np.linspace(1, 2, out.size).reshape(out.shape), input_gradient=True)
    if not all(np.abs(grad).max() > 1e-3 for grad in (by_input, *(parameter.grad for parameter in net.parameters()))):
        return False
    for node in net.nodes:
        corners = naive.CORNERS.get(type(node.layer).__name__, ())
        values = net.value(net.names[node.inputs[0]]) if node.inputs else x
        # What dropout makes 0 stays there.
        values = values[values != 0] if training else values
        if any((np.abs(values - corner) < margin).any() for corner in corners):
            return False
        if isinstance(node.layer, isbe.MaxPool2D) and np.diff(np.unique(values)).min(initial=1) < 1e-5:
            return False
    return True


def recomputed(net, x):
    """Every node's value by plain NumPy, by name."""
    arrays = {parameter.name: parameter.value for parameter in net.parameters()} | net.state()
    owner, values = {}, {}
    for node in net.nodes:
        name = net.names[node]
        prefix = owner.setdefault(node.layer, name)
        own = [arrays[f"{prefix}.{part}"] for part in PARTS if f"{prefix}.{part}" in arrays]
        inputs = [values[net.names[parent]] for parent in node.inputs]
        values[name] = naive.layer(node.layer, inputs, *own) if node.inputs else x
    return values


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("seed", SEEDS)
def test_every_value_of_a_random_graph_is_numpys(seed):
    net, x = draw(seed)
    net.forward(x)
    for name, wanted in recomputed(net, x).items():
        got = net.value(name)
        assert got.shape == wanted.shape, name
        assert np.abs(got - wanted).max() <= 1e-13 * max(1, np.abs(wanted).max()), f"{name}\n{net.summary()}"


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("seed", SEEDS)
def test_every_gradient_of_a_random_graph_is_that_of_differences(seed):
    net, x = draw(seed)
    report = isbe.check_gradients(net, x)
    assert report.worst < 1e-6 and sum(row.kinks for row in report.checked) == 0, net.summary()
    assert sum(row.elements for row in report.checked) <= MOST
    assert len(report.checked) == 1 + len(net.parameters())


def test_the_graphs_drawn_hold_every_layer_and_every_kind_of_joint():
    nets = [draw(seed)[0] for seed in range(30)]
    kinds = {type(node.layer) for net in nets for node in net.nodes}
    wanted = {*ACTIVATIONS, isbe.Dropout, isbe.Add, Attention, *KINDS[1], *KINDS[2], *KINDS[3]}
    assert kinds >= wanted - {isbe.MultiHeadSelfAttention}
    assert sum(len({node.layer for node in net.nodes}) < len(net.nodes) for net in nets) >= 5, "layers in two places"
    assert sum(len(net.parameters()) < 2 * sum(isinstance(node.layer, (isbe.Dense, isbe.Conv2D)) for node in net.nodes)
               for net in nets) >= 3, "parameters in two places"
    readers = [sum(node in other.inputs for other in net.nodes) for net in nets for node in net.nodes]
    assert max(readers) >= 3 and sum(n >= 2 for n in readers) >= 20
    assert 6 <= max(map(depth, nets)) <= 8
    assert {len(net.nodes[0].shape) for net in nets} == {1, 2, 3}


def depth(net):
    """Layers on the longest path."""
    steps = {}
    for node in net.nodes:
        steps[node] = 1 + max((steps[parent] for parent in node.inputs), default=-1)
    return max(steps.values())
