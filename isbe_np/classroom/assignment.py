"""What an assignment is: tasks, what their answers must do, and where the files of one lie.

An assignment NAME is a folder with three files: ``NAME.py``, the source with the solution between markers (see `release.py`);
``handout.md``, what the students read; and ``checks.py``, which defines ``ASSIGNMENT``, an `Assignment`. All three are the
instructor's own and are run by the grader; submissions never are.
"""

from __future__ import annotations

import os
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from isbe_np.checks import nearest
from isbe_np.classroom.apart import passes_through
from isbe_np.classroom.readable_paths import MODULES
from isbe_np.classroom.sandbox import Limits
from isbe_np.classroom.source import SourceError, python_text
from isbe_np.storage.folders import user_path

PLACE = Path(__file__).resolve().parents[2] / "tutorials" / "assignments"  # beside the package, in a checkout
ABSENT = (f"This isbe_np is installed without its assignments, which a checkout of the project holds: {PLACE} is not there. "
          "Write a folder of that checkout, such as ./tutorials/assignments/a1, or install the checkout with pip install -e.")
Cases = Callable[[np.random.Generator], Sequence[tuple]]


class AssignmentError(ValueError):
    """An assignment that cannot be used as it is: its instructor must mend it, no student can."""


@dataclass(frozen=True)
class Check:
    """One thing that a task's answer must do, worth `points` when every case is right.

    - ``cases(random)``: the calls to make, each a tuple of arguments (arrays, numbers, `Formula`), from a generator of random
      numbers: public cases from a fixed seed, private ones from a secret;
    - ``hint``: what to think of where it fails;
    - ``tolerance``: an answer is right where |got − expected| ≤ tolerance · max(1, largest |expected|), everywhere;
    - ``same_dtype``: the answer must have the expected dtype too;
    - ``reference``: computes what is expected (default: the solution's function);
    - ``judge(arguments, got)``: judges an answer that has no one right value: None, or a sentence that says what is wrong;
    - ``public``: the students get this check's public cases; without it they only meet it in the grading.
    """

    name: str
    points: float
    cases: Cases
    hint: str
    tolerance: float = 1e-9
    same_dtype: bool = False
    reference: Callable | None = None
    judge: Callable | None = None
    public: bool = True


@dataclass(frozen=True)
class Race:
    """A leaderboard: the median time of a call over `rounds` times the cases, by the grader's clock, where all are right."""

    title: str
    cases: Cases
    rounds: int = 20
    tolerance: float = 1e-9


@dataclass(frozen=True)
class Task:
    """A function to write: its number ("1.2"), name, what it returns (for messages), and the checks of it, in order."""

    number: str
    function: str
    title: str
    checks: Sequence[Check]
    returns: tuple[str, ...] = ("the result",)
    limits: Limits = field(default_factory=Limits)
    race: Race | None = None

    @property
    def points(self) -> float:
        """What the task is worth."""
        return sum(check.points for check in self.checks)


@dataclass(frozen=True)
class Assignment:
    """A title, the tasks, and which modules a submission may import besides Python's own."""

    title: str
    tasks: Sequence[Task]
    modules: tuple[str, ...] = ("numpy",)
    name: str = ""
    files: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    solution: types.ModuleType | None = field(default=None, compare=False, repr=False)

    @property
    def points(self) -> float:
        """What all tasks together are worth."""
        return sum(task.points for task in self.tasks)

    def expected(self, task: Task, check: Check, arguments: tuple) -> list:
        """What the reference returns for `arguments`, always as a list. AssignmentError where it fails."""
        reference = check.reference or getattr(self.solution, task.function, None)
        if reference is None:
            raise AssignmentError(f"Assignment {self.name}: the solution has no function {task.function} (task {task.number}).")
        try:
            result = reference(*arguments)
        except Exception as fault:
            raise AssignmentError(f"Assignment {self.name}: the reference of task {task.number}, check {check.name!r}, raised "
                                  f"{type(fault).__name__}: {fault}. Mend it or its cases.") from fault
        return list(result) if isinstance(result, (tuple, list)) else [result]

    def task(self, number: str) -> Task:
        """The task of that number; ValueError with the nearest one."""
        return self.tasks[[t.number for t in self.tasks].index(nearest(f"{self.name}: --task", number, self.numbers))]

    @property
    def numbers(self) -> tuple[str, ...]:
        """The tasks' numbers."""
        return tuple(task.number for task in self.tasks)


def generator(seed: int, task: Task, check: Check | Race) -> np.random.Generator:
    """The random numbers of one check's cases: the same for every student, other ones for every check and seed."""
    name = check.name if isinstance(check, Check) else check.title
    return np.random.default_rng([seed, *f"{task.number} {name}".encode()])


def names_of(folder: Path) -> tuple[str, str, str]:
    """The names of the three files in an assignment's folder."""
    return f"{folder.name}.py", "handout.md", "checks.py"


def read_files(folder: Path) -> dict[str, str]:
    """The three files of the assignment in `folder`, by name, as text. AssignmentError where one is missing or unreadable."""
    names = names_of(folder)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise AssignmentError(f"An assignment's folder holds {', '.join(names)}; {folder} lacks {', '.join(missing)}.")
    try:
        return {name: python_text((folder / name).read_bytes(), name) if name.endswith(".py")
                else (folder / name).read_text(encoding="utf-8-sig") for name in names}
    except (SourceError, UnicodeDecodeError) as fault:
        raise AssignmentError(f"The assignment in {folder} cannot be read: {fault}") from fault


def from_files(name: str, files: dict[str, str]) -> Assignment:
    """The assignment `name` from the text of its files; AssignmentError, with the place, where they cannot be used."""
    solution, checks = (_module(file, files[file]) for file in (f"{name}.py", "checks.py"))
    found = getattr(checks, "ASSIGNMENT", None)
    if not isinstance(found, Assignment):
        raise AssignmentError(f"Assignment {name}: checks.py must define ASSIGNMENT, an isbe_np.classroom.Assignment; "
                              f"got {found!r}.")
    unknown = [module for module in found.modules if module not in MODULES]
    if unknown:
        raise AssignmentError(f"Assignment {name}: modules can be {', '.join(MODULES)}; got {', '.join(unknown)}.")
    if len(set(found.numbers)) < len(found.tasks):
        raise AssignmentError(f"Assignment {name}: each task needs a number of its own; got {', '.join(found.numbers)}.")
    for task in found.tasks:
        names = [check.name for check in task.checks]
        if not names or len(set(names)) < len(names) or any(check.points <= 0 for check in task.checks):
            raise AssignmentError(f"Assignment {name}: task {task.number} needs checks with points and different names.")
    return Assignment(found.title, found.tasks, found.modules, name, files, solution)


def _module(file: str, text: str) -> types.ModuleType:
    module = types.ModuleType(file.removesuffix(".py"))
    module.__file__ = file
    try:
        exec(compile(text, file, "exec", dont_inherit=True), module.__dict__)
    except Exception as fault:
        raise AssignmentError(f"{file} cannot be run: {type(fault).__name__}: {fault}. Mend it.") from fault
    return module


def find(name: str | Path, submissions: Path | None = None) -> Assignment:
    """The assignment of that name beside the package, or the one in a folder: a Path, or text with a separator in it.

    No bare name leads to the working folder, where a student's own ``a1`` could lie and would be run as your program. For the
    same reason a folder must be apart from `submissions`. ValueError that says what there is, or what to write.
    """
    if isinstance(name, Path) or name in (os.curdir, os.pardir) or {os.sep, os.altsep} & set(name):
        return _in_folder(user_path("assignment", name, "folder"), submissions)
    known = {folder.name: folder for folder in available()}
    if name in known:
        return from_files(name, read_files(known[name]))
    why = _why_not("The name of an assignment", name, tuple(known)) if known else f"There is no assignment {name!r}. {ABSENT}"
    raise ValueError(f"{why} A folder is written with a separator, such as {os.path.join(os.curdir, name)}.")


def _in_folder(folder: Path, submissions: Path | None) -> Assignment:
    names = names_of(folder.resolve())
    own = folder / names[0]  # an instructor may grade the solution itself
    if submissions is not None and not (submissions.is_file() and own.is_file() and own.samefile(submissions)):
        inside = any(passes_through(folder / file, submissions) for file in names)
        if inside or passes_through(submissions, folder):
            how = "lies inside SUBMISSIONS or is reached through it" if inside else "contains SUBMISSIONS"
            raise ValueError(f"The assignment {folder} {how} ({submissions}): its checks.py would run as your program, and a "
                             "student could have written it. Keep assignments and submissions in separate folders.")
    if not (folder / "checks.py").is_file():
        raise ValueError(f"{folder} is no folder of an assignment, with a checks.py in it. Name another.")
    return from_files(folder.resolve().name, read_files(folder.resolve()))


def _why_not(who: str, given: str, valid: tuple[str, ...]) -> str:
    try:
        return nearest(who, given, valid)
    except ValueError as fault:
        return str(fault)


def available() -> list[Path]:
    """The folders of the assignments beside the package, by name."""
    return sorted(folder for folder in PLACE.iterdir() if (folder / "checks.py").is_file()) if PLACE.is_dir() else []
