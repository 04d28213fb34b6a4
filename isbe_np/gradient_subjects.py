"""What `check_gradients` can check: each as a value y of its arrays, and the gradients of Σ r ⊙ y by its backward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import numpy as np

from isbe_np.checks import FLOATS
from isbe_np.graph import Graph
from isbe_np.heads import Head
from isbe_np.layers.base import Input, Layer, Mode, Step
from isbe_np.layers.embedding import Embedding


class GradientError(AssertionError):
    """A gradient is wrong; the text says which, where, and by how much."""


@dataclass
class Subject:
    """What is checked: the arrays to vary in place, by name; y at them, a new array; the gradients of Σ r ⊙ y for given r.

    imaginary: for a function, Im y(x + ih)/h at a place of x. overwrites: what a pass was seen to change, as clauses.
    notes: what is left out of the check, as lines of the report.
    """

    name: str
    arrays: dict[str, np.ndarray]
    value: Callable[[], np.ndarray]
    gradients: Callable[[np.ndarray], dict[str, np.ndarray]]
    imaginary: Callable[[tuple], np.ndarray] | None = None
    overwrites: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def reads_tokens(subject) -> bool:
    """Whether the input of a layer or graph is tokens, whole numbers by which there is no derivative."""
    if isinstance(subject, Graph):
        readers = [node.layer for node in subject.nodes if subject.nodes[0] in node.inputs]
        return bool(readers) and all(isinstance(layer, Embedding) for layer in readers)
    return isinstance(subject, Embedding)


def subject_of(subject, arrays, targets, seed, random) -> Subject:
    """The `Subject` of a layer, graph, head or function at these arrays; `random` draws a layer's parameters."""
    if targets is not None and not isinstance(subject, Head):
        raise ValueError(f"check_gradients takes targets for a Head alone; got them with {subject!r}. Leave them out.")
    if isinstance(subject, Layer):
        if len(arrays) > 1:
            return _layer(subject, arrays, random)
        image = Input(arrays[0].shape[1:])
        net = Graph(image, subject(image), seed=seed, dtype=np.float64)
        for parameter in net.parameters():
            _off_constant(parameter.value, random)
        return _graph(net, arrays, repr(subject))
    if isinstance(subject, Graph):
        return _graph(subject, arrays, repr(subject))
    if isinstance(subject, Head):
        return _head(subject, arrays, targets)
    if callable(subject):
        return _function(subject, arrays)
    raise TypeError(f"check_gradients expects a layer, a Graph, a Head or a function; got {subject!r}.")


def _off_constant(value, random):
    """Move parameters that all start at one number: a factor of 1 or a shift of 0 that backward forgets would not show."""
    if value.size and (value == value.flat[0]).all():
        value += random.uniform(-0.25, 0.25, value.shape)


def _graph(net: Graph, arrays, name) -> Subject:
    if net.dtype != np.float64:
        raise TypeError(f"check_gradients expects a graph of dtype float64; {net!r} is {net.dtype}, whose rounding would hide "
                        f"small faults. Make it with dtype=np.float64.")
    if len(arrays) != 1:
        raise ValueError(f"check_gradients expects one array x for a graph; got {len(arrays)}.")
    x, draws, tokens = arrays[0], net.random.bit_generator.state, reads_tokens(net)
    kept = {part: array.copy() for part, array in net.state().items()}
    named = ({} if tokens else {"its input": x}) | {parameter.name: parameter.value for parameter in net.parameters()}
    if not named:
        raise ValueError(f"check_gradients finds nothing to check in {name}: it has no parameters, and its input is tokens.")

    def forward():
        # As in training, with the same random numbers in every pass: a Dropout drops the same values.
        net.random.bit_generator.state = draws
        scores = net.forward(x, training=True)
        net.random.bit_generator.state = draws
        for part, array in net.state().items():
            array[...] = kept[part]
        return scores

    def gradients(weights):
        """The gradients by what is `named`; GradientError where a pass changes what it was given."""
        forward()
        before = {node: net.value(node) for node in net.names.values()}
        by_input = net.backward(weights, input_gradient=True)
        for node, value in before.items():
            if (node == "input" and (value != x).any()) or (net.value(node) != value).any():
                raise GradientError(f"{name} modifies the value of node {node!r}: a pass must leave what it reads as it was.")
        if (net.gradient(list(before)[-1]) != weights).any():
            raise GradientError(f"{name} modifies the error that its backward is given.")
        found = {parameter.name: parameter.grad.copy() for parameter in net.parameters()}
        return found if tokens else {"its input": by_input} | found

    with_watch(net, forward)
    notes = ["its input: tokens, whole numbers without a derivative, left as they are"] if tokens else []
    return Subject(name, named, forward, gradients, notes=notes)


class Watched:
    """A layer of a plan that is run and looked at: GradientError where it changes an array that it only reads."""

    def __init__(self, layer: Layer, sources: list[str]):
        self.layer, self.sources, self.view = layer, sources, layer.view

    def forward(self, step: Step) -> None:
        self._run(self.layer.forward, step, {})

    def backward(self, step: Step) -> None:
        self._run(self.layer.backward, step, {"the error that its backward is given": step.dy})

    def _run(self, run, step, more):
        reads = {f"the value of node {name!r}": x for name, x in zip(self.sources, step.xs, strict=True)} | more
        reads |= {f"its parameter {part!r}": value for part, value in vars(step.w).items()}
        kept = {what: array.copy() for what, array in reads.items()}
        run(step)
        for what, array in reads.items():
            if array.tobytes() != kept[what].tobytes():
                raise GradientError(f"{self.layer!r} modifies {what}: a pass must leave what it reads as it was. Write the "
                                    f"result to an array of its own, such as step.y or step.dx.")


def with_watch(net: Graph, forward) -> None:
    """Run one pass forward and one backward with every layer watched; parameters are put back where it finds a fault."""
    values = net.values.copy()
    try:
        plan = net._plan(len(forward()))
        steps, kept = plan.steps, net.values.copy()
        sources = {id(step): [net.names[slot.node] for slot in slots] for _, step, slots, _ in steps}
        try:
            plan.steps = [(cast(Layer, Watched(layer, sources[id(step)])), step, reads, target)
                          for layer, step, reads, target in steps]
            scores = forward()
        finally:
            plan.steps = steps
        plan.prepare_backward(True)
        backward = plan.backward_steps
        try:
            plan.backward_steps = [(Watched(layer, sources[id(step)]), step, more) for layer, step, more in backward]
            net.backward(np.ones_like(scores), input_gradient=True)
        finally:
            plan.backward_steps = backward
        if values.tobytes() != kept.tobytes():
            raise GradientError(f"{net!r} modifies its parameters in its forward pass.")
    finally:
        net.values[...] = values


def _layer(layer: Layer, arrays, random) -> Subject:
    """A layer of several inputs, run by hand: a graph has one input."""
    shapes = [array.shape[1:] for array in arrays]
    out = layer(*(Input(shape) for shape in shapes))
    last = bool(layer.batch_last)

    def turn(a):
        return (np.moveaxis(a, 0, -1) if last else a).copy()

    def back(a):
        return (np.moveaxis(a, -1, 0) if last else a).copy()

    named = {f"input {k + 1}": array for k, array in enumerate(arrays)}
    values = {part: random.normal(wanted.start, wanted.spread or 0.25, wanted.shape)
              for part, wanted in layer.weights(*shapes).items()}
    named |= values
    empty = np.zeros((len(arrays[0]), *out.shape))
    step = Step([turn(array) for array in arrays], turn(empty), SimpleNamespace(**values), Mode(False, random))
    step.dxs, step.dy = [np.empty_like(x) for x in step.xs], turn(empty)
    step.dw = SimpleNamespace(**{part: np.empty_like(value) for part, value in values.items()})
    layer.prepare(step)
    layer.prepare_backward(step)
    watched = Watched(layer, [f"input {k + 1}" for k in range(len(arrays))])

    def forward(run=layer.forward):
        for x, array in zip(step.xs, arrays, strict=True):
            x[...] = turn(array)
        run(step)
        return back(step.y)

    def gradients(weights):
        forward(watched.forward)
        step.dy[...] = turn(weights)
        watched.backward(step)
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

    def run(given, labels):
        head.forward(given)
        return np.array(head.loss(labels))

    def gradients(weights):
        given, labels = scores.copy(), np.array(targets)
        run(given, labels)
        error = head.backward(labels)
        for what, now, kept in (("scores", given, scores), ("targets", labels, np.array(targets))):
            if now.tobytes() != kept.tobytes():
                raise GradientError(f"{head!r} modifies its {what}: a pass must leave what it reads as it was.")
        return {"scores": error * float(weights)}
    return Subject(repr(head), {"scores": scores}, lambda: run(scores.copy(), np.array(targets)), gradients)


def _function(function, arrays) -> Subject:
    name = getattr(function, "__name__", repr(function))
    if len(arrays) != 1:
        raise ValueError(f"check_gradients expects one array x for the function {name}; got {len(arrays)}.")
    x = arrays[0]
    what = Subject(name, {"x": x}, lambda: run(x)[0], lambda weights: {"x": backward(weights)})

    def overwritten(clause):
        if clause not in what.overwrites:
            what.overwrites.append(clause)

    def run(given):
        """y, backward, and the copy of `given` that the function was handed: it may overwrite what it gets."""
        mine = given.copy()
        made = function(mine)
        if not (isinstance(made, tuple) and len(made) == 2 and callable(made[1])):
            raise TypeError(f"check_gradients expects {name}(x) to return its value and a function backward(dy) -> dx; "
                            f"got {type(made).__name__}.")
        if mine.tobytes() != given.tobytes():
            overwritten("x in its forward pass")
        y = np.array(made[0])
        if y.dtype not in FLOATS and y.dtype != given.dtype:
            raise TypeError(f"check_gradients expects {name}(x) to return float64 or float32 numbers; got "
                            f"{type(made[0]).__name__} of {y.dtype}.")
        return y, made[1], mine

    def backward(weights):
        y, function_backward, mine = run(x)
        before, dy = mine.tobytes(), weights.astype(y.dtype)
        made = function_backward(dy)
        gradient = _numbers(name, made, x.shape)
        if mine.tobytes() != before:
            overwritten("x in its backward pass")
        if dy.tobytes() != weights.astype(y.dtype).tobytes():
            overwritten("the error dy that its backward is given")
        return gradient

    def imaginary(place):
        shifted = x.astype(complex)
        shifted[place] += 1e-20j
        return run(shifted)[0].imag.ravel() / 1e-20

    what.imaginary = imaginary
    return what


def _numbers(name, made, shape) -> np.ndarray:
    """What backward returned as an array of floating-point numbers, a copy."""
    try:
        gradient = np.array(made)
    except ValueError:
        gradient = np.array(None)
    if gradient.dtype.kind not in "fiu":
        got = "None" if made is None else f"{type(made).__name__} of {gradient.dtype}"
        raise GradientError(f"{name}: backward must return the gradient by x, numbers of shape {shape}; got {got}.")
    return gradient if gradient.dtype in FLOATS else gradient.astype(np.float64)
