"""Inverted dropout: each value is kept with probability 1 - rate and then divided by it, so that its mean stays."""

from isbe_np.compiler.jit import jit


@jit
def dropout(x, u, rate, y):
    """y = x / (1 - rate) where u >= rate, else 0;  x, y and the uniform random numbers u in [0, 1) are flat."""
    zero, scale = x.dtype.type(0), x.dtype.type(1) / (x.dtype.type(1) - rate)
    for i in range(x.size):
        y[i] = x[i] * scale if u[i] >= rate else zero


@jit
def dropout_backward(dy, u, rate, dx):
    """dx = dy / (1 - rate) where u >= rate, else 0: the same random numbers, the same choice."""
    zero, scale = dy.dtype.type(0), dy.dtype.type(1) / (dy.dtype.type(1) - rate)
    for i in range(dy.size):
        dx[i] = dy[i] * scale if u[i] >= rate else zero
