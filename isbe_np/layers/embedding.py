"""Embedding: whole numbers in, a row of a table for each out.

A graph's values are of one floating-point type, tokens too: a batch holds 3.0 for token 3. Floating-point numbers hold every
whole number up to 2^24 (float32) or 2^53 exactly, so that nothing is lost, and batches, plans and checks stay those of every
other network. What is not one of the vocabulary's numbers is refused when a batch runs.
"""

import numpy as np

from isbe_np.checks import whole
from isbe_np.kernels.embedding import embedding, embedding_backward, whole_numbers
from isbe_np.layers.base import Layer, Shape, Step, Weights
from isbe_np.layers.dense import rows

# The largest vocabulary all of whose numbers a float32 holds.
MOST = 1 << 24


class Embedding(Layer):
    """Row v of a table (vocabulary, features) for each token v: (T,) -> (T, features).

    Tokens are the whole numbers 0 to vocabulary - 1, as floating-point numbers; ValueError for others when a batch runs. The
    table starts normal with variance 1. There is no derivative by a token: asked for the gradient by its input, it gives 0.
    """

    batch_last = False

    def __init__(self, vocabulary: int, features: int, name: str | None = None):
        super().__init__(name)
        self.vocabulary, self.features = whole("Embedding(vocabulary)", vocabulary), whole("Embedding(features)", features)
        if vocabulary > MOST:
            raise ValueError(f"Embedding(vocabulary) expects at most {MOST} tokens, all of which float32 can number; "
                             f"got {vocabulary}. Use a smaller vocabulary.")

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) != 1:
            self.refuse("tokens (T,), a number each", shapes[0], "Give Input the number of tokens, such as (64,).")
        return (*shapes[0], self.features)

    def weights(self, *shapes: Shape) -> dict[str, Weights]:
        return {"weight": Weights((self.vocabulary, self.features), 1.0)}

    def prepare(self, step: Step) -> None:
        step.work.tokens = np.zeros(step.x.size, np.int64)

    def forward(self, step: Step) -> None:
        tokens = step.work.tokens
        bad = whole_numbers(step.x.reshape(-1), self.vocabulary, tokens)
        if bad >= 0:
            n, t = divmod(bad, step.x.shape[1])
            raise ValueError(f"{self!r} expects tokens, whole numbers from 0 to {self.vocabulary - 1}; got {step.x[n, t]:g} "
                             f"as token {t} of example {n}. Number the tokens of the data anew, or enlarge the vocabulary.")
        embedding(step.w.weight, tokens, rows(step.y))

    def backward(self, step: Step) -> None:
        embedding_backward(rows(step.dy), step.work.tokens, step.dw.weight)
        if step.dx is not None:
            step.dx[...] = 0

    def settings(self) -> str:
        return f"{self.vocabulary}, {self.features}"


class PositionEmbedding(Layer):
    """x + P with a learned table P (T, features), a row for each position: (T, features) -> the same.

    P starts normal with standard deviation 0.02 (Dosovitskiy et al. 2021).
    """

    batch_last = False

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) != 2:
            self.refuse("tokens (T, features)", shapes[0], "Make tokens first, with Embedding or Patches.")
        return shapes[0]

    def weights(self, *shapes: Shape) -> dict[str, Weights]:
        return {"weight": Weights(shapes[0], 0.02)}

    def forward(self, step: Step) -> None:
        np.add(step.x, step.w.weight, out=step.y)

    def backward(self, step: Step) -> None:
        np.sum(step.dy, axis=0, dtype=np.float64, out=step.dw.weight)
        if step.dx is not None:
            np.copyto(step.dx, step.dy)
