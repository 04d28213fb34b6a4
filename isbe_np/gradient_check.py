"""Checking gradients: element by element against central differences, each element by its own size.

    isbe.check_gradients(isbe.Conv2D(4, 3, padding=1), x)              # a layer: by its input and by its parameters
    isbe.check_gradients(net, x)                                       # a whole graph; large ones by a sample
    isbe.check_gradients(isbe.Head("softmax", "jacobian"), scores, targets=labels)
    isbe.check_gradients(my_function, x)                               # my_function(x) -> (y, backward), backward(dy) -> dx

A layer or graph has as many outputs as scores, so that one number is made of them: L = Σ r ⊙ y with random r, drawn twice. The
backward pass gives ∂L/∂x from r; the difference (L(x + h) - L(x - h)) / 2h must agree. Its own error is of the order of h² plus
(rounding of L) / h, least near h = ε^(1/3) of x: 6e-6 in float64, 5e-3 in float32. Where it does not agree at that step, seven
others are tried (see `gradient_differences`), and the error that differences may have themselves is taken off.

An element is right if it is off by at most `tolerance` of its own size and the error of the difference. If that error is
larger than a hundredth of the element, nothing can be told of it: such elements are counted, and a check of nothing else is
refused. So are functions that change from call to call, and gradients that are zero throughout (comparing zero with zero proves
nothing). Where the two halves of a difference disagree, x straddles a kink, such as ReLU's at 0, and the difference means
nothing: such elements are left out and counted, and may be one in twenty at most.

For comparison: PyTorch's gradcheck takes float64, h = 1e-6 and a relative tolerance of 1e-3; CS231n calls 1e-7 good and 1e-2
wrong; JAX takes one random direction, which in float32 misses a fault of 0.1 %.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from isbe_np.checks import float_array, numbers, whole
from isbe_np.gradient_differences import Differences
from isbe_np.gradient_judge import Judge, Verdict, along_directions, constant_factor
from isbe_np.gradient_subjects import GradientError, Subject, reads_tokens, subject_of
from isbe_np.graph import Graph
from isbe_np.heads import Head
from isbe_np.layers.base import Layer

# Share of elements that may straddle a kink before the check is refused as meaningless.
MOST_KINKS = 0.05
# Subjects of more elements are checked by a sample: this many elements of each array, and two directions through all.
MOST, SAMPLE, DIRECTIONS = 2000, 50, 2
# Independent of every default_rng(seed) that x may come from.
STREAM = 0x69736265_6E700017
WEIGHTS = 2


@dataclass
class Checked:
    """One gradient that was found right.

    elements, total: how many elements were checked, of how many. kinks, untold, zero: how many of them were left out at
    kinks, could not be told, and are 0 in both. directions: random directions through all elements. worst: the largest error,
    relative to the element's own size; seen: the smallest fault, in the same terms, that would have been seen everywhere.
    """

    name: str
    elements: int
    total: int
    kinks: int
    untold: int
    zero: int
    directions: int
    worst: float
    seen: float

    def __str__(self) -> str:
        many = f"{self.elements}" if self.elements == self.total else f"{self.elements} of {self.total:,}"
        through = f" and {self.directions} directions through all" if self.directions else ""
        parts = [f"{self.name}: {many} elements{through}"]
        if self.elements > self.kinks + self.untold + self.zero:
            parts.append(f"worst relative error {self.worst:.1e}, faults above {self.seen:.0e} would show")
        if self.zero:
            parts.append(f"{self.zero} are 0")
        if self.kinks:
            parts.append(f"{self.kinks} left out at kinks")
        if self.untold:
            parts.append(f"{self.untold} cannot be told, too small beside the rounding of the values")
        return ", ".join(parts)


@dataclass
class GradientReport:
    """What was checked. `worst` is the largest error of any element, relative to its own size."""

    subject: str
    checked: list[Checked] = field(default_factory=list)
    precision: str = "float64"
    notes: list[str] = field(default_factory=list)

    @property
    def worst(self) -> float:
        """The largest error of all gradients."""
        return max(row.worst for row in self.checked)

    def __str__(self) -> str:
        told = all(2 * row.untold <= row.elements for row in self.checked)
        first = f"The gradients of {self.subject} are right" + ("" if told else " where differences can tell")
        first += "." if self.precision == "float64" else f", to the precision of {self.precision}."
        return "\n".join([first, *(f"  {line}" for line in (*self.notes, *self.checked))])


def check_gradients(subject, *x, targets=None, tolerance: float | None = None, step: float | None = None, seed: int = 0,
                    complex_step: bool = False, elements: int | str | None = None) -> GradientReport:
    """Check the gradients of `subject` at x, element by element; GradientError says where the worst fault is.

    Parameters
    ----------
    subject : a layer, a graph of dtype float64, a head (then `targets` are needed), or a function of x that returns its
        value y, an array or a number, and a function `backward(dy) -> dx`.
    x : float64 arrays, batch first; several for a layer of several inputs. A function may take float32, and a layer or graph
        that begins with Embedding takes whole numbers, which are left as they are.
    tolerance : largest error allowed, relative to the element's own size (2e-9 is usual, 1e-3 a fault); by default 1e-6, and
        1e-4 where the function computes in float32.
    step : one h for all differences, in place of those chosen by x's size and the precision.
    seed : of the random r, of the sample, and of a layer's parameters.
    complex_step : for a function made of analytic NumPy operations (no abs, max or comparison): Im L(x + ih) / h with
        h = 1e-20, which subtracts nothing and so is exact to rounding, instead of differences. Kernels take no complex numbers.
    elements : how many elements of each array to check, or "all". By default all of up to 2,000 in total, and otherwise 50 of
        each array. Two random directions then move all elements of an array at once; one that disagrees is searched for the
        element at fault.

    Raises GradientError; ValueError where the check would prove nothing (a gradient that is zero or tiny, many kinks, a random
    function) and for input that does not fit; TypeError for what cannot be checked.
    """
    arrays = _read(subject, x, complex_step)
    elements = elements if elements in (None, "all") else whole("check_gradients(elements)", elements)
    random = np.random.default_rng(np.random.SeedSequence(STREAM, spawn_key=(whole("check_gradients(seed)", seed, least=0),)))
    what = subject_of(subject, arrays, targets, seed, random)
    middle, weights, gradients = _passes(what, random)
    differences = Differences(what, weights, middle, random)
    chosen = _chosen(gradients, elements, random)
    report = GradientReport(what.name, precision="float32" if differences.single else "float64", notes=what.notes)
    verdicts, largest = [], max(float(np.abs(gradient).max()) for gradient in gradients.values())
    with tqdm(total=sum(map(len, chosen.values())), desc="checking gradients", unit="element", leave=False, delay=0.5,
              dynamic_ncols=True, disable=not sys.stderr.isatty()) as bar:
        for name, places in chosen.items():
            bar.set_postfix_str(name)
            judge = Judge(what, name, gradients[name], differences, tolerance, step, largest)
            verdict = judge.imaginary(places) if complex_step else judge.elements(places, bar)
            if len(places) < what.arrays[name].size and not complex_step:
                along_directions(judge, verdict, random, DIRECTIONS)
            verdicts.append(verdict)
    _steady(what, middle, "after the check")
    _raise_wrong(what, verdicts, arrays[0], middle)
    report.checked = [_row(what, verdict, middle) for verdict in verdicts]
    if not any(verdict.told.any() for verdict in verdicts):
        _refuse_small(what, verdicts[0], middle)
    if what.overwrites:
        raise GradientError(f"{what.name} modifies {' and '.join(what.overwrites)}: a forward or backward pass must leave its "
                            f"inputs as they were. On copies its gradients are right, but whoever calls it loses the values "
                            f"that were passed in. Compute new arrays: x = x - m, not x -= m.")
    return report


def _read(subject, x, complex_step) -> list[np.ndarray]:
    """Copies of the arrays x, which the check may vary."""
    arrays = []
    for array in x:
        kind = numbers("check_gradients(x)", array, "a float64 array").dtype
        if reads_tokens(subject) and kind.kind in "iu":
            array = np.asarray(array).astype(np.float64)
        free = kind == np.float32 and not isinstance(subject, (Layer, Graph, Head)) and not complex_step
        arrays.append(float_array("check_gradients(x)", array, np.float32 if free else np.float64).copy())
        if not np.isfinite(arrays[-1]).all():
            place = tuple(int(i) for i in np.argwhere(~np.isfinite(arrays[-1]))[0])
            raise ValueError(f"check_gradients expects x of finite numbers; got {arrays[-1][place]} at {place}.")
    if not arrays or any(array.size == 0 for array in arrays):
        raise ValueError("check_gradients expects at least one array x that is not empty; got none. Pass a batch.")
    if isinstance(subject, (Layer, Graph)) and any(array.ndim < 2 for array in arrays):
        raise ValueError(f"check_gradients expects x with the batch as its first axis for {subject!r}, such as (4, 10); got "
                         f"shape {min((array.shape for array in arrays), key=len)}.")
    if complex_step and (isinstance(subject, (Layer, Graph, Head)) or not callable(subject)):
        raise TypeError(f"check_gradients takes complex_step for a function of NumPy operations alone; got {subject!r}, whose "
                        f"kernels take no complex numbers. Leave it out.")
    return arrays


def _passes(what: Subject, random) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """y, the weights r (K, *shape of y), and by array the gradients (K, *its shape), after all passes proved repeatable."""
    kept = {name: array.copy() for name, array in what.arrays.items()}
    middle = what.value()
    if middle.size == 0 or not np.isfinite(middle).all():
        came = "no numbers" if middle.size == 0 else f"{middle[~np.isfinite(middle)].flat[0]} among its values"
        raise ValueError(f"check_gradients expects {what.name} to have finite values at x; got {came}. Choose another x.")
    _steady(what, middle, "in two calls")
    weights = random.normal(size=(WEIGHTS, *middle.shape)).astype(middle.dtype)
    runs = [what.gradients(r) for r in (*weights, weights[0])]
    _steady(what, middle, "before and after its backward pass", GradientError)
    gradients = {}
    for name, array in what.arrays.items():
        for run in runs:
            _sound(what.name, name, run[name], array)
        first, again = runs[0][name], runs[-1][name]
        if (first != again).any():
            place = tuple(int(i) for i in np.argwhere(first != again)[0])
            raise GradientError(f"{what.name}: backward run twice gives two gradients by {name}: {first[place]!r} and then "
                                f"{again[place]!r} at {place}. Does it add to what an earlier pass left?")
        gradients[name] = np.array([run[name] for run in runs[:-1]])
        if array.tobytes() != kept[name].tobytes():
            raise GradientError(f"{what.name} modifies {name}: a forward or backward pass must leave its inputs as they were.")
    return middle, weights, gradients


def _steady(what, middle, when, error=ValueError):
    """`error` unless the same x gives the same value once more, to rounding."""
    again = what.value()
    bound = 1e3 * np.finfo(middle.dtype).eps * np.abs(middle).max()
    if again.shape != middle.shape or not np.abs(again - middle).max() <= bound:
        shown = [f"{y.flat[np.abs(again - middle).argmax()]:.6g}" if again.shape == middle.shape else f"shape {y.shape}"
                 for y in (middle, again)]
        raise error(f"check_gradients: {what.name} gives two values at the same x {when}, {shown[0]} and {shown[1]}. It "
                    f"draws random numbers, keeps a state, or writes into its parameters, so that a difference would mean "
                    f"nothing. Draw the numbers once, outside, and leave state and parameters as they are.")


def _sound(subject, name, gradient, array):
    if gradient.shape != array.shape:
        raise GradientError(f"{subject}: the gradient by {name} has shape {gradient.shape}; expected {array.shape}.")
    if not np.isfinite(gradient).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(gradient))[0])
        raise GradientError(f"{subject}: the gradient by {name} is {gradient[place]} at {place}.")


def _chosen(gradients, elements, random) -> dict[str, np.ndarray]:
    """Flat places to check of each array: all, or one of each of many equal parts and where the gradient is largest."""
    if elements is None:
        elements = "all" if sum(gradient[0].size for gradient in gradients.values()) <= MOST else SAMPLE
    chosen = {}
    for name, gradient in gradients.items():
        size = gradient[0].size
        if elements == "all" or size <= elements:
            chosen[name] = np.arange(size)
            continue
        largest = int(np.abs(gradient[0]).argmax())
        edges = np.arange(elements) * (size - 1) // max(elements - 1, 1)
        places = random.integers(edges[:-1], edges[1:])
        chosen[name] = np.unique(np.append(places + (places >= largest), largest))
    return chosen


def _row(what, verdict: Verdict, middle) -> Checked:
    """The row of an array whose gradient is right; ValueError where its check proves nothing."""
    count, size = len(verdict.places), what.arrays[verdict.name].size
    kinks, untold, zero = int(verdict.kink.sum()), int(verdict.untold.sum()), int(verdict.zero.sum())
    if zero == count:
        raise ValueError(f"check_gradients: the gradient of {what.name} by {verdict.name} is zero throughout, so that the "
                         f"check would prove nothing. Choose x where it is not, or another seed.")
    if kinks > MOST_KINKS * count:
        raise ValueError(f"check_gradients: {kinks} of {count} elements of {verdict.name} straddle a kink of "
                         f"{what.name}, so that differences mean nothing there. Move x away from it, for example by 0.01.")
    if untold + kinks + zero == count and len(what.arrays) == 1:
        _refuse_small(what, verdict, middle)
    worst, seen = (float(part[verdict.told].max(initial=0.0)) for part in (verdict.error, verdict.seen))
    return Checked(verdict.name, count, size, kinks, untold, zero, verdict.directions, worst, seen)


def _refuse_small(what, verdict, middle):
    raise ValueError(f"check_gradients: the gradient of {what.name} by {verdict.name}, at most {verdict.largest:.1e}, is too "
                     f"small beside its value {np.abs(middle).max():.1e}, whose rounding would hide a fault. Scale the "
                     f"function, or take off a constant.")


def _raise_wrong(what, verdicts, x, middle):
    """GradientError for the first gradient that is wrong; the others are named."""
    wrong = [verdict for verdict in verdicts if verdict.wrong.any() or verdict.direction]
    if not wrong:
        return
    factors = {verdict.name: constant_factor(verdict, x, middle) for verdict in wrong}
    first = wrong[0]
    text = f"{what.name}: the gradient by {first.name} is wrong {first.describe(what.arrays[first.name].shape)}"
    text += f" {factors[first.name]}" if factors[first.name] else ""
    if len(wrong) > 1:
        text += " Also wrong: " + " ".join(f"by {verdict.name}. {factors[verdict.name]}".strip() for verdict in wrong[1:])
    if right := [verdict.name for verdict in verdicts if verdict not in wrong]:
        text += f" Right: by {', '.join(right[:6])}" + (f" and {len(right) - 6} more." if len(right) > 6 else ".")
    if what.overwrites:
        text += f" Besides, it modifies {' and '.join(what.overwrites)}, which a pass must leave as it was."
    raise GradientError(text)
