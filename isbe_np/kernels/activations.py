"""Elementwise activations y = s(x) on flat arrays, each directly above its backward dx = s'(x) · dy.

x, y, dy, dx are one-dimensional and contiguous, of one dtype and length; y or dx is overwritten. NaN passes through.
At a corner the derivative is the one of the flat side, as in PyTorch (`leaky_relu`: of the side with the slope).
"""

import math

import numpy as np

from isbe_np.kernels.jit import jit, prange


@jit(parallel=True)
def relu(x, y):
    """y = max(x, 0)"""
    zero = x.dtype.type(0)
    for i in prange(x.size):
        y[i] = zero if x[i] < zero else x[i]


@jit(parallel=True)
def relu_backward(x, y, dy, dx):
    """dx = dy where x > 0, else 0"""
    zero = x.dtype.type(0)
    for i in prange(x.size):
        dx[i] = zero if x[i] <= zero else dy[i]


@jit(parallel=True)
def leaky_relu(x, y, slope):
    """y = x where x > 0, else slope · x"""
    zero, a = x.dtype.type(0), x.dtype.type(slope)
    for i in prange(x.size):
        y[i] = a * x[i] if x[i] <= zero else x[i]


@jit(parallel=True)
def leaky_relu_backward(x, y, dy, dx, slope):
    """dx = dy where x > 0, else slope · dy"""
    zero, a = x.dtype.type(0), x.dtype.type(slope)
    for i in prange(x.size):
        dx[i] = a * dy[i] if x[i] <= zero else dy[i]


@jit(parallel=True)
def sigmoid(x, y):
    """y = 1 / (1 + e^−x) = e^x / (1 + e^x)"""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in prange(x.size):
        e = np.exp(-abs(x[i]))  # never above 1, so it cannot overflow
        y[i] = e / (one + e) if x[i] < zero else one / (one + e)


@jit(parallel=True)
def sigmoid_backward(x, y, dy, dx):
    """dx = y (1 − y) dy"""
    one = x.dtype.type(1)
    for i in prange(x.size):
        dx[i] = y[i] * (one - y[i]) * dy[i]


@jit(parallel=True)
def tanh(x, y):
    """y = tanh x"""
    for i in prange(x.size):
        y[i] = np.tanh(x[i])


@jit(parallel=True)
def tanh_backward(x, y, dy, dx):
    """dx = (1 − y²) dy = (1 − y) (1 + y) dy"""
    one = x.dtype.type(1)
    for i in prange(x.size):
        dx[i] = (one - y[i]) * (one + y[i]) * dy[i]


@jit(parallel=True)
def hardsigmoid(x, y):
    """y = clip(x/6 + 1/2, 0, 1)"""
    zero, half, one, three, six = (x.dtype.type(0), x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(3),
                                   x.dtype.type(6))
    for i in prange(x.size):
        v = x[i]
        y[i] = zero if v <= -three else one if v >= three else v / six + half


@jit(parallel=True)
def hardsigmoid_backward(x, y, dy, dx):
    """dx = dy / 6 where −3 < x < 3, else 0"""
    zero, three, six = x.dtype.type(0), x.dtype.type(3), x.dtype.type(6)
    for i in prange(x.size):
        dx[i] = zero if abs(x[i]) >= three else dy[i] / six


@jit(parallel=True)
def hardtanh(x, y):
    """y = clip(x, −1, 1)"""
    one = x.dtype.type(1)
    for i in prange(x.size):
        v = x[i]
        y[i] = -one if v <= -one else one if v >= one else v


@jit(parallel=True)
def hardtanh_backward(x, y, dy, dx):
    """dx = dy where −1 < x < 1, else 0"""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in prange(x.size):
        dx[i] = zero if abs(x[i]) >= one else dy[i]


@jit(parallel=True)
def gelu(x, y):
    """y = x Φ(x) with Φ(x) = erfc(−x/√2) / 2, the normal distribution function"""
    half, root = x.dtype.type(0.5), x.dtype.type(math.sqrt(0.5))
    for i in prange(x.size):
        y[i] = x[i] * half * x.dtype.type(math.erfc(-x[i] * root))


@jit(parallel=True)
def gelu_backward(x, y, dy, dx):
    """dx = (Φ(x) + x φ(x)) dy with φ(x) = exp(−x²/2) / √(2π)"""
    zero, half, root = x.dtype.type(0), x.dtype.type(0.5), x.dtype.type(math.sqrt(0.5))
    scale, far = x.dtype.type(1 / math.sqrt(2 * math.pi)), x.dtype.type(40)
    for i in prange(x.size):
        v = x[i]
        phi = zero if abs(v) > far else scale * np.exp(-half * v * v)  # beyond, φ is 0 and v² might overflow
        dx[i] = (half * x.dtype.type(math.erfc(-v * root)) + v * phi) * dy[i]
