"""Grade one submission: ask its process, kill it, then compute what was expected and judge.

The order matters: while a submission's process lives, nothing that it could want is in this one.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from statistics import median

from isbe_np.classroom import judge
from isbe_np.classroom.assignment import Assignment, Check, Race, Task, generator
from isbe_np.classroom.safe import plain
from isbe_np.classroom.sandbox import Failed, Limits, Sandbox, Stopped, isolation
from isbe_np.classroom.scan import look_at

STRIKES = 2  # after so many stopped processes the rest of a task is not asked


@dataclass
class Outcome:
    """One check: passed or not, and for a reader what went wrong, for which arguments, and what to think of."""

    name: str
    points: float
    passed: bool
    message: str = ""
    arguments: str = ""
    hint: str = ""
    stopped: str = ""  # in two or three words why the process was stopped, if it was

    @property
    def score(self) -> float:
        """The points that it earns."""
        return self.points if self.passed else 0.0


@dataclass
class TaskReport:
    """One task's outcomes, check by check; `race` is the median time of a call in seconds, where there is a leaderboard."""

    number: str
    title: str
    function: str
    checks: list[Outcome]
    race: float | None = None

    @property
    def score(self) -> float:
        """The points that it earns."""
        return sum(check.score for check in self.checks)

    @property
    def points(self) -> float:
        """The points that it is worth."""
        return sum(check.points for check in self.checks)


@dataclass
class Report:
    """What a submission got and why; `incidents` name what its process did, `flags` what a person should look at in it."""

    assignment: str
    title: str
    points: float
    tasks: list[TaskReport] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    printed: str = ""
    isolation: str = ""
    seconds: float = 0.0
    fault: str = ""  # why it could not be graded at all, if so

    @property
    def score(self) -> float:
        """The points of all tasks."""
        return sum(task.score for task in self.tasks)

    def as_dict(self) -> dict:
        """All of it as JSON can hold it."""
        return {**asdict(self), "score": self.score}

    @classmethod
    def from_dict(cls, told: dict) -> Report:
        """The report that `as_dict` told."""
        told = {name: value for name, value in told.items() if name != "score"}
        tasks = [TaskReport(**{**task, "checks": [Outcome(**check) for check in task["checks"]]}) for task in told.pop("tasks")]
        return cls(**told, tasks=tasks)


@dataclass(frozen=True)
class Settings:
    """How to grade: the cases' seed, or public cases alone; seconds for a whole submission; overrides of the tasks' limits."""

    seed: int = 0
    public: bool = False
    seconds: float = 300.0
    limits: tuple[tuple[str, float], ...] = ()

    def of(self, task: Task) -> Limits:
        """A task's limits with the overrides."""
        return replace(task.limits, **dict(self.limits))  # type: ignore[arg-type]


def empty_report(assignment: Assignment, fault: str, kind: str = "") -> Report:
    """No points for anything, for the reason `fault`; `kind` names it in two or three words."""
    tasks = [TaskReport(task.number, task.title, task.function,
                        [Outcome(check.name, check.points, False, fault) for check in task.checks])
             for task in assignment.tasks]
    return Report(assignment.name, assignment.title, assignment.points, tasks, [kind] if kind else [], fault=fault)


def grade_source(assignment: Assignment, source: str, seed: int = 0, settings: Settings | None = None,
                 file: str | None = None) -> Report:
    """The report on a submission's `source`; `file` is its name in messages. Never raises for what a submission does."""
    settings = settings or Settings(seed)
    report = Report(assignment.name, assignment.title, assignment.points, flags=look_at(source, assignment.modules))
    begun = time.monotonic()
    for task in assignment.tasks:
        left = settings.seconds - (time.monotonic() - begun)
        report.tasks.append(_grade_task(assignment, task, source, settings, file or f"{assignment.name}.py", left, report))
    report.seconds = time.monotonic() - begun
    return report


def checks_of(task: Task, settings: Settings) -> list[Check]:
    """The checks that count: all in a grading, the public ones for a learner."""
    return [check for check in task.checks if check.public or not settings.public]


def _grade_task(assignment: Assignment, task: Task, source: str, settings: Settings, file: str, left: float,
                report: Report) -> TaskReport:
    asker = _Asker(assignment, task, source, settings.of(task), file, time.monotonic() + left, report)
    checks = checks_of(task, settings)
    try:
        answers = [asker.ask(list(check.cases(generator(settings.seed, task, check)))) for check in checks]
        sound = not any(case.fault for cases in answers for case in cases)  # no use in timing what fails
        raced = asker.race(task.race, settings.seed) if task.race and sound and not settings.public else []
    finally:
        asker.close()
    outcomes = [_outcome(assignment, task, check, cases) for check, cases in zip(checks, answers, strict=True)]
    result = TaskReport(task.number, task.title, task.function, outcomes)
    if task.race and raced and all(outcome.passed for outcome in outcomes):
        race = Check(task.race.title, 1, task.race.cases, "", task.race.tolerance)
        if _outcome(assignment, task, race, raced).passed:
            result.race = median(answer.seconds for answer in raced)
    return result


@dataclass
class _Answer:
    """One case: what was asked, and what came of it."""

    arguments: tuple
    got: list | None = None
    seconds: float = 0.0
    fault: str = ""
    stopped: str = ""


class _Asker:
    """Puts cases to a submission, starting a fresh process where the last one was stopped."""

    def __init__(self, assignment: Assignment, task: Task, source: str, limits: Limits, file: str, deadline: float,
                 report: Report):
        self.assignment, self.task, self.source, self.limits, self.file = assignment, task, source, limits, file
        self.deadline, self.report = deadline, report
        self.sandbox: Sandbox | None = None
        self.strikes, self.last = 0, Stopped("", "")

    def ask(self, cases: list[tuple]) -> list[_Answer]:
        """The answers to the cases of one check, up to the first that fails."""
        answers = []
        for arguments in cases:
            answers.append(self._one(arguments))
            if answers[-1].fault:
                break
        return answers

    def race(self, race: Race, seed: int) -> list[_Answer]:
        """Timed answers; empty where one fails."""
        random = generator(seed, self.task, race)
        cases = [case for _ in range(race.rounds) for case in race.cases(random)]
        answers = self.ask(cases)
        return answers if len(answers) == len(cases) and not answers[-1].fault else []

    def _one(self, arguments: tuple) -> _Answer:
        if self.strikes >= STRIKES or time.monotonic() > self.deadline:
            if self.last.kind == "import failed":
                return _Answer((), fault=str(self.last), stopped=self.last.kind)
            why = str(self.last) if self.strikes else "The time for this submission was used up before."
            return _Answer(arguments, fault=f"Not asked any more. {why}", stopped=self.last.kind or "time limit")
        try:
            if self.sandbox is None:
                self.sandbox = Sandbox(self.source, self.task.function, self.assignment.modules, self.limits, self.file)
                self.report.isolation = isolation(self.sandbox.walls)
            got, seconds = self.sandbox.call(arguments)
            return _Answer(arguments, got, seconds)
        except Failed as fault:
            return _Answer(arguments, fault=str(fault))
        except Stopped as stop:
            self.strikes += STRIKES if self.sandbox is None else 1  # what fails to start will fail again
            self.last = stop
            if stop.kind not in ("import failed", *self.report.incidents):  # a file that raises an error is no incident
                self.report.incidents.append(stop.kind)
            self.report.printed = self.report.printed or plain(stop.printed, 4000)
            self.close()
            return _Answer(() if stop.kind == "import failed" else arguments, fault=str(stop), stopped=stop.kind)

    def close(self) -> None:
        """Kill the process, if there is one, and keep the beginning of what it printed."""
        if self.sandbox is not None:
            if not self.report.printed:
                self.report.printed = plain(self.sandbox.printed(), 4000)
            self.sandbox.close()
            self.sandbox = None


def _outcome(assignment: Assignment, task: Task, check: Check, answers: list[_Answer]) -> Outcome:
    """Judge the answers to one check; the first wrong one is told."""
    for k, answer in enumerate(answers):
        fault = answer.fault
        if not fault and check.judge is not None:
            fault = _judged(check.judge, answer)
        elif not fault:
            fault = judge.compare(assignment.expected(task, check, answer.arguments), answer.got or [], check.tolerance,
                                  check.same_dtype, task.returns) or ""
        if fault:
            told = f"case {k + 1}: {task.function}({judge.shown(answer.arguments)})" if answer.arguments else ""
            return Outcome(check.name, check.points, False, plain(fault, 2000), plain(told, 600), check.hint, answer.stopped)
    return Outcome(check.name, check.points, True)


def _judged(judgement, answer: _Answer) -> str:
    try:
        return judgement(answer.arguments, answer.got) or ""
    except Exception as fault:  # shapes and values that its author did not think of
        return f"The answer is not of the expected form ({type(fault).__name__}: {fault})."
