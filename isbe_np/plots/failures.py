"""The figure of the study of failures."""

from __future__ import annotations

import math
import textwrap

import numpy as np
from matplotlib.figure import Figure

from isbe_np.studies.failures import Failures, Outcome

LEAST, MOST = 1e-11, 1e22  # between which norms are drawn
# Colour and line of each verdict, told apart by colour-blind readers and in print.
LOOKS = {"learns": ("#009E73", "-"), "recognised": ("#0072B2", "-"), "misread": ("#E69F00", "--"),
         "seen": ("#56B4E9", "-"), "silent": ("#D55E00", ":"), "false alarm": ("#CC79A7", "-.")}


def failures_figure(found: Failures, columns: int = 5) -> Figure:
    """The norm of the gradient from step to step of each training, a line a seed, with what the diagnosis made of it."""
    rows = max(1, math.ceil(len(found.outcomes) / columns))
    figure = Figure(figsize=(2.4 * columns, 0.8 + 2.7 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for ax, outcome in zip(axes, found.outcomes, strict=False):
        _draw(ax, outcome)
    axes[0].set_xlim(-0.3, 1.2 * max((len(norms) for outcome in found.outcomes for norms in outcome.norms), default=1))
    for ax in axes[len(found.outcomes):]:
        ax.set_axis_off()
    figure.supxlabel("step")
    figure.supylabel(f"norm of the gradient (below {LEAST:g} drawn there)")
    figure.suptitle(f"{found.data}: what goes wrong, and what the training diagnosis says; × where it stopped the training")
    return figure


def _draw(ax, outcome: Outcome) -> None:
    colour, line = LOOKS[outcome.verdict]
    for norms, sentence in zip(outcome.norms, outcome.diagnosis, strict=True):
        drawn = np.clip(norms, LEAST, MOST)
        ax.plot(np.arange(len(norms)), drawn, color=colour, ls=line, lw=1.2)
        if sentence:
            ax.plot([len(norms)], [drawn[-1] if len(norms) else 1.0], "x", color="black", ms=7, mew=2)
    ended = [100 * a for a in outcome.accuracy if a is not None]
    if ended:
        ax.text(0.5, 0.9, f"accuracy {np.mean(ended):.0f} %", ha="center", transform=ax.transAxes, fontsize=9)
    ax.set_xscale("symlog", linthresh=1)  # some are stopped before the first step, others take thousands
    ax.set(yscale="log", ylim=(LEAST / 10, MOST))
    ax.set_title(f"{outcome.name}\n{textwrap.fill(outcome.what, 30)}\n{outcome.verdict}", fontsize=8.5)
    ax.grid(alpha=0.3)
