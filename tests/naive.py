"""Plain references for the kernels, in float64 NumPy: one formula each, no blocks, no tricks, batch first."""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def windows(i, stride, padding, size, length):
    """Indices of the pixels that output i sees along one axis, those outside the image left out."""
    return [p for p in range(i * stride - padding, i * stride - padding + size) if 0 <= p < length]


def squares(x, size, stride, padding, around=0.0):
    """Every window of images x (N, C, H, W) with `around` around them, in float64: (N, C, OH, OW, KH, KW)."""
    p, q = padding
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (p, p), (q, q)), constant_values=around)
    return sliding_window_view(x, size, (2, 3))[:, :, ::stride[0], ::stride[1]]


def conv2d(x, w, b, stride, padding):
    """Σ_ckl of each window of x (N, C, H, W) times w (O, C, KH, KW), and b (O,)."""
    return np.einsum("ncijkl,ockl->noij", squares(x, w.shape[2:], stride, padding), w) + b[:, None, None]


def conv2d_backward(dy, x, w, stride, padding):
    """(dx, dw, db) for the error dy (N, O, OH, OW)."""
    (H, W), (p, q) = x.shape[2:], padding
    dxp = np.zeros((*x.shape[:2], H + 2 * p, W + 2 * q))
    windows = sliding_window_view(dxp, w.shape[2:], (2, 3), writeable=True)[:, :, ::stride[0], ::stride[1]]
    for k, l in np.ndindex(w.shape[2:]):  # windows overlap, but not in one place of them
        windows[..., k, l] += np.einsum("noij,oc->ncij", dy, w[:, :, k, l])
    dw = np.einsum("noij,ncijkl->ockl", dy, squares(x, w.shape[2:], stride, padding))
    return dxp[:, :, p:p + H, q:q + W], dw, dy.sum((0, 2, 3))


def pool2d(x, size, stride, padding, kind):
    """Max or mean of each window's pixels inside the image; x (N, C, H, W)."""
    return getattr(np, f"nan{kind}")(squares(x, size, stride, padding, np.nan), (4, 5))


def pool2d_backward(dy, x, size, stride, padding, kind):
    """dx: the mean's error is shared out evenly, the max's goes to the first pixel that has the maximum."""
    H, W = x.shape[2:]
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(dy.shape):
        rows = windows(i, stride[0], padding[0], size[0], H)
        columns = windows(j, stride[1], padding[1], size[1], W)
        if kind == "mean":
            dx[n, c, rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1] += dy[n, c, i, j] / (len(rows) * len(columns))
        else:
            places = [(h, v) for h in rows for v in columns]
            h, v = max(places, key=lambda place: x[n, c, place[0], place[1]])
            dx[n, c, h, v] += dy[n, c, i, j]
    return dx


def central_difference(loss, x, h=6e-6):
    """∂loss/∂x by (loss(x + h) - loss(x - h)) / 2h for every element of float64 x, changed in place and put back."""
    gradient = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        kept = x[place]
        x[place] = kept + h
        above = loss()
        x[place] = kept - h
        below = loss()
        x[place] = kept
        gradient[place] = (above - below) / (2 * h)
    return gradient


ACTIVATIONS = {
    "ReLU": lambda x: np.maximum(x, 0),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Tanh": np.tanh,
    "HardSigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "HardTanh": lambda x: np.clip(x, -1, 1),
    "GELU": lambda x: x / 2 * (1 + np.reshape([math.erf(v / math.sqrt(2)) for v in x.flat], x.shape)),
    "Dropout": lambda x: x,
    "Flatten": lambda x: x.reshape(len(x), -1),
    "GlobalAveragePool": lambda x: x.mean((2, 3)),
    "MeanTokens": lambda x: x.mean(1),
}
# Where an activation has no derivative.
CORNERS = {"ReLU": (0,), "LeakyReLU": (0,), "HardSigmoid": (-3, 3), "HardTanh": (-1, 1)}


def normalized(x, scale, shift, mean, variance, eps):
    """γ (x - μ) / √(v + ε) + β; whatever the axis, all four numbers of x's shape, or 1 along what they are the same for."""
    return scale * (x - mean) / np.sqrt(variance + eps) + shift


def patches(x, size):
    """Squares of images x (N, C, H, W) as tokens, row by row."""
    places = [(i, j) for i in range(0, x.shape[2], size) for j in range(0, x.shape[3], size)]
    return np.stack([x[:, :, i:i + size, j:j + size].reshape(len(x), -1) for i, j in places], axis=1)


def attention(qkv, heads, causal):
    """Weights a (N, H, T, T) and weighted values o (N, T, D) for qkv (N, T, 3 D): all heads' q, then k, then v."""
    N, T, D = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    q, k, v = np.moveaxis(np.asarray(qkv, np.float64).reshape(N, T, 3, heads, D // heads), 2, 0)
    s = np.einsum("nihd,njhd->nhij", q, k) / math.sqrt(D // heads)
    if causal:
        s = np.where(np.tri(T, dtype=bool), s, -np.inf)
    e = np.exp(s - s.max(3, keepdims=True))
    a = e / e.sum(3, keepdims=True)
    return a, np.einsum("nhij,njhd->nihd", a, v).reshape(N, T, D)


def layer(layer, inputs, *parameters):
    """What a layer makes of its inputs, batch first, when it is not training.

    parameters : (weight, bias), (scale, shift), with batch norm's running (mean, variance) behind, or none.
    """
    kind, x = type(layer).__name__, inputs[0]
    if kind in ("Dense", "Projection"):
        return x @ parameters[0].T + parameters[1]
    if kind == "BatchNorm":
        return normalized(x, *(p[:, None, None] if x.ndim == 4 else p for p in parameters), layer.eps)
    if kind == "LayerNorm":
        return normalized(x, *parameters, x.mean(-1, keepdims=True), x.var(-1, keepdims=True), layer.eps)
    if kind == "Attention":
        return attention(x, layer.heads, layer.causal)[1]
    if kind == "PositionEmbedding":
        return x + parameters[0]
    if kind == "Patches":
        return patches(x, layer.size)
    if kind == "Conv2D":
        return conv2d(x, *parameters, layer.stride, layer.padding)
    if kind.endswith("Pool2D"):
        return pool2d(x, layer.size, layer.stride, layer.padding, "max" if kind == "MaxPool2D" else "mean")
    if kind == "LeakyReLU":
        return np.where(x > 0, x, layer.slope * x)
    return sum(inputs) if kind == "Add" else ACTIVATIONS[kind](x)
