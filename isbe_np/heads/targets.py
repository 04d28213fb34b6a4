"""Targets as users write them: a class index for each example (N,), or one number for each score (N, C)."""

import numpy as np

from isbe_np import checks
from isbe_np.heads.losses import all_finite


def read_targets(given, scores: np.ndarray) -> np.ndarray:
    """Class indices (N,) as int64, or dense targets (N, C) of the dtype of the scores (N, C).

    Raises ValueError for another shape, masked entries, a label of no class, or a number that is not finite; TypeError for
    what holds no numbers.
    """
    N, C = scores.shape
    targets = checks.numbers("Head(targets)", given, "whole-number labels (N,) or numbers (N, C)", names=True)
    if targets.shape == (N,):
        return checks.class_indices("Head(targets)", targets, C)
    if targets.shape != (N, C):
        raise ValueError(f"Head(targets) expects ({N},) labels or ({N}, {C}) numbers for scores of shape ({N}, {C}); got shape "
                         f"{targets.shape}.{checks.one_too_many(targets.shape, (N,), C)}")
    dense = checks.real_array("Head(targets)", targets, scores.dtype)
    if not all_finite(dense):
        n, c = np.argwhere(~np.isfinite(dense))[0]
        raise ValueError(f"Head(targets) expects numbers that are finite in {scores.dtype}; row {n}, class {c} is "
                         f"{targets[n, c]}.")
    return dense


def dense_targets(given, scores: np.ndarray, low: float, high: float) -> np.ndarray:
    """Targets (N, C) of the dtype of the scores (N, C), as `read_targets` reads them; labels are encoded by `one_hot`."""
    targets = read_targets(given, scores)
    return one_hot(targets, scores, low, high) if targets.ndim == 1 else targets


def one_hot(labels: np.ndarray, scores: np.ndarray, low: float, high: float) -> np.ndarray:
    """Dense targets (N, C): `high` for the labelled class, `low` for the others, in the dtype of the scores (N, C)."""
    targets = np.full(scores.shape, low, scores.dtype)
    targets[np.arange(len(labels)), labels] = high
    return targets
