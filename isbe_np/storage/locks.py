"""A lock on a folder, which the system takes back when its process ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
from pathlib import Path

from isbe_np.storage.files import odd

logger = logging.getLogger(__name__)


class Lock:
    """Holds the file `path`, which stays there, from its making until `release`.

    BlockingIOError if somebody else holds it. OSError where no file can be made, or what is there is a link, which could lead
    to any file, or no plain file. A file with a second name is locked and left as it is: it may be somebody's data.
    """

    def __init__(self, path: Path):
        self._descriptor = _opened(path)
        ours = os.fstat(self._descriptor).st_nlink <= 1
        try:
            _lock(self._descriptor)
            if ours:
                os.ftruncate(self._descriptor, 0)
                os.write(self._descriptor, f"{os.getpid()}\n".encode())
        except BlockingIOError:
            holder = b""
            with contextlib.suppress(OSError):
                holder = os.read(self._descriptor, 20).strip() if ours else b""
            os.close(self._descriptor)
            told = f"process {holder.decode('ascii', 'replace')} is using it" if holder else "it is in use"
            raise BlockingIOError(told) from None
        except OSError as fault:
            # Some network file systems know no locks.
            logger.warning("%s cannot be locked (%s): take care that no second process uses its folder.", path, fault.strerror)

    def release(self) -> None:
        """Let others have it."""
        with contextlib.suppress(OSError):
            _unlock(self._descriptor)  # closing would not do while a process that this one forked has it open too
        os.close(self._descriptor)


def _opened(path: Path) -> int:
    """A descriptor of the plain file at `path`, which is made where there is none; it follows no link and waits for no pipe."""
    kind = odd(path)
    if kind is not None:
        raise OSError(errno.EINVAL, f"{kind} is in the place of the lock", str(path))
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags, 0o644)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # it came between the two lines above
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no plain file is in the place of the lock", str(path))
    return descriptor


if os.name == "nt":
    import msvcrt

    def _lock(descriptor: int) -> None:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except PermissionError as fault:
            raise BlockingIOError from fault

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
