"""Embedding: each token of a sequence becomes a row of a table.

    y[m] = W[v_m]                            M tokens v_m, whole numbers below V, and a table W (V, K)

In matrices Y = S W, where S[m, v] is 1 for v = v_m and 0 otherwise. Backward, from dy = ∂loss/∂y:

    dW[v] = Σ dy[m] over all m with v_m = v        in matrices dW = Sᵀ dY: a row gets the sum from all places where it stood
"""

import numpy as np

from isbe_np.compiler.jit import jit, prange


@jit
def whole_numbers(x, V, tokens):
    """tokens[m] = x[m] as a whole number. Shapes: x (M,) floating point, tokens (M,) int64.

    Returned is the place of the first x[m] that is not one of 0, 1 ... V - 1, or -1. Tokens from there on are not written.
    """
    for m in range(x.size):
        if not 0 <= x[m] < V or x[m] != int(x[m]):
            return m
        tokens[m] = int(x[m])
    return -1


@jit(parallel=True, exact=True)
def embedding(w, tokens, y):
    """y[m] = W[v_m]. Shapes: w (V, K), tokens (M,), y (M, K)."""
    M, K = y.shape
    for m in prange(M):
        for k in range(K):
            y[m, k] = w[tokens[m], k]


@jit
def embedding_backward(dy, tokens, dw):
    """dW[v_m] += dy[m]. Shapes: dy (M, K), tokens (M,), dw (V, K).

    One thread: of two, both could add to the same row at once. Sums are float64, as a frequent token, such as a space in a
    text, comes thousands of times a batch.
    """
    M, K = dy.shape
    total = np.zeros(dw.shape)
    for m in range(M):
        for k in range(K):
            total[tokens[m], k] += dy[m, k]
    dw[:] = total
