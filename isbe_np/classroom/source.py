"""The text of a Python file, read as Python reads it, with the encoding that it declares. Each reader in here uses this."""

from __future__ import annotations

import codecs
import io
import json
import re
import tokenize

from isbe_np.classroom.safe import line

HEAD = 4096  # bytes that tell what kind of file it is
COOKIE = re.compile(r"([ \t\f]*#.*?coding[:=][ \t]*)([-\w.]+)", re.ASCII)  # PEP 263
BLANK = re.compile(r"[ \t\f]*(#.*)?$")
# Not for programs, or with a time that grows as the square of the length.
NO_PROGRAMS = ("idna", "punycode", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
NOTEBOOK = re.compile(rb'\s*\{\s*"(cells|metadata|nbformat|nbformat_minor|worksheets)"\s*:')
KEYS = ("cells", "nbformat", "worksheets")
PLAIN, ITSELF, UNPACK = ("Save it as plain text.", "Hand in the Python file itself.",
                         "Unpack it, and hand in the Python file itself.")
KINDS = ((rb"%PDF", "a PDF file", ITSELF), (rb"\{\\rtf", "an RTF document", PLAIN),
         (rb"\xd0\xcf\x11\xe0", "a word processor's document", PLAIN), (rb"\x1f\x8b|7z\xbc\xaf|Rar!", "an archive", UNPACK),
         (rb"PK\x03\x04(?s:.*)(word/|vnd\.oasis)", "a word processor's document", PLAIN),
         (rb"PK(\x03\x04|\x05\x06)", "a zip archive", UNPACK),
         (rb"\s*<(?i:!doctype|\?xml|html|head|body|!--)", "a web page (HTML or XML)", ITSELF))
MARKS = ((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"),
         (codecs.BOM_UTF16_BE, "UTF-16"))


class SourceError(ValueError):
    """A file that is no Python source; the sentence names the file, what it is, and what to do."""


def python_text(data: bytes, file: str) -> str:
    """The text of the Python file `file` from its bytes, with "\\n" at the end of each line.

    The encoding is UTF-8 or what a comment in line 1 or 2 declares, which then says utf-8, as the text is kept so from here on.
    SourceError for what Python would not read, and for files of other kinds.
    """
    other = other_kind(data[:HEAD], file)
    if other:
        raise SourceError(other)
    if not data.removeprefix(codecs.BOM_UTF8).strip():
        raise SourceError(f"{line(file)} is empty. Write your functions into it.")
    if b"\0" in data:
        raise SourceError(f"{line(file)} is no text: byte {data.index(0):,} is NUL. Hand in a Python file, saved as UTF-8.")
    text = _decoded(data, line(file))
    if text.lstrip()[:1] in ("{", "["):
        _refuse_json(text, file)
    return text


def lines(text: str) -> list[str]:
    """The lines of `text` as Python counts them, without their ends: a form feed ends none."""
    return text.removesuffix("\n").split("\n")


def other_kind(head: bytes, file: str) -> str:
    """A sentence where a file that begins with `head` (up to `HEAD` bytes) is no Python source by its kind, otherwise empty."""
    start = head.removeprefix(codecs.BOM_UTF8)
    match = NOTEBOOK.match(start)
    if file.lower().endswith(".ipynb") or (match and (match[1] != b"metadata" or any(key.encode() in head for key in KEYS))):
        return _notebook(file)
    for begin, what, remedy in KINDS:
        if re.match(begin, start):
            return f"{line(file)} is {what}, not Python code. {remedy}"
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return f"{line(file)} is {encoding}, not UTF-8 text. Save it as UTF-8."
    if 2 * max(head[::2].count(0), head[1::2].count(0)) > len(head) // 2 > 0:  # every other byte is 0
        return f"{line(file)} is UTF-16, not UTF-8 text. Save it as UTF-8."
    return ""


def _notebook(file: str) -> str:
    return (f"{line(file)} is a notebook, which is not graded. Export it as a Python file (in Jupyter: File, Save and Export "
            "Notebook As, Executable Script) and hand in the .py file.")


def _refuse_json(text: str, file: str) -> None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(found, dict) and any(key in found for key in KEYS):
        raise SourceError(_notebook(file))
    raise SourceError(f"{line(file)} holds JSON data, not Python code. Hand in the Python file itself.")


def _decoded(data: bytes, shown: str) -> str:
    """`data` as text by the encoding that it declares. Python looks for that in the bytes, whatever else is in these lines."""
    marked = data.startswith(codecs.BOM_UTF8)
    data = data.removeprefix(codecs.BOM_UTF8)
    at, declared = _cookie([part.decode("latin-1") for part in re.split(rb"\r\n|\r|\n", data, maxsplit=2)])
    encoding, says = "utf-8", f"{shown} declares the encoding {line(declared, 40)}"
    remedy = "Save the file as UTF-8, and remove that comment."
    if declared:
        try:
            encoding = tokenize.detect_encoding(io.BytesIO(f"# coding: {declared}".encode()).readline)[0]
        except SyntaxError as fault:
            raise SourceError(f"{says}, which Python does not know. {remedy}") from fault
        if marked and encoding != "utf-8":
            raise SourceError(f"{says} in a comment, but begins with the mark of UTF-8. {remedy}")
    try:
        if codecs.lookup(encoding).name in NO_PROGRAMS:
            raise LookupError
        text = data.decode(encoding)
    except LookupError as fault:
        raise SourceError(f"{says}, in which no program is written. {remedy}") from fault
    except UnicodeError as fault:
        byte = getattr(fault, "start", 0) + len(codecs.BOM_UTF8) * marked
        raise SourceError(f"{says}, but byte {byte:,} is not in it. {remedy}" if declared else
                          f"{shown} is not UTF-8 text (byte {byte:,}). Save it as UTF-8.") from fault
    told = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if declared:
        told[at] = COOKIE.sub(r"\1utf-8", told[at], count=1)
    return "\n".join(told)


def _cookie(first: list[str]) -> tuple[int, str]:
    """The index of the line that declares an encoding, and which, or "". Line 2 may declare one below a comment or nothing."""
    for at, text in enumerate(first[:2]):
        found = COOKIE.match(text)
        if found:
            return at, found[2]
        if not BLANK.match(text):
            break
    return 0, ""
