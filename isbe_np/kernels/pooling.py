"""Max and average pooling, on images with the batch last.

Sizes: N batch, C channels, H x W input, OH x OW output. A window of `size` (KH, KW) moves by `stride` (row, column) over the
image with `padding` (row, column) pixels around it that take no part: the maximum and the mean are those of the pixels
inside the image. A task owns one channel, forward and backward.
"""

from isbe_np.kernels.jit import jit, prange
from isbe_np.kernels.microkernels import fill


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
    C, H, W, _ = x.shape
    OH, OW = y.shape[1:3]
    for task in prange(C * OH):
        c, i = task // OH, task % OH
        h0, h1 = clip(i, stride[0], padding[0], size[0], H)
        for j in range(OW):
            v0, v1 = clip(j, stride[1], padding[1], size[1], W)
            place = (h0 + padding[0] - i * stride[0]) * size[1] + v0 + padding[1] - j * stride[1]
            copy(x[c, h0, v0], y[c, i, j])
            fill(winner[c, i, j], winner.dtype.type(place))
            for h in range(h0, h1):
                for v in range(v0, v1):
                    place = (h + padding[0] - i * stride[0]) * size[1] + v + padding[1] - j * stride[1]
                    challenge(x[c, h, v], winner.dtype.type(place), y[c, i, j], winner[c, i, j])


@jit
def copy(x, y):
    """y = x."""
    for n in range(x.size):
        y[n] = x[n]


@jit
def challenge(x, place, y, winner):
    """Where x is greater than y, or is NaN and y is not, x and its place take over."""
    for n in range(x.size):
        wins = x[n] > y[n] or (x[n] != x[n] and y[n] == y[n])
        winner[n] = place if wins else winner[n]
        y[n] = x[n] if wins else y[n]


@jit
def clear(dx, c):
    """dx[c] = 0, pixel by pixel."""
    for h in range(dx.shape[1]):
        for v in range(dx.shape[2]):
            fill(dx[c, h, v], dx.dtype.type(0))


@jit(parallel=True)
def max_pool2d_backward(dy, winner, size, stride, padding, dx):
    """dx = Σ dy over the windows that a pixel won, else 0;  dy and winner (C, OH, OW, N), dx (C, H, W, N)."""
    C, OH, OW, _ = dy.shape
    H, W = dx.shape[1:3]
    for c in prange(C):
        clear(dx, c)
        for i in range(OH):
            h0, h1 = clip(i, stride[0], padding[0], size[0], H)
            for j in range(OW):
                v0, v1 = clip(j, stride[1], padding[1], size[1], W)
                for h in range(h0, h1):
                    for v in range(v0, v1):
                        place = (h + padding[0] - i * stride[0]) * size[1] + v + padding[1] - j * stride[1]
                        reward(dy[c, i, j], winner[c, i, j], winner.dtype.type(place), dx[c, h, v])


@jit
def reward(dy, winner, place, dx):
    """dx += dy where the winner stood at `place`."""
    zero = dx.dtype.type(0)
    for n in range(dx.size):
        dx[n] += dy[n] if winner[n] == place else zero


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
