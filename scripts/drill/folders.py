"""Section: folders that are full, read-only, shared, or whose files are damaged or of another time."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import isbe_np as isbe
from drill import commands, crew, mutations, training
from drill.rows import Drill, Outcome, Row, number
from drill.subjects import SUBJECTS
from isbe_np.training.checkpoint import previous_of
from isbe_np.training.keeping import FILE

TOTAL = 10  # steps of the training below, 5 an epoch
SUBJECT = SUBJECTS["images"]


class Run:
    """A short training in one folder, in parts, each in objects of its own."""

    def __init__(self, folder: Path):
        self.folder, self.file, self.digests = folder, folder / FILE, {}
        self.whole = self.part(checkpoint=False)

    def part(self, during=None, checkpoint: bool = True):
        """Train, or go on, every step saved; `during` says what is done after which step. What it ended with, its history."""
        net, head, optimizer = SUBJECT.net(), SUBJECT.head(), SUBJECT.optimizer()
        step = optimizer.step

        def stepped(stepping):
            step(stepping)
            self.digests.setdefault(optimizer.steps, training.digest(stepping, optimizer))
            (during or {}).get(optimizer.steps, lambda: None)()

        optimizer.step = stepped  # type: ignore[method-assign]
        subject = dataclasses.replace(SUBJECT, options=SUBJECT.options | {"checkpoint_seconds": 0})
        history = subject.train(self.folder if checkpoint else None, net, head, optimizer, resume=checkpoint)
        return training.digest(net, optimizer), training.told(history)

    def stopped(self, at: int) -> None:
        """Train up to a step, and be interrupted there."""
        self.part({at: lambda: os.kill(os.getpid(), signal.SIGINT)})
        assert self.at() == at, f"stopped after step {at}, it is at {self.at()}"

    def at(self) -> int:
        """The step of the checkpoint, which must be the right one for it."""
        found = isbe.load_checkpoint(self.file)
        assert found.history.steps == 0 or training.digest(found.net, found.optimizer) == self.digests[found.history.steps], \
            f"WRONG: the checkpoint of step {found.history.steps} is another"
        return found.history.steps

    def ends(self) -> None:
        """Go on to the end, which must be that of a training that nothing befell, and leave a clean folder."""
        assert self.part() == self.whole, "WRONG: it ended otherwise than a training that nothing befell"
        assert self.at() == TOTAL
        odd = [path.name for path in self.folder.iterdir() if path.name.startswith(".")]
        assert not odd, f"left in its folder: {odd}"


def full_for_a_while(place: Path, random: np.random.Generator) -> None:
    """No file may become longer than so much from one step on, up to another or to the end."""
    import resource
    run, (a, b) = Run(place / "run"), sorted(random.choice(np.arange(1, TOTAL), 2, replace=False).tolist())
    before, told = resource.getrlimit(resource.RLIMIT_FSIZE), []

    def full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(random.choice([0, 1, 100, 4000, 8000])), before[1]))

    def empty():
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        told.append(run.at())

    for_good = random.integers(2)
    try:
        ended = run.part({a: full} if for_good else {a: full, b: empty})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    told.append(run.at())
    assert ended[0] == run.whole[0], "WRONG: what was trained is another"
    if for_good:
        assert "could not be written" in (ended[1]["unsaved"] or ""), f"it is not told: {ended[1]['unsaved']!r}"
    else:
        assert ended[1]["unsaved"] is None, "it is told although there was room again"
    steps = [a - 1] if for_good else [a - 1, TOTAL]
    assert told == steps, f"the checkpoints are of steps {told}, not {steps}; there was no room after {a - 1}"
    run.ends()


def clock(place: Path, random: np.random.Generator) -> None:
    """The clock runs backwards, and the files' times say that the older one is newer, or both of the future or the past."""
    run, now = Run(place / "run"), time.time
    try:
        time.time = lambda: 1e9 - time.monotonic() * 1e4
        at = int(random.integers(2, 10))
        run.stopped(at)
        for path, offset in ((run.file, -1e6), (previous_of(run.file), 1e8 * random.choice([-1, 1]))):
            if path.exists():
                os.utime(path, (now() + offset, max(0.0, now() + offset)))
        assert run.at() == at
        run.ends()
    finally:
        time.time = now


def damaged_newest(place: Path, random: np.random.Generator) -> None:
    """The newest checkpoint is damaged, away or empty: the one before is used, and it is told."""
    run, at = Run(place / "run"), int(random.integers(2, 10))
    run.stopped(at)
    kind = str(random.choice([*mutations.MUTATIONS, "away"]))
    if kind == "away":
        run.file.unlink()
    else:
        run.file.write_bytes(mutations.mutated(kind, run.file.read_bytes(), random))
    with Heard() as heard:
        run.ends()
    assert kind == "away" or sum("expected" in line and "comes next" in line for line in heard.lines) == 1, \
        f"{kind}: it is not told of once: {heard.lines}"


def damaged_previous(place: Path, random: np.random.Generator) -> None:
    run, at = Run(place / "run"), int(random.integers(2, 10))
    run.stopped(at)
    previous = previous_of(run.file)
    previous.write_bytes(mutations.mutated(str(random.choice(list(mutations.MUTATIONS))), previous.read_bytes(), random))
    run.ends()


def damaged_both(place: Path, random: np.random.Generator) -> None:
    """Both are damaged: one sentence, and nothing is trained anew in silence."""
    run = Run(place / "run")
    run.stopped(int(random.integers(2, 10)))
    for path in (run.file, previous_of(run.file)):
        path.write_bytes(mutations.mutated(str(random.choice(list(mutations.MUTATIONS))), path.read_bytes(), random))
    try:
        run.part()
    except ValueError as fault:
        assert str(fault).isprintable() and str(run.file) in str(fault), f"no clear error: {fault}"
    else:
        raise AssertionError("WRONG: a training began anew where both checkpoints are damaged")


class Heard(logging.Handler):
    """What the package logs as a warning, in a block."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record):
        self.lines.append(record.getMessage())

    def __enter__(self):
        logging.getLogger("isbe_np").addHandler(self)
        return self

    def __exit__(self, *_):
        logging.getLogger("isbe_np").removeHandler(self)


# The row of each case, the case, and how often it is tried in the short form and in the long one.
CASES = {name: (row, work, counts) for row, work, counts in (
    ("folders, no room by a file-size limit", full_for_a_while, (4, 40)),
    ("folders, no room on a small disk", commands.small_disk, (1, 8)),
    ("folders, no room on a small disk", commands.small_disk_from_the_start, (1, 4)),
    ("folders, read-only or none", commands.unusable, (3, 9)),
    ("folders, two trainings at once", commands.two_at_once, (1, 6)),
    ("folders, clock going backwards", clock, (4, 40)),
    ("folders, damaged checkpoints", damaged_newest, (8, 120)),
    ("folders, damaged checkpoints", damaged_previous, (3, 40)),
    ("folders, damaged checkpoints", damaged_both, (3, 40))) for name in [work.__name__]}


@dataclass(frozen=True)
class Case:
    """One of them."""

    folder: Path
    name: str
    turn: int
    seed: int


def attempt(case: Case) -> Outcome:
    """Try it in a folder of its own."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where this process was told to ignore it
    place = case.folder / f"{case.name}{case.turn}"
    place.mkdir()
    random, start = np.random.default_rng(case.seed), time.perf_counter()
    fault, wrong = "", False
    try:
        CASES[case.name][1](place, random)
    except commands.NotHere as here:
        return Outcome(f"SKIPPED {here}")
    except Exception as came:
        fault = f"{type(came).__name__}: {came}" if not isinstance(came, AssertionError) else str(came) or "an assertion failed"
        wrong = "WRONG" in fault
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return Outcome(fault, wrong, seconds=time.perf_counter() - start)


def section(drill: Drill) -> list[Row]:
    """Each case so often; what this machine does not let one try is said, and not counted."""
    folder = drill.place("folders")
    commands.make_reference(folder / "reference")
    todo = [Case(folder, name, n, number(drill.seed, name, n)) for name, (_, _, counts) in CASES.items()
            for n in range(drill.of(*counts))]
    with drill.bar(len(todo), "folders") as bar:
        outcomes = crew.tried(attempt, todo, drill.workers, 180, bar, limited=False)
    rows: dict[str, Row] = {}
    for case, outcome in zip(todo, outcomes, strict=True):
        title = CASES[case.name][0]
        row = rows.setdefault(title, Row(title))
        if outcome.fault.startswith("SKIPPED"):
            if outcome.fault not in row.notes:
                row.notes.append(outcome.fault)
        else:
            row.add(outcome, f"{case.name}, turn {case.turn}")
    return list(rows.values())
