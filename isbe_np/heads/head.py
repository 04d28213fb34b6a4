"""The head of a classifier: from scores to soft scores, and from targets to the error sent back to the network.

`Head.forward` reads scores and normalizes them. `Head.backward` reads targets, encodes labels as numbers, takes one of the four
routes (`routes.py`) and reduces. `Head.error` is both in one call. `Head.loss` computes the loss where somebody asks for it.
"""

import threading

import numpy as np

from isbe_np.checks import nearest
from isbe_np.engine import softmax as engine
from isbe_np.heads.choices import BUILT_IN, REDUCTIONS, choose_loss, choose_normalizer, refuse_route
from isbe_np.heads.losses import values
from isbe_np.heads.normalizers import Softmax
from isbe_np.heads.reading import (
    buffer,
    dense_targets,
    read_scores,
    read_soft,
    read_targets,
    refuse_bad_row,
    refuse_error,
    refuse_nonfinite,
)
from isbe_np.heads.routes import ROUTES, SEND
from isbe_np.switch import read_kernels


class Head:
    """A normalizer with one of four routes for its error; ``head.route`` and ``head.kernels`` are switched between two calls.

    Several Python threads may use one head: `backward` and `loss` are of the last `forward` of the thread that calls them.

    Parameters
    ----------
    normalizer : one of `NORMALIZERS`, or your own object (see `Normalizer`).
    route : one of `ROUTES`. "isbe" sends soft − targets; the others send the gradient of the loss in the scores, which
        is the same for softmax with cross-entropy where each row of targets sums to 1.
    reduction : "mean" divides error and loss by the number of examples N (not by N·C); "none" and "sum" send the same.
    loss : one of `LOSSES`, what `loss` reports and routes 1 to 3 differentiate. By default the matching loss; for an
        object without a potential, cross-entropy (squared error if its ``positive`` is False).
    dilation, relocation : k > 0 and b of softmax(k ⊙ x + b), numbers or one for each class. Route "isbe" then sends the
        gradient but for the factor k.
    strict : let `backward` raise FloatingPointError rather than return NaN or infinity.
    kernels : one of `KERNELS`. "plain" computes all by the loops of `isbe_np/kernels/`. "fast" lets the engine compute softmax,
        its route "fused", and for `error` softmax and y − t in one pass. Both agree to rounding.
    """

    def __init__(self, normalizer="softmax", route="isbe", reduction="mean", *, loss=None, dilation=None,
                 relocation=None, strict=True, kernels="fast"):
        self.normalizer = choose_normalizer(normalizer, dilation, relocation)
        self.strict = strict
        self._name = getattr(self.normalizer, "name", type(self.normalizer).__name__)
        self._built_in = type(self.normalizer) in BUILT_IN.values()
        self._loss = choose_loss(self.normalizer, self._name, loss)
        self._last = _Last()
        self.reduction = reduction
        self.route = route
        self.kernels = kernels

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self.kernels = state.get("_kernels", "fast")  # here there may be no compiler

    def __repr__(self):
        return f"Head({self._name!r}, route={self.route!r}, reduction={self.reduction!r}, loss={self.loss_name!r})"

    @property
    def route(self) -> str:
        return self._route

    @route.setter
    def route(self, route: str):
        refuse_route(self.normalizer, self._name, self._loss, nearest("Head: route", route, ROUTES))
        self._route = route

    @property
    def kernels(self) -> str:
        """Which kernels compute, one of `KERNELS`; "plain" always under NUMBA_DISABLE_JIT=1."""
        return self._kernels

    @kernels.setter
    def kernels(self, kernels: str):
        self._kernels = read_kernels("Head: kernels", kernels)

    @property
    def reduction(self) -> str:
        return self._reduction

    @reduction.setter
    def reduction(self, reduction: str):
        self._reduction = nearest("Head: reduction", reduction, REDUCTIONS)

    @property
    def loss_name(self) -> str:
        """The loss by its usual name: "cross_entropy" for the matching loss of softmax."""
        return self._loss

    @property
    def encoding(self) -> tuple[float, float]:
        """Targets (low, high) of the classes that are not, and of the one that is, the label."""
        return getattr(self.normalizer, "low", 0.0), getattr(self.normalizer, "high", 1.0)

    @property
    def scores(self) -> np.ndarray:
        """Scores (N, C) of the last forward: the array that was passed in, not a copy."""
        return self._after_forward(self._last.scores)

    @property
    def soft(self) -> np.ndarray:
        """Soft scores (N, C) of the last forward; leave them unchanged until `backward` is done.

        `error` may have stored none; they are then computed when first asked for.
        """
        if self._last.soft is None and self._last.scores is not None:
            self._normalize(self._last.scores, np.empty_like(self._last.scores))
        return self._after_forward(self._last.soft)

    def _after_forward(self, array):
        if array is None:
            raise RuntimeError("Head: call forward(scores) first, in the same thread; there are no soft scores yet.")
        return array

    def forward(self, scores: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Soft scores (N, C) of the scores (N, C), float32 or float64, in a fresh array or in `out`.

        The head keeps `scores`, and `out` where one is given, and not copies: leave them unchanged until `backward` and
        `loss` are done. What is returned without `out` is yours: a copy, which `out` saves, and `error` too. Raises
        ValueError for scores that are not (N, C), are masked, or have no soft scores (NaN, infinity); TypeError for another
        dtype; FloatingPointError where a normalizer of yours returns none.
        """
        scores = self._read_scores(scores)
        soft = buffer("Head.forward", out, scores)
        self._normalize(scores, soft)
        return soft.copy() if out is None else out

    def _read_scores(self, given):
        """The scores as an array (N, C); what the head knew of others is forgotten, should these be refused."""
        self._last.scores = self._last.soft = None
        return read_scores(given)

    def _normalize(self, scores, soft):
        """Write the soft scores, refuse rows that have none, and keep both arrays."""
        if not isinstance(self.normalizer, Softmax):
            refuse_nonfinite(ValueError, "scores must be finite", scores)
        with np.errstate(all="ignore"):
            if type(self.normalizer) is Softmax:
                self.normalizer.forward(scores, soft, self.kernels)
            elif self._built_in:
                self.normalizer.forward(scores, soft)
            else:
                soft[...] = read_soft(self.normalizer.forward(scores), scores)
        if isinstance(self.normalizer, Softmax):
            refuse_bad_row(self.normalizer, scores, soft)
        self._last.scores, self._last.soft = scores, soft

    def backward(self, targets, out: np.ndarray | None = None) -> np.ndarray:
        """Error (N, C) to send back to the network, in a fresh array or in `out`.

        `targets` are class indices (N,), whole numbers from 0 of any dtype, or numbers (N, C). Raises ValueError for targets
        that are masked or do not fit the scores, TypeError for what holds no numbers,
        RuntimeError before `forward`, FloatingPointError (if `strict`) where the route divides by a soft score of 0.
        """
        y = self.soft
        e = buffer("Head.backward", out, self.scores, y)
        t = apart(dense_targets(targets, y, *self.encoding), e)
        with np.errstate(all="ignore"):
            SEND[self.route](self, y, t, e)
            if self.strict:
                refuse_error(self, t, e)
            if self.reduction == "mean":
                e /= batch(e)
        return e

    def error(self, scores: np.ndarray, targets, out: np.ndarray | None = None) -> np.ndarray:
        """Forward and backward in one call: the error (N, C) of the scores (N, C), in a fresh array or in `out`.

        What `forward` and `backward` refuse is refused in the same words; `out` then holds nothing of use. Afterwards `loss`
        and all else are as after those two. For softmax by route "isbe" fast kernels write the error row by row while the row
        is in the processor's cache, and never store the soft scores; it equals backward's but for rounding, not bit for bit.
        Other normalizers, routes and kernels do what `forward` and `backward` do, to the bit.
        """
        if not (_is_own(self.forward, Head.forward) and _is_own(self.backward, Head.backward)):
            self.forward(scores)  # a head of yours sends what its own two calls send
            return self.backward(targets) if out is None else self.backward(targets, out)
        scores = self._read_scores(scores)
        e = buffer("Head.backward", out, scores)
        if (type(self.normalizer), self.route, self.kernels) == (Softmax, "isbe", "fast"):
            return self._one_pass(scores, targets, e)
        self._normalize(scores, np.empty_like(scores))
        return self.backward(targets, e)

    def _one_pass(self, scores, targets, e):
        """`error` for softmax by route "isbe" with fast kernels: labels stay labels."""
        t = apart(read_targets(targets, scores), e)
        scale = 1 / batch(scores) if self.reduction == "mean" else 1.0
        engine.softmax_isbe_error(self.normalizer.shifted(scores), t, self.encoding, scale, e)
        refuse_bad_row(self.normalizer, scores, e)
        self._last.scores = scores
        return e

    def loss(self, targets) -> float | np.ndarray:
        """The loss, computed only when asked for here: a float, or (N,) for reduction "none". Accumulated in float64.

        Raises FloatingPointError where it is too large for float64.
        """
        t = dense_targets(targets, self.scores, *self.encoding)
        with np.errstate(all="ignore"):
            losses = values(self, t)
            if self.reduction == "mean":
                losses = losses / batch(self.scores)
            total = losses if self.reduction == "none" else float(losses.sum())
        if not np.isfinite(total).all():
            n = np.argmax(~np.isfinite(losses))
            raise FloatingPointError(f"Head.loss: {self._loss!r} has no finite value in float64: {losses[n]} in "
                                     f"row {n}. It is too large, or it takes the logarithm of a soft score that is 0.")
        return total


def _is_own(method, function) -> bool:
    """Whether `method` is the class's `function`, and neither a subclass nor an object has one of its own instead."""
    return getattr(method, "__func__", None) is function


class _Last(threading.local):
    """Scores and soft scores of the last forward pass, for each thread its own; copies keep those of the thread that copies."""

    scores: np.ndarray | None = None
    soft: np.ndarray | None = None

    def __reduce__(self):
        return _Last, (), vars(self)


def batch(scores: np.ndarray) -> int:
    """N of the scores (N, C), by which a mean divides; ValueError where there are no rows."""
    if not len(scores):
        raise ValueError("Head: the mean over an empty batch has no value. Use reduction 'sum' or 'none'.")
    return len(scores)


def apart(targets: np.ndarray, e: np.ndarray) -> np.ndarray:
    """The targets, copied where they lie in the memory of e: they are read while e is written."""
    return targets.copy() if np.may_share_memory(targets, e) else targets
