"""Batch normalization (Ioffe & Szegedy 2015) and layer normalization (Ba, Kiros & Hinton 2016).

Both take the mean off some numbers x, divide by their deviation, and hand them to a scale γ and a shift β:

    μ = mean of x      v = mean of (x − μ)²      r = 1 / √(v + ε)
    x̂ = (x − μ) r      y = γ x̂ + β

Batch norm does so for each channel, over all pixels of all examples; layer norm for each row, over its features. Every x moves
μ and v, and through them all of y. With g = γ dy, the gradient by x̂, and means over the same numbers as before,

    dx = r (g − mean of g − x̂ · mean of g x̂)      dγ = Σ dy x̂      dβ = Σ dy

Sums, and what is made of them, are float64: a channel may hold a million numbers, and memory is what a pass waits for, not
arithmetic. The mean adds up distances from the first number, so that numbers far from 0 and near to each other lose nothing.
Outputs are the last arguments and are overwritten; a dx of no rows is not wanted, and left alone.
"""

import numpy as np

from isbe_np.compiler.jit import jit, prange
from isbe_np.engine.microkernels import fill

COLUMNS = 128  # so many of a matrix are one task's: runs long enough for vectors, and several tasks where it pays
ROWS, PARTS = 32, 16  # rows that are worth a part of their own of layer norm's dγ and dβ, and the most parts there are


@jit(inline=True)
def moments(x, c):
    """Mean and variance of channel c of x (A, C, B)"""
    (A, _, B), first = x.shape, np.float64(x[0, c, 0])
    distances, squares = 0.0, 0.0
    for a in range(A):
        row = x[a, c]
        for i in range(B):
            distances += np.float64(row[i]) - first
    mean = first + distances / (A * B)
    for a in range(A):
        row = x[a, c]
        for i in range(B):
            d = row[i] - mean
            squares += d * d
    return mean, squares / (A * B)


@jit(parallel=True)
def batch_norm(x, w, b, eps, training, stats, y):
    """y = γ x̂ + β for each channel of x, y (A, C, B), γ = w and β = b (C,); stats (3, C) float64 becomes μ, v, r.

    In training μ and v are those of x, otherwise those that stats holds. Images (C, H, W, N) are (1, C, H·W·N) here.
    """
    A, C, _ = x.shape
    for c in prange(C):
        if training:
            stats[0, c], stats[1, c] = moments(x, c)
        stats[2, c] = 1 / np.sqrt(stats[1, c] + eps)
        for a in range(A):
            affine(x[a, c], stats[0, c], stats[2, c] * w[c], np.float64(b[c]), y[a, c])


@jit(ordered=True)
def affine(x, mean, scale, shift, y):
    """y = (x − mean) scale + shift"""
    for i in range(x.size):
        y[i] = y.dtype.type((x[i] - mean) * scale + shift)


@jit(parallel=True)
def batch_norm_backward(x, dy, w, stats, share, sums, dx):
    """dx = γ r (dy − share · (dβ + x̂ dγ)) with sums (2, C) float64, dγ = Σ dy x̂ and dβ = Σ dy; x, dy, dx (A, C, B), w (C,).

    share is 1 / M where μ and v were those of M numbers of x, and 0 where they were given, as nothing in x moves them then.
    """
    A, C, B = x.shape
    for c in prange(C):
        mean, r, products, total = stats[0, c], stats[2, c], 0.0, 0.0
        for a in range(A):
            row, error = x[a, c], dy[a, c]
            for i in range(B):
                products += error[i] * (row[i] - mean)
                total += np.float64(error[i])
        sums[0, c], sums[1, c] = products * r, total
        if dx.size:
            for a in range(A):
                spread(x[a, c], dy[a, c], mean, share * total, share * r * sums[0, c], r * w[c], dx[a, c])


@jit(ordered=True)
def spread(x, dy, mean, common, slope, scale, dx):
    """dx = scale (dy − common − slope (x − mean))"""
    for i in range(x.size):
        dx[i] = dx.dtype.type(scale * (dy[i] - common - slope * (x[i] - mean)))


@jit(parallel=True)
def batch_norm_columns(x, w, b, eps, training, stats, y):
    """`batch_norm` of a matrix x, y (N, C), whose channels are columns: a task goes row by row over some of them"""
    N, C = x.shape
    for task in prange((C + COLUMNS - 1) // COLUMNS):
        start, end = task * COLUMNS, min(C, task * COLUMNS + COLUMNS)
        mean, variance, r = stats[0, start:end], stats[1, start:end], stats[2, start:end]
        scale, shift = w[start:end], b[start:end]
        if training:
            moments_of_columns(x, start, mean, variance)
        for k in range(end - start):
            r[k] = 1 / np.sqrt(variance[k] + eps)
        for n in range(N):
            row, out = x[n, start:end], y[n, start:end]
            for k in range(end - start):
                out[k] = out.dtype.type((row[k] - mean[k]) * r[k] * scale[k] + shift[k])


@jit(ordered=True)
def moments_of_columns(x, start, mean, variance):
    """Mean and variance (K,) of K columns of x (N, C) from `start` on"""
    N, end = x.shape[0], start + mean.size
    fill(mean, 0.0)
    fill(variance, 0.0)
    first = x[0, start:end]
    for n in range(N):
        row = x[n, start:end]
        for k in range(mean.size):
            mean[k] += np.float64(row[k]) - first[k]
    for k in range(mean.size):
        mean[k] = first[k] + mean[k] / N
    for n in range(N):
        row = x[n, start:end]
        for k in range(mean.size):
            d = row[k] - mean[k]
            variance[k] += d * d
    for k in range(mean.size):
        variance[k] /= N


@jit(parallel=True)
def batch_norm_columns_backward(x, dy, w, stats, share, sums, dx):
    """`batch_norm_backward` of a matrix: x, dy, dx (N, C)"""
    N, C = x.shape
    for task in prange((C + COLUMNS - 1) // COLUMNS):
        start, end = task * COLUMNS, min(C, task * COLUMNS + COLUMNS)
        mean, r, scale = stats[0, start:end], stats[2, start:end], w[start:end]
        products, total = sums[0, start:end], sums[1, start:end]
        fill(products, 0.0)
        fill(total, 0.0)
        for n in range(N):
            row, error = x[n, start:end], dy[n, start:end]
            for k in range(end - start):
                products[k] += error[k] * (row[k] - mean[k]) * r[k]
            for k in range(end - start):
                total[k] += error[k]
        for n in range(N if dx.size else 0):
            row, error, out = x[n, start:end], dy[n, start:end], dx[n, start:end]
            for k in range(end - start):
                common = total[k] + (row[k] - mean[k]) * r[k] * products[k]
                out[k] = out.dtype.type(scale[k] * r[k] * (error[k] - share * common))


@jit
def hand_over(sums, dw, db):
    """dγ and dβ from float64 sums (2, C), as numbers of their own dtype; too large a one becomes infinite without a warning"""
    for c in range(dw.size):
        dw[c], db[c] = dw.dtype.type(sums[0, c]), db.dtype.type(sums[1, c])


@jit(parallel=True)
def layer_norm(x, w, b, eps, stats, y):
    """y = γ x̂ + β for each row of x, y (R, D), γ = w and β = b (D,); stats (R, 2) float64 becomes μ, r"""
    R, D = x.shape
    rows = x.reshape(1, R, D)
    for n in prange(R):
        mean, variance = moments(rows, n)
        r = 1 / np.sqrt(variance + eps)
        stats[n, 0], stats[n, 1] = mean, r
        affine_row(x[n], mean, r, w, b, y[n])


@jit(ordered=True)
def affine_row(x, mean, r, w, b, y):
    """y = (x − mean) r w + b, with w and b of x's length"""
    for i in range(x.size):
        y[i] = y.dtype.type((x[i] - mean) * r * w[i] + b[i])


@jit(parallel=True)
def layer_norm_backward(x, dy, w, stats, parts, dx):
    """dx = r (g − mean of g − x̂ · mean of g x̂) with g = γ dy for each row of x, dy, dx (R, D); w (D,).

    parts (P, 2, D) float64: parts[0] becomes dγ = Σ dy x̂ and dβ = Σ dy over all rows. Every task adds up some rows in a part of
    its own, and P does not depend on the threads: neither does the order of the sum.
    """
    (R, _), P = x.shape, parts.shape[0]
    for p in prange(P):
        products, total = parts[p, 0], parts[p, 1]
        fill(products, 0.0)
        fill(total, 0.0)
        for n in range(p * R // P, (p + 1) * R // P):
            add_row(x[n], dy[n], stats[n, 0], stats[n, 1], products, total)
            if dx.size:
                row_backward(x[n], dy[n], w, stats[n, 0], stats[n, 1], dx[n])
    for p in range(1, P):
        for k in range(2):
            for i in range(x.shape[1]):
                parts[0, k, i] += parts[p, k, i]


@jit(ordered=True)
def add_row(x, dy, mean, r, products, total):
    """products += dy x̂, total += dy"""
    for i in range(x.size):
        products[i] += dy[i] * (x[i] - mean) * r
    for i in range(x.size):
        total[i] += dy[i]


@jit(inline=True)
def row_backward(x, dy, w, mean, r, dx):
    """`layer_norm_backward` of one row by x alone"""
    errors, products = 0.0, 0.0
    for i in range(x.size):
        g = np.float64(w[i]) * dy[i]
        errors += g
        products += g * (x[i] - mean)
    common, slope = errors / x.size, products * r * r / x.size
    for i in range(x.size):
        dx[i] = dx.dtype.type(r * (np.float64(w[i]) * dy[i] - common - slope * (x[i] - mean)))
