"""What figures share: colours with a marker each, and tables of coloured numbers."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from isbe_np.reports.summary import number

# Okabe & Ito's palette, told apart by colour-blind readers, each with a marker of its own for print.
STYLE = {"jacobian": ("#D55E00", "s"), "factored": ("#E69F00", "^"), "fused": ("#0072B2", "o"),
         "isbe": ("#009E73", "D"), "one pass": ("#CC79A7", "v"), "isbe again": ("#777777", "x")}
HATCHES = ("//", "\\\\", "..", "xx")  # for print, where bands and bars have no colour
SIGNED = "RdBu_r"  # red above 0, blue below: readable by the colour-blind, and the numbers stand in it


def look(name: str, k: int) -> tuple[str, str]:
    """Colour and marker of a route, or of the k-th of other things."""
    others = ("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "D"), ("#CC79A7", "^"), ("#E69F00", "v"), ("#56B4E9", "P")
    return STYLE[name] if name in STYLE else others[k % len(others)]


def shade(numbers: np.ndarray) -> np.ndarray:
    """Numbers as places on `SIGNED` between -1.6 and 1.6, pale enough for black text; NaN where they are not finite."""
    with np.errstate(all="ignore"):
        return np.where(np.isfinite(numbers), np.tanh(3 * numbers), np.nan)


def text_of(value: float) -> str:
    """A number as `report.number` writes it, with a true minus sign."""
    return number(value).replace("-", "−")


def log_decades(ax: Axes, low: float, high: float) -> None:
    """Make the x axis logarithmic, from a power of ten to another that hold both ends: a label a power, none between them."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ax.set(xscale="log", xlim=(10.0**first / 1.5, 10.0 ** max(last, first + 1) * 1.5))
    ax.xaxis.set_major_locator(LogLocator(numticks=7))
    ax.xaxis.set_minor_formatter(NullFormatter())


def no_spines(ax) -> None:
    """Take away the frame."""
    for spine in ax.spines.values():
        spine.set_visible(False)
