"""The functions of `vectors` in NumPy, for kernels that run as plain Python: a vector, or a mask, is an array."""

import numpy as np

BYTES, REGISTERS = 64, 4


def wide(x):
    return np.zeros(REGISTERS * BYTES // x.itemsize, x.dtype)


def narrow(x):
    return np.zeros(BYTES // x.itemsize, x.dtype)


def _span(x, i, like):
    vector, count = like if isinstance(like, tuple) else (like, like.size)
    if not 0 <= i <= x.size - count:
        raise IndexError("a vector reaches beyond its array")
    return vector.size, count


def load(x, i, like):
    size, count = _span(x, i, like)
    vector = np.zeros(size, x.dtype)
    vector[:count] = x[i:i + count]
    return vector


def store(y, i, v, like):
    _, count = _span(y, i, like)
    y[i:i + count] = v[:count]


def at(x, i):
    return x[i]


def filled(a, like):
    return np.full(like[0].size if isinstance(like, tuple) else like.size, a)


def clipped(v, low, high):
    return np.clip(v, low, high)


def greater(v, u):
    return (v > u) | (np.isnan(v) & ~np.isnan(u))


def between(v, low, high):
    return ~((v <= low) | (v >= high))


def equals(v, a):
    return v == a


def choose(mask, v, u):
    return np.where(mask, v, u)


def turn(x, i, across, y, j, down):
    n = narrow(x).size
    for r in range(n):
        for c in range(n):
            y[j + r * down + c] = x[i + c * across + r]


def totals(vectors):
    return tuple(v.sum() for v in vectors)


def lanes(like):
    return like[0].size if isinstance(like, tuple) else like.size


def part(x, count):
    return narrow(x), count
