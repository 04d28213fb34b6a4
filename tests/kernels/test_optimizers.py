"""Optimizer kernels, several steps each, against the formulas of their papers in float64."""

import numpy as np
import pytest

import isbe_np as isbe

STEPS, SIZE = 5, 37


def reference(name, w, gradients, rate, options):
    """The textbook loop: one parameter vector, one step after another."""
    v = m = s = np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        decay = options.get("weight_decay", 0.01 if name == "AdamW" else 0.0)
        if name == "SGD":
            d = g + decay * w
            v = options.get("momentum", 0) * v + d
            w = w - rate * (d + options["momentum"] * v if options.get("nesterov") else v)
            continue
        if name == "AdamW":
            w = w * (1 - rate * decay)
        d = g + decay * w if name == "Adam" else g
        m, s = 0.9 * m + 0.1 * d, 0.999 * s + 0.001 * d * d
        w = w - rate * (m / (1 - 0.9 ** t)) / (np.sqrt(s / (1 - 0.999 ** t)) + 1e-8)
    return w


@pytest.mark.parametrize("name, options", [
    ("SGD", {}), ("SGD", {"weight_decay": 0.1}), ("SGD", {"momentum": 0.9}), ("SGD", {"momentum": 0.9, "weight_decay": 0.1}),
    ("SGD", {"momentum": 0.8, "nesterov": True}), ("SGD", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.2}),
    ("Adam", {}), ("Adam", {"weight_decay": 0.3}), ("AdamW", {}), ("AdamW", {"weight_decay": 0.3}),
], ids=str)
def test_steps(name, options, dtype, random, assert_close):
    net = isbe.Sequential((SIZE - 1,), isbe.Dense(1), dtype=dtype)
    net.values[...] = random.normal(size=net.values.size)
    start = net.values.astype(np.float64)
    gradients = random.normal(size=(STEPS, net.values.size)).astype(dtype)
    optimizer = getattr(isbe, name)(0.05, **options)
    for gradient in gradients:
        net.grads[...] = gradient
        optimizer.step(net)
    assert_close(net.values, reference(name, start, gradients.astype(np.float64), 0.05, options), factor=3)


def test_an_optimizer_serves_one_network():
    optimizer = isbe.SGD(0.1, momentum=0.9)
    optimizer.step(isbe.Sequential((3,), isbe.Dense(2)))
    with pytest.raises(ValueError, match="remembers the steps of another network"):
        optimizer.step(isbe.Sequential((3,), isbe.Dense(2)))


@pytest.mark.parametrize("make, who", [
    (lambda: isbe.SGD(-1), r"SGD\(learning_rate\)"), (lambda: isbe.SGD(float("nan")), r"SGD\(learning_rate\)"),
    (lambda: isbe.SGD("fast"), r"SGD\(learning_rate\)"), (lambda: isbe.SGD(0.1, momentum=1), r"SGD\(momentum\)"),
    (lambda: isbe.SGD(0.1, nesterov=True), r"SGD\(nesterov=True\)"),
    (lambda: isbe.Adam(betas=(0.9, 1)), r"Adam\(betas\[1\]\)"),
    (lambda: isbe.AdamW(weight_decay=-1), r"AdamW\(weight_decay\)"),
])
def test_numbers_out_of_range_are_refused(make, who):
    with pytest.raises(ValueError, match=who):
        make()
