"""Moving images between layouts: batch first (N, C, H, W) as users see them, batch last (C, H, W, N) as kernels want them."""

import numpy as np

from isbe_np.compiler.jit import jit, prange
from isbe_np.engine.vectors import lanes, narrow, turn


def pitch(n, itemsize):
    """Numbers from one row of n to the next: n, or a little more where a large power of two would crowd the cache.

    A cache finds a line's place by the lower bits of its address: what lies some thousand bytes apart shares a few places, and
    pushes each other out.
    """
    return n + 64 // itemsize if n > 128 and n * itemsize % 1024 == 0 else n


@jit(parallel=True)
def transpose(a, b):
    """b[j, i] = a[i, j];  a (R, S), b (S, R or more). Both layouts of a batch of images are one matrix and its transpose.

    It goes by squares, so that whole registers are read and whole registers written; what is left at the edges goes one by one.
    """
    (R, S), P = a.shape, b.shape[1]
    x, y, step = a.reshape(-1), b.reshape(-1), lanes(narrow(a.reshape(-1)))
    for task in prange((S + step - 1) // step):
        j = task * step
        j_end, i_end = min(S, j + step), R - R % step if j + step <= S else 0
        for i in range(0, i_end, step):
            turn(x, i * S + j, S, y, j * P + i, P)
        for i in range(i_end, R):
            for k in range(j, j_end):
                b[k, i] = a[i, k]


@jit(parallel=True)
def lay(a, places, b, cut, piece):
    """b[places[r] + n] = a[r, n];  a (R, S), places (R,), b flat. What lies between the places stays as it is.

    A row of more than `cut` numbers goes in pieces of so many, each `piece` numbers after the one before. What is returned is
    whether all numbers are finite: 0 a is 0 for each that is, and NaN for the others.
    """
    (R, S), bad = a.shape, 0
    for r in prange(R):
        total = a.dtype.type(0)
        for k in range((S + cut - 1) // cut):
            first, to = k * cut, places[r] + k * piece
            for n in range(min(cut, S - first)):
                b[to + n] = a[r, first + n]
                total += a.dtype.type(0) * a[r, first + n]
        bad += total != a.dtype.type(0)
    return bad == 0


def inside(shape, images, corner):
    """Where the stretches of images `shape`, (C, H, W, N), go in larger ones, (pieces, C, height, width, P), from `corner` on.

    A stretch is a row of the image, or, where the batch lies in several pieces, a pixel. corner (row, column).
    """
    (C, H, W, _), (pieces, _, height, width, P) = shape, images
    c, i = np.arange(C)[:, None, None], np.arange(H)[:, None] + corner[0]
    j = np.arange(W if pieces > 1 else 1) + corner[1]
    return (((c * height + i) * width + j) * P).ravel()


def lay_inside(x, places, images):
    """Copy x (C, H, W, N) to where `inside` said, in images (pieces, C, height, width, P)."""
    stretches, (pieces, *_, P) = x.reshape(places.size, -1), images.shape
    lay(stretches, places, images.reshape(-1), P if pieces > 1 else stretches.shape[1], images[0].size)
