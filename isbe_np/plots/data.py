"""The figure of the study of data."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from isbe_np.plots.style import STYLE
from isbe_np.studies.comparison import TOLERANCE
from isbe_np.studies.data import OTHERS, DataStudy


def data_figure(study: DataStudy) -> Figure:
    """By data set, against the number of training images: accuracy, and below how far routes are apart in what was trained."""
    names = list(dict.fromkeys(row.data for row in study.rows))
    figure = Figure(figsize=(1.5 + 5 * len(names), 8), layout="constrained")
    for (above, below), name in zip(figure.subplots(2, len(names), squeeze=False, sharex="col").T, names, strict=True):
        rows = [row for row in study.rows if row.data == name]
        places = range(len(rows))
        for route, values, shift in (("isbe", [row.isbe for row in rows], -0.06), ("fused", [row.fused for row in rows], 0.06)):
            colour, marker = STYLE[route]
            points = [(place + shift, 100 * value) for place, some in enumerate(values) for value in some if value is not None]
            above.plot(*zip(*points, strict=True), marker, color=colour, ms=5, alpha=0.8, label=route) if points else None
            means = [np.mean([100 * v for v in some if v is not None] or [np.nan]) for some in values]
            above.plot([place + shift for place in places], means, color=colour, lw=1)
        for route in OTHERS:
            colour, marker = STYLE[route]
            worst = [max(row.gaps.get(route) or [np.nan]) for row in rows]
            below.plot(places, [gap if np.isfinite(gap) else np.nan for gap in worst], marker, color=colour, ls="-", lw=1, ms=6,
                       label=f"{route} and isbe")
        below.axhline(TOLERANCE["float32"], color="black", ls="--", lw=1, label="limit for networks at their start")
        above.set(ylabel="test accuracy, %; lines: means")
        above.set_title(f"{name}, {rows[0].network}", pad=24)
        below.set(yscale="log", ylabel="largest difference of gradients\n/ largest gradient", xlabel="training images")
        below.set_xticks(places, ["all" if row.images is None else f"{row.images:,}" for row in rows])
        for ax in (above, below):
            ax.grid(alpha=0.3)
            ax.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    figure.suptitle(f"ISBE and the fused cross-entropy as data grows, seeds {', '.join(map(str, study.seeds))}")
    return figure
