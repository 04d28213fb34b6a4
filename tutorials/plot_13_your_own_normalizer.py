"""
Your own normalizer: sparsemax
==============================

The head takes any object that turns scores into soft scores. Here you write one: sparsemax (Martins and Astudillo 2016), the
point of the simplex that is nearest to the scores. Its soft scores sum to 1 like softmax's, but they can be exactly 0. ISBE
asks for ``forward`` alone; a Jacobian and a potential are for checking it.
"""

from isbe_np import lessons

lessons.step()

import matplotlib.pyplot as plt
import numpy as np

import isbe_np as isbe


# %%
# The class
# ---------
# The nearest point of the simplex is ``y = max(x − θ, 0)`` with ``θ`` such that ``Σ y = 1``. If the ``k`` largest scores are
# the ones above ``θ``, then ``θ = (their sum − 1) / k``; so sort, and take the largest ``k`` whose smallest score is still
# above. On that support ``S``, moving all scores by one amount changes nothing, so ``J`` subtracts the mean: ``J = diag(s) −
# s sᵀ / |S|``, with ``s = 1`` on ``S``. And sparsemax is the gradient of ``Φ(x) = ⟨y, x⟩ − ‖y‖²/2``.
class Sparsemax(isbe.Normalizer):
    """y = argmin over the simplex of ‖y − x‖², for scores (N, C)."""

    name = "my sparsemax"
    positive = False  # soft scores of 0 have no logarithm: cross-entropy is refused

    def forward(self, scores):
        x = scores - scores.max(axis=1, keepdims=True)
        ordered = np.sort(x, axis=1)[:, ::-1]
        sums = ordered.cumsum(axis=1)
        k = np.count_nonzero(1 + np.arange(1, x.shape[1] + 1) * ordered > sums, axis=1)[:, None]
        theta = (np.take_along_axis(sums, k - 1, axis=1) - 1) / k
        return np.maximum(x - theta, 0).astype(scores.dtype)

    def jacobian(self, scores, soft):
        s = (soft > 0).astype(soft.dtype)
        return s[:, :, None] * np.eye(s.shape[1]) - s[:, :, None] * s[:, None, :] / s.sum(axis=1)[:, None, None]

    def potential(self, scores):
        y = self.forward(scores)
        return (y * scores).sum(axis=1) - (y**2).sum(axis=1) / 2


print(isbe.Head(Sparsemax()).forward(np.array([[2.0, 1.5, 0.1], [3.0, 1.0, 0.0], [0.0, 0.0, 0.0]])))

# %%
# Is it right? Beside the built-in one
# ------------------------------------
# The package has a sparsemax too. Both should agree to rounding: soft scores, Jacobian, and ISBE's error.
random = np.random.default_rng(0)
scores, labels = random.normal(size=(500, 10)), random.integers(0, 10, 500)
mine, built_in = isbe.Head(Sparsemax()), isbe.Head("sparsemax")
soft, theirs = mine.forward(scores), built_in.forward(scores)
J, J_theirs = (head.normalizer.jacobian(scores, theirs) for head in (mine, built_in))
print(f"soft scores: {np.abs(soft - theirs).max():.1e}, Jacobians: {np.abs(J - J_theirs).max():.1e}, "
      f"errors: {np.abs(mine.backward(labels) - built_in.backward(labels)).max():.1e}")
print(f"sums are 1 within {np.abs(soft.sum(axis=1) - 1).max():.1e}; {np.mean(soft == 0):.0%} of the soft scores are exactly 0")

# %%
# Is it right? By finite differences
# ----------------------------------
# If nobody had written it before you, this is the check that is left. The Jacobian is checked beside the squared error, which
# is sent through it; then ISBE's error, against differences of the matching loss ``Φ(x) − ⟨t, x⟩``.
print(isbe.check_gradients(isbe.Head(Sparsemax(), route="jacobian", loss="squared"), scores[:20], targets=labels[:20]))
print(isbe.check_gradients(isbe.Head(Sparsemax(), route="isbe", loss="matching"), scores[:20], targets=labels[:20]))

# %%
# Train with it
# -------------
# Nothing else changes: the same network, optimizer and loop.
data = isbe.datasets.load("digits", train=2000, test=1000)
for head in (isbe.Head("softmax"), mine):
    net = isbe.networks.n0(seed=0)
    history = isbe.train(net, head, data, epochs=4, batch_size=100, optimizer=isbe.SGD(0.05, momentum=0.9), progress=False)
    y = head.forward(net.forward(data.x_test))
    print(f"{head.normalizer.name:12} test accuracy {history.accuracy[-1]:.1%}, classes with a soft score above 0: "
          f"{np.count_nonzero(y, axis=1).mean():.1f} of 10 on average")

# %%
# Left, the first soft score of two classes. Middle and right, the Jacobian at the scores (2, 1.5, 0.5, −1) by both.
figure = plt.figure(figsize=(10.5, 3.5), layout="constrained")
left, *maps = figure.subplots(1, 3, width_ratios=[1.3, 1, 1])
gap, at = np.linspace(-4, 4, 321), np.array([[2.0, 1.5, 0.5, -1.0]])
for head, ax, colour, line in ((isbe.Head("softmax"), maps[0], "#0072B2", "--"), (mine, maps[1], "#D55E00", "-")):
    left.plot(gap, head.forward(np.stack([gap, 0 * gap], axis=1))[:, 0], line, color=colour, lw=2, label=head.normalizer.name)
    J = head.normalizer.jacobian(at, head.forward(at))[0]
    ax.imshow(J, cmap="RdBu_r", vmin=-1, vmax=1)
    for (i, j), number in np.ndenumerate(J):
        ax.text(j, i, f"{round(number, 2) + 0:.2f}", ha="center", va="center")
    ax.set(title=f"J of {head.normalizer.name}", xticks=range(4), yticks=range(4), xlabel="class of the score",
           ylabel="class of the soft score")
left.set(xlabel="score gap", ylabel="soft score of the first class")
left.legend(fontsize=8)
left.grid(alpha=0.3)

# %%
# Exercises
# ---------
# 1. From which gap on does sparsemax of two classes give exactly 1? What is the error then, if that class is right?
# 2. In ``jacobian``, let ``s`` be 1 for all classes. Does ``check_gradients`` notice? Does training by ISBE?
# 3. Write the temperature variant ``sparsemax(x / 2)``. What is its Jacobian, and is ``y − t`` still a gradient?

# %%
# Solutions
# ---------
# 1. From a gap of 1: ``y = (1 + gap) / 2`` up to there. The error is exactly 0, and a right answer with such a margin is left
#    alone.
# 2. The check does: it names an element, and by how much it is off. Training does not: ISBE never asks for a Jacobian.
# 3. ``J / 2``. ``y − t`` is the gradient of ``2 Φ(x / 2) − ⟨t, x⟩``, so yes: the potential takes the factor, not the error.
