"""Normalizers: what turns scores (N, C) into soft scores (N, C), with the Jacobian of each.

To bring your own, subclass `Normalizer`, or write any object with the methods that your route needs.
"""

import numpy as np

from isbe_np.checks import float_array, real_array
from isbe_np.engine import softmax as engine
from isbe_np.kernels import softmax as kernels

# By the name of a head's kernels, the functions `softmax` and `fused_error`. All others exist once, as plain kernels.
SOFTMAX = {"plain": kernels, "fast": engine}
JACOBIAN_LIMIT = 4 * 2**30  # bytes


class Normalizer:
    """Base of normalizers; `forward` is all that route "isbe" needs. Yours may add, where a route or loss asks for it,

    - ``jacobian(scores, soft)``: J (N, C, C) with J[n, i, j] = ∂ soft[n, i] / ∂ scores[n, j], for route "jacobian";
    - ``product(scores, soft, g)``: Jᵀ g (N, C) without J, for route "factored";
    - ``potential(scores)``: a convex Φ (N,) with ∇Φ = `forward`, for the matching loss Φ(x) − ⟨t, x⟩ and route "fused";
    - ``matching_loss(scores, targets)``: that loss (N,) in float64, to add the constant that makes its minimum 0;
    - ``matching_gradient(soft, targets)``: its gradient in the soft scores (N, C), for "jacobian" and "factored".
    """

    name = "custom"
    low, high = 0.0, 1.0  # targets of the classes that are not, and of the one that is, the label
    matching = "matching"  # the usual name of the matching loss
    positive = True  # soft scores have a logarithm

    def forward(self, scores: np.ndarray) -> np.ndarray:
        """Soft scores (N, C)."""
        raise NotImplementedError(f"{type(self).__name__} needs a method forward(scores) that returns soft scores.")


def check_jacobian_size(soft: np.ndarray) -> None:
    """MemoryError where the Jacobians of the soft scores (N, C) would exceed `JACOBIAN_LIMIT`."""
    N, C = soft.shape
    size = N * C * C * soft.itemsize
    if size > JACOBIAN_LIMIT:
        raise MemoryError(f"The Jacobians of {N} examples of {C} classes take {size / 1e9:.1f} GB in {soft.dtype}, "
                          f"beyond the limit of {JACOBIAN_LIMIT / 1e9:.1f} GB. Use route 'factored', the same product "
                          "without J, or a smaller batch.")


def softmax_jacobian(soft: np.ndarray) -> np.ndarray:
    """Jacobians diag(y) − y yᵀ (N, C, C) of softmax at the soft scores (N, C); MemoryError beyond `JACOBIAN_LIMIT`."""
    soft = float_array("softmax_jacobian", soft)
    if soft.ndim != 2:
        raise ValueError(f"softmax_jacobian expects soft scores (N, C); got shape {soft.shape}.")
    check_jacobian_size(soft)
    J = np.empty((*soft.shape, soft.shape[1]), soft.dtype)
    kernels.softmax_jacobian(soft, J)
    return J


class Softmax(Normalizer):
    """y = softmax(k ⊙ x + b); dilation k and relocation b are None, a number, or one for each class (C,)."""

    name = "softmax"
    matching = "cross_entropy"

    def __init__(self, dilation=None, relocation=None):
        self.dilation = _per_class("dilation", dilation)
        self.relocation = _per_class("relocation", relocation)
        if self.dilation is not None and not (self.dilation > 0).all():
            raise ValueError(f"Head: dilation must be positive (at 0 scores no longer count); got {dilation!r}.")

    def shifted(self, scores):
        """k ⊙ x + b (N, C), which is `scores` itself where there is neither."""
        if self.dilation is None and self.relocation is None:
            return scores
        k, b = _in_dtype("dilation", self.dilation, scores), _in_dtype("relocation", self.relocation, scores)
        with np.errstate(all="ignore"):
            x = scores if k is None else k * scores
            return x if b is None else x + b

    def dilate(self, derivative):
        """Multiply in place by k along the last axis, the factor that the chain rule adds for k ⊙ x."""
        if self.dilation is not None:
            derivative *= self.dilation.astype(derivative.dtype)
        return derivative

    def forward(self, scores, out=None, kernels="plain"):
        soft = np.empty_like(scores, order="C") if out is None else out
        SOFTMAX[kernels].softmax(self.shifted(scores), soft)
        return soft

    def jacobian(self, scores, soft):
        return self.dilate(softmax_jacobian(soft))

    def product(self, scores, soft, g):
        dx = np.empty_like(soft, order="C")
        kernels.factored_error(soft, g, dx)
        return self.dilate(dx)

    def potential(self, scores):
        """Φ(x) = log Σ e^x, or log Σ e^(kx + b) / k"""
        if self.dilation is not None and self.dilation.ndim:
            raise ValueError("Head: a softmax with one dilation for each class is the gradient of no potential.")
        x = np.asarray(self.shifted(scores), np.float64)
        m = x.max(axis=1)
        return (m + np.log(np.exp(x - m[:, None]).sum(axis=1))) / (1 if self.dilation is None else self.dilation)

    def log_soft(self, scores):
        """log y (N, C) in float64"""
        z = np.empty(scores.shape)
        kernels.log_softmax(self.shifted(scores), z)
        return z

    def matching_loss(self, scores, targets):
        """−Σ t log y"""
        loss = np.empty(len(scores))
        kernels.cross_entropy(self.log_soft(scores), targets, loss)
        return loss


def _in_dtype(name, values, scores):
    """Dilation or relocation in the dtype of the scores; ValueError where it is 0 or infinite there, or of another size."""
    if values is None:
        return None
    if values.ndim and values.size != scores.shape[1]:
        raise ValueError(f"Head: {name} has {values.size} numbers, the scores {scores.shape[1]} classes.")
    with np.errstate(all="ignore"):
        cast = values.astype(scores.dtype)
    if (lost := np.isinf(cast)).any():
        raise ValueError(f"Head: {name} {values[lost][0]:.3g} is infinite in {scores.dtype}. Use a smaller one, or float64.")
    if name == "dilation" and not cast.all():
        raise ValueError(f"Head: dilation {values.min():.3g} is 0 in {scores.dtype}. Use a larger one, or float64.")
    return cast


def _per_class(name, given):
    if given is None:
        return None
    values = real_array(f"Head: {name}", given, np.float64)
    if values.ndim > 1 or not np.isfinite(values).all():
        raise ValueError(f"Head: {name} expects a finite number, or one for each class; got {given!r}.")
    return values
