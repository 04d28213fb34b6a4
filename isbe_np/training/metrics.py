"""How good a network's scores are."""

import numpy as np

from isbe_np.checks import whole
from isbe_np.graph import Graph


def predict(net: Graph, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """The class of the highest score for each of x (N, *shape): (N,) int64. Ties go to the lower class."""
    size = whole("predict(batch_size)", batch_size)
    if not len(x):
        raise ValueError("predict expects at least one example; got none.")
    return np.concatenate([net.forward(x[i:i + size]).argmax(axis=1) for i in range(0, len(x), size)])


def accuracy(net: Graph, x: np.ndarray, y: np.ndarray, batch_size: int = 256) -> float:
    """Share of x (N, *shape) whose predicted class is y (N,), from 0 to 1."""
    if np.shape(y) != (len(x),):
        raise ValueError(f"accuracy expects one label for each of {len(x)} examples, shape ({len(x)},); "
                         f"got shape {np.shape(y)}.")
    return float(np.mean(predict(net, x, batch_size) == y))
