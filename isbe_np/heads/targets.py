"""Targets as users write them: a class index for each example (N,), or one number for each score (N, C)."""

import numpy as np

from isbe_np.heads.losses import all_finite


def read_targets(given, scores: np.ndarray) -> np.ndarray:
    """Class indices (N,) as int64, or dense targets (N, C) of the dtype of the scores (N, C).

    Raises ValueError for another shape, a class that is none, or a number that is not finite; TypeError for no numbers.
    """
    N, C = scores.shape
    targets = np.asarray(given)
    if targets.dtype.kind not in "biuf":
        raise TypeError(f"Head: targets must be whole or real numbers; got {targets.dtype}. Number the classes from 0.")
    if targets.shape == (N,):
        return _labels(targets, C)
    if targets.shape != (N, C):
        raise ValueError(f"Head: targets for scores of shape ({N}, {C}) must be ({N},) class indices or ({N}, {C}) "
                         f"numbers; got shape {targets.shape}.")
    with np.errstate(over="ignore"):
        dense = np.ascontiguousarray(targets, scores.dtype)
    if not all_finite(dense):
        n, c = np.argwhere(~np.isfinite(dense))[0]
        raise ValueError(f"Head: targets must be finite in {scores.dtype}; row {n}, class {c} is {targets[n, c]}.")
    return dense


def _labels(targets, C):
    if targets.dtype.kind == "f" and (targets != np.floor(targets)).any():
        n = np.argmax(targets != np.floor(targets))
        raise ValueError(f"Head: class indices must be whole numbers; target {n} is {targets[n]}. For soft targets "
                         "pass one number for each score, shape (N, C).")
    # Clipped, no real number is too large for int64. Read without a sign, negative numbers are larger than any C.
    labels = np.ascontiguousarray(targets.clip(-1, C) if targets.dtype.kind == "f" else targets, np.int64)
    if (unsigned := labels.view(np.uint64)).max(initial=0) >= C:
        n = np.argmax(unsigned >= C)
        hint = " For one score for each example, pass targets of shape (N, 1)." if C == 1 else ""
        raise ValueError(f"Head: class indices must lie in 0..{C - 1}; target {n} is {targets[n]}.{hint}")
    return labels


def one_hot(labels: np.ndarray, soft: np.ndarray, low: float, high: float) -> np.ndarray:
    """Dense targets (N, C): `high` for the labelled class, `low` for the others, in the dtype of `soft` (N, C)."""
    targets = np.full_like(soft, low)
    targets[np.arange(len(labels)), labels] = high
    return targets
