"""Figures of a network: its graph, filters, activations, and which classes it confuses."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.ticker import MaxNLocator

from isbe_np.checks import class_indices, float_array, numbers, whole
from isbe_np.graph import Graph
from isbe_np.layers.base import Node

BOX = (2.5, 0.62)  # width and height of a node's box, as parts of the distance between layers
LANE = 0.3  # width that an arrow takes where it passes between boxes
GAP = 0.35  # least distance between boxes side by side


def confusion_figure(true: np.ndarray, predicted: np.ndarray, names: list[str] | None = None) -> Figure:
    """How often each true class (N,) was predicted to be which (N,): counts, shaded by their share of the true class.

    names: of the classes, their numbers where left out. Counts are written where at most 20 classes leave room.
    """
    true, predicted = (numbers("confusion_figure", given, "whole-number classes", names=True) for given in (true, predicted))
    if true.shape != predicted.shape or true.ndim != 1 or not true.size:
        raise ValueError(f"confusion_figure expects a true and a predicted class for each example, (N,) with N >= 1; "
                         f"got shapes {true.shape} and {predicted.shape}.")
    top = np.fmax.reduce([true.max(), predicted.max()])
    C = max(int(top) + 1 if np.isfinite(top) else 1, len(names or ()))
    if true.min() < 0 or predicted.min() < 0 or (names is not None and len(names) != C):
        raise ValueError(f"confusion_figure expects classes from 0 and a name for each; got classes "
                         f"{min(true.min(), predicted.min())} to {C - 1} and {len(names or ())} names.")
    true, predicted = (class_indices("confusion_figure", given, C) for given in (true, predicted))
    counts = np.zeros((C, C), np.int64)
    np.add.at(counts, (true, predicted), 1)
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 2.5 + 0.48 * min(C, 20)
    figure = Figure(figsize=(size + 0.9, size), layout="constrained")
    ax = figure.subplots()
    image = ax.imshow(share, cmap="Blues", vmin=0, vmax=100)
    if C <= 20:
        for (i, j), count in np.ndenumerate(counts):
            if count:
                ax.text(j, i, str(count), ha="center", va="center", fontsize=8, color="white" if share[i, j] > 55 else "black")
        labels = [str(k) for k in range(C)] if names is None else names
        turned = 45 if names is not None and max(map(len, names)) > 3 else 0
        ax.set(xticks=range(C), yticks=range(C), yticklabels=labels)
        ax.set_xticks(range(C), labels, rotation=turned, ha="right" if turned else "center", rotation_mode="anchor")
    ax.set(xlabel="predicted class", ylabel="true class",
           title=f"{np.trace(counts):,} of {len(true):,} right: {np.trace(counts) / len(true):.2%}")
    figure.colorbar(image, ax=ax, label="share of the true class, %", shrink=0.85)
    return figure


def filters_figure(net: Graph, name: str, most: tuple[int, int] = (8, 8)) -> Figure:
    """The filters of the Conv2D layer called `name`: a column for each filter, a row for each channel that it reads.

    Of a layer with one input channel all filters are shown, eight in a row; of others the first `most` (filters, channels).
    """
    weight = next((p.value for p in net.parameters() if p.name == f"{name}.weight" and p.value.ndim == 4), None)
    if weight is None:
        known = [p.name.removesuffix(".weight") for p in net.parameters() if p.name.endswith(".weight") and p.value.ndim == 4]
        raise ValueError(f"filters_figure expects the name of a Conv2D layer; {name!r} is none. Those of this network: "
                         f"{', '.join(known) or 'none'}.")
    (O, C), (filters, channels) = weight.shape[:2], (whole("filters_figure(most)", n) for n in most)
    if C == 1:
        grid, columns, words = weight[:, 0], min(O, 8), f"all {O} filters"
        titles = [f"filter {o}" for o in range(O)]
    else:
        shown = weight[:filters, :channels].swapaxes(0, 1)
        channels, columns = shown.shape[:2]
        grid, titles = shown.reshape(-1, *weight.shape[2:]), [f"filter {o}" for o in range(columns)]
        words = f"{columns} of {O} filters, {channels} of {C} channels"
    rows, top = -(-len(grid) // columns), float(np.abs(grid).max()) or 1.0
    figure = Figure(figsize=(1.9 + 0.85 * columns, 0.7 + 1.0 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for k, ax in enumerate(axes):
        if k >= len(grid):
            ax.remove()
            continue
        image = ax.imshow(grid[k], cmap="cividis", vmin=-top, vmax=top)
        ax.set(xticks=[], yticks=[], title=titles[k] if k < len(titles) else "")
        ax.title.set_fontsize(8)
        if C > 1 and k % columns == 0:
            ax.set_ylabel(f"channel {k // columns}", fontsize=8)
    figure.colorbar(image, ax=list(axes[:len(grid)]), label="weight (no unit)", shrink=0.9)
    figure.suptitle(f"{name}, {weight.shape[2]} x {weight.shape[3]}: {words}", fontsize=11)
    return figure


def activations_figure(net: Graph, image: np.ndarray, names: list[str] | None = None, most: int = 8) -> Figure:
    """What nodes of a network make of one image: of maps (C, H, W) the first `most` channels, of vectors (K,) all numbers.

    image: (C, H, W). names: nodes by their names in the graph, in order; by default all that hold maps, and the last.
    """
    net.forward(float_array("activations_figure(image)", image, net.dtype)[None])
    if names is None:
        names = [name for node, name in net.names.items() if len(node.shape) == 3 or node is net.nodes[-1]]
    values = {name: net.value(name)[0] for name in names}
    most = whole("activations_figure(most)", most)
    figure = Figure(figsize=(1.8 + 1.05 * most, 1.25 * len(values) + 0.3), layout="constrained")
    grid = figure.add_gridspec(len(values), most)
    for k, (name, value) in enumerate(values.items()):
        shape = " x ".join(map(str, value.shape))
        if value.ndim != 3:
            ax = figure.add_subplot(grid[k, :])
            ax.bar(range(value.size), value.ravel(), color="#0072B2")
            ax.axhline(0, color="black", lw=0.8)
            ax.set(xlabel="unit", xlim=(-0.7, value.size - 0.3))
            ax.set_ylabel(f"{name}\n{shape}", fontsize=9)
            ax.xaxis.set_major_locator(MaxNLocator(min(value.size, 20), integer=True))
            continue
        low, high = float(value.min()), float(value.max())
        for c, pixels in enumerate(value[:most]):
            ax = figure.add_subplot(grid[k, c])
            ax.imshow(pixels, cmap="cividis", vmin=low, vmax=high)
            ax.set(xticks=[], yticks=[])
            ax.set_title(f"channel {c}", fontsize=8, pad=2)
            if c == 0:
                ax.set_ylabel(f"{name}\n{shape}\n{low:.3g} to {high:.3g}", fontsize=8)
    figure.suptitle("Values by node (no unit), from its least, dark, to its greatest, light", fontsize=11)
    return figure


def graph_figure(net: Graph) -> Figure:
    """A network's nodes as boxes with their output shapes, in layers from the input down, and arrows for what each reads.

    Boxes of nodes with parameters are shaded. An arrow that skips layers keeps a lane of its own beside the boxes there.
    """
    places = _places(net)
    lanes = _lanes(net, places)
    left = min(x for x, _ in places.values()) - BOX[0] / 2 - GAP
    right = max([x + BOX[0] / 2 for x, _ in places.values()] + [x + LANE / 2 for x in lanes.values() if x is not None]) + GAP
    depth = max(y for _, y in places.values())
    figure = Figure(figsize=(max(3.4, 0.9 * (right - left)), 1.0 + 0.72 * (depth + 1)), layout="constrained")
    ax = figure.subplots()
    for node, (x, y) in places.items():
        trained = bool(node.layer.weights(*(parent.shape for parent in node.inputs)))
        ax.add_patch(FancyBboxPatch((x - BOX[0] / 2, y - BOX[1] / 2), *BOX, boxstyle="round,pad=0,rounding_size=0.12",
                                    fc="#BFDDF0" if trained else "white", ec="black", lw=1.8 if trained else 1))
        ax.text(x, y - 0.13, net.names[node], ha="center", va="center", fontsize=9, weight="bold")
        ax.text(x, y + 0.14, " x ".join(map(str, node.shape)), ha="center", va="center", fontsize=8.5)
    # arrows leave and reach a box apart from each other, in the order of where they come from and go to
    ways = {edge: places[edge[1]][0] if lane is None else lane for edge, lane in lanes.items()}
    leaving = {parent: sorted((e for e in lanes if e[0] is parent), key=lambda e: ways[e]) for parent in places}
    ways = {edge: places[edge[0]][0] if lane is None else lane for edge, lane in lanes.items()}
    reaching = {node: sorted((e for e in lanes if e[1] is node), key=lambda e: ways[e]) for node in places}
    for edge, lane in lanes.items():
        (x0, y0), (x1, y1) = places[edge[0]], places[edge[1]]
        path = [(x0 + _apart(leaving[edge[0]], edge), y0 + BOX[1] / 2), (x1 + _apart(reaching[edge[1]], edge), y1 - BOX[1] / 2)]
        if lane is not None:
            path[1:1] = [(lane, y0 + 0.64), (lane, y1 - 0.64)]
        ax.plot(*zip(*path[:-1], strict=True), color="black", lw=1.1)
        ax.add_patch(FancyArrowPatch(path[-2], path[-1], arrowstyle="-|>", mutation_scale=11, color="black", shrinkA=0,
                                     shrinkB=0))
    ax.set(xlim=(left, right), ylim=(depth + 0.5, -0.5), xticks=[], yticks=[], frame_on=False)
    count = sum(parameter.value.size for parameter in net.parameters())
    ax.set_title(f"{len(net.nodes)} nodes with their outputs' shapes\n{count:,} parameters, in the shaded ones", fontsize=9)
    return figure


def _apart(edges: list, edge: tuple[Node, Node]) -> float:
    """How far from the middle of a box one of its arrows begins or ends."""
    return (edges.index(edge) - (len(edges) - 1) / 2) * min(0.6, 0.8 * BOX[0] / len(edges))


def _places(net: Graph) -> dict[Node, tuple[float, float]]:
    """Centres (x, y) of the boxes: y is the longest way from the input, x the mean of what a node reads, or right of it."""
    depth: dict[Node, int] = {}
    for node in net.nodes:
        depth[node] = max((depth[parent] + 1 for parent in node.inputs), default=0)
    places: dict[Node, tuple[float, float]] = {}
    for y in range(max(depth.values()) + 1):
        wanted = []
        for node in (node for node in net.nodes if depth[node] == y):
            # what comes straight from the layer above counts, so that a skip does not bend the way it skips
            above = [parent for parent in node.inputs if depth[parent] == y - 1]
            wanted.append((float(np.mean([places[parent][0] for parent in above])) if above else 0.0, node))
        edge = -np.inf
        for wish, node in sorted(wanted, key=lambda item: item[0]):
            x = max(wish, edge + GAP + BOX[0] / 2)
            edge = x + BOX[0] / 2
            places[node] = (x, float(y))
    return places


def _lanes(net: Graph, places: dict[Node, tuple[float, float]]) -> dict[tuple[Node, Node], float | None]:
    """For each arrow (parent, node) the x of its lane past the layers between; None where there is no layer between.

    The shortest arrows choose first: straight down if nothing is in the way, else the nearest free lane to the right.
    """
    edges = list(dict.fromkeys((parent, node) for node in net.nodes for parent in node.inputs))
    lanes: dict[tuple[Node, Node], float | None] = {}
    taken: list[tuple[float, float, float]] = [(x - BOX[0] / 2, x + BOX[0] / 2, y) for x, y in places.values()]
    for edge in sorted(edges, key=lambda e: places[e[1]][1] - places[e[0]][1]):
        (start, top), (_, bottom) = places[edge[0]], places[edge[1]]
        passed = [(low - GAP - LANE / 2, high + GAP + LANE / 2) for low, high, y in taken if top < y < bottom]
        if bottom - top == 1:
            lanes[edge] = None
            continue
        free = [x for x in (start, *(high for _, high in passed))
                if x >= start and not any(low + 1e-9 < x < high - 1e-9 for low, high in passed)]
        lanes[edge] = lane = min(free)
        taken += [(lane - LANE / 2, lane + LANE / 2, y) for y in np.arange(top + 1, bottom)]
    return lanes
