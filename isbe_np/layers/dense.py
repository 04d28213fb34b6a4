"""The fully connected layer."""

from isbe_np.checks import whole
from isbe_np.kernels.dense import dense, dense_backward_input, dense_backward_weight
from isbe_np.layers.base import Layer, Shape, Step, Weights


class Dense(Layer):
    """y = x Wᵀ + b with W (units, features) and b (units,); inputs (features,).

    W starts normal with variance 2 / features (He et al. 2015, eq. 10), b at zero.
    """

    batch_last = False

    def __init__(self, units: int, name: str | None = None):
        super().__init__(name)
        self.units = whole("Dense(units)", units)

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) != 1:
            self.refuse("vectors (features,)", shapes[0], "Put a Flatten before it.")
        return (self.units,)

    def weights(self, *shapes: Shape) -> dict[str, Weights]:
        features = shapes[0][0]
        return {"weight": Weights((self.units, features), (2 / features) ** 0.5), "bias": Weights((self.units,))}

    def forward(self, step: Step) -> None:
        dense(step.x, step.w.weight, step.w.bias, step.y)

    def backward(self, step: Step) -> None:
        dense_backward_weight(step.dy, step.x, step.dw.weight, step.dw.bias)
        if step.dx is not None:
            dense_backward_input(step.dy, step.w.weight, step.dx)

    def settings(self) -> str:
        return str(self.units)
