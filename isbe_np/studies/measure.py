"""Measuring: how far two arrays differ, how long functions take, and how sure a ratio of times is."""

from __future__ import annotations

import math
import time
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.core import event


def relative_difference(a: np.ndarray, b: np.ndarray) -> float:
    """max |a - b| / max |b|: 0 when equal, NaN when either holds NaN or infinity, infinite when only b is zero throughout."""
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("nan")
    gap = np.max(np.abs(a.astype(np.float64) - b), initial=0.0)
    scale = np.max(np.abs(b), initial=0.0)
    return float(gap / scale) if scale else (0.0 if gap == 0 else float("inf"))


def until_quiet(spell: float = 0.01, most: int = 50) -> None:
    """Sleep until no thread of this process uses a core: idle ones of some runtimes wait in a loop for a tenth of a second."""
    for _ in range(most):
        before = time.process_time()
        time.sleep(spell)
        if time.process_time() - before < spell / 10:
            return


# For contestants that bring threads of their own, such as other frameworks: each turn begins when all threads sleep, with calls
# that wake those of its contestant.
APART = {"quiet": True, "waking": 0.1, "turn": 0.1}


def clock(function: Callable[[], object]) -> float:
    """Seconds that a call of `function` takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def orders(count: int, rounds: int, seed: int = 0) -> list[list[int]]:
    """In which order `count` contestants take their turns in each round: at random, and balanced.

    Each comes equally often at each place and after each other one, once in `count` rounds, or twice in 2 `count` where the
    count is odd (Williams 1949). Who is who is drawn anew for each such block.
    """
    zigzag = [0, *(k for pair in zip(range(1, count), range(count - 1, 0, -1), strict=True) for k in pair)][:count]
    block = [[(k + shift) % count for k in zigzag] for shift in range(count)]
    if count % 2:
        block += [row[::-1] for row in block]
    random = np.random.default_rng(seed)
    found: list[list[int]] = []
    while len(found) < rounds:
        names = random.permutation(count).tolist()
        found += [[names[k] for k in row] for row in block]
    return found[:rounds]


def take_turns(contestants: Mapping[str, Callable[[], object]], rounds: int, *, turn: float = 0.0, most: int = 200,
               waking: float = 0.0, quiet: bool = False, patience: float = math.inf, seed: int = 0,
               calls: int | None = None, clock: Callable[[Callable], Any] = clock) -> dict[str, np.ndarray]:
    """Seconds of each timed call of each contestant, (rounds, calls of a turn).

    In each round each contestant has one turn, in the order of `orders`: a slow spell of the machine falls on all alike.
    A turn begins with at least one call of the contestant's own that is not timed. What another one leaves behind, in the
    processor's caches or in Python's memory, is therefore no part of its time.

    turn, most : a turn has as many timed calls as fill `turn` seconds, 1 to `most`, or just `calls`.
    waking : seconds that the calls that are not timed go on for.
    quiet : let each turn begin when no thread of this process works; without it only the first one does.
    patience : a contestant that has had this many seconds takes part in no further round.
    clock : how a call is timed; what it returns may be several numbers, which are then the last axis of the result.
    """
    names, spent = list(contestants), dict.fromkeys(contestants, 0.0)
    counts = dict.fromkeys(contestants, calls or 1)
    times: dict[str, list[list[Any]]] = {name: [] for name in names}

    def wake(name: str) -> None:
        if quiet:
            until_quiet()
        begun = time.perf_counter()
        contestants[name]()
        while time.perf_counter() - begun < waking:
            contestants[name]()

    until_quiet()
    for name, function in contestants.items():
        start = time.perf_counter()
        wake(name)
        if calls is None and turn:
            begun = time.perf_counter()
            function()
            counts[name] = min(most, math.ceil(turn / max(time.perf_counter() - begun, turn / most)))
        spent[name] += time.perf_counter() - start
    for k, order in enumerate(orders(len(names), rounds, seed)):
        for name in (names[place] for place in order):
            if k and spent[name] > patience:
                continue
            start = time.perf_counter()
            wake(name)
            times[name].append([clock(contestants[name]) for _ in range(counts[name])])
            spent[name] += time.perf_counter() - start
    return {name: np.array(found) for name, found in times.items()}


@dataclass
class Ratio:
    """A ratio of times with its 95 % interval."""

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


# Student's t that 2.5 % of all draws exceed, where the expansion below is too coarse, by degrees of freedom.
STUDENT = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 5: 2.5706}


def paired_ratio(a: np.ndarray, b: np.ndarray) -> Ratio:
    """How many times as long as `b` does `a` take? Times of the same rounds, (rounds,) or (rounds, calls of a turn).

    In each round the ratio of the two medians is taken, so that a slow spell cancels. The value is the mean of the middle half
    of their logarithms: rounds that something interrupted do not count. Its 95 % interval is Yuen's t interval for such a mean
    (Biometrika 61, 1974). Of rounds that only one of the two has, at its end, none counts. A single round has no interval.
    """
    rounds = min(len(a), len(b))
    medians = (np.median(times[:rounds].reshape(rounds, -1), axis=1) for times in (a, b))
    logs = np.sort(np.subtract(*map(np.log, medians)))
    cut = rounds // 4
    middle = logs[cut:rounds - cut]
    value, freedom = middle.mean(), len(middle) - 1
    if not freedom:
        return Ratio(float(np.exp(value)), 0.0, math.inf)
    spread = np.clip(logs, middle[0], middle[-1]).std(ddof=1)
    arm = student(freedom) * spread * math.sqrt((rounds - 1) / (len(middle) * freedom))
    low, high = np.exp([value - arm, value + arm])
    return Ratio(float(np.exp(value)), float(low), float(high))


def student(freedom: int) -> float:
    """The 97.5 % point of Student's t (Cornish & Fisher's expansion; Abramowitz & Stegun 26.7.5), within 0.1 %."""
    z = 1.959964
    terms = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return STUDENT.get(freedom, z + sum(term / freedom ** (k + 1) for k, term in enumerate(terms)))


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
