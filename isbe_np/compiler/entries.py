"""The files of compiled kernels: written whole or not at all, and read only if nobody slipped them in.

To load a kernel is to run what is in its file. On POSIX a file is therefore read only if it belongs to this user, to root or to
the owner of this package, all of whom could change the package itself, and nobody else may write it. The same is asked of its
folder. It begins with a digest of its folder's name, its own name and what follows, so that a file put in another's place is no
kernel either.

This does not defend against programs that run as you, nor against whoever may write the folders above, and could put another
folder of yours in place of this one: keep ``ISBE_CACHE_DIR`` where only you may write. On Windows nobody is asked for: the
cache is in the user's profile, which the system guards.
"""

import contextlib
import hashlib
import os
import secrets
import stat
from pathlib import Path

from isbe_np.storage.files import PART

KERNEL = ".nbc"  # how the names of kernels end
DIGEST = hashlib.sha256().digest_size
NOBODY = 65534  # in a container, the owner of all that belongs to users it does not know


class Untrusted(PermissionError):
    """Somebody may have written it who could not change this package itself."""


def make_folder(folder: Path) -> None:
    """Make it where it is missing, for nobody else to write. Untrusted, or another OSError, where it is not fit for use."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise Untrusted(f"{folder} is a link")
    _refuse_strangers(status, f"the folder {folder}")


def read(path: Path) -> bytes:
    """What was kept under this name. FileNotFoundError where nothing was; another error where it is not to be used."""
    with open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())  # of what was opened, whatever takes its place meanwhile
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no file that holds data")
        _refuse_strangers(status, "it")
        entry = file.read()
    if _digest(path, entry[DIGEST:]) != entry[:DIGEST]:
        raise ValueError("it was not written whole, or changed since")
    return entry[DIGEST:]


def write(path: Path, data: bytes) -> None:
    """Keep `data` under this name, in place of what was there; an OSError leaves nothing behind."""
    make_folder(path.parent)  # it may have been cleared
    # Not the number of the process: containers that share a folder have the same ones. Nothing waits for the disk: what a
    # machine that stops leaves half-written is known by its digest.
    part = path.with_suffix(f".{secrets.token_hex(8)}{PART}")
    try:
        with open(part, "xb", opener=_open_for_one) as file:
            file.write(_digest(path, data) + data)
        os.replace(part, path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _owners() -> set[int]:
    """The users who may write what is read."""
    return ({0, Path(__file__).stat().st_uid} - {NOBODY}) | {os.geteuid()}


def _refuse_strangers(status: os.stat_result, what: str) -> None:
    if not hasattr(os, "geteuid"):
        return
    if status.st_uid not in _owners():
        raise Untrusted(f"{what} belongs to user {status.st_uid}, who is neither you nor the owner of isbe_np")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Untrusted(f"{what} may be written by others than its owner")


def _digest(path: Path, data: bytes) -> bytes:
    return hashlib.sha256(f"{path.parent.name}/{path.name}\0".encode() + data).digest()


def _open_at_once(path: str, flags: int) -> int:
    """Follow no link, and wait for nobody, as a pipe would have one do."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _open_for_one(path: str, flags: int) -> int:
    """A file that others may read at most."""
    return os.open(path, flags, 0o644)
