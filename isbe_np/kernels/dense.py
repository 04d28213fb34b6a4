"""The dense layer: y = x Wᵀ + b, for a batch of row vectors.

Sizes: N batch, K inputs, O outputs. All products run on the two forms of `microkernels`. Backward, the terms of a block are the
rows of W or of x. Forward, they would be their columns: a small batch takes dots of rows with rows, and a larger one is turned
around first, which costs little beside the product. Each task of a ``prange`` owns what it writes, so that no sum is split
between threads and the result is the same, to the bit, for any number of them.
"""

from isbe_np.kernels.jit import jit, prange
from isbe_np.kernels.microkernels import dot35, run

# From this batch size on, blocks of the turned batch are faster than dots.
LARGE = 64
# So many rows of x stay in the second-level cache while every task of the dots passes over them.
ROWS = 128
# Dots are taken over so many inputs at a time: five rows of weights of that length stay in the nearest cache.
DEPTH = 1024
# A task of a product by blocks computes so many rows of its result (a multiple of six), for as many columns.
BAND, COLUMNS = 48, 64


@jit(parallel=True)
def dense(x, w, b, limits, y):
    """y[n, o] = clip(b[o] + Σ_k x[n, k] w[o, k]);  x (N, K), w (O, K), b (O,), limits (low, high), y (N, O)."""
    N, O = y.shape
    K = x.shape[1]
    a, c, low, high = x.reshape(-1), w.reshape(-1), limits[0], limits[1]
    fives = (O + 4) // 5
    for task in prange(fives * ((N + ROWS - 1) // ROWS)):
        first, o = ROWS * (task // fives), 5 * (task % fives)
        o1, o2, o3, o4 = min(O - 1, o + 1), min(O - 1, o + 2), min(O - 1, o + 3), min(O - 1, o + 4)
        end = min(N, first + ROWS)
        for n in range(first, end):
            for p in range(o, o4 + 1):
                y[n, p] = b[p]
        for k in range(0, K, DEPTH):
            q, size = (o * K + k, o1 * K + k, o2 * K + k, o3 * K + k, o4 * K + k), min(DEPTH, K - k)
            for n in range(first, end, 3):
                n1, n2 = min(end - 1, n + 1), min(end - 1, n + 2)
                dot35(a, (n * K + k, n1 * K + k, n2 * K + k), c, q, 1, (0, 0), size, y, (n, n1, n2), (o, o1, o2, o3, o4))
        for n in range(first, end):
            for p in range(o, o4 + 1):
                v = y[n, p]
                y[n, p] = low if v < low else high if v > high else v


@jit(parallel=True)
def product(w, steps, x, offsets, start, limits, y):
    """y[r, k] = clip(start[r] + Σ_t w[r, t] x[offsets[t] + k]): what the next three functions are, compiled once for all.

    w flat, `steps` from row to row and from term to term; x flat; offsets (T,), start (R,), limits (low, high), y (R, K).
    """
    R, K = y.shape
    bands, columns = (R + BAND - 1) // BAND, (K + COLUMNS - 1) // COLUMNS
    for task in prange(bands * columns):
        # Neighbouring tasks share a part of the larger matrix, so that it is fetched once.
        band, column = (task // columns, task % columns) if R > K else (task % bands, task // bands)
        first, k = band * BAND, column * COLUMNS
        run(x, k, offsets, w, steps, start, (first, min(R, first + BAND)), y.reshape(-1), k, K, limits, min(COLUMNS, K - k))


def dense_turned(x, w, b, offsets, limits, y):
    """y[o, n] = clip(b[o] + Σ_k w[o, k] x[k, n]);  x (K, N or more), offsets to its rows, w (O, K), b (O,), y (O, N)."""
    product(w.reshape(-1), (w.shape[1], 1), x.reshape(-1), offsets, b, limits, y)


def dense_backward_input(dy, w, offsets, zeros, limits, dx):
    """dx[n, k] = Σ_o dy[n, o] w[o, k];  dy (N, O), w (O, K), offsets[o] = o K, zeros (N,), dx (N, K)."""
    product(dy.reshape(-1), (w.shape[0], 1), w.reshape(-1), offsets, zeros, limits, dx)


def dense_backward_weight(dy, steps, x, offsets, zeros, limits, dw, db):
    """dw[o, k] = Σ_n dy[n, o] x[n, k] and db[o] = Σ_n dy[n, o].

    dy flat, `steps` from output to output and from example to example; x (N, K), offsets[n] = n K, zeros (O,).
    """
    product(dy, steps, x.reshape(-1), offsets, zeros, limits, dw)
    sums(dy, steps, x.shape[0], db)


@jit
def sums(dy, steps, N, db):
    """db[o] = Σ_n dy[n, o], dy as for `dense_backward_weight`."""
    for o in range(db.size):
        total = db.dtype.type(0)
        for n in range(N):
            total += dy[o * steps[0] + n * steps[1]]
        db[o] = total
