"""The checks of assignment 1. Cases are drawn anew for every grading; the solution in a1.py says what is expected."""

import numpy as np

from isbe_np.classroom import Assignment, Check, Limits, Task

QUICK = Limits(start=10, first=5, call=5, memory=2**30)


def scores(random):
    """Batches of ordinary scores."""
    return [(random.normal(0, 2, shape),) for shape in ((1, 2), (4, 3), (7, 10), (2, 1))]


def large_scores(random):
    """Scores whose e^x overflows or vanishes, and rows that are far apart."""
    x = random.normal(0, 1, (3, 5))
    return [(x + 800,), (x - 2000,), (x * np.array([[1.0], [1e3], [1e6]]),), (np.array([[1e300, -1e300, 0.0]]),)]


def equal_scores(random):
    """Rows of one number: 1/C each."""
    return [(np.full((2, C), random.normal(0, 100)),) for C in (2, 7)]


def warm(random):
    """Scores with temperatures above and below 1."""
    return [(random.normal(0, 3, (4, 6)), float(T)) for T in random.uniform(0.2, 5, 3)]


def cold(random):
    """Temperatures so low that x / T overflows e^x."""
    return [(random.normal(0, 10, (3, 4)), float(random.uniform(1e-4, 1e-3)))]


def single(random):
    """float32 scores."""
    return [(random.normal(0, 2, (4, 6)).astype(np.float32), 2.5)]


def soft(random, C=5, N=4):
    """Rows that are positive and sum to 1."""
    e = np.exp(random.normal(0, 1.5, (N, C)))
    return e / e.sum(axis=1, keepdims=True)


def vectors(random):
    """Soft scores and gradients."""
    return [(soft(random, C, N), random.normal(0, 1, (N, C))) for C, N in ((2, 1), (5, 4), (20, 3))]


def many_classes(random):
    """So many classes that the Jacobians would not fit."""
    return [(soft(random, 30000, 2), random.normal(0, 1, (2, 30000)))]


ASSIGNMENT = Assignment("Softmax and its Jacobian", tasks=(
    Task("1.1", "softmax", "Softmax", limits=QUICK, checks=(
        Check("values", 2, scores, "Sum over classes, axis 1, and keep the axis so that the division is row by row."),
        Check("equal scores", 1, equal_scores, "Equal scores give 1/C each, whatever their size."),
        Check("large scores", 2, large_scores, "Subtract the row's largest score first: softmax does not change, and e^x "
              "cannot overflow."))),
    Task("1.2", "softmax_temperature", "A temperature", limits=QUICK, checks=(
        Check("values", 1, warm, "Divide the scores by the temperature before e^x."),
        Check("low temperature", 1, cold, "Subtract the row's largest score; a small T makes x / T large."),
        Check("float32", 1, single, "A float32 array times a float64 array is float64: keep the scores' dtype.",
              tolerance=2e-6, same_dtype=True))),
    Task("1.3", "softmax_jacobian", "The Jacobian", limits=QUICK, checks=(
        Check("values", 2, lambda random: [(soft(random),), (soft(random, 2, 1),)],
              "J = diag(y) − y yᵀ, one matrix for each row: the diagonal alone, y(1 − y), is not enough.", tolerance=1e-12),
        Check("one class", 1, lambda random: [(np.ones((3, 1)),)], "With one class y = 1 always, so that J = 0."))),
    Task("1.4", "temperature_jacobian", "The Jacobian with a temperature", limits=QUICK, checks=(
        Check("values", 2, lambda random: [(soft(random), float(random.uniform(0.2, 5))) for _ in range(3)],
              "By the chain rule ∂y/∂x = ∂y/∂(x/T) · 1/T.", tolerance=1e-12),)),
    Task("1.5", "jacobian_times", "J times g without J", limits=QUICK, checks=(
        Check("values", 2, vectors, "Write out Σ_i (y_i δ_ij − y_i y_j) g_i and sum each part.", tolerance=1e-12),
        Check("many classes", 1, many_classes, "J of 30,000 classes takes 7 GB: y ⊙ (g − ⟨y, g⟩) needs no matrix.",
              tolerance=1e-12, public=False))),
))
