"""
The collapse: Jacobian times gradient is y − t
==============================================

Cross-entropy's gradient divides by the soft score of the right class; the softmax Jacobian multiplies by it. In their
product the soft score cancels, and ``y − t`` is left. Watch it happen, element by element, and see when it does not.
"""

from isbe_np import lessons

lessons.step()

import matplotlib.pyplot as plt
import numpy as np

import isbe_np as isbe
from isbe_np.reports.summary import table

# %%
# The two factors
# ---------------
# Cross-entropy is ``E = −Σ t_i log y_i``. Its gradient by the soft scores is ``g = −t / y``: for a label, one number that is
# not 0, and the larger the surer the network is of a wrong class. Here class 0 is right.

scores, t = np.array([[2.0, 1.0, 0.1]]), np.array([1.0, 0.0, 0.0])
soft = isbe.Head("softmax").forward(scores)
J, y = isbe.softmax_jacobian(soft)[0], soft[0]
g = 0 - t / y
for name, numbers in (("y", y), ("t", t), ("g = -t / y", g)):
    print(f"{name:10} ", "  ".join(f"{number:+.4f}" for number in numbers))

# %%
# Element by element
# ------------------
# Element ``j`` of the product is ``Σ_i J_ij g_i``. As ``g`` has one entry, the sum has one term,
#
# .. code-block:: text
#
#    J_0j g_0 = y_0 (δ_0j − y_j) · (−1 / y_0) = y_j − δ_0j
#
# and ``y_0`` is gone. So there is no need to divide by it, nor to build the matrix, nor to know the loss.

rows = [(j, *(f"({J[i, j]:+.4f}) ({g[i]:+.4f})" for i in range(3)), f"{J[:, j] @ g:+.6f}", f"{y[j] - t[j]:+.6f}")
        for j in range(3)]
print(table(("j", "J_0j g_0", "+ J_1j g_1", "+ J_2j g_2", "= sum", "y - t"), rows))

# %%
# Four routes, one gradient
# -------------------------
# ``isbe.Head`` computes it in four ways: with ``J``, by ``y ⊙ (g − ⟨y, g⟩)`` without ``J``, by the loss's own formula
# ``τ y − t`` with ``τ = Σ t``, and by ``y − t``. On 1000 random examples of ten classes they agree to rounding.

random = np.random.default_rng(0)
many, labels = random.normal(0, 2, (1000, 10)), random.integers(0, 10, 1000)
errors = {(route, dtype): isbe.Head("softmax", route, "sum").error(many.astype(dtype), labels)
          for route in isbe.ROUTES for dtype in ("float32", "float64")}
rows = [(route, *(f"{abs(errors[route, dtype] - errors['isbe', dtype]).max():.0e}" for dtype in ("float32", "float64")))
        for route in isbe.ROUTES]
print(table(("route", "from isbe, float32", "float64"), rows))

# %%
# Which targets?
# --------------
# With several targets there are several terms, and they sum to ``τ y − t``. Smoothed labels have ``τ = 1``: ``y − t`` still.
# Two labels at once have ``τ = 2``: ``y − t`` is then not cross-entropy's gradient, and the diamonds leave the circles.

kinds = {"one label: τ = 1": t, "smoothed: τ = 1": np.array([0.9, 0.05, 0.05]), "two labels: τ = 2": np.array([1.0, 1.0, 0.0])}
figure, panels = plt.subplots(1, 3, figsize=(10.5, 3.9), sharey=True, layout="constrained")
for axes, (kind, target) in zip(panels, kinds.items(), strict=True):
    terms, above, below = J * (0 - target / y)[:, None], np.zeros(3), np.zeros(3)
    for i, (colour, hatch) in enumerate([("#0072B2", ""), ("#E69F00", "//"), ("#56B4E9", "..")]):
        axes.bar(range(3), terms[i], 0.5, np.where(terms[i] > 0, above, below), color=colour, hatch=hatch, edgecolor="white",
                 label=f"term J_{i}j g_{i}")
        above, below = above + terms[i].clip(0), below + terms[i].clip(None, 0)
    axes.plot(range(3), terms.sum(axis=0), "o", ms=13, mfc="none", mec="black", mew=1.5, label="sum of the terms")
    axes.plot(range(3), y - target, "D", ms=6, color="#D55E00", mec="white", label="y − t")
    axes.axhline(0, color="black", lw=0.8)
    axes.set(title=kind, xlabel="class j", xticks=range(3), xlim=(-0.5, 2.5), ylim=(-0.9, 0.8))
    print(f"{kind:17}  sum of terms {terms.sum(axis=0).round(3)}  y − t {(y - target).round(3)}")
panels[0].set_ylabel("gradient of E by score j")
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=9)

# %%
# Exercises
# ---------
# 1. Let class 2 be right. Work out the three elements by hand. Which one grows without bound as ``y₂ → 0``?
# 2. Route ``factored`` needs ``⟨y, g⟩``. What is it?
# 3. Two labels at once, ``t = (1, 1, 0)``: what must be done to the targets so that ``y − t`` is a gradient of cross-entropy?

# %%
# Solutions
# ---------
# 1. ``(y₀, y₁, y₂ − 1) = (0.659, 0.242, −0.901)``. None: ``g₂ = −1 / y₂`` does, but ``y − t`` stays between −1 and 1.
# 2. ``Σ y_i (−t_i / y_i) = −τ``, so that ``y ⊙ (g + τ) = τ y − t``: the collapse again, in one line.
# 3. Divide them by ``τ``, to (1/2, 1/2, 0). The gradient ``y − t / τ`` is then ``1 / τ`` of ``τ y − t``:
#
# .. code-block:: python
#
#    both = np.array([[1.0, 1.0, 0.0]])
#    print(isbe.Head("softmax", "fused").error(scores, both) / 2, isbe.Head("softmax", "isbe").error(scores, both / 2))
