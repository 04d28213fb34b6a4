"""The fully connected layer: every output is a weighted sum of all inputs.

    y[n, o] = b[o] + Σ_k x[n, k] W[o, k]          in matrices Y = X Wᵀ + b

N examples, K features, O units. Backward, from dy = ∂loss/∂y:

    dx[n, k] = Σ_o dy[n, o] W[o, k]               each input sees the outputs that it went into, by the same weights
    dW[o, k] = Σ_n dy[n, o] x[n, k]               each weight sees all examples
    db[o]    = Σ_n dy[n, o]
"""

from isbe_np.compiler.jit import jit, prange


@jit(parallel=True)
def dense(x, w, b, y):
    """y = x Wᵀ + b. Shapes: x (N, K), w (O, K), b (O,), y (N, O)."""
    N, K = x.shape
    for n in prange(N):
        for o in range(b.size):
            total = b[o]
            for k in range(K):
                total += x[n, k] * w[o, k]
            y[n, o] = total


@jit(parallel=True, exact=True)
def dense_backward_input(dy, w, dx):
    """dx = dy W. Shapes: dy (N, O), w (O, K), dx (N, K)."""
    N, K = dx.shape
    for n in prange(N):
        for k in range(K):
            dx[n, k] = 0
        for o in range(w.shape[0]):
            for k in range(K):
                dx[n, k] += dy[n, o] * w[o, k]


@jit(parallel=True, exact=True)
def dense_backward_parameters(dy, x, dw, db):
    """dW = dyᵀ x, db = Σ_n dy. Shapes: dy (N, O), x (N, K), dw (O, K), db (O,)."""
    N, K = x.shape
    for o in prange(db.size):
        db[o] = 0
        for k in range(K):
            dw[o, k] = 0
        for n in range(N):
            db[o] += dy[n, o]
            for k in range(K):
                dw[o, k] += dy[n, o] * x[n, k]
