"""Sparsemax, its Jacobian and its product: the point of the simplex that is nearest to the scores (N, C).

    y = argmin ‖p − x‖² over p ≥ 0, Σ p = 1;  y_j = [x_j − m − τ]₊ with m = max x and τ such that Σ y = 1
    S = {j : y_j > 0}                          the support; the other classes get exactly 0
    J = diag(s) − s sᵀ / |S|,  s_j = 1 on S    symmetric, so Jᵀ g is g less its mean on S, and 0 elsewhere

Martins & Astudillo, From Softmax to Sparsemax, ICML 2016, algorithm 1. Scores are shifted by their maximum first, so that
nothing overflows; as −1 ≤ τ < 0, none that lies 1 or more below the largest has a part. Kernels that take (x − m) − τ are
`exact`: reordered to x − (m + τ), a large m would swallow τ. A row that holds NaN or +inf becomes NaN.
"""

import numpy as np

from isbe_np.compiler.jit import jit, prange


@jit(exact=True)
def sparsemax_threshold(x):
    """m = max x and τ = (Σ_S (x − m) − 1) / |S| for one example x (C,); both float64

    From the largest score down, each joins S if it lies above the threshold of those before it.
    """
    far = x.max() - x.dtype.type(2)  # 1 would do but for rounding; few are left to sort, and NaN is never below
    ascending = np.sort(x[~(x < far)])
    C = ascending.size
    m = np.float64(ascending[C - 1])
    total, tau = np.float64(0), np.float64(-1)
    for k in range(1, C + 1):
        z = np.float64(ascending[C - k]) - m
        if z <= tau:
            break
        total += z
        tau = (total - 1) / k
    return m, tau


@jit(parallel=True, exact=True)
def sparsemax_margin(x, d):
    """d = x − m − τ, how far each score lies above the threshold: x (N, C), d (N, C) float64; y = [d]₊"""
    for n in prange(x.shape[0]):
        m, tau = sparsemax_threshold(x[n])
        for j in range(x.shape[1]):
            d[n, j] = (np.float64(x[n, j]) - m) - tau


@jit(parallel=True, exact=True)
def sparsemax(x, y):
    """y_j = [x_j − m − τ]₊ : x, y (N, C)"""
    for n in prange(x.shape[0]):
        m, tau = sparsemax_threshold(x[n])
        for j in range(x.shape[1]):
            d = (np.float64(x[n, j]) - m) - tau
            y[n, j] = 0 if d <= 0 else d


@jit
def sparsemax_product(y, g, dx):
    """dx = g − (Σ_S g) / |S| on the support S of y = sparsemax(x), 0 elsewhere, (N, C): Jᵀ g without J"""
    N, C = y.shape
    for n in range(N):
        total, size = np.float64(0), 0
        for j in range(C):
            if y[n, j] > 0:
                total += g[n, j]
                size += 1
        mean = y.dtype.type(total / size)
        for j in range(C):
            dx[n, j] = g[n, j] - mean if y[n, j] > 0 else 0


@jit(parallel=True, exact=True)
def sparsemax_jacobian(y, J):
    """J[n] = diag(s) − s sᵀ / |S| with s = 1 on the support S of y[n], else 0: y (N, C), J (N, C, C)"""
    N, C = y.shape
    one = y.dtype.type(1)
    for n in prange(N):
        size = 0
        for j in range(C):
            size += y[n, j] > 0
        share = one / y.dtype.type(size)
        for i in range(C):
            for j in range(C):
                J[n, i, j] = -share if y[n, i] > 0 and y[n, j] > 0 else 0
            if y[n, i] > 0:
                J[n, i, i] += one
