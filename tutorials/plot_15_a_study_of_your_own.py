"""
A study of your own
===================

From a question to what may be concluded: many small trainings, in pairs by seed, on one machine or on a cluster.
"""

from isbe_np import lessons

lessons.step()

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np

from isbe_np.studies.sweep import stored

# %%
# A question, and a file that answers it
# --------------------------------------
# Does label smoothing change a small perceptron's accuracy? Targets ``t = (1 − ε) one-hot + ε / C`` sum to 1: ISBE's ``y − t``
# is still the gradient. We compare ``ε = 0.1`` with 0, for 200 images and for 1000, after 400 steps. The two of a pair share a
# seed, which draws images, parameters and batches; what they share cancels in their difference. What no seed draws, such as the
# 1000 test images, no interval covers. 12 seeds, decided now: who adds some until the answer pleases will get what pleases.
#
# A *cell* is a function of plain arguments that returns plain data. Another process is told its module and name, and imports
# it; what you type in a notebook, or in this lesson, is in no module that it could import. And a spawned process first runs the
# script that started it, under another ``__name__``: without the last ``if`` it would start processes in its turn, which Python
# refuses. So the study is a file of its own. You would write it in an editor; here the lesson does.
STUDY = '''import sys
from pathlib import Path

import numpy as np

import isbe_np as isbe
from isbe_np.executors import dask, local
from isbe_np.studies.perceptron import images, perceptron
from isbe_np.studies.sweep import sweep

def train_one(size, smoothing, seed):
    data, chosen = images("digits", None, 2000, 1000), np.random.default_rng(seed).permutation(2000)[:size]
    targets = (1 - smoothing) * np.eye(10, dtype=np.float32)[data.y_train[chosen]] + smoothing / 10
    net, head, optimizer = perceptron((1, 28, 28), seed), isbe.Head("softmax", "isbe"), isbe.SGD(0.05, momentum=0.9)
    for epoch in range(400 * 50 // size):
        for x, t in isbe.datasets.batches(data.x_train[chosen], targets, 50, seed, epoch):
            net.backward(head.error(net.forward(x, training=True), t))
            optimizer.step(net)
    return {"accuracy": isbe.accuracy(net, data.x_test, data.y_test), "sum": float(net.values.sum())}

CELLS = {f"{size} images, smoothed {smoothing}, seed {seed}": {"size": size, "smoothing": smoothing, "seed": seed}
         for size in (200, 1000) for smoothing in (0.0, 0.1) for seed in range(12)}

if __name__ == "__main__":
    where = sys.argv[1]  # how many processes, or a cluster's address
    found = sweep(train_one, CELLS, Path("cells"), dask(where) if "://" in where else local(int(where)))
    print(f"{len(found.answers)} answers, {len(found.kept)} of them kept from before; failed: {found.failed or 'none'}")
'''
folder = TemporaryDirectory()
cells = Path(folder.name, "cells")
Path(folder.name, "smoothing_study.py").write_text(STUDY, encoding="utf-8")

# %%
# Stopped, and run again
# ----------------------
# Try one cell by hand first: errors show where they arise. Then ``python smoothing_study.py 1``, one process. Each answer is a
# file at once. After Ctrl-C or a power cut the same command goes on from there: we take 30 files away, as if it had been
# stopped, and go on with two processes. On one kind of processor the answers are the same bits, whoever computes them. They
# are kept by name and arguments; your code is not looked at. So after each change of it, begin with an empty folder.
told = {}
for processes in "12":
    before = told
    print(subprocess.check_output([sys.executable, "smoothing_study.py", processes], cwd=folder.name, text=True), end="")
    told = {name: cell["answer"] for name, cell in stored(cells).items()}
    for file in sorted(cells.iterdir())[:30]:
        file.unlink()
print("the same bits:", told == before)
folder.cleanup()

# %%
# What may be concluded
# ---------------------
# The mean difference has the standard error ``sd / √12``; in brackets, that without pairs. The bootstrap draws 12 of the 12
# differences, 10,000 times, and takes the middle 95 % of their means. If that leaves 0 out, the sign is told: for this
# network, such images, this ``ε``, after 400 steps. Not why. And not for other sizes: either of these two would mislead alone.
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for ax, size in zip(axes, (200, 1000), strict=True):
    pair = np.array([[told[f"{size} images, smoothed {e}, seed {k}"]["accuracy"] for k in range(12)] for e in (0.0, 0.1)]) * 100
    difference, means = pair[1] - pair[0], pair.mean(axis=1)
    low, high = np.percentile(np.random.default_rng(0).choice(difference, (10_000, 12)).mean(axis=1), [2.5, 97.5])
    error, unpaired = difference.std(ddof=1) / 12**0.5, (pair.var(axis=1, ddof=1).sum() / 12) ** 0.5
    print(f"{size:4} images: {means[0]:.1f} % without smoothing, {means[1]:.1f} % with it; difference {difference.mean():+.2f}"
          f" ± {error:.2f} ({unpaired:.2f}), bootstrap {low:+.2f} to {high:+.2f}")
    ax.plot([0, 1], pair, "o-", color="grey")
    ax.plot([0, 1], means, "D--", color="#D55E00", lw=3)
    ax.set(title=f"{size} images", xticks=(0, 1), xlim=(-0.2, 1.2), xticklabels=("ε = 0", "ε = 0.1"), ylabel="test accuracy, %")

# %%
# By a cluster
# ------------
# Every machine needs ``pip install "isbe_np[distributed]"``. The answers arrive in your own folder ``cells``::
#
#     dask scheduler                                   on one machine; it says its address
#     dask worker tcp://10.0.0.5:8786 --nthreads 1     on the others, once for each core
#     python smoothing_study.py tcp://10.0.0.5:8786    on yours
#
# Exercises
# ---------
# 1. Does smoothing cost accuracy on 200 images only because it needs more steps? Design the study that would tell.
# 2. How many seeds would you need without pairs, to be as sure with 1000 images? Take the numbers printed.
# 3. Ten values of ``ε`` at two sizes are twenty intervals of 95 %. What do you expect if smoothing does nothing at all?
#
# Solutions
# ---------
# 1. Give the cell an argument ``steps`` and use new seeds. Ours, 12 to 23: after 100, 400 and 1600 steps −1.5, −3.8 and −4.4.
# 2. The error falls with the root of their number: about ``12 (0.44 / 0.29)² = 28``.
# 3. One of them to leave 0 out, on average. So look at all; widen them, to ``1 − 0.05 / 20`` each; or ask again with new seeds.
