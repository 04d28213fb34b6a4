"""The figure of the study of reductions."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from isbe_np.plots.style import look
from isbe_np.studies.comparison import TOLERANCE
from isbe_np.studies.perceptron import CHANCE
from isbe_np.studies.reductions import Reductions, Run

LEAST = 3e-17  # where a difference of 0 is drawn


def reductions_figure(found: Reductions) -> Figure:
    """Accuracy against the learning rate and the effective step, and how far parameters end from each other."""
    figure = Figure(figsize=(12, 8.2), layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(1, 1.05)).ravel()
    by_rate, by_step, adam = above.subplots(1, 3, sharey=True)
    for ax, optimizer, step in ((by_rate, "SGD", False), (by_step, "SGD", True), (adam, "Adam", False)):
        every = []
        for k, (arm, label) in enumerate((("mean", "mean"), ("sum, same rate", "sum"))):
            runs = found.of(optimizer, arm)
            rates = [run.learning_rate * (found.batch_size if step and k else 1) for run in runs]
            _draw(ax, k, rates, runs, label)
            every += rates
        ax.axhline(100 * CHANCE, color="grey", lw=1, ls=":", label="guessing")
        ax.set(xscale="log", xlim=(min(every) / 2, max(every) * 2),
               title=optimizer + (", at equal effective step" if step else ", at equal learning rate"),
               xlabel="effective step: η for mean, η N for sum" if step else "learning rate η")
        ax.grid(alpha=0.3)
    by_rate.set(ylabel="test accuracy, % (mean ± sd)", ylim=(-3, 100))
    above.legend(*_shown(by_rate, by_step, adam), loc="outside lower center", ncols=4, fontsize=9)
    _differences(below.subplots(), found)
    figure.suptitle(f"{found.data}, {found.normalizer}, N = {found.batch_size}, {len(found.seeds)} seeds")
    return figure


def _draw(ax, k: int, rates: list[float], runs: list[Run], label: str) -> None:
    """One arm: mean ± sd of what ended; a cross at the foot for each rate at which some seed diverged."""
    colour, marker = look(label, k)
    ended = [(rate, run.reached.mean(), run.reached.std(ddof=1) if len(run.reached) > 1 else 0.0)
             for rate, run in zip(rates, runs, strict=True) if len(run.reached)]
    x, y, sd = np.array(ended).T if ended else np.empty((3, 0))
    ax.errorbar(x, y, yerr=sd, color=colour, marker=marker, ls=["-", "--"][k], ms=[8, 5][k], capsize=3, label=label)
    lost = [rate for rate, run in zip(rates, runs, strict=True) if run.diagnosis]
    if lost:
        ax.plot(lost, np.full(len(lost), 2.0 - 3 * k), "x", color=colour, ms=8, label=f"{label}: a seed diverged")


def _shown(*axes) -> tuple[list, list[str]]:
    """Handles and labels of all axes, each label once."""
    shown = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    return list(shown.values()), list(shown)


def _differences(ax, found: Reductions) -> None:
    """A line for each pair: every seed's difference on a log axis, beside the bound of rounding."""
    for place, (name, gaps) in enumerate(found.apart.items()):
        colour, marker = look("", 0 if found.equal(name) else 1)
        ax.plot(np.maximum(gaps, LEAST), np.full(len(gaps), place), marker, color=colour, ms=6)
    ax.axvline(TOLERANCE["float64"], color="black", lw=1, ls="--")
    ax.text(TOLERANCE["float64"] * 1.5, 0.02, "rounding: left of this", transform=ax.get_xaxis_transform(), fontsize=9)
    ax.set(xscale="log", yticks=range(len(found.apart)), yticklabels=list(found.apart), xlim=(LEAST / 2, 10),
           ylim=(max(len(found.apart), 1) - 0.5, -0.5), ylabel="trained by",
           title="how far parameters are from those of mean at η, float64",
           xlabel=f"max |a − b| / max |b| of the parameters, a point for each seed (0 drawn at {LEAST:g})")
    ax.grid(axis="x", alpha=0.3)
