"""Four routes from soft scores y and targets t to the error e that is sent back to the network, beside each other.

Each function has a `Head` after its forward, and y, t, e (N, C), of which it writes e. Routes 1 to 3 compute the gradient of
the head's loss by the scores. Route 4 sends the difference of soft scores and targets. See `isbe_np/kernels/softmax.py`.
"""

import numpy as np

from isbe_np.heads.losses import gradient
from isbe_np.heads.normalizers import SOFTMAX, Softmax, check_jacobian_size
from isbe_np.heads.reading import read_jacobian, read_product
from isbe_np.kernels import softmax as kernels


def jacobian(head, y, t, e):
    """e = Jᵀ g with the explicit J (N, C, C) and g = ∂loss/∂y"""
    check_jacobian_size(y)
    g = gradient(head.loss_name, head.normalizer, y, t)
    J = read_jacobian(head.normalizer.jacobian(head.scores, y), y)
    kernels.jacobian_error(J, g, e)


def factored(head, y, t, e):
    """e = Jᵀ g by a formula without J: y ⊙ (g − ⟨y, g⟩) for softmax"""
    g = gradient(head.loss_name, head.normalizer, y, t)
    e[...] = read_product(head.normalizer.product(head.scores, y, g), y)


def fused(head, y, t, e):
    """e = ∂loss/∂x, written in the scores: k ⊙ (τ y − t) for softmax, and ∇Φ(x) − t = y − t for other matching losses

    For softmax the kernel computes the loss too, from log y, as frameworks do. That is part of what this route costs.
    """
    if not isinstance(head.normalizer, Softmax):
        return isbe(head, y, t, e)
    x, loss = head.normalizer.shifted(head.scores), np.empty(len(e))
    SOFTMAX[head.kernels].fused_error(x, y, t, loss, e)
    head.normalizer.dilate(e)


def isbe(head, y, t, e):
    """e = y − t"""
    kernels.isbe_error(y, t, e)


SEND = {"jacobian": jacobian, "factored": factored, "fused": fused, "isbe": isbe}
ROUTES = tuple(SEND)
