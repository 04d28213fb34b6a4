"""The engine's batch norm and layer norm: for images, matrices and rows, by loops that are vectors."""

import numpy as np

from isbe_np.engine import normalization as kernels
from isbe_np.engine.layers.base import Fast
from isbe_np.kernels.normalization import remember
from isbe_np.layers.base import Step, zeros
from isbe_np.layers.normalization import BatchNorm, LayerNorm


class FastBatchNorm(Fast):
    """`BatchNorm`, in either layout."""

    core: BatchNorm
    def prepare(self, step: Step) -> None:
        C = step.w.scale.size
        step.work.stats = np.zeros((3, C))
        # Channels that lie apart, as those of vectors (N, C), or together: (1, C, H·W·N) where the batch is last.
        shape = (1, C, step.x.size // C) if step.batch_last else (len(step.x), C, step.x.size // (len(step.x) * C))
        step.work.shape = shape if shape[2] > 1 else shape[:2]
        step.work.count, step.work.share = step.x.size // C, 0.0

    def forward(self, step: Step) -> None:
        work, training = step.work, step.mode.training
        if training:
            self.core.refuse_one(work.count)
        # Of statistics that are the batch's, each of its numbers moves a share; running ones stay where they are.
        work.share = 1 / work.count if training else 0.0
        if not training:
            work.stats[0], work.stats[1] = step.state.mean, step.state.variance
        kernel = kernels.batch_norm if len(work.shape) == 3 else kernels.batch_norm_columns
        x, y = step.x.reshape(work.shape), step.y.reshape(work.shape)
        kernel(x, step.w.scale, step.w.shift, self.core.eps, training, work.stats, y)
        if training:
            remember(*work.stats[:2], work.count, self.core.momentum, step.state.mean, step.state.variance)

    def prepare_backward(self, step: Step) -> None:
        step.work.unwanted = zeros((0, 0, 0), step.y.dtype)
        step.work.sums = np.zeros((2, step.w.scale.size))

    def backward(self, step: Step) -> None:
        work, shape = step.work, step.work.shape
        kernel = kernels.batch_norm_backward if len(shape) == 3 else kernels.batch_norm_columns_backward
        dx = work.unwanted.reshape(0, *shape[1:]) if step.dx is None else step.dx.reshape(shape)
        kernel(step.x.reshape(shape), step.dy.reshape(shape), step.w.scale, work.stats, work.share, work.sums, dx)
        kernels.hand_over(work.sums, step.dw.scale, step.dw.shift)


class FastLayerNorm(Fast):
    """`LayerNorm`."""

    core: LayerNorm
    def prepare(self, step: Step) -> None:
        D = step.w.scale.size
        step.work.shape = step.x.size // D, D
        step.work.stats = np.zeros((step.x.size // D, 2))

    def forward(self, step: Step) -> None:
        shape = step.work.shape
        kernels.layer_norm(step.x.reshape(shape), step.w.scale, step.w.shift, self.core.eps, step.work.stats,
                           step.y.reshape(shape))

    def prepare_backward(self, step: Step) -> None:
        R, D = step.work.shape
        step.work.unwanted = zeros((0, D), step.y.dtype)
        step.work.parts = np.zeros((min(kernels.PARTS, max(1, R // kernels.ROWS)), 2, D))

    def backward(self, step: Step) -> None:
        work, shape = step.work, step.work.shape
        dx = work.unwanted if step.dx is None else step.dx.reshape(shape)
        kernels.layer_norm_backward(step.x.reshape(shape), step.dy.reshape(shape), step.w.scale, work.stats, work.parts, dx)
        kernels.hand_over(work.parts[0], step.dw.scale, step.dw.shift)
