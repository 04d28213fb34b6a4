"""
The layer graph and backpropagation
===================================

A network is a graph: each node makes one value from the values it reads. Forward, the values are computed in order. Backward,
each node turns the gradient by its value into gradients by what it read, and where a value is read twice, its gradients add.
Here both passes are done by hand for a net with two inputs, and compared with what the package keeps under each node's name.
"""

from isbe_np import lessons

lessons.step()

import matplotlib.pyplot as plt
import numpy as np

import isbe_np as isbe

# %%
# A net of four nodes
# -------------------
# Two inputs; a dense layer, ``z = x W₁ᵀ + b₁``; ReLU, ``a = max(z, 0)``; a dense layer that gives two scores,
# ``s = a W₂ᵀ + b₂``. Layers hold no numbers: the graph does. We write small round ones into its parameters, so that all that
# follows can be repeated on paper.
first, relu, last = isbe.Dense(2, name="hidden"), isbe.ReLU(name="relu"), isbe.Dense(2, name="scores")
inputs = isbe.Input(2)
net = isbe.Graph(inputs, last(relu(first(inputs))), dtype=np.float64)
W1, b1 = np.array([[1.0, -1.0], [0.5, 0.5]]), np.zeros(2)
W2, b2 = np.array([[1.0, 2.0], [-1.0, 1.0]]), np.zeros(2)
for parameter, numbers in zip(net.parameters(), (W1, b1, W2, b2), strict=True):
    parameter.value[...] = numbers
print(net.summary())

# %%
# Forward
# -------
# The same three lines as the formulas. The first hidden unit comes out negative, and ReLU switches it off.
x, label = np.array([[1.0, 2.0]]), np.array([1])
z = x @ W1.T + b1
a = np.maximum(z, 0)
s = a @ W2.T + b2
net.forward(x)
for name, mine in (("hidden", z), ("relu", a), ("scores", s)):
    print(f"{name:8} by hand {mine[0]}  net.value {net.value(name)[0]}")

# %%
# Backward
# --------
# The head sends ``softmax − target``: that is the gradient by the scores. From there the chain rule goes back a node at a time:
#
# - through a dense layer: by its input ``e W``, by its weight ``eᵀ input``, by its bias the sum of ``e`` over the batch;
# - through ReLU: ``e`` where its input was positive, else 0. The unit that was off gets nothing, and neither do its weights.
error = isbe.Head("softmax", route="isbe").error(s, label)
da = error @ W2
dz = da * (z > 0)
dx = dz @ W1
net.backward(error, input_gradient=True)
for name, mine in (("scores", error), ("relu", da), ("hidden", dz), ("input", dx)):
    print(f"{name:8} by hand {mine[0].round(4)}  net.gradient {net.gradient(name)[0].round(4)}")
for parameter, mine in zip(net.parameters(), (dz.T @ x, dz.sum(0), error.T @ a, error.sum(0)), strict=True):
    print(f"{parameter.name:14} largest difference from the hand's {np.abs(parameter.grad - mine).max():.1e}")

# %%
# A skip connection
# -----------------
# Now the scores read ``a + z``: ``Add`` joins ReLU's value with what went into it. ``z`` is read twice, by ReLU and by Add, and
# its gradient is the sum of what both send: ``e ⊙ [z > 0] + e``. The unit that ReLU switched off hears of the error again.
hidden = first(inputs)
skip = isbe.Graph(inputs, last(isbe.Add(name="sum")(relu(hidden), hidden)), dtype=np.float64)
skip.values[...] = net.values
print(isbe.check_gradients(skip, x))
scores = skip.forward(x)
skip.backward(isbe.Head("softmax").error(scores, label), input_gradient=True)
e = skip.gradient("sum")
print("gradient that Add sends to both  ", e[0].round(4))
print("by hand, ReLU's share plus Add's ", (e * (skip.value("hidden") > 0) + e)[0].round(4))
print("net.gradient('hidden')           ", skip.gradient("hidden")[0].round(4))

# %%
# Both graphs, with each node's value in black and its gradient in orange.
figure = plt.figure(figsize=(9, 5.5), layout="constrained")
for ax, graph, title in zip(figure.subplots(1, 2), (net, skip), ("a chain", "with a skip connection"), strict=True):
    places = {node: len(graph.nodes) - k for k, node in enumerate(graph.nodes)}
    for node, y in places.items():
        name = graph.names[node]
        value, gradient = (np.array2string(v[0], precision=3) for v in (graph.value(name), graph.gradient(name)))
        ax.text(0, y, name, ha="center", va="center", bbox={"boxstyle": "round,pad=0.5", "fc": "white"})
        ax.text(0.5, y + 0.13, f"value {value}", va="center")
        ax.text(0.5, y - 0.13, f"gradient {gradient}", va="center", color="#D55E00")
        for parent in node.inputs:
            bend = 0 if places[parent] == y + 1 else 0.5
            ax.annotate("", (0, y + 0.25), (0, places[parent] - 0.25), arrowprops={
                "arrowstyle": "->", "color": "#0072B2", "connectionstyle": f"arc3,rad={bend}", "relpos": (0.5, 0.5)})
    ax.set(title=title, xlim=(-1, 2.4), ylim=(0.5, len(graph.nodes) + 0.5))
    ax.axis("off")

# %%
# Exercises
# ---------
# 1. With which input ``x`` would both hidden units of the first net be off? What is then the gradient by ``W₁``?
# 2. Put the target at class 0 instead. Which gradients change their sign, and why all of them?
# 3. A node's value is read by three others. What must a backward pass do that a layer by itself cannot?

# %%
# Solutions
# ---------
# 1. One with ``x₁ < x₂`` and ``x₁ + x₂ < 0``, such as ``(−2, 1)``. All of ``dz`` is 0, so the gradient by ``W₁`` is 0 too: a
#    net whose units are all off learns nothing from this example in its first layer.
# 2. The error is ``(y₀, y₁ − 1) = (y₀, −y₀)`` for class 1 and ``(y₀ − 1, y₁) = (−y₁, y₁)`` for class 0: opposite signs. All
#    else is linear in the error, so every gradient that is not 0 changes its sign, by the factor ``−y₁ / y₀``.
# 3. It must add three gradients. A layer writes the gradient by its own input and knows of no other reader; the graph adds.
