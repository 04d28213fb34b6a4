"""Where the files of a data set are looked for, and where a download goes."""

import contextlib
import os
from pathlib import Path

from isbe_np.datasets.catalogue import ENTRIES, File, Records
from isbe_np.storage.folders import cache_root, user_path


def roots(data_dir: str | os.PathLike | None = None) -> list[Path]:
    """Data folders in the order they are looked in: `data_dir`, ``ISBE_DATA_DIR``, ``data`` in the user's cache folder.

    Each may hold the files directly, or in a folder of the data set's name or of that in its official archive.
    """
    named = {"data_dir": data_dir, "ISBE_DATA_DIR": os.environ.get("ISBE_DATA_DIR") or None}
    found = [user_path(who, folder, "folder") for who, folder in named.items() if folder is not None]
    try:
        return [*found, cache_root() / "data"]
    except RuntimeError:  # without a home folder
        if found:
            return found
        raise


def home(name: str, data_dir: str | os.PathLike | None = None) -> Path:
    """The folder a download of `name` goes to: one of its name in the first of `roots`."""
    return roots(data_dir)[0] / name


def copy_of(file: File | Records, folder: Path) -> Path | None:
    """The file in `folder`, as .gz if there is one or else uncompressed; None if there is neither."""
    return next((folder / form for form in file.forms if os.path.isfile(folder / form)), None)


def candidates(name: str, data_dir: str | os.PathLike | None = None) -> list[Path]:
    """The folders in which the files of `name` may be, in order; a root that holds another set's files is left out."""
    return [folder for root in roots(data_dir) for folder in within(root, name)]


def within(root: Path, name: str) -> list[Path]:
    """The folders in `root` in which the files of `name` may be, in order; at last `root` itself."""
    folders, archive = [root / name], ENTRIES[name].archive
    if archive is not None:
        folders += [root / archive.folder, root / name / archive.folder]
    return folders + ([root] if _owner(root, name) in (name, None) else [])


def find(name: str, data_dir: str | os.PathLike | None = None) -> Path | None:
    """The first folder that holds all files of `name`, or None. Their contents are not verified here."""
    return next((folder for folder in candidates(name, data_dir) if not absent(name, folder)), None)


def absent(name: str, folder: Path) -> list[str]:
    """The files of `name`, as published, that `folder` has neither compressed nor plain."""
    return [file.forms[0] for file in ENTRIES[name].files if copy_of(file, folder) is None]


def fullest(name: str, data_dir: str | os.PathLike | None = None) -> Path:
    """The first of the folders that hold the most files of `name`."""
    return min(candidates(name, data_dir), key=lambda folder: len(absent(name, folder)))


def _owner(folder, name):
    """The set whose last file is in this folder, of those that call it as `name` does, or None.

    All sets of IDX files have the same names. Where nobody else has a set's names, nothing is read.
    """
    rivals = {other: entry.files[-1] for other, entry in ENTRIES.items()
              if entry.files[-1].name == ENTRIES[name].files[-1].name}
    for other, labels in rivals.items() if len(rivals) > 1 else ():
        path = copy_of(labels, folder)
        with contextlib.suppress(OSError, ValueError):
            if path is not None:
                labels.read(path)
                return other
    return None


def missing(name: str, data_dir: str | os.PathLike | None = None) -> FileNotFoundError:
    """The error that says which files of `name` are missing, where they were looked for, and what to do."""
    folders = candidates(name, data_dir)
    return FileNotFoundError(
        f"The files of {name} were not found: no {', no '.join(absent(name, fullest(name, data_dir)))}; looked in "
        f"{', '.join(map(str, folders))}. Run `isbe data fetch {name}` to download them, or name the folder that holds "
        "them by --data-dir, by data_dir= or by the environment variable ISBE_DATA_DIR.")
