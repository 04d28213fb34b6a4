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

from isbe_np.compiler.jit import SMALL, jit, prange
from isbe_np.engine.exponential import exp, largest

BLOCK = 4096  # numbers, about: the share of a batch that a thread takes at a time; of longer rows, one
ALONE = SMALL // 2  # numbers: a batch of no more goes straight to a kernel named block, which needs no threads


@jit
def blocks(x):
    """Into how many blocks of how many rows x (N, C) is divided"""
    rows = max(1, BLOCK // x.shape[1])
    return (x.shape[0] + rows - 1) // rows, rows


@jit
def shifted_exp(x, y):
    """y_j = exp(x_j − m), m = max x, for the rows of x, y (N, C): at most 1, as no shift changes a quotient, nor overflows"""
    for n in range(x.shape[0]):
        m = largest(x, n)
        for j in range(x.shape[1]):
            y[n, j] = exp(x[n, j] - m)


@jit
def over_sum(y, n, scale):
    """scale / Σ y for row n of y (N, C), of its dtype; added up in float64"""
    total = np.float64(0)
    for j in range(y.shape[1]):
        total += y[n, j]
    return y.dtype.type(scale / total)


@jit
def softmax_block(x, y):
    """`softmax` in one thread"""
    shifted_exp(x, y)
    for n in range(x.shape[0]):
        factor = over_sum(y, n, np.float64(1))
        for j in range(x.shape[1]):
            y[n, j] *= factor


@jit(parallel=True)
def softmax(x, y):
    """Soft scores y_j = exp(x_j − m) / Σ_k exp(x_k − m), m = max x, (N, C) of the scores x (N, C); 0 for scores of −inf.

    A row that has no softmax (it holds NaN or +inf, or nothing but −inf) becomes NaN, as m or the sum is; see `first_bad_row`.
    """
    count, rows = blocks(x)
    for b in prange(count):
        softmax_block(x[b * rows:(b + 1) * rows], y[b * rows:(b + 1) * rows])


@jit
def first_bad_row(y):
    """Number of the first row of y = softmax(x), or of y − t, (N, C), for which x has no softmax, or −1"""
    for n in range(y.shape[0]):
        if np.isnan(y[n, 0]):
            return n
    return -1


@jit(parallel=True)
def softmax_jacobian(y, J):
    """J[n] = diag(y[n]) − y[n] y[n]ᵀ, (N, C, C): time and memory grow with C²"""
    for n in prange(y.shape[0]):
        for i in range(y.shape[1]):
            for j in range(y.shape[1]):
                J[n, i, j] = -y[n, i] * y[n, j]
            J[n, i, i] += y[n, i]


@jit(parallel=True)
def jacobian_product(J, g, dx):
    """dx[n] = J[n]ᵀ g[n] for any batch of Jacobians: J (N, C, C), g and dx (N, C)"""
    N, C = g.shape
    for n in prange(N):
        d = dx[n]
        d[:] = 0
        for i in range(C):
            row, gi = J[n, i], g[n, i]
            for j in range(C):
                d[j] += row[j] * gi


@jit
def softmax_product(y, g, dx):
    """dx = y ⊙ (g − ⟨y, g⟩), (N, C): the same Jᵀ g without J"""
    for n in range(y.shape[0]):
        total = np.float64(0)
        for j in range(y.shape[1]):
            total += y[n, j] * g[n, j]
        dot = y.dtype.type(total)
        for j in range(y.shape[1]):
            dx[n, j] = y[n, j] * (g[n, j] - dot)


@jit
def max_and_log_sum(x, n):
    """m = max x and log Σ_k exp(x_k − m) for row n of x (N, C), so that log y_j = (x_j − m) − log Σ; both float64"""
    m, total = np.float64(largest(x, n)), np.float64(0)
    for j in range(x.shape[1]):
        total += exp(np.float64(x[n, j]) - m)
    return m, np.log(total)


@jit(exact=True)
def log_softmax(x, z):
    """z = log softmax(x), finite where y itself would underflow to 0: x (N, C) of any float dtype, z (N, C) float64"""
    for n in range(x.shape[0]):
        m, log_sum = max_and_log_sum(x, n)
        for j in range(x.shape[1]):
            z[n, j] = (np.float64(x[n, j]) - m) - log_sum


@jit(parallel=True, exact=True)
def cross_entropy(x, t, loss):
    """loss[n] = −Σ_j t_j log y_j by log-softmax: x, t (N, C); loss (N,) float64. 0 · log 0 counts as 0."""
    for n in prange(x.shape[0]):
        m, log_sum = max_and_log_sum(x, n)
        total = np.float64(0)
        for j in range(x.shape[1]):
            if t[n, j] != 0:
                total -= np.float64(t[n, j]) * ((np.float64(x[n, j]) - m) - log_sum)
        loss[n] = total


@jit(parallel=True, exact=True)
def cross_entropy_labels(x, labels, loss):
    """loss[n] = −log y[n, label]: x (N, C), labels (N,) int64 in 0..C−1, loss (N,) float64"""
    for n in prange(x.shape[0]):
        m, log_sum = max_and_log_sum(x, n)
        loss[n] = log_sum - (np.float64(x[n, labels[n]]) - m)


@jit(exact=True)
def fused_block(x, y, t, loss, e):
    """`fused_error` in one thread; log Σ = −log max y, where x = m"""
    for n in range(x.shape[0]):
        m, log_sum = largest(x, n), -np.log(largest(y, n))
        tau, total = np.float64(0), np.float64(0)
        for j in range(x.shape[1]):
            tau += t[n, j]
            if t[n, j] != 0:
                total -= t[n, j] * ((x[n, j] - m) - log_sum)
        loss[n], factor = total, x.dtype.type(tau)
        for j in range(x.shape[1]):
            e[n, j] = factor * exp((x[n, j] - m) - log_sum) - t[n, j]


@jit(parallel=True)
def fused_error(x, y, t, loss, e):
    """loss (N,) = −Σ t log y and its gradient e = τ y − t by y = exp(log y), as frameworks do: scores x, y, t, e (N, C)"""
    count, rows = blocks(x)
    for b in prange(count):
        i, end = b * rows, (b + 1) * rows
        fused_block(x[i:end], y[i:end], t[i:end], loss[i:end], e[i:end])


@jit(exact=True)
def fused_block_labels(x, y, labels, loss, e):
    """`fused_error_labels` in one thread"""
    for n in range(x.shape[0]):
        m, log_sum = largest(x, n), -np.log(largest(y, n))
        for j in range(x.shape[1]):
            e[n, j] = exp((x[n, j] - m) - log_sum)
        loss[n] = log_sum - (x[n, labels[n]] - m)
        e[n, labels[n]] -= x.dtype.type(1)


@jit(parallel=True)
def fused_error_labels(x, y, labels, loss, e):
    """`fused_error` for class indices: loss = −log y[label], e = y − 1 there and y elsewhere; labels (N,) int64"""
    count, rows = blocks(x)
    for b in prange(count):
        i, end = b * rows, (b + 1) * rows
        fused_block_labels(x[i:end], y[i:end], labels[i:end], loss[i:end], e[i:end])


@jit
def isbe_error(y, t, e):
    """e = y − t, (N, C): no loss, no logarithm, no division"""
    for n in range(y.shape[0]):
        for j in range(y.shape[1]):
            e[n, j] = y[n, j] - t[n, j]


@jit
def isbe_error_labels(y, labels, low, high, e):
    """e = y − t where t is `high` for the labelled class and `low` for the others: y, e (N, C), labels (N,) int64"""
    low, high = y.dtype.type(low), y.dtype.type(high)
    for n in range(y.shape[0]):
        for j in range(y.shape[1]):
            e[n, j] = y[n, j] - low
        e[n, labels[n]] = y[n, labels[n]] - high


@jit
def softmax_isbe_block(x, t, scale, e):
    """`softmax_isbe_error` in one thread"""
    shifted_exp(x, e)
    for n in range(x.shape[0]):
        factor = over_sum(e, n, scale)
        for j in range(x.shape[1]):
            e[n, j] = e[n, j] * factor - t[n, j] * e.dtype.type(scale)


@jit(parallel=True)
def softmax_isbe_error(x, t, scale, e):
    """e = (softmax(x) − t) · scale, for which y need not be stored: x, t, e (N, C); rows without a softmax become NaN"""
    count, rows = blocks(x)
    for b in prange(count):
        i, end = b * rows, (b + 1) * rows
        softmax_isbe_block(x[i:end], t[i:end], scale, e[i:end])


@jit
def softmax_isbe_block_labels(x, labels, low, high, scale, e):
    """`softmax_isbe_error_labels` in one thread"""
    shifted_exp(x, e)
    other, more = e.dtype.type(low * scale), e.dtype.type((high - low) * scale)
    for n in range(x.shape[0]):
        factor = over_sum(e, n, scale)
        for j in range(x.shape[1]):
            e[n, j] = e[n, j] * factor - other
        e[n, labels[n]] -= more


@jit(parallel=True)
def softmax_isbe_error_labels(x, labels, low, high, scale, e):
    """`softmax_isbe_error` for class indices: t is `high` for the labelled class, `low` for the others; labels (N,) int64"""
    count, rows = blocks(x)
    for b in prange(count):
        i, end = b * rows, (b + 1) * rows
        softmax_isbe_block_labels(x[i:end], labels[i:end], low, high, scale, e[i:end])
