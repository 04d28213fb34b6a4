"""The inner loops that dense layers and convolutions are made of: two forms of one sum of products.

**Blocks.** Outputs that lie side by side in memory are computed together, a *vector* of them at a time (see `vectors`), for
six or four *rows* of outputs at once:

    y[r, n] = start[r] + Σ_t w[r, t] x[offset_t + n]          rows r, terms t, neighbouring numbers n

                        x ----[  vector at offset_t  ]---->      for each term t:
       w[0, t] ->  y[0]       [  sums, in registers  ]               1 vector loaded, 6 weights loaded
       w[1, t] ->  y[1]       [                      ]               6 vectors multiplied and added
         ...        ...       [         ...          ]               nothing stored
       w[5, t] ->  y[5]       [                      ]            after the last term: 6 vectors stored

With 64-byte registers a vector is four of them: 24 of the 32 registers hold the sums, four the vector, one a weight. A term
then takes 4 + 6 loads and 24 multiply-adds. Such a processor can do two loads and two multiply-adds a cycle, so that it waits
for arithmetic and not for memory: a simple loop, ``y[n] += w * x[n]``, does two loads and a store for each multiply-add.

A convolution's offsets are those of the filter's taps, a matrix product's those of a matrix's rows.

**Dots.** Where the sum itself runs along memory, three runs are multiplied with five,

    c[r, s] += Σ_n a_r[n] b_s[n]          r in 0..2, s in 0..4

8 loads for 15 multiply-adds, the 15 sums in registers. Runs may continue in further rows, a stride apart.

Rows beyond the last are the last again: the same numbers are then computed and stored twice, which costs less than special
cases would.
"""

from isbe_np.kernels.jit import jit
from isbe_np.kernels.vectors import at, clipped, filled, lanes, load, narrow, part, store, totals, wide


@jit
def fill(a, value):
    """a = value throughout, for one run. (A slice assignment does the same but takes the compiler a second longer.)"""
    for n in range(a.size):
        a[n] = value


@jit(ordered=True)
def block6(x, start, offsets, w, steps, b, row, y, to, stride, limits, like):
    """y[to + r stride + n] = clip(b[row + r] + Σ_t w[row + r, t] x[start + offsets[t] + n]) for r in 0..5 and a vector of n.

    x, y, w flat; `steps` lead from row to row and from term to term of w.
    """
    (low, high), (down, right) = limits, steps
    p = row * down
    s0, s1, s2 = filled(b[row], like), filled(b[row + 1], like), filled(b[row + 2], like)
    s3, s4, s5 = filled(b[row + 3], like), filled(b[row + 4], like), filled(b[row + 5], like)
    for t in range(offsets.size):
        v = load(x, start + offsets[t], like)
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
def block4(x, start, offsets, w, steps, b, row, end, y, to, stride, limits, like):
    """The same for r in 0..3; rows from `end` on are the last again."""
    (low, high), (down, right) = limits, steps
    p = row * down
    last = end - 1 - row
    r1, r2, r3 = min(1, last), min(2, last), min(3, last)
    s0, s1, s2, s3 = filled(b[row], like), filled(b[row + r1], like), filled(b[row + r2], like), filled(b[row + r3], like)
    for t in range(offsets.size):
        v = load(x, start + offsets[t], like)
        s0 += at(w, p + t * right) * v
        s1 += at(w, p + r1 * down + t * right) * v
        s2 += at(w, p + r2 * down + t * right) * v
        s3 += at(w, p + r3 * down + t * right) * v
    store(y, to, clipped(s0, low, high), like)
    store(y, to + r1 * stride, clipped(s1, low, high), like)
    store(y, to + r2 * stride, clipped(s2, low, high), like)
    store(y, to + r3 * stride, clipped(s3, low, high), like)


@jit(ordered=True)
def run(x, start, offsets, w, steps, b, span, y, to, stride, limits, size):
    """Blocks for the rows of `span` (first, end) and n in 0..size-1; y[to] belongs to row 0.

    Wide vectors, six rows at a time and four, or twice four, to finish; what they leave over of n goes by one register.
    """
    first, end = span
    full, step, short = wide(x), lanes(wide(x)), lanes(narrow(x))
    n = 0
    while n + step <= size:
        row = first
        while row < end:
            left = end - row
            if left >= 6 and left != 7 and left != 8:
                block6(x, start + n, offsets, w, steps, b, row, y, to + n + row * stride, stride, limits, full)
                row += 6
            else:
                block4(x, start + n, offsets, w, steps, b, row, end, y, to + n + row * stride, stride, limits, full)
                row += 4
        n += step
    while n < size:
        rest = part(x, min(short, size - n))
        for row in range(first, end, 4):
            block4(x, start + n, offsets, w, steps, b, row, end, y, to + n + row * stride, stride, limits, rest)
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
def dot35(a, p, b, q, lines, strides, size, c, i, j):
    """c[i[r], j[s]] += Σ_n a[p[r] + n] b[q[s] + n] for r in 0..2, s in 0..4, over n in 0..size-1 of each of `lines` lines.

    a and b are flat; p and q are the runs' places in the first line, `strides` (of a, of b) lead from one line to the next.
    Rows i and columns j rise; where one stands again, it is added to once.
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
    s, (i0, i1, i2) = totals(sums), i
    add5(c, i0, j, s[:5])
    if i1 > i0:
        add5(c, i1, j, s[5:10])
    if i2 > i1:
        add5(c, i2, j, s[10:])


@jit(ordered=True)
def add5(c, i, j, sums):
    """c[i, j[s]] += sums[s] for s in 0..4; a place that stands again in j is added to once."""
    j0, j1, j2, j3, j4 = j
    s0, s1, s2, s3, s4 = sums
    c[i, j0], c[i, j1], c[i, j2], c[i, j3], c[i, j4] = c[i, j0] + s0, c[i, j1] + s1, c[i, j2] + s2, c[i, j3] + s3, c[i, j4] + s4
