"""Checkpoints whose zip and SHA-256 are right and whose facts, the JSON in their first member, are not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from drill.mutations import Random, mutated
from drill.zips import taken_apart

KINDS = ("os.system", "__import__", "Graph", "Layer", "Input", "Dense", "Conv2D", "BatchNorm", "ReLU", "Flatten", "Dropout",
         "LayerNorm", "Attention", "Projection", "Embedding", "PositionEmbedding", "Patches", "MeanTokens", "MaxPool2D", "Add",
         "Normalization", "Concatenate", "", "dense", "Dense\n", "\u202eesneD")
NUMBERS = (-1, 0, 1, 2, 3, 7, 64, 10**6, 2**27, 2**31, 2**53, 2**63, 2**64, 10**30, 10**400, -10**30, 0.5, 1.0, -0.0, 1e308,
           1e-320, float("nan"), float("inf"), -float("inf"))
OTHERS = (None, True, False, "", "x", "1", "os.system('true')", "\n\x1b[2J", "\ud800", "y" * 100_000, [], [[]], {}, {"a": 1},
          [None], [1, 2], [0] * 10_000, {"__class__": "x"}, ["x"] * 50)


def places(facts: Any) -> list[tuple[Any, Any]]:
    """Every container in the facts with every key or index in it."""
    found = []
    for key, value in facts.items() if isinstance(facts, dict) else enumerate(facts) if isinstance(facts, list) else ():
        found.append((facts, key))
        found += places(value)
    return found


def odd(random: Random) -> Any:
    """A value that is hardly what belongs there."""
    values = NUMBERS if random.integers(2) else OTHERS
    return copy.deepcopy(values[random.integers(len(values))])


def any_value(facts: dict, random: Random) -> None:
    """One to three values anywhere, of whatever type."""
    for _ in range(random.integers(1, 4)):
        there = places(facts)
        container, key = there[random.integers(len(there))]
        container[key] = odd(random)


def any_number(facts: dict, random: Random) -> None:
    """A number somewhere, another one in its place."""
    there = [(container, key) for container, key in places(facts)
             if isinstance(container[key], (int, float)) and not isinstance(container[key], bool)]
    container, key = there[random.integers(len(there))]
    container[key] = NUMBERS[random.integers(len(NUMBERS))] if random.integers(3) else container[key] + 1


def keys(facts: dict, random: Random) -> None:
    """A key less, one more, or one under another name."""
    there = [(container, key) for container, key in places(facts) if isinstance(container, dict)]
    container, key = there[random.integers(len(there))]
    value, what = container[key], random.integers(3)
    if what:
        container[str(random.choice(["x", "__class__", "self", "name", "kind", "", key + " "]))] = value
    if what != 1:
        del container[key]


def lists(facts: dict, random: Random) -> None:
    """An item of a list twice, away, or in another place."""
    there = [(container, key) for container, key in places(facts) if isinstance(container, list)]
    container, at = there[random.integers(len(there))]
    item, to = container.pop(at), int(random.integers(len(container) + 1))
    what = random.integers(3)
    if what:
        container.insert(to, item)
    if what == 2:
        container.insert(at, copy.deepcopy(item))


def layer_kind(facts: dict, random: Random) -> None:
    """A layer of another kind, with the old settings or none."""
    layers = facts["network"]["layers"]
    made = layers[random.integers(len(layers))]
    made["kind"] = str(KINDS[random.integers(len(KINDS))])
    if random.integers(2):
        made["settings"] = (None, {}, {"name": None}, {"units": 3, "name": None})[random.integers(4)]
    if not random.integers(4):
        made["built_in"] = not made["built_in"]


def layer_settings(facts: dict, random: Random) -> None:
    """A setting of a layer: huge, negative, no number, or one that it does not have."""
    made = [made for made in facts["network"]["layers"] if made["settings"]]
    settings = made[random.integers(len(made))]["settings"]
    name = str(random.choice([*settings, "name"]))
    values = [odd(random), 2**40, 10**9, -3, [2**20, 2**20], [1, 1], "relu_1", "dense_1", "input", "../x", "a\nb"]
    settings[name] = values[random.integers(len(values))]


def graph(facts: dict, random: Random) -> None:
    """Nodes that read themselves, later ones, none, or many; other layers; a chain of thousands; one layer everywhere."""
    nodes, layers = facts["network"]["nodes"], facts["network"]["layers"]
    node = nodes[random.integers(len(nodes))]
    what = random.integers(7)
    if what < 3:
        reads = [[], [len(nodes) - 1], [nodes.index(node)], [-1], [10**9], [0, 0], [0] * 1000, [1, 0]]
        node["reads"] = reads[random.integers(len(reads))]
    elif what == 3:
        node["layer"] = int(random.choice([-1, 0, len(layers), 10**9, int(random.integers(len(layers)))]))
    elif what == 4:
        nodes.append({"layer": int(random.integers(len(layers))), "reads": [int(random.integers(len(nodes)))]})
    elif what == 5:  # as many as the facts have room for
        layers.append({"kind": "ReLU", "built_in": True, "settings": {"name": None}})
        first, count = len(nodes), int(random.choice([100, 10_000, 40_000]))
        nodes += [{"layer": len(layers) - 1, "reads": [first + n - 1]} for n in range(count)]
    else:  # sums of sums, twice as many paths with each
        layers.append({"kind": "Add", "built_in": True, "settings": {"name": None}})
        first = len(nodes)
        nodes += [{"layer": len(layers) - 1, "reads": [first + n - 1] * 2} for n in range(int(random.choice([3, 200])))]


def widened(facts: dict, random: Random) -> None:
    """A network of sizes that no file can hold, each of which fits the others."""
    size = int(random.choice([10, 2**20, 2**27, 2**40]))
    made = [{"kind": "Input", "built_in": True, "settings": {"shape": [size], "name": None}}]
    for units in random.choice([1, 1000, 2**26, 2**31, 2**62, 10**30], int(random.integers(1, 5))):
        made.append({"kind": "Dense", "built_in": True, "settings": {"units": int(units), "name": None}})
    facts["network"]["layers"] = made
    facts["network"]["nodes"] = [{"layer": n, "reads": [n - 1] if n else []} for n in range(len(made))]


def named(facts: dict, random: Random) -> None:
    """Text where the facts tell of a head, an optimizer, a dtype or a bit generator."""
    texts = ["MT19937", "PCG64DXSM", "float16", "object", "float64", "fused", "jacobian", "sigmoid", "softmax", "sum", "mean",
             "SGD", "Adam", "AdamW", "Optimizer", "eval", "x" * 5000, ""]
    there = [(container, key) for container, key in places(facts) if isinstance(container[key], str)]
    container, key = there[random.integers(len(there))]
    container[key] = texts[random.integers(len(texts))]


CHANGES: dict[str, Callable[[dict, Random], None]] = {function.__name__: function for function in (
    any_value, any_number, keys, lists, layer_kind, layer_settings, graph, widened, named)}


def raw(text: str, random: Random) -> bytes:
    """The facts' text itself: no JSON, other JSON, or a name twice in one object."""
    what, deep = random.integers(15), int(random.choice([50, 900, 5000, 1_000_000]))
    if what == 0:
        return mutated(str(random.choice(["flip_bits", "drop", "swap", "double", "truncate"])), text.encode(), random)
    if what == 1:
        return text.replace('"format": ', '"format": "x", "format": ', 1).encode()
    if what == 2:
        return text.replace('"seed": ', '"seed": 5, "seed": ', 1).encode()
    if what == 3:
        return text.replace('"note": ', '"note": ' + "[" * deep + "]" * deep + ', "was": ', 1).encode()
    if what == 4:
        return text.replace('"environment": {', '"environment": {"x": ' + '{"a": ' * deep + "1" + "}" * deep + ", ", 1).encode()
    return (text.encode("utf-16"), b"\xef\xbb\xbf" + text.encode(), text.encode() + b"{}", b"", b"null", b"[]", b"[" * deep,
            b"1" * deep, b"\xff" + text.encode(), text.replace('"version": 1', f'"version": {"9" * deep}').encode())[what - 5]


def changed(name: str, data: bytes, random: Random) -> bytes:
    """A checkpoint with its facts changed as `name` says, everything else in it right."""
    for _ in range(100):
        packed = taken_apart(data)
        text = packed.members[0].data.decode()
        if name == "raw":
            packed.members[0].data = raw(text, random)
        else:
            facts = json.loads(text)
            CHANGES[name](facts, random)
            packed.members[0].data = json.dumps(facts, indent=1).encode()
        found = packed.build()
        if found != data:
            return found
    raise ValueError(f"{name} left the facts as they were a hundred times")


NAMES = (*CHANGES, "raw")
