"""Saying why training stopped being finite."""

from __future__ import annotations

import numpy as np

from isbe_np.graph import Graph

# Scores or weights beyond this come of a step that was too large; those of a network that learns stay far below.
LARGE = 1e4


def diagnose(net: Graph, step: int, learning_rate: float, what: str, reason: str = "") -> str:
    """A sentence for a network whose last pass was not finite: where it first went wrong, how large, the likely cause.

    `what` stopped being finite if no layer did; `reason` is its cause where that is known, such as what the head said.
    """
    where, largest = _first_bad(net)
    weights = float(np.max(np.abs(net.values), initial=0.0, where=np.isfinite(net.values)))
    if where is None and reason:
        cause = reason
    elif largest > LARGE or weights > LARGE or not np.isfinite(net.values).all():
        cause = too_large(learning_rate)
    else:
        cause = "a layer made a number that is not finite out of moderate ones; look at its formula and its inputs"
    return (f"Training stopped at step {step}: {where or what} is no longer finite "
            f"(largest finite value so far {largest:.3g}, largest parameter {weights:.3g}). "
            f"Likely cause: {cause.removesuffix('.')}.")


def too_large(learning_rate: float) -> str:
    """The cause that is most common."""
    return (f"the steps were too large (learning rate {learning_rate:g}); lower it tenfold, or use the schedule "
            f"'warm_up_and_decay'")


def _first_bad(net: Graph) -> tuple[str | None, float]:
    """The first node, or parameter's gradient, with NaN or infinity, and the largest finite value up to there."""
    largest = 0.0
    for name in net.names.values():
        value = net.value(name)
        finite = np.isfinite(value)
        largest = max(largest, float(np.max(np.abs(value), initial=0.0, where=finite)))
        if not finite.all():
            return f"the output of layer {name!r}", largest
    for parameter in reversed(net.parameters()):  # the way the backward pass goes
        if not np.isfinite(parameter.grad).all():
            return f"the gradient of {parameter.name!r}", largest
    return None, largest
