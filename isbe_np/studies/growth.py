"""How a measured value grows with a size: the exponent of a power law, and where it passes a level."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass
class PowerLaw:
    """value = scale · size^exponent, by least squares of logarithms over `points` sizes, `first` to `last`.

    `error` is the exponent's standard error and `r2` the share of the variance explained, both of logarithms; `deviation` is
    the largest factor between a value and the law, less 1. `flattest` and `steepest` are exponents between neighbouring
    sizes: far apart, they say that one exponent does not describe the range.
    """

    first: int
    last: int
    points: int
    scale: float
    exponent: float
    error: float
    r2: float
    deviation: float
    flattest: float
    steepest: float

    def at(self, size):
        """The value by the law at a size, or an array of them."""
        return self.scale * size**self.exponent


def power_law(values: Mapping[int, float], most: int) -> PowerLaw | None:
    """The law over the `most` largest sizes of {size: value > 0}; None for fewer than three."""
    sizes = sorted(values)[-most:]
    if len(sizes) < 3:
        return None
    x, y = np.log(sizes), np.log([values[size] for size in sizes])
    exponent, offset = np.polyfit(x, y, 1)
    residuals, slopes = y - (exponent * x + offset), np.diff(y) / np.diff(x)
    unexplained, spread = float(residuals @ residuals), float(((y - y.mean()) ** 2).sum())
    return PowerLaw(
        sizes[0], sizes[-1], len(sizes), math.exp(offset), float(exponent),
        error=math.sqrt(unexplained / (len(sizes) - 2) / float(((x - x.mean()) ** 2).sum())),
        r2=1 - unexplained / spread if spread else 0.0, deviation=math.expm1(float(np.abs(residuals).max())),
        flattest=float(slopes.min()), steepest=float(slopes.max()))


def crossing(values: Mapping[int, float], level: float) -> float | None:
    """The size from which on {size: value > 0} stays at `level` or more, between two sizes on a line of logarithms.

    The smallest size where all values are, None where the largest size's is not, or there is none.
    """
    sizes = sorted(values)
    below = [k for k, size in enumerate(sizes) if values[size] < level]
    if not below:
        return float(sizes[0]) if sizes else None
    if below[-1] == len(sizes) - 1:
        return None
    a, b = sizes[below[-1]], sizes[below[-1] + 1]
    return a * (b / a) ** (math.log(level / values[a]) / math.log(values[b] / values[a]))
