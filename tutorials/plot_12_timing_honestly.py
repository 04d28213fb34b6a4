"""
Timing honestly
===============

How much does ISBE save? It depends on what it is held against, and on whether the measurement could tell. This lesson times
the four routes so that the answer can be trusted: warmed up, in turns, with intervals, and with a control that must show
nothing. It has no result to teach. Your machine prints its own.
"""

from isbe_np import lessons

lessons.step()

import matplotlib.pyplot as plt
import numpy as np

import isbe_np as isbe
from isbe_np.studies.cost import step_costs
from isbe_np.studies.measure import paired_ratio, take_turns

# %%
# What is timed
# -------------
# The head alone, forward and backward, float32, by number of classes ``C``. Route ``jacobian`` holds ``C²`` numbers for an
# example, so the batch shrinks as ``C`` grows; at 10,000 classes one Jacobian takes 400 MB. A fifth contestant is ``isbe``
# once more, under another name: whatever difference it shows is the error of the method.
CLASSES = {10: 128, 100: 128, 1000: 20, 10_000: 1}  # and the batch
random = np.random.default_rng(0)


def contestant(route, batch, classes):
    head = isbe.Head("softmax", route)
    scores, labels = random.normal(size=(batch, classes)).astype(np.float32), random.integers(0, classes, batch)

    def call():
        head.forward(scores)
        head.backward(labels)
    return call


# %%
# How it is timed
# ---------------
# - **In turns.** In each round each contestant has one turn, so that a slow spell of the machine falls on all alike.
# - **In balanced order.** The explicit Jacobian sweeps the caches, and whoever comes next pays for it. Were that always the
#   same one, the table would show the order and not the routes. ``take_turns`` draws an order in which each contestant comes
#   equally often after each other one.
# - **An untimed call first.** A turn begins with a call that is not counted. It compiles the kernel the first time, and it
#   meets the caches as the contestant before left them. The timed calls meet them as this contestant leaves them itself.
# - **Several calls a turn.** A turn of a fast route has as many calls as fill a few milliseconds, and counts by their median.
# - **Ratios by round.** The two times of one round share the machine's mood of that moment. Their ratio does not.
# - **Intervals.** Rounds that something interrupted lie at the ends, so the mean is of the middle half of the logarithms of the
#   ratios. Its t interval covers the true ratio in 95 of 100 measurements. If it holds 1, no difference can be told.
seconds, ratios = {}, {}
for classes, batch in CLASSES.items():
    calls = {name: contestant(name.split()[0], batch, classes) for name in (*isbe.ROUTES, "isbe again")}
    times = take_turns(calls, rounds=10 if classes > 1000 else 40, turn=0.005, most=20)
    print(f"{classes} classes, batch {batch}")
    for name in calls:
        seconds[name, classes] = np.percentile(times[name], [50, 25, 75]) / batch
        ratios[name, classes] = ratio = paired_ratio(times[name], times["isbe"])
        against = f", {ratio.value:.3g} times isbe's (95 %: {ratio.low:.3g} to {ratio.high:.3g})" if name != "isbe" else ""
        print(f"  {name:10} {1e6 * seconds[name, classes][0]:10.2f} µs per example{against}")

# %%
# How to read it
# --------------
# ``jacobian`` against the rest is the price of ``C²``, and no argument for ISBE: nobody trains that way, for ``factored`` and
# ``fused`` need no Jacobian either. The honest rival is ``fused``, what frameworks do. And a difference no larger than the
# control's is none: if the control's interval leaves 1 out, something other than the code, such as a busy machine, is at work.
for classes in CLASSES:
    print(f"{classes:6} classes:", ratios["fused", classes].verdict("fused", "isbe"))
    print("        control:", ratios["isbe again", classes].verdict("isbe again", "isbe"))

# %%
# The head is a small part of a step
# ----------------------------------
# What a user waits for is the whole step: network, head, update. A saving in the head is diluted by all the rest (Amdahl's
# law).
data = isbe.datasets.load("digits", train=128, test=1)
step = step_costs("n0", isbe.networks.n0(), data.x_train, data.y_train, rounds=60)
for cost in step.costs:
    print(f"step of n0 by {cost.route:9} {1e3 * cost.seconds:6.2f} ms; by that of isbe "
          f"{cost.ratio.value:.3f}, 95 % interval {cost.ratio.low:.3f} to {cost.ratio.high:.3f}")

# %%
# Both axes are logarithmic: a power of ``C`` is a straight line, and its slope the exponent. Bars hold the middle half of the
# times.
figure = plt.figure(figsize=(10.5, 3.8), layout="constrained")
left, right = figure.subplots(1, 2, width_ratios=[3, 2])
LOOKS = {"jacobian": ("#D55E00", "s"), "factored": ("#E69F00", "^"), "fused": ("#0072B2", "o"), "isbe": ("#009E73", "D")}
for route, (colour, marker) in LOOKS.items():
    middle, low, high = 1e6 * np.array([seconds[route, classes] for classes in CLASSES]).T
    left.errorbar(list(CLASSES), middle, [middle - low, high - middle], marker=marker, color=colour, capsize=3, label=route)
for k, classes in enumerate(CLASSES):
    for name, (colour, marker), shift in (("fused", LOOKS["fused"], -0.12), ("isbe again", ("black", "x"), 0.12)):
        ratio = ratios[name, classes]
        right.plot([ratio.low, ratio.high], [k + shift] * 2, color=colour)
        right.plot(ratio.value, k + shift, marker, color=colour, label=name if k == 0 else None)
left.set(xscale="log", yscale="log", xlabel="classes C", ylabel="µs per example", title="the head by each route")
right.set(yticks=range(len(CLASSES)), yticklabels=list(CLASSES), ylabel="classes", xlabel="time / time by isbe (95 % interval)",
          title="the rival, and the control")
right.axvline(1, color="black", ls="--", lw=1)
for ax in (left, right):
    ax.legend(fontsize=8)
    ax.grid(alpha=0.3)

# %%
# Exercises
# ---------
# 1. On a quiet machine, how often should the control's interval leave 1 out? What follows for many comparisons at once?
# 2. Time ``head.error(scores, labels)`` instead of the two calls. Which route can gain by it, and why?
# 3. Read the slopes off the left-hand figure between 1000 and 10,000 classes. Which do you expect of each route?

# %%
# Solutions
# ---------
# 1. In one run of twenty: a 95 % interval misses that often by design. Of the eight above one may well miss: repeat it first.
# 2. ``isbe``: it needs no loss, so that a row's error is written while the row is still in the processor's cache.
# 3. 2 for ``jacobian``, 1 for the others. Calls' own cost bends them: one example of 10,000 classes pays for a whole call.
