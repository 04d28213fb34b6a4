"""The convolutional layer."""

import numpy as np

from isbe_np.checks import pair, whole
from isbe_np.kernels.conv2d import conv2d, conv2d_backward_input, conv2d_backward_weight, tap_offsets
from isbe_np.layers.base import Layer, Shape, Step, Weights, zeros


class Conv2D(Layer):
    """Cross-correlation with `filters` filters of size `kernel`, over images (C, H, W) with zeros around them.

    W is (filters, C, KH, KW) and starts normal with variance 2 / (C KH KW) (He et al. 2015), b (filters,) starts at zero.
    The output is (filters, (H + 2 padding - KH) // stride + 1, the same for the width). Each of `kernel`, `stride` and
    `padding` is one whole number or a pair (height, width).
    """

    batch_last = True

    def __init__(self, filters: int, kernel, stride=1, padding=0, name: str | None = None):
        super().__init__(name)
        self.filters = whole("Conv2D(filters)", filters)
        self.kernel = pair("Conv2D(kernel)", kernel)
        self.stride = pair("Conv2D(stride)", stride)
        self.padding = pair("Conv2D(padding)", padding, least=0)

    def output_shape(self, *shapes: Shape) -> Shape:
        _, H, W = self.image_shape(shapes[0])
        sizes = [n + 2 * p for n, p in zip((H, W), self.padding, strict=True)]
        if any(n < k for n, k in zip(sizes, self.kernel, strict=True)):
            self.refuse(f"images of at least {self.kernel} pixels after padding", shapes[0],
                        "Use a smaller kernel, more padding, or fewer pooling layers before it.")
        return (self.filters, *((n - k) // s + 1 for n, k, s in zip(sizes, self.kernel, self.stride, strict=True)))

    def weights(self, *shapes: Shape) -> dict[str, Weights]:
        shape = (self.filters, shapes[0][0], *self.kernel)
        return {"weight": Weights(shape, (2 / np.prod(shape[1:])) ** 0.5), "bias": Weights((self.filters,))}

    def prepare(self, step: Step) -> None:
        work = step.work
        work.image, work.inside = self.bordered(step.x)
        work.taps = tap_offsets(work.image.shape[0], *self.kernel, *work.image.shape[1:])

    def bordered(self, x):
        """A zero image with room for x and its padding, and the view of it that x fills; x itself where there is none."""
        (p, q), (C, H, W, N) = self.padding, x.shape
        if not p and not q:
            return x, x
        image = zeros((C, H + 2 * p, W + 2 * q, N), x.dtype)
        return image, image[:, p:p + H, q:q + W]

    def forward(self, step: Step) -> None:
        work = step.work
        if work.inside is not step.x:
            np.copyto(work.inside, step.x)
        conv2d(work.image, work.taps, step.w.weight.reshape(self.filters, -1), step.w.bias, self.stride, step.y)

    def prepare_backward(self, step: Step) -> None:
        work = step.work
        if step.dx is not None:
            work.d_image, work.d_inside = self.bordered(step.dx)
            work.turned = zeros(step.w.weight.transpose(2, 3, 1, 0).shape, step.dx.dtype)

    def backward(self, step: Step) -> None:
        work = step.work
        conv2d_backward_weight(step.dy, work.image, work.taps, self.stride,
                               step.dw.weight.reshape(self.filters, -1), step.dw.bias)
        if step.dx is not None:
            np.copyto(work.turned, step.w.weight.transpose(2, 3, 1, 0))
            conv2d_backward_input(step.dy, work.turned, self.stride, self.padding, work.d_image)
            if work.d_inside is not step.dx:
                np.copyto(step.dx, work.d_inside)

    def settings(self) -> str:
        return ", ".join((f"{self.filters}", *options(kernel=self.kernel, stride=self.stride, padding=self.padding)))


def options(**pairs):
    """Settings as a user would write them: a pair of equals as one number, the defaults left out."""
    for name, (a, b) in pairs.items():
        if (name, a, b) not in (("stride", 1, 1), ("padding", 0, 0)):
            value = str(a) if a == b else str((a, b))
            yield value if name in ("kernel", "size") else f"{name}={value}"
