"""Four ways from targets to the error that is sent back to the network, one beside the other.

Each function has a `Head` after its forward, targets t and room for the error e (N, C). Routes 1 to 3 compute the
gradient of the head's loss in the scores; route 4 sends the difference of soft scores and targets.
"""

import numpy as np

from isbe_np.checks import real_array
from isbe_np.engine import softmax as kernels
from isbe_np.heads.losses import all_finite, gradient
from isbe_np.heads.normalizers import Softmax, check_jacobian_size


def jacobian(head, t, e):
    """e = Jᵀ g with the explicit J (N, C, C) and g = ∂loss/∂y"""
    check_jacobian_size(head.soft)
    g = gradient(head.loss_name, head.normalizer, head.soft, t)
    J = real_array("Head.backward", head.normalizer.jacobian(head.scores, head.soft), e.dtype, "a Jacobian from the normalizer")
    if J.shape != (*e.shape, e.shape[1]):
        raise ValueError(f"Head: the normalizer's jacobian must return shape {(*e.shape, e.shape[1])}; got {J.shape}.")
    kernels.jacobian_product(J, g, e)


def factored(head, t, e):
    """e = Jᵀ g by a formula without J"""
    g = gradient(head.loss_name, head.normalizer, head.soft, t)
    e[...] = real_array("Head.backward", head.normalizer.product(head.scores, head.soft, g), e.dtype,
                         "a product from the normalizer")


def fused(head, t, e):
    """e = ∂loss/∂x, written in the scores: k ⊙ (τ y − t) for softmax (a label has τ = 1), ∇Φ(x) − t = y − t for others

    For softmax the kernel computes the loss too, from log y, as frameworks do: that is part of what this route costs.
    """
    if not isinstance(head.normalizer, Softmax):
        return isbe(head, t, e)
    x, loss = head.normalizer.shifted(head.scores), np.empty(len(e))
    if t.ndim == 2:
        kernel = kernels.fused_block if x.size <= kernels.ALONE else kernels.fused_error
    else:
        kernel = kernels.fused_block_labels if x.size <= kernels.ALONE else kernels.fused_error_labels
    kernel(x, head.soft, t, loss, e)
    head.normalizer.dilate(e)


def isbe(head, t, e):
    """e = y − t"""
    if t.ndim == 1:
        kernels.isbe_error_labels(head.soft, t, *head.encoding, e)
    else:
        kernels.isbe_error(head.soft, t, e)


SEND = {"jacobian": jacobian, "factored": factored, "fused": fused, "isbe": isbe}
ROUTES = tuple(SEND)


def refuse_loss(normalizer, name, loss):
    """ValueError where `loss` has no meaning for `normalizer`."""
    if loss in ("cross_entropy", "binary_cross_entropy") and not getattr(normalizer, "positive", True):
        raise ValueError(f"Head: loss {loss!r} takes the logarithm of the soft scores, and those of {name!r} can be 0 "
                         "or negative. Use loss 'matching' or 'squared'.")
    if loss == "matching" and not hasattr(normalizer, "potential"):
        raise ValueError(f"Head: the matching loss needs a potential, and {name!r} has no method potential(scores). "
                         "Add it, or use loss 'cross_entropy' or 'squared'.")


def refuse_route(normalizer, name, loss, route):
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


def refuse_nonfinite(head, t, e):
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
