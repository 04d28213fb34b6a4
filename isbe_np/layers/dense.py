"""The fully connected layer."""

import numpy as np

from isbe_np.checks import whole
from isbe_np.kernels.dense import dense, dense_backward_input, dense_backward_parameters
from isbe_np.layers.base import Layer, Shape, Step, Weights


class Dense(Layer):
    """y = x Wᵀ + b with W (units, features) and b (units,); inputs (features,), or tokens (T, features), each for itself.

    W starts normal with variance 2 / features (He et al. 2015, eq. 10), b at zero.
    """

    batch_last = False

    def __init__(self, units: int, name: str | None = None):
        if isinstance(name, (int, float, np.number)) and not isinstance(name, bool):
            raise TypeError(f"Dense expects its name as text; got {name!r}. Where {units!r} is the number of inputs, write "
                            f"Dense({name:g}): a layer reads the number of its inputs from the layer before it, and the first "
                            f"one from the shape that Input or Sequential has.")
        super().__init__(name)
        self.units = whole("Dense(units)", units)

    def output_shape(self, *shapes: Shape) -> Shape:
        return (*self.vectors(shapes[0])[:-1], self.units)

    def vectors(self, shape: Shape) -> Shape:
        """`shape` if it is that of a vector or of tokens; otherwise a ValueError."""
        if len(shape) > 2:
            self.refuse("vectors (features,)", shape, "Put a Flatten before it; or Patches, as tokens (T, features) will do.")
        return shape

    def weights(self, *shapes: Shape) -> dict[str, Weights]:
        features = shapes[0][-1]
        return {"weight": Weights((self.units, features), (2 / features) ** 0.5), "bias": Weights((self.units,))}

    def forward(self, step: Step) -> None:
        dense(rows(step.x), step.w.weight, step.w.bias, rows(step.y))

    def backward(self, step: Step) -> None:
        x, dy = rows(step.x), rows(step.dy)
        dense_backward_parameters(dy, x, step.dw.weight, step.dw.bias)
        if step.dx is not None:
            dense_backward_input(dy, step.w.weight, rows(step.dx))

    def settings(self) -> str:
        return str(self.units)


def rows(array: np.ndarray) -> np.ndarray:
    """Vectors (N, features) as they are, tokens (N, T, features) as (N·T, features): the same memory, one vector a row."""
    return array.reshape(-1, array.shape[-1])
