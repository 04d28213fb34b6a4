"""Section: thousands of damaged and lying checkpoints, each through one of the ways to load one."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import isbe_np as isbe
from drill import archives, crew, facts, mutations, places, subjects
from drill.judge import Loaded, judged
from drill.rows import Drill, Outcome, Row, number, shares
from drill.subjects import SUBJECTS, Subject

PATIENCE = 60.0  # seconds, then a load is killed


def network(path: Path, subject: Subject, objects: tuple) -> Loaded:
    return Loaded(isbe.load_network(path))


def alone(path: Path, subject: Subject, objects: tuple) -> Loaded:
    """From the file alone."""
    found = isbe.load_checkpoint(path)
    rest = {"note": found.note, "environment": found.environment, "training": found.training}
    rest |= {"history": None if found.history is None else found.history.as_dict()}
    return Loaded(found.net, found.head, found.optimizer, **rest)


def into(path: Path, subject: Subject, objects: tuple) -> Loaded:
    """Into objects that were passed."""
    found = isbe.load_checkpoint(path, *objects)
    assert found.net is objects[0] and found.optimizer is objects[2]
    return Loaded(*objects, note=found.note)


def resumed(path: Path, subject: Subject, objects: tuple) -> Loaded:
    """By a training that goes on from it, and by the one that was before where it is damaged."""
    history = subject.train(path.parent, *objects, resume=True)
    if history.steps != subject.epochs * 5:
        raise AssertionError(f"the training ended at step {history.steps}")
    return Loaded(*objects)


LOADS: Mapping[str, Callable[[Path, Subject, tuple], Loaded]] = {f.__name__: f for f in (network, alone, into, resumed)}


@dataclass(frozen=True)
class Case:
    """One damaged file: of which subject, with which kind of damage by which random numbers, and how it is loaded."""

    folder: Path
    group: str
    subject: str
    kind: str
    load: str
    seed: int

    @property
    def what(self) -> str:
        """For a person who wants to see it again."""
        return f"{self.kind} of {self.subject!r} by {self.load}, seed {self.seed}"

    def write(self, path: Path, canary: Path) -> None:
        """Put the damaged file at `path`."""
        data, random = original(self.folder, self.subject)[0], np.random.default_rng(self.seed)
        if self.group == "places":
            places.PLACES[self.kind](path, data)
        elif self.group == "damaged":
            path.write_bytes(mutations.mutated(self.kind, data, random))
        elif self.group == "resealed":
            while (found := mutations.resealed(mutations.mutated(self.kind, data, random))) == data:
                pass
            path.write_bytes(found)
        elif self.group == "archives":
            path.write_bytes(archives.lying(self.kind, data, random, str(canary)))
        else:
            path.write_bytes(facts.changed(self.kind, data, random))


GROUPS = {"damaged": ("checkpoints, damaged", tuple(mutations.MUTATIONS)),
          "resealed": ("checkpoints, damaged, sum made anew", tuple(mutations.MUTATIONS)),
          "archives": ("checkpoints, lying zip or arrays", tuple(archives.LIES)),
          "facts": ("checkpoints, lying facts", facts.NAMES),
          "places": ("checkpoints, no plain file", tuple(places.PLACES))}


@functools.cache
def original(folder: Path, subject: str) -> tuple[bytes, dict[str, bytes], dict[str, bytes]]:
    """The bytes of a subject's checkpoint, what it holds, and what a load without its optimizer holds."""
    path = folder / "made" / subject / "checkpoint.npz"
    found = isbe.load_checkpoint(path)
    return path.read_bytes(), subjects.state_of(found.net, found.optimizer), subjects.state_of(found.net, None)


@functools.cache
def warmed(folder: Path) -> None:
    """Load and train each subject once in this process, so that no fault is charged with what only the first time takes."""
    for name, subject in SUBJECTS.items():
        original(folder, name)
        if subject.epochs:
            with tempfile.TemporaryDirectory(dir=folder) as place:
                subject.train(Path(place) / "run", *subject.fresh())


def attempt(case: Case, loads=LOADS) -> Outcome:
    """Write a case's file, load it, and see."""
    warmed(case.folder)
    subject = SUBJECTS[case.subject]
    run = case.folder / f"try{os.getpid()}"
    run.mkdir()
    path, canary = run / "checkpoint.npz", case.folder / f"canary{os.getpid()}"
    try:
        case.write(path, canary)
        objects, passed = subject.fresh(), None
        if case.load in ("into", "resumed"):
            passed = objects[0], objects[2]
        if case.load == "resumed":
            shutil.copy(case.folder / "made" / case.subject / "checkpoint.previous.npz", run)
        _, whole, net = original(case.folder, case.subject)
        right = case.group in ("damaged", "places")
        return judged(lambda: loads[case.load](path, subject, objects), path,
                      (net if case.load == "network" else whole) if right else None, canary, passed)
    finally:
        shutil.rmtree(run, ignore_errors=True)


def cases(drill: Drill, folder: Path) -> list[Case]:
    """All of them; the same for the same seed but for `folder`."""
    count = {"damaged": drill.of(120, 1800), "resealed": drill.of(60, 900), "archives": drill.of(119, 1904),
             "facts": drill.of(120, 2000), "places": 4 * len(places.PLACES)}
    found = []
    for group, (_, kinds) in GROUPS.items():
        for n, kind in enumerate(shares(kinds, count[group])):
            random = np.random.default_rng(number(drill.seed, group, n))
            subject = str(random.choice(list(SUBJECTS)))
            load = list(LOADS)[n // len(kinds) % 4] if group == "places" else str(random.choice(list(LOADS)))
            if load == "resumed" and not SUBJECTS[subject].epochs:
                load = "alone"
            found.append(Case(folder, group, subject, kind, load, int(random.integers(2**32))))
    return found


def section(drill: Drill, loads=LOADS) -> list[Row]:
    """Make the subjects, damage them, load each. Other `loads` are tried in this process."""
    folder = drill.place("checkpoints")
    subjects.make(folder / "made")
    todo = cases(drill, folder)
    rows = {group: Row(title) for group, (title, _) in GROUPS.items()}
    work = attempt if loads is LOADS else functools.partial(attempt, loads=loads)
    with drill.bar(len(todo), "checkpoints") as bar:
        outcomes = crew.tried(work, todo, drill.workers if loads is LOADS else 0, PATIENCE, bar)
    for case, outcome in zip(todo, outcomes, strict=True):
        rows[case.group].add(outcome, case.what)
    return list(rows.values())
