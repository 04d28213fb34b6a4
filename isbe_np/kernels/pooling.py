"""Pooling layers: every output pixel is the largest pixel of a window of the image, or the mean of its pixels.

    y[c, i, j, n] = max x[c, h, v, n]      dx[c, h, v, n] = Σ dy[c, i, j, n] over the windows whose largest pixel is (h, v)
    y[c, i, j, n] = Σ x[c, h, v, n] / P    dx[c, h, v, n] = Σ dy[c, i, j, n] / P over the windows that (h, v) lies in

N images, C channels of H x W pixels in, OH x OW out. The window of (i, j) has `size` rows and columns, and begins at pixel
(i stride − padding, j stride − padding), each of the three a pair. Pixels outside the image take no part: P counts the others.
The first of equals is the largest, and NaN is larger than every number. The batch is the last axis, so that the inner loop
runs over neighbors in memory. Each task owns one channel.
"""

import numpy as np

from isbe_np.compiler.jit import jit, prange


@jit(ordered=True)
def window(place, size, stride, padding, image):
    """(top, bottom, left, right) of what output (i, j) sees of an image (H, W); bottom and right lie outside already."""
    top, left = place[0] * stride[0] - padding[0], place[1] * stride[1] - padding[1]
    return max(0, top), min(image[0], top + size[0]), max(0, left), min(image[1], left + size[1])


@jit(ordered=True)
def largest_pixel(x, seen, y, argmax):
    """y = max x over the window `seen` of a channel, argmax = h W + v of that pixel. Shapes: x (H, W, N), y and argmax (N,)."""
    (_, W, N), (top, bottom, left, right) = x.shape, seen
    for n in range(N):
        y[n], argmax[n] = x[top, left, n], top * W + left
    for h in range(top, bottom):
        for v in range(left, right):
            x_hv = x[h, v]
            for n in range(N):
                larger = x_hv[n] > y[n] or (x_hv[n] != x_hv[n] and y[n] == y[n])
                y[n], argmax[n] = (x_hv[n], h * W + v) if larger else (y[n], argmax[n])


@jit(parallel=True, exact=True)
def max_pool2d(x, size, stride, padding, y, argmax):
    """y = max x over each window, with argmax, by `largest_pixel`. Shapes: x (C, H, W, N), y and argmax (C, OH, OW, N)."""
    (C, H, W, _), (_, OH, OW, _) = x.shape, y.shape
    for c in prange(C):
        for i in range(OH):
            for j in range(OW):
                largest_pixel(x[c], window((i, j), size, stride, padding, (H, W)), y[c, i, j], argmax[c, i, j])


@jit(parallel=True, exact=True)
def max_pool2d_backward(dy, argmax, dx):
    """dx += dy at the largest pixel of each window. Shapes: dy and argmax (C, OH, OW, N), dx (C, H, W, N)."""
    C, OH, OW, N = dy.shape
    pixels = dx.reshape(C, -1, N)
    for c in prange(C):
        pixels[c] = 0
        for i in range(OH):
            for j in range(OW):
                for n in range(N):
                    pixels[c, argmax[c, i, j, n], n] += dy[c, i, j, n]


@jit(parallel=True, exact=True)
def average_pool2d(x, size, stride, padding, y):
    """y = Σ x / P over each window's P pixels. Shapes: x (C, H, W, N), y (C, OH, OW, N)."""
    (C, H, W, N), (_, OH, OW, _) = x.shape, y.shape
    for c in prange(C):
        for i in range(OH):
            for j in range(OW):
                top, bottom, left, right = window((i, j), size, stride, padding, (H, W))
                share, mean = y.dtype.type(1 / ((bottom - top) * (right - left))), y[c, i, j]
                mean[:] = 0
                for h in range(top, bottom):
                    for v in range(left, right):
                        x_hv = x[c, h, v]
                        for n in range(N):
                            mean[n] += share * x_hv[n]


@jit(parallel=True, exact=True)
def average_pool2d_backward(dy, size, stride, padding, dx):
    """dx += dy / P for all P pixels of each window. Shapes: dy (C, OH, OW, N), dx (C, H, W, N)."""
    (C, H, W, N), (_, OH, OW, _) = dx.shape, dy.shape
    for c in prange(C):
        dx[c] = 0
        for i in range(OH):
            for j in range(OW):
                top, bottom, left, right = window((i, j), size, stride, padding, (H, W))
                share, dy_ij = dx.dtype.type(1 / ((bottom - top) * (right - left))), dy[c, i, j]
                for h in range(top, bottom):
                    for v in range(left, right):
                        dx_hv = dx[c, h, v]
                        for n in range(N):
                            dx_hv[n] += share * dy_ij[n]


@jit(parallel=True, exact=True)
def global_average_pool(x, y):
    """y = Σ x / (H W), row by row: rounding then grows with H + W, not with H W. Shapes: x (C, H, W, N), y (C, N)."""
    C, H, W, N = x.shape
    for c in prange(C):
        y[c], row = 0, np.empty(N, x.dtype)
        for h in range(H):
            row[:] = 0
            for v in range(W):
                for n in range(N):
                    row[n] += x[c, h, v, n]
            for n in range(N):
                y[c, n] += row[n]
        for n in range(N):
            y[c, n] *= x.dtype.type(1 / (H * W))


@jit(parallel=True, exact=True)
def global_average_pool_backward(dy, dx):
    """dx = dy / (H W) at every pixel. Shapes: dy (C, N), dx (C, H, W, N)."""
    C, H, W, N = dx.shape
    for c in prange(C):
        for h in range(H):
            for v in range(W):
                for n in range(N):
                    dx[c, h, v, n] = dy[c, n] * dx.dtype.type(1 / (H * W))
