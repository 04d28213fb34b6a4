"""The verdict on each element of one gradient: right, wrong, zero, at a kink, or not to be told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isbe_np.gradient_differences import LADDER, SINGLE, Differences, direction, element, scales
from isbe_np.gradient_subjects import Subject

# An element whose difference may be off by a larger share of its size is not told.
RESOLVED = 1e-2
# A step, in units of x, over which a tiny derivative shows beside a huge value.
HUGE = 512.0
# Elements for which the doubt that rounding leaves is settled by a backward pass of their own, at most.
MOST_APART = 20
RIGHT, WRONG, ZERO, KINK, UNTOLD = range(5)


@dataclass
class Verdict:
    """What was found of one array at `places` (n,), flat.

    kind (n,); error and seen (n,), relative to the element's size; given, wanted, size (n, K): backward's numbers and those
    of differences, with the magnitude of their terms. direction: what a direction through all elements found wrong.
    """

    name: str
    places: np.ndarray
    kind: np.ndarray
    error: np.ndarray
    seen: np.ndarray
    given: np.ndarray
    wanted: np.ndarray
    size: np.ndarray
    tolerance: float
    largest: float
    directions: int = 0
    direction: str = ""

    @property
    def told(self) -> np.ndarray:
        """Where the gradient is right and a fault would have been seen."""
        return self.kind == RIGHT

    @property
    def wrong(self) -> np.ndarray:
        return self.kind == WRONG

    @property
    def zero(self) -> np.ndarray:
        return self.kind == ZERO

    @property
    def kink(self) -> np.ndarray:
        return self.kind == KINK

    @property
    def untold(self) -> np.ndarray:
        return self.kind == UNTOLD

    def describe(self, shape) -> str:
        """Where the worst fault is, and how large."""
        if not self.wrong.any():
            return self.direction
        worst = int(np.argmax(np.where(self.wrong, self.error, -1)))
        k = int(np.argmax(np.abs(self.given[worst] - self.wanted[worst])))
        place = tuple(int(i) for i in np.unravel_index(self.places[worst], shape))
        given, wanted = self.given[worst, k] + 0.0, self.wanted[worst, k] + 0.0
        return (f"at {place}: backward gives {given:.12g}, differences give {wanted:.12g}, a relative "
                f"error of {self.error[worst]:.1e} ({int(self.wrong.sum())} of {len(self.places)} elements are wrong).")


class Judge:
    """Judges the gradients (K, *shape) by one array, given the differences of the subject."""

    def __init__(self, what: Subject, name: str, gradient: np.ndarray, differences: Differences, tolerance, step,
                 largest: float):
        self.what, self.name, self.array, self.differences = what, name, what.arrays[name], differences
        self.single = differences.single or gradient.dtype == np.float32
        self.gradient = gradient.reshape(len(gradient), -1).astype(np.float64)
        self.tolerance = (1e3 * SINGLE if self.single else 1e-6) if tolerance is None else float(tolerance)
        # What cancels within a backward pass leaves rounding of this order: no fault where differences find nothing.
        self.floor = 64 * (SINGLE if self.single else differences.unit) * largest
        self.scale, self.step, self.apart = scales(self.array).ravel(), step, 0

    def blank(self, places) -> Verdict:
        """A verdict in which nothing is decided yet."""
        n, K = len(places), len(self.gradient)
        return Verdict(self.name, places, np.zeros(n, int), np.zeros(n), np.zeros(n), self.gradient[:, places].T.copy(),
                       np.zeros((n, K)), np.zeros((n, K)), self.tolerance, float(np.abs(self.gradient).max()))

    def elements(self, places, bar) -> Verdict:
        """Compare with differences, element by element: one step where that settles it, otherwise the best of several."""
        verdict = self.blank(places)
        for n, flat in enumerate(places):
            self.element(verdict, n, int(flat))
            bar.update()
        return verdict

    def element(self, verdict, n, flat):
        """Judge the n-th of the places."""
        place = np.unravel_index(flat, self.array.shape)
        line = element(self.what, self.array, place, self.differences.single)
        given, scale = verdict.given[n], self.scale[flat]
        usual, found = self.step or scale * self.differences.unit ** (1 / 3), None
        # A sixteenth of the usual step misses most kinks that the usual one straddles.
        for step in (usual,) if self.step or self.differences.single else (usual, usual / 16):
            now = self.differences.quotient(line, step)
            if now is not None and self._agrees(now, given):
                found = now
            if found or (now is not None and not now.moved.any()):
                break
        if found and ((found.noise <= self.tolerance * found.size) & (found.size > 0)).any():
            return self._write(verdict, n, RIGHT, found.slope, found.size, found.noise)
        if now is not None and not (now.moved.any() or given.any()) and self._stands_still(line, scale):
            return self._write(verdict, n, ZERO, now.slope, now.size, now.noise)
        slope, widest = self._best(line, scale, abs(float(self.array[place])))
        kind = self._kind(slope, given, flat, widest)
        if found and kind not in (RIGHT, WRONG):  # other steps were meant to tell more exactly, and tell less
            return self._write(verdict, n, RIGHT, found.slope, found.size, found.noise)
        return self._write(verdict, n, kind, slope.value, slope.size, slope.error)

    def _agrees(self, now, given) -> bool:
        error = np.abs(given - now.slope)
        return bool((error <= self.tolerance / 2 * now.size + now.noise).all()
                    and ((now.noise <= RESOLVED * now.size) & (now.size > 0)).any())

    def _stands_still(self, line, scale) -> bool:
        """Whether nothing moves over a large step either. Over a huge one, what rounding hid would show at the same slope."""
        near, far = self.differences.quotient(line, scale * LADDER[0]), self.differences.quotient(line, scale * HUGE)
        if near is None or near.moved.any():
            return False
        hidden = self.differences.hidden(near.moved, scale * LADDER[0])
        return far is None or not far.moved.any() or bool((far.size > hidden).any())

    def _write(self, verdict, n, kind, wanted, size, error):
        verdict.kind[n], verdict.wanted[n], verdict.size[n] = kind, wanted, size
        off, own = np.abs(verdict.given[n] - wanted), np.maximum(size, 1e-300)
        measure = np.where(size > 0, np.maximum(np.abs(wanted), 1e-3 * own), np.maximum(np.abs(verdict.given[n]), 1e-300))
        # Of several weights, the one that resolves the element best counts; a fault counts by the one that shows it most.
        best = int(np.argmin(np.where(size > 0, error / own, np.inf)))
        with np.errstate(over="ignore"):
            verdict.error[n] = (off / measure).max() if kind == WRONG else off[best] / own[best]
            verdict.seen[n] = self.tolerance + 2 * error[best] / own[best]
            if kind == RIGHT:
                verdict.seen[n] = max(verdict.seen[n], verdict.error[n])

    def _best(self, line, scale, own):
        """The slope by the ladder of steps at this scale; where nothing comes of it, at the element's own size and at 1."""
        if self.step:
            return self.differences.best(line, [8 * self.step, self.step, self.step / 8], self.tolerance), 8 * self.step
        slope, widest = self.differences.best(line, [scale * t for t in LADDER], self.tolerance), scale * LADDER[0]
        tried = [scale]
        for unit in (own, 1.0, HUGE / LADDER[0] * scale):
            known = np.isfinite(slope.error).all()
            if self._resolved(slope) or (slope.moved.any() and not slope.kink and known):
                break
            if not unit or any(1 / 8 < unit / other < 8 for other in tried):
                continue
            if slope.kink and not unit == 1 < scale:  # a smaller scale would only step over the kink
                continue
            found = self.differences.best(line, [unit * t for t in LADDER], self.tolerance)
            still = known and not slope.moved.any()
            if still and (found.size > self.differences.hidden(slope.moved, widest)).any():
                break  # more than rounding could hide: the function is flat here, and something else far away
            if self._resolved(found) or still:
                slope, widest = found, unit * LADDER[0]
            tried.append(unit)
        return slope, widest

    @staticmethod
    def _resolved(slope) -> bool:
        return bool(((slope.error <= RESOLVED * slope.size) & (slope.size > 0)).any())

    def _kind(self, slope, given, flat, widest) -> int:
        off = np.abs(given - slope.value)
        known = np.isfinite(slope.error)
        if not self._resolved(slope) and slope.kink:
            return KINK
        if not known.any():
            return UNTOLD
        limit = self.tolerance * slope.size + 2 * slope.error
        other = self.tolerance * slope.size + 2 * slope.second[1]
        faulty = (off > limit) & ((np.abs(given - slope.second[0]) > other) | ~np.isfinite(slope.second[1]))
        if faulty.any() and not self._resolved(slope) and (off <= self.floor).all():
            return UNTOLD
        if faulty.any():
            return self._sure(slope, off, limit, flat, widest)
        if not slope.size.any():
            sure = (slope.error <= 1e-6 * np.abs(self.gradient).max()).all()
            return ZERO if sure and not given.any() else UNTOLD
        return RIGHT if self._resolved(slope) else UNTOLD

    def _sure(self, slope, off, limit, flat, widest) -> int:
        """WRONG, unless the fault may lie in outputs whose rounding hides that they move: then r is taken from them."""
        if (off > limit + self.differences.hidden(slope.moved, widest)).any():
            return WRONG
        if slope.moved.all() or self.apart >= MOST_APART:
            return UNTOLD
        self.apart += 1
        weights = self.differences.weights * slope.moved
        shape, dtype = self.differences.shape, self.differences.dtype
        alone = np.array([self.what.gradients(r.reshape(shape).astype(dtype))[self.name].flat[flat] for r in weights])
        return WRONG if (np.abs(alone - slope.value) > limit).any() else UNTOLD

    def imaginary(self, places) -> Verdict:
        """Compare with complex steps, which have no error but rounding."""
        verdict, along = self.blank(places), self.what.imaginary
        assert along is not None
        for n, flat in enumerate(places):
            moves = along(np.unravel_index(int(flat), self.array.shape))
            wanted, size = self.differences.weights @ moves, np.abs(self.differences.weights) @ np.abs(moves)
            wrong = (np.abs(verdict.given[n] - wanted) > self.tolerance * size).any()
            self._write(verdict, n, WRONG if wrong else RIGHT if size.any() else ZERO, wanted, size, 0 * size)
        return verdict

    def along(self, mask) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Backward's and differences' derivative along `mask` times x's scale, (K,) each, and the error allowed.

        None where the direction cannot be told, for kinks. The sum of many elements is as large as the root of the sum of
        their squares.
        """
        along = (mask * self.scale).reshape(self.array.shape)
        slope = self.differences.best(direction(self.what, self.array, along), LADDER, self.tolerance)
        given, size = self.gradient @ along.ravel(), np.sqrt(self.gradient ** 2 @ along.ravel() ** 2)
        allowed = self.tolerance * size + 3 * np.maximum(slope.error, slope.second[1])
        return None if not np.isfinite(allowed).all() else (given, slope.value, allowed)


def along_directions(judge: Judge, verdict: Verdict, random, count: int) -> None:
    """Compare along `count` random directions through all elements; where one disagrees, search for an element at fault."""
    for _ in range(count):
        mask = random.choice((-1, 1), judge.array.size) * random.uniform(0.5, 1.5, judge.array.size)
        found = judge.along(mask)
        if found is None:
            continue
        verdict.directions += 1
        given, wanted, allowed = found
        off = np.abs(given - wanted)
        if (off > allowed).any() and not verdict.wrong.any():
            k = int(np.argmax(off / allowed))
            verdict.direction = (f"along a random direction through all {judge.array.size:,} elements: backward gives "
                                 f"{given[k]:.12g}, differences give {wanted[k]:.12g}, where they may differ by "
                                 f"{allowed[k]:.1e}. The {len(verdict.places)} elements that were looked at one by one are "
                                 f"right; elements=\"all\" looks at each.")
            _search(judge, verdict, mask)
            return


def _search(judge, verdict, mask):
    """Halve the direction until one element is left, each time in favour of the half that is off by more."""
    low, high = 0, mask.size
    while high - low > 1:
        middle, sides = (low + high) // 2, []
        for start, end in ((low, middle), (middle, high)):
            part = np.zeros_like(mask)
            part[start:end] = mask[start:end]
            found = judge.along(part)
            sides.append(0.0 if found is None else float((np.abs(found[0] - found[1]) / found[2].clip(1e-300)).max()))
        if max(sides) <= 1:
            return
        low, high = (low, middle) if sides[0] >= sides[1] else (middle, high)
    one = judge.blank(np.array([low]))
    judge.element(one, 0, low)
    if one.wrong.all() and low not in verdict.places:
        for name in ("places", "kind", "error", "seen", "given", "wanted", "size"):
            setattr(verdict, name, np.concatenate([getattr(verdict, name), getattr(one, name)]))


def constant_factor(verdict: Verdict, x: np.ndarray, middle: np.ndarray) -> str:
    """A sentence where the gradient is everywhere the same multiple of the right one; otherwise nothing."""
    looked = (verdict.told | verdict.wrong) & (verdict.size > 0).any(axis=1)
    given, wanted, size = verdict.given[looked], verdict.wanted[looked], np.maximum(verdict.size[looked], 1e-300)
    if not verdict.wrong.any() or not looked.any():
        return ""
    factor = float((given / size * wanted / size).sum() / max(((wanted / size) ** 2).sum(), 1e-300))
    slack = max(3 * float(verdict.seen[looked].max()), 1e-5) * max(1.0, abs(factor))
    if (np.abs(given - factor * wanted) > slack * size).any():
        return ""
    if not given.any():
        return "Backward gives 0 everywhere."
    text = f"Backward gives everywhere {factor:.{8 if abs(abs(factor) - 1) < 1e-2 else 4}g} of the right gradient."
    if factor < 0:
        text += " Its sign is wrong."
    counts = {"the number of examples": len(x) if x.ndim else 1,
              "the number of outputs of an example": int(np.prod(middle.shape[1:])),
              "the number of all outputs": middle.size,
              "the number of elements of x": x.size}
    for what, count in counts.items():
        if count > 1 and (np.isclose(abs(factor), count, rtol=1e-3) or np.isclose(abs(factor), 1 / count, rtol=1e-3)):
            return f"{text} {count} is {what}: does forward take the mean where backward takes the sum, or the other way round?"
    return text
