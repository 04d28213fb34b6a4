"""The command line: `isbe`, or `python -m isbe_np`. Every subcommand is a thin call into one module.

Exit codes: 0 done; 1 the run itself went wrong (training diverged, a file failed its check); 2 unusable arguments or
input; 130 interrupted with Ctrl-C, after what there was so far has been written; 141 nobody reads the output any more; 143
ended by SIGTERM, or with its terminal, once its checkpoint was saved. With ISBE_DEBUG=1 an error shows where it arose.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from isbe_np.cli import classroom, learning, machine, training
from isbe_np.cli.logs import shown
from isbe_np.cli.options import INTERRUPTED, PIPE, REFUSED, check_outputs
from isbe_np.cli.parser import Commands, Parser, examples
from isbe_np.cli.words import complain
from isbe_np.environment import version_of
from isbe_np.terminal import make_readable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    make_readable()
    parser = _parser()
    if not (sys.argv[1:] if arguments is None else arguments):
        parser.print_help(sys.stderr)
        return REFUSED
    try:
        given = parser.parse_args(arguments)
    except SystemExit as stop:  # after --help, or arguments that argparse has refused
        return stop.code if isinstance(stop.code, int) else REFUSED
    try:
        with shown(given.command, given.verbose):
            check_outputs(given)
            code = given.run(given)
            sys.stdout.flush()
            return code
    except BrokenPipeError:  # whoever read the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE
    except (ValueError, TypeError, OSError, RuntimeError, ImportError, MemoryError) as fault:
        if os.environ.get("ISBE_DEBUG"):
            raise
        complain(f"isbe {given.command}: {fault}")
        return REFUSED
    except KeyboardInterrupt:
        complain(f"isbe {given.command}: interrupted.")
        return INTERRUPTED


def _parser() -> Parser:
    parser = Parser(prog="isbe", description="Learn, test and time one idea: a classifier's softmax Jacobian times its "
                    "cross-entropy gradient is softmax(scores) - target.", epilog=examples("isbe"))
    parser.add_argument("--version", action="version", version=f"isbe {version_of('isbe_np')}",
                        help="show the version and exit")
    commands = Commands(parser)
    for room in (learning, training, machine, classroom):
        room.add(commands)
    return parser
