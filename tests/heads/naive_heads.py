"""Heads by the formulas as they stand in a book: float64, no care for extremes."""

import numpy as np


def softmax(x):
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


def root(f, low, high):
    """(N, 1) where the falling f, from (N, 1) to (N,), is 0, between low and high: by bisection"""
    for _ in range(100):
        middle = (low + high) / 2
        above = f(middle)[:, None] > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return (low + high) / 2


def simplex(x, power):
    """[x − θ]₊^power whose rows sum to 1"""
    top = x.max(axis=1, keepdims=True)
    return np.maximum(x - root(lambda c: (np.maximum(x - c, 0) ** power).sum(axis=1) - 1, top - 1, top), 0) ** power


SOFT = {
    "softmax": softmax,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "hardsigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hardtanh": lambda x: np.clip(x, -1, 1),
    "identity": lambda x: x.copy(),
    "sparsemax": lambda x: simplex(x, 1),
    "entmax15": lambda x: simplex(x / 2, 2),
}
POTENTIAL = {
    "softmax": lambda x: np.log(np.exp(x).sum(axis=1)),
    "sigmoid": lambda x: np.log(1 + np.exp(x)).sum(axis=1),
    "tanh": lambda x: np.log(np.cosh(x)).sum(axis=1),
    "hardsigmoid": lambda x: np.where(x < -3, 0, np.where(x > 3, x, (x + 3) ** 2 / 12)).sum(axis=1),
    "hardtanh": lambda x: np.where(abs(x) < 1, x**2 / 2, abs(x) - 0.5).sum(axis=1),
    "identity": lambda x: (x**2 / 2).sum(axis=1),
    "sparsemax": lambda x: (simplex(x, 1) * x).sum(axis=1) - CONJUGATE["sparsemax"](simplex(x, 1)),
    "entmax15": lambda x: (simplex(x / 2, 2) * x).sum(axis=1) - CONJUGATE["entmax15"](simplex(x / 2, 2)),
}


def xlogx(x):
    return x * np.log(np.where(x > 0, x, 1))


CONJUGATE = {
    "tanh": lambda t: (xlogx(1 + t) + xlogx(1 - t)).sum(axis=1) / 2,
    "hardsigmoid": lambda t: (3 * t**2 - 3 * t).sum(axis=1),
    "hardtanh": lambda t: (t**2 / 2).sum(axis=1),
    "sparsemax": lambda t: (t**2 / 2).sum(axis=1),
    "entmax15": lambda t: ((t**1.5 - t) / 0.75).sum(axis=1),
}
LOSS = {
    "cross_entropy": lambda y, t: -(t * np.log(y)).sum(axis=1),
    "binary_cross_entropy": lambda y, t: -(t * np.log(y) + (1 - t) * np.log(1 - y)).sum(axis=1),
    "squared": lambda y, t: ((y - t) ** 2 / 2).sum(axis=1),
}
# What each normalizer can be combined with; its matching loss is the first.
LOSSES_OF = {
    "softmax": ("cross_entropy", "binary_cross_entropy", "squared"),
    "sigmoid": ("binary_cross_entropy", "cross_entropy", "squared"),
    "tanh": ("matching", "squared"),
    "hardsigmoid": ("matching", "squared"),
    "hardtanh": ("matching", "squared"),
    "identity": ("squared",),
    "sparsemax": ("matching", "squared"),
    "entmax15": ("matching", "squared"),
}
LOW = {"tanh": -1, "hardtanh": -1}


def loss(normalizer, name, x, t):
    """(N,)"""
    if name == "matching":
        return POTENTIAL[normalizer](x) - (t * x).sum(axis=1) + CONJUGATE[normalizer](t)
    return LOSS[name](SOFT[normalizer](x), t)


def central(f, x, step=1e-6):
    """Gradient (N, C) of the sum of f(x) by central differences"""
    gradient = np.empty_like(x)
    for place in np.ndindex(*x.shape):
        move = np.zeros_like(x)
        move[place] = step
        gradient[place] = (f(x + move).sum() - f(x - move).sum()) / (2 * step)
    return gradient


def scores(N=5, C=4, dtype=np.float64, seed=0):
    """Scores on all pieces of every normalizer, away from the corners at ±1 and ±3"""
    x = 3 * np.random.default_rng(seed).normal(size=(N, C))
    for corner in (1, 3):
        x += np.where(np.abs(np.abs(x) - corner) < 0.02, 0.05, 0)
    return x.astype(dtype)


def labels(N=5, C=4, seed=0):
    return np.random.default_rng(seed + 1).integers(0, C, N)


def one_hot(label, C, low=0, dtype=np.float64):
    return np.where(np.arange(C) == label[:, None], 1, low).astype(dtype)


def targets(normalizer, N=5, C=4):
    """Random numbers in the range of the normalizer's targets; on the simplex where its matching loss has no other"""
    if normalizer in ("sparsemax", "entmax15"):
        return np.random.default_rng(3).dirichlet(np.ones(C), N)
    return np.random.default_rng(3).uniform(LOW.get(normalizer, 0), 1, (N, C))


def kinds_of_targets(N=5, C=4):
    """Targets whose rows sum to 1: indices, one-hot, smoothed, soft"""
    hot = one_hot(labels(N, C), C)
    soft = np.random.default_rng(2).dirichlet(np.ones(C), N)
    return {"labels": labels(N, C), "one-hot": hot, "smoothed": 0.9 * hot + 0.1 / C, "soft": soft}


def difference(a, b):
    return np.abs(np.asarray(a, np.float64) - b).max() / np.abs(b).max()
