"""Assignment 2: cross-entropy's gradient and the collapse. Read handout.md; try your functions with `isbe check a2`."""

import numpy as np


def cross_entropy(scores, targets, smoothing):
    """The losses (N,) −Σ_c t'_c log y_c, with y = softmax(scores) and t' = (1 − smoothing) · targets + smoothing / C.

    Scores and targets are (N, C), float64; a row of targets may have any sum. Finite for any finite scores.
    """
    # BEGIN SOLUTION
    smoothed = (1 - smoothing) * targets + smoothing / scores.shape[1]
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_soft = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -(smoothed * log_soft).sum(axis=1)
    # END SOLUTION


def gradient_by_soft(soft, targets):
    """g = ∂loss/∂y = −t / y (N, C) from soft scores and targets (N, C).

    0 wherever t = 0, even where y = 0 too; −inf where y = 0 and t > 0.
    """
    # BEGIN SOLUTION
    g = np.zeros_like(soft)
    with np.errstate(divide="ignore", over="ignore"):
        np.divide(-targets, soft, out=g, where=targets != 0)
    return g
    # END SOLUTION


def route_error(scores, targets, route):
    """The error (N, C) that goes back into the scores (N, C) by one of four routes, in the scores' dtype, as it comes out.

    1: Jᵀ g with the Jacobian J of softmax and g = −t / y;  2: the same product without J;  3: the gradient of cross-entropy by
    the scores, where the quotient t / y has cancelled;  4: the ISBE error. Targets (N, C) may have any sum.
    """
    # BEGIN SOLUTION
    soft = np.exp(scores - scores.max(axis=1, keepdims=True))
    soft /= soft.sum(axis=1, keepdims=True)
    if route == 4:
        return soft - targets
    if route == 3:
        return targets.sum(axis=1, keepdims=True) * soft - targets
    g = gradient_by_soft(soft, targets)
    with np.errstate(invalid="ignore"):
        if route == 2:
            return soft * (g - (soft * g).sum(axis=1, keepdims=True))
        J = soft[:, :, None] * np.eye(soft.shape[1], dtype=soft.dtype) - soft[:, :, None] * soft[:, None, :]
        return np.einsum("nij,ni->nj", J, g)
    # END SOLUTION


def weighted_error(soft, targets, weights, reduction):
    """The gradient (N, C), by the scores, of the weighted losses L_n = −Σ_c w_c t_nc log y_nc, with class weights w (C,).

    reduction 0: of each L_n by its own row of scores;  1: of their mean, Σ L_n / N;  2: of their weighted mean, Σ L_n divided
    by the weight of all targets, Σ_n Σ_c w_c t_nc. Soft scores y = softmax(scores) and targets are (N, C).
    """
    # BEGIN SOLUTION
    weighted = weights * targets
    totals = weighted.sum(axis=1, keepdims=True)
    error = totals * soft - weighted
    return error / (1, len(soft), totals.sum())[reduction]
    # END SOLUTION


def dilated_error(scores, targets, dilation, relocation):
    """(error, gradient), both (N, C), of y = softmax(k ⊙ x + b) at the scores x (N, C); dilation k and relocation b are (C,).

    The error is ISBE's, y − t; the gradient that of −Σ t log y by x. Targets (N, C) may have any sum.
    """
    # BEGIN SOLUTION
    x = dilation * scores + relocation
    soft = np.exp(x - x.max(axis=1, keepdims=True))
    soft /= soft.sum(axis=1, keepdims=True)
    return soft - targets, dilation * (targets.sum(axis=1, keepdims=True) * soft - targets)
    # END SOLUTION


def find_dilation(s, C):
    """(k, b), each (C,): the dilation and relocation of a normalizer s that is known to be softmax(k ⊙ x + b), with Σ b = 0.

    s is a function: it takes one row of C scores, an array (C,), and returns its soft scores (C,). C is 2 or more.
    """
    # BEGIN SOLUTION
    at_zero = np.log(s(np.zeros(C)))
    k = np.zeros(C)
    for j in range(C):
        other = (j + 1) % C
        moved = np.log(s(np.eye(C)[j]))
        k[j] = (moved[j] - moved[other]) - (at_zero[j] - at_zero[other])
    return k, at_zero - at_zero.mean()
    # END SOLUTION
