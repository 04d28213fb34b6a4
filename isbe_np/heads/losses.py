"""What routes 1 to 3 differentiate: the value of each loss, and its gradient g = ∂loss/∂y in the soft scores y.

    cross_entropy           −Σ t log y
    binary_cross_entropy    −Σ t log y + (1 − t) log(1 − y)
    squared                 ½ Σ (y − t)²
    matching                Φ(x) − ⟨t, x⟩ + const, where ∇Φ(x) = y: its gradient in the scores is y − t

The matching loss of sigmoid is binary_cross_entropy, of identity squared, and of softmax cross_entropy, where targets sum to 1
and there is no dilation.
"""

import numpy as np

from isbe_np.checks import real_array
from isbe_np.kernels import softmax

LOSSES = ("matching", "cross_entropy", "binary_cross_entropy", "squared")


def ratio(a, b):
    """a / b, and 0 where a is 0: a term 0 · log 0 of a loss counts as 0, and so does its derivative."""
    return np.divide(a, b, out=np.zeros_like(b), where=a != 0)


def times(a, logarithm):
    """a · logarithm, and 0 where a is 0"""
    return np.where(a != 0, a * logarithm, 0)


def gradient(name: str, normalizer, soft: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """g = ∂loss/∂y (N, C); infinite where the loss takes the logarithm of a soft score that rounding made 0."""
    if name == "cross_entropy":
        g = np.empty_like(soft)
        softmax.cross_entropy_gradient(soft, targets, g)
        return g
    if name == "binary_cross_entropy":
        return ratio(1 - targets, 1 - soft) - ratio(targets, soft)
    if name == "squared":
        return soft - targets
    g = normalizer.matching_gradient(soft, targets)
    return real_array("Head.backward", g, soft.dtype, "a gradient from the normalizer")


def values(head, targets: np.ndarray) -> np.ndarray:
    """Loss of each example (N,) in float64, from the scores where the logarithm of a soft score would lose digits."""
    name, normalizer, scores = head.loss_name, head.normalizer, head.scores
    t = np.asarray(targets, np.float64)
    if name == getattr(normalizer, "matching", "matching") and hasattr(normalizer, "matching_loss"):
        return normalizer.matching_loss(scores, targets)
    if name == "matching":
        potential = real_array("Head.loss", normalizer.potential(scores), np.float64, "a potential from the normalizer")
        return potential - (t * scores).sum(axis=1)
    if name == "squared":
        return ((head.soft - t) ** 2 / 2).sum(axis=1)
    log_soft = normalizer.log_soft(scores) if hasattr(normalizer, "log_soft") else np.log(np.asarray(head.soft, np.float64))
    if name == "cross_entropy":
        return -times(t, log_soft).sum(axis=1)
    return -(times(t, log_soft) + times(1 - t, np.log(-np.expm1(log_soft)))).sum(axis=1)
