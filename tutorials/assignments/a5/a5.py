"""Assignment 5: other normalizers and their matching losses. Read handout.md; try your functions with `isbe check a5`.

Kinds of normalizers, each applied to z = x / width: 1 sigmoid, 2 tanh, 3 hardsigmoid, 4 hardtanh.
"""

import numpy as np


def normalize(scores, kind, width):
    """Soft scores (N, C) of the scores (N, C): s(x / width), element by element, finite for any finite scores.

    s(z) is 1 / (1 + e^−z) for kind 1, tanh z for 2, z/6 + 1/2 limited to 0..1 for 3, z limited to −1..1 for 4; width > 0.
    """
    # BEGIN SOLUTION
    z = scores / width
    if kind == 1:
        e = np.exp(-np.abs(z))
        return np.where(z >= 0, 1, e) / (1 + e)
    if kind == 2:
        return np.tanh(z)
    return np.clip(z / 6 + 0.5, 0, 1) if kind == 3 else np.clip(z, -1, 1)
    # END SOLUTION


def matching_loss(scores, targets, kind, width):
    """The losses (N,) Σ_c Φ(x_c) − t_c x_c, where Φ' is the normalizer of that kind and width; finite for any finite scores.

    Scores x and targets t are (N, C). For width 1 Φ is that of the handout's table, without another constant; for any other
    width it equals width · Φ of the table at x = 0.
    """
    # BEGIN SOLUTION
    z = scores / width
    size = np.abs(z)
    if kind == 1:
        potential = np.maximum(z, 0) + np.log1p(np.exp(-size))
    elif kind == 2:
        potential = size + np.log1p(np.exp(-2 * size)) - np.log(2)
    elif kind == 3:
        potential = (np.clip(z, -3, 3) + 3) ** 2 / 12 + np.maximum(z - 3, 0)
    else:
        potential = np.minimum(size, 1) ** 2 / 2 + np.maximum(size - 1, 0)
    return (width * potential - targets * scores).sum(axis=1)
    # END SOLUTION


def chain_error(scores, slope, kind, width):
    """What the chain rule through y sends into the scores x (N, C): s'(x) ⊙ ℓ'(y), with y = s(x) of that kind and width.

    `slope` is a function: it takes y (N, C) and returns ℓ'(y) (N, C), the derivatives of some loss by the soft scores.
    """
    # BEGIN SOLUTION
    y = normalize(scores, kind, width)
    if kind == 1:
        derivative = y * (1 - y)
    elif kind == 2:
        derivative = 1 - y**2
    else:
        derivative = np.where(np.abs(scores) < 3 * width, 1 / 6, 0) if kind == 3 else np.abs(scores) < width
    return derivative / width * slope(y)
    # END SOLUTION


def descend(scores, targets, kind, width, rate, steps, route):
    """The scores (N, C) after so many steps x ← x − rate · e, each with the error e of the scores where they then are.

    route 1: e by the chain rule, for the squared error Σ (y − t)² / 2;  route 4: the ISBE error y − t. Targets t are (N, C).
    """
    # BEGIN SOLUTION
    x = scores.copy()
    for _ in range(steps):
        if route == 1:
            error = chain_error(x, lambda y: y - targets, kind, width)
        else:
            error = normalize(x, kind, width) - targets
        x -= rate * error
    return x
    # END SOLUTION


def simplex_point(scores, total):
    """The points p (N, C) nearest to the rows of the scores (N, C) among those with p ≥ 0 and Σ_c p_c = total, a number > 0.

    With total 1 this is sparsemax.
    """
    # BEGIN SOLUTION
    x = scores - scores.max(axis=1, keepdims=True)
    ordered = -np.sort(-x, axis=1)
    sums = ordered.cumsum(axis=1)
    counts = np.arange(1, x.shape[1] + 1)
    support = (total + counts * ordered > sums).sum(axis=1, keepdims=True)
    theta = (np.take_along_axis(sums, support - 1, axis=1) - total) / support
    return np.maximum(x - theta, 0)
    # END SOLUTION


def is_convex_gradient(s, points):
    """True or False: may the normalizer s be the gradient of a convex function, judged by its Jacobians at the points (M, C)?

    s is a function: it takes one row of C scores, an array (C,), and returns its soft scores (C,); it is smooth at the points.
    The Jacobian must be symmetric and positive semi-definite at every one of them: False where two elements that mirror each
    other differ by more than 0.001, or an eigenvalue is below −0.001.
    """
    # BEGIN SOLUTION
    h = 1e-5
    for x in points:
        moves = h * np.eye(len(x))
        J = np.stack([(s(x + move) - s(x - move)) / (2 * h) for move in moves], axis=1)
        if np.abs(J - J.T).max() > 1e-3 or np.linalg.eigvalsh((J + J.T) / 2).min() < -1e-3:
            return False
    return True
    # END SOLUTION
