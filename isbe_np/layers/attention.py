"""Attention of the tokens of a sequence to one another."""

import numpy as np

from isbe_np.checks import whole
from isbe_np.kernels.attention import attention, attention_backward
from isbe_np.layers.base import Layer, Node, Shape, Step, Weights, zeros
from isbe_np.layers.dense import Dense


class Attention(Layer):
    """Scaled dot-product attention of `heads` heads (Vaswani et al. 2017, eq. 1): no parameters.

    Inputs (T, 3 D): of each of T tokens its query, key and value, D numbers each, of which each head takes D / heads; outputs
    (T, D). `causal`: a token attends to itself and to those before it alone.
    """

    batch_last = False

    def __init__(self, heads: int, causal: bool = False, name: str | None = None):
        super().__init__(name)
        kind = type(self).__name__
        self.heads = whole(f"{kind}(heads)", heads)
        if not isinstance(causal, (bool, np.bool_)):
            raise TypeError(f"{kind}(causal) expects True or False; got {causal!r}.")
        self.causal = bool(causal)

    def output_shape(self, *shapes: Shape) -> Shape:
        shape = shapes[0]
        if len(shape) != 2 or shape[1] % (3 * self.heads):
            self.refuse(f"tokens (T, 3 D) with D a multiple of its {self.heads} heads", shape,
                        "Put a Dense of 3 D units before it, or use MultiHeadSelfAttention, which does.")
        return shape[0], shape[1] // 3

    def prepare(self, step: Step) -> None:
        N, T, _ = step.y.shape
        step.work.weights = zeros((N, self.heads, T, T), step.y.dtype)

    def forward(self, step: Step) -> None:
        attention(self.by_head(step.x, 3), self.causal, step.work.weights, self.by_head(step.y))

    def backward(self, step: Step) -> None:
        if step.dx is not None:
            attention_backward(self.by_head(step.dy), self.by_head(step.x, 3), step.work.weights, self.by_head(step.dx, 3))

    def by_head(self, array: np.ndarray, *parts: int) -> np.ndarray:
        """A view of tokens (N, T, parts · D) as (N, T, parts, heads, d)."""
        return array.reshape(*array.shape[:2], *parts, self.heads, -1)

    def settings(self) -> str:
        return f"{self.heads}{', causal=True' if self.causal else ''}"


class Projection(Dense):
    """A dense layer from D features to `times` as many.

    W starts normal with variance 1 / D, where Dense takes twice that, as no ReLU comes after it that would take half away.
    """

    def __init__(self, times: int = 1, name: str | None = None):
        Layer.__init__(self, name)
        self.times = whole("Projection(times)", times)

    def output_shape(self, *shapes: Shape) -> Shape:
        *tokens, D = self.vectors(shapes[0])
        return (*tokens, self.times * D)

    def weights(self, *shapes: Shape) -> dict[str, Weights]:
        D = shapes[0][-1]
        return {"weight": Weights((self.times * D, D), D ** -0.5), "bias": Weights((self.times * D,))}

    def settings(self) -> str:
        return str(self.times)


class MultiHeadSelfAttention(Layer):
    """Attention of tokens (T, D) to one another, (T, D): a Projection to queries, keys and values, Attention, a Projection.

    In a graph these three stand in its place, each a node of its own: where this one is called `attend` they are called
    `attend_qkv`, `attend` and `attend_out`.
    """

    def __init__(self, heads: int, causal: bool = False, name: str | None = None):
        super().__init__(name)
        self.attention = Attention(heads, causal, name)
        self.qkv, self.out = (Projection(times, name and f"{name}_{part}") for times, part in ((3, "qkv"), (1, "out")))

    def __call__(self, *nodes: Node) -> Node:
        super().__call__(*nodes)  # for its refusals
        return self.out(self.attention(self.qkv(*nodes)))

    def output_shape(self, *shapes: Shape) -> Shape:
        heads = self.attention.heads
        if len(shapes[0]) != 2 or shapes[0][1] % heads:
            self.refuse(f"tokens (T, D) with D a multiple of its {heads} heads", shapes[0],
                        "Choose another D or number of heads, or make tokens first, with Patches or Embedding.")
        return shapes[0]

    def settings(self) -> str:
        return self.attention.settings()
