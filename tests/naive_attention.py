"""Attention by its formulas, in float64: one head and one token after another, with the softmax's Jacobian written out."""

import numpy as np


def heads_of(qkv, heads, n, h):
    """q, k and v (T, d) of example n and head h, views into qkv (N, T, 3 D)."""
    D = qkv.shape[2] // 3
    d = D // heads
    return [qkv[n, :, part * D + h * d:part * D + (h + 1) * d] for part in range(3)]


def attention(qkv, heads, causal):
    """Weights a (N, H, T, T) and weighted values o (N, T, D)."""
    qkv = np.asarray(qkv, np.float64)
    N, T, D = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    a, o = np.zeros((N, heads, T, T)), np.zeros((N, T, D))
    for n, h, i in np.ndindex(N, heads, T):
        q, k, v = heads_of(qkv, heads, n, h)
        seen = i + 1 if causal else T
        s = k[:seen] @ q[i] / np.sqrt(D // heads)
        e = np.exp(s - s.max())
        a[n, h, i, :seen] = e / e.sum()
        o[n, i, h * (D // heads):(h + 1) * (D // heads)] = a[n, h, i] @ v
    return a, o


def attention_backward(do, qkv, heads, causal):
    """dqkv (N, T, 3 D): every product of the forward pass, handed back."""
    qkv, do = np.asarray(qkv, np.float64), np.asarray(do, np.float64)
    a, d = attention(qkv, heads, causal)[0], do.shape[2] // heads
    dqkv = np.zeros(qkv.shape)
    for n, h, i in np.ndindex(a.shape[:3]):
        (q, k, v), (dq, dk, dv) = heads_of(qkv, heads, n, h), heads_of(dqkv, heads, n, h)
        error, weights = do[n, i, h * d:(h + 1) * d], a[n, h, i]
        jacobian = np.diag(weights) - np.outer(weights, weights)
        ds = jacobian.T @ (v @ error) / np.sqrt(d)
        dq[i] += ds @ k
        dk += np.outer(ds, q[i])
        dv += np.outer(weights, error)
    return dqkv
