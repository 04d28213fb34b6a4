"""The engine's dense layer: by register tiles, on packed strips of the weights, a block of rows at a time."""

from types import SimpleNamespace

import numpy as np

from isbe_np.compiler.jit import SETTINGS
from isbe_np.engine.dense import (
    LARGE,
    LARGE_ERROR,
    dense,
    dense_backward_bias,
    dense_backward_input,
    dense_backward_weight,
    dense_by_blocks,
)
from isbe_np.engine.layers.base import Fast, no_limits
from isbe_np.engine.layout import pitch, transpose
from isbe_np.engine.vectors import width
from isbe_np.layers.base import Step, zeros
from isbe_np.layers.dense import rows

# The weights' gradient is summed over so many rows at a time: a strip of x stays in the second-level cache, and the rounding of
# a long float32 sum, of which tokens have many terms, grows no further.
BLOCK = 1024


class FastDense(Fast):
    """`Dense`: y = x Wᵀ + b."""

    def forward(self, step: Step) -> None:
        self.multiply(step, step.work.free)

    def prepare(self, step: Step) -> None:
        work, dtype = step.work, step.x.dtype
        work.free, work.x, work.y = no_limits(dtype), rows(step.x), rows(step.y)
        N, K = work.x.shape
        if N >= LARGE:
            work.places, work.room = strips(K, 1, dtype)

    def multiply(self, step: Step, limits: tuple) -> None:
        """step.y = x Wᵀ + b, each number limited to low..high."""
        work, w, x, y = step.work, step.w, step.work.x, step.work.y
        if len(x) < LARGE:
            return dense(x, w.weight, w.bias, limits, y)
        dense_by_blocks(x, w.weight, w.bias, work.places, limits, work.room, y)

    def prepare_backward(self, step: Step) -> None:
        work, (N, O), K, dtype = step.work, step.work.y.shape, step.x.shape[-1], step.y.dtype
        work.dx = None if step.dx is None else rows(step.dx)
        places, work.room_for_x = strips(min(N, BLOCK), K, dtype)
        work.blocks = [(slice(n, n + BLOCK), np.ascontiguousarray(places[:, :N - n])) for n in range(0, N, BLOCK)]
        if N > BLOCK:
            work.part = SimpleNamespace(weight=zeros((O, K), dtype), bias=zeros((O,), dtype))
        work.rows_of_w, work.room_for_w = strips(O, K, dtype)
        work.zeros = zeros((width(dtype.itemsize),), dtype)
        if N >= LARGE_ERROR:
            work.error_turned = zeros((O, pitch(N, dtype.itemsize)), dtype)

    def backward(self, step: Step) -> None:
        self.backward_from_error(step, step.dy)

    def backward_from_error(self, step: Step, error: np.ndarray) -> None:
        """The gradients, given that by x Wᵀ + b."""
        work, error = step.work, error.reshape(step.work.y.shape)
        if len(error) >= LARGE_ERROR:
            transpose(error, work.error_turned)
        for k, block in enumerate(work.blocks):
            dw = work.part if k else step.dw
            self.backward_parameters(step, error, block, dw)
            if k:
                step.dw.weight += dw.weight
                step.dw.bias += dw.bias
        if step.dx is not None:
            self.backward_input(step, error)

    def backward_parameters(self, step: Step, error: np.ndarray, block: tuple, dw: SimpleNamespace) -> None:
        """The part of the gradients by W and b that comes from a block of rows."""
        work, (span, places) = step.work, block
        coefficients, steps = error[span].reshape(-1), (1, error.shape[1])
        if len(error) >= LARGE_ERROR:
            coefficients, steps = work.error_turned.reshape(-1)[span.start:], (work.error_turned.shape[1], 1)
        dense_backward_weight(coefficients, steps, work.x[span], places, work.zeros, work.free, work.room_for_x, dw.weight)
        dense_backward_bias(error[span], dw.bias)

    def backward_input(self, step: Step, error: np.ndarray) -> None:
        """The gradient by x alone, given that by x Wᵀ + b, one vector a row."""
        work = step.work
        dense_backward_input(error, step.w.weight, work.rows_of_w, work.zeros, work.free, work.room_for_w, work.dx)


def strips(count: int, pitch: int, dtype) -> tuple[np.ndarray, np.ndarray]:
    """Where the rows of a matrix lie, and where in a packed strip of it, (2, count); and a strip's room for each thread."""
    lanes = width(dtype.itemsize)
    return np.arange(count) * [[pitch], [lanes]], zeros((SETTINGS.NUMBA_NUM_THREADS, count * lanes), dtype)
