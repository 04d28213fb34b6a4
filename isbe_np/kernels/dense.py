"""The dense layer: y = x Wᵀ + b, for a batch of row vectors.

Sizes: N batch, K inputs, O outputs. Each kernel walks its matrices in blocks of four rows by four (see `microkernels`);
what a block leaves over goes through the narrow forms. Each task of a ``prange`` owns the rows it writes, so that no sum
is split between threads and the result is the same, to the bit, for any number of them.
"""

from isbe_np.kernels.jit import jit, prange
from isbe_np.kernels.microkernels import add11, add14, add44, dot11, dot14, dot44, fill

# A block of so many rows stays in the second-level cache while every task passes over it.
ROWS = 128


@jit(parallel=True)
def dense(x, w, b, y):
    """y[n, o] = b[o] + Σ_k x[n, k] w[o, k];  x (N, K), w (O, K), b (O,), y (N, O)."""
    N, O = y.shape
    groups = (O + 3) // 4
    for task in prange(groups * ((N + ROWS - 1) // ROWS)):
        first = (task // groups) * ROWS
        last = min(N, first + ROWS)
        o = 4 * (task % groups)
        o_end = min(O, o + 4)
        for n in range(first, last):
            for p in range(o, o_end):
                y[n, p] = b[p]
        n = first
        if o_end - o == 4:
            while n + 4 <= last:
                dot44((x[n], x[n + 1], x[n + 2], x[n + 3]), (w[o], w[o + 1], w[o + 2], w[o + 3]), y, n, o)
                n += 4
            while n < last:
                dot14(x[n], (w[o], w[o + 1], w[o + 2], w[o + 3]), y, n, o)
                n += 1
        for m in range(n, last):
            for p in range(o, o_end):
                dot11(x[m], w[p], y, m, p)


@jit(parallel=True)
def dense_backward_input(dy, w, dx):
    """dx[n, k] = Σ_o dy[n, o] w[o, k];  dy (N, O), w (O, K), dx (N, K)."""
    N = dx.shape[0]
    O = w.shape[0]
    zero = dx.dtype.type(0)
    for task in prange((N + 3) // 4):
        n = 4 * task
        n_end = min(N, n + 4)
        for m in range(n, n_end):
            fill(dx[m], zero)
        o = 0
        while o + 4 <= O:
            rows = (w[o], w[o + 1], w[o + 2], w[o + 3])
            if n_end - n == 4:
                add44((dx[n], dx[n + 1], dx[n + 2], dx[n + 3]), rows, dy, n, o)
            else:
                for m in range(n, n_end):
                    add14(dx[m], rows, dy, m, o)
            o += 4
        for p in range(o, O):
            for m in range(n, n_end):
                add11(dx[m], w[p], dy, m, p)


@jit(parallel=True)
def dense_backward_weight(dy, x, dw, db):
    """dw[o, k] = Σ_n dy[n, o] x[n, k] and db[o] = Σ_n dy[n, o];  dy (N, O), x (N, K), dw (O, K), db (O,)."""
    N, O = dy.shape
    zero = dw.dtype.type(0)
    weights = dy.T
    for task in prange((O + 3) // 4):
        o = 4 * task
        o_end = min(O, o + 4)
        for p in range(o, o_end):
            fill(dw[p], zero)
        n = 0
        while n + 4 <= N:
            rows = (x[n], x[n + 1], x[n + 2], x[n + 3])
            if o_end - o == 4:
                add44((dw[o], dw[o + 1], dw[o + 2], dw[o + 3]), rows, weights, o, n)
            else:
                for p in range(o, o_end):
                    add14(dw[p], rows, weights, p, n)
            n += 4
        for m in range(n, N):
            for p in range(o, o_end):
                add11(dw[p], x[m], weights, p, m)
        for p in range(o, o_end):
            total = zero
            for m in range(N):
                total += dy[m, p]
            db[p] = total
