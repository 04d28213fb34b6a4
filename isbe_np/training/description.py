"""Networks, heads and optimizers as plain data, and back: nothing is made but by the classes listed here.

A name in a file is looked up in these lists, or among the classes that the caller passes; it is never imported.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from isbe_np import layers as built_in
from isbe_np.checks import FLOATS
from isbe_np.graph import Graph
from isbe_np.graph_nodes import in_order
from isbe_np.heads import Head
from isbe_np.heads.choices import BUILT_IN
from isbe_np.layers import Input, Layer, Node
from isbe_np.layers.attention import Attention, Projection
from isbe_np.layers.base import InputLayer
from isbe_np.storage.files import Misfit
from isbe_np.storage.json_data import plain, settings
from isbe_np.training.optimizers import SGD, Adam, AdamW, Optimizer

INPUT = "Input"
LAYERS = {kind.__name__: kind for kind in (
    built_in.GELU, built_in.Add, Attention, built_in.AveragePool2D, built_in.BatchNorm, built_in.Conv2D, built_in.Dense,
    built_in.Dropout, built_in.Embedding, built_in.Flatten, built_in.GlobalAveragePool, built_in.HardSigmoid,
    built_in.HardTanh, built_in.LayerNorm, built_in.LeakyReLU, built_in.MaxPool2D, built_in.MeanTokens, built_in.Patches,
    built_in.PositionEmbedding, Projection, built_in.ReLU, built_in.Sigmoid, built_in.Tanh)}
OPTIMIZERS = {kind.__name__: kind for kind in (SGD, Adam, AdamW)}
DTYPES = {dtype.name: dtype for dtype in FLOATS}
# Numbers of one value of a network for one example: more are no network that somebody trained with this package.
MOST_VALUES = 2**27

# What the functions below return, as patterns for `json_data.misfit`.
MADE = {"kind": str, "built_in": bool, "settings": (None, dict)}
RANDOM = {"bit_generator": str, "state": {"state": int, "inc": int}, "has_uint32": int, "uinteger": int}
NETWORK = {"dtype": str, "seed": int, "fuse": bool, "random": RANDOM, "layers": [MADE],
           "nodes": [{"layer": int, "reads": [int]}]}
NUMBERS = (None, float, [float])
HEAD = {"normalizer": str, "built_in": bool, "route": str, "reduction": str, "loss": str, "strict": bool,
        "dilation": NUMBERS, "relocation": NUMBERS}
OPTIMIZER = {"kind": str, "built_in": bool, "settings": dict, "steps": int, "slots": int}


def network(net: Graph) -> dict[str, Any]:
    """Layers, nodes and settings of a network, and where its random numbers are; of layers of your own that do not keep their
    arguments under the arguments' names, no settings.
    """
    layers = {layer: n for n, layer in enumerate(dict.fromkeys(node.layer for node in net.nodes))}
    places = {node: n for n, node in enumerate(net.nodes)}
    return {"dtype": net.dtype.name, "seed": net.seed, "fuse": net.fuse, "random": plain(net.random.bit_generator.state),
            "layers": [_made(layer) for layer in layers],
            "nodes": [{"layer": layers[node.layer], "reads": [places[parent] for parent in node.inputs]}
                      for node in net.nodes]}


def _made(layer: Layer) -> dict[str, Any]:
    kind = INPUT if isinstance(layer, InputLayer) else type(layer).__name__
    known = kind == INPUT or LAYERS.get(kind) is type(layer)
    found = settings(layer)
    if not known and found is not None:  # a layer of one's own may keep another number than it is given
        try:
            found = found if settings(type(layer)(**found)) == found else None
        except Exception:
            found = None
    return {"kind": kind, "built_in": known, "settings": found}


def nodes_of(told: dict[str, Any], own: Iterable[type[Layer]] = ()) -> list[Node]:
    """The nodes of a network that fits NETWORK, in their order; they hold no numbers yet.

    own : classes of layers that may be made besides the package's own. ValueError or TypeError for any other, and for what
    is no network.
    """
    ours = {kind.__name__: kind for kind in own}
    layers: list[Layer | None] = []
    for made in told["layers"]:
        kind, given, allowed = made["kind"], made["settings"], LAYERS if made["built_in"] else ours
        if kind == INPUT and made["built_in"] and not layers:
            layers.append(None)
        elif kind not in allowed and made["built_in"]:
            raise ValueError(f"its layers should be of isbe_np; one is a {kind!r}")
        elif kind not in allowed:
            raise Misfit(f"a network with a layer {kind!r} of somebody's own is made only where its class is passed, as in "
                         f"layers=[{kind}].")
        elif given is None:
            raise Misfit(f"the layer {kind!r} does not keep its arguments under their names, so that it cannot be made anew; "
                         f"pass a network to be filled, by net=.")
        else:
            layers.append(_make(allowed[kind], made))
    nodes: list[Node] = []
    for place in told["nodes"]:
        if not all(0 <= read < len(nodes) for read in place["reads"]) or not 0 <= place["layer"] < len(layers):
            raise ValueError(f"node {len(nodes)} should read nodes before it, by a layer that there is; it is {place}")
        layer = layers[place["layer"]]
        if layer is None:
            nodes.append(Input(**told["layers"][0]["settings"]))
        else:
            nodes.append(layer(*(nodes[read] for read in place["reads"])))
        if math.prod(nodes[-1].shape) > MOST_VALUES:
            raise ValueError(f"its values should have up to {MOST_VALUES:,} numbers for an example; one is {nodes[-1].shape}")
    used = dict.fromkeys(place["layer"] for place in told["nodes"])
    if not nodes or in_order(nodes[0], nodes[-1]) != nodes or [*used] != [*range(len(layers))]:
        raise ValueError("its nodes and layers should be in the order of a graph's, and each of them be needed")
    if told["dtype"] not in DTYPES:
        raise ValueError(f"its dtype should be one of {', '.join(DTYPES)}; it is {told['dtype']!r}")
    if told["seed"] < 0:
        raise ValueError(f"its seed should be a number from 0 on; it is {told['seed']}")
    return nodes


def _make(kind: type[Layer], made: dict[str, Any]) -> Layer:
    try:
        return kind(**made["settings"])
    except Exception as fault:
        if made["built_in"]:
            raise
        raise Misfit(f"your layer {made['kind']} cannot be made of {made['settings']}: {fault}.") from fault


def same_network(here: dict[str, Any], told: dict[str, Any]) -> str | None:
    """What is different between two networks, but for numbers and seeds; None where nothing is."""
    if here["dtype"] != told["dtype"]:
        return f"numbers of {told['dtype']}, where this network's are {here['dtype']}"
    if [made["kind"] for made in here["layers"]] != [made["kind"] for made in told["layers"]]:
        return f"the layers {_kinds(told)}, where this network has {_kinds(here)}"
    for ours, theirs in zip(here["layers"], told["layers"], strict=True):
        if ours != theirs:
            return f"a layer {theirs['kind']} with {theirs['settings']}, where this network has one with {ours['settings']}"
    return None if here["nodes"] == told["nodes"] else "the same layers, joined in another way"


def _kinds(told: dict[str, Any]) -> str:
    return ", ".join(made["kind"] for made in told["layers"])


def set_random(generator: np.random.Generator, told: dict[str, Any]) -> None:
    """Put `generator` where another one was; ValueError where it cannot be."""
    try:
        generator.bit_generator.state = told
    except (ValueError, TypeError, OverflowError, KeyError) as fault:
        raise ValueError(f"the state of its random numbers is none: {fault}") from None
    if plain(generator.bit_generator.state) != told:
        raise ValueError("the state of its random numbers is out of range")


def head(given: Head) -> dict[str, Any]:
    """The settings of a head; of a normalizer of your own, the name of its class."""
    own = type(given.normalizer) not in BUILT_IN.values()
    dilation, relocation = (None if own else plain(getattr(given.normalizer, name, None))
                            for name in ("dilation", "relocation"))
    return {"normalizer": type(given.normalizer).__name__ if own else given.normalizer.name, "built_in": not own,
            "route": given.route, "reduction": given.reduction, "loss": given.loss_name, "strict": bool(given.strict),
            "dilation": dilation, "relocation": relocation}


def make_head(told: dict[str, Any]) -> Head | None:
    """The head of settings that fit HEAD; None for a normalizer that is not the package's own. ValueError for what is none."""
    if not told["built_in"]:
        return None
    made = Head(told["normalizer"], told["route"], told["reduction"], loss=told["loss"], strict=told["strict"],
                dilation=told["dilation"], relocation=told["relocation"])
    if head(made) != told:
        raise ValueError(f"its head should be one that can be made; it is {told}")
    return made


def optimizer(given: Optimizer) -> dict[str, Any]:
    """The settings of an optimizer, the steps it took, and how many arrays it keeps beside the parameters."""
    kind = type(given).__name__
    return {"kind": kind, "built_in": OPTIMIZERS.get(kind) is type(given), "settings": _settings(given), "steps": given.steps,
            "slots": len(given.memory)}


def _settings(given: Optimizer) -> dict[str, Any]:
    return plain({name: getattr(given, name) for name in given.settings})


def make_optimizer(told: dict[str, Any]) -> Optimizer | None:
    """The optimizer of settings that fit OPTIMIZER, without its arrays; None for a class that is not the package's own."""
    if not told["built_in"]:
        return None
    if told["kind"] not in OPTIMIZERS:
        raise ValueError(f"its optimizer should be one of {', '.join(OPTIMIZERS)}; it is a {told['kind']!r}")
    made = OPTIMIZERS[told["kind"]](**told["settings"])
    if _settings(made) != told["settings"]:
        raise ValueError(f"its optimizer should be one that can be made; it is {told}")
    return made
