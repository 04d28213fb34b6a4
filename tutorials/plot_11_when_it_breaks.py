"""
When it breaks
==============

Four ways to get ``y − t`` wrong, all met in real code: dividing by a soft score that is 0, targets that do not sum to 1,
counting the softmax twice, and a softmax "derivative" without its off-diagonal. Each is shown with its numbers, and with what
finds it.
"""

from isbe_np import lessons

lessons.step()

import matplotlib.pyplot as plt
import numpy as np

import isbe_np as isbe

# %%
# NaN: dividing by next to nothing
# --------------------------------
# Two classes with the scores ``(gap, 0)``, and the second is right. Its soft score is about ``e^−gap``. Routes ``jacobian`` and
# ``factored`` divide by it, ``g = −t / y``. That fails twice. Once ``y`` is below the reciprocal of the largest number,
# ``1 / y`` is infinite: ``factored`` subtracts infinities, which gives NaN, and ``jacobian`` sends infinity. Later ``y`` itself
# is 0, and 0 times infinity is NaN by both.
gaps = np.arange(0, 800, 0.5)
right = np.stack([1 / (1 + np.exp(-gaps)), -1 / (1 + np.exp(-gaps))], axis=1)
errors = {}
for dtype in (np.float32, np.float64):
    scores = np.stack([gaps, 0 * gaps], axis=1).astype(dtype)
    for route in isbe.ROUTES:
        head = isbe.Head("softmax", route, reduction="sum", strict=False)
        errors[dtype, route] = np.abs(head.error(scores, np.ones(len(gaps), int)) - right).max(axis=1)
    print(f"{dtype.__name__}: the right class has the soft score 0 from gap {gaps[head.forward(scores)[:, 1] == 0][0]} on")
    for route in isbe.ROUTES:
        e = errors[dtype, route]
        infinite, nan = (next(iter(gaps[bad]), "−") for bad in (np.isinf(e), np.isnan(e)))
        print(f"  {route:9} infinite from gap {infinite}, NaN from gap {nan}, else off by {e[np.isfinite(e)].max():.0e}")

# %%
# Such gaps come of too large a step, or of an outlier. The package's head raises an error instead of sending NaN,
# unless it is told otherwise by ``strict=False`` as above:
try:
    isbe.Head("softmax", "jacobian").error(np.array([[200, 0]], np.float32), np.array([1]))
except FloatingPointError as refusal:
    print(refusal)

# %%
# Targets that do not sum to 1
# ----------------------------
# Let two labels be right at once, ``t = (1, 1, 0)``, ``τ = 2``. Cross-entropy's gradient is ``τ y − t``, and ``isbe`` sends
# ``y − t``: not the same thing. Frameworks accept such targets without a word.
scores, both = np.array([[2.0, 1.0, 0.1]]), np.array([[1.0, 1.0, 0.0]])
for route in isbe.ROUTES:
    print(f"t = (1, 1, 0)      {route:9} {isbe.Head('softmax', route).error(scores, both)[0].round(4)}")
for route in isbe.ROUTES:
    print(f"t = (1/2, 1/2, 0)  {route:9} {isbe.Head('softmax', route).error(scores, both / 2)[0].round(4)}")

# %%
# Counting twice, and forgetting the off-diagonal
# -----------------------------------------------
# A function called ``cross_entropy_backward`` that returns ``y − t`` has the softmax in it already. Followed by a softmax
# layer's own backward pass, the Jacobian counts twice: ``J (y − t)``. Another classic takes ``y (1 − y)``, the diagonal of
# ``J`` alone, for softmax's derivative; with ``g = −t / y`` that gives ``y − 1`` for the right class and 0 for all others.
# Neither crashes, and both may learn something. ``check_gradients`` compares the backward pass with differences of the loss,
# and finds them.
t = np.array([[0.0, 1.0, 0.0]])
WAYS = {
    "collapsed": lambda y: y - t,
    "counted twice": lambda y: np.einsum("nij,nj->ni", isbe.softmax_jacobian(y), y - t),
    "diagonal only": lambda y: y * (1 - y) * (-t / y),
}
for name, sent in WAYS.items():
    def cross_entropy(x, sent=sent):
        y = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        return -(t * np.log(y)).sum(axis=1), lambda dy: dy[:, None] * sent(y)

    print(f"{name} sends {sent(isbe.Head('softmax').forward(scores))[0].round(4)}")
    try:
        print(isbe.check_gradients(cross_entropy, scores))
    except isbe.GradientError as wrong:
        print(wrong)

# %%
# Left, what each route sends by score gap. Right, the three errors of the last section.
figure = plt.figure(figsize=(10.5, 4.2), layout="constrained")
left, bars = figure.subplots(1, 2, width_ratios=[3, 2])
for k, e in enumerate(errors.values()):
    kind = np.select([np.isnan(e), np.isinf(e)], ["NaN", "infinite"], "finite")
    for what, colour, hatch in (("finite", "#009E73", ""), ("infinite", "#E69F00", "//"), ("NaN", "#D55E00", "xx")):
        at = gaps[kind == what]
        start = at[0] if at.size else 0
        left.barh(k, len(at) * 0.5, left=start, color=colour, hatch=hatch, label=what if k == 0 else None)
left.set(yticks=range(len(errors)), yticklabels=[f"{dtype.__name__}, {route}" for dtype, route in errors],
         xlabel="score gap", xlim=(0, 800), title="the error sent is")
left.invert_yaxis()
left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3)
y = isbe.Head("softmax").forward(scores)
for k, (name, colour) in enumerate(zip(WAYS, ("#009E73", "#E69F00", "#D55E00"), strict=True)):
    bars.bar(np.arange(3) + 0.25 * (k - 1), WAYS[name](y)[0], 0.25, color=colour, edgecolor="black", label=name)
bars.axhline(0, color="black", lw=0.8)
bars.set(xticks=range(3), xlabel="class", ylabel="error sent", title="the right class is 1")
bars.legend(fontsize=8)

# %%
# Exercises
# ---------
# 1. Why does the fused route never divide by 0, though it computes the logarithm of ``y``?
# 2. ``y (1 − y)`` is right beside another loss. Which one?
# 3. How much shorter than ``y − t`` is ``J (y − t)``? Would a larger learning rate make up for it?

# %%
# Solutions
# ---------
# 1. It takes ``log y = (x − max x) − log Σ e^(x − max x)`` from the scores. That is about ``−gap``, whatever ``y`` rounds to.
# 2. Beside binary cross-entropy of each class, with sigmoid: its slope is ``y (1 − y)`` and nothing else.
# 3. At least by half, as no eigenvalue of ``J`` is above 1/2; and to next to nothing where ``y`` is sure and wrong, for there
#    ``J`` is next to 0. No learning rate makes up for that: the examples that are most wrong are heard the least.
