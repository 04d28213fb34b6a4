"""What came of faults: an outcome for each, a row of the table for each kind."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from isbe_np.tables import table

HEADER = ("section", "faults tried", "survived", "lost steps (most / mean)", "wrong loads", "worst seconds", "worst MB")


@dataclass
class Outcome:
    """How one fault ended: `fault` is a sentence where it was not survived, `wrong` that what came back was not what was saved.

    lost : steps, of a training that was killed. loaded : whether a file was taken, or None where none was read.
    seconds, megabytes : taken, the second above what the process had before.
    """

    fault: str = ""
    wrong: bool = False
    lost: int | None = None
    loaded: bool | None = None
    seconds: float = 0.0
    megabytes: float = 0.0


@dataclass
class Row:
    """A line of the table: how many faults of one kind were tried and what came of them."""

    section: str
    tried: int = 0
    survived: int = 0
    lost: list[int] = field(default_factory=list)
    wrong: int = 0
    loaded: int = 0
    refused: int = 0
    seconds: float = 0.0
    megabytes: float = 0.0
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome, what: str = "") -> None:
        """Count one more; `what` names the fault that was tried."""
        self.tried += 1
        self.survived += not outcome.fault
        self.wrong += outcome.wrong
        self.loaded += bool(outcome.loaded)
        self.refused += outcome.loaded is False
        self.seconds, self.megabytes = max(self.seconds, outcome.seconds), max(self.megabytes, outcome.megabytes)
        if outcome.lost is not None:
            self.lost.append(outcome.lost)
        if outcome.fault:
            self.faults.append(f"{what}: {outcome.fault}" if what else outcome.fault)

    @property
    def passed(self) -> bool:
        """Whether something was tried and all of it survived, with nothing wrong."""
        return 0 < self.tried == self.survived and not self.wrong

    def cells(self) -> tuple[str, ...]:
        """Its columns."""
        lost = f"{max(self.lost)} / {sum(self.lost) / len(self.lost):.2f}" if self.lost else "-"
        megabytes = f"{self.megabytes:.1f}" if self.megabytes else "-"
        return (self.section, f"{self.tried:,}", f"{self.survived:,}", lost, str(self.wrong), f"{self.seconds:.2f}", megabytes)

    def as_dict(self) -> dict:
        """The same as plain data."""
        return asdict(self) | {"passed": self.passed}


@dataclass
class Drill:
    """How a drill is run: everything that its sections need to know. `folder` is theirs to fill."""

    folder: Path
    seed: int = 0
    short: bool = False
    workers: int = 2

    def of(self, short: int, long: int) -> int:
        """How many, in the short form or in the long one."""
        return short if self.short else long

    def place(self, name: str) -> Path:
        """A new folder for one section."""
        path = self.folder / name
        path.mkdir(parents=True)
        return path

    def bar(self, total: int, what: str):
        """A progress bar, on a terminal alone."""
        from tqdm import tqdm
        return tqdm(total=total, desc=what, disable=not sys.stderr.isatty(), leave=False)


def number(*parts) -> int:
    """A seed that is the same in every process for the same parts."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "little")


def text(rows: Sequence[Row], most: int = 5) -> str:
    """The table, and under it what was not survived, up to `most` of a row, and notes."""
    lines = [table(HEADER, [row.cells() for row in rows])]
    for row in rows:
        lines += [f"{row.section}: NOT survived: {fault}" for fault in row.faults[:most]]
        if len(row.faults) > most:
            lines.append(f"{row.section}: and {len(row.faults) - most} more like these")
        if row.refused:
            lines.append(f"{row.section}: {row.refused:,} were refused, {row.loaded:,} loaded right")
        lines += [f"{row.section}: {note}" for note in row.notes]
    return "\n".join(lines)


def shares(names: Sequence[str], count: int) -> Iterable[str]:
    """`count` names, each of `names` about as often, so that few already hold all."""
    rounds = math.ceil(count / len(names))
    return (list(names) * rounds)[:count]
