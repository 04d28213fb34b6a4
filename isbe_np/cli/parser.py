"""How the command line reads its arguments: help that fits the terminal, and refusals that say what was probably meant."""

from __future__ import annotations

import argparse
import difflib
import itertools
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from isbe_np.cli.examples import EXAMPLES
from isbe_np.cli.words import complain
from isbe_np.tables import wrapped
from isbe_np.terminal import columns


class Help(argparse.HelpFormatter):
    """Help as wide as the terminal. A new line in a text begins a line, and an example, which is indented, stays in one."""

    def __init__(self, prog: str, **settings):
        super().__init__(prog, **{"max_help_position": 28, "width": columns(), **settings})

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(line if line.startswith("  ") else wrapped(line, width) for line in text.split("\n"))

    def _split_lines(self, text: str, width: int) -> list[str]:
        return [line for part in text.split("\n") for line in super(Help, self)._split_lines(part, width)]


class Parser(argparse.ArgumentParser):
    """Refuses in one sentence, without the usage. Options are written in full: a part of one would mean another some day."""

    def __init__(self, **settings):
        super().__init__(**{"formatter_class": Help, "allow_abbrev": False, **settings})
        self.commands: Commands | None = None

    def error(self, message: str) -> NoReturn:
        complain(f"{self.prog}: {message}{'' if message.endswith(('?', '.')) else '.'} See {self.prog} --help.")
        self.exit(2)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None):  # type: ignore[override]
        """As argparse does; what no parser takes is refused in the name of the command."""
        given, left = self.parse_known_args(args, namespace)
        if left:
            parser = self.commands.parsers.choices[given.command] if self.commands else self
            parser.error(f"unrecognized arguments: {' '.join(left)}")
        return given

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None):  # type: ignore[override]
        """As argparse does, after refusing an option that does not exist, before any that is missing."""
        given = sys.argv[1:] if args is None else list(args)
        for text in itertools.takewhile(self._is_ours, given):
            name = text.partition("=")[0]
            if name.startswith("-") and name not in self._option_string_actions:
                self._refuse_option(name)
        return super().parse_known_args(given, namespace)

    def _is_ours(self, text: str) -> bool:
        """Until "--", or until the command, whose parser reads what follows."""
        return text != "--" and (self.commands is None or text.startswith("-"))

    def _refuse_option(self, name: str) -> None:
        options = {option.lstrip("-"): option for option in self._option_string_actions if option.startswith("--")}
        word, long = name.lstrip("-"), name.startswith("--")
        near = [options[other] for other in options if len(word) > 1 and (other.startswith(word) or initials(other) == word)]
        near = near or [options[other] for other in difflib.get_close_matches(word, options, 1, 0.6 if long else 0.8)]
        if self.commands is not None and not near:
            self.error(f"there is no option {name} before a command. Options come after it, as in isbe train --epochs 3")
        if long or near:
            self.error(f"there is no option {name}.{did_you_mean(near)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        near = difflib.get_close_matches(str(value).lower(), map(str, action.choices), 1, 0.5)
        if action.dest == "command":
            self.error(f"there is no command {value!r}.{did_you_mean(near)}")
        raise argparse.ArgumentError(action, f"expects one of {', '.join(action.choices)}; got {value!r}.{did_you_mean(near)}")


class Commands:
    """Adds commands to a parser, each with examples in its help."""

    def __init__(self, parser: Parser):
        self.parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
        parser.commands = self

    def add_parser(self, name: str, help: str) -> argparse.ArgumentParser:
        """The parser of one command."""
        return self.parsers.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.", epilog=examples(name))


def examples(name: str) -> str:
    """What stands at the end of a command's help."""
    return "\n".join(["examples:", *(f"  {line}" for line in EXAMPLES[name])])


def initials(name: str) -> str:
    """Such as lr of learning-rate."""
    return "".join(part[:1] for part in name.split("-"))


def did_you_mean(near: Iterable[str]) -> str:
    """A question after a space, or nothing."""
    named = " or ".join(near)
    return f" Did you mean {named}?" if named else ""
