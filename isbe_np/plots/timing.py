"""The figure of the study of timing."""

from __future__ import annotations

from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from isbe_np.plots.style import STYLE
from isbe_np.reports.timing import AMOUNT
from isbe_np.studies.steps import CONTROL
from isbe_np.studies.time_saved import CLAIM
from isbe_np.studies.timing import CLAIMED, TimingStudy

DRAWN = ("jacobian", "factored", "fused")
LINEAR, MOST = 5, 100  # per cent: from the one to the other the axis is logarithmic, and beyond it nothing is drawn
TICKS = (-100, -30, -10, -5, -3, 0, 3, 5, 10, 30, 100)


def timing_figure(study: TimingStudy) -> Figure:
    """What isbe saves, in per cent, against batch size: a column a network, backward above and the whole step below."""
    networks = study.networks or ["nothing was timed"]
    figure = Figure(figsize=(3.4 + 2.2 * len(networks), 7.2), layout="constrained")
    axes = figure.subplots(len(CLAIMED), len(networks), sharex=True, sharey=True, squeeze=False)
    for row, part in zip(axes, CLAIMED, strict=True):
        for ax, network in zip(row, networks, strict=True):
            if study.networks:
                _draw(ax, study, network, part)
            ax.axhline(0, color="black", lw=0.8)
            ax.axhline(100 * CLAIM, color="black", lw=1, ls="--", label=f"the paper's {AMOUNT}")
            ax.grid(alpha=0.3)
        row[0].set_ylabel(f"saved of {CLAIMED[part]}, %")
    batches = sorted({cell.batch for cell in study.cells})
    turned = 90 if any(b < 4 * a for a, b in pairwise(batches)) else 0  # 512 and 1024 have no room side by side
    for above, below, network in zip(*axes, networks, strict=True):
        above.set_title(network)
        below.set_xlabel("batch size")
        below.tick_params(axis="x", labelsize=8, labelrotation=turned)
    _scales(axes[0, 0], batches)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5 if len(networks) > 3 else 2,
                  frameon=False, fontsize=9)
    figure.suptitle(f"Time that ISBE saves, as a share of the other's\n95 % intervals; float32, threads: {study.threads}\n"
                    f"axis: linear to ±{LINEAR} %, then logarithmic, cut off at ±{MOST} %", fontsize=11)
    return figure


def _draw(ax: Axes, study: TimingStudy, network: str, part: str) -> None:
    """The control as a band, the routes as points with intervals, side by side."""
    control = study.savings[network, part, CONTROL]
    ax.fill_between(list(control), [100 * s.low for s in control.values()], [100 * s.high for s in control.values()],
                    color="grey", alpha=0.3, lw=0, label="isbe against itself (control)")
    ax.plot(list(control), [100 * s.value for s in control.values()], color="grey", lw=1, marker=".")
    for k, rival in enumerate(DRAWN):
        found, (colour, marker) = study.savings[network, part, rival], STYLE[rival]
        values = [100 * s.value for s in found.values()]
        arms = [[100 * (s.value - s.low) for s in found.values()], [100 * (s.high - s.value) for s in found.values()]]
        ax.errorbar([batch * 2 ** (0.3 * (k - 1)) for batch in found], values, arms, color=colour, marker=marker, ms=4.5,
                    lw=0.9, elinewidth=1.3, capsize=2, label=f"against {rival}")


def _scales(ax: Axes, batches: list[int]) -> None:
    """Of all axes, which share them."""
    if batches:
        ax.set_xscale("log", base=2)
        ax.set_xlim(batches[0] / 2, batches[-1] * 2)
        ax.set_xticks(batches, [str(batch) for batch in batches])
        ax.set_xticks([], minor=True)
    ax.set_yscale("symlog", linthresh=LINEAR, linscale=1.5)
    low, high = ax.get_ylim()
    ax.set_yticks(TICKS, [str(tick) for tick in TICKS])
    ax.set_yticks([], minor=True)
    ax.set_ylim(max(-MOST, min(low, -LINEAR)), min(MOST, max(high, 2 * LINEAR)))  # ticks have widened them
