"""A lock on a folder, which the system takes back when its process ends, however it ends."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

logger = logging.getLogger(__name__)


class Lock:
    """Holds the file `path`, which stays there, from its making until `release`. BlockingIOError if somebody else holds it."""

    def __init__(self, path: Path):
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(self._descriptor)
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, f"{os.getpid()}\n".encode())
        except BlockingIOError:
            holder = b""
            with contextlib.suppress(OSError):
                holder = os.read(self._descriptor, 20).strip()
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
