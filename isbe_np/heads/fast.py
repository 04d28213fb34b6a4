"""Softmax by the engine: what a head with ``kernels="fast"`` runs. No other module of the heads imports the engine.

`softmax` and `fused_error` take the arguments of the plain kernels of these names. `softmax_isbe_error` is one pass for what
plain kernels do in two. Small batches go to a kernel named block, which runs in this thread and needs no others.
"""

import numpy as np

from isbe_np.engine import softmax as engine


def softmax(x: np.ndarray, y: np.ndarray) -> None:
    """y = softmax(x). Shapes: x, y (N, C)."""
    kernel = engine.softmax_block if x.size <= engine.ALONE else engine.softmax
    kernel(x, y)


def fused_error(x: np.ndarray, y: np.ndarray, t: np.ndarray, loss: np.ndarray, e: np.ndarray) -> None:
    """loss (N,) by log y, and e = τ exp(log y) − t. Shapes: x, y, t, e (N, C)."""
    kernel = engine.fused_block if x.size <= engine.ALONE else engine.fused_error
    kernel(x, y, t, loss, e)


def softmax_isbe_error(x: np.ndarray, t: np.ndarray, encoding: tuple[float, float], scale: float, e: np.ndarray) -> None:
    """e = (softmax(x) − t) · scale, and y is not stored. t (N, C), or labels (N,) of this encoding. Shapes: x, e (N, C)."""
    alone = x.size <= engine.ALONE
    if t.ndim == 2:
        kernel = engine.softmax_isbe_block if alone else engine.softmax_isbe_error
        kernel(x, t, scale, e)
    else:
        kernel = engine.softmax_isbe_block_labels if alone else engine.softmax_isbe_error_labels
        kernel(x, t, *encoding, scale, e)
