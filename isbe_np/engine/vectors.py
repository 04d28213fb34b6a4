"""Vectors: neighbouring numbers that the processor loads, multiplies and adds all at once.

A compiler makes vectors of a plain loop by itself, but it keeps no block of sums in registers over a loop, which is what the
speed of the microkernels rests on. So they say it outright: a *vector* is a stretch of neighbouring numbers of an array, held
in registers,

    v = load(x, i, like)            v = x[i], x[i + 1], ..., as many numbers as `like` has lanes
    store(y, i, v, like)            y[i], y[i + 1], ... = v
    at(x, i)                        the number x[i], for i not below 0: an index that might be negative costs a test
    filled(a, like)                 the number a in every lane
    a * v, v + u, v * u             number by number; a is one number
    clipped(v, low, high)           each number limited to low..high; NaN stays NaN
    totals((v, u, ...))             the sum of v's numbers, of u's, ...
    choose(mask, v, u)              v where the mask is true, u elsewhere
    greater(v, u)                   a mask: where v > u, or v is NaN and u is not
    between(v, low, high)           a mask: where low < v < high, or v is NaN
    equals(v, a)                    a mask: where the whole number in v is a
    turn(x, i, across, y, j, down)  transposes a square of narrow vectors: y[j + r down + c] = x[i + c across + r]

and `like` is made by ``wide(x)`` (as many registers as a block of four or six sums can use), ``narrow(x)`` (one register) or
``part(x, count)``: one register of which only the first `count` lanes take part; the others are never read or written.
``lanes(like)`` is its length, `width` that of a wide vector, for whoever lays out room for some.
"""

from typing import Any

from isbe_np.compiler.jit import SETTINGS

if SETTINGS.DISABLE_JIT:
    from isbe_np.engine import vectors_plain
    _made: Any = vectors_plain
else:
    from isbe_np.engine import vectors_compiled
    _made = vectors_compiled

load, store, at, filled, lanes, wide, narrow, part = (
    _made.load, _made.store, _made.at, _made.filled, _made.lanes, _made.wide, _made.narrow, _made.part)
clipped, totals, choose, greater, between, equals, turn = (
    _made.clipped, _made.totals, _made.choose, _made.greater, _made.between, _made.equals, _made.turn)


def width(itemsize: int) -> int:
    """Numbers of `itemsize` bytes in a wide vector."""
    return _made.REGISTERS * _made.BYTES // itemsize
