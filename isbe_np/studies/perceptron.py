"""What quick studies train: a small perceptron, on few images."""

from functools import lru_cache

import numpy as np

from isbe_np.datasets import Dataset, load
from isbe_np.graph import Graph, Sequential
from isbe_np.layers import Dense, Flatten, ReLU

CLASSES = 10
CHANCE = 1 / CLASSES  # accuracy of guessing


@lru_cache(maxsize=2)
def images(data: str, data_dir: str | None, train: int, test: int, dtype: str = "float32") -> Dataset:
    """So many of the first images, kept for a worker's next cell; leave them unchanged."""
    return load(data, data_dir, np.dtype(dtype), train=train, test=test)


def perceptron(image: tuple[int, ...], seed: int, dtype: str = "float32", hidden: int = 64) -> Graph:
    """One hidden layer with ReLU, and ten scores."""
    return Sequential(image, Flatten(), Dense(hidden), ReLU(), Dense(CLASSES), seed=seed, dtype=np.dtype(dtype))
