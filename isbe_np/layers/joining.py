"""Layers that only reshape or join."""

import math

import numpy as np

from isbe_np.layers.base import Layer, Shape, Step


class Flatten(Layer):
    """Images (C, H, W) as vectors (C·H·W,), in that order."""

    view = True

    def output_shape(self, *shapes: Shape) -> Shape:
        return (math.prod(shapes[0]),)

    def backward(self, step: Step) -> None:
        if step.dx is not None:
            np.copyto(step.dx, step.dy.reshape(step.dx.shape))


class Add(Layer):
    """The sum of two or more inputs of one shape."""

    arity = None

    def output_shape(self, *shapes: Shape) -> Shape:
        for shape in shapes[1:]:
            if shape != shapes[0]:
                self.refuse(f"inputs of one shape, {shapes[0]} like the first", shape,
                            "Match them, for example with a Conv2D of kernel 1 on the smaller branch.")
        return shapes[0]

    def forward(self, step: Step) -> None:
        np.add(step.xs[0], step.xs[1], out=step.y)
        for x in step.xs[2:]:
            step.y += x

    def backward(self, step: Step) -> None:
        for dx in step.dxs:
            if dx is not None:
                np.copyto(dx, step.dy)
