"""Downloading on request, and what is on this machine already."""

import contextlib
import os
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

from isbe_np import checks
from isbe_np.datasets import catalogue, idx, places

TIMEOUT = 30  # seconds without an answer before the next mirror is tried


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
    except idx.DamagedFile as fault:
        hint = f" {catalogue.WAIVER}" if isinstance(fault, idx.OtherContent) else ""
        return FileReport(path, True, False, fault.expected, fault.got, f"{fault}{hint}")
    what = "its content has" if file.content else "it has"
    return FileReport(path, True, True, right, right, f"{path} is right: {what} the SHA-256 {right}.")


def fetch(name: str, data_dir: str | os.PathLike | None = None) -> list[Path]:
    """Download the files of `name` to `<data_dir>/<name>` and return their paths; [] for digits, which need no files.

    Without `data_dir` they go to a folder of that name in ``ISBE_DATA_DIR`` or else in the user's cache folder. A file
    that is there and right is left alone, one that is wrong is replaced. The mirrors are tried in order; a file gets its
    name only once its SHA-256 is right. An archive is downloaded, unpacked and deleted; one that is there already is used.
    An ImportError says how to get pooch, an OSError how to put the files there by hand.
    """
    name = checks.nearest("fetch", name, catalogue.NAMES)
    if name == "digits":
        return []
    try:
        import pooch
    except ImportError as fault:
        raise ImportError('fetch needs pooch to download. Run `pip install "isbe_np[data]"`.') from fault
    entry = catalogue.ENTRIES[name]
    folder = places.home(name, data_dir)
    for place in places.within(folder.parent, name):
        there = [_kept(file, place) for file in entry.files]
        if all(there):
            return there
    with _quiet(pooch.get_logger()):
        if entry.archive is not None:
            archive = _download(pooch, entry.archive.name, entry.archive.sha256, entry.mirrors, folder)
            return _unpacked(archive, entry, folder)
        return [_kept(file, folder) or _download(pooch, file.forms[0], file.gz, entry.mirrors, folder)
                for file in entry.files if isinstance(file, catalogue.File)]


def _kept(file, folder):
    report = _report(file, folder, "")
    return report.path if report.ok else None


def _download(pooch, name, sha256, mirrors, folder):
    failures = []
    for mirror in mirrors:
        url = mirror + name
        try:
            return Path(pooch.retrieve(url, f"sha256:{sha256}", fname=name, path=folder,
                                       downloader=pooch.HTTPDownloader(timeout=TIMEOUT)))
        except (OSError, ValueError) as fault:
            failures.append(f"{url}: {str(fault).rstrip('.')}")
    raise OSError(f"fetch could not get {name} ({'; '.join(failures)}). Get the file by hand from one of these "
                  f"addresses and put it in {folder}; its SHA-256 must be {sha256}.")


def _unpacked(archive, entry, folder):
    """The files of `entry`, taken out of the archive by their names, each under a name of its own until it is right."""
    paths = []
    try:
        with tarfile.open(archive) as tar:
            for file in entry.files:
                path, part = folder / file.name, folder / (file.name + ".part")
                try:
                    with tar.extractfile(f"{entry.archive.folder}/{file.name}") as source, open(part, "wb") as target:
                        shutil.copyfileobj(source, target)
                    file.read(part, "")
                    os.replace(part, path)
                finally:
                    part.unlink(missing_ok=True)
                paths.append(path)
    except (tarfile.TarError, EOFError, zlib.error, KeyError, ValueError) as fault:
        raise OSError(f"fetch could not unpack {archive}: {fault}. Unpack it by hand there, or delete it and try again."
                      ) from fault
    archive.unlink()
    return paths


@contextlib.contextmanager
def _quiet(logger):
    """Pooch reports each download on standard error; that is left to whoever called."""
    before = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(before)
