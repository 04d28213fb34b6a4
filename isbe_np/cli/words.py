"""What commands print: lines that fit the terminal."""

from __future__ import annotations

import os
import sys

from isbe_np.tables import WIDEST, page
from isbe_np.terminal import columns


def say(text: str) -> None:
    """Print text in lines that fit; tables are left as they are."""
    print(page([text], columns()))


def complain(sentence: str) -> None:
    """Print a sentence on standard error: in lines that fit a terminal, and elsewhere, where programs read it, in one."""
    print(page([sentence], _width_of_stderr()), file=sys.stderr)


def _width_of_stderr() -> int:
    try:
        return min(WIDEST, os.get_terminal_size(sys.stderr.fileno()).columns) if sys.stderr.isatty() else sys.maxsize
    except (OSError, ValueError):
        return WIDEST
