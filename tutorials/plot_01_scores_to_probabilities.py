"""
From scores to probabilities
============================

A network ends in scores: one number for each class, of any size and sign. Softmax turns them into soft scores, which are
positive and sum to 1. This lesson computes them by hand and shows what changes them: not a shift, but a dilation.
"""

from isbe_np import lessons

lessons.step()

import matplotlib.pyplot as plt
import numpy as np

import isbe_np as isbe
from isbe_np.reports.summary import table

# %%
# Three scores
# ------------
# Softmax is ``y_j = e^x_j / Σ_k e^x_k``. By hand that is one exponential for each class, their sum, and a division. The
# package's head does it for a whole batch: scores have the shape (N, C), here N = 1 example of C = 3 classes.

scores = np.array([[2.0, 1.0, 0.1]])
powers = np.exp(scores)
by_hand = powers / powers.sum()

head = isbe.Head("softmax")
soft = head.forward(scores)

rows = [(j, scores[0, j], f"{powers[0, j]:.4f}", f"{by_hand[0, j]:.6f}", f"{soft[0, j]:.6f}") for j in range(3)]
rows.append(("sum", "", f"{powers.sum():.4f}", f"{by_hand.sum():.6f}", f"{soft.sum():.6f}"))
print(table(("class", "score x", "e^x", "by hand", "isbe.Head"), rows))

# %%
# Only differences count
# ----------------------
# The ratio of two soft scores is ``y_i / y_j = e^(x_i − x_j)``: it knows the scores' difference alone. So a shift of all
# scores by one number changes nothing. Where the shift is exact in floating point, the result is the same to the last bit:
# 2, 1 and 0.125 stay exact when 1024 is added. 0.1 does not: its last digits are lost in the shift, not in softmax.

for last in (0.125, 0.1):
    x = np.array([[2.0, 1.0, last]])
    how = "exactly" if (x + 1024 - 1024 == x).all() else "with rounding"
    gap = abs(head.forward(x + 1024) - head.forward(x)).max()
    print(f"scores 2, 1, {last:<5}  shifted by 1024 {how}: soft scores differ by {gap:.1e}")

# %%
# The formula as it stands overflows: float64 holds no ``e^1026``. Softmax therefore shifts first, by the largest score, so
# that the largest exponential is 1 and none overflows.

x = np.array([[2.0, 1.0, 0.125]]) + 1024
with np.errstate(over="ignore", invalid="ignore"):
    naive = np.exp(x) / np.exp(x).sum()
print(f"as it stands  {naive[0]}\nshifted first {head.forward(x)[0].round(6)}")

# %%
# A dilation sharpens
# -------------------
# Multiply the scores by ``k > 0``, the dilation; others call ``1 / k`` the temperature. For ``k → 0`` all soft scores become
# equal, ``1 / C`` each. For ``k → ∞`` the largest score takes all. The order never changes.

rows = [(f"{k:g}", f"{1 / k:g}", *(f"{number:.4f}" for number in isbe.Head("softmax", dilation=k).forward(scores)[0]))
        for k in (0.1, 0.5, 1, 2, 10)]
print(table(("dilation k", "temperature 1/k", "class 0", "class 1", "class 2"), rows, left=0))

dilations = np.geomspace(0.05, 20, 61)
curves = np.array([isbe.Head("softmax", dilation=k).forward(scores)[0] for k in dilations])
figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
for j, (colour, style) in enumerate([("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", "-.")]):
    axes.plot(dilations, curves[:, j], style, color=colour, lw=2, label=f"class {j}, score {scores[0, j]:g}")
axes.axhline(1 / 3, color="black", lw=0.8, ls=":", label="1 / C")
axes.axvline(1, color="grey", lw=0.8)
axes.set(xscale="log", xlabel="dilation k (1 / temperature)", ylabel="soft score", ylim=(-0.03, 1.03), xlim=(0.05, 20),
         title="softmax(k x): from all equal to winner takes all")
axes.legend(fontsize=9)

# %%
# Exercises
# ---------
# 1. There are two classes only. Show that the first soft score is the sigmoid of the difference of the scores, and try it.
# 2. How much must be added to the third score to double ``y₂ / y₀``?
# 3. Two scores, 2 and 1. With which dilation is the first soft score 0.99?

# %%
# Solutions
# ---------
# 1. Divide above and below by the first exponential: ``e^x₀ / (e^x₀ + e^x₁) = 1 / (1 + e^−(x₀ − x₁))``.
# 2. The ratio is ``e^(x₂ − x₀)``, so ``log 2 = 0.693`` must be added, whatever the scores are.
# 3. ``e^(k (2 − 1)) = 0.99 / 0.01``, so ``k = log 99 = 4.595``. All three in code:
#
# .. code-block:: python
#
#    pair = np.array([[2.0, 1.0]])
#    print(isbe.Head("softmax").forward(pair)[0, 0], 1 / (1 + np.exp(-(pair[0, 0] - pair[0, 1]))))
#    more = isbe.Head("softmax").forward(scores + [0, 0, np.log(2)])[0]
#    print(more[2] / more[0], 2 * soft[0, 2] / soft[0, 0])
#    print(isbe.Head("softmax", dilation=np.log(99)).forward(pair)[0, 0])
