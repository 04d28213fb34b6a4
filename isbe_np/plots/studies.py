"""Figures of what studies measure: agreement, cost, times, trainings."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from isbe_np.plots.style import HATCHES, STYLE, log_decades, look
from isbe_np.studies.comparison import TOLERANCE, Agreement, Twin
from isbe_np.studies.cost import HeadCosts, StepCosts
from isbe_np.studies.measure import paired_ratio
from isbe_np.studies.steps import CONTROL
from isbe_np.training import History

UNITS = (("s", 1.0), ("ms", 1e3), ("µs", 1e6), ("ns", 1e9))


def _colour(route: str) -> str:
    return STYLE[route][0]


def agreement_figure(agreements: list[Agreement]) -> Figure:
    """The largest relative difference of each pair of routes, by dtype and network, on a log axis with the bound."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    pairs = list(dict.fromkeys(a.pair for a in agreements))
    networks, looks = list(dict.fromkeys(a.network for a in agreements)), list(STYLE.values())
    for ax, dtype in zip(axes, TOLERANCE, strict=True):
        floor, drawn = float(np.finfo(dtype).eps) / 8, [TOLERANCE[dtype]]
        for k, network in enumerate(networks):
            rows = [a for a in agreements if a.network == network and a.dtype == dtype]
            places = [pairs.index(a.pair) + (k - (len(networks) - 1) / 2) * 0.66 / len(networks) for a in rows]
            gaps = [max(a.head, a.gradient, floor) for a in rows]
            colour, marker = looks[(k + 1) % len(looks)]
            ax.plot(gaps, places, marker, color=colour, label=network, ms=6)
            drawn += [gap for gap in gaps if np.isfinite(gap)]
        log_decades(ax, min(drawn), max(drawn))
        ax.axvline(TOLERANCE[dtype], color="black", ls="--", lw=1, label="tolerance")
        ax.set(title=dtype, yticks=range(len(pairs)), yticklabels=[f"{a} / {b}" for a, b in pairs],
               ylim=(len(pairs) - 0.5, -0.5), xlabel="largest relative difference of error and gradients")
        ax.grid(axis="x", alpha=0.3)
    axes[0].set_ylabel("pair of routes")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=9)
    figure.suptitle("The four routes send the same gradient, to rounding" if all(a.within for a in agreements)
                    else "The four routes do NOT send the same gradient")
    return figure


def cost_figure(heads: list[HeadCosts], steps: StepCosts) -> Figure:
    """Time and memory of the head by number of classes, and the time of a training step with intervals, by route."""
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    time_axis, memory_axis, step_axis = figure.subplots(1, 3)
    classes = [head.classes for head in heads]
    for k, cost in enumerate(heads[0].costs):
        if cost.route == CONTROL:
            continue
        colour, marker = look(cost.route, k)
        style = {"color": colour, "marker": marker, "label": cost.route}
        time_axis.plot(classes, [head.costs[k].seconds * 1e6 / head.batch for head in heads], **style)
        # fused and isbe hold as much: the one is drawn around the other
        memory_axis.plot(classes, [(head.costs[k].memory or 0) / head.batch for head in heads], **style,
                         ms=10 if cost.route == "fused" else 6)
    time_axis.set(xscale="log", yscale="log", xlabel="classes", ylabel="µs per example", title="head: time")
    memory_axis.set(xscale="log", yscale="log", xlabel="classes", ylabel="bytes per example", title="head: memory")
    figure.legend(*time_axis.get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=9)
    for k, cost in enumerate(steps.costs):
        ratio, (colour, marker) = cost.ratio, look(cost.route, k)
        arms = [[ratio.value - ratio.low], [ratio.high - ratio.value]]
        step_axis.errorbar(ratio.value, k, xerr=arms, fmt=marker, color=colour, capsize=4)
    step_axis.axvline(1, color="black", lw=1, ls="--")
    step_axis.set(yticks=range(len(steps.costs)), yticklabels=[cost.route for cost in steps.costs], ylabel="contestant",
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
        style = {"color": _colour(twin.route), "marker": STYLE[twin.route][1], "label": twin.route,
                "ls": ["-", "--"][k % 2], "ms": [9, 5][k % 2]}
        left.plot(epochs, 100 * np.array(twin.history.accuracy), **style)
        right.plot(epochs, twin.history.gradient_norm, **style)
    left.set(xlabel="epoch", ylabel="test accuracy, %")
    right.set(xlabel="epoch", ylabel="mean norm of the gradient")
    left.legend()
    for ax in (left, right):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.grid(alpha=0.3)
    figure.suptitle("Two trainings from one seed")
    return figure


def paired_training_figure(arms: dict[str, list[History]], band: str = "range") -> Figure:
    """Test accuracy by epoch of two arms, seed k of one beside seed k of the other: means with bands, and the differences.

    arms: two names, each with a `History` for every seed, in the same order. band: "range" from the least to the most of all
    seeds, or "sd", one standard deviation to either side. Only epochs that all trainings reached are drawn. ValueError for
    arms that are not pairs.
    """
    if len(arms) != 2 or len({len(histories) for histories in arms.values()}) != 1 or not all(arms.values()):
        raise ValueError(f"paired_training_figure expects two arms with as many seeds each; got "
                         f"{', '.join(f'{name!r} with {len(histories)}' for name, histories in arms.items()) or 'none'}.")
    if band not in ("range", "sd"):
        raise ValueError(f"paired_training_figure: band expects 'range' or 'sd'; got {band!r}.")
    epochs = min(len(history.accuracy) for histories in arms.values() for history in histories)
    curves = [100 * np.array([history.accuracy[:epochs] for history in histories]) for histories in arms.values()]
    (one, other), steps = arms, np.arange(1, epochs + 1)
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for k, (name, runs) in enumerate(zip(arms, curves, strict=True)):
        colour, marker = look(name, k)
        low, high = _band(runs, band)
        left.fill_between(steps, low, high, facecolor=colour, alpha=0.22, edgecolor=colour, hatch=HATCHES[k])
        left.plot(steps, runs.mean(axis=0), color=colour, marker=marker, ls=["-", "--"][k], ms=[7, 5][k], label=name)
    gap = curves[0] - curves[1]
    for run in gap:
        right.plot(steps, run, color="#999999", lw=0.8)
    right.fill_between(steps, *_band(gap, band), facecolor="black", alpha=0.12)
    right.plot(steps, gap.mean(axis=0), color="black", marker="o", ms=5, label="mean over seeds")
    right.axhline(0, color="black", lw=1, ls=":")
    what = "least to most" if band == "range" else "one standard deviation"
    left.set(xlabel="epoch", ylabel="test accuracy, %", title=f"mean of {len(gap)} seeds; band: {what}")
    right.set(xlabel="epoch", ylabel=f"{one} − {other}, percentage points", title="difference, a line for each seed")
    left.legend()
    right.legend()
    for ax in (left, right):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.grid(alpha=0.3)
    return figure


def _band(runs: np.ndarray, band: str) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper edge by epoch of runs (seeds, epochs)."""
    if band == "range":
        return runs.min(axis=0), runs.max(axis=0)
    spread = runs.std(axis=0, ddof=1) if len(runs) > 1 else 0 * runs[0]
    return runs.mean(axis=0) - spread, runs.mean(axis=0) + spread


def times_figure(seconds: dict[str, np.ndarray], title: str = "") -> Figure:
    """The typical time of each function with its 95 % interval, and every time as a dot behind.

    seconds: times by name, (rounds,) or (rounds, calls of a turn), as `studies.measure.take_turns` returns them. The typical
    time is the mean of the middle half of the rounds, of logarithms, as in `paired_ratio`.
    """
    figure = Figure(figsize=(7.5, 1.2 + 0.5 * len(seconds)), layout="constrained")
    ax = figure.subplots()
    typical = [paired_ratio(times, np.ones_like(times)) for times in seconds.values()]
    unit, factor = next((u for u in UNITS if min(m.value for m in typical) * u[1] >= 1), UNITS[-1])
    for k, (name, times, m) in enumerate(zip(seconds, seconds.values(), typical, strict=True)):
        colour, marker = look(name, k)
        every = np.ravel(times) * factor
        spread = np.linspace(-0.26, 0.26, every.size) if every.size > 1 else np.zeros(1)
        ax.plot(every, k + spread, ".", color="#999999", ms=2.5, zorder=1)
        arms = [[(m.value - m.low) * factor], [(m.high - m.value) * factor]] if len(times) > 1 else None
        ax.errorbar(m.value * factor, k, xerr=arms, fmt=marker, color=colour, ms=8, capsize=6, lw=2.2, zorder=2)
    ax.set(yticks=range(len(seconds)), yticklabels=list(seconds), ylim=(len(seconds) - 0.5, -0.5), ylabel="what was timed",
           xlabel=f"time of a call, {unit}: typical, with 95 % interval; dots: every call", title=title)
    # a few calls that waited for the machine would press all others into a corner
    highest = [m.high for m in typical if m.high < np.inf] + [np.percentile(times, 97) for times in seconds.values()]
    ax.set_xlim(0, 1.15 * factor * max(highest))
    ax.grid(axis="x", alpha=0.3)
    return figure
