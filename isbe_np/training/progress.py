"""Showing what is being done: a stage by its name, and how far an epoch is. On a terminal; elsewhere a plain line an epoch."""

from __future__ import annotations

import sys

from tqdm import tqdm


class Bar(tqdm):
    """A bar without tqdm's thread that looks after it: no thread of ours may run while times are taken."""

    monitor_interval = 0


class Progress:
    """One epoch's bar, where standard error is a terminal, and its line afterwards."""

    def __init__(self, wanted: bool, epoch: int, epochs: int, steps: int, done: int = 0):
        self.wanted, self.shown = wanted, wanted and sys.stderr.isatty()
        self.bar = Bar(total=steps, initial=done, desc=f"epoch {epoch + 1}/{epochs}", unit="step", leave=False,
                        dynamic_ncols=True, disable=not self.shown)

    def advance(self) -> None:
        """One step done; after the last one comes the evaluation, which the bar says."""
        self.bar.update()
        if self.bar.n == self.bar.total:
            self.bar.set_description(f"{self.bar.desc.removesuffix(': ')}, evaluating")

    def close(self) -> None:
        """Take the bar away."""
        self.bar.close()

    def finish(self, line: str) -> None:
        """The epoch is done; `line` tells of it."""
        self.close()
        if self.wanted:
            tqdm.write(line, file=sys.stderr)


class Stages:
    """A line on a terminal's standard error that names the stage at hand, and is gone when the next line is printed.

    A context manager: `stages.begin("reading the data")` names a stage, `stages.clear()` takes the line away. No thread
    moves it, so that it costs no measurement anything.
    """

    def __init__(self, who: str, wanted: bool = True, total: int | None = None):
        self.who, self.number, self.total = who, 0, total
        self.wanted = wanted and sys.stderr.isatty()
        self.bar: Bar | None = None

    def __enter__(self) -> Stages:
        return self

    def __exit__(self, *_) -> None:
        self.clear()

    def begin(self, stage: str) -> None:
        """Show that this stage begins; one that was shown before is over."""
        self.clear()
        self.number += 1
        if self.wanted:
            place = f" {self.number}/{self.total}" if self.total else ""
            self.bar = Bar(bar_format="{desc}", desc=f"{self.who}{place}: {stage} ...", leave=False, dynamic_ncols=True)

    def clear(self) -> None:
        """Take the line away."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
