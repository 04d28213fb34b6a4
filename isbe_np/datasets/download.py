"""One file from one of several web servers, none of which is trusted: to be right, it must have a known SHA-256.

A server may be away, silent, slow, break off, send other bytes or never stop. Each is given so much time (see `web`) and so
many bytes, then the next has its turn, and goes on where the one before broke off.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from isbe_np.datasets.web import BLOCK, Refused, answer
from isbe_np.storage.files import PART, replacing

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

ROUNDS = 3  # how often each mirror has its turn
PAUSE = 1.0  # seconds before the second round, doubled before each further one
AGAIN = (408, 425, 429)  # besides those from 500 on, the answers that may be others a little later


class NotFetched(OSError):
    """What could not be had, why, and what to do."""


def download(name: str, sha256: str, mirrors: Sequence[str], folder: Path, most: int) -> Path:
    """Put what `fetched` yields in `folder` as `name`, whole and on the disk or not at all, and return its path."""
    path = folder / name
    # A copy, not the part renamed: another process may have the part open, and would write to what has its name by then.
    with fetched(name, sha256, mirrors, folder, most) as part, replacing(path, follow=False) as target:
        shutil.copyfileobj(part, target, BLOCK)
    return path


@contextlib.contextmanager
def fetched(name: str, sha256: str, mirrors: Sequence[str], folder: Path, most: int) -> Iterator[IO[bytes]]:
    """The file `name`, open to be read, from the first of `mirrors` that gives it with the right SHA-256; gone afterwards.

    After an error what has come of it stays in `folder`, which must exist, as a .part, with which the next call goes on.
    A NotFetched tells what each mirror answered, and how to get the file by hand; an OSError comes from the disk. Of no
    server more than `most` bytes are taken.
    """
    with _part(folder / (name + PART)) as part:
        if part.seek(0, os.SEEK_END) > most:
            part.truncate(0)
        if not is_right(part, sha256):
            _ask_all([mirror + name for mirror in mirrors], part, sha256, most, folder)
        part.seek(0)
        yield part


def _ask_all(urls, part, sha256, most, folder):
    reasons: dict[str, str] = {}
    failed = ""
    left = list(urls)
    for turn in range(ROUNDS):
        if turn and left:
            time.sleep(PAUSE * 2 ** (turn - 1))
        for url in left.copy():
            if failed:
                logger.warning("%s; trying %s", failed, url)
            try:
                _bring(url, part, sha256, most)
                logger.info("%s has the right SHA-256", url)
                return
            except Refused as fault:
                reasons[url] = str(fault).rstrip(".")
                failed = f"{url} failed: {reasons[url]}"
                if fault.final:
                    left.remove(url)
    name = urls[0].rpartition("/")[2]
    raise NotFetched(f"fetch could not get {name} ({'; '.join(f'{url}: {why}' for url, why in reasons.items())}). Get the "
                     f"file by hand from one of these addresses and put it in {folder}; its SHA-256 must be {sha256}.")


def _bring(url, part, sha256, most):
    """Have `url` send what `part` lacks. A part that comes to a wrong end is thrown away, and asked for once more, whole."""
    start = part.seek(0, os.SEEK_END)
    logger.info("trying %s%s", url, f" from byte {start:,} on" if start else "")
    broken = None
    try:
        _receive(url, part, start, most)
    except Refused as fault:
        broken = fault
    if is_right(part, sha256):
        return
    if broken is not None:
        raise broken
    part.truncate(part.seek(0))
    if not start:
        raise Refused("sent another file, by its SHA-256", final=True)
    _bring(url, part, sha256, most)


def _receive(url, part, start, most):
    """Append what `url` sends from byte `start` on; if it sends the file from its beginning, that takes the place of all."""
    with contextlib.closing(answer(url, start)) as blocks:
        status, reason, headers = next(blocks)
        goes_on = status == 206 and headers.get("Content-Range", "").startswith(f"bytes {start}-")
        if start and status in (206, 416) and not goes_on:
            return  # it has no such bytes: what is there is not the beginning of its file
        if status != 200 and not (start and goes_on):
            raise Refused(f"answered {status} {reason}", final=status < 500 and status not in AGAIN)
        size = start if goes_on else 0
        length = headers.get("Content-Length", "")
        end = size + int(length) if re.fullmatch(r"[0-9]{1,15}", length) else None
        if end is not None and end > most:
            raise Refused(f"would send {end:,} bytes, more than the {most:,} the file can have", final=True)
        part.truncate(part.seek(size))
        for block in blocks:
            size += len(block)
            if size > most:
                part.truncate(part.seek(0))
                raise Refused(f"sent more than the {most:,} bytes the file can have", final=True)
            part.write(block)
        if end is not None and size < end:
            raise Refused(f"broke off after {size:,} of {end:,} bytes")


def is_right(file: Any, sha256: str) -> bool:
    """Whether all of `file`, open to be read in bytes, has this SHA-256."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest() == sha256


@contextlib.contextmanager
def _part(path: Path) -> Iterator[IO[bytes]]:
    """What has come of a file so far: stays at `path` after an error, if there is anything in it.

    While another process is at it, and where files cannot be locked, it is a nameless file that never stays.
    """
    file = _claimed(path)
    if file is None:
        with tempfile.TemporaryFile(dir=path.parent) as nameless:
            yield nameless
        return
    with file:
        try:
            yield file
        except BaseException:
            if not file.seek(0, os.SEEK_END):
                path.unlink(missing_ok=True)
            raise
        path.unlink(missing_ok=True)


def _claimed(path):
    """The file at `path`, made if it is not there, as long as no other process has it; None if that cannot be."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:  # by another name it may be somebody's data
            raise OSError("no regular file, or one of several names")
        # Gone with the process, however it ends. Should the file lose its name meanwhile, that does no harm.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "r+b")
