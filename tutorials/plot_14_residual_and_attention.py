"""
Residual networks and attention
===============================

ISBE's error ``y − t`` goes back through whatever network there is. In a residual network it has a path of its own to each
block. In a transformer it meets other softmaxes, which stand inside: there ISBE has no place, and this lesson shows why.
"""

from isbe_np import lessons

lessons.step()

from functools import partial

import matplotlib.pyplot as plt
import numpy as np

import isbe_np as isbe
from isbe_np.environment import describe
from isbe_np.layers.attention import Attention
from isbe_np.reports.summary import settings_line
from isbe_np.studies.compare import agreement
from isbe_np.studies.measure import paired_ratio, take_turns

# %%
# A fork and a join
# -----------------
# In ``x + F(x)`` the ``x`` is read twice, a fork, and ``Add`` joins. Both its inputs get the error ``e`` as it is, and at the
# fork that makes ``e + Jᵀ e``. Let the sum be the scores, ``e = y − t``, and ``F = tanh(x Wᵀ)``: ``Jᵀ e = (e ⊙ (1 − F²)) W``.
random, x = np.random.default_rng(0), isbe.Input(3)
net = isbe.Graph(x, isbe.Add()(x, isbe.Tanh(name="F")(isbe.Dense(3)(x))), dtype=np.float64)
e = isbe.Head("softmax", "isbe").error(net.forward(random.normal(size=(1, 3))), [1])
dx = net.backward(e, input_gradient=True)
by_hand = e + (e * (1 - net.value("F") ** 2)) @ net.parameters()[0].value
print(f"y − t {e[0].round(4)}, F gets {net.gradient('F')[0].round(4)}\nby x  {dx[0].round(4)}, by hand {by_hand[0].round(4)}")

# %%
# A chain's gradient is a product of Jacobians, and can die out. With shortcuts each factor is ``I + Jᵀ``, and one term of the
# product is ``e`` as it came: it does not die out, but can grow. ``x + F(norm(x))``, a transformer's block, tames that. Below,
# the gradient's norm by the value of each of 24 blocks, ``F = gelu(x Wᵀ)``, before any training.
data, (figure, axes) = isbe.datasets.load("digits", train=100, test=1), plt.subplots(figsize=(7, 3.6), layout="constrained")
for name, line, shortcuts, norm in (("chain", "-", 0, 0), ("shortcuts", "--", 1, 0), ("shortcuts and norm", ":", 1, 1)):
    pixels = isbe.Input(784)
    x = isbe.Dense(64)(pixels)
    for k in range(24):
        y = isbe.Dense(64)(isbe.LayerNorm()(x) if norm else x)
        x = isbe.Add(name=f"block {k}")(x, isbe.GELU()(y)) if shortcuts else isbe.GELU(name=f"block {k}")(y)
    net = isbe.Graph(pixels, isbe.Dense(10)(x))
    net.backward(isbe.Head("softmax").error(net.forward(data.x_train.reshape(100, 784)), data.y_train))
    norms = [np.linalg.norm(net.gradient(f"block {k}")) for k in range(24)]
    print(f"{name:18} last block {norms[-1]:.1e}, first block {norms[0]:.1e}")
    axes.semilogy(range(1, 25), norms, line, lw=2, label=name)
axes.set(xlabel="block", ylabel="norm of the gradient", title="before training, GELU")
axes.legend()

# %%
# A softmax inside
# ----------------
# In attention, token ``i`` weighs the others by ``a_i = softmax(s_i)``, ``s_ij = q_i · k_j / √d``, and gives ``Σ_j a_ij v_j``.
# Back comes ``g_ij = do_i · v_j``, and ``ds = Jᵀ g = a ⊙ (g − ⟨a, g⟩)``: the factored product, as the layer's kernel has it.
# At the head ``g = −t / y``: ``y ⊙ g = −t``, ``⟨y, g⟩ = −1``, and ``y − t`` is left. Inside, ``g`` is whatever the layers above
# send, and nothing cancels. One may write ``ds = a − t`` with ``t = a − ds``; but that ``t`` needs ``ds`` first.
d, layer = 6, isbe.Sequential((4, 18), Attention(heads=1), dtype=np.float64)  # four tokens: q, k and v, of d numbers each
qkv, do = random.normal(size=(1, 4, 3 * d)), random.normal(size=(1, 4, d))
layer.forward(qkv)
dq = layer.backward(do, input_gradient=True)[0, :, :d]
q, k, v = np.split(qkv[0], 3, axis=1)
a, g = isbe.Head("softmax").forward(q @ k.T / d**0.5), do[0] @ v.T
ds, explicit = a * (g - (a * g).sum(axis=1, keepdims=True)), np.einsum("nij,ni->nj", isbe.softmax_jacobian(a), g)
for name, rows in (("a", a), ("g", g), ("ds = Jᵀ g", explicit), ("factored", ds), ("t = a − ds", a - ds)):
    print(f"token 0, {name:10} {rows[0].round(4)}")
print(f"explicit − factored {abs(explicit - ds).max():.0e}, dq of the layer − by hand {abs(dq - ds @ k / d**0.5).max():.0e}")

# %%
# The route switched
# ------------------
# The route is the last softmax's alone. One step's gradients agree to rounding. Training can enlarge rounding, in the residual
# net early and far. Float64 tells that from a wrong gradient: with rounding 5e8 times finer, a pair stays together longer.
for make, sizes, epochs, rate in ((isbe.networks.resnet, {"width": 8}, 3, 0.02),
                                  (isbe.networks.transformer, {"patch": 7, "features": 32, "blocks": 2}, 5, 0.01)):
    for dtype in ("float32", "float64"):
        data = isbe.datasets.load("digits", dtype=dtype, train=1000, test=500)
        gaps = agreement("", make(dtype=dtype, **sizes), isbe.Head(), data.x_train[:50], data.y_train[:50])
        print(f"{make.__name__}, {dtype}: the four routes' gradients differ by {max(p.gradient for p in gaps):.0e} at most")
        for route in ("fused", "isbe"):
            told = isbe.train(make(dtype=dtype, **sizes), isbe.Head("softmax", route), data, epochs, 25, isbe.Adam(rate),
                              schedule="warm_up_and_decay", progress=False)
            print(f"  {route:5} test accuracy {', '.join(f'{share:.1%}' for share in told.accuracy)}")

# %%
# Many classes
# ------------
# A model of words has a class for each. The more there are, the larger is the head's share of a step. Timed in turns, float32:
# forward, ``head.error``, backward. By ``isbe`` that stores no soft scores, by ``fused`` it has the loss too, as in frameworks;
# ``head.forward`` and ``head.backward``, which ``isbe.train`` calls, save less. The last dense layer grows with the words, too.
print(settings_line(describe()))
for classes in (32, 512, 4096):
    net = isbe.networks.characters(vocabulary=classes, length=32, features=32, heads=2, blocks=1)
    words, labels = random.integers(0, classes, (8, 32)).astype(np.float32), random.integers(0, classes, 8 * 32)
    scores = net.forward(words)
    turns = {"forward": partial(net.forward, words, True), "backward": partial(net.backward, scores / scores.size), **{
        route: partial(isbe.Head("softmax", route).error, scores.reshape(-1, classes), labels) for route in ("fused", "isbe")}}
    times = take_turns(turns, rounds=40)
    steps = {route: times["forward"] + times[route] + times["backward"] for route in ("fused", "isbe")}
    shares = [f"{np.median(times[route]) / np.median(step):.0%} by {route}" for route, step in steps.items()]
    print(f"{classes:4} words: the head's share of a step is {', '.join(shares)}\n           ",
          paired_ratio(steps["fused"], steps["isbe"]).verdict("a step by fused", "one by isbe"))

# %%
# Exercises
# ---------
# 1. Put ReLU for GELU. What becomes of the chain's gradient, and why? (Dense starts with the variance 2 / inputs.)
# 2. Shortcuts without a norm: by how much does the gradient grow a block? Start with smaller weights of ``F``. How small?
# 3. Which loss would give ISBE a place within attention? Check it with ``a`` and ``t = np.eye(4)``.
#
# Solutions
# ---------
# 1. It stays: ReLU lets half of it through, and that start (He) makes up for it. GELU's slope is smaller on average.
# 2. By about 1.6, for 24 blocks 5e4 in all. With ``1 / √24`` times the weights it is less than 2 in all.
# 3. Cross-entropy of the weights themselves with a target, which says whom each token should attend to: ``g = −t / a``.
