"""Softmax, the fused route, and softmax with the ISBE error in one pass: fast versions of `isbe_np/kernels/softmax.py`.

The exponential and the maximum vectorise (`exponential.py`). Rows are examples: N of them, C classes. A batch is divided into
blocks of whole rows, which threads share, so that a row is computed alike in every batch and by any number of threads.

A head with ``kernels="fast"`` calls the last three functions. `softmax` and `fused_error` take the arguments of the plain
kernels of these names. `softmax_isbe_error` is one pass for what plain kernels do in two.

Outputs are the last arguments and are overwritten. Arrays are C-contiguous and of one dtype, but where said otherwise.
Kernels that take (x − m) − log Σ are `exact`: reordered to x − (m + log Σ), a large m would swallow the logarithm.
"""

import numpy as np

from isbe_np.compiler.jit import SMALL, jit, prange
from isbe_np.engine.exponential import exp, largest

BLOCK = 4096  # numbers, about: the share of a batch that a thread takes at a time; of longer rows, one
ALONE = SMALL // 2  # numbers: a batch of no more is one block, which this thread computes without others


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
    """`softmax_blocks` for one of them, in one thread"""
    shifted_exp(x, y)
    for n in range(x.shape[0]):
        factor = over_sum(y, n, np.float64(1))
        for j in range(x.shape[1]):
            y[n, j] *= factor


@jit(parallel=True)
def softmax_blocks(x, y):
    """Soft scores y_j = exp(x_j − m) / Σ_k exp(x_k − m), m = max x, (N, C) of the scores x (N, C); 0 for scores of −inf.

    A row that has no softmax (it holds NaN or +inf, or nothing but −inf) becomes NaN, as m or the sum is.
    """
    count, rows = blocks(x)
    for b in prange(count):
        softmax_block(x[b * rows:(b + 1) * rows], y[b * rows:(b + 1) * rows])


@jit
def target_sums(x, t, n, m):
    """τ = Σ_j t_j and Σ_j t_j (x_j − m) for row n of x, t (N, C): not `exact`, so that both vectorise; 0 · ∞ counts as 0"""
    tau, total = np.float64(0), np.float64(0)
    for j in range(x.shape[1]):
        tau += t[n, j]
        total += t[n, j] * (x[n, j] - m) if t[n, j] != 0 else x.dtype.type(0)
    return tau, total


@jit(exact=True)
def fused_block(x, y, t, loss, e):
    """`fused_blocks` for one of them, in one thread; log Σ = −log max y, where x = m"""
    for n in range(x.shape[0]):
        m, log_sum = largest(x, n), -np.log(largest(y, n))
        tau, total = target_sums(x, t, n, m)
        loss[n], factor = tau * log_sum - total, x.dtype.type(tau)
        for j in range(x.shape[1]):
            e[n, j] = factor * exp((x[n, j] - m) - log_sum) - t[n, j]


@jit(parallel=True)
def fused_blocks(x, y, t, loss, e):
    """loss (N,) = −Σ t log y and its gradient e = τ y − t by y = exp(log y), as frameworks do: scores x, y, t, e (N, C)"""
    count, rows = blocks(x)
    for b in prange(count):
        i, end = b * rows, (b + 1) * rows
        fused_block(x[i:end], y[i:end], t[i:end], loss[i:end], e[i:end])


@jit
def softmax_isbe_block(x, t, scale, e):
    """`softmax_isbe_blocks` for one of them, in one thread"""
    shifted_exp(x, e)
    for n in range(x.shape[0]):
        factor = over_sum(e, n, scale)
        for j in range(x.shape[1]):
            e[n, j] = e[n, j] * factor - t[n, j] * e.dtype.type(scale)


@jit(parallel=True)
def softmax_isbe_blocks(x, t, scale, e):
    """e = (softmax(x) − t) · scale, for which y need not be stored: x, t, e (N, C); rows without a softmax become NaN"""
    count, rows = blocks(x)
    for b in prange(count):
        i, end = b * rows, (b + 1) * rows
        softmax_isbe_block(x[i:end], t[i:end], scale, e[i:end])


@jit
def softmax_isbe_block_labels(x, labels, low, high, scale, e):
    """`softmax_isbe_blocks_labels` for one of them, in one thread"""
    shifted_exp(x, e)
    other, more = e.dtype.type(low * scale), e.dtype.type((high - low) * scale)
    for n in range(x.shape[0]):
        factor = over_sum(e, n, scale)
        for j in range(x.shape[1]):
            e[n, j] = e[n, j] * factor - other
        e[n, labels[n]] -= more


@jit(parallel=True)
def softmax_isbe_blocks_labels(x, labels, low, high, scale, e):
    """`softmax_isbe_blocks` for class indices: t is `high` for the labelled class, `low` for the others; labels (N,) int64"""
    count, rows = blocks(x)
    for b in prange(count):
        i, end = b * rows, (b + 1) * rows
        softmax_isbe_block_labels(x[i:end], labels[i:end], low, high, scale, e[i:end])


def softmax(x: np.ndarray, y: np.ndarray) -> None:
    """y = softmax(x). Shapes: x, y (N, C)."""
    kernel = softmax_block if x.size <= ALONE else softmax_blocks
    kernel(x, y)


def fused_error(x: np.ndarray, y: np.ndarray, t: np.ndarray, loss: np.ndarray, e: np.ndarray) -> None:
    """loss (N,) by log y, and e = τ exp(log y) − t. Shapes: x, y, t, e (N, C)."""
    kernel = fused_block if x.size <= ALONE else fused_blocks
    kernel(x, y, t, loss, e)


def softmax_isbe_error(x: np.ndarray, t: np.ndarray, encoding: tuple[float, float], scale: float, e: np.ndarray) -> None:
    """e = (softmax(x) − t) · scale, and y is not stored. t (N, C), or labels (N,) of this encoding. Shapes: x, e (N, C)."""
    alone = x.size <= ALONE
    if t.ndim == 2:
        kernel = softmax_isbe_block if alone else softmax_isbe_blocks
        kernel(x, t, scale, e)
    else:
        kernel = softmax_isbe_block_labels if alone else softmax_isbe_blocks_labels
        kernel(x, t, *encoding, scale, e)
