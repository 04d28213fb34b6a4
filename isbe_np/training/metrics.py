"""How good a network's scores are."""

import numpy as np

from isbe_np.checks import float_array, labels, whole
from isbe_np.graph import Graph
from isbe_np.kernels.finite import all_finite


def predict(net: Graph, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """The class of the highest score for each of x (N, *shape): (N,) int64, or (N, T) where the network gives scores for each
    of T positions. Ties go to the lower class.

    x is of the network's dtype. ValueError or TypeError for what the network cannot take, or holds masked entries;
    FloatingPointError where a score is not finite: the network has diverged, and its highest score means nothing.
    """
    size = whole("predict(batch_size)", batch_size)
    x = np.atleast_1d(float_array("predict(x)", x, net.dtype))
    if not len(x):
        raise ValueError("predict expects at least one example; got none.")
    with net.exclusive():  # by the same parameters for all batches, should another thread train the network
        return np.concatenate([_classes(net.forward(x[i:i + size]), i) for i in range(0, len(x), size)])


def _classes(scores: np.ndarray, first: int) -> np.ndarray:
    if not all_finite(scores.reshape(-1)):
        n = first + int(np.argmax(~np.isfinite(scores).reshape(len(scores), -1).all(axis=1)))
        raise FloatingPointError(f"predict expects finite scores; the network's scores of example {n} are not. Its "
                                 f"parameters have grown too large: train it anew with a lower learning rate.")
    return scores.argmax(axis=-1)


def accuracy(net: Graph, x: np.ndarray, y: np.ndarray, batch_size: int = 256) -> float:
    """Share of x (N, *shape) whose predicted class is y (N,), from 0 to 1; of positions, where y is (N, T).

    y are class indices, whole numbers from 0, of any dtype. ValueError or TypeError for all else, one-hot rows among them:
    pass np.asarray(y).argmax(axis=-1) of those. x is as for `predict`.
    """
    x = np.atleast_1d(float_array("accuracy(x)", x, net.dtype))
    *positions, classes = net.nodes[-1].shape
    right = labels("accuracy", y, (len(x), *positions), classes)
    return float(np.mean(predict(net, x, batch_size) == right))
