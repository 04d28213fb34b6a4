"""A graph before it runs: its nodes in order, their names, the arrays that their layers ask for, and a table of all that."""

from __future__ import annotations

import numpy as np

from isbe_np.layers.base import InputLayer, Layer, Node, Parameter, Weights
from isbe_np.storage.files import one_line


def in_order(first: Node, last: Node) -> list[Node]:
    """The nodes that `last` depends on, each after all that it reads; the input first, `last` at the end."""
    for name, node in (("inputs", first), ("outputs", last)):
        if not isinstance(node, Node):
            raise TypeError(f"Graph({name}) expects one node, such as Input((1, 28, 28)); got {type(node).__name__}.")
    if not isinstance(first.layer, InputLayer):
        raise ValueError(f"Graph(inputs) expects a node made by Input; got {first!r}.")
    order: list[Node] = []
    seen: set[Node] = set()
    waiting: list[tuple[Node, bool]] = [(last, False)]
    while waiting:
        node, parents_done = waiting.pop()
        if parents_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            waiting.append((node, True))
            waiting.extend((parent, False) for parent in reversed(node.inputs))
    for node in order:
        if isinstance(node.layer, InputLayer) and node is not first:
            raise ValueError(f"Graph(outputs) depends on a second input, {node!r}; a graph has one.")
    if first not in seen:
        raise ValueError(f"Graph(outputs) does not depend on Graph(inputs): no path leads from {first!r} to {last!r}.")
    order.remove(first)
    return [first, *order]


def names_of(nodes: list[Node]) -> dict[Node, str]:
    """A name for each node: its layer's own, or its kind and a number, as in conv2d_1; a layer's later places get numbers."""
    names: dict[Node, str] = {}
    taken: set[str] = set()
    owners = {node.layer.name: node.layer for node in nodes if node.layer.name}
    counts: dict[str, int] = {}
    for node in nodes:
        layer = node.layer
        if layer.name and owners[layer.name] is not layer:
            raise ValueError(f"Graph has two layers called {layer.name!r}; give each a name of its own.")
        own = layer.name or ("input" if isinstance(layer, InputLayer) else None)
        stem = own or type(layer).__name__.lower()
        name = own
        while name is None or name in taken or owners.get(name, layer) is not layer:
            counts[stem] = counts.get(stem, 1 if own else 0) + 1
            name = f"{stem}_{counts[stem]}"
        names[node] = name
        taken.add(name)
    return names


def wanted_arrays(nodes: list[Node], names: dict[Node, str], kind: str) -> dict[tuple[Layer, str], tuple[str, Weights]]:
    """The "weights" or "state" that layers ask for, with their names; a layer in several places asks once. None is made."""
    wanted: dict[tuple[Layer, str], tuple[str, Weights]] = {}
    owners: dict[str, tuple[Layer, str]] = {}
    for node in nodes:
        asked = getattr(node.layer, kind)(*(parent.shape for parent in node.inputs))
        for part, weights in asked.items():
            known = wanted.setdefault((node.layer, part), (f"{names[node]}.{part}", weights))
            if known[1].shape != weights.shape:
                raise ValueError(f"{node.layer!r} stands in several places, where its {part} would need the shapes "
                                 f"{known[1].shape} and {weights.shape}. Use a second layer.")
            layer, other = owners.setdefault(known[0], (node.layer, part))  # "a" and "b.c", or "a.b" and "c"
            if (layer, other) != (node.layer, part):
                raise ValueError(f"Graph has two arrays called {known[0]!r}: {other!r} of {layer!r} and {part!r} of "
                                 f"{node.layer!r}. Give one of the layers another name.")
    return wanted


def table(nodes: list[Node], names: dict[Node, str], views: dict[Layer, dict[str, Parameter]], dtype: np.dtype) -> str:
    """The nodes in order, a line each: name, layer, output shape, parameters, and the nodes it reads; their total below."""
    rows: list[tuple[str, ...]] = [("name", "layer", "output shape", "parameters", "reads")]
    counted: set[Layer] = set()
    for node in nodes:
        count = 0 if node.layer in counted else sum(p.value.size for p in views[node.layer].values())
        counted.add(node.layer)
        reads = ", ".join(names[parent] for parent in node.inputs)
        rows.append((names[node], repr(node.layer), str(node.shape), f"{count:,}", reads))
    rows = [(*map(one_line, row),) for row in rows]  # names may come out of somebody's file
    widths = [max(len(row[k]) for row in rows) for k in range(5)]
    lines = ["  ".join(cell.rjust(w) if k == 3 else cell.ljust(w)
                       for k, (cell, w) in enumerate(zip(row, widths, strict=True))).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    total = sum(parameter.value.size for parts in views.values() for parameter in parts.values())
    return "\n".join([*lines, f"{total:,} parameters, {dtype.name}"])
