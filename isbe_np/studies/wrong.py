"""Trainings that are wrong on purpose, each in one way, and some that only look wrong. The study of failures trains them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from isbe_np.heads import Head, Normalizer
from isbe_np.heads.targets import one_hot

RATE = 0.2  # at which softmax learns


class Formula(Normalizer):
    """A normalizer by its formula; `product` Jᵀ g may be wrong too."""

    def __init__(self, forward: Callable, product: Callable | None = None, low: float = 0.0):
        self.formula, self.low = forward, low
        if product is not None:
            self.product = product

    def forward(self, scores):
        return self.formula(scores)


class Sums(Head):
    """Softmax with targets of which each row sums to `total`; `train` itself passes labels alone."""

    def __init__(self, total: float, route: str = "isbe"):
        super().__init__("softmax", route)
        self.total = total

    def backward(self, targets, out=None):
        return super().backward(self.total * one_hot(targets, self.soft, 0, 1), out)


class Twice(Head):
    """The error y − t sent through softmax's Jacobian once more, as by a cross-entropy that already gave y − t."""

    def backward(self, targets, out=None):
        e, y = super().backward(targets), self.soft
        return y * (e - (y * e).sum(axis=1, keepdims=True))


def softmax(x: np.ndarray) -> np.ndarray:
    """Soft scores (N, C)."""
    return Head().forward(np.ascontiguousarray(x))


@dataclass(frozen=True)
class Failure:
    """What is done wrong, and `words` of a sentence that names it; `right`: nothing is. `bias`: of the scores at the start."""

    what: str
    words: str
    head: Callable[[], Head]
    rate: float = RATE
    bias: float | Sequence[float] = 0.0
    right: bool = False


FIRST = (200.0, *[0.0] * 9)
FAILURES = {
    "softmax": Failure("nothing", "", Head, right=True),
    "sums to 2, fused": Failure("nothing: fused sends 2 y − t", "", lambda: Sums(2, "fused"), right=True),
    "saturated, isbe": Failure("nothing: sigmoid from scores of −20", "", lambda: Head("sigmoid"), bias=-20, right=True),
    "identity": Failure("unbounded: y = x", "normalizer", lambda: Head("identity")),
    "exp": Failure("unbounded, not Lipschitz: y = exp x", "normalizer", lambda: Head(Formula(np.exp))),
    "argmax": Failure("a step, not Lipschitz: y = 1 for the largest x", "normalizer", lambda: Head(
        Formula(lambda x: (x == x.max(axis=1, keepdims=True)).astype(x.dtype)))),
    "sine": Failure("not monotone: y = sin x", "normalizer", lambda: Head(Formula(np.sin, low=-1.0))),
    "bump": Failure("not monotone: y = exp(−x²)", "normalizer", lambda: Head(Formula(lambda x: np.exp(-x * x)))),
    "falling": Failure("decreasing: y = softmax(−x)", "normalizer", lambda: Head(Formula(lambda x: softmax(-x)))),
    "rate 20": Failure("step 100 times too large", "steps were too large", Head, rate=100 * RATE),
    "rate 2e29": Failure("step 1e30 times too large", "steps were too large", Head, rate=1e30 * RATE),
    "sums to 2": Failure("targets sum to 2", "targets", lambda: Sums(2)),
    "sums to 1/2": Failure("targets sum to 1/2", "targets", lambda: Sums(0.5)),
    "saturated": Failure("chain rule, sigmoid from scores of −20, squared error", "saturated", lambda: Head(
        "sigmoid", "factored", loss="squared"), bias=-20),
    "flat zone": Failure("chain rule, hardsigmoid from scores of −20, squared error", "flat zone", lambda: Head(
        "hardsigmoid", "factored", loss="squared"), bias=-20),
    "underflow": Failure("route jacobian from a gap of scores of 200", "has the soft score 0", lambda: Head(
        "softmax", "jacobian"), bias=FIRST),
    "diagonal": Failure("softmax's J taken for its diagonal y (1 − y)", "diagonal", lambda: Head(
        Formula(softmax, lambda x, y, g: y * (1 - y) * g), "factored")),
    "twice": Failure("y − t through softmax's J once more", "twice", Twice),
}
