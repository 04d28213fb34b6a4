"""From images to tokens, and from tokens to one vector."""

import numpy as np

from isbe_np.checks import whole
from isbe_np.layers.base import Layer, Shape, Step


class Patches(Layer):
    """An image (C, H, W) cut into squares of `size` pixels, each a token: (H W / size², C size²).

    Tokens go row by row over the image; each holds its channels one after another, each row by row (Dosovitskiy et al. 2021).
    """

    batch_last = False

    def __init__(self, size: int, name: str | None = None):
        super().__init__(name)
        self.size = whole("Patches(size)", size)

    def output_shape(self, *shapes: Shape) -> Shape:
        (C, H, W), size = self.image_shape(shapes[0]), self.size
        if H % size or W % size:
            self.refuse(f"images whose height and width are multiples of {size}", shapes[0],
                        "Choose a size that divides both, such as 4 or 7 for 28 x 28 pixels, 4 or 8 for 32 x 32.")
        return (H // size) * (W // size), C * size * size

    def cut(self, images: np.ndarray) -> np.ndarray:
        """A view of images (N, C, H, W) as (N, rows of patches, patches in a row, C, size, size)."""
        N, C, H, W = images.shape
        size = self.size
        return images.reshape(N, C, H // size, size, W // size, size).transpose(0, 2, 4, 1, 3, 5)

    def forward(self, step: Step) -> None:
        patches = self.cut(step.x)
        np.copyto(step.y.reshape(patches.shape), patches)

    def backward(self, step: Step) -> None:
        if step.dx is not None:
            patches = self.cut(step.dx)
            np.copyto(patches, step.dy.reshape(patches.shape))

    def settings(self) -> str:
        return str(self.size)


class MeanTokens(Layer):
    """The mean of T tokens, (T, features) -> (features,), added up in float64."""

    batch_last = False

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) != 2:
            self.refuse("tokens (T, features)", shapes[0], "Make tokens first, with Embedding or Patches.")
        return shapes[0][1:]

    def forward(self, step: Step) -> None:
        np.sum(step.x, axis=1, dtype=np.float64, out=step.y)
        np.divide(step.y, step.x.shape[1], out=step.y)

    def backward(self, step: Step) -> None:
        if step.dx is not None:
            np.divide(step.dy[:, None], step.dx.shape[1], out=step.dx)
