"""Two-dimensional convolution (cross-correlation, as in every framework), on images with the batch last.

Sizes: N batch, C input channels, O output channels, KH x KW kernel, OH x OW output, s stride. Images are (channel, row,
column, batch): within one image row, pixels and batch are contiguous, so that one weight acts on one long *run* of numbers,

    y[o, i, :, :] += w[o, c, k, l] * x[c, i s + k, l : l + OW, :]        (stride 1)

and a convolution is nothing but such runs (see `microkernels`). No patch matrix is built.

A *tap* t = (c, k, l) is one weight of a filter; ``taps[t]`` is where its run starts, counted in numbers from the run of tap
(0, 0, 0). The input comes with its padding: the layer copies it into a bordered buffer, which costs about one hundredth of the
convolution and spares every kernel the special cases at the edge. In that buffer a batch of more than `WHOLE` lies in *pieces*,
(piece, channel, row, column, batch), so that a piece's rows which neighbouring outputs share are still in the second-level
cache. What other layers see is (channel, row, column, batch) throughout; there a piece's numbers are a part of each pixel's.

How to step through images is said by four numbers, `steps` = (place of the first pixel, from row to row, from pixel to pixel,
from piece to piece), counted in numbers of the flat array. Where a pixel's batch fills the way to the next pixel on both sides
(stride 1) a run is a whole image row; otherwise it is one pixel with its batch.

The gradient by the input is also a convolution: of the error with the flipped filters (see `engine.layers.conv2d`).
"""

import numpy as np

from isbe_np.compiler.jit import jit, prange
from isbe_np.engine.microkernels import dots35, fill, run
from isbe_np.engine.vectors import lanes, load, narrow, part, totals

# A batch of more than WHOLE examples is taken in pieces of PIECE, and for the weights' gradient a few pieces at a time.
WHOLE, PIECE, TOGETHER = 128, 64, 2
# The runs that a dot product goes over at a time, so many numbers in all, stay in the nearest cache for all taps.
LINE = 4096
# Taps for each task of the weights' gradient, a multiple of five.
PART = 100
# So many tasks, or more, let threads that begin and end together have about the same to do; a part of a row shorter than SHORT
# numbers would not be worth a task.
TASKS, SHORT = 24, 512


def tap_offsets(C, KH, KW, H, W, N):
    """taps[t] for t = (c, k, l), in the order of the weights; a piece of the padded input is (C, H, W, N)."""
    c, k, l = np.meshgrid(np.arange(C), np.arange(KH), np.arange(KW), indexing="ij")
    return (((c * H + k) * W + l) * N).ravel()


@jit(parallel=True)
def gather(values, index, y):
    """y[i] = values[index[i]], all flat."""
    for i in prange(y.size):
        y[i] = values[index[i]]


def piece_size(N):
    """How many examples of a batch of N are taken together."""
    return N if N <= WHOLE else PIECE


def pieces(N):
    """Number of pieces of a batch of N."""
    return 1 if N <= WHOLE else -(-N // PIECE)


size_of_piece, number_of_pieces = jit(piece_size, inline=True), jit(pieces, inline=True)


@jit(inline=True)
def cuts_of(OW, N, rows):
    """In how many parts to take a row of OW pixels, so that `rows` of them make `TASKS` tasks, none of them too short."""
    return max(1, min((TASKS + rows - 1) // rows, OW * N // SHORT))


@jit(inline=True)
def pixels(x, place, step, taps, w, start, O, y, at, channel, pixel, limits, count, N):
    """All O channels of `count` neighbouring output pixels, each for N examples.

    Pixel j is computed from the taps at x[place + j step] into y[at + j pixel]; the output's channels lie `channel` apart.
    start (O, one wide vector).
    """
    # np.int64: a plain number would be a type of its own, and the microkernels be compiled once more for it.
    zero, one, lanes = np.int64(0), np.int64(1), start.size // O
    runs, size = (1, count * N) if step == N and pixel == N else (count, N)
    for j in range(runs):
        run(x, place + j * step, taps, w, (taps.size, one), start, (zero, lanes, zero), (zero, O), y, at + j * pixel, channel,
            limits, size)


@jit(parallel=True)
def conv2d(x, steps, taps, w, start, limits, y, channel, to, sizes):
    """y[o, i, j] = clip(start[o] + Σ_t w[o, t] x[taps[t] + pixel (i, j)]) for the whole batch at once.

    x flat, stepped through by `steps`; taps (T,), w flat, (O, T); start flat, (O, a wide vector), the bias as often as that;
    limits (low, high); y flat, its channels `channel` numbers apart, stepped through by `to`; sizes (O, OH, OW, N). A task owns
    one row of outputs, or a part of one, for a piece of the batch.
    """
    O, OH, OW, N = sizes
    P = size_of_piece(N)
    rows = OH * number_of_pieces(N)
    cuts = cuts_of(OW, P, rows)
    for task in prange(rows * cuts):
        row, cut = task // cuts, task % cuts
        i, piece, j, end = row % OH, row // OH, cut * OW // cuts, (cut + 1) * OW // cuts
        pixels(x, steps[0] + i * steps[1] + j * steps[2] + piece * steps[3], steps[2], taps, w, start, O,
               y, to[0] + i * to[1] + j * to[2] + piece * to[3], channel, to[2], limits, end - j, min(N - P * piece, P))


@jit(inline=True)
def lines(OH, OW, N, whole):
    """How dots go over an image, about `LINE` numbers at a time: (rows, cuts of a row, lines, numbers in a line).

    A line is what is contiguous: whole rows, several at a time, or a cut of one; where pixels are apart, one pixel with its
    batch, and a cut is several of them.
    """
    if not whole:
        count = min(OW, max(1, LINE // N))
        return 1, (OW + count - 1) // count, count, N
    if OW * N <= LINE:
        rows = min(OH, max(1, LINE // (OW * N)))
        return rows, 1, rows, OW * N
    cuts = (OW * N + LINE - 1) // LINE
    return 1, cuts, 1, (OW * N + cuts - 1) // cuts


@jit(parallel=True)
def conv2d_backward_weight(dy, start, channel, x, taps, strides, sizes, span, dw, db):
    """dw[o, t] += Σ dy[o, i, j, n] x[taps[t] + pixel (i s, j s)] and db[o] += Σ dy[o, i, j, n], over all i, j, and n of `span`.

    dy flat, its first pixel at `start`, its channels `channel` numbers apart; x flat; taps (T,); strides ((dy's, x's) numbers
    from row to row, the same from pixel to pixel, and from piece to piece); sizes (OH, OW, N); span the
    pieces (first, end) to add up, of which piece 0 overwrites dw (O, T) and db (O,). A task owns the weights of a few output
    channels for a part of the taps.
    """
    (OH, OW, N), (O, T) = sizes, dw.shape
    # The last piece may be smaller, and its rest is zeros.
    P = size_of_piece(N)
    down, right, across = strides
    whole = right[0] == P and right[1] == P
    rows, cuts, count, size = lines(OH, OW, P, whole)
    parts = (T + PART - 1) // PART
    band = 6 if O * parts >= 6 * TASKS else 3
    for task in prange(((O + band - 1) // band) * parts):
        o_first, first = band * (task // parts), PART * (task % parts)
        o_end, end = min(O, o_first + band), min(T, first + PART)
        if span[0] == 0:
            for m in range(o_first, o_end):
                fill(dw[m, first:end], dw.dtype.type(0))
                if first == 0:
                    db[m] = 0
        for piece in range(span[0], span[1]):
            for i in range(0, OH, rows):
                for cut in range(cuts):
                    some = min(rows, OH - i) if whole else min(count, OW - cut * count)
                    length = min(size, OW * P - cut * size) if whole else P
                    p = start + piece * across[0] + i * down[0] + cut * (size if whole else count * right[0])
                    q = piece * across[1] + i * down[1] + cut * (size if whole else count * right[1])
                    if first == 0:
                        for o in range(o_first, o_end):
                            db[o] += total(dy, p + o * channel, some, down[0] if whole else right[0], length)
                    for o in range(o_first, o_end, 3):
                        o1, o2 = min(o_end - 1, o + 1), min(o_end - 1, o + 2)
                        for t in range(first, end, 5):
                            t1, t2, t3, t4 = min(end - 1, t + 1), min(end - 1, t + 2), min(end - 1, t + 3), min(end - 1, t + 4)
                            s = dots35(dy, (p + o * channel, p + o1 * channel, p + o2 * channel),
                                       x, (q + taps[t], q + taps[t1], q + taps[t2], q + taps[t3], q + taps[t4]),
                                       some, down if whole else right, length)
                            add5(dw, o, (t, t1, t2, t3, t4), s[:5])
                            if o1 > o:
                                add5(dw, o1, (t, t1, t2, t3, t4), s[5:10])
                            if o2 > o1:
                                add5(dw, o2, (t, t1, t2, t3, t4), s[10:])


@jit(ordered=True)
def add5(c, i, j, sums):
    """c[i, j[s]] += sums[s] for s in 0..4; a place that stands again in j is added to once."""
    j0, j1, j2, j3, j4 = j
    s0, s1, s2, s3, s4 = sums
    c[i, j0], c[i, j1], c[i, j2], c[i, j3], c[i, j4] = c[i, j0] + s0, c[i, j1] + s1, c[i, j2] + s2, c[i, j3] + s3, c[i, j4] + s4


@jit(ordered=True)
def total(x, place, count, stride, size):
    """The sum of `count` lines of flat x, each of `size` numbers, `stride` apart."""
    s, step = narrow(x), lanes(narrow(x))
    full = s
    for line in range(count):
        first = place + line * stride
        for n in range(0, size - step + 1, step):
            s = s + load(x, first + n, full)
        rest = size % step
        if rest:
            s = s + load(x, first + size - rest, part(x, rest))
    return totals((s,))[0]
