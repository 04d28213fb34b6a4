"""Batch norm and layer norm."""

import math

import numpy as np

from isbe_np.engine import normalization as kernels
from isbe_np.layers.base import Layer, Shape, Step, Weights, zeros


class Normalization(Layer):
    """What both share: y = γ (x − μ) / √(v + ε) + β with γ (the parameter `scale`) and β (`shift`), which start at 1 and 0."""

    def __init__(self, eps, name: str | None):
        super().__init__(name)
        self.eps = _number(f"{type(self).__name__}(eps)", eps, "a finite number above 0", lambda e: 0 < e < math.inf)

    def weights(self, *shapes: Shape) -> dict[str, Weights]:
        size = self.size(shapes[0])
        return {"scale": Weights((size,), start=1.0), "shift": Weights((size,))}

    def size(self, shape: Shape) -> int:
        """How many numbers γ has for inputs of this shape."""
        raise NotImplementedError(f"{type(self).__name__} has no size.")

    def prepare_backward(self, step: Step) -> None:
        step.work.unwanted = zeros((0, 0, 0), step.y.dtype)


class BatchNorm(Normalization):
    """Each channel less its mean over the batch, divided by its deviation, then scaled and shifted (Ioffe & Szegedy 2015).

    Vectors (C,) or images (C, H, W), whose pixels all count. In training, mean and variance are the batch's, and the running
    ones, `mean` and `variance` in `Graph.state()`, move towards them by a share `momentum` (PyTorch's convention); evaluation
    uses the running ones. A layer that stands in several places of a graph has one of each, which every place moves.
    """

    def __init__(self, momentum: float = 0.1, eps: float = 1e-5, name: str | None = None):
        super().__init__(eps, name)
        self.momentum = _number("BatchNorm(momentum)", momentum, "a number above 0, up to 1", lambda p: 0 < p <= 1)

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) not in (1, 3):
            self.refuse("vectors (C,) or images (C, H, W)", shapes[0], "For rows of features (T, D), use LayerNorm.")
        return shapes[0]

    def size(self, shape: Shape) -> int:
        return shape[0]

    def state(self, *shapes: Shape) -> dict[str, Weights]:
        size = self.size(shapes[0])
        return {"mean": Weights((size,)), "variance": Weights((size,), start=1.0)}

    def least_batch(self, *shapes: Shape) -> int:
        """Two of vectors (C,) or of images of one pixel: one number has no variance."""
        return 2 if math.prod(shapes[0][1:]) == 1 else 1

    def prepare(self, step: Step) -> None:
        C = step.w.scale.size
        step.work.stats = np.zeros((3, C))
        # Channels that lie apart, as those of vectors (N, C), or together: (1, C, H·W·N) where the batch is last.
        shape = (1, C, step.x.size // C) if step.batch_last else (len(step.x), C, step.x.size // (len(step.x) * C))
        step.work.shape = shape if shape[2] > 1 else shape[:2]
        step.work.count, step.work.share = step.x.size // C, 0.0

    def forward(self, step: Step) -> None:
        work, training = step.work, step.mode.training
        if training and work.count == 1:
            raise ValueError(f"{self!r} expects more than one number of each channel in training, as one alone has no "
                             f"variance; got a batch of one. Make batches larger, or leave out the last one by "
                             f"train(drop_last=True).")
        # Of statistics that are the batch's, each of its numbers moves a share; running ones stay where they are.
        work.share = 1 / work.count if training else 0.0
        if not training:
            work.stats[0], work.stats[1] = step.state.mean, step.state.variance
        kernel = kernels.batch_norm if len(work.shape) == 3 else kernels.batch_norm_columns
        x, y = step.x.reshape(work.shape), step.y.reshape(work.shape)
        kernel(x, step.w.scale, step.w.shift, self.eps, training, work.stats, y)
        if training:
            kernels.remember(work.stats, work.count, self.momentum, step.state.mean, step.state.variance)

    def prepare_backward(self, step: Step) -> None:
        super().prepare_backward(step)
        step.work.sums = np.zeros((2, step.w.scale.size))

    def backward(self, step: Step) -> None:
        work, shape = step.work, step.work.shape
        kernel = kernels.batch_norm_backward if len(shape) == 3 else kernels.batch_norm_columns_backward
        dx = work.unwanted.reshape(0, *shape[1:]) if step.dx is None else step.dx.reshape(shape)
        kernel(step.x.reshape(shape), step.dy.reshape(shape), step.w.scale, work.stats, work.share, work.sums, dx)
        kernels.hand_over(work.sums, step.dw.scale, step.dw.shift)

    def settings(self) -> str:
        return f"momentum={self.momentum}, eps={self.eps}"


class LayerNorm(Normalization):
    """Each row of features less its mean, divided by its deviation, then scaled and shifted (Ba, Kiros & Hinton 2016).

    Vectors (D,), tokens (T, D) or more axes (..., D), of which the last is the features'. It does the same in training and in
    evaluation, and no example depends on another.
    """

    batch_last = False

    def __init__(self, eps: float = 1e-5, name: str | None = None):
        super().__init__(eps, name)

    def size(self, shape: Shape) -> int:
        return shape[-1]

    def prepare(self, step: Step) -> None:
        D = step.w.scale.size
        step.work.shape = step.x.size // D, D
        step.work.stats = np.zeros((step.x.size // D, 2))

    def forward(self, step: Step) -> None:
        shape = step.work.shape
        kernels.layer_norm(step.x.reshape(shape), step.w.scale, step.w.shift, self.eps, step.work.stats, step.y.reshape(shape))

    def prepare_backward(self, step: Step) -> None:
        super().prepare_backward(step)
        R, D = step.work.shape
        step.work.parts = np.zeros((min(kernels.PARTS, max(1, R // kernels.ROWS)), 2, D))

    def backward(self, step: Step) -> None:
        work, shape = step.work, step.work.shape
        dx = work.unwanted.reshape(0, shape[1]) if step.dx is None else step.dx.reshape(shape)
        kernels.layer_norm_backward(step.x.reshape(shape), step.dy.reshape(shape), step.w.scale, work.stats, work.parts, dx)
        kernels.hand_over(work.parts[0], step.dw.scale, step.dw.shift)

    def settings(self) -> str:
        return f"eps={self.eps}"


def _number(who: str, given, expected: str, fits) -> float:
    """`given` as a float that `fits`."""
    if isinstance(given, bool) or not isinstance(given, (int, float, np.integer, np.floating)) or not fits(given):
        raise ValueError(f"{who} expects {expected}; got {given!r}.")
    return float(given)
