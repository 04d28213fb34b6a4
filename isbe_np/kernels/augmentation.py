"""Images changed at random, on their way from the data set into a batch: affine maps, mirroring and shifts.

Sizes: M images in the data set, N of them in the batch, C channels, H x W pixels. images (M, C, H, W), indices (N,) int64,
out (N, C, H, W): out[n] is made from images[indices[n]]. Random numbers have no state: those of an image are a function of
(seed, epoch, its index), so that they do not depend on the batch it is in, on what came before, or on the number of threads.
A task owns one image of the batch.
"""

import math

import numpy as np

from isbe_np.compiler.jit import jit, prange

# Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators": 2^64 over the golden ratio, and the
# multipliers of `mix`.
GOLDEN, FIRST, SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
R27, R30, R31, R11 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(11)


@jit
def mix(z):
    """SplitMix64's bijection of 64 bits, each of which depends on all bits of the uint64 z."""
    z = (z ^ (z >> R30)) * FIRST
    z = (z ^ (z >> R27)) * SECOND
    return z ^ (z >> R31)


@jit
def start(seed, epoch, index):
    """Where the random numbers of one image in one epoch begin; all uint64."""
    return mix(mix(mix(seed + GOLDEN) + epoch + GOLDEN) + index + GOLDEN)


@jit
def uniform(first, k):
    """The k-th number, evenly from [0, 1), of SplitMix64's sequence from `first`; both uint64."""
    return np.float64(mix(first + (k + np.uint64(1)) * GOLDEN) >> R11) * 2.0 ** -53


@jit(ordered=True)
def spread(first, k, most):
    """The k-th number, evenly from [-most, most)."""
    return most * (2.0 * uniform(first, np.uint64(k)) - 1.0)


@jit(parallel=True, exact=True)
def affine(images, indices, seed, epoch, most, out):
    """out[q] = image[c + M⁻¹ (q - c - t)],  M = s R(θ) L(φ):  lean, turn and scale about the middle c, then shift.

    q is a pixel (x, y). R(θ) turns by θ, L(φ) = [[1, tan φ], [0, 1]] leans. s is in 1 ± most[1]; θ, φ and both parts of t are
    within ± most[0], most[2] (radians) and most[3] (pixels).
    """
    N, C, H, W = out.shape
    for n in prange(N):
        first = start(seed, epoch, np.uint64(indices[n]))
        turn, size, lean = spread(first, 0, most[0]), 1.0 + spread(first, 1, most[1]), math.tan(spread(first, 2, most[2]))
        right, down = spread(first, 3, most[3]), spread(first, 4, most[3])
        cosine, sine = math.cos(turn) / size, math.sin(turn) / size
        # M⁻¹ = L(-φ) R(-θ) / s
        a, b, c, d = cosine + lean * sine, sine - lean * cosine, -sine, cosine
        middle_x, middle_y = 0.5 * (W - 1), 0.5 * (H - 1)
        for channel in range(C):
            image, result = images[indices[n], channel], out[n, channel]
            for i in range(H):
                for j in range(W):
                    x, y = j - middle_x - right, i - middle_y - down
                    result[i, j] = bilinear(image, middle_x + a * x + b * y, middle_y + c * x + d * y)


@jit(ordered=True)
def bilinear(image, x, y):
    """Σ (1 - |x - j|) (1 - |y - i|) image[i, j] over the four pixels around column x and row y; 0 outside the image."""
    i, j = math.floor(y), math.floor(x)
    right, down = x - j, y - i
    above = (1.0 - right) * pixel(image, i, j) + right * pixel(image, i, j + 1)
    below = (1.0 - right) * pixel(image, i + 1, j) + right * pixel(image, i + 1, j + 1)
    return (1.0 - down) * above + down * below


@jit
def pixel(image, i, j):
    """image[i, j], or 0 outside."""
    inside = 0 <= i < image.shape[0] and 0 <= j < image.shape[1]
    return image[i, j] if inside else image.dtype.type(0)


@jit(parallel=True, exact=True)
def flip_shift(images, indices, seed, epoch, most, out):
    """out[i, j] = image[r(i - down), r(j - right)], mirrored left to right with probability most[1].

    down and right are whole numbers, evenly from -most[0] to most[0]; r reflects what lies outside at the outermost pixels.
    """
    N, C, H, W = out.shape
    for n in prange(N):
        first = start(seed, epoch, np.uint64(indices[n]))
        down = whole(first, np.uint64(0), most[0])
        right = whole(first, np.uint64(1), most[0])
        flipped = uniform(first, np.uint64(2)) < most[1]
        for channel in range(C):
            image, result = images[indices[n], channel], out[n, channel]
            for i in range(H):
                row = reflected(i - down, H)
                for j in range(W):
                    result[i, j] = image[row, reflected((W - 1 - j if flipped else j) - right, W)]


@jit
def whole(first, k, most):
    """The k-th number, a whole one evenly from -most to most."""
    return int(uniform(first, k) * (2 * most + 1)) - most


@jit
def reflected(i, size):
    """i, or its mirror image in the first or the last of `size` pixels, which must be nearer than size - 1."""
    i = abs(i)
    return 2 * (size - 1) - i if i >= size else i
