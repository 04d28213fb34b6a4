"""
Checking a gradient by finite differences
=========================================

A formula for a gradient is easily wrong and seldom crashes. The check: move each input a little, and see how far the loss
moves. How little? Too large a step misses the curve, too small a one drowns in rounding. This lesson finds the best step, and
then a fault in a layer.
"""

from isbe_np import lessons

lessons.step()

import matplotlib.pyplot as plt
import numpy as np

import isbe_np as isbe
from isbe_np.reports.summary import table

# %%
# Three ways to differentiate without a formula
# ---------------------------------------------
# The loss is cross-entropy of one example whose class 0 is right, ``L(x) = log Σ e^x_k − x_0``, and its gradient ``y − t``.
#
# .. code-block:: text
#
#    forward    (L(x + h) − L(x)) / h            off by about h |L''| / 2    and rounding / h
#    central    (L(x + h) − L(x − h)) / 2h       off by about h² |L'''| / 6  and rounding / h
#    complex    Im L(x + ih) / h                 off by about h² |L'''| / 6  and no difference to round
#
# All arithmetic is float64, whose rounding is ``ε = 2.2e-16``.


def loss(x):
    return np.log(np.exp(x).sum()) - x[0]


x = np.array([2.0, 1.0, 0.1])
gradient = isbe.Head("softmax", "isbe", "sum").error(x[None], np.array([0]))[0]
unit = np.eye(3)
ways = {
    "forward": lambda h: [(loss(x + h * e) - loss(x)) / h for e in unit],
    "central": lambda h: [(loss(x + h * e) - loss(x - h * e)) / (2 * h) for e in unit],
    "complex": lambda h: [loss(x + 1j * h * e).imag / h for e in unit],
}
steps = np.geomspace(1e-16, 1e-1, 91)
errors = {name: np.array([abs(way(h) - gradient).max() for h in steps]) / abs(gradient).max() for name, way in ways.items()}

print(table(("step h", *ways), [(f"{steps[k]:.0e}", *(f"{errors[name][k]:.0e}" for name in ways)) for k in range(90, -1, -6)]))
print()
for name in ("forward", "central"):
    print(f"{name}: the least error, {errors[name].min():.0e}, is at h = {steps[errors[name].argmin()]:.0e}")

# %%
# The famous V
# ------------
# On the right the curve is missed: slope 1 for forward, slope 2 for central differences. On the left is rounding, slope -1.
# They meet at about ``h = √ε = 1.5e-8`` and ``h = ε^(1/3) = 6e-6``; here a little further right, as the loss bends little. A
# complex step subtracts nothing and may be as small as one likes, but needs a function that takes complex numbers.

figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
for name, colour, mark in (("forward", "#D55E00", "^"), ("central", "#0072B2", "o"), ("complex", "#009E73", "D")):
    axes.plot(steps, errors[name].clip(1e-17), mark, color=colour, ms=4, ls="-", lw=0.8, label=name)
axes.axvline(1.5e-8, color="#D55E00", lw=0.8, ls="--")
axes.axvline(6e-6, color="#0072B2", lw=0.8, ls="--")
axes.set(xscale="log", yscale="log", xlabel="step h (units of score)", ylabel="largest relative error of the gradient",
         title="Error of finite differences; dashed: √ε and ε^(1/3)")
axes.grid(alpha=0.3)
axes.legend()

# %%
# A whole layer at once
# ---------------------
# ``isbe.check_gradients`` does this with central differences and ``h = 6e-6`` of x, element by element. It measures the
# rounding of the layer's values, tries other steps where that one does not agree, and says how small a fault would show.

batch = np.random.default_rng(0).normal(size=(4, 5))
print(isbe.check_gradients(isbe.Tanh(), batch), "\n")

# %%
# Now a layer with a classic fault: the square is forgotten in ``dx = (1 − y²) dy``. A net with it may well learn something.


class Wrong(isbe.Tanh):
    def backward(self, step):
        step.dx[...] = (1 - step.y) * step.dy


try:
    isbe.check_gradients(Wrong(), batch)
except isbe.GradientError as fault:
    print(f"GradientError: {fault}")

# %%
# Exercises
# ---------
# 1. Central differences are off by ``h² a + ε / h`` with some number ``a`` near 1. Which ``h`` is best, and how good is it?
# 2. A layer's gradient is too large by one part in a hundred million. Does ``check_gradients`` notice? Should it?
# 3. What do central differences give for ReLU at 0? Check ``isbe.ReLU()`` with ``batch.clip(0)`` and see.

# %%
# Solutions
# ---------
# 1. ``2 h a = ε / h²``, so ``h = (ε / 2a)^(1/3)``, about 5e-6, and the error is some ``ε^(2/3)``, about 4e-11.
# 2. No: its tolerance is 1e-6 of the element's own size. Rounding in float32 is larger than such a fault.
# 3. 1/2, the mean of both sides, which is no slope of ReLU. ``check_gradients`` refuses: the check would prove nothing.
#
# .. code-block:: python
#
#    try:
#        isbe.check_gradients(isbe.ReLU(), batch.clip(0))
#    except ValueError as refusal:
#        print(refusal)
