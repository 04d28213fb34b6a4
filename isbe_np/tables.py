"""Text for a terminal of some width: columns of text, and sentences in lines."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from isbe_np.storage.files import one_line

WIDEST = 100  # columns: longer lines are hard to read
TABLE = re.compile(r".*\n-+(\n|$)")

def table(header: tuple[str, ...], rows: list[tuple], left: int = 1, keys: int = 1, width: int = WIDEST) -> str:
    """Columns two spaces apart under a rule; the first `left` flush left, the others, which hold numbers, right.

    A table wider than `width` is cut into parts, one under the other: each has the first `keys` columns, which say what a row
    is, and as many of the others as fit, at least one.
    """
    cells = [tuple(one_line(str(cell)) for cell in row) for row in (header, *rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(header))]
    parts: list[list[int]] = [[]]
    for k in range(keys, len(header)):
        if parts[-1] and sum(widths[j] + 2 for j in (*range(keys), *parts[-1])) + widths[k] > width:
            parts.append([])
        parts[-1].append(k)
    return "\n\n".join(_part(cells, widths, (*range(keys), *part), left) for part in parts)


def _part(cells: list[tuple[str, ...]], widths: list[int], columns: tuple[int, ...], left: int) -> str:
    lines = ["  ".join(row[k].ljust(widths[k]) if k < left else row[k].rjust(widths[k]) for k in columns).rstrip()
             for row in cells]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def page(parts: Iterable[str], width: int = WIDEST) -> str:
    """Paragraphs and tables with an empty line between them; lines of text wider than `width` are `wrapped`."""
    blocks = "\n\n".join(parts).split("\n\n")
    return "\n\n".join(block if TABLE.match(block) else "\n".join(wrapped(line, width) for line in block.split("\n"))
                       for block in blocks)


def wrapped(line: str, width: int) -> str:
    """A line in lines of at most `width` characters, those after the first two further in; no y - t is torn apart.

    A word that is longer, such as a path, is left whole, so that it can be copied.
    """
    if len(line) <= width:
        return line
    indent = " " * (len(line) - len(line.lstrip()))
    whole = re.sub(r"(?<=\w) ([-=/]) (?=\w)", "\xa0\\1\xa0", line)
    further = indent + "  " * line.lstrip().startswith(("- ", "• "))
    lines = textwrap.wrap(whole, width, subsequent_indent=further, break_on_hyphens=False, break_long_words=False)
    return "\n".join(lines).replace("\xa0", " ")
