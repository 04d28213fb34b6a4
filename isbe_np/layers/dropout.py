"""Dropout."""

import numpy as np

from isbe_np.kernels.dropout import dropout, dropout_backward
from isbe_np.layers.base import Layer, Step, zeros


class Dropout(Layer):
    """While training, sets a share `rate` of its input to zero and scales up the rest; otherwise does nothing.

    Srivastava et al. 2014. The random numbers come from the graph's seed.
    """

    def __init__(self, rate: float, name: str | None = None):
        super().__init__(name)
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout(rate) expects a number from 0 to below 1, the share to drop; got {rate!r}.")
        self.rate = float(rate)

    def prepare(self, step: Step) -> None:
        step.work.uniform = zeros((step.y.size,), step.y.dtype)
        step.work.dropped = False

    def forward(self, step: Step) -> None:
        step.work.dropped = step.mode.training
        if not step.mode.training:
            np.copyto(step.y, step.x)
            return
        step.mode.random.random(out=step.work.uniform, dtype=step.y.dtype)
        dropout(step.x.reshape(-1), step.work.uniform, step.y.dtype.type(self.rate), step.y.reshape(-1))

    def backward(self, step: Step) -> None:
        if step.dx is None:
            return
        if not step.work.dropped:
            np.copyto(step.dx, step.dy)
            return
        dropout_backward(step.dy.reshape(-1), step.work.uniform, step.dy.dtype.type(self.rate), step.dx.reshape(-1))

    def settings(self) -> str:
        return str(self.rate)
