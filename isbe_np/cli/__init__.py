"""The command line: `isbe`, or `python -m isbe_np`. Every subcommand is a thin call into one module.

Exit codes: 0 done; 1 the run itself went wrong (training diverged, a file failed its check); 2 unusable arguments or
input; 130 interrupted with Ctrl-C, after what there was so far has been written; 143 ended by SIGTERM, or with
its terminal, once its checkpoint was saved. With ISBE_DEBUG=1 an error shows where it arose.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from isbe_np.cli import classroom, learning, machine, training
from isbe_np.cli.logs import shown
from isbe_np.cli.options import INTERRUPTED, REFUSED, check_outputs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        given = _parser().parse_args(arguments)
    except SystemExit as stop:  # after --help, or arguments that argparse has refused
        return stop.code if isinstance(stop.code, int) else REFUSED
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without µ shows "?" rather than lose the results
    try:
        with shown(given.command, given.verbose):
            check_outputs(given)
            return given.run(given)
    except (ValueError, TypeError, OSError, RuntimeError, ImportError, MemoryError) as fault:
        if os.environ.get("ISBE_DEBUG"):
            raise
        print(f"isbe {given.command}: {fault}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print(f"isbe {given.command}: interrupted.", file=sys.stderr)
        return INTERRUPTED


class _Parser(argparse.ArgumentParser):
    """Refuses in one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="isbe", description="Learn, test and time one idea: a classifier's softmax "
                                     "Jacobian times its cross-entropy gradient is softmax(scores) - target.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for room in (learning, training, machine, classroom):
        room.add(commands)
    return parser
