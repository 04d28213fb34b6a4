"""Saying why training stopped being finite, or why nothing was learnt though it did not.

A head is asked for its faults (see `head_faults`) only then: a training that learns is never looked at more closely, whatever
its head is. An unbounded normalizer, for one, learns at a small enough rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from isbe_np.graph import Graph
from isbe_np.heads import Head
from isbe_np.training.head_faults import distance, faults, silenced
from isbe_np.training.normalizer_faults import bound

# Scores or weights beyond this come of a step that was too large; those of a network that learns stay far below.
LARGE = 1e4
NO_CAUSE = "No cause was found"
GROWN = 100.0  # soft scores of so many times the largest target, from which on it matters that they have no bound
SIGMAS = 3.0  # standard deviations above guessing, from which on an accuracy is better
ALIKE = 1e-3  # of the largest score, within which those of all images lie if they are the same but for rounding
NOISE = 1.02  # times the mean of |y − t|², up to which it may rise in a training that is at its beginning
ROUNDING = 2e-6  # of the largest score, by which scores of the same parameters may differ from batch to batch
SMALLEST = float(np.finfo(np.float32).tiny)
SAMPLE = 32  # examples by which that is told


def diagnose(net: Graph, step: int, learning_rate: float, what: str, reason: str = "", head: Head | None = None,
             labels: np.ndarray | None = None) -> str:
    """A sentence for a network whose last pass was not finite: where it first went wrong, how large, the likely cause.

    `what` stopped being finite if no layer did; `reason` is its cause where that is known, such as what the head said. With
    the `head` and the batch's `labels` the head is asked for its faults before the step is blamed.
    """
    where, largest = _first_bad(net)
    weights = float(np.max(np.abs(net.values), initial=0.0, where=np.isfinite(net.values)))
    stray = largest > LARGE or weights > LARGE or not np.isfinite(net.values).all()
    known, steps = where is None and reason, too_large(learning_rate)
    found: list[str] = []
    if head is not None and labels is not None and (stray or (known and reason != steps)):
        found += faults(head, labels, net.nodes[-1].shape[-1], net.dtype)
    if known and not (found and reason == steps):
        found.append(reason)
    elif stray and not found:
        found.append(steps)
    cause = "; ".join(fault.removesuffix(".") for fault in found) or (
        "a layer made a number that is not finite out of moderate ones; look at its formula and its inputs")
    return (f"Training stopped at step {step}: {where or what} is no longer finite "
            f"(largest finite value so far {largest:.3g}, largest parameter {weights:.3g}, learning rate "
            f"{learning_rate:g}). Likely cause: {cause}.")


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


def guessing(labels: np.ndarray) -> float:
    """Accuracy of always answering the most frequent of the labels."""
    return float(np.bincount(labels.reshape(-1).astype(np.int64)).max() / labels.size)


def no_better(right: int, seen: int, guess: float) -> bool:
    """Whether so many right of those seen are no more than guessing may give; False where no number could be more."""
    limit = guess + SIGMAS * math.sqrt(guess * (1 - guess) / seen)
    return right / seen <= limit < 1


@dataclass
class Early:
    """The first examples of a training, with their scores as they came, by which progress is told later."""

    x: list[np.ndarray] = field(default_factory=list)
    y: list[np.ndarray] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)
    missing: int = SAMPLE

    def keep(self, x: np.ndarray, y: np.ndarray, scores: np.ndarray) -> None:
        """Copies of a batch x (N, ...), y (N, ...), scores (N, ..., C), as far as there is room."""
        for kept, given in ((self.x, x), (self.y, y), (self.scores, scores)):
            kept.append(given[:min(self.missing, len(scores))].copy())
        self.missing -= len(self.x[-1])

    def recall(self, batches: Iterable[tuple[np.ndarray, np.ndarray]], scores: np.ndarray | None) -> None:
        """Keep what was kept before: `scores` (n, ..., C) of the first n examples that `batches` give."""
        left = np.empty(0) if scores is None else scores
        for x, y in batches if len(left) else ():
            self.keep(x, y, left[:len(x)])
            left = left[len(x):]
            if not len(left):
                break

    def seen(self) -> np.ndarray | None:
        """The scores (n, ..., C) as they came, or None before the first step."""
        return np.concatenate(self.scores) if self.scores else None

    def now(self, net: Graph, head: Head) -> tuple[bool, bool, float]:
        """What became of them: whether they move and y − t is no larger, whether all get the same scores though they did not
        at first, and the largest score.
        """
        x, y, before = (np.concatenate(kept) for kept in (self.x, self.y, self.scores))
        after = net.forward(x)
        with np.errstate(all="ignore"):
            apart = [float(np.ptp(scores, axis=0).max() / max(np.abs(scores).max(), SMALLEST)) for scores in (before, after)]
            near = distance(head, after, y) < NOISE * distance(head, before, y)
            moved = np.abs(after - before).max() > ROUNDING * np.abs(before).max()
        return bool(near and moved), apart[1] < ALIKE < apart[0], float(np.abs(after).max())


def warn(net: Graph, head: Head, labels: np.ndarray, error: np.ndarray, learning_rate: float, early: Early,
         reached: str) -> str | None:
    """A sentence for a training whose accuracy is as of guessing, as `reached` tells; None where it learns, if slowly.

    `labels` (N,) and `error` (N, C) are of the last batch, of which `head` still knows the soft scores.
    """
    try:
        grown, dead = bool(np.abs(head.soft).max() > GROWN * bound(head)), silenced(head, labels, error)
    except Exception:  # a head of the user's own need not know its soft scores
        grown, dead = False, []
    found = faults(head, labels, error.shape[1], net.dtype, grown) + dead
    weights = float(np.abs(net.values).max(initial=0.0))
    learning, died, scores = early.now(net, head)
    seen = f"Nothing was learnt: {reached}, largest score {scores:.3g}, largest parameter {weights:.3g}."
    if not found and died:
        found = [f"all images get the same scores now, so that units are dead: {too_large(learning_rate)}"]
    elif not found and max(scores, weights) > LARGE and not learning:
        found = [too_large(learning_rate)]
    if found:
        return f"{seen} Likely cause: {'; '.join(found)}."
    if learning:
        return None
    return (f"{seen} {NO_CAUSE}; the head shows no fault. It may be the learning rate ({learning_rate:g}), too large "
            f"or too small; layers that pass no gradient on; or labels that do not belong to the images.")
