"""The head of a classifier: from scores to soft scores, and from targets to the error sent back to the network."""

import threading

import numpy as np

from isbe_np.checks import float_array, is_room, nearest, real_array
from isbe_np.engine.softmax import first_bad_row
from isbe_np.heads.elementwise import HardSigmoid, HardTanh, Identity, Sigmoid, Tanh
from isbe_np.heads.losses import LOSSES, all_finite, values
from isbe_np.heads.normalizers import Normalizer, Softmax
from isbe_np.heads.routes import ROUTES, SEND, refuse_loss, refuse_nonfinite, refuse_route
from isbe_np.heads.sparse import Entmax15, Sparsemax
from isbe_np.heads.targets import one_hot, read_targets

BUILT_IN = {cls.name: cls for cls in (Softmax, Sigmoid, Tanh, HardSigmoid, HardTanh, Identity, Sparsemax, Entmax15)}
NORMALIZERS = tuple(BUILT_IN)
REDUCTIONS = ("none", "sum", "mean")


class Head:
    """A normalizer with one of four routes for its error; ``head.route`` may be switched between two backward calls.

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
    """

    def __init__(self, normalizer="softmax", route="isbe", reduction="mean", *, loss=None, dilation=None,
                 relocation=None, strict=True):
        self.normalizer = _normalizer(normalizer, dilation, relocation)
        self.strict = strict
        self._name = getattr(self.normalizer, "name", type(self.normalizer).__name__)
        self._built_in = type(self.normalizer) in BUILT_IN.values()
        self._loss = self._named_loss(loss)
        self._last = _Last()
        self.reduction = reduction
        self.route = route

    def __repr__(self):
        return f"Head({self._name!r}, route={self.route!r}, reduction={self.reduction!r}, loss={self.loss_name!r})"

    def _named_loss(self, loss):
        matching = getattr(self.normalizer, "matching", "matching")
        if loss is None:
            if matching != "matching" or hasattr(self.normalizer, "potential"):
                return matching
            return "cross_entropy" if getattr(self.normalizer, "positive", True) else "squared"
        name = matching if nearest("Head: loss", loss, LOSSES) == "matching" else loss
        refuse_loss(self.normalizer, self._name, name)
        return name

    @property
    def route(self) -> str:
        return self._route

    @route.setter
    def route(self, route: str):
        refuse_route(self.normalizer, self._name, self._loss, nearest("Head: route", route, ROUTES))
        self._route = route

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
        last = self._last
        if last.soft is None and last.scores is not None:
            last.soft = self.normalizer.forward(last.scores)
        return self._after_forward(last.soft)

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
        soft = _room("Head.forward", out, scores)
        self._normalize(scores, soft)
        return soft.copy() if out is None else out

    def _read_scores(self, given):
        """The scores as an array (N, C); what the head knew of others is forgotten, should these be refused."""
        self._last.scores = self._last.soft = None
        scores = float_array("Head.forward", given)
        if scores.ndim != 2 or scores.shape[1] == 0:
            raise ValueError(f"Head.forward expects scores of shape (N, C) with C >= 1; got {scores.shape}.")
        return scores

    def _normalize(self, scores, soft):
        """Write the soft scores, check them, and keep both arrays."""
        if not isinstance(self.normalizer, Softmax):
            _refuse_nonfinite(ValueError, "scores must be finite", scores)
        with np.errstate(all="ignore"):
            if self._built_in:
                self.normalizer.forward(scores, out=soft)
            else:
                soft[...] = _of_normalizer(self.normalizer.forward(scores), scores)
        if isinstance(self.normalizer, Softmax):
            _refuse_bad_row(self.normalizer, scores, soft)
        elif not self._built_in:
            _refuse_nonfinite(FloatingPointError, "the normalizer must return finite soft scores", soft)
        self._last.scores, self._last.soft = scores, soft

    def backward(self, targets, out: np.ndarray | None = None) -> np.ndarray:
        """Error (N, C) to send back to the network, in a fresh array or in `out`.

        `targets` are class indices (N,), whole numbers from 0 of any dtype, or numbers (N, C). Raises ValueError for targets
        that are masked or do not fit the scores, TypeError for what holds no numbers,
        RuntimeError before `forward`, FloatingPointError (if `strict`) where the route divides by a soft score of 0.
        """
        e = _room("Head.backward", out, self.scores, self.soft)
        t = self._targets(targets, by_label=self.route in ("fused", "isbe"))
        with np.errstate(all="ignore"):
            SEND[self.route](self, t, e)
            if self.strict and t.ndim == 2:  # what labels give by routes fused and isbe is finite: y, and y − 1
                refuse_nonfinite(self, t, e)
            if self.reduction == "mean":
                e /= _batch(e)
        return e

    def error(self, scores: np.ndarray, targets, out: np.ndarray | None = None) -> np.ndarray:
        """Forward and backward in one call: the error (N, C) of the scores (N, C), in a fresh array or in `out`.

        What `forward` and `backward` refuse is refused in the same words; `out` then holds nothing of use. Afterwards `loss`
        and all else are as after those two. For softmax by route "isbe" the error is written row by row while the row is in
        the processor's cache, and the soft scores are never stored; it equals backward's but for rounding, not bit for bit.
        Other normalizers and routes do what `forward` and `backward` do, to the bit.
        """
        if not (_is_own(self.forward, Head.forward) and _is_own(self.backward, Head.backward)):
            self.forward(scores)  # a head of yours sends what its own two calls send
            return self.backward(targets) if out is None else self.backward(targets, out)
        scores = self._read_scores(scores)
        e = _room("Head.backward", out, scores)
        if self._route != "isbe" or type(self.normalizer) is not Softmax:
            self._normalize(scores, np.empty_like(scores))
            return self.backward(targets, e)
        t = read_targets(targets, scores)
        t = t.copy() if np.may_share_memory(t, e) else t  # they are read after e is written
        self.normalizer.isbe_error(scores, t, 1 / _batch(scores) if self._reduction == "mean" else 1.0, e)
        _refuse_bad_row(self.normalizer, scores, e)
        self._last.scores = scores
        return e

    def loss(self, targets) -> float | np.ndarray:
        """The loss, computed only when asked for here: a float, or (N,) for reduction "none". Accumulated in float64.

        Raises FloatingPointError where it is too large for float64.
        """
        by_label = self._loss == "cross_entropy" and isinstance(self.normalizer, Softmax)
        t = self._targets(targets, by_label)
        with np.errstate(all="ignore"):
            losses = values(self, t)
            if self.reduction == "mean":
                losses = losses / _batch(self.scores)
            total = losses if self.reduction == "none" else float(losses.sum())
        if not np.isfinite(total).all():
            n = np.argmax(~np.isfinite(losses))
            raise FloatingPointError(f"Head.loss: {self._loss!r} has no finite value in float64: {losses[n]} in "
                                     f"row {n}. It is too large, or it takes the logarithm of a soft score that is 0.")
        return total

    def _targets(self, given, by_label):
        t = read_targets(given, self.scores)
        return t if by_label or t.ndim == 2 else one_hot(t, self.scores, *self.encoding)


def _is_own(method, function) -> bool:
    """Whether `method` is the class's `function`, and neither a subclass nor an object has one of its own instead."""
    return getattr(method, "__func__", None) is function


class _Last(threading.local):
    """Scores and soft scores of the last forward pass, for each thread its own; copies keep those of the thread that copies."""

    scores: np.ndarray | None = None
    soft: np.ndarray | None = None

    def __reduce__(self):
        return _Last, (), vars(self)


def _batch(scores):
    if not len(scores):
        raise ValueError("Head: the mean over an empty batch has no value. Use reduction 'sum' or 'none'.")
    return len(scores)


def _normalizer(given, dilation, relocation) -> Normalizer:
    if isinstance(given, str) and given == "softmax":
        return Softmax(dilation, relocation)
    if dilation is not None or relocation is not None:
        raise ValueError("Head: dilation and relocation belong to 'softmax', the family for which y − t is "
                         f"cross-entropy's gradient; {given!r} takes neither. Scale its scores before the head.")
    if isinstance(given, type):
        raise TypeError(f"Head expects a normalizer object; got the class {given.__name__}. Write {given.__name__}().")
    if callable(getattr(given, "forward", None)):
        return given
    return BUILT_IN[nearest("Head: normalizer", given, NORMALIZERS)]()


def _room(who, out, *used):
    """`out` if it can hold such an array as those `used` and shares no memory with them; a new one if it is None."""
    like = used[0]
    if out is None:
        return np.empty_like(like)
    if not is_room(out, like.shape, like.dtype):
        raise ValueError(f"{who}: out must be an array of shape {like.shape} and {like.dtype}.")
    if not (out.flags.c_contiguous and out.flags.writeable) or any(np.may_share_memory(out, a) for a in used):
        raise ValueError(f"{who}: out must be C-contiguous, writeable and apart from the arrays the head still needs.")
    return out


def _of_normalizer(given, scores):
    soft = real_array("Head.forward", given, scores.dtype, "soft scores from the normalizer")
    if soft.shape != scores.shape:
        raise ValueError(f"Head.forward: the normalizer must return shape {scores.shape}; got {soft.shape}.")
    return soft


def _refuse_nonfinite(kind, what, array):
    if not all_finite(array):
        n, c = np.argwhere(~np.isfinite(array))[0]
        raise kind(f"Head.forward: {what}; row {n}, class {c} is {array[n, c]}.")


def _refuse_bad_row(softmax, scores, soft):
    if (n := first_bad_row(soft)) >= 0:
        x = softmax.shifted(scores)[n]
        bad = np.flatnonzero(np.isnan(x) | (x == np.inf))
        what = f"class {bad[0]} is {x[bad[0]]}" if bad.size else "every class is -inf"
        raise ValueError(f"Head.forward: row {n} of the scores has no softmax: {what}.")
