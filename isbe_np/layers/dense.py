"""The fully connected layer."""

import numpy as np

from isbe_np.checks import whole
from isbe_np.kernels.dense import (
    LARGE,
    LARGE_ERROR,
    dense,
    dense_backward_bias,
    dense_backward_input,
    dense_backward_weight,
    dense_by_blocks,
)
from isbe_np.kernels.jit import SETTINGS
from isbe_np.kernels.layout import pitch, transpose
from isbe_np.kernels.vectors import width
from isbe_np.layers.base import Layer, Shape, Step, Weights, no_limits, zeros


class Dense(Layer):
    """y = x Wᵀ + b with W (units, features) and b (units,); inputs (features,).

    W starts normal with variance 2 / features (He et al. 2015, eq. 10), b at zero.
    """

    batch_last = False

    def __init__(self, units: int, name: str | None = None):
        super().__init__(name)
        self.units = whole("Dense(units)", units)

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) != 1:
            self.refuse("vectors (features,)", shapes[0], "Put a Flatten before it.")
        return (self.units,)

    def weights(self, *shapes: Shape) -> dict[str, Weights]:
        features = shapes[0][0]
        return {"weight": Weights((self.units, features), (2 / features) ** 0.5), "bias": Weights((self.units,))}

    def forward(self, step: Step) -> None:
        self.multiply(step, step.work.free)

    def prepare(self, step: Step) -> None:
        work, (N, K), dtype = step.work, step.x.shape, step.x.dtype
        work.free = no_limits(dtype)
        if N >= LARGE:
            work.places, work.room = strips(K, 1, dtype)

    def multiply(self, step: Step, limits: tuple) -> None:
        """step.y = x Wᵀ + b, each number limited to low..high."""
        work, w = step.work, step.w
        if len(step.x) < LARGE:
            return dense(step.x, w.weight, w.bias, limits, step.y)
        dense_by_blocks(step.x, w.weight, w.bias, work.places, limits, work.room, step.y)

    def prepare_backward(self, step: Step) -> None:
        work, (N, O), K, dtype = step.work, step.y.shape, step.x.shape[1], step.y.dtype
        work.rows_of_x, work.room_for_x = strips(N, K, dtype)
        work.rows_of_w, work.room_for_w = strips(O, K, dtype)
        work.zeros = zeros((width(dtype.itemsize),), dtype)
        if N >= LARGE_ERROR:
            work.error_turned = zeros((O, pitch(N, dtype.itemsize)), dtype)

    def backward(self, step: Step) -> None:
        self.backward_from_error(step, step.dy)

    def backward_from_error(self, step: Step, error: np.ndarray) -> None:
        """The gradients, given that by x Wᵀ + b."""
        work, (N, O) = step.work, error.shape
        coefficients, steps = error, (1, O)
        if N >= LARGE_ERROR:
            coefficients, steps = work.error_turned, (work.error_turned.shape[1], 1)
            transpose(error, coefficients)
        dense_backward_weight(coefficients.reshape(-1), steps, step.x, work.rows_of_x, work.zeros, work.free, work.room_for_x,
                              step.dw.weight)
        dense_backward_bias(error, step.dw.bias)
        if step.dx is not None:
            self.backward_input(step, error)

    def backward_input(self, step: Step, error: np.ndarray) -> None:
        """The gradient by x alone."""
        work = step.work
        dense_backward_input(error, step.w.weight, work.rows_of_w, work.zeros, work.free, work.room_for_w, step.dx)

    def settings(self) -> str:
        return str(self.units)


def strips(rows: int, pitch: int, dtype) -> tuple[np.ndarray, np.ndarray]:
    """Where the rows of a matrix lie, and where in a packed strip of it, (2, rows); and a strip's room for each thread."""
    lanes = width(dtype.itemsize)
    return np.arange(rows) * [[pitch], [lanes]], zeros((SETTINGS.NUMBA_NUM_THREADS, rows * lanes), dtype)
