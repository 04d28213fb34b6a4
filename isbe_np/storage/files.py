"""Files that are replaced in one step, JSON read with care, and the error of a file that is not what it should be."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

LONGEST = 1000  # letters of a message
PART = ".part"  # how the names of files end that are being written
DEEPEST = 200  # lists and objects within each other that are read
KINDS = ((stat.S_ISLNK, "a link"), (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))


class DamagedFile(ValueError):
    """What is wrong with a file: its message is one sentence; `expected` and `got` are the texts in it."""

    def __init__(self, path, field: str, expected: str, got: str, remedy: str):
        super().__init__(one_line(f"{path}: {field}: expected {expected}; got {got}. {remedy}"))
        self.expected, self.got = expected, got


class Misfit(ValueError):
    """A file that is right, and not what it is to be used for."""

    def __init__(self, text: str):
        super().__init__(one_line(text))


def one_line(text: str) -> str:
    """`text` in one line of at most some 1,000 letters, in which line ends and what steers a terminal are escaped.

    Whatever shows text out of a file, be it an error, a table or a log, shows it by this.
    """
    if len(text) > LONGEST:
        text = f"{text[:LONGEST // 2]} ... {text[-LONGEST // 2:]}"
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def odd(path: str | os.PathLike) -> str | None:
    """What is at `path` that is no plain file: "a link", "a folder", "a pipe", "a socket" or "a device"; otherwise None."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:  # nothing is there, or whoever opens it will say what is wrong
        return None
    return None if stat.S_ISREG(mode) else next((kind for test, kind in KINDS if test(mode)), "a device")


@contextlib.contextmanager
def opened(path: str | os.PathLike, remedy: str) -> Iterator[IO[bytes]]:
    """The plain file at `path`, open for reading; a pipe, for which one would wait, or a device without end is a DamagedFile.

    An OSError says in a sentence, which ends in `remedy`, what cannot be read.
    """
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise DamagedFile(path, "kind", "a plain file", "a pipe or a device", remedy)
            yield file
    except OSError as fault:
        raise type(fault)(f"{path} cannot be read: {fault.strerror or fault}. {remedy}") from fault


def json_of(data: bytes | str) -> Any:
    """The JSON in `data`; ValueError for what is none, holds a name twice in an object, or is nested too deep."""
    deep = ValueError(f"more than {DEEPEST} lists and objects lie within each other")
    try:
        found = json.loads(data, object_pairs_hook=_once)
    except RecursionError:
        raise deep from None
    level = [found]
    for _ in range(DEEPEST + 1):
        level = [item for value in level for item in
                 (value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())]
        if not level:
            return found
    raise deep


def _once(pairs: list[tuple[str, Any]]) -> dict:
    """A JSON object, unless a name stands twice in it."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


@contextlib.contextmanager
def replacing(path: str | os.PathLike, previous: str | os.PathLike | None = None, follow: bool = True) -> Iterator[IO[bytes]]:
    """A new file to write and read, which takes the place of `path` when the block ends, whole and on the disk.

    `path` never holds a part of it, whenever the process or the machine stops; after an error in the block it is as it was,
    and the new file is gone. The file that was there is kept as `previous`, in the same folder, where that is given.

    follow : where `path` is a link, the link stays and the file that it leads to is replaced, as for a path that the user
        named. False is for names that isbe_np chose: the link is replaced, and the file that it leads to stays as it is.

    OSError where a folder, a pipe, a socket or a device is in the place of the file.
    """
    path = Path(os.path.realpath(path)) if follow else Path(os.path.realpath(Path(path).parent), Path(path).name)
    kind = odd(path)
    linked = kind == "a link" and not follow
    if kind is not None and not linked:
        number = errno.EISDIR if kind == "a folder" else errno.EINVAL
        raise OSError(number, f"{kind.capitalize()} is in the place of the file", str(path))
    part = _part_of(path)
    try:
        made = open(part, "x+b")
    except OSError as fault:  # it is told by the name that the caller knows
        raise type(fault)(fault.errno, fault.strerror, str(path)) from None
    try:
        with made as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if previous is not None and path.exists() and not linked:
            _keep(path, path.with_name(Path(previous).name))
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _part_of(path: Path) -> Path:
    """A name beside `path` that nobody else has, also not on another machine that shares the folder."""
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}{PART}")


def _keep(path: Path, previous: Path) -> None:
    """Give the file at `path` the name `previous` as well, so that there is a file at `path` at every moment."""
    link = _part_of(previous)
    try:
        os.link(path, link)
        os.replace(link, previous)
    except OSError:
        # File systems without links: for a moment there is `previous` alone.
        os.replace(path, previous)
    finally:
        link.unlink(missing_ok=True)  # it is still there where `previous` was the same file already


def _sync(folder: Path) -> None:
    """Have the folder's names on the disk too, where that can be: the file is in its place already."""
    if os.name == "posix":
        with contextlib.suppress(OSError):  # a folder that may not be read; some network file systems
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def write_text(path: str | os.PathLike, text: str, follow: bool = False) -> None:
    """Write `text` to `path`, which never holds a part of it: a new file takes the place of the old one.

    `path` is taken for a name that isbe_np chose, unless `follow` says that the user did; see `replacing`.
    """
    with replacing(path, follow=follow) as file:
        file.write(text.encode("utf-8"))


def write_json(path: str | os.PathLike, result: dict, follow: bool = True) -> None:
    """Write `result` to `path` whole or not at all; a number that is not finite is written as its name in quotes."""
    write_text(path, json.dumps(_plain(result), indent=1, allow_nan=False) + "\n", follow)


def write_figure(path: str | os.PathLike, figure: Any) -> None:
    """Write a Matplotlib figure as PNG to `path`, a name that isbe_np chose. No partial file is left."""
    with replacing(path, follow=False) as file:
        figure.savefig(file, format="png", dpi=150)


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
