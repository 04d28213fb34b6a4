"""Assignment 1: softmax and its Jacobian. Read handout.md; fill in the functions; try them with `isbe check a1`."""

import numpy as np


def softmax(scores):
    """Soft scores (N, C) of the scores (N, C), float64: y_i = e^(x_i) / Σ_k e^(x_k) in each row; finite for finite scores."""
    # BEGIN SOLUTION
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
    # END SOLUTION


def softmax_temperature(scores, temperature):
    """softmax(scores / temperature) (N, C) in the scores' own dtype, float32 or float64; temperature is a number above 0."""
    # BEGIN SOLUTION
    x = (scores - scores.max(axis=1, keepdims=True)) / scores.dtype.type(temperature)
    e = np.exp(x)
    return e / e.sum(axis=1, keepdims=True)
    # END SOLUTION


def softmax_jacobian(soft):
    """The Jacobians (N, C, C) of softmax at the soft scores (N, C): J_ij = ∂y_i/∂x_j."""
    # BEGIN SOLUTION
    N, C = soft.shape
    J = np.zeros((N, C, C))
    for n in range(N):
        J[n] = np.diag(soft[n]) - np.outer(soft[n], soft[n])
    return J
    # END SOLUTION


def temperature_jacobian(soft, temperature):
    """The Jacobians (N, C, C) of softmax(x / temperature) by the scores x, from its soft scores (N, C)."""
    # BEGIN SOLUTION
    return softmax_jacobian(soft) / temperature
    # END SOLUTION


def jacobian_times(soft, gradient):
    """Jᵀ g (N, C) from the soft scores (N, C) and g (N, C), without ever building J: time and memory grow as C, not as C²."""
    # BEGIN SOLUTION
    inner = (soft * gradient).sum(axis=1, keepdims=True)
    return soft * (gradient - inner)
    # END SOLUTION
