"""Difference quotients, each with the error that it may have: what `check_gradients` compares a gradient with.

A function F has many outputs y. K random weights r make K numbers of them, L = Σ r ⊙ y. Along a line through x, such as one
element of x, the central difference is

    D(h) = Σ r ⊙ (F(x + h) − F(x − h)) / 2h        its error: h² |L'''| / 6  +  Σ |r| n / h

with n the rounding error of each output. Outputs are subtracted before they are added, so that an output which does not move
adds no rounding error. Σ |r| |F(x + h) − F(x − h)| / 2h is the *size* of the derivative: its terms without their signs.

Richardson's rule makes of two steps E = (c² D(h/c) − D(h)) / (c² − 1), whose error is of order h⁴. Ridders (1982) takes
several steps and keeps the value with the least estimated error. At a kink the halves to the right and to the left differ by a
jump that does not shrink with h. Moré and Wild (2011) find n from third differences of values that lie close together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isbe_np.gradient_subjects import Subject

# Ladder of steps, in units of the line: eighths from 1/8 to 2⁻²¹.
LADDER = tuple(2.0 ** -k for k in range(3, 22, 3))
# Spacings at which rounding is measured, relative to x: float64 moves at the first, float32 at the second.
FINE, COARSE = 2.0 ** -36, 2.0 ** -23
POINTS = 11
SINGLE, DOUBLE = float(np.finfo(np.float32).eps), float(np.finfo(np.float64).eps)

# The value of F at x + t along a line, and the distance that x moved in truth, which rounding may make another one than t.
Line = Callable[[float], tuple[np.ndarray, float]]


@dataclass
class Quotient:
    """D(h) of each L, (K,), over the width 2h; its size, rounding error, and the jump between its halves.

    moved (m,): which outputs moved.
    """

    step: float
    width: float
    slope: np.ndarray
    size: np.ndarray
    noise: np.ndarray
    jump: np.ndarray
    moved: np.ndarray


@dataclass
class Slope:
    """The derivative along a line, (K,), with its size and its estimated error; the runner-up serves as a second opinion."""

    value: np.ndarray
    error: np.ndarray
    size: np.ndarray
    second: tuple[np.ndarray, np.ndarray]
    kink: bool
    moved: np.ndarray


def element(subject: Subject, array: np.ndarray, place: tuple, single: bool) -> Line:
    """The line along which one element of `array` moves. For float32 it moves to numbers that float32 holds."""
    kept = array[place].copy()

    def at(t):
        to = float(kept) + t
        try:
            array[place] = np.float32(to) if single else to
            return subject.value(), float(array[place]) - float(kept)
        finally:
            array[place] = kept
    return at


def direction(subject: Subject, array: np.ndarray, along: np.ndarray) -> Line:
    """The line x + t · `along`, on which all elements move."""
    kept = array.copy()

    def at(t):
        try:
            array[...] = kept + t * along
            return subject.value(), t
        finally:
            array[...] = kept
    return at


def scales(array: np.ndarray) -> np.ndarray:
    """The size of each element: its own magnitude, or the geometric mean of all where that is larger; 1 for zeros."""
    magnitude = np.abs(array.astype(np.float64))
    nonzero = magnitude[magnitude > 0]
    usual = np.exp(np.log(nonzero).mean()) if nonzero.size else 1.0
    return np.maximum(magnitude, usual)


class Differences:
    """Quotients of `subject` at its arrays, for the `weights` r, (K, *shape of y). `middle` is y there.

    `single` says whether it computes in float32, `noise` the rounding error of each output.
    """

    def __init__(self, subject: Subject, weights: np.ndarray, middle: np.ndarray, random: np.random.Generator):
        self.subject, self.middle = subject, middle.astype(np.float64).ravel()
        self.shape, self.dtype = middle.shape, middle.dtype
        self.weights = weights.reshape(len(weights), -1).astype(np.float64)
        self.noise, self.single = rounding(subject, middle, random)
        self.unit = SINGLE if self.single else DOUBLE

    def quotient(self, line: Line, step: float) -> Quotient | None:
        """D(step); None where the function has no finite value or refuses to compute one."""
        with np.errstate(all="ignore"):
            try:
                (above, right), (below, left) = line(step), line(-step)
            except (ValueError, ArithmeticError):
                return None
            above, below = above.astype(np.float64).ravel(), below.astype(np.float64).ravel()
            change, width = above - below, right - left
            if not (width > 0 and np.isfinite(change).all()):
                return None
            moved = (above != self.middle) | (below != self.middle)
            return Quotient(step, width, self.weights @ change / width, np.abs(self.weights) @ np.abs(change) / width,
                            self.rounded(moved) / width,
                            2 * (self.weights @ (above - 2 * self.middle + below)) / width, moved)

    def rounded(self, moved: np.ndarray) -> np.ndarray:
        """The rounding error of a difference of each L, (K,), in which the outputs `moved` take part."""
        return 2 * (np.abs(self.weights) @ (self.noise * moved))

    def best(self, line: Line, steps, tolerance: float) -> Slope:
        """The derivative by the best of `steps`, in descending order. Its error is infinite where no two steps agree."""
        K, none = len(self.weights), np.inf
        found = [(np.zeros(K), np.full(K, none), np.zeros(K))] * 2
        before, last, kink, moved = None, None, False, np.zeros(self.middle.size, bool)
        for step in steps:
            now = self.quotient(line, step)
            if now is None:
                before = last = None
                continue
            # What moved over a larger step and stands still over this one is hidden by rounding, which then counts.
            moved |= now.moved
            now.noise = self.rounded(moved) / now.width
            if before is not None:
                jumps = ((np.abs(now.jump) > np.abs(before.jump) / 2) & (np.abs(now.jump) > 8 * now.noise)
                         & (np.abs(now.jump) > tolerance * now.size))
                square = (before.step / now.step) ** 2
                value = (square * now.slope - before.slope) / (square - 1)
                error = np.abs(now.slope - before.slope) / 4
                if last is not None:
                    error = np.minimum(error, np.abs(value - last))
                kink |= bool(jumps.any())
                found.append((value, np.where(jumps, none, error + 1.1 * now.noise), now.size))
                last = None if jumps.any() else value
                if (now.noise > np.sort([error for _, error, _ in found], axis=0)[1]).all():
                    break
            before = now
        values, errors, sizes = (np.array(part) for part in zip(*found, strict=True))
        order, each = np.argsort(errors, axis=0, kind="stable"), np.arange(K)
        first, other = order[0], order[1]
        return Slope(values[first, each], errors[first, each], sizes[first, each],
                     (values[other, each], errors[other, each]), kink, moved)

    def hidden(self, moved: np.ndarray, step: float) -> np.ndarray:
        """How large a derivative, (K,), rounding can hide in the outputs that did not move over `step`."""
        return np.abs(self.weights) @ (np.maximum(self.noise, self.unit * np.abs(self.middle)) * ~moved) / step


def rounding(subject: Subject, middle: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, bool]:
    """The rounding error of each output, and whether most of it is that of float32, whatever the dtype of the output.

    All arrays move together in small steps. A smooth function has no third differences over such steps: what is left of
    them is rounding. A function that casts to float32 stands still over the finest steps and jumps over coarser ones.
    """
    value = np.abs(middle.astype(np.float64)).ravel()
    coarse_values = _values(subject, COARSE, random)
    fine, coarse = _third(_values(subject, FINE, random), "rms"), _third(coarse_values, "median")
    stepped = (coarse > 30 * fine) & (coarse > 2e-9 * value)
    if stepped.any():  # of a function that bends much, third differences grow with the spacing; rounding does not
        stepped &= _third(_values(subject, 4 * COARSE, random), "median") < 8 * coarse
    single = middle.dtype == np.float32 or stepped.mean() > 0.1
    if middle.dtype != np.float32:
        _refuse_steps(subject, coarse_values, random)
    noise = np.maximum(DOUBLE * value, 2 * fine)
    if single:
        noise = np.maximum(noise, 2 * coarse)
    if middle.dtype == np.float32:
        noise = np.maximum(noise, SINGLE * value)
    return noise, bool(single)


def _values(subject, spacing, random, points=POINTS) -> np.ndarray:
    """Outputs at `points` places around x in a row, (points, m)."""
    kept = {name: array.copy() for name, array in subject.arrays.items()}
    along = {name: random.choice((-1, 1), array.shape) * random.uniform(0.5, 1.5, array.shape)
             * np.where(array == 0, scales(array), np.abs(array)) for name, array in kept.items()}
    result = []
    try:
        for k in range(points):
            for name, array in subject.arrays.items():
                array[...] = kept[name] + (k - points // 2) * spacing * along[name]
            with np.errstate(all="ignore"):
                result.append(subject.value().astype(np.float64).ravel())
    except (ValueError, ArithmeticError):
        return np.zeros((points, result[0].size if result else 1))
    finally:
        for name, array in subject.arrays.items():
            array[...] = kept[name]
    return np.array(result)


def _third(values, kind) -> np.ndarray:
    """The standard deviation of each output's rounding, from third differences. A median is deaf to a kink among them."""
    third = np.nan_to_num(np.diff(values, 3, axis=0)) / np.sqrt(20)
    return np.sqrt((third ** 2).mean(axis=0)) if kind == "rms" else np.median(np.abs(third), axis=0) / 0.6745


def _refuse_steps(subject, values, random):
    """ValueError where most outputs stand still over steps that float32 would see, and move over larger ones."""
    small = np.ptp(values, axis=0) > 0
    if 2 * small.sum() >= small.size:
        return
    large = np.ptp(_values(subject, 2.0 ** -9, random, 3), axis=0) > 0
    if 4 * small.sum() < large.sum():
        raise ValueError(f"check_gradients: {subject.name} stands still while x moves by a millionth, and jumps where it moves "
                         f"by a thousandth, as if it computed in float16 or added its result to a much larger number. "
                         f"Differences mean nothing there. Compute in float64.")
