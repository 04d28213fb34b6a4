"""Optimizer steps, each one pass over all parameters at once.

w parameters, g their gradient, the rest what the optimizer remembers; all flat, of one length, and changed in place except g.
Scalars come in the dtype of w. η learning rate, λ weight decay. The kernels are `exact`, so that the number of threads does not
change a bit (see `activations.py`).
"""

import numpy as np

from isbe_np.compiler.jit import jit, prange


@jit(parallel=True, exact=True)
def sgd(w, g, eta, decay):
    """w ← w - η (g + λ w)."""
    for i in prange(w.size):
        w[i] -= eta * (g[i] + decay * w[i])


@jit(parallel=True, exact=True)
def momentum(w, g, v, eta, mu, decay):
    """v ← μ v + g + λ w;  w ← w - η v  (Sutskever et al. 2013, in the form without a factor η in v)."""
    for i in prange(w.size):
        v[i] = mu * v[i] + (g[i] + decay * w[i])
        w[i] -= eta * v[i]


@jit(parallel=True, exact=True)
def nesterov(w, g, v, eta, mu, decay):
    """d = g + λ w;  v ← μ v + d;  w ← w - η (d + μ v): the gradient looks one step of momentum ahead."""
    for i in prange(w.size):
        d = g[i] + decay * w[i]
        v[i] = mu * v[i] + d
        w[i] -= eta * (d + mu * v[i])


@jit(parallel=True, exact=True)
def adam(w, g, m, v, betas, rates):
    """m ← β₁ m + (1 - β₁) d;  v ← β₂ v + (1 - β₂) d²;  w ← w - η (m / c₁) / (√(v / c₂) + ε)  (Kingma & Ba 2015, alg. 1).

    betas = (β₁, 1 - β₁, β₂, 1 - β₂): the differences come from outside, as in float32 a β near 1 would lose them to rounding.
    rates = (η, ε, c₁, c₂, λ, λ') with the bias corrections c = 1 - βᵗ at step t. d = g + λ w is decay as part of the gradient
    (Adam); w ← w (1 - η λ') first is decay apart from it (AdamW, Loshchilov & Hutter 2019, alg. 2).
    """
    beta1, rest1, beta2, rest2 = betas
    eta, epsilon, c1, c2, coupled, decoupled = rates
    one = w.dtype.type(1)
    for i in prange(w.size):
        d = g[i] + coupled * w[i]
        m[i] = beta1 * m[i] + rest1 * d
        v[i] = beta2 * v[i] + rest2 * d * d
        w[i] = w[i] * (one - eta * decoupled) - eta * (m[i] / c1) / (np.sqrt(v[i] / c2) + epsilon)
