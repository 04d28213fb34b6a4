"""Checking gradients: every element of every gradient against central differences, in float64.

    isbe.check_gradients(isbe.Conv2D(4, 3, padding=1), x)              # a layer: by its input and by its parameters
    isbe.check_gradients(net, x)                                       # a whole graph
    isbe.check_gradients(isbe.Head("softmax", "jacobian"), scores, targets=labels)
    isbe.check_gradients(my_function, x)                               # my_function(x) -> (y, backward), backward(dy) -> dx

A layer or graph has as many outputs as scores, so that one number is made of them: L = Σ r ⊙ y with random r, drawn once. The
backward pass gives ∂L/∂x from r; the difference (L(x + h) - L(x - h)) / 2h must agree, element by element. Its own error is of
the order of h² plus (rounding of L) / h, least near h = ε^(1/3) = 6e-6, where it is some 1e-10 of a smooth function of moderate
size. A fault in a gradient shows as 1e-3 and more: nothing lies between but kinks.

What is required besides: backward run twice gives the same bits, inputs are left unmodified, and no gradient is zero
throughout (comparing zero with zero proves nothing). Where the two halves of a difference disagree, x straddles a kink, such
as ReLU's at 0, and the difference means nothing: such elements are left out and counted, and may be one in twenty at most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from isbe_np.checks import float_array
from isbe_np.graph import Graph
from isbe_np.heads import Head
from isbe_np.layers.base import Input, Layer, Mode, Step

STEP = 6e-6
# Share of elements that may straddle a kink before the check is refused as meaningless.
MOST_KINKS = 0.05


class GradientError(AssertionError):
    """A gradient is wrong; the text says which, where, and by how much."""


@dataclass
class Checked:
    """One gradient that was found right: its name, how many elements, how many left out at kinks, the worst error."""

    name: str
    elements: int
    kinks: int
    worst: float


@dataclass
class GradientReport:
    """What was checked. `worst` is the largest error of any element, relative to the largest of its gradient."""

    subject: str
    checked: list[Checked] = field(default_factory=list)

    @property
    def worst(self) -> float:
        """The largest error of all gradients."""
        return max(row.worst for row in self.checked)

    def __str__(self) -> str:
        rows = [f"  {row.name}: {row.elements} elements, worst relative error {row.worst:.1e}"
                + (f", {row.kinks} left out at kinks" if row.kinks else "") for row in self.checked]
        return "\n".join([f"The gradients of {self.subject} are right.", *rows])


@dataclass
class _Subject:
    """What is checked, as two functions of nothing: its number L, and its gradients; and the arrays to vary, by name."""

    name: str
    arrays: dict[str, np.ndarray]
    loss: Callable[[], float]
    gradients: Callable[[], dict[str, np.ndarray]]


def check_gradients(subject, *x, targets=None, tolerance: float = 1e-6, step: float = STEP, seed: int = 0) -> GradientReport:
    """Check every element of every gradient of `subject` at x; GradientError says where the first wrong one is.

    Parameters
    ----------
    subject : a layer, a graph of dtype float64, a head (then `targets` are needed), or a function of x that returns its
        value y, an array or a number, and a function `backward(dy) -> dx`.
    x : float64 arrays, batch first; several for a layer of several inputs.
    tolerance : largest error allowed, relative to the largest element of the gradient (2e-9 is usual, 1e-3 a fault).
    step : h of the differences; seed : of the random r, and of a layer's parameters.

    Raises GradientError; ValueError where the check would prove nothing (a gradient that is zero or tiny, many kinks) and for
    input that does not fit; TypeError for what cannot be checked.
    """
    arrays = [float_array("check_gradients(x)", array, np.float64).copy() for array in x]
    if not arrays or any(array.size == 0 for array in arrays):
        raise ValueError("check_gradients expects at least one array x that is not empty; got none. Pass a batch.")
    if isinstance(subject, (Layer, Graph)) and any(array.ndim < 2 for array in arrays):
        raise ValueError(f"check_gradients expects x with the batch as its first axis for {subject!r}, such as (4, 10); got "
                         f"shape {min((array.shape for array in arrays), key=len)}.")
    what = _subject(subject, arrays, targets, seed)
    kept = {name: array.copy() for name, array in what.arrays.items()}
    gradients = {name: np.array(gradient) for name, gradient in what.gradients().items()}
    again = what.gradients()
    for name, array in what.arrays.items():
        _compare_twice(what.name, name, gradients[name], again[name], array)
        if array.tobytes() != kept[name].tobytes():
            raise GradientError(f"{what.name} modifies {name}: a forward or backward pass must leave its inputs as they were.")
    report = GradientReport(what.name)
    for name, array in what.arrays.items():
        report.checked.append(_check(what, name, array, gradients[name], tolerance, step))
    return report


def _compare_twice(subject, name, gradient, again, array):
    if gradient.shape != array.shape:
        raise GradientError(f"{subject}: the gradient by {name} has shape {gradient.shape}; expected {array.shape}.")
    if not np.isfinite(gradient).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(gradient))[0])
        raise GradientError(f"{subject}: the gradient by {name} is {gradient[place]} at {place}.")
    if (gradient != again).any():
        place = tuple(int(i) for i in np.argwhere(gradient != again)[0])
        raise GradientError(f"{subject}: backward run twice gives two gradients by {name}: {gradient[place]!r} and then "
                            f"{again[place]!r} at {place}. Does it add to what an earlier pass left?")


def _check(what, name, array, gradient, tolerance, step) -> Checked:
    """Compare `gradient` with differences in every element of `array`."""
    differences, kinks = np.zeros(array.shape), np.zeros(array.shape, bool)
    middle = what.loss()
    noise = 64 * np.finfo(float).eps * max(1.0, abs(middle)) / step
    for place in np.ndindex(array.shape):
        differences[place], kinks[place] = _difference(what.loss, array, place, step, middle, noise)
    scale = float(np.max(np.abs(differences), initial=0.0, where=~kinks))
    if scale <= noise and not np.abs(gradient).max() > noise:
        raise ValueError(f"check_gradients: the gradient of {what.name} by {name} is zero throughout, so that the check would "
                         f"prove nothing. Choose x where it is not, or another seed.")
    if noise > 1e-3 * max(scale, np.abs(gradient).max()):
        raise ValueError(f"check_gradients: the gradient of {what.name} by {name}, at most {scale:.1e}, is too small beside "
                         f"its value {middle:.1e}, whose rounding would hide a fault. Scale the function, or take off a "
                         f"constant.")
    error = np.where(kinks, 0.0, np.abs(gradient - differences))
    wrong = error > tolerance * scale + noise
    if wrong.any():
        place = tuple(int(i) for i in np.unravel_index(np.argmax(error), error.shape))
        raise GradientError(f"{what.name}: the gradient by {name} is wrong at {place}: backward gives {gradient[place]:.12g}, "
                            f"differences give {differences[place]:.12g}, a relative error of {error[place] / scale:.1e} "
                            f"({int(wrong.sum())} of {wrong.size} elements are wrong).")
    if kinks.mean() > MOST_KINKS:
        raise ValueError(f"check_gradients: {int(kinks.sum())} of {kinks.size} elements of {name} straddle a kink of "
                         f"{what.name}, so that differences mean nothing there. Move x away from it, for example by 0.01.")
    return Checked(name, array.size, int(kinks.sum()), float(error.max() / scale))


def _difference(loss, array, place, step, middle, noise):
    """The central difference in one element, and whether the element straddles a kink.

    A smooth function's halves differ by h L'', which shrinks with h; at a kink they differ by a jump, which does not.
    """
    def halves(h):
        kept = array[place]
        try:
            array[place] = kept + h
            above = loss()
            array[place] = kept - h
            below = loss()
        finally:
            array[place] = kept
        return (above - middle) / h, (middle - below) / h

    right, left = halves(step)
    central = (right + left) / 2
    if abs(right - left) <= 1e-4 * max(abs(central), 1e-3) + 4 * noise:
        return central, False
    small_right, small_left = halves(step / 4)
    return central, abs(small_right - small_left) > abs(right - left) / 2 + 8 * noise


def _subject(subject, arrays, targets, seed) -> _Subject:
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


def _graph(net: Graph, arrays, seed, name) -> _Subject:
    if net.dtype != np.float64:
        raise TypeError(f"check_gradients expects a graph of dtype float64; {net!r} is {net.dtype}, whose rounding would hide "
                        f"small faults. Make it with dtype=np.float64.")
    if len(arrays) != 1:
        raise ValueError(f"check_gradients expects one array x for a graph; got {len(arrays)}.")
    x, draws = arrays[0], net.random.bit_generator.state
    named = {"its input": x} | {parameter.name: parameter.value for parameter in net.parameters()}

    def forward():
        # As in training, with the same random numbers in every pass: a Dropout drops the same values.
        net.random.bit_generator.state = draws
        return net.forward(x, training=True)

    weights = np.random.default_rng(seed).normal(size=forward().shape)

    def gradients():
        forward()
        before = {node: net.value(node) for node in net.names.values()}
        by_input = net.backward(weights, input_gradient=True)
        for node, value in before.items():
            if (node == "input" and (value != x).any()) or (net.value(node) != value).any():
                raise GradientError(f"{name} modifies the value of node {node!r}: a pass must leave what it reads as it was.")
        if (net.gradient(list(before)[-1]) != weights).any():
            raise GradientError(f"{name} modifies the error that its backward is given.")
        return dict(zip(named, [by_input, *(parameter.grad.copy() for parameter in net.parameters())], strict=True))
    return _Subject(name, named, lambda: float((forward() * weights).sum()), gradients)


def _layer(layer: Layer, arrays, seed) -> _Subject:
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
    return _Subject(repr(layer), named, forward, gradients)


def _head(head: Head, arrays, targets) -> _Subject:
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
    return _Subject(repr(head), {"scores": scores}, loss, gradients)


def _function(function, arrays, seed) -> _Subject:
    name = getattr(function, "__name__", repr(function))
    if len(arrays) != 1:
        raise ValueError(f"check_gradients expects one array x for the function {name}; got {len(arrays)}.")
    x = arrays[0]

    def run():
        made = function(x)
        if not (isinstance(made, tuple) and len(made) == 2 and callable(made[1])):
            raise TypeError(f"check_gradients expects {name}(x) to return its value and a function backward(dy) -> dx; "
                            f"got {type(made).__name__}.")
        return np.asarray(made[0], np.float64), made[1]

    weights = np.random.default_rng(seed).normal(size=run()[0].shape)
    return _Subject(name, {"x": x}, lambda: float((run()[0] * weights).sum()),
                    lambda: {"x": np.asarray(run()[1](weights), np.float64)})
