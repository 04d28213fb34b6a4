"""Targets as users write them: a class index for each example (N,), or one number for each score (N, C)."""

import numpy as np


def read_targets(given, soft: np.ndarray) -> np.ndarray:
    """Class indices (N,) as int64, or dense targets (N, C) of the dtype of the soft scores (N, C).

    Raises ValueError for another shape, a class that is none, or a number that is not finite; TypeError for no numbers.
    """
    N, C = soft.shape
    targets = np.asarray(given)
    if targets.dtype.kind not in "biuf":
        raise TypeError(f"Head: targets must be whole or real numbers; got {targets.dtype}. Number the classes from 0.")
    if targets.shape == (N,):
        return _labels(targets, C)
    if targets.shape != (N, C):
        raise ValueError(f"Head: targets for scores of shape ({N}, {C}) must be ({N},) class indices or ({N}, {C}) "
                         f"numbers; got shape {targets.shape}.")
    with np.errstate(over="ignore"):
        dense = np.ascontiguousarray(targets, soft.dtype)
    if not np.isfinite(dense).all():
        n, c = np.argwhere(~np.isfinite(dense))[0]
        raise ValueError(f"Head: targets must be finite in {soft.dtype}; row {n}, class {c} is {targets[n, c]}.")
    return dense


def _labels(targets, C):
    if targets.dtype.kind == "f" and (targets != np.floor(targets)).any():
        n = np.argmax(targets != np.floor(targets))
        raise ValueError(f"Head: class indices must be whole numbers; target {n} is {targets[n]}. For soft targets "
                         "pass one number for each score, shape (N, C).")
    wrong = (targets < 0) | (targets >= C)
    if wrong.any():
        n = np.argmax(wrong)
        hint = " For one score for each example, pass targets of shape (N, 1)." if C == 1 else ""
        raise ValueError(f"Head: class indices must lie in 0..{C - 1}; target {n} is {targets[n]}.{hint}")
    return np.ascontiguousarray(targets, np.int64)


def one_hot(labels: np.ndarray, soft: np.ndarray, low: float, high: float) -> np.ndarray:
    """Dense targets (N, C): `high` for the labelled class, `low` for the others, in the dtype of `soft` (N, C)."""
    targets = np.full_like(soft, low)
    targets[np.arange(len(labels)), labels] = high
    return targets
