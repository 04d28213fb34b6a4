"""The networks of the studies, each for images (1, 28, 28) and ten classes.

The paper (arXiv 2311.16357) calls its two networks N0 and N1 but what we have of it does not describe them fully. N0 here is a
perceptron and N1 a two-stage convolutional network of the customary sizes: ours, not the authors'.
"""

import numpy as np

from isbe_np.graph import Graph, Sequential
from isbe_np.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU

IMAGE = (1, 28, 28)
CLASSES = 10


def n0(seed: int = 0, dtype=np.float32, fuse: bool = True) -> Graph:
    """A perceptron: 784-512-256-10 with ReLU."""
    return Sequential(IMAGE, Flatten(), Dense(512), ReLU(), Dense(256), ReLU(), Dense(CLASSES), seed=seed, dtype=dtype,
                      fuse=fuse)


def n1(seed: int = 0, dtype=np.float32, fuse: bool = True) -> Graph:
    """Convolutions of 32 and 64 filters of 5 x 5, each with ReLU and 2 x 2 max pooling; dense 512; ten scores."""
    return Sequential(
        IMAGE, Conv2D(32, 5, padding=2), ReLU(), MaxPool2D(2), Conv2D(64, 5, padding=2), ReLU(), MaxPool2D(2),
        Flatten(), Dense(512), ReLU(), Dense(CLASSES), seed=seed, dtype=dtype, fuse=fuse)


def lenet5(seed: int = 0, dtype=np.float32, fuse: bool = True) -> Graph:
    """LeNet-5 (LeCun et al. 1998) as it is built today: ReLU, max pooling, and every map of conv 2 sees all of conv 1."""
    return Sequential(
        IMAGE, Conv2D(6, 5, padding=2), ReLU(), MaxPool2D(2), Conv2D(16, 5), ReLU(), MaxPool2D(2),
        Flatten(), Dense(120), ReLU(), Dense(84), ReLU(), Dense(CLASSES), seed=seed, dtype=dtype, fuse=fuse)


NETWORKS = {"n0": n0, "n1": n1, "lenet5": lenet5}
