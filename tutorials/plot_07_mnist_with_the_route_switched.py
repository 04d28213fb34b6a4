"""
MNIST with the route switched
=============================

The paper's first experiment: train a classifier with softmax and cross-entropy, as frameworks do, and again with ISBE's error,
and compare. The two differ in one word here, ``route``. Each pair starts from the same parameters and sees the same batches, so
that a difference can come from the route alone.
"""

from isbe_np import lessons

lessons.step()

import os

import matplotlib.pyplot as plt
import numpy as np

import isbe_np as isbe
from isbe_np.studies.measure import relative_difference

# %%
# Data and settings
# -----------------
# By default we take digits that the package draws, in MNIST's format, as they need no download. Where ``ISBE_DATA_DIR`` names
# the folder of MNIST's files, those are taken. A few thousand images and a few epochs are enough to compare two routes, and far
# from what the network can reach.
data = isbe.datasets.load("mnist" if os.environ.get("ISBE_DATA_DIR") else "digits", train=2000, test=1000)
routes, epochs = ("fused", "isbe"), 4
print(f"{data.name}: {len(data.x_train)} training images, {len(data.x_test)} test images")


# %%
# Two networks in step
# --------------------
# ``fused`` computes the cross-entropy by log-softmax and its gradient, as PyTorch and JAX do; ``isbe`` subtracts the target
# from the soft scores. At every step we note how far the two networks' parameters lie apart, the largest difference over the
# largest parameter, and how many ReLUs are on in one network and off in the other.
def train_pair(seed, dtype):
    nets = {route: isbe.networks.n0(seed=seed, dtype=dtype) for route in routes}
    heads = {route: isbe.Head("softmax", route) for route in routes}
    optimizers = {route: isbe.SGD(0.05, momentum=0.9) for route in routes}
    distances, switched, accuracies = [], [], []
    for epoch in range(epochs):
        for x, y in isbe.datasets.batches(data.x_train, data.y_train, 100, seed, epoch):
            on = {}
            for route, net in nets.items():
                net.backward(heads[route].error(net.forward(x.astype(dtype), training=True), y))
                on[route] = np.concatenate([net.value(name) > 0 for name in ("relu_1", "relu_2")], axis=1)
                optimizers[route].step(net)
            distances.append(relative_difference(nets["isbe"].values, nets["fused"].values))
            switched.append(np.count_nonzero(on["isbe"] != on["fused"]))
        accuracies.append([isbe.accuracy(net, data.x_test.astype(dtype), data.y_test) for net in nets.values()])
    return np.array(distances), np.array(switched), np.array(accuracies)


# %%
# Three seeds
# -----------
# Each seed is one pair. What counts is the difference within a pair: from seed to seed accuracy moves too.
pairs = {seed: train_pair(seed, np.float32) for seed in range(3)}
for seed, (_, _, accuracy) in pairs.items():
    fused, by_isbe = accuracy[-1]
    print(f"seed {seed}: test accuracy by fused {fused:.1%}, by isbe {by_isbe:.1%}, difference {by_isbe - fused:+.1%}")
last = np.array([accuracy[-1] for _, _, accuracy in pairs.values()])
print(f"between the seeds, by fused: {np.ptp(last[:, 0]):.1%}")

# %%
# The parameters' distance
# ------------------------
# The two errors are one function, computed in two orders of operations: they should differ by rounding, and by nothing else.
# If so, the distance in float64 starts some 5e8 times smaller, as its rounding is that much finer. In float32 it may leap
# later on: a value near 0 can be rounded to either side, which switches a ReLU in one of the networks, and from there they
# part.
wide, narrow = train_pair(0, np.float64), pairs[0]
for name, (distances, switched, _) in (("float32", narrow), ("float64", wide)):
    first, tenth, end = distances[[0, 9, -1]]
    print(f"{name}: distance after 1 step {first:.1e}, after 10 {tenth:.1e}, after {len(distances)} {end:.1e}")
    print(f"  steps with a ReLU switched: {(np.flatnonzero(switched) + 1).tolist() or 'none'}")

# %%
# Left, accuracy in pairs: open circles are ``fused``, filled diamonds ``isbe``. Right, the distance by step; crosses are
# steps with a ReLU switched. If the routes sent different gradients, both lines would start at the size of a step.
figure = plt.figure(figsize=(9.5, 3.6), layout="constrained")
left, right = figure.subplots(1, 2)
for (seed, (_, _, accuracy)), colour in zip(pairs.items(), ("#0072B2", "#D55E00", "#009E73"), strict=True):
    steps = np.arange(1, epochs + 1)
    left.plot(steps, 100 * accuracy[:, 0], "o", ls="-", color=colour, mfc="none", ms=10, label=f"seed {seed}, fused")
    left.plot(steps, 100 * accuracy[:, 1], "D", ls="--", color=colour, ms=4, label=f"seed {seed}, isbe")
left.set(xlabel="epoch", ylabel="test accuracy, %", xticks=steps, title=f"accuracy on {data.name}")
left.legend(fontsize=8)
for (distances, switched, _), name, look in ((narrow, "float32", "-"), (wide, "float64", "--")):
    steps, drawn = np.arange(1, len(distances) + 1), np.maximum(distances, 1e-18)
    right.semilogy(steps, drawn, look, color="black", label=name)
    right.plot(steps[switched > 0], drawn[switched > 0], "x", color="#D55E00", label="a ReLU switched" if look == "-" else None)
right.set(xlabel="step", ylabel="largest difference / largest parameter", title="distance of the parameters, seed 0")
right.legend()
for ax in (left, right):
    ax.grid(alpha=0.3)

# %%
# Exercises
# ---------
# 1. Replace ``fused`` by ``jacobian``. What do you expect of the accuracies, and of the time?
# 2. Two networks differ in the last digits of float32. Why is it no evidence against ISBE if one is 0.1 points better?
# 3. Give ``isbe`` another seed than ``fused`` and draw the right-hand figure again. What does the line show now?

# %%
# Solutions
# ---------
# 1. The same accuracies but for rounding, as the gradient is the same. The head takes longer, but with ten classes and a
#    network of half a million parameters, the head is a small part of a step: see the lesson on timing.
# 2. With 1000 test images 0.1 points are one image. A pair would differ as much if only the order of a sum were changed; an
#    effect of the route would have to show in the mean over many pairs, beside its standard error.
# 3. Two unrelated networks: the distance is large from the first step on, in float32 and in float64 alike.
