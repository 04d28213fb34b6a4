"""The figure of the study of accuracy."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.figure import Figure

from isbe_np.plots.style import STYLE
from isbe_np.studies.accuracy import AccuracyStudy


def accuracy_figure(study: AccuracyStudy) -> Figure:
    """Test accuracy by network and normalizer: each seed by ISBE and by its rival, joined, as they are pairs."""
    networks = list(dict.fromkeys(row.network for row in study.rows))
    figure = Figure(figsize=(1.5 + 5 * len(networks), 4.5), layout="constrained")
    for ax, network in zip(figure.subplots(1, len(networks), squeeze=False)[0], networks, strict=True):
        rows = [row for row in study.rows if row.network == network]
        for place, row in enumerate(rows):
            for seed, pair in enumerate(zip(row.isbe, row.other, strict=True)):
                values = [np.nan if value is None else 100 * value for value in pair]
                ax.plot([place - 0.15, place + 0.15], values, color="grey", lw=0.8, zorder=1)
                for shift, value, (colour, marker), label in ((-0.15, values[0], STYLE["isbe"], "isbe"),
                                                              (0.15, values[1], STYLE["fused"], "the loss's gradient")):
                    ax.plot(place + shift, value, marker, color=colour, ms=6, label=label if place == seed == 0 else None)
        ax.set(title=network, xticks=range(len(rows)), xlim=(-0.5, len(rows) - 0.5), ylabel="test accuracy, %")
        labels = [f"{row.normalizer}\nagainst\n{textwrap.fill(row.rival, 13)}" for row in rows]
        ax.set_xticks(range(len(rows)), labels, fontsize=8)
        ax.grid(axis="y", alpha=0.3)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    figure.suptitle(f"{study.data}: ISBE and the loss's own gradient, {len(study.seeds)} seeds")
    return figure


def curves_figure(study: AccuracyStudy, normalizer: str = "softmax") -> Figure:
    """Test accuracy after each epoch, one panel a network: by ISBE and by its rival from the same seeds, which are pairs."""
    rows = [row for row in study.rows if row.normalizer == normalizer and any(row.isbe_curves + row.other_curves)]
    figure = Figure(figsize=(1.5 + 5 * max(len(rows), 1), 4.5), layout="constrained")
    for ax, row in zip(figure.subplots(1, max(len(rows), 1), squeeze=False)[0], rows, strict=False):
        for curves, route, dash, label in ((row.isbe_curves, "isbe", "-", "isbe"),
                                           (row.other_curves, "fused", "--", row.rival)):
            colour, _ = STYLE[route]
            for k, curve in enumerate(curves):
                ax.plot(range(1, len(curve) + 1), [100 * value for value in curve], dash, color=colour, lw=1.2,
                        label=None if k else label)
        ax.set(title=f"{row.network}, {normalizer}", xlabel="epoch", ylabel="test accuracy, %")
        ax.grid(alpha=0.3)
        ax.legend(fontsize=9)
    figure.suptitle(f"{study.data}: accuracy by epoch, seeds {', '.join(map(str, study.seeds))}")
    return figure
