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

from dataclasses import dataclass, field

import numpy as np

from isbe_np.checks import float_array
from isbe_np.gradient_subjects import GradientError, subject_of
from isbe_np.graph import Graph
from isbe_np.heads import Head
from isbe_np.layers.base import Layer

STEP = 6e-6
# Share of elements that may straddle a kink before the check is refused as meaningless.
MOST_KINKS = 0.05


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


def check_gradients(subject, *x, targets=None, tolerance: float = 1e-6, step: float = STEP, seed: int = 0,
                    complex_step: bool = False) -> GradientReport:
    """Check every element of every gradient of `subject` at x; GradientError says where the first wrong one is.

    Parameters
    ----------
    subject : a layer, a graph of dtype float64, a head (then `targets` are needed), or a function of x that returns its
        value y, an array or a number, and a function `backward(dy) -> dx`.
    x : float64 arrays, batch first; several for a layer of several inputs.
    tolerance : largest error allowed, relative to the largest element of the gradient (2e-9 is usual, 1e-3 a fault).
    step : h of the differences; seed : of the random r, and of a layer's parameters.
    complex_step : for a function made of analytic NumPy operations (no abs, max or comparison): Im L(x + ih) / h with
        h = 1e-20, which subtracts nothing and so is exact to rounding, instead of differences. Kernels take no complex numbers.

    Raises GradientError; ValueError where the check would prove nothing (a gradient that is zero or tiny, many kinks) and for
    input that does not fit; TypeError for what cannot be checked.
    """
    arrays = [float_array("check_gradients(x)", array, np.float64).copy() for array in x]
    if not arrays or any(array.size == 0 for array in arrays):
        raise ValueError("check_gradients expects at least one array x that is not empty; got none. Pass a batch.")
    if isinstance(subject, (Layer, Graph)) and any(array.ndim < 2 for array in arrays):
        raise ValueError(f"check_gradients expects x with the batch as its first axis for {subject!r}, such as (4, 10); got "
                         f"shape {min((array.shape for array in arrays), key=len)}.")
    if complex_step and (isinstance(subject, (Layer, Graph, Head)) or not callable(subject)):
        raise TypeError(f"check_gradients takes complex_step for a function of NumPy operations alone; got {subject!r}, whose "
                        f"kernels take no complex numbers. Leave it out.")
    what = subject_of(subject, arrays, targets, seed)
    kept = {name: array.copy() for name, array in what.arrays.items()}
    gradients = {name: np.array(gradient) for name, gradient in what.gradients().items()}
    again = what.gradients()
    for name, array in what.arrays.items():
        _compare_twice(what.name, name, gradients[name], again[name], array)
        if array.tobytes() != kept[name].tobytes():
            raise GradientError(f"{what.name} modifies {name}: a forward or backward pass must leave its inputs as they were.")
    report = GradientReport(what.name)
    for name, array in what.arrays.items():
        report.checked.append(_check(what, name, array, gradients[name], tolerance, None if complex_step else step))
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
    """Compare `gradient` with differences in every element of `array`; a step of None stands for the complex step."""
    differences, kinks = np.zeros(array.shape), np.zeros(array.shape, bool)
    middle = what.loss()
    noise = 64 * np.finfo(float).eps * max(1.0, abs(middle)) / (step or 1.0)
    for place in np.ndindex(array.shape):
        if step is None:
            differences[place] = what.imaginary(place) if what.imaginary else np.nan
        else:
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
        """The difference quotients to the right and to the left, over h each."""
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
