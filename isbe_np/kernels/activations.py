"""Elementwise activations y = s(x) on flat arrays, each directly above its backward dx = s'(x) · dy.

x, y, dy, dx are one-dimensional and contiguous, of one dtype and length; y or dx is overwritten. NaN passes through.
At a corner the derivative is the one of the flat side, as in PyTorch (`leaky_relu`: of the side with the slope).

A number must come out with the same bits whichever thread computes it. A compiled loop takes most numbers as vectors and the
last few one by one, and the number of threads decides where a thread's loop ends. So arithmetic is `exact`: otherwise the
two may round differently. Kernels that call a library function, whose version for vectors may round differently, too, share out
spans of a fixed length.
"""

import math

import numpy as np

from isbe_np.compiler.jit import jit, prange

SPAN = 4096  # numbers: little beside a launch of threads, and much beside the start of a loop


@jit(inline=True)
def spans(x):
    """Number of spans of flat x."""
    return (x.size + SPAN - 1) // SPAN


@jit(inline=True)
def span(x, task):
    """Span number `task` of flat x."""
    return x[task * SPAN:(task + 1) * SPAN]


@jit(parallel=True, exact=True)
def relu(x, y):
    """y = max(x, 0)"""
    zero = x.dtype.type(0)
    for i in prange(x.size):
        y[i] = zero if x[i] < zero else x[i]


@jit(parallel=True, exact=True)
def relu_backward(x, y, dy, dx):
    """dx = dy where x > 0, else 0"""
    zero = x.dtype.type(0)
    for i in prange(x.size):
        dx[i] = zero if x[i] <= zero else dy[i]


@jit(parallel=True, exact=True)
def leaky_relu(x, y, slope):
    """y = x where x > 0, else slope · x"""
    zero, a = x.dtype.type(0), x.dtype.type(slope)
    for i in prange(x.size):
        y[i] = a * x[i] if x[i] <= zero else x[i]


@jit(parallel=True, exact=True)
def leaky_relu_backward(x, y, dy, dx, slope):
    """dx = dy where x > 0, else slope · dy"""
    zero, a = x.dtype.type(0), x.dtype.type(slope)
    for i in prange(x.size):
        dx[i] = a * dy[i] if x[i] <= zero else dy[i]


@jit(parallel=True, exact=True)
def sigmoid(x, y):
    """y = 1 / (1 + e^−x) = e^x / (1 + e^x)"""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for task in prange(spans(x)):
        u, v = span(x, task), span(y, task)
        for i in range(u.size):
            e = np.exp(-abs(u[i]))  # never above 1, so it cannot overflow
            v[i] = e / (one + e) if u[i] < zero else one / (one + e)


@jit(parallel=True, exact=True)
def sigmoid_backward(x, y, dy, dx):
    """dx = y (1 − y) dy"""
    one = x.dtype.type(1)
    for i in prange(x.size):
        dx[i] = y[i] * (one - y[i]) * dy[i]


@jit(parallel=True, exact=True)
def tanh(x, y):
    """y = tanh x"""
    for task in prange(spans(x)):
        u, v = span(x, task), span(y, task)
        for i in range(u.size):
            v[i] = np.tanh(u[i])


@jit(parallel=True, exact=True)
def tanh_backward(x, y, dy, dx):
    """dx = (1 − y²) dy = (1 − y) (1 + y) dy"""
    one = x.dtype.type(1)
    for i in prange(x.size):
        dx[i] = (one - y[i]) * (one + y[i]) * dy[i]


@jit(parallel=True, exact=True)
def hardsigmoid(x, y):
    """y = clip(x/6 + 1/2, 0, 1)"""
    zero, half, one, three, six = (x.dtype.type(0), x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(3),
                                   x.dtype.type(6))
    for i in prange(x.size):
        v = x[i]
        y[i] = zero if v <= -three else one if v >= three else v / six + half


@jit(parallel=True, exact=True)
def hardsigmoid_backward(x, y, dy, dx):
    """dx = dy / 6 where −3 < x < 3, else 0"""
    zero, three, six = x.dtype.type(0), x.dtype.type(3), x.dtype.type(6)
    for i in prange(x.size):
        dx[i] = zero if abs(x[i]) >= three else dy[i] / six


@jit(parallel=True, exact=True)
def hardtanh(x, y):
    """y = clip(x, −1, 1)"""
    one = x.dtype.type(1)
    for i in prange(x.size):
        v = x[i]
        y[i] = -one if v <= -one else one if v >= one else v


@jit(parallel=True, exact=True)
def hardtanh_backward(x, y, dy, dx):
    """dx = dy where −1 < x < 1, else 0"""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in prange(x.size):
        dx[i] = zero if abs(x[i]) >= one else dy[i]


@jit(parallel=True, exact=True)
def gelu(x, y):
    """y = x Φ(x) with Φ(x) = erfc(−x/√2) / 2, the normal distribution function"""
    half, root = x.dtype.type(0.5), x.dtype.type(math.sqrt(0.5))
    for task in prange(spans(x)):
        u, v = span(x, task), span(y, task)
        for i in range(u.size):
            v[i] = u[i] * half * u.dtype.type(math.erfc(-u[i] * root))


@jit(parallel=True, exact=True)
def gelu_backward(x, y, dy, dx):
    """dx = (Φ(x) + x φ(x)) dy with φ(x) = exp(−x²/2) / √(2π)"""
    zero, half, root = x.dtype.type(0), x.dtype.type(0.5), x.dtype.type(math.sqrt(0.5))
    scale, far = x.dtype.type(1 / math.sqrt(2 * math.pi)), x.dtype.type(40)
    for task in prange(spans(x)):
        u, du, dv = span(x, task), span(dx, task), span(dy, task)
        for i in range(u.size):
            v = u[i]
            phi = zero if abs(v) > far else scale * np.exp(-half * v * v)  # beyond, φ is 0 and v² might overflow
            du[i] = (half * u.dtype.type(math.erfc(-v * root)) + v * phi) * dv[i]
