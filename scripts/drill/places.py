"""What may lie where a file should be, and is no plain file, or is one elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def folder(path: Path, data: bytes) -> None:
    path.mkdir()
    (path / "checkpoint.npz").write_bytes(data)


def pipe(path: Path, data: bytes) -> None:
    os.mkfifo(path)


def zeros(path: Path, data: bytes) -> None:
    """A device without end."""
    path.symlink_to("/dev/zero")


def nothing(path: Path, data: bytes) -> None:
    """An empty device."""
    path.symlink_to("/dev/null")


def terminal(path: Path, data: bytes) -> None:
    path.symlink_to("/dev/tty")


def loop(path: Path, data: bytes) -> None:
    """A link to itself."""
    path.symlink_to(path)


def dangling(path: Path, data: bytes) -> None:
    """A link to what is not there."""
    path.symlink_to(path.with_name("away"))


def link(path: Path, data: bytes) -> None:
    """A link to a right file."""
    path.with_name("elsewhere").write_bytes(data)
    path.symlink_to("elsewhere")


def sparse(path: Path, data: bytes) -> None:
    """Terabytes of nothing."""
    with open(path, "wb") as file:
        file.truncate(2**40)


def twice_linked(path: Path, data: bytes) -> None:
    """A right file that has a second name."""
    path.write_bytes(data)
    os.link(path, path.with_name("second"))


PLACES: dict[str, Callable[[Path, bytes], None]] = {f.__name__: f for f in (
    folder, pipe, zeros, nothing, terminal, loop, dangling, link, sparse, twice_linked)}
