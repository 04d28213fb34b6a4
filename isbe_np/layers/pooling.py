"""Layers that shrink images."""

import numpy as np

from isbe_np.checks import pair
from isbe_np.kernels.pooling import (
    average_pool2d,
    average_pool2d_backward,
    global_average_pool,
    global_average_pool_backward,
    max_pool2d,
    max_pool2d_backward,
)
from isbe_np.layers.base import Layer, Shape, Step
from isbe_np.layers.conv2d import options


class Pool2D(Layer):
    """What max and average pooling share: a window of `size` that moves by `stride` (default: its size) over (C, H, W).

    The output is (C, (H + 2 padding - size) // stride + 1, the same for the width). Padding takes no part in the maximum or
    the mean, and is at most half the window, so that every window sees a pixel.
    """

    batch_last = True

    def __init__(self, size, stride=None, padding=0, name: str | None = None):
        super().__init__(name)
        kind = type(self).__name__
        self.size = pair(f"{kind}(size)", size)
        self.stride = self.size if stride is None else pair(f"{kind}(stride)", stride)
        self.padding = pair(f"{kind}(padding)", padding, least=0)
        if any(2 * p > k for p, k in zip(self.padding, self.size, strict=True)):
            raise ValueError(f"{kind}(padding) expects at most half the window {self.size}; got {self.padding}. "
                             f"Larger padding would make windows that hold no pixel.")

    def output_shape(self, *shapes: Shape) -> Shape:
        C, H, W = self.image_shape(shapes[0])
        sizes = [n + 2 * p for n, p in zip((H, W), self.padding, strict=True)]
        if any(n < k for n, k in zip(sizes, self.size, strict=True)):
            self.refuse(f"images of at least {self.size} pixels after padding", shapes[0],
                        "Use a smaller window or fewer pooling layers before it.")
        return (C, *((n - k) // s + 1 for n, k, s in zip(sizes, self.size, self.stride, strict=True)))

    def settings(self) -> str:
        stride = {} if self.stride == self.size else {"stride": self.stride}
        return ", ".join(options(size=self.size, **stride, padding=self.padding))


class MaxPool2D(Pool2D):
    """The largest pixel of each window; its gradient goes to that pixel alone (the first of equals)."""

    def prepare(self, step: Step) -> None:
        step.work.argmax = np.zeros(step.y.shape, np.uint32)

    def forward(self, step: Step) -> None:
        max_pool2d(step.x, self.size, self.stride, self.padding, step.y, step.work.argmax)

    def backward(self, step: Step) -> None:
        if step.dx is not None:
            max_pool2d_backward(step.dy, step.work.argmax, step.dx)


class AveragePool2D(Pool2D):
    """The mean of each window's pixels (those inside the image)."""

    def forward(self, step: Step) -> None:
        average_pool2d(step.x, self.size, self.stride, self.padding, step.y)

    def backward(self, step: Step) -> None:
        if step.dx is not None:
            average_pool2d_backward(step.dy, self.size, self.stride, self.padding, step.dx)


class GlobalAveragePool(Layer):
    """The mean of each channel: images (C, H, W) -> (C,), in place of Flatten before the last Dense (Lin et al. 2013)."""

    batch_last = True

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.image_shape(shapes[0])[:1]

    def forward(self, step: Step) -> None:
        global_average_pool(step.x, step.y)

    def backward(self, step: Step) -> None:
        if step.dx is not None:
            global_average_pool_backward(step.dy, step.dx)
