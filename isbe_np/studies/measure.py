"""Measuring: how far two arrays differ, how long functions take, and how sure a ratio of times is."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba.core import event


def relative_difference(a: np.ndarray, b: np.ndarray) -> float:
    """max |a - b| / max |b|: 0 when equal, NaN when either holds NaN or infinity, infinite when only b is zero throughout."""
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("nan")
    gap = np.max(np.abs(a.astype(np.float64) - b), initial=0.0)
    scale = np.max(np.abs(b), initial=0.0)
    return float(gap / scale) if scale else (0.0 if gap == 0 else float("inf"))


def interleaved(functions: dict[str, Callable[[], object]], rounds: int, warm_up: int = 2) -> dict[str, np.ndarray]:
    """Seconds of each function in each round, (rounds,): A B C, B C A, …, after `warm_up` rounds that are not counted.

    A slow spell of the machine then falls on all alike; and as each round begins with another function, none is always timed
    after the one that leaves the caches in the worst state.
    """
    seconds = {name: np.empty(rounds) for name in functions}
    turns = list(functions.items())
    for k in range(-warm_up, rounds):
        first = k % len(turns)
        for name, function in turns[first:] + turns[:first]:
            start = time.perf_counter()
            function()
            if k >= 0:
                seconds[name][k] = time.perf_counter() - start
    return seconds


@dataclass
class Ratio:
    """A ratio of medians with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def verdict(self, one: str, other: str) -> str:
        """In words: which of the two is faster, or that the interval holds 1 and none can be said to be."""
        if self.low > 1:
            return f"{one} takes {self.value:.3g} times as long as {other} (95 % interval {self.low:.3g} to {self.high:.3g})"
        if self.high < 1:
            return (f"{one} takes {1 - self.value:.1%} less time than {other} "
                    f"(95 % interval {1 - self.high:.1%} to {1 - self.low:.1%})")
        return (f"no difference between {one} and {other} can be told here "
                f"(ratio {self.value:.3f}, 95 % interval {self.low:.3f} to {self.high:.3f})")


def ratio_of_medians(a: np.ndarray, b: np.ndarray, draws: int = 2000, seed: int = 0) -> Ratio:
    """median(a) / median(b) for times of the same rounds; whole rounds are drawn again for the interval (Efron 1979)."""
    picks = np.random.default_rng(seed).integers(0, len(a), (draws, len(a)))
    ratios = np.median(a[picks], axis=1) / np.median(b[picks], axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Ratio(float(np.median(a) / np.median(b)), float(low), float(high))


def peak_memory(function: Callable[[], object]) -> int:
    """Most bytes that `function` held at once beyond what was held before it, as Python's allocators count them."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        function()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


class CompileClock:
    """Adds up the seconds that the compiler takes while it is open: `with CompileClock() as clock: ...; clock.seconds`."""

    def __enter__(self) -> CompileClock:
        self._spells: list[float] = []
        self._timer = event.install_timer("numba:compile", self._spells.append)
        self._timer.__enter__()
        return self

    def __exit__(self, *reason) -> None:
        self._timer.__exit__(*reason)

    @property
    def seconds(self) -> float:
        """Total so far; complete once the clock is closed."""
        return sum(self._spells)
