"""Softmax, cross-entropy, and four routes to the error that a classifier sends back. The package is about this file.

Each of N examples has a row of C scores (logits) x, probabilities (soft scores) y, and targets t.

    y_i = exp(x_i) / Σ_k exp(x_k)              softmax
    J_ij = ∂y_i/∂x_j,  J = diag(y) − y yᵀ      its Jacobian
    E = −Σ_i t_i log y_i                       cross-entropy
    g_i = ∂E/∂y_i = −t_i / y_i                 its gradient by y

The error e is the gradient of E by the scores x, by the chain rule Jᵀ g. Four routes lead to it:

    jacobian   e_j = Σ_i J_ij g_i              with C² numbers J for each example
    factored   e_j = y_j (g_j − Σ_i y_i g_i)   the same product without J
    fused      e_j = τ exp(log y_j) − t_j      τ = Σ_i t_i. PyTorch and JAX do this, as log y also gives the loss
    isbe       e_j = y_j − t_j                 no loss, no logarithm, no division

Put g = −t / y into the second: y_j g_j is −t_j and Σ_i y_i g_i is −τ. So the first three give τ y − t. That is y − t where
the targets of an example sum to 1, and those of a label do. Sums are added up in float64.
"""

import numpy as np

from isbe_np.compiler.jit import jit, prange


@jit(parallel=True, exact=True)
def softmax(x, y):
    """y = softmax(x). Shapes: x, y (N, C). A row that holds NaN or +inf, or only −inf, becomes NaN."""
    for n in prange(x.shape[0]):
        m, total = x[n, 0], np.float64(0)
        for j in range(x.shape[1]):
            m = max(m, x[n, j])
        for j in range(x.shape[1]):
            y[n, j] = np.exp(x[n, j] - m)  # at most 1; the factor exp(−m) cancels in the quotient
            total += y[n, j]
        for j in range(x.shape[1]):
            y[n, j] /= total


@jit(parallel=True, exact=True)
def softmax_jacobian(y, J):
    """J = diag(y) − y yᵀ. Shapes: y (N, C), J (N, C, C)."""
    for n in prange(y.shape[0]):
        for i in range(y.shape[1]):
            for j in range(y.shape[1]):
                J[n, i, j] = -y[n, i] * y[n, j]
            J[n, i, i] += y[n, i]


@jit(exact=True)  # rounded as written: (x − m) − log Σ, not x − (m + log Σ), in which a large m would swallow the logarithm
def log_softmax(x, z):
    """z = log y = (x − m) − log Σ_k exp(x_k − m), finite where y itself becomes 0. Shapes: x (N, C), z (N, C) in float64."""
    for n in range(x.shape[0]):
        m, total = np.float64(x[n].max()), np.float64(0)
        for j in range(x.shape[1]):
            total += np.exp(x[n, j] - m)
        for j in range(x.shape[1]):
            z[n, j] = (x[n, j] - m) - np.log(total)


@jit
def cross_entropy(z, t, loss):
    """E = −Σ_j t_j z_j with z = log y, where 0 · log 0 counts as 0. Shapes: z, t (N, C), loss (N,), z and loss in float64."""
    for n in range(t.shape[0]):
        loss[n] = 0
        for j in range(t.shape[1]):
            loss[n] -= t[n, j] * z[n, j] if t[n, j] != 0 else 0


@jit
def cross_entropy_gradient(y, t, g):
    """g = −t / y, and 0 where t is 0. Infinite where rounding made y 0. Shapes: y, t, g (N, C)."""
    for n in range(y.shape[0]):
        for j in range(y.shape[1]):
            g[n, j] = -t[n, j] / y[n, j] if t[n, j] != 0 else 0


@jit(parallel=True, exact=True)
def jacobian_error(J, g, e):
    """Route 1: e = Jᵀ g. Shapes: J (N, C, C), g, e (N, C)."""
    for n in prange(g.shape[0]):
        e[n, :] = 0
        for i in range(g.shape[1]):
            for j in range(g.shape[1]):
                e[n, j] += J[n, i, j] * g[n, i]


@jit
def factored_error(y, g, e):
    """Route 2: e = y (g − ⟨y, g⟩). Shapes: y, g, e (N, C)."""
    for n in range(y.shape[0]):
        total = np.float64(0)
        for j in range(y.shape[1]):
            total += y[n, j] * g[n, j]
        for j in range(y.shape[1]):
            e[n, j] = y[n, j] * (g[n, j] - y.dtype.type(total))


@jit(parallel=True, exact=True)
def fused_error(x, y, t, loss, e):
    """Route 3: loss by log y, and e = τ exp(log y) − t, a second exponential. Shapes: x, y, t, e (N, C), loss (N,)."""
    for n in prange(x.shape[0]):
        m, log_sum, tau, loss[n] = x[n].max(), -np.log(y[n].max()), np.float64(0), 0  # y is 1/Σ where x is m
        for j in range(x.shape[1]):
            log_y = (x[n, j] - m) - log_sum
            tau += t[n, j]
            loss[n] -= t[n, j] * log_y if t[n, j] != 0 else 0
        for j in range(x.shape[1]):
            e[n, j] = tau * np.exp((x[n, j] - m) - log_sum) - t[n, j]


@jit
def isbe_error(y, t, e):
    """Route 4: e = y − t. Shapes: y, t, e (N, C)."""
    for n in range(y.shape[0]):
        for j in range(y.shape[1]):
            e[n, j] = y[n, j] - t[n, j]
