"""Two-dimensional convolution (cross-correlation, as in every framework), on images with the batch last.

Sizes: N batch, C input channels, O output channels, KH x KW kernel, H x W padded input, OH x OW output, s stride.
Images are (channel, row, column, batch): within one image row, pixels and batch are contiguous, so that one weight acts on
one long *run* of numbers,

    y[o, i, :, :] += w[o, c, k, l] * x[c, i s + k, l : l + OW, :]        (stride 1)

and a convolution is nothing but such runs, sixteen weights at a time (see `microkernels`). No patch matrix is built. With a
column stride above 1 a run is one output pixel with its batch.

A *tap* t = (c, k, l) is one weight of a filter; ``taps[t]`` is where its run starts, counted in numbers from the run of
tap (0, 0, 0). The input comes padded: the layer copies it into a bordered buffer, which costs
under one hundredth of the convolution and spares every kernel the special cases at the edge.
"""

import numpy as np

from isbe_np.kernels.jit import jit, prange
from isbe_np.kernels.microkernels import add11, add14, add44, dot11, dot14, dot44, fill

# A run of at most so many numbers: four output runs then stay in the nearest cache while all taps pass over them.
RUN = 4096


def tap_offsets(C, KH, KW, H, W, N):
    """taps[t] for t = (c, k, l), in the order of the weights; a padded input is (C, H, W, N)."""
    c, k, l = np.meshgrid(np.arange(C), np.arange(KH), np.arange(KW), indexing="ij")
    return (((c * H + k) * W + l) * N).ravel()


@jit
def run_length(row, N, stride):
    """Numbers in one run, for an output row of `row` numbers."""
    return min(row, RUN) if stride == 1 else N


@jit
def window(x, start, size):
    """Run of `size` numbers of flat x from `start`."""
    return x[start:start + size]


@jit
def four(x, taps, t, start, size):
    """Runs of taps t..t+3."""
    return (window(x, start + taps[t], size), window(x, start + taps[t + 1], size),
            window(x, start + taps[t + 2], size), window(x, start + taps[t + 3], size))


@jit(parallel=True)
def conv2d(x, taps, w, b, stride, y):
    """y[o, i, j] = b[o] + Σ_{c,k,l} w[o, c, k, l] x[c, i s + k, j s + l], for the whole batch at once.

    x (C, H, W, N), taps and w's second axis (C·KH·KW,), w (O, C·KH·KW), b (O,), stride (row, column), y (O, OH, OW, N).
    A task owns one row of four output channels.
    """
    O, OH, OW, N = y.shape
    flat, rows, length = x.reshape(-1), y.reshape(O, OH, OW * N), run_length(OW * N, N, stride[1])
    across = x.shape[2] * N
    groups, T = (O + 3) // 4, taps.size
    for task in prange(OH * groups):
        i, o = task // groups, 4 * (task % groups)
        for p in range(0, OW * N, length):
            end = min(OW * N, p + length)
            start = i * stride[0] * across + p + (p // N) * (stride[1] - 1) * N
            for m in range(o, min(O, o + 4)):
                fill(rows[m, i, p:end], b[m])
            t = 0
            while t + 4 <= T:
                four_taps = four(flat, taps, t, start, end - p)
                if o + 4 <= O:
                    add44((rows[o, i, p:end], rows[o + 1, i, p:end], rows[o + 2, i, p:end], rows[o + 3, i, p:end]),
                          four_taps, w, o, t)
                else:
                    for m in range(o, O):
                        add14(rows[m, i, p:end], four_taps, w, m, t)
                t += 4
            for u in range(t, T):
                for m in range(o, min(O, o + 4)):
                    add11(rows[m, i, p:end], window(flat, start + taps[u], end - p), w, m, u)


@jit(parallel=True)
def conv2d_backward_input(dy, w, stride, padding, dx):
    """dx[c, h, v] = Σ w[o, c, k, l] dy[o, i, j] over all o, k, l with i s + k = h and j s + l = v.

    dy (O, OH, OW, N), w (KH, KW, C, O), stride and padding (row, column), dx (C, H, W, N) with its padding, whose rows are
    left as they are and whose columns hold no meaning. A task owns one row of four input channels.
    """
    O, OH, OW, N = dy.shape
    C, H, W, _ = dx.shape
    KH, KW = w.shape[0], w.shape[1]
    rows, errors, zero = dx.reshape(C, H, W * N), dy.reshape(O, OH, OW * N), dx.dtype.type(0)
    length = OW * N if stride[1] == 1 else N
    groups = (C + 3) // 4
    for task in prange((H - 2 * padding[0]) * groups):
        h, c = padding[0] + task // groups, 4 * (task % groups)
        for m in range(c, min(C, c + 4)):
            fill(rows[m, h], zero)
        for k in range(KH):
            i = (h - k) // stride[0]
            if h < k or i >= OH or i * stride[0] + k != h:
                continue
            for p in range(0, OW * N, length):
                for l in range(KW):
                    start = (l + (p // N) * stride[1]) * N
                    spread(rows, errors, w[k, l], (c, h, start), (i, p, p + length))


@jit
def spread(rows, errors, w, at, run):
    """Four channels' rows from `at` += weights times one run of every output channel's error; w (C, O)."""
    c, h, start = at
    i, p, end = run
    C, O = w.shape
    stop = start + end - p
    o = 0
    while o + 4 <= O:
        four_errors = (errors[o, i, p:end], errors[o + 1, i, p:end], errors[o + 2, i, p:end], errors[o + 3, i, p:end])
        if c + 4 <= C:
            add44((rows[c, h, start:stop], rows[c + 1, h, start:stop], rows[c + 2, h, start:stop],
                   rows[c + 3, h, start:stop]), four_errors, w, c, o)
        else:
            for m in range(c, C):
                add14(rows[m, h, start:stop], four_errors, w, m, o)
        o += 4
    for q in range(o, O):
        for m in range(c, min(C, c + 4)):
            add11(rows[m, h, start:stop], errors[q, i, p:end], w, m, q)


@jit
def total(errors, o):
    """Σ over all rows of one output channel's errors."""
    s = errors.dtype.type(0)
    for i in range(errors.shape[1]):
        for p in range(errors.shape[2]):
            s += errors[o, i, p]
    return s


@jit(parallel=True)
def conv2d_backward_weight(dy, x, taps, stride, dw, db):
    """dw[o, c, k, l] = Σ_{i,j,n} dy[o, i, j, n] x[c, i s + k, j s + l, n] and db[o] = Σ_{i,j,n} dy[o, i, j, n].

    dy (O, OH, OW, N), x (C, H, W, N), dw (O, C·KH·KW), db (O,). A task owns the weights of four output channels.
    """
    O, OH, OW, N = dy.shape
    flat, errors, length = x.reshape(-1), dy.reshape(O, OH, OW * N), run_length(OW * N, N, stride[1])
    across, zero, T = x.shape[2] * N, dw.dtype.type(0), taps.size
    for task in prange((O + 3) // 4):
        o = 4 * task
        for m in range(o, min(O, o + 4)):
            fill(dw[m], zero)
            db[m] = total(errors, m)
        for i in range(OH):
            for p in range(0, OW * N, length):
                end = min(OW * N, p + length)
                start = i * stride[0] * across + p + (p // N) * (stride[1] - 1) * N
                t = 0
                while t + 4 <= T:
                    four_taps = four(flat, taps, t, start, end - p)
                    if o + 4 <= O:
                        dot44((errors[o, i, p:end], errors[o + 1, i, p:end], errors[o + 2, i, p:end],
                               errors[o + 3, i, p:end]), four_taps, dw, o, t)
                    else:
                        for m in range(o, O):
                            dot14(errors[m, i, p:end], four_taps, dw, m, t)
                    t += 4
                for u in range(t, T):
                    for m in range(o, min(O, o + 4)):
                        dot11(errors[m, i, p:end], window(flat, start + taps[u], end - p), dw, m, u)
