"""Entmax with α = 1.5, half way between softmax (1) and sparsemax (2): its Jacobian and its product. Scores are (N, C).

    y = argmax ⟨p, x⟩ + (4/3) Σ (p − p^1.5) over p ≥ 0, Σ p = 1
    y_j = [(x_j − m)/2 − θ]₊²  with m = max x and θ such that Σ y = 1; exactly 0 for scores far enough below the largest
    J = diag(s) − s sᵀ / Σ s,  s = √y    symmetric, so Jᵀ g = s ⊙ (g − ⟨s, g⟩ / Σ s)

Peters, Niculae & Martins, Sparse Sequence-to-Sequence Models, ACL 2019, algorithm 2. Scores are shifted by their maximum
first, so that nothing overflows; as −1 ≤ θ < 0, none that lies 2 or more below the largest has a part. Kernels that take
(x − m)/2 − θ are `exact`: reordered to x/2 − (m/2 + θ), a large m would swallow θ. A row with NaN or +inf becomes NaN.
"""

import numpy as np

from isbe_np.compiler.jit import jit, prange


@jit(exact=True)
def entmax15_threshold(x):
    """m = max x and θ for one example x (C,), both float64: the root of Σ_S (z − θ)² = 1 with z = (x − m)/2,

        θ = M − √((1 − V) / |S|)    where M is the mean of z on the support S, and V = Σ_S (z − M)².

    From the largest score down, each joins S if it lies above the threshold of those before it; M and V follow by Welford's
    update, which subtracts no two large sums.
    """
    far = x.max() - x.dtype.type(3)  # 2 would do but for rounding; few are left to sort, and NaN is never below
    ascending = np.sort(x[~(x < far)])
    C = ascending.size
    m = np.float64(ascending[C - 1])
    M, V, theta = np.float64(0), np.float64(0), np.float64(-1)
    for k in range(1, C + 1):
        z = (np.float64(ascending[C - k]) - m) / 2
        if z <= theta:
            break
        step = z - M
        M += step / k
        V += step * (z - M)
        theta = M - np.sqrt((1 - V) / k)
    return m, theta


@jit(parallel=True, exact=True)
def entmax15_margin(x, d):
    """d = (x − m)/2 − θ, how far each half score lies above the threshold: x (N, C), d (N, C) float64; y = [d]₊²"""
    for n in prange(x.shape[0]):
        m, theta = entmax15_threshold(x[n])
        for j in range(x.shape[1]):
            d[n, j] = (np.float64(x[n, j]) - m) / 2 - theta


@jit(parallel=True, exact=True)
def entmax15(x, y):
    """y_j = [(x_j − m)/2 − θ]₊² : x, y (N, C)"""
    for n in prange(x.shape[0]):
        m, theta = entmax15_threshold(x[n])
        for j in range(x.shape[1]):
            d = (np.float64(x[n, j]) - m) / 2 - theta
            y[n, j] = 0 if d <= 0 else d * d


@jit
def entmax15_product(y, g, dx):
    """dx = s ⊙ (g − ⟨s, g⟩ / Σ s) with s = √y, (N, C): Jᵀ g without J"""
    N, C = y.shape
    for n in range(N):
        dot, total = np.float64(0), np.float64(0)
        for j in range(C):
            s = np.sqrt(y[n, j])
            dot += s * g[n, j]
            total += s
        mean = y.dtype.type(dot / total)
        for j in range(C):
            dx[n, j] = np.sqrt(y[n, j]) * (g[n, j] - mean)


@jit(parallel=True, exact=True)
def entmax15_jacobian(y, J):
    """J[n] = diag(s) − s sᵀ / Σ s with s = √y[n]: y (N, C), J (N, C, C); `exact`, so that it is symmetric to the bit"""
    N, C = y.shape
    for n in prange(N):
        s = np.sqrt(y[n])
        share = y.dtype.type(1) / s.sum()
        for i in range(C):
            for j in range(C):
                J[n, i, j] = -(s[i] * s[j]) * share
            J[n, i, i] += s[i]
