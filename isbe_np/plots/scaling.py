"""The figure of the study of scaling."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from isbe_np.plots.style import STYLE
from isbe_np.studies.memory_limits import RUNS, SHARE, most_classes, predicted_bytes, size
from isbe_np.studies.scaling import FEW, LEVEL, ScalingStudy

LOOKS = STYLE | {"one pass": ("#CC79A7", "v")}


def scaling_figure(study: ScalingStudy) -> Figure:
    """Time, time by that of isbe, and peak memory against the number of classes, with fitted lines, limits and crossovers."""
    figure = Figure(figsize=(13.5, 5.6), layout="constrained")
    time, ratio, memory = figure.subplots(1, 3)
    _time(time, study)
    _ratio(ratio, study)
    _memory(memory, study)
    for ax in (time, ratio, memory):
        if study.points:  # there is no logarithm of an empty axis
            ax.set_xscale("log", base=2)
            ax.set_yscale("log")
        ax.set_xlabel("classes C")
        ax.grid(alpha=0.3)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False)
    memory.yaxis.set_major_formatter(lambda count, _: size(count))
    ratio.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    figure.suptitle(f"The head alone: softmax forward and backward, batch {study.batch}, float32, threads: {study.threads}")
    return figure


def _time(ax: Axes, study: ScalingStudy) -> None:
    laws = study.laws("time")
    for run in RUNS:
        colour, marker = LOOKS[run]
        values, law = study.values(run, "time"), laws.get(run)
        label = run if law is None else f"{run}: $C^{{{law.exponent:.2f} ± {law.error:.2f}}}$"
        if values:
            ax.plot(list(values), [1e6 * v for v in values.values()], marker, color=colour, ms=5, label=label)
        if law is not None:
            ends = np.array([law.first, law.last])
            ax.plot(ends, 1e6 * law.at(ends), color=colour, lw=1.5)
    ax.set(ylabel="time of a call, µs", title="time; lines: fit to the largest sizes")


def _ratio(ax: Axes, study: ScalingStudy) -> None:
    for run in RUNS:
        ratios = {} if run == "isbe" else study.ratios(run)
        if not ratios:
            continue
        colour, marker = LOOKS[run]
        sizes, values = list(ratios), [r.value for r in ratios.values()]
        ax.plot(sizes, values, color=colour, marker=marker, ms=5, lw=1, label=run)
        told = [len(study.of(run)[C].seconds) >= FEW for C in sizes]
        ax.fill_between(sizes, [r.low for r in ratios.values()], [r.high for r in ratios.values()], where=told,
                        color=colour, alpha=0.25, lw=0)
    ax.axhline(1, color=LOOKS["isbe"][0], lw=1.5, label="isbe")
    at = study.ten_times()[0]
    if at is not None:
        ax.plot(at, LEVEL, "o", mfc="none", mec="black", ms=11, label=f"jacobian: {LEVEL} times isbe at C ≈ {at:,.0f}")
    ax.set(ylabel="time / time by isbe (band: 95 % interval)", title="time against isbe")


def _memory(ax: Axes, study: ScalingStudy) -> None:
    for run in RUNS:
        colour, marker = LOOKS[run]
        points, values = study.of(run), study.values(run, "memory")
        if points:
            ax.plot(list(points), [predicted_bytes(run, study.batch, C) for C in points], color=colour, ls=":", lw=1.5)
        if values:
            # fused and isbe hold as much: the one is drawn around the other
            ax.plot(list(values), list(values.values()), marker, color=colour, ms=9 if run == "fused" else 5, label=run)
        refused = [point for point in points.values() if point.refused]
        ax.plot([point.classes for point in refused], [point.predicted for point in refused], marker, mfc="none", mec=colour,
                ms=5, label=f"{run}, not run" if refused else None)
    package, machine = most_classes(study.batch, study.available, study.limit)
    for count, most, what, style in ((study.limit, package, "package's limit of J", "--"),
                                     (SHARE * study.available, machine, f"{SHARE:.0%} of what was available", "-.")):
        ax.axhline(count, color="black", ls=style, lw=1, label=f"{what}, {size(count)}:\njacobian up to C = {most:,}")
    ax.set(ylabel="peak memory beyond the scores", title="memory; dotted: predicted")
