"""What is said about a training's settings and data that would cost its result: batches, the inputs' scale."""

from __future__ import annotations

import math

import numpy as np

from isbe_np.graph import Graph
from isbe_np.layers import (
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    GlobalAveragePool,
    LayerNorm,
    LeakyReLU,
    MaxPool2D,
    MeanTokens,
    Patches,
    ReLU,
)

# Layers whose output is c times as large if their input is, for any c > 0 and but for biases; and those that undo it.
SCALING = (AveragePool2D, Conv2D, Dense, Dropout, GlobalAveragePool, LeakyReLU, MaxPool2D, MeanTokens, Patches, ReLU)
RESCALING = (BatchNorm, LayerNorm, Embedding)
EXAMPLES = 1024  # examples whose scale stands for all
WIDE = 64  # numbers in an example from which on it is no table's row
LARGE, HUGE = 16.0, 1000.0  # root mean squares that are too large for wide examples, and for any
BYTES = 128, 256  # the largest pixel of images of bytes lies between these
APART = 16.0  # times the scale of the training examples, from which on the test examples were scaled otherwise


def steps_per_epoch(net: Graph, examples: int, batch_size: int, drop_last: bool) -> int:
    """How many batches an epoch has. ValueError where one is smaller than the layers of `net` take, or where there is none."""
    if drop_last and examples < batch_size:
        raise ValueError(f"train(drop_last=True) expects at least one full batch; got {examples} examples and "
                         f"batch_size={batch_size}. Pass a batch_size of at most {examples}, or drop_last=False.")
    node = max(net.nodes, key=lambda node: node.layer.least_batch(*(parent.shape for parent in node.inputs)))
    least = node.layer.least_batch(*(parent.shape for parent in node.inputs))
    expects = f"expects at least {least} examples in each training batch, as layer {net.names[node]!r} needs them"
    if examples < least:
        raise ValueError(f"train(data.x_train) {expects}; got {examples} in all. Train on more examples.")
    left = examples % batch_size
    if batch_size < least or (0 < left < least and not drop_last):
        fits = _fitting(examples, batch_size, least)
        if batch_size < least:
            raise ValueError(f"train(batch_size) {expects}; got batch_size={batch_size}. Pass batch_size={fits}.")
        raise ValueError(f"train(batch_size) {expects}; {examples} examples in batches of {batch_size} leave {left} for the "
                         f"last one. Pass drop_last=True to leave that one out, or batch_size={fits}.")
    return examples // batch_size if drop_last else math.ceil(examples / batch_size)


def _fitting(examples: int, batch_size: int, least: int) -> int:
    """The batch size nearest to `batch_size` that leaves no last batch of fewer than `least` of the `examples`."""
    return min((size for size in range(least, examples + 1) if not 0 < examples % size < least),
               key=lambda size: abs(size - batch_size))


def scale_fault(net: Graph, x_train: np.ndarray, x_test: np.ndarray) -> str | None:
    """A sentence where the inputs are so large that `net` will hardly learn from them, or scaled differently for the test."""
    if not _depends_on_scale(net):
        return None
    x, test = (part[::max(1, len(part) // EXAMPLES)].astype(np.float64) for part in (x_train, x_test))
    scale, scale_of_test = (math.sqrt(np.mean(np.square(part))) for part in (x, test))
    least, largest = x.min(), x.max()
    wide = math.prod(net.nodes[0].shape) >= WIDE
    large = scale > (LARGE if wide else HUGE)
    if wide and least >= 0 and BYTES[0] <= largest <= BYTES[1] and (large or np.array_equal(x, np.rint(x))):
        return (f"train(data.x_train) expects inputs of about 1; got numbers from {least:g} to {largest:g}, as images are "
                f"stored. Divide x_train and x_test by 255.")
    if large:
        return (f"train(data.x_train) expects inputs of about 1; got numbers from {least:g} to {largest:g}, of root mean "
                f"square {scale:.3g}. Subtract the mean of x_train from x_train and x_test, and divide both by its standard "
                f"deviation, for each feature.")
    if scale and scale_of_test and not 1 / APART < scale_of_test / scale < APART:
        return (f"train(data.x_test) expects inputs of the scale of x_train, root mean square {scale:.3g}; got "
                f"{scale_of_test:.3g}. Scale both in the same way.")
    return None


def _depends_on_scale(net: Graph) -> bool:
    """Whether inputs c times as large change what `net` computes; False where a layer of one's own might see to it."""
    scaled = {net.nodes[0]}
    for node in net.nodes[1:]:
        of_input = [parent in scaled for parent in node.inputs]
        if not any(of_input) or isinstance(node.layer, RESCALING):
            continue
        if not type(node.layer).__module__.startswith("isbe_np."):
            return False
        if not (isinstance(node.layer, SCALING) or node.layer.view or (node.layer.arity is None and all(of_input))):
            return True
        scaled.add(node)
    return net.nodes[-1] in scaled
