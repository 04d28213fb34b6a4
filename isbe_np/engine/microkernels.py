"""The inner loops that dense layers and convolutions are made of: two forms of one sum of products.

**Blocks.** Outputs that lie side by side in memory are computed together, a *vector* of them at a time (see `vectors`), for
six or four *rows* of outputs at once:

    y[r, n] = start[r, n] + Σ_t w[r, t] x[offset_t + n]       rows r, terms t, neighbouring numbers n

                        x ----[  vector at offset_t  ]---->      for each term t:
       w[0, t] ->  y[0]       [  sums, in registers  ]               1 vector loaded, 6 weights loaded
       w[1, t] ->  y[1]       [                      ]               6 vectors multiplied and added
         ...        ...       [         ...          ]               nothing stored
       w[5, t] ->  y[5]       [                      ]            after the last term: 6 vectors stored

With 64-byte registers a vector is four of them: 24 of the 32 registers hold the sums, four the vector, one a weight. A term
then takes 4 + 6 loads and 24 multiply-adds. Such a processor can do two loads and two multiply-adds a cycle, so that it waits
for arithmetic and not for memory: a simple loop, ``y[n] += w * x[n]``, does two loads and a store for each multiply-add.

What is left beside the last whole vector goes by one register at a time, for eight rows, of which each waits for its last
multiply-add: fewer would leave the processor idle.

A convolution's offsets are those of the filter's taps, a matrix product's those of a matrix's rows. Where start[r, n] lies is
said by `origin` = (place of start[0, 0], from row to row, from number to number: 0 or 1): with (0, 1, 0) a bias for each row,
written down as often as a vector has lanes; with (0, 0, 1) one for each column.

**Dots.** Where the sum itself runs along memory, three runs are multiplied with five,

    c[r, s] = Σ_n a_r[n] b_s[n]          r in 0..2, s in 0..4

8 loads for 15 multiply-adds, the 15 sums in registers. Runs may continue in further rows, a stride apart.

Rows beyond the last are the last again: the same numbers are then computed and stored twice, which costs less than special
cases would.
"""

from isbe_np.compiler.jit import jit
from isbe_np.engine.vectors import at, clipped, lanes, load, narrow, part, store, totals, wide


@jit
def fill(a, value):
    """a = value throughout, for one run. (A slice assignment does the same but takes the compiler a second longer.)"""
    for n in range(a.size):
        a[n] = value


@jit(ordered=True)
def block6(x, place, offsets, w, steps, start, origin, row, y, to, stride, limits, like):
    """y[to + r stride + n] = clip(start[r, n] + Σ_t w[r, t] x[place + offsets[t] + n]) for six r from `row` on, a vector of n.

    x, y, w, start flat; `steps` lead from row to row and from term to term of w; `origin` says where start lies.
    """
    (low, high), (down, right) = limits, steps
    p, q, hop = row * down, origin[0] + row * origin[1], origin[1]
    s0, s1, s2 = load(start, q, like), load(start, q + hop, like), load(start, q + 2 * hop, like)
    s3, s4, s5 = load(start, q + 3 * hop, like), load(start, q + 4 * hop, like), load(start, q + 5 * hop, like)
    for t in range(offsets.size):
        v = load(x, place + offsets[t], like)
        s0 += at(w, p + t * right) * v
        s1 += at(w, p + down + t * right) * v
        s2 += at(w, p + 2 * down + t * right) * v
        s3 += at(w, p + 3 * down + t * right) * v
        s4 += at(w, p + 4 * down + t * right) * v
        s5 += at(w, p + 5 * down + t * right) * v
    store(y, to, clipped(s0, low, high), like)
    store(y, to + stride, clipped(s1, low, high), like)
    store(y, to + 2 * stride, clipped(s2, low, high), like)
    store(y, to + 3 * stride, clipped(s3, low, high), like)
    store(y, to + 4 * stride, clipped(s4, low, high), like)
    store(y, to + 5 * stride, clipped(s5, low, high), like)


@jit(ordered=True)
def block4(x, place, offsets, w, steps, start, origin, row, end, y, to, stride, limits, like):
    """The same for four r; rows from `end` on are the last again."""
    (low, high), (down, right) = limits, steps
    p, q, hop = row * down, origin[0] + row * origin[1], origin[1]
    last = end - 1 - row
    r1, r2, r3 = min(1, last), min(2, last), min(3, last)
    s0, s1 = load(start, q, like), load(start, q + r1 * hop, like)
    s2, s3 = load(start, q + r2 * hop, like), load(start, q + r3 * hop, like)
    for t in range(offsets.size):
        v = load(x, place + offsets[t], like)
        s0 += at(w, p + t * right) * v
        s1 += at(w, p + r1 * down + t * right) * v
        s2 += at(w, p + r2 * down + t * right) * v
        s3 += at(w, p + r3 * down + t * right) * v
    store(y, to, clipped(s0, low, high), like)
    store(y, to + r1 * stride, clipped(s1, low, high), like)
    store(y, to + r2 * stride, clipped(s2, low, high), like)
    store(y, to + r3 * stride, clipped(s3, low, high), like)


@jit(ordered=True)
def block8(x, place, offsets, w, steps, start, origin, row, end, y, to, stride, limits, like):
    """The same for eight r, enough to keep two multiply-adds a cycle going with one register each."""
    (low, high), (down, right) = limits, steps
    p, q, hop = row * down, origin[0] + row * origin[1], origin[1]
    last = end - 1 - row
    r1, r2, r3, r4 = min(1, last), min(2, last), min(3, last), min(4, last)
    r5, r6, r7 = min(5, last), min(6, last), min(7, last)
    s0, s1, s2 = load(start, q, like), load(start, q + r1 * hop, like), load(start, q + r2 * hop, like)
    s3, s4, s5 = load(start, q + r3 * hop, like), load(start, q + r4 * hop, like), load(start, q + r5 * hop, like)
    s6, s7 = load(start, q + r6 * hop, like), load(start, q + r7 * hop, like)
    for t in range(offsets.size):
        v = load(x, place + offsets[t], like)
        s0 += at(w, p + t * right) * v
        s1 += at(w, p + r1 * down + t * right) * v
        s2 += at(w, p + r2 * down + t * right) * v
        s3 += at(w, p + r3 * down + t * right) * v
        s4 += at(w, p + r4 * down + t * right) * v
        s5 += at(w, p + r5 * down + t * right) * v
        s6 += at(w, p + r6 * down + t * right) * v
        s7 += at(w, p + r7 * down + t * right) * v
    store(y, to, clipped(s0, low, high), like)
    store(y, to + r1 * stride, clipped(s1, low, high), like)
    store(y, to + r2 * stride, clipped(s2, low, high), like)
    store(y, to + r3 * stride, clipped(s3, low, high), like)
    store(y, to + r4 * stride, clipped(s4, low, high), like)
    store(y, to + r5 * stride, clipped(s5, low, high), like)
    store(y, to + r6 * stride, clipped(s6, low, high), like)
    store(y, to + r7 * stride, clipped(s7, low, high), like)


@jit(ordered=True)
def run(x, place, offsets, w, steps, start, origin, span, y, to, stride, limits, size):
    """Blocks for the rows of `span` (first, end) and n in 0..size-1; y[to] belongs to row 0.

    Wide vectors, six rows at a time and four, or twice four, to finish; what they leave over of n goes by one register, and
    eight rows at a time.
    """
    first, end = span
    corner, hop, across = origin
    full, step, short = wide(x), lanes(wide(x)), lanes(narrow(x))
    n = 0
    while n + step <= size:
        row, here = first, (corner + n * across, hop, across)
        while row < end:
            left = end - row
            if left >= 6 and left != 7 and left != 8:
                block6(x, place + n, offsets, w, steps, start, here, row, y, to + n + row * stride, stride, limits, full)
                row += 6
            else:
                block4(x, place + n, offsets, w, steps, start, here, row, end, y, to + n + row * stride, stride, limits, full)
                row += 4
        n += step
    while n < size:
        rest, here = part(x, min(short, size - n)), (corner + n * across, hop, across)
        for row in range(first, end, 8):
            block8(x, place + n, offsets, w, steps, start, here, row, end, y, to + n + row * stride, stride, limits, rest)
        n += short


@jit(ordered=True)
def multiply35(a, p, b, q, sums, like):
    """sums[r, s] + the product of the vectors at a[p[r]] and b[q[s]], for r in 0..2 and s in 0..4."""
    s00, s01, s02, s03, s04, s10, s11, s12, s13, s14, s20, s21, s22, s23, s24 = sums
    u, v, w = load(a, p[0], like), load(a, p[1], like), load(a, p[2], like)
    z0, z1, z2 = load(b, q[0], like), load(b, q[1], like), load(b, q[2], like)
    z3, z4 = load(b, q[3], like), load(b, q[4], like)
    return (s00 + u * z0, s01 + u * z1, s02 + u * z2, s03 + u * z3, s04 + u * z4,
            s10 + v * z0, s11 + v * z1, s12 + v * z2, s13 + v * z3, s14 + v * z4,
            s20 + w * z0, s21 + w * z1, s22 + w * z2, s23 + w * z3, s24 + w * z4)


@jit(ordered=True)
def dots35(a, p, b, q, lines, strides, size):
    """Σ_n a[p[r] + n] b[q[s] + n] for r in 0..2, s in 0..4, over n in 0..size-1 of each of `lines` lines: a tuple, r by r.

    a and b are flat; p and q are the runs' places in the first line, `strides` (of a, of b) lead from one line to the next.
    """
    p0, p1, p2 = p
    q0, q1, q2, q3, q4 = q
    z, step = narrow(a), lanes(narrow(a))
    sums = (z, z, z, z, z, z, z, z, z, z, z, z, z, z, z)
    for line in range(lines):
        d, e = line * strides[0], line * strides[1]
        for n in range(0, size - step + 1, step):
            k, m = d + n, e + n
            sums = multiply35(a, (p0 + k, p1 + k, p2 + k), b, (q0 + m, q1 + m, q2 + m, q3 + m, q4 + m), sums, z)
        rest = size % step
        if rest:
            k, m = d + size - rest, e + size - rest
            sums = multiply35(a, (p0 + k, p1 + k, p2 + k), b, (q0 + m, q1 + m, q2 + m, q3 + m, q4 + m), sums, part(a, rest))
    return totals(sums)
