"""Softmax, its Jacobian, and the ways to send an error back through it. Rows are examples: N of them, C classes.

    y_j = exp(x_j) / Σ_k exp(x_k)          soft scores of the scores x
    J   = diag(y) − y yᵀ                   ∂y_i/∂x_j, symmetric
    E   = −Σ_j t_j log y_j                 cross-entropy, so g = ∂E/∂y = −t / y
    Jᵀ g = τ y − t,  τ = Σ_j t_j           what all of it collapses to; y − t where the targets sum to 1

Outputs are the last arguments and are overwritten. Arrays are C-contiguous and of one dtype, but where said otherwise.
Kernels that take (x − m) − log Σ are `exact`: reordered to x − (m + log Σ), a large m would swallow the logarithm.
Passes with a few operations a number run on one thread: a second one waits for the same memory.
"""

import numpy as np

from isbe_np.kernels.jit import jit, prange


@jit
def softmax_row(x, y):
    """y_j = exp(x_j − m) / Σ_k exp(x_k − m) with m = max x, for one example: x, y (C,)"""
    m = x[0]
    for j in range(x.size):
        m = max(m, x[j])
    total = np.float64(0)
    for j in range(x.size):
        y[j] = np.exp(x[j] - m)  # at most 1: shifting by m changes no quotient and prevents overflow
        total += y[j]
    for j in range(x.size):
        y[j] /= total


@jit(parallel=True)
def softmax(x, y):
    """Soft scores y (N, C) of the scores x (N, C).

    A row that has no softmax (it holds NaN or +inf, or nothing but −inf) becomes NaN throughout, since then m is
    infinite or the sum is NaN; `first_bad_row` finds it. −inf for some classes is fine: their y is 0.
    """
    for n in prange(x.shape[0]):
        softmax_row(x[n], y[n])


@jit
def first_bad_row(y):
    """Number of the first row of y = softmax(x) (N, C) for which x has no softmax, or −1"""
    for n in range(y.shape[0]):
        if np.isnan(y[n, 0]):
            return n
    return -1


@jit(parallel=True)
def softmax_jacobian(y, J):
    """J[n] = diag(y[n]) − y[n] y[n]ᵀ, (N, C, C): time and memory grow with C²"""
    N, C = y.shape
    for n in prange(N):
        for i in range(C):
            for j in range(C):
                J[n, i, j] = -y[n, i] * y[n, j]
            J[n, i, i] += y[n, i]


@jit(parallel=True)
def jacobian_product(J, g, dx):
    """dx[n] = J[n]ᵀ g[n] for any batch of Jacobians: J (N, C, C), g and dx (N, C)"""
    N, C = g.shape
    for n in prange(N):
        d = dx[n]
        for j in range(C):
            d[j] = 0
        for i in range(C):
            row, gi = J[n, i], g[n, i]
            for j in range(C):
                d[j] += row[j] * gi


@jit
def softmax_product(y, g, dx):
    """dx = y ⊙ (g − ⟨y, g⟩), (N, C): the same Jᵀ g without J"""
    N, C = y.shape
    for n in range(N):
        total = np.float64(0)
        for j in range(C):
            total += y[n, j] * g[n, j]
        dot = y.dtype.type(total)
        for j in range(C):
            dx[n, j] = y[n, j] * (g[n, j] - dot)


@jit
def max_and_log_sum(x):
    """m = max x and log Σ_k exp(x_k − m) for one example x (C,), so that log y_j = (x_j − m) − log Σ; both float64"""
    m = x[0]
    for j in range(x.size):
        m = max(m, x[j])
    m = np.float64(m)
    total = np.float64(0)
    for j in range(x.size):
        total += np.exp(np.float64(x[j]) - m)
    return m, np.log(total)


@jit(exact=True)
def log_softmax(x, z):
    """z = log softmax(x), finite where y itself would underflow to 0: x (N, C) of any float dtype, z (N, C) float64"""
    N, C = x.shape
    for n in range(N):
        m, log_sum = max_and_log_sum(x[n])
        for j in range(C):
            z[n, j] = (np.float64(x[n, j]) - m) - log_sum


@jit(parallel=True, exact=True)
def cross_entropy(x, t, loss):
    """loss[n] = −Σ_j t_j log y_j by log-softmax: x, t (N, C); loss (N,) float64. 0 · log 0 counts as 0."""
    N, C = x.shape
    for n in prange(N):
        m, log_sum = max_and_log_sum(x[n])
        total = np.float64(0)
        for j in range(C):
            if t[n, j] != 0:
                total -= np.float64(t[n, j]) * ((np.float64(x[n, j]) - m) - log_sum)
        loss[n] = total


@jit(parallel=True, exact=True)
def cross_entropy_labels(x, labels, loss):
    """loss[n] = −log y[n, label]: x (N, C), labels (N,) int64 in 0..C−1, loss (N,) float64"""
    for n in prange(x.shape[0]):
        m, log_sum = max_and_log_sum(x[n])
        loss[n] = log_sum - (np.float64(x[n, labels[n]]) - m)


@jit
def peak(x, y):
    """m = max x and log Σ_k exp(x_k − m) = −log y at the largest score, for one example x, y (C,)"""
    best = 0
    for j in range(x.size):
        if x[j] > x[best]:
            best = j
    return x[best], -np.log(y[best])


@jit(parallel=True, exact=True)
def fused_error(x, y, t, loss, e):
    """loss = −Σ t log y and its gradient e = τ y − t with y = exp(log y), as frameworks fuse them into one pass.

    x scores, y = softmax(x), t, e (N, C); loss (N,) float64; τ = Σ_j t_j may be anything.
    """
    N, C = x.shape
    for n in prange(N):
        m, log_sum = peak(x[n], y[n])
        tau, total = np.float64(0), np.float64(0)
        for j in range(C):
            tau += t[n, j]
        tau = x.dtype.type(tau)
        for j in range(C):
            log_y = (x[n, j] - m) - log_sum
            if t[n, j] != 0:
                total -= t[n, j] * log_y
            e[n, j] = tau * np.exp(log_y) - t[n, j]
        loss[n] = total


@jit(parallel=True, exact=True)
def fused_error_labels(x, y, labels, loss, e):
    """`fused_error` for class indices: loss = −log y[label], e = y − 1 there and y elsewhere; labels (N,) int64"""
    N, C = x.shape
    for n in prange(N):
        m, log_sum = peak(x[n], y[n])
        for j in range(C):
            e[n, j] = np.exp((x[n, j] - m) - log_sum)
        loss[n] = log_sum - (x[n, labels[n]] - m)
        e[n, labels[n]] -= x.dtype.type(1)


@jit
def isbe_error(y, t, e):
    """e = y − t, (N, C): no loss, no logarithm, no division"""
    N, C = y.shape
    for n in range(N):
        for j in range(C):
            e[n, j] = y[n, j] - t[n, j]


@jit
def isbe_error_labels(y, labels, low, high, e):
    """e = y − t where t is `high` for the labelled class and `low` for the others: y, e (N, C), labels (N,) int64"""
    N, C = y.shape
    low, high = y.dtype.type(low), y.dtype.type(high)
    for n in range(N):
        for j in range(C):
            e[n, j] = y[n, j] - low
        e[n, labels[n]] = y[n, labels[n]] - high
