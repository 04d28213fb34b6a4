"""Layers that do the work of two or three in one pass, which a plan puts in their place (see `replace`).

    Conv2D, ReLU, MaxPool2D      the convolution's output is pooled from the nearest cache and never stored
    Conv2D, ReLU                 what the activation cuts off is cut off before the sum is stored
    Dense, ReLU                  the same

The activation may be missing before a pool, and may be any that only limits its input: ReLU or HardTanh. The pool's windows
lie side by side. Sums are added up in the same order as apart, so that the results are the same to the bit.
"""

from __future__ import annotations

import numpy as np

from isbe_np.compiler.jit import SETTINGS
from isbe_np.engine import conv2d_max_pool as kernels
from isbe_np.engine.layers.base import no_limits
from isbe_np.engine.layers.conv2d import FastConv2D
from isbe_np.engine.layers.dense import FastDense
from isbe_np.layers.activations import Activation
from isbe_np.layers.base import Layer, Step, zeros
from isbe_np.layers.conv2d import Conv2D
from isbe_np.layers.dense import Dense
from isbe_np.layers.pooling import MaxPool2D


def limits(activation: Activation | None, dtype) -> tuple:
    """The activation's limits (low, high) as numbers of `dtype`."""
    return no_limits(dtype) if activation is None or activation.limits is None else tuple(map(dtype.type, activation.limits))


class FusedDense(Layer):
    """A dense layer and the activation after it."""

    batch_last = False

    def __init__(self, dense: Dense, activation: Activation):
        super().__init__()
        self.core, self.activation = FastDense(dense), activation

    def prepare(self, step: Step) -> None:
        self.core.prepare(step)

    def forward(self, step: Step) -> None:
        self.core.multiply(step, limits(self.activation, step.y.dtype))

    def prepare_backward(self, step: Step) -> None:
        self.core.prepare_backward(step)
        step.work.error = zeros(step.y.shape, step.y.dtype)

    def backward(self, step: Step) -> None:
        # Whether a number was cut off can be told from the output as well as from the input.
        y, error = step.y.reshape(-1), step.work.error
        type(self.activation).backward_kernel(y, y, step.dy.reshape(-1), error.reshape(-1))
        self.core.backward_from_error(step, error)


class FusedConv2D(Layer):
    """A convolution, the activation after it and max pooling; either of the latter two may be None."""

    batch_last = True

    def __init__(self, conv: Conv2D, activation: Activation | None, pool: MaxPool2D | None):
        super().__init__()
        self.core, self.activation = FastConv2D(conv), activation
        self.size = pool.size if pool else (1, 1)

    def prepare(self, step: Step) -> None:
        self.core.prepare(step)
        step.work.winner = np.zeros(step.y.shape, np.uint8 if np.prod(self.size) <= 256 else np.uint32)
        if self.size != (1, 1):
            step.work.room = zeros(kernels.room(self.core.core.filters, self.size, SETTINGS.NUMBA_NUM_THREADS), step.y.dtype)

    def forward(self, step: Step) -> None:
        bounds = limits(self.activation, step.y.dtype)
        if self.size == (1, 1):
            return self.core.convolve(step, bounds)
        self.core.pad(step)
        work = step.work
        kernels.conv2d_max_pool(work.images.reshape(-1), self.core.steps(step), work.taps, step.w.weight.reshape(-1),
                                work.start.reshape(-1), bounds, self.size, work.room, step.y, work.winner)

    def prepare_backward(self, step: Step) -> None:
        self.core.plan_backward(step, None)

    def backward(self, step: Step) -> None:
        _, _, height, width, P = step.work.errors.shape
        steps = height * width * P, width * P, P, step.work.errors[0].size
        kernels.max_pool_limits_backward(step.dy, step.y, step.work.winner, limits(self.activation, step.y.dtype), self.size,
                                         step.work.errors.reshape(-1), step.work.first, steps)
        self.core.backward_from_error(step)
