"""Normalizers whose soft scores sum to 1 and can be exactly 0: sparsemax and entmax with α = 1.5.

Each maximises ⟨p, x⟩ − Ω(p) over the simplex, so that it is the gradient of Φ(x) = ⟨y, x⟩ − Ω(y). The matching loss is the
Fenchel–Young loss Φ(x) + Ω(t) − ⟨t, x⟩ (Blondel, Martins & Niculae, JMLR 21, 2020). It is written as a sum of terms that are
never negative: a distance of y and t, and t times how far the score lies below the threshold. So it is 0 for y = t alone.
"""

from collections.abc import Callable

import numpy as np

from isbe_np.heads.losses import times
from isbe_np.heads.normalizers import Normalizer, check_jacobian_size
from isbe_np.kernels import entmax15, sparsemax

# Rounding that a row of targets may show, in float32 and over a thousand classes.
ROUNDING = 1e-4


class Sparse(Normalizer):
    """Soft scores on the simplex, 0 for all classes whose scores lie below a threshold."""

    positive = False
    kernel: Callable
    kernel_product: Callable
    kernel_jacobian: Callable
    kernel_margin: Callable

    def forward(self, scores, out=None):
        soft = np.empty_like(scores, order="C") if out is None else out
        self.kernel(scores, soft)
        return soft

    def product(self, scores, soft, g):
        dx = np.empty_like(soft, order="C")
        self.kernel_product(soft, g, dx)
        return dx

    def jacobian(self, scores, soft):
        check_jacobian_size(soft)
        J = np.empty((*soft.shape, soft.shape[1]), soft.dtype)
        self.kernel_jacobian(soft, J)
        return J

    def margins(self, scores):
        """How far each score lies above its row's threshold, and below it: two arrays (N, C) in float64, both ≥ 0."""
        d = np.empty(scores.shape)
        self.kernel_margin(scores, d)
        return np.maximum(d, 0), np.maximum(-d, 0)

    def on_simplex(self, targets):
        """The targets in float64; ValueError where a row is no distribution, for which Ω and the loss are infinite."""
        t = np.asarray(targets, np.float64)
        wrong = (t < 0).any(axis=1) | (np.abs(t.sum(axis=1) - 1) > ROUNDING)
        if wrong.any():
            n = np.argmax(wrong)
            what = f"holds {t[n].min():.6g}" if (t[n] < 0).any() else f"sums to {t[n].sum():.6g}"
            raise ValueError(f"Head.loss: the matching loss of {self.name!r} is infinite for targets that are negative or do "
                             f"not sum to 1; row {n} {what}. Divide by the sum, or use loss='squared'.")
        return t


class Sparsemax(Sparse):
    """y = [x − τ]₊, the point of the simplex nearest to x (Martins and Astudillo 2016)."""

    name = "sparsemax"
    kernel, kernel_margin = staticmethod(sparsemax.sparsemax), staticmethod(sparsemax.sparsemax_margin)
    kernel_product, kernel_jacobian = staticmethod(sparsemax.sparsemax_product), staticmethod(sparsemax.sparsemax_jacobian)

    def potential(self, scores):
        """Φ(x) = ⟨y, x⟩ − ‖y‖²/2"""
        x = np.asarray(scores, np.float64)
        y, _ = self.margins(x)
        return (y * x - y**2 / 2).sum(axis=1)

    def matching_loss(self, scores, targets):
        """Σ (y − t)²/2 + t ⊙ [τ + m − x]₊"""
        t = self.on_simplex(targets)
        y, below = self.margins(scores)
        return ((y - t) ** 2 / 2 + times(t, below)).sum(axis=1)


class Entmax15(Sparse):
    """y = [x/2 − θ]₊², entmax with α = 1.5 (Peters, Niculae and Martins 2019)."""

    name = "entmax15"
    kernel, kernel_margin = staticmethod(entmax15.entmax15), staticmethod(entmax15.entmax15_margin)
    kernel_product, kernel_jacobian = staticmethod(entmax15.entmax15_product), staticmethod(entmax15.entmax15_jacobian)

    def potential(self, scores):
        """Φ(x) = ⟨y, x⟩ − (4/3) Σ (y^1.5 − y)"""
        x = np.asarray(scores, np.float64)
        s, _ = self.margins(x)
        return (s**2 * x - 4 / 3 * (s**3 - s**2)).sum(axis=1)

    def matching_loss(self, scores, targets):
        """(2/3) Σ (√t − √y)² (2√t + √y) + 2 t ⊙ [θ − (x − m)/2]₊, where the first is what Ω(t) lies above its tangent at y"""
        t = self.on_simplex(targets)
        s, below = self.margins(scores)
        r = np.sqrt(t)
        return (2 / 3 * (r - s) ** 2 * (2 * r + s) + 2 * times(t, below)).sum(axis=1)
