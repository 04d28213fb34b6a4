"""Batch normalization (Ioffe & Szegedy 2015) and layer normalization (Ba, Kiros & Hinton 2016).

Numbers x are brought to mean 0 and variance 1. A learned scale γ and a learned shift β follow:

    μ = mean of x      v = mean of (x − μ)²      r = 1 / √(v + ε)
    x̂ = (x − μ) r      y = γ x̂ + β

All numbers of a row of x share μ, v and r. Batch norm: x (C, M), a row is a channel, whose M numbers are all pixels of all
examples, and γ, β (C,) belong to the row. Layer norm: x (N, K), a row holds the K features of one example or token, and γ, β
(K,) belong to the feature. Backward, from dy, where g = γ dy is the gradient by x̂ and means go along the row:

    dx = r (g − mean of g − x̂ · mean of g x̂)        each x moves y directly, and all of its row through μ and through v
    dγ = Σ dy x̂      dβ = Σ dy                       over all numbers that share the γ or β

Evaluation uses given μ and v. No x moves those, so that dx = r g. Sums are float64: a channel may hold a million numbers.
"""

import numpy as np

from isbe_np.compiler.jit import jit, prange


@jit(parallel=True, exact=True)
def row_statistics(x, mean, variance):
    """μ and v of each row. Shapes: x (R, M), mean and variance (R,) float64."""
    R, M = x.shape
    for n in prange(R):
        total, squares = np.float64(0), np.float64(0)
        for m in range(M):
            total += x[n, m]
        center = total / M
        for m in range(M):
            squares += (x[n, m] - center) ** 2
        mean[n], variance[n] = center, squares / M


@jit
def inverse_deviation(variance, eps, r):
    """r = 1 / √(v + ε). Shapes: variance and r (R,)."""
    for n in range(r.size):
        r[n] = 1 / np.sqrt(variance[n] + eps)


@jit(parallel=True, exact=True)
def batch_norm(x, mean, r, w, b, y):
    """y = γ x̂ + β, γ and β a channel's. Shapes: x and y (C, M), mean, r, w = γ and b = β (C,)."""
    C, M = x.shape
    for c in prange(C):
        for m in range(M):
            y[c, m] = w[c] * (x[c, m] - mean[c]) * r[c] + b[c]


@jit(parallel=True, exact=True)
def batch_norm_backward_input(dy, x, mean, r, w, dx):
    """dx = r (g − mean of g − x̂ · mean of g x̂), g = γ dy. Shapes: dy, x and dx (C, M), mean, r and w = γ (C,)."""
    C, M = x.shape
    for c in prange(C):
        errors, products = np.float64(0), np.float64(0)
        for m in range(M):
            errors += w[c] * dy[c, m]
            products += w[c] * dy[c, m] * (x[c, m] - mean[c]) * r[c]
        for m in range(M):
            x_hat = (x[c, m] - mean[c]) * r[c]
            dx[c, m] = r[c] * (w[c] * dy[c, m] - errors / M - x_hat * products / M)


@jit(parallel=True, exact=True)
def batch_norm_backward_parameters(dy, x, mean, r, dw, db):
    """dγ = Σ_m dy x̂, dβ = Σ_m dy. Shapes: dy and x (C, M), mean, r, dw = dγ and db = dβ (C,)."""
    C, M = x.shape
    for c in prange(C):
        products, errors = np.float64(0), np.float64(0)
        for m in range(M):
            products += dy[c, m] * (x[c, m] - mean[c]) * r[c]
            errors += dy[c, m]
        dw[c], db[c] = products, errors


@jit
def remember(mean, variance, M, momentum, running_mean, running_variance):
    """Running μ and v move by a share `momentum` to μ and v M / (M − 1): v of M numbers is too small on average. All (C,)."""
    for c in range(mean.size):
        running_mean[c] += running_mean.dtype.type(momentum * (mean[c] - running_mean[c]))
        running_variance[c] += running_variance.dtype.type(momentum * (variance[c] * M / (M - 1) - running_variance[c]))


@jit(parallel=True, exact=True)
def layer_norm(x, mean, r, w, b, y):
    """y = γ x̂ + β, γ and β a feature's. Shapes: x and y (N, K), mean and r (N,), w = γ and b = β (K,)."""
    N, K = x.shape
    for n in prange(N):
        for k in range(K):
            y[n, k] = w[k] * (x[n, k] - mean[n]) * r[n] + b[k]


@jit(parallel=True, exact=True)
def layer_norm_backward_input(dy, x, mean, r, w, dx):
    """dx = r (g − mean of g − x̂ · mean of g x̂), g = γ dy. Shapes: dy, x and dx (N, K), mean and r (N,), w = γ (K,)."""
    N, K = x.shape
    for n in prange(N):
        errors, products = np.float64(0), np.float64(0)
        for k in range(K):
            errors += w[k] * dy[n, k]
            products += w[k] * dy[n, k] * (x[n, k] - mean[n]) * r[n]
        for k in range(K):
            x_hat = (x[n, k] - mean[n]) * r[n]
            dx[n, k] = r[n] * (w[k] * dy[n, k] - errors / K - x_hat * products / K)


@jit(parallel=True, exact=True)
def layer_norm_backward_parameters(dy, x, mean, r, dw, db):
    """dγ = Σ_n dy x̂, dβ = Σ_n dy. Shapes: dy and x (N, K), mean and r (N,), dw = dγ and db = dβ (K,)."""
    N, K = x.shape
    for k in prange(K):
        products, errors = np.float64(0), np.float64(0)
        for n in range(N):
            products += dy[n, k] * (x[n, k] - mean[n]) * r[n]
            errors += dy[n, k]
        dw[k], db[k] = products, errors
