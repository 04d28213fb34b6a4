"""Activations y = s(x), one number at a time, each directly above its backward dx = s'(x) dy.

x, y, dy, dx are flat arrays of one dtype and length. NaN passes through. At a corner the derivative is that of the flat side.
A number must have the same bits in a vector and in a loop's rest, whose place depends on the number of threads: so arithmetic
is `exact`. exp, tanh and erfc may round differently in vectors, so that there each task owns `SPAN` numbers.
"""

import math

import numpy as np

from isbe_np.compiler.jit import jit, prange

SPAN = 4096


@jit(parallel=True, exact=True)
def relu(x, y):
    """y = max(x, 0)"""
    for i in prange(x.size):
        y[i] = x.dtype.type(0) if x[i] < 0 else x[i]


@jit(parallel=True, exact=True)
def relu_backward(x, y, dy, dx):
    """dx = dy where x > 0, else 0"""
    for i in prange(x.size):
        dx[i] = 0 if x[i] <= 0 else dy[i]


@jit(parallel=True, exact=True)
def leaky_relu(x, y, slope):
    """y = x where x > 0, else slope x"""
    for i in prange(x.size):
        y[i] = x.dtype.type(slope) * x[i] if x[i] <= 0 else x[i]


@jit(parallel=True, exact=True)
def leaky_relu_backward(x, y, dy, dx, slope):
    """dx = dy where x > 0, else slope dy, at 0 too, as in PyTorch"""
    for i in prange(x.size):
        dx[i] = x.dtype.type(slope) * dy[i] if x[i] <= 0 else dy[i]


@jit(parallel=True, exact=True)
def sigmoid(x, y):
    """y = 1 / (1 + e^−x) = e^x / (1 + e^x), each on the side where its exponential is at most 1 and cannot overflow"""
    for task in prange((x.size + SPAN - 1) // SPAN):
        for i in range(task * SPAN, min(x.size, (task + 1) * SPAN)):
            e = np.exp(-abs(x[i]))
            y[i] = (e if x[i] < 0 else x.dtype.type(1)) / (x.dtype.type(1) + e)


@jit(parallel=True, exact=True)
def sigmoid_backward(x, y, dy, dx):
    """dx = y (1 − y) dy"""
    for i in prange(x.size):
        dx[i] = y[i] * (x.dtype.type(1) - y[i]) * dy[i]


@jit(parallel=True, exact=True)
def tanh(x, y):
    """y = tanh x"""
    for task in prange((x.size + SPAN - 1) // SPAN):
        for i in range(task * SPAN, min(x.size, (task + 1) * SPAN)):
            y[i] = np.tanh(x[i])


@jit(parallel=True, exact=True)
def tanh_backward(x, y, dy, dx):
    """dx = (1 − y²) dy = (1 − y) (1 + y) dy"""
    for i in prange(x.size):
        dx[i] = (x.dtype.type(1) - y[i]) * (x.dtype.type(1) + y[i]) * dy[i]


@jit(parallel=True, exact=True)
def hardsigmoid(x, y):
    """y = clip(x/6 + 1/2, 0, 1)"""
    for i in prange(x.size):
        y[i] = 0 if x[i] <= -3 else 1 if x[i] >= 3 else x[i] / x.dtype.type(6) + x.dtype.type(0.5)


@jit(parallel=True, exact=True)
def hardsigmoid_backward(x, y, dy, dx):
    """dx = dy / 6 where −3 < x < 3, else 0"""
    for i in prange(x.size):
        dx[i] = 0 if abs(x[i]) >= 3 else dy[i] / x.dtype.type(6)


@jit(parallel=True, exact=True)
def hardtanh(x, y):
    """y = clip(x, −1, 1)"""
    for i in prange(x.size):
        y[i] = -1 if x[i] <= -1 else 1 if x[i] >= 1 else x[i]


@jit(parallel=True, exact=True)
def hardtanh_backward(x, y, dy, dx):
    """dx = dy where −1 < x < 1, else 0"""
    for i in prange(x.size):
        dx[i] = 0 if abs(x[i]) >= 1 else dy[i]


@jit(parallel=True, exact=True)
def gelu(x, y):
    """y = x Φ(x) with Φ(x) = erfc(−x/√2) / 2, the normal distribution function"""
    half, root = x.dtype.type(0.5), x.dtype.type(math.sqrt(0.5))
    for task in prange((x.size + SPAN - 1) // SPAN):
        for i in range(task * SPAN, min(x.size, (task + 1) * SPAN)):
            y[i] = x[i] * half * x.dtype.type(math.erfc(-x[i] * root))


@jit(parallel=True, exact=True)
def gelu_backward(x, y, dy, dx):
    """dx = (Φ(x) + x φ(x)) dy with φ(x) = exp(−x²/2) / √(2π), which is 0 beyond 40, where x² might overflow"""
    half, root, scale = x.dtype.type(0.5), x.dtype.type(math.sqrt(0.5)), x.dtype.type(1 / math.sqrt(2 * math.pi))
    for task in prange((x.size + SPAN - 1) // SPAN):
        for i in range(task * SPAN, min(x.size, (task + 1) * SPAN)):
            phi = x.dtype.type(0) if abs(x[i]) > 40 else scale * np.exp(-half * x[i] * x[i])
            dx[i] = (half * x.dtype.type(math.erfc(-x[i] * root)) + x[i] * phi) * dy[i]
