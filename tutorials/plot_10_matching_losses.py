"""
Matching losses: why y − t works for all of them
================================================

ISBE sends ``y − t`` for softmax, sigmoid, tanh and the hard variants alike, and they all learn. The reason is one sentence
long: where the soft scores are the gradient of a convex function of the scores, ``s = ∇Φ``, then ``L(x, t) = Φ(x) − ⟨t, x⟩``
has the gradient ``s(x) − t``. So ISBE's error is the exact gradient of a convex loss that nobody needs to compute. Here it is
computed.
"""

from isbe_np import lessons

lessons.step()

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

import isbe_np as isbe

# %%
# Five potentials
# ---------------
# A potential ``Φ`` for each normalizer, as short as on paper. The textbook's names: for softmax ``L`` is cross-entropy (where
# the targets sum to 1), for sigmoid binary cross-entropy, for hardtanh the Huber function of the score, less ``t x``.
POTENTIALS = {
    "softmax": lambda x: np.log(np.exp(x).sum(axis=1)),
    "sigmoid": lambda x: np.log(1 + np.exp(x)).sum(axis=1),
    "tanh": lambda x: np.log(np.cosh(x)).sum(axis=1),
    "hardsigmoid": lambda x: np.select([x < -3, x > 3], [0 * x, x], (x + 3) ** 2 / 12).sum(axis=1),
    "hardtanh": lambda x: np.where(np.abs(x) < 1, x**2 / 2, np.abs(x) - 1 / 2).sum(axis=1),
}

# %%
# The gradient, by differences
# ----------------------------
# Move one score by ``h`` up and down, and see how ``L`` changes: that is its gradient, without a formula. Scores and targets
# are random numbers. Note the targets: nothing was said of them, and nothing is needed, not even that they sum to 1.
random = np.random.default_rng(0)
x, t = 2 * random.normal(size=(200, 5)), random.normal(size=(200, 5))
h, moves = 6e-6, np.eye(5)
for name, potential in POTENTIALS.items():
    def loss(x, potential=potential):
        return potential(x) - (t * x).sum(axis=1)

    gradient = np.stack([(loss(x + h * move) - loss(x - h * move)) / (2 * h) for move in moves], axis=1)
    error = isbe.Head(name, route="isbe", reduction="sum").error(x, t)
    print(f"{name:12} largest difference of the gradient from y − t: {np.abs(gradient - error).max():.1e}")

# %%
# What is left is the differences' own error: rounding of ``L`` over ``h``.
#
# Convex, and how steep
# ---------------------
# The loss's second derivative is the normalizer's Jacobian ``J``. If it is symmetric, there is a potential; if no eigenvalue
# is negative, the loss is convex; and the largest eigenvalue bounds how fast the error changes, so that a step size exists.
# The table shows the extremes over the batch, beside the bound known for all scores.
BOUNDS = {"softmax": 1 / 2, "sigmoid": 1 / 4, "tanh": 1, "hardsigmoid": 1 / 6, "hardtanh": 1}
for name, bound in BOUNDS.items():
    normalizer = isbe.Head(name).normalizer
    J = normalizer.jacobian(x, normalizer.forward(x))
    eigenvalues = np.linalg.eigvalsh(J)
    print(f"{name:12} |J − Jᵀ| {np.abs(J - J.swapaxes(1, 2)).max():.0e}, eigenvalues from {eigenvalues.min():.0e} "
          f"to {eigenvalues.max():.3f}, bound {bound:.3f}")

# %%
# One that does not match
# -----------------------
# Let every class have a dilation of its own: ``y = softmax(k ⊙ x)`` with ``k = (1, 2, 3)``. Now ``J`` is not symmetric, and
# ``y − t`` is the gradient of nothing: walk round a small square in the scores, adding up ``y − t`` along the way, and the
# sum is not 0, as it would be for every loss. Multiplied by ``k`` it is cross-entropy's gradient again, and the sum is 0.
k = np.array([1.0, 2.0, 3.0])
corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]], float)
way = np.concatenate([np.linspace(a, b, 1001)[:-1] for a, b in pairwise(corners)] + [corners[-1:]])
middles, steps = (way[1:] + way[:-1]) / 2, np.diff(way, axis=0)
for what, dilation, factor in (("k = 1, y − t", None, 1), ("k = (1, 2, 3), y − t", k, 1), ("k = (1, 2, 3), k (y − t)", k, k)):
    head = isbe.Head("softmax", reduction="sum", dilation=dilation)
    error = factor * head.error(middles, np.zeros(len(middles), int))
    print(f"{what:25} summed round the square: {abs((error * steps).sum()):.6f}")

# %%
# The losses of one score whose target is the high value, and their slopes, ISBE's error. Each loss is drawn less its least
# value in the picture. All are convex; all slopes are bounded, and none turns back.
figure = plt.figure(figsize=(10, 3.8), layout="constrained")
left, right = figure.subplots(1, 2)
score = np.linspace(-6, 6, 481)[:, None]
LOOKS = {"sigmoid": ("#0072B2", "-"), "tanh": ("#D55E00", "--"), "hardsigmoid": ("#009E73", "-."), "hardtanh": ("#CC79A7", ":")}
for name, (colour, line) in LOOKS.items():
    curve = POTENTIALS[name](score) - score[:, 0]
    left.plot(score, curve - curve.min(), line, color=colour, lw=2, label=name)
    right.plot(score, isbe.Head(name).forward(score) - 1, line, color=colour, lw=2, label=name)
left.set(xlabel="score x", ylabel="Φ(x) − t x", title="matching loss, target t = 1")
right.set(xlabel="score x", ylabel="y − t", title="its slope: ISBE's error")
left.legend()
for ax in (left, right):
    ax.grid(alpha=0.3)

# %%
# Exercises
# ---------
# 1. Which loss is the matching loss of ``y = x``? Which of the properties above does this normalizer lack?
# 2. With targets that sum to ``τ``, cross-entropy is ``τ Φ(x) − ⟨t, x⟩``. Derive its gradient. When is it ``y − t``?
# 3. Is ``y = sin x`` the gradient of something? Would you train with ``y − t``?

# %%
# Solutions
# ---------
# 1. ``Φ = x²/2``, so ``L`` is half the squared error but for ``t²/2``. The range is unbounded: one far score makes a huge
#    error.
# 2. ``τ y − t``, since ``∇Φ = y``. It is ``y − t`` if and only if ``τ = 1``.
# 3. Yes, of ``−cos x``, which is not convex: ``y`` turns back, so that ``y = t`` at many scores, and near some of them a step
#    along ``−(y − t)`` leads away.
