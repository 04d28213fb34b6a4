"""Normalizers that treat each class alone: y_j = s(x_j), with the matching loss that makes y − t an exact gradient.

Losses are computed in float64 and arranged so that large scores cancel exactly: for right labels they tend to 0.
"""

from collections.abc import Callable

import numpy as np

from isbe_np.heads.losses import ratio, times
from isbe_np.heads.normalizers import Normalizer, check_jacobian_size
from isbe_np.kernels import activations as act


class Elementwise(Normalizer):
    """y_j = s(x_j) for each class alone, so that J is diagonal."""

    kernel: Callable
    kernel_backward: Callable

    def forward(self, scores, out=None):
        soft = np.empty_like(scores, order="C") if out is None else out
        self.kernel(scores.reshape(-1), soft.reshape(-1))
        return soft

    def product(self, scores, soft, g):
        dx = np.empty_like(soft, order="C")
        self.kernel_backward(scores.reshape(-1), soft.reshape(-1), g.reshape(-1), dx.reshape(-1))
        return dx

    def jacobian(self, scores, soft):
        check_jacobian_size(soft)
        J = np.zeros((*soft.shape, soft.shape[1]), soft.dtype)
        np.einsum("njj->nj", J)[...] = self.product(scores, soft, np.ones_like(soft))
        return J


class Sigmoid(Elementwise):
    """y = 1/(1 + e^−x), in (0, 1); matching loss: binary cross-entropy."""

    name = "sigmoid"
    matching = "binary_cross_entropy"
    kernel, kernel_backward = staticmethod(act.sigmoid), staticmethod(act.sigmoid_backward)

    def potential(self, scores):
        """Φ(x) = Σ log(1 + e^x)"""
        return np.logaddexp(0, np.asarray(scores, np.float64)).sum(axis=1)

    def log_soft(self, scores):
        """log y = −log(1 + e^−x), in float64"""
        return -np.logaddexp(0, -np.asarray(scores, np.float64))

    def matching_loss(self, scores, targets):
        """Σ log(1 + e^x) − t x, with log(1 + e^x) = max(x, 0) + log(1 + e^−|x|)"""
        x = np.asarray(scores, np.float64)
        return (np.maximum(x, 0) - targets * x + np.log1p(np.exp(-np.abs(x)))).sum(axis=1)


class Tanh(Elementwise):
    """y = tanh x, in (−1, 1)."""

    name = "tanh"
    low = -1.0
    positive = False
    kernel, kernel_backward = staticmethod(act.tanh), staticmethod(act.tanh_backward)

    def potential(self, scores):
        """Φ(x) = Σ log cosh x = Σ |x| + log(1 + e^−2|x|) − log 2"""
        x = np.abs(np.asarray(scores, np.float64))
        return (x + np.log1p(np.exp(-2 * x)) - np.log(2)).sum(axis=1)

    def matching_loss(self, scores, targets):
        """Σ log cosh x − t x + Φ*(t) with Φ*(t) = ((1 + t) log(1 + t) + (1 − t) log(1 − t)) / 2"""
        x, t = np.asarray(scores, np.float64), np.asarray(targets, np.float64)
        if (np.abs(t) > 1).any():
            raise ValueError("Head.loss: the matching loss of 'tanh' is infinite for targets outside [-1, 1], which no "
                             f"score reaches; got {t[np.abs(t) > 1][0]}. Use loss='squared', or targets within.")
        conjugate = (times(1 + t, np.log(1 + t)) + times(1 - t, np.log(1 - t))) / 2 - np.log(2)
        return (np.abs(x) - t * x + np.log1p(np.exp(-2 * np.abs(x))) + conjugate).sum(axis=1)

    def matching_gradient(self, soft, targets):
        """(y − t) / (1 − y²), in two terms so that a saturated y = t = ±1 gives no 0/0"""
        half = soft.dtype.type(0.5)
        return half * (ratio(1 - targets, 1 - soft) - ratio(1 + targets, 1 + soft))


class HardSigmoid(Elementwise):
    """y = x/6 + 1/2, limited to 0..1."""

    name = "hardsigmoid"
    positive = False
    kernel, kernel_backward = staticmethod(act.hardsigmoid), staticmethod(act.hardsigmoid_backward)

    def potential(self, scores):
        """Φ(x) = Σ 0 for x < −3, (x + 3)²/12 between, x for x > 3"""
        x = np.asarray(scores, np.float64)
        c = np.clip(x, -3, 3)
        return ((c + 3) ** 2 / 12 + (x - c) * (c / 6 + 0.5)).sum(axis=1)

    def matching_loss(self, scores, targets):
        """Σ Φ(x) − t x + 3t² − 3t, which is 3 (y − t)² plus (y − t) times how far x lies in the flat zone"""
        x = np.asarray(scores, np.float64)
        c = np.clip(x, -3, 3)
        error = c / 6 + 0.5 - targets
        return (3 * error**2 + (x - c) * error).sum(axis=1)


class HardTanh(Elementwise):
    """y = x, limited to −1..1."""

    name = "hardtanh"
    low = -1.0
    positive = False
    kernel, kernel_backward = staticmethod(act.hardtanh), staticmethod(act.hardtanh_backward)

    def potential(self, scores):
        """Φ(x) = Σ x²/2 for |x| < 1, |x| − 1/2 outside"""
        x = np.asarray(scores, np.float64)
        y = np.clip(x, -1, 1)
        return (y**2 / 2 + (x - y) * y).sum(axis=1)

    def matching_loss(self, scores, targets):
        """Σ Φ(x) − t x + t²/2, which is (y − t)²/2 plus (y − t) times how far x lies in the flat zone"""
        x = np.asarray(scores, np.float64)
        y = np.clip(x, -1, 1)
        return ((y - targets) ** 2 / 2 + (x - y) * (y - targets)).sum(axis=1)


class Identity(Elementwise):
    """y = x; matching loss: half the squared error."""

    name = "identity"
    matching = "squared"
    positive = False

    def forward(self, scores, out=None):
        soft = np.empty_like(scores, order="C") if out is None else out
        soft[...] = scores
        return soft

    def product(self, scores, soft, g):
        return g

    def potential(self, scores):
        """Φ(x) = Σ x²/2"""
        return (np.asarray(scores, np.float64) ** 2 / 2).sum(axis=1)

    def matching_loss(self, scores, targets):
        """Σ (x − t)²/2"""
        return ((np.asarray(scores, np.float64) - targets) ** 2 / 2).sum(axis=1)
