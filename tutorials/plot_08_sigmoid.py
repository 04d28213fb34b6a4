"""
Sigmoid: ten questions instead of one
=====================================

The paper's second experiment keeps ISBE's error, ``y − t``, and changes the normalizer. Softmax answers one question: which of
the ten classes? Sigmoid answers ten: is it this class, yes or no? The error needs no new formula. Is it still the gradient of
something, and does a network learn from it?
"""

from isbe_np import lessons

lessons.step()

import matplotlib.pyplot as plt
import numpy as np

import isbe_np as isbe

# %%
# Soft scores of both
# -------------------
# Softmax shares one unit among the classes; sigmoid, ``y_j = 1 / (1 + e^−x_j)``, looks at each score alone. Its soft scores
# need not sum to 1: two classes can both be likely, or none.
scores, label = np.array([[2.0, 1.5, -3.0]]), np.array([0])
heads = {name: isbe.Head(name, route="isbe") for name in ("softmax", "sigmoid")}
for name, head in heads.items():
    soft = head.forward(scores)
    print(f"{name}: y = {soft[0].round(3)}, sum {soft.sum():.3f}, error y − t = {head.backward(label)[0].round(3)}")

# %%
# Which loss is it the gradient of?
# ---------------------------------
# Of the binary cross-entropy, ``−Σ t log y + (1 − t) log(1 − y)``: one cross-entropy for each question. Its gradient by ``y``
# is ``(y − t) / (y (1 − y))``, and sigmoid's slope is ``y (1 − y)``: the product is ``y − t``. Route ``jacobian`` multiplies
# the two out; differences of the loss itself agree.
head = isbe.Head("sigmoid", route="isbe")
by_isbe = head.error(scores, label)
head.route = "jacobian"
by_chain_rule = head.backward(label)
print(f"loss: {head.loss_name}; largest difference of the chain rule from y − t: {np.abs(by_chain_rule - by_isbe).max():.1e}")
head.route = "isbe"
print(isbe.check_gradients(head, scores, targets=label))

# %%
# Training in pairs
# -----------------
# The same network, from the same seed, on the same batches: once with softmax, once with sigmoid. Unlike in the lesson before,
# the two errors are different functions here, so that the networks truly part. A single pair then says little: we take four,
# and give the mean difference with its standard error.
data = isbe.datasets.load("digits", train=2000, test=1000)


def train(normalizer, seed):
    net = isbe.networks.n0(seed=seed)
    history = isbe.train(net, isbe.Head(normalizer), data, epochs=4, batch_size=100, optimizer=isbe.SGD(0.05, momentum=0.9),
                         seed=seed, progress=False)
    return net, history.accuracy[-1]


nets, accuracy = {}, np.empty((4, 2))
for seed in range(4):
    for k, name in enumerate(heads):
        nets[name], accuracy[seed, k] = train(name, seed)
    print(f"seed {seed}: test accuracy by softmax {accuracy[seed, 0]:.1%}, by sigmoid {accuracy[seed, 1]:.1%}")
gap = accuracy[:, 1] - accuracy[:, 0]
print(f"sigmoid less softmax: mean {gap.mean():+.2%}, standard error {gap.std(ddof=1) / 2:.2%}, from four pairs")

# %%
# An image that is hard to tell
# -----------------------------
# The test image whose softmax is the flattest, seen by both networks of the last seed. Sigmoid's sum may say that no
# class is likely, or that several are; softmax's is always 1.
soft = {name: heads[name].forward(nets[name].forward(data.x_test)) for name in heads}
image = int(soft["softmax"].max(axis=1).argmin())
for name, y in soft.items():
    print(f"{name}: class {y[image].argmax()} first, sum of soft scores {y[image].sum():.2f}; "
          f"sums over the test set from {y.sum(axis=1).min():.2f} to {y.sum(axis=1).max():.2f}")

# %%
# Left, a line is a pair. Right, the soft scores of that image.
figure = plt.figure(figsize=(10, 3.6), layout="constrained")
left, middle, right = figure.subplots(1, 3, width_ratios=[2, 1, 3])
for seed, pair in enumerate(accuracy):
    left.plot([0, 1], 100 * pair, marker="os^D"[seed], color="#0072B2", label=f"seed {seed}")
left.set(xticks=[0, 1], xticklabels=list(heads), xlim=(-0.3, 1.3), xlabel="normalizer", ylabel="test accuracy, %")
left.legend(fontsize=8)
left.grid(alpha=0.3)
middle.imshow(data.x_test[image, 0], cmap="gray_r")
middle.set(title=f"label {data.y_test[image]}", xticks=[], yticks=[])
for k, (name, colour, hatch) in enumerate((("softmax", "#0072B2", ""), ("sigmoid", "#E69F00", "//"))):
    right.bar(np.arange(10) + 0.4 * (k - 0.5), soft[name][image], 0.4, color=colour, hatch=hatch, edgecolor="black", label=name)
right.set(xticks=range(10), xlabel="class", ylabel="soft score y")
right.legend()

# %%
# Exercises
# ---------
# 1. With two classes, softmax of ``(x, 0)`` is ``(sigmoid(x), 1 − sigmoid(x))``. Check it. Is the error the same too?
# 2. Train sigmoid with ``isbe.Head("sigmoid", route="factored", loss="squared")``. How does its error differ from ``y − t``?
# 3. All scores are 0 before training. How long is the error of either normalizer, for ten classes? What follows for the step?

# %%
# Solutions
# ---------
# 1. Softmax gives ``1 / (1 + e^−x)`` for the first class. Its error there is ``sigmoid(x) − t``, and the opposite for the
#    other.
# 2. It is ``y (1 − y) (y − t)``: never more than a quarter of ISBE's, and next to nothing where ``y`` is sure and wrong.
# 3. Softmax: one ``−0.9`` and nine times ``0.1``, a length of 0.95. Sigmoid: one ``−0.5`` and nine ``0.5``, a length of 1.58.
#    At one learning rate sigmoid takes larger first steps: who compares normalizers at one learning rate compares this as
#    well.
