"""Max, average and global average pooling, on images with the batch last.

Sizes: N batch, C channels, H x W input, OH x OW output. A window of `size` (KH, KW) moves by `stride` (row, column) over the
image with `padding` (row, column) pixels around it that take no part: the maximum and the mean are those of the pixels
inside the image. A task owns one row of one channel's output forward, and one channel backward.
"""

from isbe_np.compiler.jit import jit, prange
from isbe_np.engine.microkernels import fill
from isbe_np.engine.vectors import choose, equals, filled, greater, lanes, load, narrow, part, store


@jit
def clip(i, stride, padding, size, H):
    """First and last + 1 pixel of the window of output i that lie inside an image of H pixels, along one axis."""
    first = i * stride - padding
    return max(0, first), min(H, first + size)


@jit(parallel=True)
def max_pool2d(x, size, stride, padding, y, winner):
    """y[c, i, j] = max of the window; winner = its place (k KW + l) in the window, the first of equals, or of the first NaN.

    x (C, H, W, N), y (C, OH, OW, N), winner (C, OH, OW, N) of an unsigned integer type. NaN wins over every number.
    """
    C, H, W, N = x.shape
    OH, OW = y.shape[1:3]
    pixels, best, winners = x.reshape(-1), y.reshape(-1), winner.reshape(-1)
    for task in prange(C * OH):
        c, i = task // OH, task % OH
        h0, h1 = clip(i, stride[0], padding[0], size[0], H)
        for j in range(OW):
            v0, v1 = clip(j, stride[1], padding[1], size[1], W)
            # The window's first place inside the image, and what leads from row to row, in places and in numbers of x.
            first = (h0 - i * stride[0] + padding[0]) * size[1] + v0 - j * stride[1] + padding[1]
            window = (h1 - h0, v1 - v0)
            maximum(pixels, ((c * H + h0) * W + v0) * N, W * N, N, window, first, size[1],
                    best, winners, (task * OW + j) * N, N)


@jit
def maximum(x, start, down, right, window, first, across, y, winner, at, N):
    """y and winner from `at` on: the maximum over a window of pixels and its place, for N numbers side by side.

    x, y, winner flat; pixel (k, l) of the window (rows, columns) is x[start + k down + l right], its place
    first + k across + l.
    """
    full, step = narrow(x), lanes(narrow(x))
    n = 0
    while n + step <= N:
        maximum_of(x, start + n, down, right, window, first, across, y, winner, at + n, full)
        n += step
    if n < N:
        maximum_of(x, start + n, down, right, window, first, across, y, winner, at + n, part(x, N - n))


@jit
def maximum_of(x, start, down, right, window, first, across, y, winner, at, like):
    """`maximum` for one vector."""
    best, place = load(x, start, like), filled(winner.dtype.type(first), like)
    for k in range(window[0]):
        for l in range(window[1]):
            v = load(x, start + k * down + l * right, like)
            wins = greater(v, best)
            best = choose(wins, v, best)
            place = choose(wins, filled(winner.dtype.type(first + k * across + l), like), place)
    store(y, at, best, like)
    store(winner, at, place, like)


@jit
def clear(dx, c):
    """dx[c] = 0, pixel by pixel."""
    for h in range(dx.shape[1]):
        for v in range(dx.shape[2]):
            fill(dx[c, h, v], dx.dtype.type(0))


@jit(parallel=True)
def max_pool2d_backward(dy, winner, size, stride, padding, dx):
    """dx = Σ dy over the windows that a pixel won, else 0;  dy and winner (C, OH, OW, N), dx (C, H, W, N)."""
    C, OH, OW, N = dy.shape
    H, W = dx.shape[1:3]
    error, winners, pixels = dy.reshape(-1), winner.reshape(-1), dx.reshape(-1)
    for c in prange(C):
        clear(dx, c)
        for i in range(OH):
            h0, h1 = clip(i, stride[0], padding[0], size[0], H)
            for j in range(OW):
                v0, v1 = clip(j, stride[1], padding[1], size[1], W)
                for h in range(h0, h1):
                    for v in range(v0, v1):
                        place = (h - i * stride[0] + padding[0]) * size[1] + v - j * stride[1] + padding[1]
                        reward(error, winners, ((c * OH + i) * OW + j) * N, place, pixels, ((c * H + h) * W + v) * N, N)


@jit
def reward(dy, winner, at, place, dx, to, N):
    """dx from `to` on += dy from `at` on where the winner stood at `place`, for N numbers side by side; all flat."""
    full, step = narrow(dx), lanes(narrow(dx))
    n = 0
    while n + step <= N:
        reward_of(dy, winner, at + n, place, dx, to + n, full)
        n += step
    if n < N:
        reward_of(dy, winner, at + n, place, dx, to + n, part(dx, N - n))


@jit
def reward_of(dy, winner, at, place, dx, to, like):
    """`reward` for one vector."""
    mine = equals(load(winner, at, like), winner.dtype.type(place))
    store(dx, to, load(dx, to, like) + choose(mine, load(dy, at, like), filled(dx.dtype.type(0), like)), like)


@jit(parallel=True)
def average_pool2d(x, size, stride, padding, y):
    """y[c, i, j] = mean of the window's pixels inside the image;  x (C, H, W, N), y (C, OH, OW, N)."""
    C, H, W, _ = x.shape
    OH, OW = y.shape[1:3]
    for task in prange(C * OH):
        c, i = task // OH, task % OH
        h0, h1 = clip(i, stride[0], padding[0], size[0], H)
        for j in range(OW):
            v0, v1 = clip(j, stride[1], padding[1], size[1], W)
            fill(y[c, i, j], y.dtype.type(0))
            share = y.dtype.type(1) / y.dtype.type((h1 - h0) * (v1 - v0))
            for h in range(h0, h1):
                for v in range(v0, v1):
                    accumulate(share, x[c, h, v], y[c, i, j])


@jit
def accumulate(share, x, y):
    """y += share * x."""
    for n in range(x.size):
        y[n] += share * x[n]


@jit(parallel=True)
def average_pool2d_backward(dy, size, stride, padding, dx):
    """dx = Σ dy / (pixels in the window) over the windows that hold a pixel;  dy (C, OH, OW, N), dx (C, H, W, N)."""
    C, OH, OW, _ = dy.shape
    H, W = dx.shape[1:3]
    for c in prange(C):
        clear(dx, c)
        for i in range(OH):
            h0, h1 = clip(i, stride[0], padding[0], size[0], H)
            for j in range(OW):
                v0, v1 = clip(j, stride[1], padding[1], size[1], W)
                share = dx.dtype.type(1) / dx.dtype.type((h1 - h0) * (v1 - v0))
                for h in range(h0, h1):
                    for v in range(v0, v1):
                        accumulate(share, dy[c, i, j], dx[c, h, v])


@jit(parallel=True)
def global_average_pool(x, y):
    """y[c] = Σ_hv x[c, h, v] / (H W);  x (C, H, W, N), y (C, N).

    The sums of an image's rows are added up, not its pixels one by one: so rounding grows with H + W, not with H W.
    """
    C, H, W, N = x.shape
    pixels, means = x.reshape(-1), y.reshape(-1)
    for c in prange(C):
        mean(pixels, c * H * W * N, (H, W), means, c * N, N)


@jit
def mean(x, start, shape, y, at, N):
    """y from `at` on: the mean of the H x W pixels from x[start] on, for N numbers side by side; x, y flat, shape (H, W)."""
    full, step = narrow(x), lanes(narrow(x))
    n = 0
    while n + step <= N:
        mean_of(x, start + n, shape, N, y, at + n, full)
        n += step
    if n < N:
        mean_of(x, start + n, shape, N, y, at + n, part(x, N - n))


@jit(ordered=True)
def mean_of(x, start, shape, N, y, at, like):
    """`mean` for one vector."""
    (H, W), zero = shape, x.dtype.type(0)
    total = filled(zero, like)
    for h in range(H):
        row = filled(zero, like)
        for v in range(W):
            row += load(x, start + (h * W + v) * N, like)
        total += row
    store(y, at, x.dtype.type(1) / x.dtype.type(H * W) * total, like)


@jit(parallel=True)
def global_average_pool_backward(dy, dx):
    """dx[c, h, v] = dy[c] / (H W);  dy (C, N), dx (C, H, W, N)."""
    C, H, W, _ = dx.shape
    share = dx.dtype.type(1) / dx.dtype.type(H * W)
    for task in prange(C * H):
        c, h = task // H, task % H
        for v in range(W):
            hand_out(share, dy[c], dx[c, h, v])


@jit
def hand_out(share, dy, dx):
    """dx = share * dy, for one run."""
    for n in range(dx.size):
        dx[n] = share * dy[n]
