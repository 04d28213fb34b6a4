"""Activation layers: one function of one number, applied to each."""

from collections.abc import Callable

import numpy as np

from isbe_np.kernels import activations as kernels
from isbe_np.layers.base import Layer, Step


class Activation(Layer):
    """An elementwise layer; a subclass names its two kernels and, where they take some, their constants."""

    kernel: Callable
    backward_kernel: Callable
    limits: tuple[float, float] | None = None  # of an activation that does nothing but limit its input

    def constants(self, dtype) -> tuple:
        """Numbers that the kernels take after their arrays."""
        return ()

    def forward(self, step: Step) -> None:
        type(self).kernel(step.x.reshape(-1), step.y.reshape(-1), *self.constants(step.y.dtype))

    def backward(self, step: Step) -> None:
        if step.dx is not None:
            arrays = (array.reshape(-1) for array in (step.x, step.y, step.dy, step.dx))
            type(self).backward_kernel(*arrays, *self.constants(step.y.dtype))


class ReLU(Activation):
    """max(x, 0)."""

    kernel, backward_kernel = kernels.relu, kernels.relu_backward
    limits = (0, np.inf)


class LeakyReLU(Activation):
    """x where x > 0, slope · x elsewhere."""

    kernel, backward_kernel = kernels.leaky_relu, kernels.leaky_relu_backward

    def __init__(self, slope: float = 0.01, name: str | None = None):
        super().__init__(name)
        if not 0 <= slope < 1:
            raise ValueError(f"LeakyReLU(slope) expects a number from 0 to below 1; got {slope!r}.")
        self.slope = float(slope)

    def constants(self, dtype) -> tuple:
        return (dtype.type(self.slope),)

    def settings(self) -> str:
        return str(self.slope)


class Sigmoid(Activation):
    """1 / (1 + e^-x)."""

    kernel, backward_kernel = kernels.sigmoid, kernels.sigmoid_backward


class Tanh(Activation):
    """tanh x."""

    kernel, backward_kernel = kernels.tanh, kernels.tanh_backward


class HardSigmoid(Activation):
    """clip(x/6 + 1/2, 0, 1)."""

    kernel, backward_kernel = kernels.hardsigmoid, kernels.hardsigmoid_backward


class HardTanh(Activation):
    """clip(x, -1, 1)."""

    kernel, backward_kernel = kernels.hardtanh, kernels.hardtanh_backward
    limits = (-1, 1)


class GELU(Activation):
    """x Φ(x), with Φ the normal distribution function (Hendrycks & Gimpel 2016)."""

    kernel, backward_kernel = kernels.gelu, kernels.gelu_backward
