"""What a submission said, made safe to show: in a terminal, in Markdown, in HTML, in a spreadsheet, and as a file's name."""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata

NAMES = re.compile(r"[^\w .@+,()-]", re.UNICODE)
FORMULAS = tuple("=+-@＝＋－＠")  # how a formula begins in a spreadsheet, also in full width
RESERVED = {"con", "prn", "aux", "nul", *(f"{name}{k}" for name in ("com", "lpt") for k in range(1, 10))}


def plain(text: str, longest: int = 4000) -> str:
    """`text` without characters that steer a terminal or turn the direction of writing, and cut to `longest` characters."""
    kept = "".join(c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn") else "�"
                   for c in text[:longest].replace("\r\n", "\n"))
    return kept + (" … (cut)" if len(text) > longest else "")


def line(text: str, longest: int = 200) -> str:
    """The same in a single line."""
    return " ".join(plain(text, longest).split())


def markdown(text: str) -> str:
    """A line of text, not at the beginning of one, in which Markdown finds nothing to obey."""
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", html.escape(line(text, 600), quote=False))


def fenced(text: str) -> str:
    """Text in a Markdown fence longer than any that is in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def cell(text: str) -> str:
    """A line of text that a spreadsheet does not take for a formula."""
    text = line(text)
    return f"'{text}" if text[:1] in FORMULAS else text


def file_name(name: str) -> str:
    """A name for files, of a student's: letters of any script, digits, a few signs; with a mark of its own where it differs."""
    kept = NAMES.sub("_", unicodedata.normalize("NFC", line(name, 1000))).strip(" .")[:60].rstrip(" .")
    if kept == name and kept.lower().partition(".")[0] not in RESERVED:
        return kept
    return f"{kept or 'unnamed'}_{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
