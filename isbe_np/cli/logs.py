"""What the library logs, as plain lines on standard error while a command runs."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator

from tqdm import tqdm

from isbe_np.classroom.safe import line

LONGEST = 2000  # characters of a line


class _Lines(logging.Handler):
    """One line for each record, above a progress bar if there is one."""

    def __init__(self, command: str, level: int):
        super().__init__(level)
        self.command = command

    def emit(self, record: logging.LogRecord) -> None:
        """Show it; where standard error is closed, nobody would see a complaint about that either."""
        with contextlib.suppress(OSError, ValueError):
            tqdm.write(f"isbe {self.command}: {line(record.getMessage(), LONGEST)}", file=sys.stderr)


@contextlib.contextmanager
def shown(command: str, verbose: bool) -> Iterator[None]:
    """Show warnings and errors while the block runs, and with `verbose` what is being done; afterwards all is as it was."""
    logger = logging.getLogger("isbe_np")
    handler, before = _Lines(command, logging.INFO if verbose else logging.WARNING), logger.level
    if not logger.isEnabledFor(handler.level):
        logger.setLevel(handler.level)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
