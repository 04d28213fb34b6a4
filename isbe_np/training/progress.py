"""Showing how far an epoch is: a bar on a terminal, one plain line an epoch anywhere else."""

from __future__ import annotations

import sys

from tqdm import tqdm


class Progress:
    """A context manager around one epoch. Everything goes to standard error."""

    def __init__(self, wanted: bool, epoch: int, epochs: int, steps: int, done: int = 0):
        self.wanted = wanted
        self.bar = tqdm(total=steps, initial=done, desc=f"epoch {epoch + 1}/{epochs}", unit="step", leave=False,
                        dynamic_ncols=True, disable=not (wanted and sys.stderr.isatty()))

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()

    def advance(self) -> None:
        """One step done."""
        self.bar.update()

    def finish(self, line: str) -> None:
        """The epoch is done; `line` tells of it."""
        self.bar.close()
        if self.wanted:
            tqdm.write(line, file=sys.stderr)
