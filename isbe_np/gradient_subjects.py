"""What `check_gradients` can check, each as one number L of its arrays and the gradients that its backward pass gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from isbe_np.graph import Graph
from isbe_np.heads import Head
from isbe_np.layers.base import Input, Layer, Mode, Step


class GradientError(AssertionError):
    """A gradient is wrong; the text says which, where, and by how much."""


@dataclass
class Subject:
    """What is checked: the arrays to vary, by name; L and its gradients by them; for a function, Im L(x + ih)/h at a place."""

    name: str
    arrays: dict[str, np.ndarray]
    loss: Callable[[], float]
    gradients: Callable[[], dict[str, np.ndarray]]
    imaginary: Callable[[tuple], float] | None = None


def subject_of(subject, arrays, targets, seed) -> Subject:
    """The `Subject` of a layer, graph, head or function at these arrays."""
    if targets is not None and not isinstance(subject, Head):
        raise ValueError(f"check_gradients takes targets for a Head alone; got them with {subject!r}. Leave them out.")
    if isinstance(subject, Layer):
        if len(arrays) > 1:
            return _layer(subject, arrays, seed)
        image = Input(arrays[0].shape[1:])
        return _graph(Graph(image, subject(image), seed=seed, dtype=np.float64), arrays, seed, repr(subject))
    if isinstance(subject, Graph):
        return _graph(subject, arrays, seed, repr(subject))
    if isinstance(subject, Head):
        return _head(subject, arrays, targets)
    if callable(subject):
        return _function(subject, arrays, seed)
    raise TypeError(f"check_gradients expects a layer, a Graph, a Head or a function; got {subject!r}.")


def _graph(net: Graph, arrays, seed, name) -> Subject:
    if net.dtype != np.float64:
        raise TypeError(f"check_gradients expects a graph of dtype float64; {net!r} is {net.dtype}, whose rounding would hide "
                        f"small faults. Make it with dtype=np.float64.")
    if len(arrays) != 1:
        raise ValueError(f"check_gradients expects one array x for a graph; got {len(arrays)}.")
    x, draws = arrays[0], net.random.bit_generator.state
    kept = {part: array.copy() for part, array in net.state().items()}
    named = {"its input": x} | {parameter.name: parameter.value for parameter in net.parameters()}

    def forward():
        # As in training, with the same random numbers in every pass: a Dropout drops the same values.
        net.random.bit_generator.state = draws
        scores = net.forward(x, training=True)
        for part, array in net.state().items():
            array[...] = kept[part]
        return scores

    weights = np.random.default_rng(seed).normal(size=forward().shape)

    def gradients():
        """The gradients by what is `named`; GradientError where a pass changes what it was given."""
        forward()
        before = {node: net.value(node) for node in net.names.values()}
        by_input = net.backward(weights, input_gradient=True)
        for node, value in before.items():
            if (node == "input" and (value != x).any()) or (net.value(node) != value).any():
                raise GradientError(f"{name} modifies the value of node {node!r}: a pass must leave what it reads as it was.")
        if (net.gradient(list(before)[-1]) != weights).any():
            raise GradientError(f"{name} modifies the error that its backward is given.")
        return dict(zip(named, [by_input, *(parameter.grad.copy() for parameter in net.parameters())], strict=True))
    return Subject(name, named, lambda: float((forward() * weights).sum()), gradients)


def _layer(layer: Layer, arrays, seed) -> Subject:
    """A layer of several inputs, run by hand: a graph has one input."""
    shapes = [array.shape[1:] for array in arrays]
    nodes = [Input(shape) for shape in shapes]
    out = layer(*nodes)
    random = np.random.default_rng(seed)
    weights = random.normal(size=(len(arrays[0]), *out.shape))
    last = bool(layer.batch_last)

    def turn(a):
        return (np.moveaxis(a, 0, -1) if last else a).copy()

    def back(a):
        return (np.moveaxis(a, -1, 0) if last else a).copy()

    named = {f"input {k + 1}": array for k, array in enumerate(arrays)}
    values = {part: random.normal(0, wanted.spread or 1, wanted.shape) for part, wanted in layer.weights(*shapes).items()}
    named |= values
    step = Step([turn(array) for array in arrays], turn(weights), SimpleNamespace(**values), Mode(False, random))
    step.dxs, step.dy = [np.empty_like(x) for x in step.xs], turn(weights)
    step.dw = SimpleNamespace(**{part: np.empty_like(value) for part, value in values.items()})
    layer.prepare(step)
    layer.prepare_backward(step)

    def forward():
        for x, array in zip(step.xs, arrays, strict=True):
            x[...] = turn(array)
        layer.forward(step)
        return float((back(step.y) * weights).sum())

    def gradients():
        forward()
        layer.backward(step)
        by_inputs = [back(dx) for dx in step.dxs]
        return dict(zip(named, by_inputs + [getattr(step.dw, part).copy() for part in values], strict=True))
    return Subject(repr(layer), named, forward, gradients)


def _head(head: Head, arrays, targets) -> Subject:
    if targets is None or len(arrays) != 1:
        raise ValueError("check_gradients of a Head expects one array of scores, and targets=: class indices or an array "
                         "(N, C).")
    if head.reduction == "none":
        raise ValueError("check_gradients needs one number to differentiate, and a Head of reduction 'none' has one for each "
                         "example. Use reduction 'sum'.")
    scores = arrays[0]

    def loss():
        head.forward(scores)
        return float(head.loss(targets))

    def gradients():
        head.forward(scores)
        return {"scores": head.backward(targets)}
    return Subject(repr(head), {"scores": scores}, loss, gradients)


def _function(function, arrays, seed) -> Subject:
    name = getattr(function, "__name__", repr(function))
    if len(arrays) != 1:
        raise ValueError(f"check_gradients expects one array x for the function {name}; got {len(arrays)}.")
    x = arrays[0]

    def run(x=x):
        made = function(x)
        if not (isinstance(made, tuple) and len(made) == 2 and callable(made[1])):
            raise TypeError(f"check_gradients expects {name}(x) to return its value and a function backward(dy) -> dx; "
                            f"got {type(made).__name__}.")
        return np.asarray(made[0]), made[1]

    def imaginary(place):
        shifted = x.astype(complex)
        shifted[place] += 1e-20j
        return float((run(shifted)[0] * weights).sum().imag / 1e-20)

    weights = np.random.default_rng(seed).normal(size=run()[0].shape)
    return Subject(name, {"x": x}, lambda: float((run()[0] * weights).sum()),
                    lambda: {"x": np.asarray(run()[1](weights), np.float64)}, imaginary)
