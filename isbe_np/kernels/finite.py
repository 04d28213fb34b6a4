"""Looking for NaN and infinity, and measuring size."""

import numpy as np

from isbe_np.compiler.jit import jit


@jit
def all_finite(x):
    """True when no number of flat x is NaN or infinite: 0 * x is 0 for every finite number and NaN for the others."""
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x.dtype.type(0) * x[i]
    return total == x.dtype.type(0)


@jit
def squared_norm(x):
    """Σ x², added up in float64; NaN or infinite when any number of flat x is."""
    total = 0.0
    for i in range(x.size):
        total += np.float64(x[i]) * np.float64(x[i])
    return total


@jit
def first_nan_row(x):
    """Number of the first row of x (N, C) that begins with NaN, or −1."""
    for n in range(x.shape[0]):
        if np.isnan(x[n, 0]):
            return n
    return -1
