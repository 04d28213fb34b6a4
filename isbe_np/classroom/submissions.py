"""What was handed in: one file, or a folder of files and of students' folders; read with care, as anyone could have put it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from isbe_np.classroom.safe import file_name, line
from isbe_np.classroom.source import HEAD, SourceError, other_kind, python_text

LARGEST = 256 * 1024  # bytes of a submission
NOTEBOOK = ".ipynb"


@dataclass(frozen=True)
class Submission:
    """A student's name, a name for files made from it, where it lies, and its source or the reason why there is none."""

    student: str
    key: str
    path: Path
    source: str = ""
    fault: str = ""


def collect(place: Path, name: str, single: bool = False) -> list[Submission]:
    """The submissions of assignment `name` in `place`, by student; never one twice. ValueError where there is none.

    A file is one submission, and so is a folder whose one Python file but tests is ``NAME.py``. Any other folder holds one for
    each of its Python files, called as the student, and one for each of its folders, called so, with ``NAME.py`` or a single
    Python file in it. A notebook without a Python file of its name gets a sentence that says what to hand in. Hidden files and
    files of other kinds are passed over. Symbolic links are never followed: they could lead to anyone's work. `single`: all
    that is there is one student's.
    """
    place = Path(place)
    try:
        kind = os.lstat(place).st_mode
    except OSError as fault:
        raise ValueError(f"grade expects a file or folder of submissions; {place} cannot be read ({fault.strerror}). "
                         "Name another.") from fault
    if not stat.S_ISDIR(kind):
        return [_read(_student(place), place, set())]
    others = [path for path in place.glob("*.py") if path.name not in (f"{name}.py", f"test_{name}.py")]
    if single or (os.path.lexists(place / f"{name}.py") and not others):
        return [_in_folder(place.resolve(), name, set())]
    taken: set[str] = set()
    found = []
    for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            found.append(_in_folder(path, name, taken))
        elif entry.name.endswith(".py") or _lone_notebook(path):
            found.append(_read(_student(path), path, taken))
        elif entry.is_symlink() and path.is_dir():
            found.append(_without(entry.name, path, taken, _refused(path, "a symbolic link")))
    if not found:
        raise ValueError(f"grade expects Python files, or students' folders with {name}.py in each; {place} holds none. Name "
                         "another.")
    return found


def _student(path: Path) -> str:
    return path.name.removesuffix(".py").removesuffix(NOTEBOOK)


def _lone_notebook(path: Path) -> bool:
    """Whether it is a notebook that was not exported as a Python file beside it."""
    return path.name.endswith(NOTEBOOK) and not os.path.lexists(path.with_suffix(".py"))


def _shown(student: str) -> str:
    """A student's name as it is shown, never empty."""
    return line(student) or "(no name)"


def _key(student: str, taken: set[str]) -> str:
    """A file name for the student that no other has, also where upper and lower case count as one."""
    key, number = file_name(student), 2
    while key.casefold() in taken:
        key, number = f"{file_name(student)}_{number}", number + 1
    taken.add(key.casefold())
    return key


def _in_folder(folder: Path, name: str, taken: set[str]) -> Submission:
    named = folder / f"{name}.py"
    if os.path.lexists(named):
        return _read(folder.name, named, taken)
    try:
        files = sorted(path for path in folder.glob("*.py") if not path.name.startswith((".", "test_")))
        notebooks = sorted(path for path in folder.glob(f"*{NOTEBOOK}") if not path.name.startswith("."))
    except OSError as fault:
        return _without(folder.name, folder, taken, f"The folder cannot be read ({fault.strerror}).")
    if not files and notebooks:
        return _read(folder.name, notebooks[0], taken)
    if len(files) != 1:
        what = "no Python file" if not files else f"{len(files)} Python files"
        return _without(folder.name, folder, taken, f"The folder holds {what} and no {name}.py. Hand in {name}.py.")
    return _read(folder.name, files[0], taken)


def _without(student: str, path: Path, taken: set[str], fault: str) -> Submission:
    return Submission(_shown(student), _key(student, taken), path, fault=fault)


def _refused(path: Path, what: str) -> str:
    return f"{line(path.name)} is {what}, which is not followed. Hand in the file itself."


def _read(student: str, path: Path, taken: set[str]) -> Submission:
    key = _key(student, taken)

    def refuse(fault: str) -> Submission:
        return Submission(_shown(student), key, path, fault=fault)

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as fault:
        if path.is_symlink():
            return refuse(_refused(path, "a symbolic link"))
        return refuse(f"{line(path.name)} cannot be read ({fault.strerror}).")
    kind = os.fstat(descriptor)
    if not stat.S_ISREG(kind.st_mode):
        os.close(descriptor)
        return refuse(f"{line(path.name)} is no ordinary file. Hand in a Python file.")
    with os.fdopen(descriptor, "rb") as file:
        if kind.st_size > LARGEST:
            large = f"{line(path.name)} has {kind.st_size:,} bytes; at most {LARGEST:,} are read. Hand in code alone."
            return refuse(other_kind(file.read(HEAD), path.name) or large)
        data = file.read(LARGEST)
    try:
        return Submission(_shown(student), key, path, python_text(data, path.name))
    except SourceError as fault:
        return refuse(str(fault))
