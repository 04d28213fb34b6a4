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


@jit(parallel=True)
def conv2d(x, w, b, y, stride, padding):
    """y = w * x + b. Shapes: x (C, H, W, N), w (O, C, KH, KW), b (O,), y (O, OH, OW, N)."""
    (C, H, W, N), (O, OH, OW, _), (KH, KW) = x.shape, y.shape, w.shape[2:]
    for o in prange(O):
        for i in range(OH):
            for j in range(OW):
                y_ij = y[o, i, j]
                for n in range(N):
                    y_ij[n] = b[o]
                for c in range(C):
                    for k in range(KH):
                        for l in range(KW):
                            h, v = i * stride[0] + k - padding[0], j * stride[1] + l - padding[1]
                            if 0 <= h < H and 0 <= v < W:
                                weight, x_hv = w[o, c, k, l], x[c, h, v]
                                for n in range(N):
                                    y_ij[n] += weight * x_hv[n]


@jit(parallel=True)
def conv2d_backward_input(dy, w, dx, stride, padding):
    """dx += w dy wherever forward did y += w x. Shapes: dy (O, OH, OW, N), w (O, C, KH, KW), dx (C, H, W, N)."""
    (C, H, W, N), (O, OH, OW, _), (KH, KW) = dx.shape, dy.shape, w.shape[2:]
    for c in prange(C):
        dx[c] = 0
        for o in range(O):
            for i in range(OH):
                for j in range(OW):
                    dy_ij = dy[o, i, j]
                    for k in range(KH):
                        for l in range(KW):
                            h, v = i * stride[0] + k - padding[0], j * stride[1] + l - padding[1]
                            if 0 <= h < H and 0 <= v < W:
                                weight, dx_hv = w[o, c, k, l], dx[c, h, v]
                                for n in range(N):
                                    dx_hv[n] += weight * dy_ij[n]


@jit(parallel=True)
def conv2d_backward_parameters(dy, x, dw, db, stride, padding):
    """dw += dy x wherever forward did y += w x, db = Σ dy. Shapes: dw (O, C, KH, KW), db (O,); dy and x as above."""
    (C, H, W, N), (O, OH, OW, _), (KH, KW) = x.shape, dy.shape, dw.shape[2:]
    for o in prange(O):
        dw[o], db[o] = 0, 0
        for i in range(OH):
            for j in range(OW):
                dy_ij = dy[o, i, j]
                for n in range(N):
                    db[o] += dy_ij[n]
                for c in range(C):
                    for k in range(KH):
                        for l in range(KW):
                            h, v = i * stride[0] + k - padding[0], j * stride[1] + l - padding[1]
                            if 0 <= h < H and 0 <= v < W:
                                x_hv, total = x[c, h, v], dw.dtype.type(0)
                                for n in range(N):
                                    total += dy_ij[n] * x_hv[n]
                                dw[o, c, k, l] += total
