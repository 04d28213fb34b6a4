"""The convolutional layer."""

import math

from isbe_np.checks import pair, whole
from isbe_np.kernels.conv2d import conv2d, conv2d_backward_input, conv2d_backward_parameters
from isbe_np.layers.base import Layer, Shape, Step, Weights


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
        return {"weight": Weights(shape, (2 / math.prod(shape[1:])) ** 0.5), "bias": Weights((self.filters,))}

    def forward(self, step: Step) -> None:
        conv2d(step.x, step.w.weight, step.w.bias, step.y, self.stride, self.padding)

    def backward(self, step: Step) -> None:
        conv2d_backward_parameters(step.dy, step.x, step.dw.weight, step.dw.bias, self.stride, self.padding)
        if step.dx is not None:
            conv2d_backward_input(step.dy, step.w.weight, step.dx, self.stride, self.padding)

    def settings(self) -> str:
        return ", ".join((f"{self.filters}", *options(kernel=self.kernel, stride=self.stride, padding=self.padding)))


def options(**pairs):
    """Settings as a user would write them: a pair of equals as one number, the defaults left out."""
    for name, (a, b) in pairs.items():
        if (name, a, b) not in (("stride", 1, 1), ("padding", 0, 0)):
            value = str(a) if a == b else str((a, b))
            yield value if name in ("kernel", "size") else f"{name}={value}"
