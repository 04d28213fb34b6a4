"""The subject of this package: normalizers, their losses, four routes for the error, and the Head that joins them."""

from isbe_np.heads.choices import NORMALIZERS, REDUCTIONS
from isbe_np.heads.functions import cross_entropy, isbe_error, softmax
from isbe_np.heads.head import Head
from isbe_np.heads.losses import LOSSES
from isbe_np.heads.normalizers import Normalizer, softmax_jacobian
from isbe_np.heads.routes import ROUTES

__all__ = [
    "LOSSES", "NORMALIZERS", "REDUCTIONS", "ROUTES", "Head", "Normalizer", "cross_entropy", "isbe_error", "softmax",
    "softmax_jacobian",
]
