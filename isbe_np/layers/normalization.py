"""Batch norm and layer norm."""

import math

import numpy as np

from isbe_np.kernels import normalization as kernels
from isbe_np.layers.base import Layer, Shape, Step, Weights
from isbe_np.layers.dense import rows


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

    def statistics(self, step: Step, rows: int) -> None:
        """Make room in step.work for μ, v and r of so many rows of x."""
        step.work.mean, step.work.variance, step.work.r = np.zeros((3, rows))


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

    def refuse_one(self, count: int) -> None:
        """Raise the ValueError of a batch with one number of each channel, by which no network is trained."""
        if count == 1:
            raise ValueError(f"{self!r} expects more than one number of each channel in training, as one alone has no "
                             f"variance; got a batch of one. Make batches larger, or leave out the last one by "
                             f"train(drop_last=True).")

    def prepare(self, step: Step) -> None:
        self.statistics(step, step.w.scale.size)
        step.work.given = False

    def forward(self, step: Step) -> None:
        work, state, x = step.work, step.state, channels(step.x, step.batch_last)
        work.given = not step.mode.training
        if work.given:
            work.mean[:], work.variance[:] = state.mean, state.variance
        else:
            self.refuse_one(x.shape[1])
            kernels.row_statistics(x, work.mean, work.variance)
            kernels.remember(work.mean, work.variance, x.shape[1], self.momentum, state.mean, state.variance)
        kernels.inverse_deviation(work.variance, self.eps, work.r)
        y = np.empty_like(x)
        kernels.batch_norm(x, work.mean, work.r, step.w.scale, step.w.shift, y)
        store_channels(y, step.y, step.batch_last)

    def backward(self, step: Step) -> None:
        work, x, dy = step.work, channels(step.x, step.batch_last), channels(step.dy, step.batch_last)
        kernels.batch_norm_backward_parameters(dy, x, work.mean, work.r, step.dw.scale, step.dw.shift)
        if step.dx is None:
            return
        dx = np.empty_like(dy)
        if work.given:  # no x moves μ and v
            np.multiply(dy, (work.r * step.w.scale)[:, None], out=dx)
        else:
            kernels.batch_norm_backward_input(dy, x, work.mean, work.r, step.w.scale, dx)
        store_channels(dx, step.dx, step.batch_last)

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
        self.statistics(step, step.x.size // step.x.shape[-1])

    def forward(self, step: Step) -> None:
        work, x, y = step.work, rows(step.x), rows(step.y)
        kernels.row_statistics(x, work.mean, work.variance)
        kernels.inverse_deviation(work.variance, self.eps, work.r)
        kernels.layer_norm(x, work.mean, work.r, step.w.scale, step.w.shift, y)

    def backward(self, step: Step) -> None:
        work, x, dy = step.work, rows(step.x), rows(step.dy)
        kernels.layer_norm_backward_parameters(dy, x, work.mean, work.r, step.dw.scale, step.dw.shift)
        if step.dx is not None:
            kernels.layer_norm_backward_input(dy, x, work.mean, work.r, step.w.scale, rows(step.dx))

    def settings(self) -> str:
        return f"eps={self.eps}"


def channels(array: np.ndarray, batch_last: bool) -> np.ndarray:
    """Images or vectors as (C, M), all numbers of a channel in a row: a view where the batch is last, otherwise a copy."""
    by_channel = array if batch_last else np.ascontiguousarray(np.moveaxis(array, 1, 0))
    return by_channel.reshape(len(by_channel), -1)


def store_channels(values: np.ndarray, array: np.ndarray, batch_last: bool) -> None:
    """Store values (C, M) in images or vectors: `channels` in the opposite direction."""
    by_channel = array if batch_last else np.moveaxis(array, 1, 0)
    np.copyto(by_channel, values.reshape(by_channel.shape))


def _number(who: str, given, expected: str, fits) -> float:
    """`given` as a float that `fits`."""
    if isinstance(given, bool) or not isinstance(given, (int, float, np.integer, np.floating)) or not fits(given):
        raise ValueError(f"{who} expects {expected}; got {given!r}.")
    return float(given)
