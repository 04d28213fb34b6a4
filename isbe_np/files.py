"""Files written whole or not at all, and the error of a file that is not what it should be."""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

PART = ".part"  # how the names of files end that are being written


class DamagedFile(ValueError):
    """What is wrong with a file: its message is one sentence; `expected` and `got` are the texts in it."""

    def __init__(self, path, field: str, expected: str, got: str, remedy: str):
        super().__init__(f"{path}: {field}: expected {expected}; got {got}. {remedy}")
        self.expected, self.got = expected, got


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


@contextlib.contextmanager
def replacing(path: str | os.PathLike, previous: str | os.PathLike | None = None) -> Iterator[IO[bytes]]:
    """A new file to write and read, which takes the place of `path` when the block ends, whole and on the disk.

    `path` never holds a part of it, whenever the process or the machine stops; after an error in the block it is as it was,
    and the new file is gone. The file that was there is kept as `previous`, in the same folder, where that is given.
    """
    path = Path(path).resolve()  # a link stays, what it points to is replaced
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=PART)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        if previous is not None and path.exists():
            _keep(path, path.with_name(Path(previous).name))
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync(path.parent)


def _keep(path: Path, previous: Path) -> None:
    """Give the file at `path` the name `previous` as well, so that there is a file at `path` at every moment."""
    link = previous.with_name(f".{previous.name[:40]}.{secrets.token_hex(4)}{PART}")
    try:
        os.link(path, link)
        os.replace(link, previous)
    except OSError:
        # File systems without links: for a moment there is `previous` alone.
        with contextlib.suppress(FileNotFoundError):
            link.unlink()
        os.replace(path, previous)


def _sync(folder: Path) -> None:
    """Have the folder's names on the disk too; only POSIX can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` to `path`, which never holds a part of it: a new file takes the place of the old one."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def write_json(path: str | os.PathLike, result: dict) -> None:
    """Write `result` to `path` whole or not at all; a number that is not finite is written as its name in quotes."""
    write_text(path, json.dumps(_plain(result), indent=1, allow_nan=False) + "\n")


def _umask() -> int:
    """What new files may not be; there is no way to ask but to set it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
