"""
From the formula to the machine
===============================

One convolution, written down four times. The first version is the formula. Each next one changes a single thing, and computes
the same numbers. What is each change worth? We check every version against NumPy, and time all four in turns.
"""

from isbe_np import lessons

lessons.step()

import inspect
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np

from isbe_np.compiler.jit import jit, prange
from isbe_np.engine import microkernels
from isbe_np.engine.replace import fast_layer
from isbe_np.kernels.conv2d import conv2d, pixel
from isbe_np.layers import Conv2D
from isbe_np.layers.base import Mode, Step
from isbe_np.studies.measure import paired_ratio, relative_difference, take_turns

# %%
# The second convolution of LeNet-5, for 64 images. NumPy computes it in float64, from all windows: the truth for all versions.
random = np.random.default_rng(0)
x = random.normal(size=(64, 6, 14, 14)).astype(np.float32)
w, b = random.normal(size=(16, 6, 5, 5)).astype(np.float32), random.normal(size=16).astype(np.float32)
windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (5, 5), axis=(2, 3))
truth = np.einsum("ncijkl,ockl->noij", windows, w) + b[:, None, None]

# %%
# 1. The formula
# --------------
# Images lie one after the other. The innermost loop takes five pixels of a row, too few for the processor's vectors.
def batch_first(x, w, b, y):
    (C, K, L), (N, O, H, W) = w.shape[1:], y.shape
    for n in prange(N):
        for o in range(O):
            for i in range(H):
                for j in range(W):
                    total = b[o]
                    for c in range(C):
                        for k in range(K):
                            for l in range(L):
                                total += w[o, c, k, l] * x[n, c, i + k, j + l]
                    y[n, o, i, j] = total
print(inspect.getsource(batch_first))

# %%
# 2. The batch last
# -----------------
# The same sums, in other arrays: the same pixel of all images lies side by side. Yet each sum still jumps through memory.
def batch_last(x, w, b, y):
    (C, K, L), (O, H, W, N) = w.shape[1:], y.shape
    for o in prange(O):
        for i in range(H):
            for j in range(W):
                for n in range(N):
                    total = b[o]
                    for c in range(C):
                        for k in range(K):
                            for l in range(L):
                                total += w[o, c, k, l] * x[c, i + k, j + l, n]
                    y[o, i, j, n] = total
print(inspect.getsource(batch_last))

# %%
# 3. The batch innermost
# ----------------------
# The package's plain kernel. One weight meets a pixel of all images, neighbors in memory: the compiler makes vectors of them.
# What is left is traffic: each multiply-add loads a partial sum, and stores it again.
print(inspect.getsource(pixel), inspect.getsource(conv2d), sep="\n")

# %%
# 4. A tile in registers
# ----------------------
# The engine. A tile of outputs, six channels by a vector of images, stays in registers until its sum is complete. A vector of
# pixels is loaded once and used six times, and nothing is stored in between. Its inner loop, one of several:
print(inspect.getsource(microkernels.block6))

# %%
# All four, checked and timed
# ---------------------------
# The engine runs as a network runs it: a layer prepares its buffers once, and each forward pass fills them.
images = np.ascontiguousarray(np.moveaxis(x, 0, -1))
first, second = jit(parallel=True)(batch_first), jit(parallel=True)(batch_last)
y1, (y2, y3, y4) = np.zeros((64, 16, 10, 10), np.float32), np.zeros((3, 16, 10, 10, 64), np.float32)
layer = fast_layer(Conv2D(16, 5))
step = Step([images], y4, SimpleNamespace(weight=w, bias=b), Mode(False, random), batch_last=True)
layer.prepare(step)
ladder = {"batch first": lambda: first(x, w, b, y1), "batch last": lambda: second(images, w, b, y2),
          "plain kernel": lambda: conv2d(images, w, b, y3, (1, 1), (0, 0)), "engine": lambda: layer.forward(step)}
times = take_turns(ladder | {"engine again": ladder["engine"]}, rounds=20, turn=0.01)
ratios = {name: paired_ratio(took, times["engine"]) for name, took in times.items() if name != "engine"}
for name, y in zip(ladder, (y1, *np.moveaxis((y2, y3, y4), -1, 1)), strict=True):
    print(f"{name:12}  {1e3 * np.median(times[name]):7.3f} ms   off by {relative_difference(y, truth):.0e}")
print(*(ratio.verdict(name, "engine") for name, ratio in ratios.items()), sep="\n")

figure, axes = plt.subplots(figsize=(7, 2.4), layout="constrained")
bars = axes.barh(list(ratios), [ratio.value for ratio in ratios.values()], color="#56B4E9", height=0.6)
axes.bar_label(bars, fmt="%.3g", padding=4)
axes.set(xscale="log", xlabel="time / time of the engine", xlim=(0.5, 200), ylim=(3.6, -0.6))

# %%
# Exercises
# ---------
# 1. Exchange the loops over ``i`` and ``j`` in the first version. Then put the loop over ``n`` innermost. What do you expect?
# 2. Is the third step of the ladder as high for a batch of one image? Why?
# 3. How many numbers does the plain kernel load and store for a multiply-add, and how many does a tile?

# %%
# Solutions
# ---------
# 1. The first changes little. The second is slow: from one image to the next is a jump of a whole image.
# 2. No: the inner loop then has one number, and all the work around it for that one.
# 3. Two loads and a store. A tile of six rows loads a vector and six weights for six multiply-adds, and stores nothing.
