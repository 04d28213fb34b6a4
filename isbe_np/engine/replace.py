"""Which of the engine's layers does the work of which of the package's: the plan asks here, and nobody else.

A layer without an entry has only its plain kernels, which then run among the fast ones.
"""

from __future__ import annotations

from isbe_np.engine.layers.attention import FastAttention
from isbe_np.engine.layers.base import Fast
from isbe_np.engine.layers.conv2d import FastConv2D
from isbe_np.engine.layers.dense import FastDense
from isbe_np.engine.layers.embedding import FastEmbedding, FastMeanTokens, FastPositionEmbedding
from isbe_np.engine.layers.fused import FusedConv2D, FusedDense
from isbe_np.engine.layers.normalization import FastBatchNorm, FastLayerNorm
from isbe_np.layers.activations import Activation, HardTanh, ReLU
from isbe_np.layers.attention import Attention
from isbe_np.layers.base import Layer
from isbe_np.layers.conv2d import Conv2D
from isbe_np.layers.dense import Dense
from isbe_np.layers.embedding import Embedding, PositionEmbedding
from isbe_np.layers.normalization import BatchNorm, LayerNorm
from isbe_np.layers.pooling import MaxPool2D
from isbe_np.layers.tokens import MeanTokens

FAST: dict[type[Layer], type[Fast]] = {
    Dense: FastDense,
    Conv2D: FastConv2D,
    BatchNorm: FastBatchNorm,
    LayerNorm: FastLayerNorm,
    Attention: FastAttention,
    Embedding: FastEmbedding,
    PositionEmbedding: FastPositionEmbedding,
    MeanTokens: FastMeanTokens,
}
# What decides how a layer runs: a subclass of yours that changes one of these is left as it is.
RUNS = ("prepare", "prepare_backward", "forward", "backward")


def replace(layers: list[Layer], fuse: bool = True) -> tuple[Layer, int]:
    """The layer that does the work of the first of `layers` and of as many as it can of those after it, and their number.

    Each of `layers` is the only reader of the one before. Without `fuse` it does the work of one.
    """
    fused = fused_layer(layers) if fuse else None
    return fused or (fast_layer(layers[0]), 1)


def fast_layer(layer: Layer) -> Layer:
    """The engine's layer in place of `layer`, or `layer` itself where there is none or where it runs in a way of its own."""
    for kind in type(layer).__mro__:
        if kind in FAST and all(getattr(type(layer), name) is getattr(kind, name) for name in RUNS):
            return FAST[kind](layer)
    return layer


def fused_layer(layers: list[Layer]) -> tuple[Layer, int] | None:
    """The one pass over the first two or three of `layers`, and their number; None where there is none."""
    core = layers[0]
    after: list[Layer | None] = [*layers[1:3], None, None]
    activation = after.pop(0) if type(after[0]) in (ReLU, HardTanh) else None
    assert activation is None or isinstance(activation, Activation)
    pool = after[0] if isinstance(after[0], MaxPool2D) and side_by_side(after[0]) else None
    if type(core) is Dense and activation:
        return FusedDense(core, activation), 2
    if type(core) is Conv2D and (activation or pool):
        return FusedConv2D(core, activation, pool), 1 + bool(activation) + bool(pool)
    return None


def side_by_side(pool: MaxPool2D) -> bool:
    """Whether the pool's windows neither overlap nor leave gaps nor reach over the edge."""
    return type(pool) is MaxPool2D and pool.stride == pool.size and pool.padding == (0, 0)
