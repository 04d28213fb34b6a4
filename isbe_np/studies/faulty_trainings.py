"""Trainings that are wrong on purpose, each in one way, and some that only look wrong. The study of failures trains them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from isbe_np.heads import Head, Normalizer
from isbe_np.heads.reading import one_hot

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


class Smoothed(Head):
    """Softmax with targets of which each row has 0.1 spread over all classes."""

    def backward(self, targets, out=None):
        t = one_hot(targets, self.soft, 0, 1)
        return super().backward(0.9 * t + 0.1 / t.shape[1], out)


@dataclass(frozen=True)
class Failure:
    """What is done wrong, and `words` of a sentence that names it; `right`: nothing is.

    bias: of the scores at the start. batch_size, epochs: in place of the study's own.
    """

    what: str
    words: str
    head: Callable[[], Head]
    rate: float = RATE
    bias: float | Sequence[float] = 0.0
    right: bool = False
    batch_size: int | None = None
    epochs: int | None = None


def _fine(what: str, head: Callable[[], Head], **given) -> Failure:
    return Failure(f"nothing: {what}" if what else "nothing", "", head, right=True, **given)


FIRST = (200.0, *[0.0] * 9)
FAILURES = {
    "softmax": _fine("", Head),
    "sums to 2, fused": _fine("fused sends 2 y − t", lambda: Sums(2, "fused")),
    "saturated, isbe": _fine("sigmoid from scores of −20", lambda: Head("sigmoid"), bias=-20),
    "slow": _fine("one epoch at 1/1000 of the rate", Head, rate=RATE / 1000, epochs=1),
    "identity, slow": _fine("a linear regression at 1/10 of the rate", lambda: Head("identity"), rate=RATE / 10),
    "one by one": _fine("one epoch of batches of 1 at 1/100 of the rate", Head, rate=RATE / 100, batch_size=1, epochs=1),
    "sparsemax": _fine("soft scores that are 0", lambda: Head("sparsemax")),
    "entmax": _fine("soft scores that are 0", lambda: Head("entmax15")),
    "smoothed": _fine("targets with 0.1 spread over all classes", Smoothed),
    "squared": _fine("chain rule of squared error", lambda: Head("softmax", "factored", loss="squared")),
    "identity": Failure("unbounded: y = x", "not bounded", lambda: Head("identity")),
    "exp": Failure("unbounded, not Lipschitz: y = exp x", "not bounded", lambda: Head(Formula(np.exp))),
    "argmax": Failure("a step, not Lipschitz: y = 1 for the largest x", "y jumps", lambda: Head(
        Formula(lambda x: (x == x.max(axis=1, keepdims=True)).astype(x.dtype)))),
    "sine": Failure("not monotone: y = sin x", "not monotone", lambda: Head(Formula(np.sin, low=-1.0))),
    "bump": Failure("not monotone: y = exp(−x²)", "not monotone", lambda: Head(Formula(lambda x: np.exp(-x * x)))),
    "falling": Failure("decreasing: y = softmax(−x)", "not monotone", lambda: Head(Formula(lambda x: softmax(-x)))),
    "rate 20": Failure("step 100 times too large", "steps were too large", Head, rate=100 * RATE),
    "rate 2e29": Failure("step 1e30 times too large", "steps were too large", Head, rate=1e30 * RATE),
    "sums to 2": Failure("targets sum to 2", "targets: a row of them sums to", lambda: Sums(2)),
    "sums to 1/2": Failure("targets sum to 1/2", "targets: a row of them sums to", lambda: Sums(0.5)),
    "saturated": Failure("chain rule, sigmoid from scores of −20, squared error", "are saturated", lambda: Head(
        "sigmoid", "factored", loss="squared"), bias=-20),
    "flat zone": Failure("chain rule, hardsigmoid from scores of −20, squared error", "lie in a flat zone", lambda: Head(
        "hardsigmoid", "factored", loss="squared"), bias=-20),
    "underflow": Failure("route jacobian from a gap of scores of 200", "has the soft score 0", lambda: Head(
        "softmax", "jacobian"), bias=FIRST),
    "diagonal": Failure("softmax's J taken for its diagonal y (1 − y)", "J's diagonal alone", lambda: Head(
        Formula(softmax, lambda x, y, g: y * (1 - y) * g), "factored")),
    "twice": Failure("y − t through softmax's J once more", "Jacobian once more", Twice),
}
