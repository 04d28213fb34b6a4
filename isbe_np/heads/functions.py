"""The mathematics of a softmax head as plain functions, for those who want numbers and no object. `Head` computes them."""

from __future__ import annotations

import numpy as np

from isbe_np.heads.head import Head


def softmax(scores) -> np.ndarray:
    """Probabilities y (N, C) of the logits `scores` (N, C): y_j = exp(x_j) / Σ_k exp(x_k) in each row.

    float32 or float64, as the scores are. Raises what `Head.forward` raises.

    >>> softmax([[0.0, 0.0, 0.0, 0.0]])
    array([[0.25, 0.25, 0.25, 0.25]])
    """
    return Head().forward(scores)


def cross_entropy(scores, targets, reduction: str = "mean") -> float | np.ndarray:
    """The loss −Σ_j t_j log softmax(scores)_j: its mean over N examples, their "sum", or with "none" one for each, (N,).

    scores are logits (N, C). targets are class indices (N,) or numbers (N, C). Computed in float64.

    >>> scores = np.log([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
    >>> cross_entropy(scores, [0, 2], reduction="none").round(4)
    array([0.6931, 0.2231])
    """
    head = Head(reduction=reduction)
    head.forward(scores)
    return head.loss(targets)


def isbe_error(scores, targets, reduction: str = "none") -> np.ndarray:
    """softmax(scores) − targets, (N, C): the gradient of each example's cross-entropy by its scores where its targets sum to 1.

    scores are logits (N, C). targets are class indices (N,) or numbers (N, C). Reduction "mean" divides by N.
    That is the gradient of the mean cross-entropy, and what a `Head` sends back unless told otherwise (Skarbek 2024).

    >>> scores = np.log([[0.5, 0.25, 0.25]])
    >>> isbe_error(scores, [0])
    array([[-0.5 ,  0.25,  0.25]])
    """
    return Head(reduction=reduction).error(scores, targets)
