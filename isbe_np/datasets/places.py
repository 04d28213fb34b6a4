"""Where the files of a data set are looked for, and where a download goes."""

import contextlib
import os
from pathlib import Path

from isbe_np.datasets.catalogue import ENTRIES, File
from isbe_np.folders import cache_root


def roots(data_dir: str | os.PathLike | None = None) -> list[Path]:
    """Data folders in the order they are looked in: `data_dir`, ``ISBE_DATA_DIR``, ``data`` in the user's cache folder.

    Each may hold the files directly or in a folder of the data set's name.
    """
    named = [data_dir, os.environ.get("ISBE_DATA_DIR") or None]
    return [Path(folder).expanduser() for folder in named if folder is not None] + [cache_root() / "data"]


def home(name: str, data_dir: str | os.PathLike | None = None) -> Path:
    """The folder a download of `name` goes to: one of its name in the first of `roots`."""
    return roots(data_dir)[0] / name


def copy_of(file: File, folder: Path) -> Path | None:
    """The file in `folder`, as .gz if there is one or else uncompressed; None if there is neither."""
    both = (folder / (file.name + ".gz"), folder / file.name)
    return next((path for path in both if path.is_file()), None)


def candidates(name: str, data_dir: str | os.PathLike | None = None) -> list[Path]:
    """The folders in which the files of `name` may be, in order; a root that holds another set's files is left out."""
    folders = []
    for root in roots(data_dir):
        folders.append(root / name)
        if _owner(root) in (name, None):
            folders.append(root)
    return folders


def find(name: str, data_dir: str | os.PathLike | None = None) -> Path | None:
    """The first folder that holds all four files of `name`, or None. Their contents are not verified here."""
    return next((folder for folder in candidates(name, data_dir) if not absent(name, folder)), None)


def absent(name: str, folder: Path) -> list[str]:
    """The files of `name` that `folder` has neither compressed nor plain."""
    return [file.name + ".gz" for file in ENTRIES[name].files if copy_of(file, folder) is None]


def fullest(name: str, data_dir: str | os.PathLike | None = None) -> Path:
    """The first of the folders that hold the most files of `name`."""
    return min(candidates(name, data_dir), key=lambda folder: len(absent(name, folder)))


def _owner(folder):
    """The set whose test labels are in this folder (all sets give their files the same names), or None."""
    for name, entry in ENTRIES.items():
        labels = copy_of(entry.files[3], folder)
        with contextlib.suppress(OSError, ValueError):
            if labels is not None:
                entry.files[3].read(labels)
                return name
    return None


def missing(name: str, data_dir: str | os.PathLike | None = None) -> FileNotFoundError:
    """The error that says which files of `name` are missing, where they were looked for, and what to do."""
    folders = candidates(name, data_dir)
    return FileNotFoundError(
        f"The files of {name} were not found: no {', no '.join(absent(name, fullest(name, data_dir)))}; looked in "
        f"{', '.join(map(str, folders))}. Run `isbe data fetch {name}` to download them, or name the folder that holds "
        "them by --data-dir, by data_dir= or by the environment variable ISBE_DATA_DIR.")
