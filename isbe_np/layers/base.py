"""What a layer is, what a node is, and what a layer is handed when it runs.

A `Layer` describes one operation: the shape it makes of its inputs' shapes, the parameters it needs, and which kernels run
forward and backward. It holds no numbers, so that one layer object can serve in several graphs. Calling it on nodes gives a
new `Node`; a graph is whatever hangs together that way. When a graph runs, each of its nodes has a `Step`: the arrays that
the layer reads and writes, laid out before the first batch arrives.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

Shape = tuple[int, ...]


def zeros(shape: Shape, dtype) -> np.ndarray:
    """Zeros that start at a multiple of 64 bytes, where a vector register's loads are cheapest."""
    count, size = int(np.prod(shape)), np.dtype(dtype).itemsize
    memory = np.zeros(count * size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start:start + count * size].view(dtype).reshape(shape)


@dataclass
class Parameter:
    """A trainable array: `value` and `grad` are views into the graph's flat buffers, of one shape."""

    name: str
    value: np.ndarray
    grad: np.ndarray

    def __setattr__(self, name: str, value: Any) -> None:
        # `parameter.value += 1` hands back the same array; another one would not be what the graph computes with.
        if name in self.__dict__ and value is not self.__dict__[name]:
            raise AttributeError(f"Parameter {self.name!r} is changed in place: write parameter.{name}[...] = ... instead.")
        object.__setattr__(self, name, value)


@dataclass
class Weights:
    """What a layer asks for: an array of `shape`, drawn from a normal distribution of mean `start` and deviation `spread`."""

    shape: Shape
    spread: float = 0.0
    start: float = 0.0


@dataclass
class Mode:
    """What all steps of a run share: whether it is training, and the random numbers of layers that draw some."""

    training: bool
    random: np.random.Generator


@dataclass
class Step:
    """The arrays of one node for one batch size. A layer's backward overwrites `dxs` and `dw`; the graph does the adding.

    xs, y inputs and output; dxs, dy the loss's gradients by them (an entry of dxs is None where nobody needs it).
    w, dw the parameters and their gradients by name. work: buffers of the layer's own.
    state: by name, what the layer remembers from batch to batch (see `Layer.state`), the same arrays for all batch sizes.
    Values are (*shape, N) where `batch_last` is true, such as images (C, H, W, N), and (N, *shape) otherwise.
    """

    xs: list[np.ndarray]
    y: np.ndarray
    w: SimpleNamespace
    mode: Mode
    dxs: list[Any] = field(default_factory=list)
    dy: Any = None
    dw: SimpleNamespace = field(default_factory=SimpleNamespace)
    work: SimpleNamespace = field(default_factory=SimpleNamespace)
    state: SimpleNamespace = field(default_factory=SimpleNamespace)
    batch_last: bool = False
    x: np.ndarray = field(init=False, repr=False)  # xs[0], the first input
    dx: Any = field(init=False, repr=False)  # dxs[0], the gradient by it, or None where nobody needs it

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "x" and name in self.__dict__:
            raise AttributeError("A layer reads step.x and leaves it as it is: write step.y[...] = ... instead.")
        # `step.y += 1` hands back the same array; another one would be lost, as the graph reads the planned one.
        if name in ("y", "dx") and name in self.__dict__ and value is not self.__dict__[name]:
            raise AttributeError(f"A layer fills step.{name}, it cannot replace it: write step.{name}[...] = ... instead.")
        object.__setattr__(self, name, value)
        if name in ("xs", "dxs") and value:
            object.__setattr__(self, name[:-1], value[0])


class Node:
    """One value of a graph: what `layer` makes of `inputs`; `shape` leaves the batch out."""

    def __init__(self, layer: Layer, inputs: tuple[Node, ...], shape: Shape):
        self.layer, self.inputs, self.shape = layer, inputs, shape

    def __repr__(self) -> str:
        return f"<node of shape {self.shape}, output of {self.layer!r}>"


class Layer:
    """Base of all layers. A subclass says its shapes and parameters, and calls its kernels.

    batch_last: True when its kernels want (C, H, W, N), False when they want (N, ...), None when either does, as the step says.
    arity: number of inputs; None for two or more. view: its output is its input under another shape.
    """

    batch_last: bool | None = None
    arity: int | None = 1
    view = False

    def __init__(self, name: str | None = None):
        if name is not None and not isinstance(name, str):
            kind, arguments = type(self).__name__, ", ".join(inspect.signature(type(self)).parameters)
            raise TypeError(f"{kind} expects its name as text; got {name!r}. Its arguments are {kind}({arguments}). A layer "
                            f"reads the number of its inputs from the layer before it.")
        self.name = name

    def __call__(self, *nodes: Node) -> Node:
        """The node that this layer makes of `nodes`. ValueError where their shapes do not fit."""
        for node in nodes:
            if not isinstance(node, Node):
                raise TypeError(f"{self!r} is applied to nodes, such as isbe_np.Input((1, 28, 28)); "
                                f"got {type(node).__name__}. To run numbers, build a Graph and call its forward.")
        if (len(nodes) < 2) if self.arity is None else (len(nodes) != self.arity):
            wanted = "two or more inputs" if self.arity is None else f"{self.arity} input"
            raise ValueError(f"{self!r} expects {wanted}; got {len(nodes)}.")
        return Node(self, nodes, self.output_shape(*(node.shape for node in nodes)))

    def refuse(self, expected: str, shape: Shape, mend: str):
        """Raise the ValueError of a shape that does not fit."""
        raise ValueError(f"{self!r} expects {expected}; got shape {shape} (without the batch). {mend}")

    def image_shape(self, shape: Shape) -> Shape:
        """`shape` if it is that of an image; otherwise a ValueError."""
        if len(shape) != 3:
            self.refuse("images (channels, height, width)", shape,
                        "Give Input an image's shape, such as (1, 28, 28), and put this layer before any Flatten.")
        return shape

    def output_shape(self, *shapes: Shape) -> Shape:
        """Shape of the output, without the batch, for inputs of these shapes."""
        return shapes[0]

    def weights(self, *shapes: Shape) -> dict[str, Weights]:
        """Parameters needed for inputs of these shapes, in the order in which they are stored."""
        return {}

    def state(self, *shapes: Shape) -> dict[str, Weights]:
        """Arrays that forward changes in training and no gradient does, for inputs of these shapes; all begin at `start`."""
        return {}

    def least_batch(self, *shapes: Shape) -> int:
        """The fewest examples that forward takes in training, for inputs of these shapes."""
        return 1

    def prepare(self, step: Step) -> None:
        """Make the buffers of `step.work` that forward needs."""

    def prepare_backward(self, step: Step) -> None:
        """Make the buffers of `step.work` that only backward needs."""

    def forward(self, step: Step) -> None:
        """Fill `step.y`."""
        raise NotImplementedError(f"{type(self).__name__} has no forward.")

    def backward(self, step: Step) -> None:
        """Fill `step.dw` and every `step.dxs` that is not None, from `step.dy`."""
        raise NotImplementedError(f"{type(self).__name__} has no backward.")

    def settings(self) -> str:
        """What stands between the brackets of the layer's repr."""
        return ""

    def __repr__(self) -> str:
        name = f"name={self.name!r}" if self.name else ""
        return f"{type(self).__name__}({', '.join(filter(None, (self.settings(), name)))})"


class InputLayer(Layer):
    """The layer behind `Input`: it computes nothing."""

    arity = 0

    def __init__(self, shape: Shape, name: str | None = None):
        super().__init__(name)
        self.shape = shape

    def settings(self) -> str:
        return str(self.shape)


def Input(shape, name: str | None = None) -> Node:
    """The node where a batch enters a graph; `shape` leaves the batch out: (1, 28, 28) for images, (784,) for vectors."""
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape) if isinstance(shape, Iterable) else ()
    if not sizes or any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 for n in sizes):
        kind = ValueError if isinstance(shape, (int, Iterable)) else TypeError
        raise kind(f"Input expects a shape of whole numbers of at least 1, without the batch, such as "
                   f"(1, 28, 28); got {shape!r}.")
    sizes = tuple(int(n) for n in sizes)
    return Node(InputLayer(sizes, name), (), sizes)
