"""Figures of one example: the Jacobian, the routes, every number of an explanation, and the gap at which NaN begins."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from isbe_np import checks
from isbe_np.explain import Explanation
from isbe_np.heads import ROUTES, Head, softmax_jacobian
from isbe_np.plots.style import HATCHES, SIGNED, STYLE, no_spines, shade, text_of
from isbe_np.reports.summary import explanation_rows, explanation_title, wrapped
from isbe_np.studies.comparison import TOLERANCE
from isbe_np.studies.measure import relative_difference

FORMULAS = {"jacobian": "$J^T g$, with $J$", "factored": "$J^T g$, without $J$", "fused": "gradient of the loss",
            "isbe": "$y - t$"}


def collapse_figure(scores: np.ndarray, label: int) -> Figure:
    """One example's softmax Jacobian J, cross-entropy gradient g, and their product beside y - t, as numbers."""
    head = Head("softmax", "jacobian", "sum")
    soft = head.forward(checks.real_array("collapse_figure(scores)", scores, np.float64)[None])
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


def jacobian_figure(jacobian: np.ndarray, title: str = "Jacobian $J_{ij} = \\partial y_i\\,/\\,\\partial x_j$") -> Figure:
    """A Jacobian J (C, C) as a heat map, with its numbers where at most 12 classes leave room for them."""
    J = checks.numbers("jacobian_figure(jacobian)", jacobian)
    if J.ndim != 2 or J.shape[0] != J.shape[1]:
        raise ValueError(f"jacobian_figure expects the Jacobian (C, C) of one example; got shape {J.shape}. Pass J[n].")
    C = len(J)
    figure = Figure(figsize=(2.2 + 0.62 * min(C, 12), 1.4 + 0.55 * min(C, 12)), layout="constrained")
    ax = figure.subplots()
    top = np.abs(J[np.isfinite(J)]).max(initial=0) or 1.0
    image = ax.imshow(J, cmap=SIGNED, vmin=-1.6 * top, vmax=1.6 * top)
    if C <= 12:
        for (i, j), value in np.ndenumerate(J):
            ax.text(j, i, f"{value + 0.0:.3f}".replace("-", "−"), ha="center", va="center", fontsize=10 if C < 7 else 8)
        ax.set(xticks=range(C), yticks=range(C))
    ax.set(xlabel="score $x_j$, class j", ylabel="soft score $y_i$, class i")
    ax.set_title(title, fontsize=11)
    bar = figure.colorbar(image, ax=ax, label="change of $y_i$ for each unit of $x_j$", shrink=0.9)
    bar.ax.set_ylim(-top, top)
    return figure


def routes_figure(found: Explanation) -> Figure:
    """The error of one example by each of the four routes, side by side on one scale; or why a route has none."""
    C = len(found.scores)
    figure = Figure(figsize=(11, 1.7 + 0.32 * C), layout="constrained")
    panels = figure.subplots(1, len(ROUTES), sharex=True, sharey=True)
    sizes = [np.abs(e[np.isfinite(e)]).max(initial=0) for e in found.errors.values()]
    top = max(sizes) or 1.0
    for ax, route, hatch in zip(panels, ROUTES, HATCHES, strict=True):
        ax.axvline(0, color="black", lw=0.8)
        ax.set_title(f"{route}\n{FORMULAS[route]}", fontsize=11)
        ax.set(xlabel="error (no unit)", xlim=(-2.1 * top, 2.1 * top), yticks=range(C), ylim=(C - 0.5, -0.5))
        if route in found.refused:
            ax.text(0.5, 0.5, textwrap.fill(found.refused[route].removeprefix("Head: ").split(". ")[0] + ".", 30), ha="center",
                    va="center", transform=ax.transAxes, fontsize=7, bbox={"fc": "white", "ec": "#999999"})
            continue
        for j, value in enumerate(found.errors[route]):
            fine = np.isfinite(value)
            ax.barh(j, value if fine else 0, color=STYLE[route][0], alpha=0.75, hatch=hatch, edgecolor="white")
            ax.text((value if fine else 0) + (-0.05 if value < 0 else 0.05) * top, j, text_of(value), va="center",
                    ha="right" if value < 0 else "left", fontsize=9, weight="normal" if fine else "bold")
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.grid(axis="x", alpha=0.3)
    panels[0].set_ylabel("class")
    what = explanation_title(found).replace(f", route {found.head.route}", "")
    figure.suptitle(f"One example's error by four routes: {what}")
    return figure


def explanation_figure(found: Explanation) -> Figure:
    """Every number of an explanation in its place, a line for each array or row of one, and what they say beneath."""
    C, groups = len(found.scores), explanation_rows(found)
    words = "\n".join(wrapped(f"• {sentence}", 50 + 12 * C) for sentence in found.sentences)
    lines = sum(map(len, groups)) + 0.5 * (len(groups) - 1)
    figure = Figure(figsize=(3.4 + 0.85 * C, 1.1 + 0.3 * lines + 0.17 * (1 + words.count("\n"))), layout="constrained")
    ax = figure.subplots()
    colours, places, labels, y = colormaps[SIGNED], [], [], 0.0
    for group in groups:
        for row in group:
            for j, (value, place) in enumerate(zip(row.numbers, shade(row.numbers), strict=True)):
                fine = np.isfinite(place)
                filled = {"fc": colours(place / 3.2 + 0.5), "ec": "white", "lw": 1.5}
                hatched = {"fc": "white", "ec": "#999999", "lw": 0, "hatch": "////"}
                ax.add_patch(Rectangle((j - 0.5, y - 0.5), 1, 1, **(filled if fine else hatched)))
                ax.text(j, y, text_of(value), ha="center", va="center", fontsize=9, weight="normal" if fine else "bold",
                        bbox=None if fine else {"fc": "white", "ec": "none", "pad": 1.5})
            places.append(y)
            labels.append("   ".join(filter(None, (f"{row.part} {row.shape}".strip(), row.what))).replace("-", "−"))
            y += 1
        y += 0.5
    ax.set(xlim=(-0.5, C - 0.5), ylim=(y - 1, -0.5), yticks=places, yticklabels=labels, xticks=range(C),
           xlabel="class i", ylabel="intermediate (shape)")
    ax.xaxis.set_label_position("top")
    ax.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    no_spines(ax)
    figure.suptitle(explanation_title(found), fontsize=11)
    figure.supxlabel(words, x=0.02, ha="left", fontsize=8.5)
    return figure


def range_figure(classes: int = 3, limits: dict[str, float] | None = None) -> Figure:
    """How far softmax's routes lie from y - t by the gap of the scores, in float32 and float64, and where NaN begins.

    The scores are (d, 0, 0, ...) and the target is class 1, whose soft score y shrinks like e^-d: -t / y overflows, to
    infinity, before y is 0. limits: the largest gap d to draw, by dtype.
    """
    limits = limits or {"float32": 120.0, "float64": 800.0}
    figure = Figure(figsize=(10.5, 4), layout="constrained")
    for ax, (dtype, last) in zip(np.ravel(figure.subplots(1, len(limits), squeeze=False)), limits.items(), strict=True):
        gaps = np.linspace(0, last, 241)
        floor = float(np.finfo(dtype).eps) / 8
        heights = np.array([_differences(gap, classes, dtype) for gap in gaps]).T
        for k, (route, y) in enumerate(zip(ROUTES, heights, strict=False)):
            # where there is no difference the axis has no place; NaN stays NaN, and is not drawn
            ax.plot(gaps, np.maximum(y, floor), ls="none", color=STYLE[route][0], marker=STYLE[route][1], ms=[8, 6, 4][k],
                    mfc="none", markevery=slice(2 * k, None, 6), label=route)
        if np.isnan(heights[0]).any():
            begin = _first_nan(gaps[np.argmax(np.isnan(heights[0]))], classes, dtype, last / 240)
            ax.axvspan(begin, last, facecolor="#D55E00", alpha=0.12, hatch="//", edgecolor="#D55E00")
            ax.text(begin - 0.02 * last, 0.5, f"jacobian, factored: NaN\nor infinity from {begin:.5g} on", ha="right",
                    va="center", fontsize=9, transform=ax.get_xaxis_transform(), bbox={"fc": "white", "ec": "none"})
        ax.axhline(TOLERANCE[dtype], color="black", lw=1, ls="--", label="tolerance")
        ax.text(0.01 * last, floor * 0.75, "no difference at all", fontsize=8, va="top")
        ax.set(yscale="log", xlim=(0, last), ylim=(floor / 4, 20 * TOLERANCE[dtype]), title=dtype,
               xlabel="gap d between the largest score and the target's (no unit)",
               ylabel="largest difference from y − t, relative")
        ax.grid(alpha=0.3)
    figure.axes[-1].legend(fontsize=9, loc="upper left", ncols=2)
    figure.suptitle("Routes that divide by y break down where 1/y overflows; fused and isbe do not")
    return figure


def _differences(gap: float, classes: int, dtype: str) -> list[float]:
    """How far routes jacobian, factored and fused lie from isbe, relative, for the scores (gap, 0, ...) and target 1."""
    head = Head("softmax", reduction="sum", strict=False)
    scores = np.zeros((1, classes), dtype)
    scores[0, 0] = gap
    head.forward(scores)
    errors = {}
    for head.route in ROUTES:
        errors[head.route] = head.backward(np.array([1]))
    return [relative_difference(errors[route], errors["isbe"]) for route in ROUTES[:3]]


def _first_nan(high: float, classes: int, dtype: str, step: float) -> float:
    """The least gap at which route jacobian sends no number, between high - step and high, found by halving."""
    low = high - step
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (low, middle) if np.isnan(_differences(middle, classes, dtype)[0]) else (middle, high)
    return high
