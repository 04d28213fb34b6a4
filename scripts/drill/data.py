"""Section: thousands of damaged IDX and CIFAR files through each of the package's readers."""

from __future__ import annotations

import functools
import os
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import isbe_np as isbe
from drill import crew, datafiles, mutations, places
from drill.crew import Measured
from drill.judge import SECONDS, unclear
from drill.rows import Drill, Outcome, Row, number, shares
from isbe_np.datasets import cifar, idx
from isbe_np.datasets.catalogue import ENTRIES

MEGABYTES, MOST = 32.0, 100_000 * 784 / 2**20  # above what the expected numbers take; of the longest file that may be expected
IMAGES, LABELS, BATCH = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", "test_batch.bin"


def _entry(name: str, file: str) -> Any:
    return next(one for one in ENTRIES[name].files if one.name == file.removesuffix(".gz"))


# How a file is read: what gives an array or a pair, and whether it has to be the published one.
READERS: Mapping[str, tuple[Callable[[Path], Any], bool]] = {
    "read": (lambda path: idx.read(path, (4, 28, 28) if IMAGES in path.name else (4,)), False),
    "any number": (lambda path: (idx.read_images if IMAGES in path.name else idx.read_labels)(path), False),
    "verified": (lambda path: _entry("mnist", path.name).read(path), True),
    "by its .gz": (lambda path: _entry("kmnist", path.name).read(path), True),
    "unverified": (lambda path: _entry("mnist", path.name).read(path, verify=False), False),
    "load": (lambda path: loaded("mnist", path, True), True),
    "load unverified": (lambda path: loaded("mnist", path, False), False)}
CIFAR: Mapping[str, tuple[Callable[[Path], Any], bool]] = {
    "read": (lambda path: cifar.read(path, 3), False),
    "verified": (lambda path: _entry("cifar10", path.name).read(path), True),
    "unverified": (lambda path: _entry("cifar10", path.name).read(path, verify=False), False),
    "load": (lambda path: loaded("cifar10", path, True), True),
    "load unverified": (lambda path: loaded("cifar10", path, False), False)}


def loaded(name: str, path: Path, verify: bool) -> Any:
    """What `load` makes of the file at `path`, back in bytes."""
    data = isbe.datasets.load(name, path.parent, np.float64, verify=verify)
    x, y = np.rint(data.x_test * 255).astype(np.uint8), data.y_test.astype(np.uint8)
    if name == "cifar10":
        return x, y
    return x[:, 0] if IMAGES in path.name else y


@dataclass(frozen=True)
class Case:
    """One damaged file: which, with which damage by which random numbers, and how it is read."""

    folder: Path
    group: str
    file: str
    kind: str
    reader: str
    seed: int

    @property
    def what(self) -> str:
        return f"{self.kind} of {self.file} by {self.reader}, seed {self.seed}"


@functools.cache
def files() -> dict[str, bytes]:
    return datafiles.shrunk()


def attempt(case: Case) -> Outcome:
    """Write the file beside the right others, read it, and see."""
    data, random = files()[case.file], np.random.default_rng(case.seed)
    run = case.folder / f"try{os.getpid()}"
    run.mkdir()
    path = run / case.file
    for name in files():
        if name != case.file and name.removesuffix(".gz") != case.file and name + ".gz" != case.file:
            os.link(case.folder / name, run / name)
    try:
        if case.group == "places":
            places.PLACES[case.kind](path, data)
            wrong = data
        else:
            own = datafiles.OWN["cifar" if case.file == BATCH else "gz" if case.file.endswith(".gz") else "idx"]
            mutate = own.get(case.kind) or mutations.MUTATIONS[case.kind]
            while (wrong := mutate(data, random)) == data:
                pass
            path.write_bytes(wrong)
        reader, verified = (CIFAR if case.file == BATCH else READERS)[case.reader]
        return judged(reader, path, data if verified else wrong, case)
    finally:
        shutil.rmtree(run, ignore_errors=True)


def judged(reader, path: Path, right: bytes, case: Case) -> Outcome:
    """Whether what was read is what stands in `right`, or one clear error came."""
    found = error = None
    with warnings.catch_warnings(record=True) as warned, Measured() as took:
        warnings.simplefilter("always")
        try:
            found = reader(path)
        except Exception as fault:
            error = fault
    outcome = Outcome(loaded=error is None, seconds=took.seconds, megabytes=took.megabytes)
    if warned:
        outcome.fault = f"a warning came of it: {warned[0].message}"
    elif error is not None:
        outcome.fault = unclear(error, path if not case.reader.startswith("load") else path.parent)
    else:
        outcome.fault = other_than(found, right, labels=case.reader != "read")
        outcome.wrong = bool(outcome.fault)
    most = MEGABYTES + (2 * MOST if case.reader == "any number" else 0)
    if not outcome.fault and (took.seconds > SECONDS or took.megabytes > most):
        outcome.fault = f"it took {took.seconds:.1f} s and {took.megabytes:.0f} MB; {SECONDS:g} s and {most:.0f} MB are allowed"
    return outcome


def other_than(found: Any, right: bytes, labels: bool = True) -> str:
    """What is other in what was read than in `right`; "" where nothing is. labels : rows should hold labels."""
    if isinstance(found, tuple):
        images, labels = found
        wanted = np.frombuffer(right, np.uint8)
        if wanted.size != 3 * cifar.RECORD:
            return "it was read, and has another length than three records"
        rows = np.hstack([np.asarray(labels, np.uint8)[:, None], np.asarray(images).reshape(3, -1)])
        return "" if np.array_equal(rows.reshape(-1), wanted) else "it was read otherwise than it is"
    try:
        wanted = datafiles.seen(right)
    except ValueError as fault:
        return f"it was read, and by the format's description it is none: {fault}"
    if labels and found.ndim == 1 and found.max(initial=0) > 9:
        return f"it was read, with a label {found.max()}"
    return "" if np.array_equal(found, wanted) else "it was read otherwise than it is"


GROUPS = {"idx": "data, IDX files", "gz": "data, IDX files, compressed", "cifar": "data, CIFAR files",
          "places": "data, no plain file"}


def cases(drill: Drill, folder: Path) -> list[Case]:
    """All of them; the same for the same seed but for `folder`."""
    count = {"idx": drill.of(140, 1800), "gz": drill.of(160, 2400), "cifar": drill.of(60, 1000),
             "places": 2 * len(places.PLACES)}
    found = []
    for group in GROUPS:
        kinds = (*places.PLACES,) if group == "places" else (*mutations.MUTATIONS, *datafiles.OWN[group], *datafiles.OWN[group])
        for n, kind in enumerate(shares(kinds, count[group])):
            random = np.random.default_rng(number(drill.seed, "data", group, n))
            file = {"cifar": BATCH, "places": (IMAGES, BATCH)[n % 2]}.get(group) or (IMAGES, LABELS)[random.integers(2)]
            readers = CIFAR if file == BATCH else READERS
            if group == "places":
                readers = {name: reader for name, reader in readers.items() if not name.startswith("load")}
            found.append(Case(folder, group, file + ".gz" * (group == "gz"), kind, str(random.choice(list(readers))),
                              int(random.integers(2**32))))
    return found


def section(drill: Drill) -> list[Row]:
    """Damage the files, read each."""
    folder = drill.place("data")
    for name, data in datafiles.shrunk().items():
        (folder / name).write_bytes(data)
    todo, rows = cases(drill, folder), {group: Row(title) for group, title in GROUPS.items()}
    with drill.bar(len(todo), "data") as bar:
        outcomes = crew.tried(attempt, todo, drill.workers, 60, bar)
    for case, outcome in zip(todo, outcomes, strict=True):
        rows[case.group].add(outcome, case.what)
    return list(rows.values())
