"""How do time and memory of the head grow with the number of classes, and from how many on does the explicit J not fit?

Every number of classes is one cell, in which all routes are timed in turns, so that a slow spell of the machine falls on all.
Memory is predicted first: J takes N·C² numbers, all else a few arrays of N·C. What would pass a limit is never tried.

Room for soft scores and error is given to the head (`out`). Made at each call, large arrays come fresh from the system, page by
page, or from what the process kept, by what else a route allocates: that alone can make isbe slower than fused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from isbe_np.checks import whole
from isbe_np.executors import Opener
from isbe_np.heads import Head, normalizers
from isbe_np.studies.growth import PowerLaw, crossing, power_law
from isbe_np.studies.measure import Ratio, paired_ratio, peak_memory, take_turns
from isbe_np.studies.memory_limits import RUNS, SHARE, available_memory, most_classes, predicted_bytes, refusal, size
from isbe_np.studies.sweep import sweep
from isbe_np.tables import WIDEST, page, table

CLASSES = tuple(2**k for k in range(1, 18))
LEVEL = 10  # times isbe
FITTED = 4  # sizes in a fit, the largest measured
ANSWER = {"available": int, "memory": {str: float}, "refused": {str: str}, "seconds": {str: [float]}}  # of `scaling_cell`
FEW = 5  # rounds from which an interval is told


@dataclass
class Point:
    """One run at one number of classes: median seconds of its turns, bytes predicted and measured, or why it was not run."""

    run: str
    classes: int
    predicted: int
    seconds: list[float] = field(default_factory=list)
    memory: int | None = None
    refused: str = ""


@dataclass
class ScalingStudy:
    """Points by run and number of classes; bytes that were `available` before any was measured, and the package's `limit`."""

    batch: int
    rounds: int
    threads: int
    seed: int
    available: int
    limit: int
    points: list[Point]
    failed: dict[str, str]

    def of(self, run: str) -> dict[int, Point]:
        """The points of a run by number of classes, those that were not run too."""
        return {point.classes: point for point in self.points if point.run == run}

    def values(self, run: str, quantity: str) -> dict[int, float]:
        """By number of classes: median seconds ("time") or bytes ("memory"), where measured."""
        if quantity == "time":
            return {C: float(np.median(point.seconds)) for C, point in self.of(run).items() if point.seconds}
        return {C: point.memory for C, point in self.of(run).items() if point.memory is not None}

    def ratios(self, run: str) -> dict[int, Ratio]:
        """Time of a run by that of isbe, by number of classes, where both were measured."""
        other = self.of("isbe")
        return {C: paired_ratio(np.array(point.seconds), np.array(other[C].seconds))
                for C, point in self.of(run).items() if point.seconds and other[C].seconds}

    def laws(self, quantity: str) -> dict[str, PowerLaw]:
        """By run, how time or memory grows over the `FITTED` largest sizes measured; none of a run with fewer than three."""
        found = {run: power_law(self.values(run, quantity), FITTED) for run in RUNS}
        return {run: law for run, law in found.items() if law is not None}

    def ten_times(self) -> tuple[float | None, float | None, float | None]:
        """Classes from which on jacobian takes `LEVEL` times as long as isbe, and by the upper and lower ends of intervals."""
        ratios = self.ratios("jacobian")
        at, first, last = (crossing({C: getattr(ratio, end) for C, ratio in ratios.items()}, LEVEL)
                           for end in ("value", "high", "low"))
        return at, first, last

    def as_dict(self) -> dict:
        """All of it as JSON can hold it, with what follows from it."""
        package, machine = most_classes(self.batch, self.available, self.limit)
        laws = {quantity: {run: asdict(law) for run, law in self.laws(quantity).items()} for quantity in ("time", "memory")}
        return asdict(self) | {"laws": laws, "ten_times": self.ten_times(),
                               "most_classes": {"package": package, "machine": machine}}

    def text(self, width: int = WIDEST) -> str:
        """Tables of times, memory and exponents, and what they say."""
        return page([
            f"Softmax head, forward and backward, float32, batch {self.batch}, threads {self.threads}, seed {self.seed}; "
            f"{self.rounds} rounds, or as many as a route has time for, all routes in turns",
            "1. Time: median µs of a call; ratios with 95 % intervals\n\n" + self._time(width),
            "2. Peak memory beyond the scores, measured; (predicted) where it was not run\n\n" + self._memory(width),
            f"3. Growth: value = scale * classes^exponent, by the {FITTED} largest sizes measured\n\n" + self._growth(width),
            "What this says\n\n" + "\n".join(f"- {sentence}" for sentence in self.conclusions()),
            *(f"{name} failed: {why}" for name, why in self.failed.items())], width)

    def _time(self, width: int) -> str:
        times = {run: self.values(run, "time") for run in RUNS}
        ratios = {run: self.ratios(run) for run in ("jacobian", "fused")}
        rows = [(f"{C:,}", *(f"{1e6 * times[run][C]:,.1f}" if C in times[run] else "not run" for run in RUNS),
                 *(_interval(ratios[run].get(C), len(self.of(run)[C].seconds)) for run in ratios)) for C in self.of("isbe")]
        return table(("classes", *RUNS, *(f"{run} / isbe" for run in ratios)), rows, left=0, width=width)

    def _memory(self, width: int) -> str:
        rows = [(f"{C:,}", *(_measured(self.of(run)[C]) for run in RUNS)) for C in self.of("isbe")]
        return table(("classes", *RUNS), rows, left=0, width=width)

    def _growth(self, width: int) -> str:
        rows = [(quantity, run, f"{law.first:,} to {law.last:,}", f"{law.exponent:.3f} ± {law.error:.3f}", f"{law.r2:.5f}",
                 f"{law.deviation:.1%}", f"{law.flattest:.2f} to {law.steepest:.2f}")
                for quantity in ("time", "memory") for run, law in self.laws(quantity).items()]
        header = ("of", "route", "classes", "exponent ± s.e.", "R²", "furthest off", "between neighbours")
        return table(header, rows, left=2, keys=2, width=width)

    def conclusions(self) -> list[str]:
        """What the numbers support, and what was not measured, one sentence each."""
        return [*self._level_words(), *self._memory_words(), *self._rival_words(),
                "An exponent is of its range alone. Where those between neighbours lie far apart (small sizes, where calling "
                "takes longer than counting; sizes at which arrays outgrow a cache), it is a mean and no law.",
                "One machine, one batch size and the head alone: in a network the layer that makes so many scores takes time "
                "too, and was not timed here. Room for soft scores and error is given; jacobian and factored make their other "
                "arrays at each call, and what the system takes to hand out large ones is in their times. Memory is what "
                "Python's allocators were asked for, not what the system gave.",
                "Nobody trains with an explicit Jacobian: it is the mathematics written out, not a rival."]

    def _level_words(self) -> list[str]:
        at, first, last = self.ten_times()
        ratios = self.ratios("jacobian")
        if not ratios:
            return ["Route jacobian was not timed beside isbe."]
        if at is None:
            return [f"Route jacobian does not take {LEVEL} times as long as isbe at any size up to {max(ratios):,} classes."]
        if at == min(ratios):
            return [f"Route jacobian takes {LEVEL} times as long as isbe, or more, at every size from the smallest, {at:,.0f} "
                    "classes, on."]
        ends = " to ".join("beyond all sizes measured" if C is None else f"{C:,.0f}" for C in (first, last))
        below, above, largest = max(C for C in ratios if C < at), min(C for C in ratios if C >= at), max(ratios)
        return [f"Route jacobian takes {LEVEL} times as long as isbe from about {at:,.0f} classes on (between {below:,} and "
                f"{above:,}, on a line of logarithms; {ends} by the ends of the ratios' intervals), and "
                f"{_times(ratios[largest].value)} times as long at {largest:,}, the most that it was run at."]

    def _memory_words(self) -> list[str]:
        package, machine = most_classes(self.batch, self.available, self.limit)
        said = [f"Predicted: the explicit Jacobian of {self.batch} examples fits up to {package:,} classes by the package's "
                f"limit of {size(self.limit)}, and up to {machine:,} by {SHARE:.0%} of the "
                f"{size(self.available)} that were available: from {min(package, machine) + 1:,} on it does not."]
        if off := [abs((p.memory or 0) / p.predicted - 1) for p in self.points if p.seconds and p.predicted > 1e6]:
            said.append(f"No measured peak above 1 MB is off its prediction by more than {max(off):.1%}.")
        for run in RUNS:
            if left := [point for point in self.of(run).values() if point.refused]:
                said.append(f"Not run: {run} at {', '.join(f'{point.classes:,}' for point in left)} classes "
                            f"(at {left[0].classes:,}: {left[0].refused}).")
        return said

    def _rival_words(self) -> list[str]:
        said = []
        for run, what in (("fused", "fused, what frameworks do,"), ("one pass", "isbe in one pass, without soft scores,")):
            if ratios := self.ratios(run):
                values, most = [ratio.value for ratio in ratios.values()], max(ratios)
                verdict = f" At {most:,} classes {ratios[most].verdict(run, 'isbe')}." if self.rounds >= FEW else ""
                said.append(f"By size {what} takes {_times(min(values))} to {_times(max(values))} times as long as isbe."
                            + verdict)
        return said


def scaling(classes: Sequence[int] = CLASSES, batch: int = 32, rounds: int = 20, seed: int = 0, memory: int | None = None,
            folder: Path | None = None, executor: Executor | Opener | None = None, threads: int = 1,
            progress: bool = True) -> ScalingStudy:
    """Time and peak memory of the softmax head, forward and backward, by each of `RUNS` for scores (batch, classes), float32.

    memory : bytes taken to be available, such as those of a cluster's workers (default: what this machine has now). What is
        predicted to need too much is left out here, and again by the worker by what its own machine has.
    """
    whole("scaling: batch", batch), whole("scaling: rounds", rounds, least=2)
    sizes = sorted({whole("scaling: classes", C, least=2) for C in classes})
    room = available_memory() if memory is None else whole("scaling: memory", memory)
    limit = normalizers.JACOBIAN_LIMIT
    told = {C: {run: refusal(run, batch, C, room, limit) for run in RUNS} for C in sizes}
    cells = {f"{C} classes batch {batch}": {"classes": C, "batch": batch, "rounds": rounds, "seed": seed,
                                            "runs": [run for run in RUNS if not told[C][run]]} for C in sizes}
    found = sweep(scaling_cell, cells, folder, executor, threads, same_machine=True, progress=progress, answer=ANSWER)
    points = []
    for C in sizes:
        answer = found.answers.get(f"{C} classes batch {batch}", {"seconds": {}, "memory": {}, "refused": {}})
        points += [Point(run, C, predicted_bytes(run, batch, C), answer["seconds"].get(run, []), answer["memory"].get(run),
                         told[C][run] or answer["refused"].get(run, "")) for run in RUNS]
    return ScalingStudy(batch, rounds, threads, seed, room, limit, points, found.failed)


def scaling_cell(classes: int, batch: int, rounds: int, seed: int, runs: Sequence[str], turn: float = 0.02,
                 patience: float = 20.0) -> dict:
    """By run: the median seconds of each turn's calls, peak bytes, or why this machine did not run it.

    A turn begins with calls that are not counted: one right after another route's would find the caches as that one left
    them. Routes that took `patience` seconds take part in no further round; a ratio is of the rounds that both have.
    """
    available, random = available_memory(), np.random.default_rng(seed)
    refused = {run: why for run in runs if (why := refusal(run, batch, classes, available, normalizers.JACOBIAN_LIMIT))}
    scores = random.standard_normal((batch, classes), np.float32)
    labels = random.integers(0, classes, batch)
    memory = {}
    for run in runs:
        if run not in refused:
            once = _call(run, scores, labels)
            try:
                once()  # compiles
                memory[run] = peak_memory(once)
            except MemoryError as fault:  # a limit of this process that no file tells of
                refused[run] = f"tried, and refused: {fault}"
    soft, error = np.empty_like(scores), np.empty_like(scores)
    calls = {run: _call(run, scores, labels, soft, error) for run in memory}
    seconds = take_turns(calls, rounds, turn=turn, most=50, waking=turn / 2, quiet=True, patience=patience,
                         seed=seed) if calls else {}
    return {"available": available, "memory": memory, "refused": refused,
            "seconds": {run: np.median(turns, axis=1).tolist() for run, turns in seconds.items()}}


def _call(run: str, scores: np.ndarray, labels: np.ndarray, soft: np.ndarray | None = None,
          error: np.ndarray | None = None) -> Callable[[], object]:
    """Scores to error by a run; soft scores and error go where room is given, and else into arrays of their own."""
    head = Head("softmax", "isbe" if run == "one pass" else run)
    if run == "one pass":
        return lambda: head.error(scores, labels, out=error)

    def call():
        head.forward(scores, out=soft)
        return head.backward(labels, out=error)
    return call


def _measured(point: Point) -> str:
    return f"({size(point.predicted)})" if point.memory is None else size(point.memory)


def _interval(ratio: Ratio | None, rounds: int) -> str:
    if ratio is None:
        return ""
    ends = f"[{_times(ratio.low)}, {_times(ratio.high)}]" if rounds >= FEW else f"({rounds} rounds)"
    return f"{_times(ratio.value)} {ends}"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 1000 else f"{ratio:.3g}"
