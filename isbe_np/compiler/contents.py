"""What the cache of compiled kernels holds, of this version and of others, and clearing it."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from isbe_np.compiler.cache import version_folder
from isbe_np.compiler.entries import KERNEL
from isbe_np.storage.files import PART

VERSION = re.compile(r"[0-9a-f]{16}")  # the name of a version's folder


@dataclass
class Files:
    """How many files, and their bytes."""

    files: int = 0
    bytes: int = 0


@dataclass
class Kept:
    """Compiled kernels of this version and of all others, and what processes that were killed left half-written.

    `folder` holds a folder for each version; it is None where there is no home folder and no ISBE_CACHE_DIR.
    """

    folder: Path | None
    this_version: Files = field(default_factory=Files)
    other_versions: Files = field(default_factory=Files)
    half_written: Files = field(default_factory=Files)

    def sentence(self) -> str:
        """In words, of what was removed."""
        kinds = (self.this_version, self.other_versions, self.half_written)
        kernels, left = self.this_version.files + self.other_versions.files, self.half_written.files
        return (f"{kernels} compiled kernels and {left} half-written files removed from {self.folder}, "
                f"{sum(kind.bytes for kind in kinds) / 1e6:.1f} MB.")

    def _count(self, name: str, size: int, version: Path, current: Path | None) -> None:
        kind = self.half_written if name.endswith(PART) else self.this_version if version == current else self.other_versions
        kind.files += 1
        kind.bytes += size


def kept() -> Kept:
    """What there is now. OSError where a folder may not be read."""
    current, versions = _versions()
    found = Kept(current and current.parent)
    for version in versions:
        for entry in _entries(version):
            with contextlib.suppress(FileNotFoundError):  # another process has just removed it, or given it its name
                found._count(entry.name, entry.stat(follow_symlinks=False).st_size, version, current)
    return found


def clear() -> Kept:
    """Remove the compiled kernels of all versions and what is half-written, then empty folders; return what was removed.

    Nothing else is touched: no data set, no link, no file of another name. Other processes may run meanwhile: what they miss
    they compile again. OSError where something may not be removed, once all that may be is.
    """
    current, versions = _versions()
    removed, faults = Kept(current and current.parent), []
    for version in versions:
        try:
            entries = _entries(version)
        except OSError as fault:
            faults.append(fault)
            continue
        for entry in entries:
            try:
                size = entry.stat(follow_symlinks=False).st_size
                os.unlink(entry.path)
                removed._count(entry.name, size, version, current)
            except FileNotFoundError:
                pass
            except OSError as fault:
                faults.append(fault)
        with contextlib.suppress(OSError):
            version.rmdir()
    if removed.folder is not None:
        with contextlib.suppress(OSError):
            removed.folder.rmdir()
    if faults:
        others = f" nor {len(faults) - 1} more" if len(faults) > 1 else ""
        raise OSError(f"cache clear expects folders that it may write; {faults[0].filename} cannot be removed{others} "
                      f"({faults[0].strerror}). {removed.sentence()} Run it as the user who owns the rest.") from faults[0]
    return removed


def _versions() -> tuple[Path | None, list[Path]]:
    """The folder of this version, and those there are of any; links among them, and in place of their folder, are left out."""
    try:
        current = version_folder()
    except RuntimeError:
        return None, []
    if current.parent.is_symlink() or not current.parent.is_dir():
        return current, []
    with os.scandir(current.parent) as entries:
        return current, sorted(current.parent / entry.name for entry in entries
                               if VERSION.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False))


def _entries(version: Path) -> list[os.DirEntry]:
    """The files in it that the cache has written."""
    try:
        with os.scandir(version) as entries:
            return [entry for entry in entries if entry.name.endswith((KERNEL, PART)) and entry.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return []
