"""Convolution, bias, limits and max pooling in one pass, on images with the batch last.

The convolution's output is four times as large as what 2x2 pooling leaves of it, and is never stored: a few pooled pixels'
worth of it at a time is computed into a small buffer, and pooled from there while it is in the nearest cache. Windows lie side
by side (their stride is their size, and there is no padding), so that each convolved pixel belongs to one window.
"""

from numba import get_thread_id

from isbe_np.compiler.jit import jit, prange
from isbe_np.engine.conv2d import WHOLE, number_of_pieces, pixels, size_of_piece
from isbe_np.engine.vectors import between, choose, equals, filled, greater, lanes, load, narrow, part, store

# So many convolved numbers of a channel's row are computed at a time, or one window's if that is more.
SPAN = 256


def room(channels, size, threads):
    """Shape of the buffer: one a thread."""
    return threads, channels * size[0] * max(SPAN, size[1] * WHOLE)


@jit(parallel=True)
def conv2d_max_pool(x, steps, taps, w, start, limits, size, room, y, winner):
    """y = max over windows of `size` of clip(the convolution of x); winner = the place of the maximum in its window.

    x flat, steps, taps (T,), w flat, (O, T); start and limits as for `conv2d`; room as by `room`; y and winner (O, PH, PW, N).
    A task owns a few neighbouring pixels of y for a piece of the batch.
    """
    O, PH, PW, N = y.shape
    KH, KW = size
    P = size_of_piece(N)
    best, winners = y.reshape(-1), winner.reshape(-1)
    group = min(PW, max(1, SPAN // (KW * P)))
    groups = (PW + group - 1) // group
    for task in prange(number_of_pieces(N) * PH * groups):
        i, j, piece = task // groups % PH, group * (task % groups), task // (groups * PH)
        n, count, mine = P * piece, min(group, PW - j), room[get_thread_id()]
        some = min(N - n, P)
        width = count * KW * some
        for k in range(KH):
            pixels(x, steps[0] + (i * KH + k) * steps[1] + j * KW * steps[2] + piece * steps[3], steps[2], taps, w, start, O,
                   mine, k * width, KH * width, some, limits, count * KW, some)
        for o in range(O):
            for q in range(count):
                maximum(mine, o * KH * width + q * KW * some, width, some, size,
                        best, winners, ((o * PH + i) * PW + j + q) * N + n, some)


@jit
def maximum(x, start, down, right, size, y, winner, at, N):
    """y and winner from `at` on: the maximum over a window of pixels and its place, for N numbers side by side.

    x, y, winner flat; pixel (k, l) of the window (KH, KW) is x[start + k down + l right], its place k KW + l. The first of
    equals wins, and NaN over every number.
    """
    full, step = narrow(x), lanes(narrow(x))
    n = 0
    while n + step <= N:
        maximum_of(x, start + n, down, right, size, y, winner, at + n, full)
        n += step
    if n < N:
        maximum_of(x, start + n, down, right, size, y, winner, at + n, part(x, N - n))


@jit
def maximum_of(x, start, down, right, size, y, winner, at, like):
    """`maximum` for one vector."""
    best, place = load(x, start, like), filled(winner.dtype.type(0), like)
    for k in range(size[0]):
        for l in range(size[1]):
            v = load(x, start + k * down + l * right, like)
            wins = greater(v, best)
            best = choose(wins, v, best)
            place = choose(wins, filled(winner.dtype.type(k * size[1] + l), like), place)
    store(y, at, best, like)
    store(winner, at, place, like)


@jit(parallel=True)
def max_pool_limits_backward(dy, y, winner, limits, size, error, first, steps):
    """The error of the convolution: dy where the pixel won its window and lies within the limits, else 0.

    dy, y, winner (O, PH, PW, N); error flat, its first pixel at `first`; steps from channel to channel, from
    row to row, from pixel to pixel, from piece to piece.
    """
    O, PH, PW, N = y.shape
    given, best, winners = dy.reshape(-1), y.reshape(-1), winner.reshape(-1)
    full, step, (channel, row, pixel, across) = narrow(given), lanes(narrow(given)), steps
    P = size_of_piece(N)
    for task in prange(O * PH):
        corner = first + (task // PH) * channel + (task % PH) * size[0] * row
        for j in range(PW):
            for piece in range(number_of_pieces(N)):
                at, to, n = (task * PW + j) * N + P * piece, corner + j * size[1] * pixel + piece * across, 0
                some = min(N - P * piece, P)
                while n + step <= some:
                    award(given, best, winners, at + n, limits, size, error, to + n, row, pixel, full)
                    n += step
                if n < some:
                    award(given, best, winners, at + n, limits, size, error, to + n, row, pixel, part(given, some - n))


@jit
def award(dy, y, winner, at, limits, size, error, to, down, right, like):
    """One window's error from `to` on: dy[at] in the place of its winner if y is between the limits; 0 in all others."""
    zero, won = filled(dy.dtype.type(0), like), load(winner, at, like)
    passed = choose(between(load(y, at, like), limits[0], limits[1]), load(dy, at, like), zero)
    for k in range(size[0]):
        for l in range(size[1]):
            mine = equals(won, winner.dtype.type(k * size[1] + l))
            store(error, to + k * down + l * right, choose(mine, passed, zero), like)
