"""What an assignment is: tasks, what their answers must do, and where the files of one lie.

An assignment NAME is a folder with three files: ``NAME.py``, the source with the solution between markers (see `release.py`);
``handout.md``, what the students read; and ``checks.py``, which defines ``ASSIGNMENT``, an `Assignment`. All three are the
instructor's own and are run by the grader; submissions never are.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from isbe_np.checks import nearest
from isbe_np.classroom.reach import MODULES
from isbe_np.classroom.sandbox import Limits

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


def read_files(folder: Path) -> dict[str, str]:
    """The three files of the assignment in `folder`, by name, as text; AssignmentError where one is missing."""
    names = (f"{folder.name}.py", "handout.md", "checks.py")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise AssignmentError(f"An assignment's folder holds {', '.join(names)}; {folder} lacks {', '.join(missing)}.")
    return {name: (folder / name).read_text(encoding="utf-8") for name in names}


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


def places() -> list[Path]:
    """Where assignments are looked for: this folder's ``tutorials/assignments``, then the one beside the package."""
    return [place / "tutorials" / "assignments" for place in (Path.cwd(), Path(__file__).resolve().parents[2])]


def find(name: str | Path) -> Assignment:
    """The assignment called `name` in `places`, or the one in the folder `name`; ValueError that lists what there is."""
    for folder in (Path(name), *(place / name for place in places())):
        if (folder / "checks.py").is_file():
            return from_files(folder.resolve().name, read_files(folder.resolve()))
    known = {folder.name: folder for folder in available()}
    if not known:
        raise ValueError(f"An assignment is expected, by name or as its folder; got {str(name)!r}, and there is none in "
                         f"{' or '.join(map(str, dict.fromkeys(places())))}. Name the folder, or run this in "
                         "a checkout of the project.")
    raise ValueError(f"{name} is no folder of an assignment, with a checks.py in it. "
                     + _why_not("The name of an assignment", str(name), tuple(known)))


def _why_not(who: str, given: str, valid: tuple[str, ...]) -> str:
    try:
        return nearest(who, given, valid)
    except ValueError as fault:
        return str(fault)


def available() -> list[Path]:
    """The folders of the assignments in `places`, by name; the first place wins."""
    found = {folder.name: folder for place in reversed(places()) if place.is_dir()
             for folder in place.iterdir() if (folder / "checks.py").is_file()}
    return [found[name] for name in sorted(found)]
