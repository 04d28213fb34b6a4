"""What a head reads, and refuses in words: scores, targets, room for a result, and what a normalizer of yours returns.

Targets are written as users write them: a class index for each example (N,), or one number for each score (N, C).
"""

import numpy as np

from isbe_np import checks
from isbe_np.heads.losses import gradient
from isbe_np.kernels import finite


def all_finite(array: np.ndarray) -> bool:
    """True when no number of the C-contiguous array is NaN or infinite: one pass, and no array of truths."""
    return finite.all_finite(array.reshape(-1))


def read_scores(given) -> np.ndarray:
    """The scores as an array (N, C) of float32 or float64."""
    scores = checks.float_array("Head.forward", given)
    if scores.ndim != 2 or scores.shape[1] == 0:
        mend = " For a single example, pass scores[None]." if scores.ndim == 1 else ""
        raise ValueError(f"Head.forward expects scores of shape (N, C) with C >= 1; got {scores.shape}.{mend}")
    return scores


def read_targets(given, scores: np.ndarray) -> np.ndarray:
    """Class indices (N,) as int64, or dense targets (N, C) of the dtype of the scores (N, C).

    Raises ValueError for another shape, masked entries, a label of no class, or a number that is not finite; TypeError for
    what holds no numbers.
    """
    N, C = scores.shape
    targets = checks.numbers("Head(targets)", given, "whole-number labels (N,) or numbers (N, C)", names=True)
    if targets.shape == (N,):
        return checks.class_indices("Head(targets)", targets, C)
    if targets.shape != (N, C):
        raise ValueError(f"Head(targets) expects ({N},) labels or ({N}, {C}) numbers for scores of shape ({N}, {C}); got shape "
                         f"{targets.shape}.{checks.one_too_many(targets.shape, (N,), C)}")
    dense = checks.real_array("Head(targets)", targets, scores.dtype)
    if not all_finite(dense):
        n, c = np.argwhere(~np.isfinite(dense))[0]
        raise ValueError(f"Head(targets) expects numbers that are finite in {scores.dtype}; row {n}, class {c} is "
                         f"{targets[n, c]}.")
    return dense


def dense_targets(given, scores: np.ndarray, low: float, high: float) -> np.ndarray:
    """Targets (N, C) of the dtype of the scores (N, C), as `read_targets` reads them; labels are encoded by `one_hot`."""
    targets = read_targets(given, scores)
    return one_hot(targets, scores, low, high) if targets.ndim == 1 else targets


def one_hot(labels: np.ndarray, scores: np.ndarray, low: float, high: float) -> np.ndarray:
    """Dense targets (N, C): `high` for the labelled class, `low` for the others, in the dtype of the scores (N, C)."""
    targets = np.full(scores.shape, low, scores.dtype)
    targets[np.arange(len(labels)), labels] = high
    return targets


def buffer(who: str, out: np.ndarray | None, *used: np.ndarray) -> np.ndarray:
    """`out` if it can hold such an array as those `used` and shares no memory with them; a new one if it is None."""
    like = used[0]
    if out is None:
        return np.empty_like(like)
    if not checks.is_room(out, like.shape, like.dtype):
        raise ValueError(f"{who}: out must be an array of shape {like.shape} and {like.dtype}.")
    if not (out.flags.c_contiguous and out.flags.writeable) or any(np.may_share_memory(out, a) for a in used):
        raise ValueError(f"{who}: out must be C-contiguous, writeable and apart from the arrays the head still needs.")
    return out


def read_soft(given, scores: np.ndarray) -> np.ndarray:
    """The soft scores that a normalizer of yours returned, of the shape and dtype of the scores (N, C), and finite."""
    soft = checks.real_array("Head.forward", given, scores.dtype, "soft scores from the normalizer")
    if soft.shape != scores.shape:
        raise ValueError(f"Head.forward: the normalizer must return shape {scores.shape}; got {soft.shape}.")
    refuse_nonfinite(FloatingPointError, "the normalizer must return finite soft scores", soft)
    return soft


def read_jacobian(given, soft: np.ndarray) -> np.ndarray:
    """The Jacobians (N, C, C) that a normalizer returned for the soft scores (N, C)."""
    J = checks.real_array("Head.backward", given, soft.dtype, "a Jacobian from the normalizer")
    if J.shape != (*soft.shape, soft.shape[1]):
        raise ValueError(f"Head: the normalizer's jacobian must return shape {(*soft.shape, soft.shape[1])}; got {J.shape}.")
    return J


def read_product(given, soft: np.ndarray) -> np.ndarray:
    """The product Jᵀ g (N, C) that a normalizer returned."""
    return checks.real_array("Head.backward", given, soft.dtype, "a product from the normalizer")


def refuse_nonfinite(kind: type[Exception], what: str, array: np.ndarray) -> None:
    """`kind` with the first number of `array` (N, C) that is not finite."""
    if not all_finite(array):
        n, c = np.argwhere(~np.isfinite(array))[0]
        raise kind(f"Head.forward: {what}; row {n}, class {c} is {array[n, c]}.")


def refuse_bad_row(softmax, scores: np.ndarray, computed: np.ndarray) -> None:
    """ValueError for the first row of scores that has no softmax: softmax and y − t (N, C) are NaN there."""
    if (n := finite.first_nan_row(computed)) >= 0:
        x = softmax.shifted(scores)[n]
        bad = np.flatnonzero(np.isnan(x) | (x == np.inf))
        what = f"class {bad[0]} is {x[bad[0]]}" if bad.size else "every class is -inf"
        raise ValueError(f"Head.forward: row {n} of the scores has no softmax: {what}.")


def refuse_error(head, t: np.ndarray, e: np.ndarray) -> None:
    """FloatingPointError naming the first number of the error e (N, C) that is not finite, with its cause."""
    if all_finite(e):
        return
    n, c = np.argwhere(~np.isfinite(e))[0]
    cause = f"J or a product is not finite in {e.dtype}"
    if head.route in ("jacobian", "factored"):
        g = gradient(head.loss_name, head.normalizer, head.soft, t)[n]
        bad = np.flatnonzero(~np.isfinite(g))
        if bad.size:
            cause = (f"class {bad[0]} has the soft score {head.soft[n, bad[0]]:.3g} in {e.dtype} and the target "
                     f"{t[n, bad[0]]:.3g}, so ∂loss/∂soft is {g[bad[0]]} there, and 0 · inf is NaN")
    raise FloatingPointError(f"Head.backward: route {head.route!r} gives {e[n, c]} in row {n}, class {c}: {cause}. Use "
                             "route 'isbe' (or 'fused', if the loss is the matching one), which divides by no soft "
                             "score, or float64 scores; strict=False returns the error as computed.")
