"""Measuring: how far two arrays differ, how long functions take, and how sure a ratio of times is."""

from __future__ import annotations

import math
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


def until_quiet(spell: float = 0.01, most: int = 50) -> None:
    """Sleep until no thread of this process uses a core: idle ones of some runtimes wait in a loop for a tenth of a second."""
    for _ in range(most):
        before = time.process_time()
        time.sleep(spell)
        if time.process_time() - before < spell / 10:
            return


def take_turns(functions: dict[str, Callable[[], object]], rounds: int, turn: float = 0.1, most: int = 200,
               waking: float = 0.1, patience: float = float("inf")) -> dict[str, np.ndarray]:
    """Seconds of each call, (turns, calls of a turn), of functions that each keep threads of their own.

    `interleaved` would time each while threads of the one before still wait in a loop and its own sleep. Here a turn begins
    when all sleep, with `waking` seconds of calls that are not counted, at least one; then come as many as fill `turn`
    seconds, 1 to `most`. Who comes first changes from round to round. A function that has had `patience` seconds takes part
    in no further round.
    """
    calls, spent = {}, {}
    seconds: dict[str, list[list[float]]] = {name: [] for name in functions}
    for name, function in functions.items():
        until_quiet()
        trial = [*_wake(function, turn), _timed(function)]
        calls[name] = min(most, math.ceil(turn / max(min(trial), turn / most)))
        spent[name] = sum(trial)
    order = list(functions)
    for k in range(rounds):
        first = k % len(order)
        for name in order[first:] + order[:first]:
            if k and spent[name] > patience:
                continue
            until_quiet()
            spent[name] += sum(_wake(functions[name], waking))
            seconds[name].append([_timed(functions[name]) for _ in range(calls[name])])
            spent[name] += sum(seconds[name][-1])
    return {name: np.array(turns) for name, turns in seconds.items()}


def _wake(function: Callable[[], object], seconds: float) -> list[float]:
    """Call `function`, at least once, until `seconds` have passed; how long each call took."""
    took = [_timed(function)]
    while sum(took) < seconds:
        took.append(_timed(function))
    return took


def _timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


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
    """median(a) / median(b) for times of the same rounds, (rounds,) or (rounds, calls of a turn).

    Whole rounds are drawn again for the interval (Efron 1979). Of rounds that only one of the two has, at its end, none counts.
    """
    rounds = min(len(a), len(b))
    a, b = a[:rounds].reshape(rounds, -1), b[:rounds].reshape(rounds, -1)
    picks = np.random.default_rng(seed).integers(0, rounds, (draws, rounds))
    ratios = _median_of_rounds(a, picks) / _median_of_rounds(b, picks)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Ratio(float(np.median(a) / np.median(b)), float(low), float(high))


def _median_of_rounds(times: np.ndarray, picks: np.ndarray) -> np.ndarray:
    """Median of all times in each draw of rounds: times (rounds, calls), picks (draws, rounds) -> (draws,)."""
    return np.median(times[picks].reshape(len(picks), -1), axis=1)


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
