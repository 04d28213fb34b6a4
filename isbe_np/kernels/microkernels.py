"""The inner loops that dense layers and convolutions are made of.

A *run* is a contiguous stretch of numbers: a row of a matrix, or one image row with its batch. Two families, named by how
many runs they take on each side:

    add44   four output runs += a 4x4 block of weights times four input runs
    dot44   a 4x4 block of sums += the dot products of four runs with four runs

       inputs   x0 ----------------------->         add44, for each position n:
                x1 ----------------------->           8 loads   x0..x3, a0..a3
                x2 ----------------------->          16 multiply-adds
                x3 ----------------------->           4 stores  a0..a3
       outputs  a0 a1 a2 a3 likewise                dot44: 8 loads, 16 multiply-adds, no store (16 sums in registers)

One multiply-add at a time would cost two loads and a store each; a block of 4x4 costs half a load and a quarter of a store.
That is what brings a loop from the speed of memory to the speed of arithmetic. The narrow forms (14, 11) take what is left
over when a size is no multiple of four.

Runs are passed as separate one-dimensional arrays: rows indexed inside one matrix might overlap for all the compiler knows,
and it would not vectorise.
"""

from isbe_np.kernels.jit import jit


@jit
def fill(a, value):
    """a = value throughout, for one run. (A slice assignment does the same but takes the compiler a second longer.)"""
    for n in range(a.size):
        a[n] = value


@jit
def add44(a, x, w, i, j):
    """a_r += Σ_s w[i+r, j+s] x_s for r, s in 0..3; a and x are tuples of four runs of one length."""
    a0, a1, a2, a3 = a
    x0, x1, x2, x3 = x
    w00, w01, w02, w03 = w[i, j], w[i, j + 1], w[i, j + 2], w[i, j + 3]
    w10, w11, w12, w13 = w[i + 1, j], w[i + 1, j + 1], w[i + 1, j + 2], w[i + 1, j + 3]
    w20, w21, w22, w23 = w[i + 2, j], w[i + 2, j + 1], w[i + 2, j + 2], w[i + 2, j + 3]
    w30, w31, w32, w33 = w[i + 3, j], w[i + 3, j + 1], w[i + 3, j + 2], w[i + 3, j + 3]
    for n in range(a0.size):
        a0[n] += w00 * x0[n] + w01 * x1[n] + w02 * x2[n] + w03 * x3[n]
        a1[n] += w10 * x0[n] + w11 * x1[n] + w12 * x2[n] + w13 * x3[n]
        a2[n] += w20 * x0[n] + w21 * x1[n] + w22 * x2[n] + w23 * x3[n]
        a3[n] += w30 * x0[n] + w31 * x1[n] + w32 * x2[n] + w33 * x3[n]


@jit
def add14(a, x, w, i, j):
    """a += Σ_s w[i, j+s] x_s for s in 0..3: one output run, four input runs."""
    x0, x1, x2, x3 = x
    w0, w1, w2, w3 = w[i, j], w[i, j + 1], w[i, j + 2], w[i, j + 3]
    for n in range(a.size):
        a[n] += w0 * x0[n] + w1 * x1[n] + w2 * x2[n] + w3 * x3[n]


@jit
def add11(a, x, w, i, j):
    """a += w[i, j] x: one output run, one input run."""
    w0 = w[i, j]
    for n in range(a.size):
        a[n] += w0 * x[n]


@jit
def dot44(a, b, c, i, j):
    """c[i+r, j+s] += ⟨a_r, b_s⟩ for r, s in 0..3; a and b are tuples of four runs of one length."""
    a0, a1, a2, a3 = a
    b0, b1, b2, b3 = b
    zero = a0.dtype.type(0)
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = zero
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = zero
    for n in range(a0.size):
        p, q, r, s = a0[n], a1[n], a2[n], a3[n]
        u, v, w, z = b0[n], b1[n], b2[n], b3[n]
        s00 += p * u; s01 += p * v; s02 += p * w; s03 += p * z  # noqa: E702
        s10 += q * u; s11 += q * v; s12 += q * w; s13 += q * z  # noqa: E702
        s20 += r * u; s21 += r * v; s22 += r * w; s23 += r * z  # noqa: E702
        s30 += s * u; s31 += s * v; s32 += s * w; s33 += s * z  # noqa: E702
    c[i, j] += s00; c[i, j + 1] += s01; c[i, j + 2] += s02; c[i, j + 3] += s03  # noqa: E702
    c[i + 1, j] += s10; c[i + 1, j + 1] += s11; c[i + 1, j + 2] += s12; c[i + 1, j + 3] += s13  # noqa: E702
    c[i + 2, j] += s20; c[i + 2, j + 1] += s21; c[i + 2, j + 2] += s22; c[i + 2, j + 3] += s23  # noqa: E702
    c[i + 3, j] += s30; c[i + 3, j + 1] += s31; c[i + 3, j + 2] += s32; c[i + 3, j + 3] += s33  # noqa: E702


@jit
def dot14(a, b, c, i, j):
    """c[i, j+s] += ⟨a, b_s⟩ for s in 0..3: one run with four runs."""
    b0, b1, b2, b3 = b
    s0 = s1 = s2 = s3 = a.dtype.type(0)
    for n in range(a.size):
        s0 += a[n] * b0[n]; s1 += a[n] * b1[n]; s2 += a[n] * b2[n]; s3 += a[n] * b3[n]  # noqa: E702
    c[i, j] += s0; c[i, j + 1] += s1; c[i, j + 2] += s2; c[i, j + 3] += s3  # noqa: E702


@jit
def dot11(a, b, c, i, j):
    """c[i, j] += ⟨a, b⟩: one run with one run."""
    s = a.dtype.type(0)
    for n in range(a.size):
        s += a[n] * b[n]
    c[i, j] += s
