"""The engine's attention: products by register tiles, a task for each head of each example."""

import numpy as np

from isbe_np.compiler.jit import SETTINGS
from isbe_np.engine.attention import attention, attention_backward
from isbe_np.engine.layers.base import Fast
from isbe_np.engine.vectors import width
from isbe_np.layers.attention import Attention
from isbe_np.layers.base import Step, zeros


class FastAttention(Fast):
    """`Attention`."""

    core: Attention
    def prepare(self, step: Step) -> None:
        (N, T, D), dtype, heads = step.y.shape, step.y.dtype, self.core.heads
        places = np.arange(max(T, D))
        step.work.lines = (places[:T] * 3 * D, places[:T] * D, places * T, zeros((width(dtype.itemsize),), dtype))
        step.work.weights = zeros((N, heads, T, T), dtype)
        step.work.room = zeros((SETTINGS.NUMBA_NUM_THREADS, (D // heads + T) * T), dtype)

    def forward(self, step: Step) -> None:
        work = step.work
        attention(step.x, self.core.causal, work.lines, work.room, work.weights, step.y)

    def prepare_backward(self, step: Step) -> None:
        _, T, D = step.y.shape
        step.work.room_backward = zeros((SETTINGS.NUMBA_NUM_THREADS, (D // self.core.heads + 2 * T) * T), step.y.dtype)

    def backward(self, step: Step) -> None:
        work = step.work
        if step.dx is not None:
            attention_backward(step.dy, step.x, work.weights, self.core.causal, work.lines, work.room_backward, step.dx)
