"""What a head refuses, in words: losses and routes without a meaning, arrays of a wrong shape, numbers that are not finite."""

import numpy as np

from isbe_np.checks import float_array, is_room, real_array
from isbe_np.heads.losses import all_finite, gradient
from isbe_np.kernels.finite import first_nan_row


def refuse_loss(normalizer, name: str, loss: str) -> None:
    """ValueError where `loss` has no meaning for `normalizer`."""
    if loss in ("cross_entropy", "binary_cross_entropy") and not getattr(normalizer, "positive", True):
        raise ValueError(f"Head: loss {loss!r} takes the logarithm of the soft scores, and those of {name!r} can be 0 "
                         "or negative. Use loss 'matching' or 'squared'.")
    if loss == "matching" and not hasattr(normalizer, "potential"):
        raise ValueError(f"Head: the matching loss needs a potential, and {name!r} has no method potential(scores). "
                         "Add it, or use loss 'cross_entropy' or 'squared'.")


def refuse_route(normalizer, name: str, loss: str, route: str) -> None:
    """ValueError where `route` cannot be taken with this normalizer and loss."""
    if route == "fused" and loss != getattr(normalizer, "matching", "matching"):
        raise ValueError(f"Head: route 'fused' exists for the matching loss alone, and {loss!r} is not that of "
                         f"{name!r}. Use route 'factored' (or 'jacobian').")
    if route == "fused" or route == "isbe":
        return
    if loss == "matching" and not hasattr(normalizer, "matching_gradient"):
        raise ValueError(f"Head: route {route!r} differentiates a loss of the soft scores, but the matching loss of "
                         f"{name!r} is not known as one: where scores move and soft scores do not (a flat zone), the "
                         "chain rule gives 0, a dead unit. Use route 'fused' or 'isbe', or loss 'squared'.")
    method = "jacobian" if route == "jacobian" else "product"
    if not hasattr(normalizer, method):
        raise ValueError(f"Head: route {route!r} needs a method {method}, which {name!r} lacks. Add it, or use route "
                         f"{'factored' if route == 'jacobian' else 'jacobian'!r} or 'isbe'.")


def read_scores(given) -> np.ndarray:
    """The scores as an array (N, C) of float32 or float64."""
    scores = float_array("Head.forward", given)
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise ValueError(f"Head.forward expects scores of shape (N, C) with C >= 1; got {scores.shape}.")
    return scores


def buffer(who: str, out: np.ndarray | None, *used: np.ndarray) -> np.ndarray:
    """`out` if it can hold such an array as those `used` and shares no memory with them; a new one if it is None."""
    like = used[0]
    if out is None:
        return np.empty_like(like)
    if not is_room(out, like.shape, like.dtype):
        raise ValueError(f"{who}: out must be an array of shape {like.shape} and {like.dtype}.")
    if not (out.flags.c_contiguous and out.flags.writeable) or any(np.may_share_memory(out, a) for a in used):
        raise ValueError(f"{who}: out must be C-contiguous, writeable and apart from the arrays the head still needs.")
    return out


def read_soft(given, scores: np.ndarray) -> np.ndarray:
    """The soft scores that a normalizer of yours returned, of the shape and dtype of the scores (N, C), and finite."""
    soft = real_array("Head.forward", given, scores.dtype, "soft scores from the normalizer")
    if soft.shape != scores.shape:
        raise ValueError(f"Head.forward: the normalizer must return shape {scores.shape}; got {soft.shape}.")
    refuse_nonfinite(FloatingPointError, "the normalizer must return finite soft scores", soft)
    return soft


def read_jacobian(given, soft: np.ndarray) -> np.ndarray:
    """The Jacobians (N, C, C) that a normalizer returned for the soft scores (N, C)."""
    J = real_array("Head.backward", given, soft.dtype, "a Jacobian from the normalizer")
    if J.shape != (*soft.shape, soft.shape[1]):
        raise ValueError(f"Head: the normalizer's jacobian must return shape {(*soft.shape, soft.shape[1])}; got {J.shape}.")
    return J


def read_product(given, soft: np.ndarray) -> np.ndarray:
    """The product Jᵀ g (N, C) that a normalizer returned."""
    return real_array("Head.backward", given, soft.dtype, "a product from the normalizer")


def refuse_nonfinite(kind: type[Exception], what: str, array: np.ndarray) -> None:
    """`kind` with the first number of `array` (N, C) that is not finite."""
    if not all_finite(array):
        n, c = np.argwhere(~np.isfinite(array))[0]
        raise kind(f"Head.forward: {what}; row {n}, class {c} is {array[n, c]}.")


def refuse_bad_row(softmax, scores: np.ndarray, computed: np.ndarray) -> None:
    """ValueError for the first row of scores that has no softmax: softmax and y − t (N, C) are NaN there."""
    if (n := first_nan_row(computed)) >= 0:
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
