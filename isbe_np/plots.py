"""Figures from results. Each function takes results and returns a matplotlib Figure; none shows or saves it."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from isbe_np.heads import Head, softmax_jacobian
from isbe_np.studies.agreement import TOLERANCE, Agreement
from isbe_np.studies.compare import Twin
from isbe_np.studies.cost import HeadCosts, StepCosts

# Okabe & Ito's palette, told apart by colour-blind readers, each with a marker of its own for print.
STYLE = {"jacobian": ("#D55E00", "s"), "factored": ("#E69F00", "^"), "fused": ("#0072B2", "o"),
         "isbe": ("#009E73", "D")}


def _colour(route: str) -> str:
    return STYLE[route][0]


def agreement_figure(agreements: list[Agreement]) -> Figure:
    """The largest relative difference of each pair of routes, by dtype and network, on a log axis with the bound."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    pairs = list(dict.fromkeys(a.pair for a in agreements))
    networks, looks = list(dict.fromkeys(a.network for a in agreements)), list(STYLE.values())
    for ax, dtype in zip(axes, TOLERANCE, strict=True):
        floor = float(np.finfo(dtype).eps) / 8
        for k, network in enumerate(networks):
            rows = [a for a in agreements if a.network == network and a.dtype == dtype]
            places = [pairs.index(a.pair) + (k - (len(networks) - 1) / 2) * 0.66 / len(networks) for a in rows]
            gaps = [max(a.head, a.gradient, floor) for a in rows]
            colour, marker = looks[(k + 1) % len(looks)]
            ax.plot(gaps, places, marker, color=colour, label=network, ms=6)
        ax.axvline(TOLERANCE[dtype], color="black", ls="--", lw=1, label="tolerance")
        ax.set(xscale="log", title=dtype, yticks=range(len(pairs)), yticklabels=[f"{a} / {b}" for a, b in pairs],
               xlabel="largest relative difference of error and gradients")
        ax.grid(axis="x", alpha=0.3)
        ax.invert_yaxis()
    axes[0].set_ylabel("pair of routes")
    axes[1].legend(loc="center", bbox_to_anchor=(0.65, 0.5), fontsize=9)
    figure.suptitle("The four routes send the same gradient, to rounding" if all(a.within for a in agreements)
                    else "The four routes do NOT send the same gradient")
    return figure


def cost_figure(heads: list[HeadCosts], steps: StepCosts) -> Figure:
    """Time and memory of the head by number of classes, and the time of a training step with intervals, by route."""
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    time_axis, memory_axis, step_axis = figure.subplots(1, 3)
    classes = [head.classes for head in heads]
    for k, cost in enumerate(heads[0].costs):
        colour, marker = STYLE[cost.route]
        look = {"color": colour, "marker": marker, "label": cost.route}
        time_axis.plot(classes, [head.costs[k].seconds * 1e6 / head.batch for head in heads], **look)
        memory_axis.plot(classes, [(head.costs[k].memory or 0) / head.batch for head in heads], **look)
    time_axis.set(xscale="log", yscale="log", xlabel="classes", ylabel="µs per example", title="head: time")
    memory_axis.set(xscale="log", yscale="log", xlabel="classes", ylabel="bytes per example", title="head: memory")
    time_axis.legend(fontsize=9)
    for k, cost in enumerate(steps.costs):
        ratio = cost.ratio
        # a bootstrap interval may miss the value itself, and an arm below 0 is refused
        arms = [[max(0.0, ratio.value - ratio.low)], [max(0.0, ratio.high - ratio.value)]]
        step_axis.errorbar(ratio.value, k, xerr=arms, fmt=STYLE[cost.route][1], color=_colour(cost.route), capsize=4)
    step_axis.axvline(1, color="black", lw=1, ls="--")
    step_axis.set(yticks=range(len(steps.costs)), yticklabels=[cost.route for cost in steps.costs], ylabel="route",
                  ylim=(-0.5, len(steps.costs) - 0.5), xlabel="time of a step / time by isbe (95 % interval)",
                  title=f"{steps.network}, batch {steps.batch}")
    for ax in (time_axis, memory_axis, step_axis):
        ax.grid(alpha=0.3)
    return figure


def training_figure(twins: list[Twin]) -> Figure:
    """Test accuracy after each epoch, and the gradient's norm, of trainings from one seed by different routes."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for k, twin in enumerate(twins):
        epochs = np.arange(1, len(twin.history.accuracy) + 1)
        look = {"color": _colour(twin.route), "marker": STYLE[twin.route][1], "label": twin.route,
                "ls": ["-", "--"][k % 2], "ms": [9, 5][k % 2]}
        left.plot(epochs, 100 * np.array(twin.history.accuracy), **look)
        right.plot(epochs, twin.history.gradient_norm, **look)
    left.set(xlabel="epoch", ylabel="test accuracy, %")
    right.set(xlabel="epoch", ylabel="mean norm of the gradient")
    left.legend()
    for ax in (left, right):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.grid(alpha=0.3)
    figure.suptitle("Two trainings from one seed")
    return figure


def collapse_figure(scores: np.ndarray, label: int) -> Figure:
    """One example's softmax Jacobian J, cross-entropy gradient g, and their product beside y - t, as numbers."""
    head = Head("softmax", "jacobian", "sum")
    soft = head.forward(np.asarray(scores, np.float64)[None])
    product = head.backward(np.array([label]))[0]
    target = np.eye(soft.shape[1])[label]
    J, g, y = softmax_jacobian(soft)[0], 0.0 - target / soft[0], soft[0]
    figure = Figure(figsize=(10.5, 3.1), layout="constrained")
    axes = figure.subplots(1, 5, width_ratios=[3, 1, 1, 1, 1])
    parts = [(J, "softmax Jacobian\n$J = \\mathrm{diag}(y) - y\\,y^T$"), (g[:, None], "gradient\n$g = -t\\,/\\,y$"),
             (product[:, None], "product\n$J^T g$"), (y[:, None], "softmax\n$y$"), (target[:, None], "target\n$t$")]
    for ax, (numbers, title), sign in zip(axes, parts, ["", "×", "=", "=", "−"], strict=True):
        ax.imshow(np.tanh(3 * numbers), cmap="RdBu_r", vmin=-1.6, vmax=1.6, aspect="equal")
        for (i, j), number in np.ndenumerate(numbers):
            ax.text(j, i, f"{number:.3f}".replace("-", "−"), ha="center", va="center", fontsize=11)
        ax.set(xticks=[], yticks=[], title=title)
        ax.title.set_fontsize(11)
        ax.text(-0.14 if numbers.shape[1] > 1 else -0.42, 0.5, sign, transform=ax.transAxes, fontsize=20, ha="center",
                va="center")
    return figure
