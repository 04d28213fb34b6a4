"""The engine's layers whose gradients are sums of rows, each row by the thread that owns it, in float64."""

import numpy as np

from isbe_np.compiler.jit import SETTINGS
from isbe_np.engine.embedding import sort_tokens, sums_of_rows
from isbe_np.engine.layers.base import Fast
from isbe_np.layers.base import Step, zeros
from isbe_np.layers.dense import rows


class FastEmbedding(Fast):
    """`Embedding`, whose forward pass is the plain one."""

    def prepare(self, step: Step) -> None:
        self.core.prepare(step)

    def forward(self, step: Step) -> None:
        self.core.forward(step)

    def prepare_backward(self, step: Step) -> None:
        work, (V, K) = step.work, step.w.weight.shape
        work.first, work.order = np.zeros(V + 1, np.int64), np.zeros(step.x.size, np.int64)
        work.room = zeros((SETTINGS.NUMBA_NUM_THREADS, K), np.float64)

    def backward(self, step: Step) -> None:
        work = step.work
        sort_tokens(work.tokens, work.first, work.order)
        sums_of_rows(rows(step.dy), work.first, work.order, work.room, step.dw.weight)
        if step.dx is not None:
            step.dx[...] = 0


class FastPositionEmbedding(Fast):
    """`PositionEmbedding`, whose forward pass is the plain one."""

    def forward(self, step: Step) -> None:
        self.core.forward(step)

    def prepare_backward(self, step: Step) -> None:
        N, T, D = step.y.shape
        step.work.first, step.work.order = N * np.arange(T + 1), np.arange(N * T).reshape(N, T).T.ravel()
        step.work.room = zeros((SETTINGS.NUMBA_NUM_THREADS, D), np.float64)

    def backward(self, step: Step) -> None:
        """A position is a token that stands once in each example, always at the same place."""
        work = step.work
        sums_of_rows(rows(step.dy), work.first, work.order, work.room, step.dw.weight)
        if step.dx is not None:
            np.copyto(step.dx, step.dy)


class FastMeanTokens(Fast):
    """`MeanTokens`, whose backward pass is the plain one."""

    def prepare(self, step: Step) -> None:
        N, T, D = step.x.shape
        step.work.first, step.work.order = T * np.arange(N + 1), np.arange(N * T)
        step.work.room = zeros((SETTINGS.NUMBA_NUM_THREADS, D), np.float64)

    def forward(self, step: Step) -> None:
        work, T = step.work, step.x.shape[1]
        sums_of_rows(rows(step.x), work.first, work.order, work.room, step.y)
        np.divide(step.y, T, out=step.y)

    def backward(self, step: Step) -> None:
        self.core.backward(step)
