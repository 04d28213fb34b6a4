"""Assignment 4: conv2d, forward and backward, as Numba kernels. Read handout.md; try your functions with `isbe check a4`."""

import numpy as np
from numba import njit

# Each function is compiled at its first call. Set the environment variable NUMBA_DISABLE_JIT=1 and it runs as plain Python,
# which a debugger steps through. Images are (N, C, H, W), filters (O, C, K, K); results have the dtype of the arrays given.


@njit
def conv2d(x, w, b, stride, padding):
    """y (N, O, P, Q) of images x (N, C, H, W), filters w (O, C, K, K) and bias b (O,); stride ≥ 1 and padding ≥ 0 are numbers.

    y_noij = b_o + Σ_ckl w_ockl · x[n, c, i·stride + k − padding, j·stride + l − padding], where x is 0 outside the image;
    P = (H + 2·padding − K) // stride + 1, and Q likewise from W.
    """
    # BEGIN SOLUTION
    xp = widened(x, padding)
    N, C, H, W = xp.shape
    O, _, K, _ = w.shape
    P, Q = (H - K) // stride + 1, (W - K) // stride + 1
    y = np.empty((N, O, P, Q), x.dtype)
    for n in range(N):
        for o in range(O):
            y[n, o] = b[o]
            for c in range(C):
                for i in range(P):
                    for k in range(K):
                        for l in range(K):
                            for j in range(Q):
                                y[n, o, i, j] += w[o, c, k, l] * xp[n, c, i * stride + k, j * stride + l]
    return y
    # END SOLUTION


@njit
def conv2d_backward_input(dy, w, H, W, stride, padding):
    """dx (N, C, H, W), the gradient by x, from dy (N, O, P, Q), the gradient by y = conv2d(x, w, b, stride, padding), and w."""
    # BEGIN SOLUTION
    N, O, P, Q = dy.shape
    _, C, K, _ = w.shape
    dxp = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dy.dtype)
    for n in range(N):
        for o in range(O):
            for c in range(C):
                for i in range(P):
                    for k in range(K):
                        for l in range(K):
                            for j in range(Q):
                                dxp[n, c, i * stride + k, j * stride + l] += w[o, c, k, l] * dy[n, o, i, j]
    return dxp[:, :, padding:padding + H, padding:padding + W].copy()
    # END SOLUTION


@njit
def conv2d_backward_weights(dy, x, K, stride, padding):
    """(dw, db), shaped (O, C, K, K) and (O,), the gradients by w and b, from dy (N, O, P, Q), x (N, C, H, W) and K."""
    # BEGIN SOLUTION
    xp = widened(x, padding)
    N, O, P, Q = dy.shape
    C = x.shape[1]
    dw, db = np.zeros((O, C, K, K), dy.dtype), np.zeros(O, dy.dtype)
    for n in range(N):
        for o in range(O):
            for i in range(P):
                for j in range(Q):
                    db[o] += dy[n, o, i, j]
                    for c in range(C):
                        for k in range(K):
                            for l in range(K):
                                dw[o, c, k, l] += dy[n, o, i, j] * xp[n, c, i * stride + k, j * stride + l]
    return dw, db
    # END SOLUTION


@njit
def conv2d_dilated(x, w, b, padding, dilation):
    """y (N, O, P, Q) with the filters spread out: tap (k, l) meets pixel (i + k·dilation − padding, j + l·dilation − padding).

    As conv2d with stride 1, which it is for dilation 1. P = H + 2·padding − (K − 1)·dilation, Q likewise.
    """
    # BEGIN SOLUTION
    xp = widened(x, padding)
    N, C, H, W = xp.shape
    O, _, K, _ = w.shape
    P, Q = H - (K - 1) * dilation, W - (K - 1) * dilation
    y = np.empty((N, O, P, Q), x.dtype)
    for n in range(N):
        for o in range(O):
            y[n, o] = b[o]
            for c in range(C):
                for i in range(P):
                    for k in range(K):
                        for l in range(K):
                            for j in range(Q):
                                y[n, o, i, j] += w[o, c, k, l] * xp[n, c, i + k * dilation, j + l * dilation]
    return y
    # END SOLUTION


@njit
def max_pool2d_backward(dy, x, size, stride):
    """dx (N, C, H, W), from dy (N, C, P, Q), the gradient by the maxima of windows (size, size) that move by `stride`.

    Window (i, j) begins at pixel (i·stride, j·stride). Its dy goes to its largest pixel, in equal shares where several are.
    """
    # BEGIN SOLUTION
    N, C, P, Q = dy.shape
    dx = np.zeros_like(x)
    for n in range(N):
        for c in range(C):
            for i in range(P):
                for j in range(Q):
                    top, left = i * stride, j * stride
                    window = x[n, c, top:top + size, left:left + size]
                    largest, count = window[0, 0], 0
                    for pixel in window.flat:
                        if pixel > largest:
                            largest, count = pixel, 0
                        count += pixel == largest
                    for k in range(size):
                        for l in range(size):
                            if window[k, l] == largest:
                                dx[n, c, top + k, left + l] += dy[n, c, i, j] / count
    return dx
    # END SOLUTION


# BEGIN SOLUTION
@njit
def widened(x, padding):
    """x (N, C, H, W) with `padding` rows and columns of zeros on every side of its images."""
    N, C, H, W = x.shape
    xp = np.zeros((N, C, H + 2 * padding, W + 2 * padding), x.dtype)
    for n in range(N):
        for c in range(C):
            for i in range(H):
                for j in range(W):
                    xp[n, c, i + padding, j + padding] = x[n, c, i, j]
    return xp
# END SOLUTION
