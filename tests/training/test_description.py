"""Networks, heads and optimizers as plain data: all of them come back, and nothing else can be made of what a file says."""

import copy
import inspect
import itertools
import json
import math
import re
import sys

import numpy as np
import pytest

import isbe_np as isbe
from isbe_np import layers
from isbe_np.graph import Graph
from isbe_np.heads.choices import BUILT_IN
from isbe_np.layers.attention import Attention, Projection
from isbe_np.networks import NETWORKS
from isbe_np.storage.json_data import misfit
from isbe_np.training import description
from isbe_np.training.description import LAYERS, OPTIMIZERS
from isbe_np.training.optimizers import Optimizer

# Each layer with no setting at its default, and the shape of an input.
EXAMPLES = {
    "GELU": (layers.GELU("n"), (4,)),
    "Add": (layers.Add("n"), (4,)),
    "Attention": (Attention(2, True, "n"), (3, 12)),
    "AveragePool2D": (layers.AveragePool2D((2, 3), (1, 2), (1, 0), "n"), (2, 6, 6)),
    "BatchNorm": (layers.BatchNorm(0.25, 1e-3, "n"), (2, 6, 6)),
    "Conv2D": (layers.Conv2D(3, (2, 3), (1, 2), (0, 1), "n"), (2, 6, 6)),
    "Dense": (layers.Dense(5, "n"), (4,)),
    "Dropout": (layers.Dropout(0.125, "n"), (4,)),
    "Embedding": (layers.Embedding(7, 3, "n"), (4,)),
    "Flatten": (layers.Flatten("n"), (2, 6, 6)),
    "GlobalAveragePool": (layers.GlobalAveragePool("n"), (2, 6, 6)),
    "HardSigmoid": (layers.HardSigmoid("n"), (4,)),
    "HardTanh": (layers.HardTanh("n"), (4,)),
    "LayerNorm": (layers.LayerNorm(1e-3, "n"), (3, 4)),
    "LeakyReLU": (layers.LeakyReLU(0.25, "n"), (4,)),
    "MaxPool2D": (layers.MaxPool2D((2, 3), (1, 2), (1, 0), "n"), (2, 6, 6)),
    "MeanTokens": (layers.MeanTokens("n"), (3, 4)),
    "Patches": (layers.Patches(3, "n"), (2, 6, 6)),
    "PositionEmbedding": (layers.PositionEmbedding("n"), (3, 4)),
    "Projection": (Projection(3, "n"), (3, 4)),
    "ReLU": (layers.ReLU("n"), (4,)),
    "Sigmoid": (layers.Sigmoid("n"), (4,)),
    "Tanh": (layers.Tanh("n"), (4,)),
}


def of_a_file(told, pattern):
    """What was told, once it went through JSON; it fits its pattern."""
    found = json.loads(json.dumps(told))
    assert misfit(found, pattern) is None
    return found


def remade(net, own=()):
    """The network that a file would give."""
    told = of_a_file(description.network(net), description.NETWORK)
    nodes = description.nodes_of(told, own)
    return Graph(nodes[0], nodes[-1], told["seed"], description.DTYPES[told["dtype"]], told["fuse"])


def same(one, other):
    """Whether two networks are told of alike, and hold the same arrays by the same names."""
    arrays = [[(p.name, p.value.tobytes()) for p in net.parameters()] + [(n, a.tobytes()) for n, a in net.state().items()]
              for net in (one, other)]
    return (description.network(one) == description.network(other) and arrays[0] == arrays[1]
            and one.summary() == other.summary()
            and description.same_network(description.network(one), description.network(other)) is None)


def in_a_graph(layer, shape):
    """A network of one layer, or of what it stands for."""
    start = isbe.Input(shape, name="start")
    return Graph(start, layer(start, start) if layer.arity is None else layer(start), seed=3)


def test_every_layer_that_can_stand_in_a_graph_may_be_made():
    """A layer that is added to the package must be added to the list, and to the examples here."""
    public = {thing for name in layers.__all__ if inspect.isclass(thing := getattr(layers, name))
              and issubclass(thing, isbe.Layer)} - {isbe.Layer}
    stand = {type(node.layer) for node in in_a_graph(isbe.layers.MultiHeadSelfAttention(2), (3, 4)).nodes[1:]}
    assert set(LAYERS.values()) == public - {layers.MultiHeadSelfAttention} | stand
    assert LAYERS.keys() == EXAMPLES.keys() and all(kind.__name__ == name for name, kind in LAYERS.items())


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_layer_comes_back_with_all_its_settings(kind):
    layer, shape = EXAMPLES[kind]
    told = description.network(in_a_graph(layer, shape))["layers"][1]
    parameters = inspect.signature(LAYERS[kind]).parameters
    assert type(layer) is LAYERS[kind] and told["kind"] == kind and told["settings"].keys() == parameters.keys()
    for name, parameter in parameters.items():
        assert getattr(layer, name) != parameter.default, f"{name} should not be at its default here"
    net = in_a_graph(layer, shape)
    found = remade(net)
    assert same(found, net) and found.nodes[1].layer is not layer and found.nodes[0].layer.name == "start"
    for name in parameters:
        assert getattr(found.nodes[1].layer, name) == getattr(layer, name)
        assert type(getattr(found.nodes[1].layer, name)) is type(getattr(layer, name))


@pytest.mark.parametrize("name", [*NETWORKS, "characters"])
def test_every_network_comes_back(name, dtype):
    net = getattr(isbe.networks, name)(seed=11, dtype=dtype, fuse=False)
    found = remade(net)
    assert same(found, net) and (found.seed, found.dtype, found.fuse) == (11, dtype, False)


def test_a_layer_in_several_places_is_one_again():
    start = isbe.Input(4)
    dense = isbe.Dense(4, name="twice")
    net = Graph(start, isbe.Add()(dense(dense(start)), start))
    found = remade(net)
    assert same(found, net) and len(found.parameters()) == 2
    assert found.nodes[1].layer is found.nodes[2].layer


def test_the_input_alone_is_a_network():
    start = isbe.Input((1, 2, 2))
    assert remade(Graph(start, start)).nodes[0].shape == (1, 2, 2)


class Scaled(isbe.Layer):
    """A layer of one's own that keeps its arguments."""

    def __init__(self, factor, name=None):
        super().__init__(name)
        self.factor = factor


class Hidden(isbe.Layer):
    """One that keeps its argument by another name."""

    def __init__(self, amount):
        super().__init__()
        self.factor = amount


class Doubled(isbe.Layer):
    """One that keeps another number than it is given."""

    def __init__(self, factor):
        super().__init__()
        self.factor = 2 * factor


def test_a_layer_of_ones_own_comes_back_where_its_class_is_passed():
    net = in_a_graph(Scaled(2.5, "n"), (4,))
    found = remade(net, [Scaled])
    assert same(found, net) and type(found.nodes[1].layer) is Scaled and found.nodes[1].layer.factor == 2.5
    with pytest.raises(ValueError, match=r"only where its class is passed, as in layers=\[Scaled\]"):
        remade(net)


@pytest.mark.parametrize("layer", [Hidden(2), Doubled(2), Scaled(object())], ids=["renamed", "doubled", "no plain data"])
def test_a_layer_that_cannot_be_made_anew_has_no_settings(layer):
    net = in_a_graph(layer, (4,))
    assert description.network(net)["layers"][1]["settings"] is None
    with pytest.raises(ValueError, match=f"the layer {type(layer).__name__!r} does not keep its arguments"):
        remade(net, [type(layer)])


def named(name, base):
    """A class of one's own that has this name."""
    return type(name, (base,), {})


def test_a_layer_of_ones_own_is_not_taken_for_the_packages_of_its_name():
    """Such as a student's first ReLU: it would be replaced by another without a word."""
    own = named("ReLU", isbe.Layer)
    start = isbe.Input(4)
    net = Graph(start, own()(isbe.ReLU()(start)))
    with pytest.raises(ValueError, match="a network with a layer 'ReLU' of somebody's own"):
        remade(net)
    found = remade(net, [own])
    assert [type(node.layer) for node in found.nodes[1:]] == [isbe.ReLU, own]
    other = Graph(start, isbe.ReLU()(isbe.ReLU()(start)))
    assert description.same_network(description.network(other), description.network(net))


def test_an_optimizer_of_ones_own_is_not_taken_for_the_packages_of_its_name():
    told = of_a_file(description.optimizer(named("SGD", isbe.SGD)(0.1)), description.OPTIMIZER)
    assert not told["built_in"] and description.make_optimizer(told) is None


FORBIDDEN = [
    "os.system", "canary", "canary.Layer", "numpy.ndarray", "Layer", "InputLayer", "Node", "Graph", "Sequential", "Activation",
    "MultiHeadSelfAttention", "Pool2D", "Optimizer", "__class__", "__import__", "__builtins__", "eval", "Dense.__init__",
    "isbe_np.layers.Dense", "dense", "Dense ", "", "input", "Input"]


@pytest.mark.parametrize("name", FORBIDDEN)
@pytest.mark.parametrize("built_in", [True, False])
def test_no_other_name_is_made_or_imported(name, built_in, tmp_path, monkeypatch):
    (tmp_path / "canary.py").write_text("from isbe_np import Layer")
    monkeypatch.syspath_prepend(tmp_path)
    told = description.network(in_a_graph(isbe.Dense(3), (4,)))
    told["layers"][1].update(kind=name, built_in=built_in, settings={})
    sentence = f"its layers should be of isbe_np; one is a {name!r}" if built_in else f"a network with a layer {name!r}"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        description.nodes_of(told)
    optimizer = description.optimizer(isbe.SGD(0.1)) | {"kind": name, "built_in": built_in}
    if built_in:
        with pytest.raises(ValueError, match="its optimizer should be one of SGD, Adam, AdamW; it is a "):
            description.make_optimizer(optimizer)
    else:
        assert description.make_optimizer(optimizer) is None
    assert "canary" not in sys.modules


def test_a_second_input_is_refused():
    told = description.network(in_a_graph(isbe.Dense(3), (4,)))
    told["layers"][1] = dict(told["layers"][0])
    with pytest.raises(ValueError, match="one is a 'Input'"):
        description.nodes_of(told)
    told = description.network(in_a_graph(isbe.Dense(3), (4,)))
    told["nodes"][1] = {"layer": 0, "reads": []}
    with pytest.raises(ValueError, match="depends on a second input"):
        description.nodes_of(told)


HOSTILE = [None, True, "2", "nan", "", [], [2], [2, 2, 2], [[2], [2]], {}, {"a": 2}, -1, 0, 0.5, -0.5, 1.5, 2**63, 10**30,
           10**300, 1e308, float("nan"), float("inf"), "\ud800\n", ["a", None]]
REFUSED = (ValueError, TypeError)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_settings_of_layers_that_are_none_are_refused_by_no_other_error(kind):
    """And what is taken, such as a name, makes no value that is too large."""
    told = of_a_file(description.network(in_a_graph(*EXAMPLES[kind])), description.NETWORK)
    names = list(told["layers"][1]["settings"])
    refused = 0
    for name, value in itertools.product([*names, "color", "self", "__class__"], HOSTILE):
        changed = copy.deepcopy(told)
        changed["layers"][1]["settings"][name] = value
        try:
            nodes = description.nodes_of(changed)
        except REFUSED:
            refused += 1
            continue
        assert name in names and math.prod(nodes[-1].shape) <= description.MOST_VALUES
    assert refused > len(HOSTILE) * (3 + len(names) / 2)


@pytest.mark.parametrize("settings", [
    None, [], "abc", {}, {"shape": 4.5}, {"shape": []}, {"shape": [0]}, {"shape": [-1]}, {"shape": "4"}, {"shape": [4.0]},
    {"shape": [True]}, {"shape": {"4": 4}}, {"shape": [4], "name": 3}, {"shape": [4], "more": 1}, {"shape": [2**27 + 1]},
    {"shape": [2**20, 2**20]}, {"shape": [10**300]}, {"shape": None}, {"shape": [[4]]}], ids=str)
def test_inputs_that_are_none_are_refused(settings):
    told = description.network(in_a_graph(isbe.ReLU(), (4,)))
    told["layers"][0]["settings"] = settings
    with pytest.raises(REFUSED):
        description.nodes_of(told)


@pytest.mark.parametrize("change", [
    {"nodes": []}, {"nodes": [{"layer": 0, "reads": []}, {"layer": 1, "reads": [1]}]},
    {"nodes": [{"layer": 0, "reads": []}, {"layer": 1, "reads": [-1]}]},
    {"nodes": [{"layer": 0, "reads": []}, {"layer": 2, "reads": [0]}]},
    {"nodes": [{"layer": 0, "reads": []}, {"layer": -1, "reads": [0]}]},
    {"nodes": [{"layer": 0, "reads": []}, {"layer": 1, "reads": [10**30]}]},
    {"nodes": [{"layer": 0, "reads": []}, {"layer": 1, "reads": []}]},
    {"nodes": [{"layer": 0, "reads": []}, {"layer": 1, "reads": [0, 0]}]},
    {"nodes": [{"layer": 0, "reads": []}, {"layer": 1, "reads": [0]}, {"layer": 1, "reads": [0]}]},
    {"nodes": [{"layer": 1, "reads": []}]}, {"layers": []},
    {"dtype": "float16"}, {"dtype": "object"}, {"dtype": ">f4"}, {"seed": -1}], ids=str)
def test_nodes_that_are_no_graph_are_refused(change):
    told = description.network(in_a_graph(isbe.Dense(4), (4,)))
    with pytest.raises(ValueError):
        description.nodes_of(told | change)


def test_values_that_would_fill_the_memory_are_refused_before_they_are_made():
    for layer, sizes in ((isbe.Conv2D(1, 1), {"padding": 10**9}), (isbe.Dense(1), {"units": 2**27 + 1}),
                         (isbe.Embedding(3, 1), {"features": 2**26})):
        told = description.network(in_a_graph(layer, (1, 2, 2) if isinstance(layer, isbe.Conv2D) else (4,)))
        told["layers"][1]["settings"].update(sizes)
        with pytest.raises(ValueError, match="its values should have up to 134,217,728 numbers for an example"):
            description.nodes_of(told)


@pytest.mark.parametrize("change, sentence", [
    ({"bit_generator": "MT19937"}, "random numbers is none"),
    ({"state": {"state": 2**128, "inc": 1}}, "random numbers is (none|out of range)"),
    ({"state": {"state": -1, "inc": 1}}, "random numbers is (none|out of range)"),
    ({"state": {"state": 1, "inc": 2**128 + 1}}, "random numbers is (none|out of range)"),
    ({"state": {"state": 1}}, "random numbers is none"),
    ({"has_uint32": 2**31}, "random numbers is (none|out of range)"),
    ({"uinteger": 2**32}, "random numbers is (none|out of range)"),
    ({"uinteger": -1}, "random numbers is (none|out of range)"),
    ({"more": 1}, "random numbers is (none|out of range)"),
], ids=str)
def test_a_state_of_random_numbers_out_of_range_is_refused(change, sentence):
    told = description.network(in_a_graph(isbe.Dense(4), (4,)))["random"]
    with pytest.raises(ValueError, match=sentence):
        description.set_random(np.random.default_rng(0), told | change)


def test_random_numbers_go_on_where_they_were():
    net = in_a_graph(isbe.Dropout(0.5), (4,))
    net.random.integers(0, 9, 3, dtype=np.int32)  # which leaves half of a number over
    told = of_a_file(description.network(net), description.NETWORK)["random"]
    other = np.random.default_rng(0)
    description.set_random(other, told)
    drawn = [random.integers(0, 9, 5, np.int32).tolist() for random in (net.random, other)]
    assert told["has_uint32"] == 1 and drawn[0] == drawn[1]


def heads():
    """Every head that can be made."""
    found = []
    for name, route, loss, reduction in itertools.product(BUILT_IN, isbe.ROUTES, [None, *isbe.LOSSES], isbe.heads.REDUCTIONS):
        try:
            found.append(isbe.Head(name, route, reduction, loss=loss))
        except ValueError:
            pass
    shifts = [None, 2, 0.5, [1.5, 2.0, 0.1]]
    return found + [isbe.Head("softmax", "fused", dilation=k, relocation=b, strict=False) for k in shifts for b in shifts]


def test_every_head_comes_back():
    made = heads()
    assert {head.normalizer.name for head in made} == set(BUILT_IN) and {head.route for head in made} == set(isbe.ROUTES)
    assert {head.loss_name for head in made} >= set(isbe.LOSSES) - {"matching"}
    scores, targets = np.random.default_rng(1).normal(0, 1, (2, 3)), [0, 2]
    for head in made:
        told = of_a_file(description.head(head), description.HEAD)
        found = description.make_head(told)
        assert repr(found) == repr(head) and found.strict is head.strict and description.head(found) == told
        with np.errstate(all="ignore"):
            found.forward(scores), head.forward(scores)
        found.strict = head.strict = False
        assert np.array_equal(found.backward(targets), head.backward(targets), equal_nan=True)


@pytest.mark.parametrize("change", [
    {"normalizer": "os.system"}, {"normalizer": "Softmax"}, {"route": ""}, {"route": "__class__"}, {"reduction": "max"},
    {"loss": "none"}, {"normalizer": "identity", "dilation": 2.0}, {"dilation": 0}, {"dilation": -1.0},
    {"dilation": float("nan")}, {"dilation": float("inf")}, {"relocation": float("nan")},
    {"relocation": [1.0, float("inf")]}, {"loss": "matching"}, {"relocation": 2**60 + 1}], ids=str)
def test_heads_that_cannot_be_made_are_refused(change):
    told = description.head(isbe.Head()) | change
    assert misfit(told, description.HEAD) is None, "what a file may say"
    with pytest.raises((*REFUSED, OverflowError)):
        description.make_head(told)


@pytest.mark.parametrize("change", [{"dilation": 10**400}, {"relocation": 10**400}, {"dilation": [10**400]}],
                         ids=["dilation", "relocation", "dilations"])
def test_numbers_that_no_float_holds_are_no_heads(change):
    assert misfit(description.head(isbe.Head()) | change, description.HEAD) is not None


def test_a_head_with_a_normalizer_of_ones_own_is_not_made():
    class Softmax(isbe.Normalizer):
        """Named like the package's."""

        name = "softmax"

        def forward(self, scores):
            return scores

    told = of_a_file(description.head(isbe.Head(Softmax())), description.HEAD)
    assert not told["built_in"] and description.make_head(told) is None


@pytest.mark.parametrize("optimizer", [
    isbe.SGD(0.1), isbe.SGD(1, 0.9), isbe.SGD(0.25, 0.5, True, 1e-3), isbe.Adam(), isbe.Adam(1e-4, (0.8, 0.99), 1e-6, 0.1),
    isbe.AdamW(), isbe.AdamW(0.0, (0, 0), 1, 0)], ids=repr)
def test_every_optimizer_comes_back(optimizer):
    told = of_a_file(description.optimizer(optimizer), description.OPTIMIZER)
    found = description.make_optimizer(told)
    assert type(found) is type(optimizer) and repr(found) == repr(optimizer) and description.optimizer(found) == told
    for name in optimizer.settings:
        assert getattr(found, name) == getattr(optimizer, name)


def test_every_optimizer_of_the_package_may_be_made():
    public = {thing for thing in vars(isbe).values() if inspect.isclass(thing) and issubclass(thing, Optimizer)} - {Optimizer}
    assert set(OPTIMIZERS.values()) == public


@pytest.mark.parametrize("optimizer", [isbe.SGD(0.1, 0.9), isbe.Adam(), isbe.AdamW()], ids=repr)
def test_settings_of_optimizers_that_are_none_are_refused_and_others_come_back_as_told(optimizer):
    right = of_a_file(description.optimizer(optimizer), description.OPTIMIZER)
    for name, value in itertools.product([*right["settings"], "steps", "memory", "self"],
                                         [*HOSTILE, [0.9], [0.9, 2], [0.9, 0.9, 0.9], [[], []], "ab", {"0": 0.9, "1": 0.9}]):
        told = copy.deepcopy(right)
        told["settings"][name] = value
        try:
            found = description.make_optimizer(told)
        except (*REFUSED, OverflowError, LookupError):  # which `checkpoint.read` all takes for the same
            continue
        assert name in right["settings"]
        assert description.optimizer(found)["settings"] == told["settings"]
    for missing in right["settings"]:
        told = copy.deepcopy(right)
        del told["settings"][missing]
        with pytest.raises(REFUSED):
            description.make_optimizer(told)
