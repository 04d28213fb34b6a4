"""
The softmax Jacobian by hand
============================

When one score moves, every soft score moves: a class can only win what the others lose. The table of these slopes is the
Jacobian. Here it is worked out for three classes, entry by entry, and what all softmax Jacobians have in common is measured.
"""

from isbe_np import lessons

lessons.step()

import matplotlib.pyplot as plt
import numpy as np

import isbe_np as isbe
from isbe_np.reports.summary import table

# %%
# Nine slopes
# -----------
# ``J_ij = ∂y_i / ∂x_j`` says how much soft score ``i`` changes with score ``j``. The quotient rule gives
#
# .. code-block:: text
#
#    J_ii = y_i (1 − y_i)       J_ij = −y_i y_j  for i ≠ j       in one: J = diag(y) − y yᵀ
#
# Each entry by hand, beside ``isbe.softmax_jacobian``, which takes a batch (N, C) and returns (N, C, C):

scores = np.array([[2.0, 1.0, 0.1]])
soft = isbe.Head("softmax").forward(scores)
y, J = soft[0], isbe.softmax_jacobian(soft)[0]
print("y =", "  ".join(f"{number:.4f}" for number in y), "\n")

rows = []
for i in range(3):
    for j in range(3):
        by_hand = y[i] * (1 - y[i]) if i == j else -y[i] * y[j]
        work = f"{y[i]:.4f} (1 - {y[i]:.4f})" if i == j else f"-{y[i]:.4f} x {y[j]:.4f}"
        rows.append((f"J[{i},{j}]", work, f"{by_hand:+.6f}", f"{J[i, j]:+.6f}", f"{abs(by_hand - J[i, j]):.0e}"))
print(table(("entry", "by hand", "=", "isbe.softmax_jacobian", "difference"), rows, left=2))

# %%
# A slope is what it says
# -----------------------
# Move score 1 by a little and see how far the soft scores move: the quotients are column 1 of ``J``, but for the step's size.

step = 1e-4
change = isbe.Head("softmax").forward(scores + np.array([0, step, 0]))[0] - y
for i in range(3):
    print(f"soft score {i} moves by {change[i]:+.3e}; divided by {step:g}: {change[i] / step:+.5f}   J[{i},1] = {J[i, 1]:+.5f}")

# %%
# What all of them have in common
# -------------------------------
# ``J`` is symmetric. Its rows sum to 0, as a shift of all scores changes nothing. It is positive semi-definite, of rank
# ``C − 1``, and its largest eigenvalue is at most 1/2: no small change of the scores moves the soft scores by more than half
# its length. Tried on 20,000 random ``y`` of 2 to 10 classes:

print(f"this J: rows sum to {abs(J.sum(axis=1)).max():.0e} at most, eigenvalues",
      "  ".join(f"{abs(value):.4f}" for value in np.linalg.eigvalsh(J)), "\n")

random = np.random.default_rng(0)
rows = []
for C in (2, 3, 5, 10):
    many = isbe.softmax_jacobian(isbe.Head("softmax").forward(random.normal(0, 3, (5000, C))))
    values = np.linalg.eigvalsh(many)
    rows.append((C, f"{abs(many.sum(axis=2)).max():.0e}", f"{values[:, 0].min():.0e}", f"{values[:, -1].max():.6f}"))
print(table(("classes", "largest |row sum|", "least eigenvalue", "largest eigenvalue"), rows))

# %%
# As a heat map
# -------------
# Red: rises with that score; blue: falls. The winner and its rival exchange most; each row and each column sums to 0.

figure, axes = plt.subplots(figsize=(5.4, 4), layout="constrained")
image = axes.imshow(J, cmap="RdBu_r", vmin=-0.25, vmax=0.25)
for (i, j), number in np.ndenumerate(J):
    axes.text(j, i, f"{number:+.3f}".replace("-", "−"), ha="center", va="center", fontsize=12,
              color="white" if abs(number) > 0.14 else "black")
axes.set(xticks=range(3), xticklabels=[f"class {j}\nx = {x:g}" for j, x in enumerate(scores[0])], yticks=range(3),
         yticklabels=[f"class {i}\ny = {number:.3f}" for i, number in enumerate(y)], xlabel="score that moves",
         ylabel="soft score that answers", title="J = diag(y) − y yᵀ")
figure.colorbar(image, label="slope ∂y / ∂x, per unit of score")

# %%
# Exercises
# ---------
# 1. For two classes, find the eigenvalues of ``J``. For which ``y`` is the largest of them 1/2?
# 2. ``J`` has no inverse. Which change of the scores does it send to 0?
# 3. Some code keeps the diagonal of ``J`` alone, ``y (1 − y)``, as "the derivative of softmax". What is lost?

# %%
# Solutions
# ---------
# 1. ``J = y₀ y₁ (1, −1)ᵀ (1, −1)``, so they are 0 and ``2 y₀ y₁``, which is 1/2 for ``y = (1/2, 1/2)``.
# 2. The same change of all scores, (1, 1, 1): ``J @ np.ones(3)`` are the row sums, 0.
# 3. What classes take from each other. By the diagonal alone, a shift of all scores would raise every soft score:
#
# .. code-block:: python
#
#    print(np.linalg.eigvalsh(isbe.softmax_jacobian(np.array([[0.5, 0.5]]))))
#    print(J @ np.ones(3), np.diag(J) * np.ones(3))
