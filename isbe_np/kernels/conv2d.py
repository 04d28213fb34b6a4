"""The convolutional layer: every output pixel is a weighted sum of a window of the input, in all its channels.

    y[o, i, j, n] = b[o] + Σ_c Σ_k Σ_l w[o, c, k, l] x[c, h, v, n]     with h = i s + k − p,  v = j t + l − q

N images, C channels of H x W pixels in, O filters of KH x KW weights, OH x OW pixels out; stride (s, t), padding (p, q).
A pixel (h, v) outside the image counts as 0. Backward, from dy = ∂loss/∂y, with the same h and v for the same i, j, k, l:

    dx[c, h, v, n]  = Σ_o Σ_ij Σ_kl w[o, c, k, l] dy[o, i, j, n]       each pixel sees the outputs that it went into
    dw[o, c, k, l]  = Σ_i Σ_j Σ_n dy[o, i, j, n] x[c, h, v, n]         each weight sees all places and all images
    db[o]           = Σ_i Σ_j Σ_n dy[o, i, j, n]

The batch is the last axis: the inner loop then runs over neighbors in memory, under one weight, and is 4.5 times as fast.
"""

from isbe_np.compiler.jit import jit, prange


@jit(ordered=True)
def pixel(x, w, b, y, top, left):
    """One filter where its weight (0, 0) meets pixel (top, left). Shapes: x (C, H, W, N), w (C, KH, KW), b a number, y (N,)."""
    (C, H, W, N), (_, KH, KW) = x.shape, w.shape
    for n in range(N):
        y[n] = b
    for c in range(C):
        for k in range(KH):
            for l in range(KW):
                h, v = top + k, left + l
                if 0 <= h < H and 0 <= v < W:
                    weight, x_hv = w[c, k, l], x[c, h, v]
                    for n in range(N):
                        y[n] += weight * x_hv[n]


@jit(parallel=True, exact=True)
def conv2d(x, w, b, y, stride, padding):
    """y = w * x + b. Shapes: x (C, H, W, N), w (O, C, KH, KW), b (O,), y (O, OH, OW, N)."""
    O, OH, OW, _ = y.shape
    for o in prange(O):
        for i in range(OH):
            for j in range(OW):
                pixel(x, w[o], b[o], y[o, i, j], i * stride[0] - padding[0], j * stride[1] - padding[1])


@jit(ordered=True)
def pixel_backward_input(dy, w, dx, top, left):
    """dx += w dy wherever `pixel` did y += w x, in one channel. Shapes: dy (N,), w (KH, KW), dx (H, W, N)."""
    (H, W, N), (KH, KW) = dx.shape, w.shape
    for k in range(KH):
        for l in range(KW):
            h, v = top + k, left + l
            if 0 <= h < H and 0 <= v < W:
                weight, dx_hv = w[k, l], dx[h, v]
                for n in range(N):
                    dx_hv[n] += weight * dy[n]


@jit(parallel=True, exact=True)
def conv2d_backward_input(dy, w, dx, stride, padding):
    """dx = Σ w dy over the outputs that a pixel went into. Shapes: dy (O, OH, OW, N), w (O, C, KH, KW), dx (C, H, W, N)."""
    O, OH, OW, _ = dy.shape
    for c in prange(dx.shape[0]):
        dx[c] = 0
        for o in range(O):
            for i in range(OH):
                for j in range(OW):
                    pixel_backward_input(dy[o, i, j], w[o, c], dx[c], i * stride[0] - padding[0], j * stride[1] - padding[1])


@jit(inline=True)
def pixel_backward_parameters(dy, x, dw, top, left):
    """dw += dy x wherever `pixel` did y += w x. Shapes: dy (N,), x (C, H, W, N), dw (C, KH, KW)."""
    (C, H, W, N), (_, KH, KW) = x.shape, dw.shape
    for c in range(C):
        for k in range(KH):
            for l in range(KW):
                h, v = top + k, left + l
                if 0 <= h < H and 0 <= v < W:
                    x_hv, total = x[c, h, v], dw.dtype.type(0)
                    for n in range(N):
                        total += dy[n] * x_hv[n]
                    dw[c, k, l] += total


@jit(parallel=True)
def conv2d_backward_parameters(dy, x, dw, db, stride, padding):
    """dw = Σ dy x over all places and images, db = Σ dy. Shapes: dw (O, C, KH, KW), db (O,), dy and x as above."""
    O, OH, OW, N = dy.shape
    for o in prange(O):
        dw[o], db[o] = 0, 0
        for i in range(OH):
            for j in range(OW):
                pixel_backward_parameters(dy[o, i, j], x, dw[o], i * stride[0] - padding[0], j * stride[1] - padding[1])
                for n in range(N):
                    db[o] += dy[o, i, j, n]
