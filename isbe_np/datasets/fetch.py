"""Downloading on request, and what is on this machine already."""

import contextlib
import gzip
import os
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

from isbe_np import checks
from isbe_np.datasets import catalogue, idx, places
from isbe_np.datasets.download import NotFetched, download, fetched, is_right
from isbe_np.storage.files import DamagedFile, replacing


class FileReport(NamedTuple):
    """One file of a data set: where it is or would go, whether it is there and right, and a sentence that says so.

    `expected` and `got` are SHA-256 sums where a sum was compared, or else what the file should be and what it is.
    """

    path: Path
    found: bool
    ok: bool
    expected: str
    got: str
    sentence: str


class Available(NamedTuple):
    """A data set's name, the folder its files were found in (None if they were not), and what it holds."""

    name: str
    found: str | None
    description: str


def available(data_dir: str | os.PathLike | None = None) -> list[Available]:
    """All data sets by name. That files were found does not mean that they are undamaged: see `verify`."""
    rows = [Available("digits", "drawn by isbe_np, no files", "digits drawn from pen strokes, as many as asked for")]
    for name, entry in catalogue.ENTRIES.items():
        folder = places.find(name, data_dir)
        rows.append(Available(name, str(folder) if folder else None, entry.description))
    return rows


def verify(name: str, data_dir: str | os.PathLike | None = None) -> list[FileReport]:
    """A report on each file of `name`, those of the training set, then of the test set; none for digits."""
    name = checks.nearest("verify", name, catalogue.NAMES)
    if name == "digits":
        return []
    folder = places.fullest(name, data_dir)
    return [_report(file, folder, catalogue.remedy(name)) for file in catalogue.ENTRIES[name].files]


def _report(file, folder, remedy):
    right = file.content or file.gz
    path = places.copy_of(file, folder)
    if path is None:
        path = folder / file.forms[0]
        return FileReport(path, False, False, right, "no file", f"{path} is missing.")
    try:
        file.read(path, remedy)
    except OSError as fault:
        return FileReport(path, True, False, right, "an unreadable file", str(fault))
    except DamagedFile as fault:
        hint = f" {catalogue.WAIVER}" if isinstance(fault, idx.OtherContent) else ""
        return FileReport(path, True, False, fault.expected, fault.got, f"{fault}{hint}")
    what = "its content has" if file.content else "it has"
    return FileReport(path, True, True, right, right, f"{path} is right: {what} the SHA-256 {right}.")


def fetch(name: str, data_dir: str | os.PathLike | None = None) -> list[Path]:
    """Download the files of `name` to `<data_dir>/<name>` and return their paths; [] for digits, which need no files.

    Without `data_dir` they go to a folder of that name in ``ISBE_DATA_DIR`` or else in the user's cache folder. A file
    that is there and right is left alone, one that is wrong is replaced. The mirrors are tried in order; a file gets its
    name only once its SHA-256 is right, and a download that broke off goes on where it was. An archive is downloaded,
    unpacked and deleted; one that is there already is used. An OSError says how to put the files there by hand.
    """
    name = checks.nearest("fetch", name, catalogue.NAMES)
    if name == "digits":
        return []
    entry = catalogue.ENTRIES[name]
    folder = places.home(name, data_dir)
    for place in places.within(folder.parent, name):
        there = [_kept(file, place) for file in entry.files]
        if all(there):
            return there
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _one_by_one(name, entry, folder) if entry.archive is None else _out_of_archive(name, entry, folder)
    except NotFetched:
        raise
    except (OSError, RuntimeError) as fault:
        raise NotFetched(f"fetch could not write to {folder}: {getattr(fault, 'strerror', None) or fault}. Mend that, or name "
                         "another folder by --data-dir, by data_dir= or by the environment variable ISBE_DATA_DIR.") from fault


def _kept(file, folder):
    report = _report(file, folder, "")
    return report.path if report.ok else None


def _one_by_one(name, entry, folder):
    try:
        return [_kept(file, folder) or download(file.forms[0], file.gz, entry.mirrors, folder, idx.packed_size(file.size))
                for file in entry.files]
    except NotFetched as fault:
        raise NotFetched(f"{fault} Not there yet: {', '.join(places.absent(name, folder))}.") from fault


def _out_of_archive(name, entry, folder):
    archive, path = entry.archive, folder / entry.archive.name
    most = idx.packed_size(sum(file.size for file in entry.files))
    with contextlib.ExitStack() as stack:
        packed = _by_hand(path, archive.sha256, most, stack)
        if packed is None:
            try:
                packed = stack.enter_context(fetched(archive.name, archive.sha256, entry.mirrors, folder, most))
            except NotFetched as fault:
                raise NotFetched(f"{fault} Then run `isbe data fetch {name}` again, which unpacks it.") from fault
        paths = _unpacked(packed, entry, folder, most)
    if os.path.isfile(path):
        path.unlink(missing_ok=True)
    return paths


def _by_hand(path, sha256, most, stack):
    """The archive that somebody put at `path`, open as long as `stack` is, or None if there is no such thing."""
    with contextlib.suppress(OSError):
        if os.path.isfile(path) and os.path.getsize(path) <= most:
            file = stack.enter_context(open(path, "rb"))
            if is_right(file, sha256):
                file.seek(0)
                return file
    return None


def _unpacked(packed, entry, folder, most):
    """The files of `entry`, taken out of the archive by their names; each gets its own once it is right.

    Of the archive nothing is believed: it may not unpack to more than `most` bytes, and where a file should be, whatever is
    not a regular file of the right length is refused.
    """
    wanted = {f"{entry.archive.folder}/{file.name}": file for file in entry.files}
    paths = {}
    try:
        with gzip.open(packed) as unpacked, tarfile.open(fileobj=idx.Bounded(unpacked, most), mode="r|") as tar:
            for member in tar:
                if member.name in wanted:
                    paths[member.name] = _taken(tar, member, wanted[member.name], folder)
        absent = [name for name in wanted if name not in paths]
        if absent:
            raise ValueError(f"there is no {', no '.join(absent)} in it")
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError) as fault:
        raise NotFetched(f"fetch could not unpack {entry.archive.name} in {folder}: {str(fault).rstrip('. ')}. Delete what is "
                         "there of that name and try again.") from fault
    return [paths[name] for name in wanted]


def _taken(tar, member, file, folder):
    """The path of `file`, a copy of the archive's `member`."""
    if not member.isreg() or member.size != file.size:
        raise ValueError(f"{member.name} in it is no regular file of {file.size:,} bytes")
    path = folder / file.name
    with tar.extractfile(member) as source, replacing(path, follow=False) as target:
        shutil.copyfileobj(source, target)
        if not is_right(target, file.content):
            raise ValueError(f"the SHA-256 of the content of {member.name} in it is not {file.content}")
    return path
