"""Do the routes agree? The error and every parameter gradient of a network, by each route, from one forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from isbe_np.graph import Graph
from isbe_np.heads import ROUTES, Head
from isbe_np.studies.measure import relative_difference

# What rounding may do to a relative difference (max |a - b| / max |b|), by dtype.
TOLERANCE = {"float32": 2e-6, "float64": 1e-12}


@dataclass
class Agreement:
    """How far two routes differ: in the error that the head sends, and in the parameter gradient where they differ most."""

    network: str
    dtype: str
    pair: tuple[str, str]
    head: float
    gradient: float
    parameter: str

    @property
    def within(self) -> bool:
        """True when both differences are within `TOLERANCE` (never when one is NaN)."""
        return self.head <= TOLERANCE[self.dtype] and self.gradient <= TOLERANCE[self.dtype]


def agreement(name: str, net: Graph, head: Head, x: np.ndarray, y: np.ndarray,
              routes: tuple[str, ...] = ROUTES) -> list[Agreement]:
    """One `Agreement` for each pair of routes, for a batch x (N, *shape) with targets y; `head.route` is left as it was."""
    if not net.parameters():
        raise ValueError(f"agreement compares parameter gradients, and {net!r} has no parameters. Add a layer that has some.")
    before = head.route
    head.forward(net.forward(x))
    errors, gradients = {}, {}
    try:
        for head.route in routes:
            errors[head.route] = head.backward(y)
            net.backward(errors[head.route])
            gradients[head.route] = {parameter.name: parameter.grad.copy() for parameter in net.parameters()}
    finally:
        head.route = before
    found = []
    for a, b in combinations(routes, 2):
        gaps = {key: relative_difference(gradients[a][key], gradients[b][key]) for key in gradients[a]}
        worst = max(gaps, key=lambda key: (np.isnan(gaps[key]), gaps[key]))
        found.append(Agreement(name, net.dtype.name, (a, b), relative_difference(errors[a], errors[b]), gaps[worst], worst))
    return found
