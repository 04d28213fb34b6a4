"""The networks of the studies, each for images of any shape, (1, 28, 28) unless said otherwise, and ten classes.

The paper (arXiv 2311.16357) calls its two networks N0 and N1 but what we have of it does not describe them fully. N0 here is a
perceptron and N1 a two-stage convolutional network of the customary sizes: ours, not the authors'. It asks for residual
networks and transformers, which are ours too.
"""

from collections.abc import Callable

import numpy as np

from isbe_np.checks import whole
from isbe_np.graph import Graph, Sequential
from isbe_np.layers import (
    GELU,
    Add,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool,
    Input,
    LayerNorm,
    MaxPool2D,
    MeanTokens,
    MultiHeadSelfAttention,
    Node,
    Patches,
    PositionEmbedding,
    ReLU,
)

IMAGE = (1, 28, 28)
CLASSES = 10


def n0(seed: int = 0, dtype=np.float32, fuse: bool = True, image=IMAGE, kernels: str = "fast") -> Graph:
    """A perceptron: 784-512-256-10 with ReLU."""
    return Sequential(image, Flatten(), Dense(512), ReLU(), Dense(256), ReLU(), Dense(CLASSES), seed=seed, dtype=dtype,
                      fuse=fuse, kernels=kernels)


def n1(seed: int = 0, dtype=np.float32, fuse: bool = True, image=IMAGE, kernels: str = "fast") -> Graph:
    """Convolutions of 32 and 64 filters of 5 x 5, each with ReLU and 2 x 2 max pooling; dense 512; ten scores."""
    return Sequential(
        image, Conv2D(32, 5, padding=2), ReLU(), MaxPool2D(2), Conv2D(64, 5, padding=2), ReLU(), MaxPool2D(2),
        Flatten(), Dense(512), ReLU(), Dense(CLASSES), seed=seed, dtype=dtype, fuse=fuse, kernels=kernels)


def lenet5(seed: int = 0, dtype=np.float32, fuse: bool = True, image=IMAGE, kernels: str = "fast") -> Graph:
    """LeNet-5 (LeCun et al. 1998) as it is built today: ReLU, max pooling, and every map of conv 2 sees all of conv 1."""
    return Sequential(
        image, Conv2D(6, 5, padding=2), ReLU(), MaxPool2D(2), Conv2D(16, 5), ReLU(), MaxPool2D(2),
        Flatten(), Dense(120), ReLU(), Dense(84), ReLU(), Dense(CLASSES), seed=seed, dtype=dtype, fuse=fuse, kernels=kernels)


def n2(seed: int = 0, dtype=np.float32, fuse: bool = True, image=IMAGE, kernels: str = "fast") -> Graph:
    """Convolutions of 24, 48 and 64 filters with batch norm, each with ReLU and 2 x 2 max pooling; dense 256 with dropout."""
    return Sequential(
        image, Conv2D(24, 5, padding=2), BatchNorm(), ReLU(), MaxPool2D(2), Conv2D(48, 5, padding=2), BatchNorm(), ReLU(),
        MaxPool2D(2), Conv2D(64, 3, padding=1), BatchNorm(), ReLU(), MaxPool2D(2), Flatten(), Dense(256), ReLU(), Dropout(0.4),
        Dense(CLASSES), seed=seed, dtype=dtype, fuse=fuse, kernels=kernels)


def resnet(seed: int = 0, dtype=np.float32, fuse: bool = True, image=IMAGE, depth: int = 8, width: int = 16,
           kernels: str = "fast") -> Graph:
    """A residual network (He et al. 2016, section 4.2) of 6 b + 2 = `depth` layers with parameters on its longest path.

    Three stages of b blocks with `width`, 2 width and 4 width filters; the second and third begin with stride 2. A shortcut
    that changes shape is a convolution of 1 x 1 with batch norm (their option B).
    """
    blocks, left = divmod(whole("resnet(depth)", depth, least=8) - 2, 6)
    if left:
        raise ValueError(f"resnet(depth) expects 6 b + 2 for b blocks a stage, such as 8, 14 or 20; got {depth}.")
    start = Input(image)
    x = ReLU()(BatchNorm()(Conv2D(width, 3, padding=1)(start)))
    for stage in range(3):
        for block in range(blocks):
            x = _residual(x, width * 2**stage, 2 if stage and not block else 1)
    return Graph(start, Dense(CLASSES)(GlobalAveragePool()(x)), seed=seed, dtype=dtype, fuse=fuse, kernels=kernels)


def _residual(x: Node, filters: int, stride: int) -> Node:
    """ReLU(shortcut(x) + F(x)), F two convolutions of 3 x 3 with batch norm, ReLU between them."""
    y = ReLU()(BatchNorm()(Conv2D(filters, 3, stride=stride, padding=1)(x)))
    y = BatchNorm()(Conv2D(filters, 3, padding=1)(y))
    same = x.shape == y.shape
    return ReLU()(Add()(x if same else BatchNorm()(Conv2D(filters, 1, stride=stride)(x)), y))


def transformer(seed: int = 0, dtype=np.float32, fuse: bool = True, image=IMAGE, patch: int = 4, features: int = 64,
                heads: int = 4, blocks: int = 3, kernels: str = "fast") -> Graph:
    """A patch transformer (Dosovitskiy et al. 2021): squares of `patch` pixels are tokens, their mean is what is classified."""
    start = Input(image)
    x = PositionEmbedding()(Dense(features)(Patches(patch)(start)))
    for _ in range(blocks):
        x = _attentive(x, heads)
    return Graph(start, Dense(CLASSES)(MeanTokens()(LayerNorm()(x))), seed=seed, dtype=dtype, fuse=fuse, kernels=kernels)


def characters(seed: int = 0, dtype=np.float32, fuse: bool = True, vocabulary: int = 96, length: int = 64,
               features: int = 64, heads: int = 4, blocks: int = 2, kernels: str = "fast") -> Graph:
    """A causal model of texts: tokens (length,) -> scores (length, vocabulary) of the token after each.

    To a head each position is an example: ``head.forward(scores.reshape(-1, vocabulary))``.
    """
    start = Input(length)
    x = PositionEmbedding()(Embedding(vocabulary, features)(start))
    for _ in range(blocks):
        x = _attentive(x, heads, causal=True)
    return Graph(start, Dense(vocabulary)(LayerNorm()(x)), seed=seed, dtype=dtype, fuse=fuse, kernels=kernels)


def _attentive(x: Node, heads: int, causal: bool = False) -> Node:
    """Each token hears of the others, then is thought over by itself; the norm comes first (Xiong et al. 2020)."""
    x = Add()(x, MultiHeadSelfAttention(heads, causal=causal)(LayerNorm()(x)))
    y = GELU()(Dense(2 * x.shape[-1])(LayerNorm()(x)))
    return Add()(x, Dense(x.shape[-1])(y))


NETWORKS: dict[str, Callable[..., Graph]] = {
    "n0": n0, "n1": n1, "lenet5": lenet5, "n2": n2, "resnet": resnet, "transformer": transformer}
