"""Grade a folder of submissions: spread them over workers, keep each report at once, and write the class's tables last.

In the folder for results: ``feedback/KEY.md``, ``.html`` and ``.json`` of each student, ``grades.csv``, ``index.html``, and
``grading.json``, which holds the seed. A run that was stopped goes on where it was; a report whose submission, assignment, seed
or limits have changed is made anew.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
from collections.abc import Hashable
from concurrent.futures import Executor
from functools import lru_cache
from pathlib import Path

from tqdm import tqdm

from isbe_np.classroom import feedback
from isbe_np.classroom.apart import refuse_inside
from isbe_np.classroom.assignment import Assignment, from_files
from isbe_np.classroom.grading import Report, Settings, empty_report, grade_source
from isbe_np.classroom.submissions import Submission, collect
from isbe_np.executors import Opener, local, spread
from isbe_np.storage.files import write_text

GRADER_FAULT = "The grader itself failed here, which is no fault of yours. Tell your instructor: "


def grade(assignment: Assignment, place: Path, out: Path, seed: int | None = None, limits: tuple[tuple[str, float], ...] = (),
          seconds: float = 300.0, executor: Executor | Opener | None = None,
          for_gradescope: bool = False) -> list[tuple[Submission, Report]]:
    """Grade every submission in `place` and write what `out` is to hold; see above. Returns the reports, by student.

    `seed` of the private cases: the one that `out` remembers, else a secret one. `executor`: where to grade, any
    `concurrent.futures.Executor` or what opens one (default: two spawned processes). After Ctrl-C what is done is written, and
    KeyboardInterrupt raised.
    """
    place, out = Path(place), Path(out)
    refuse_inside(out, place)
    out = out.resolve()
    submissions = collect(place, assignment.name, for_gradescope)
    (out / "feedback").mkdir(parents=True, exist_ok=True)
    settings = Settings(_seed(out, assignment, seed), seconds=seconds, limits=limits)
    if for_gradescope:  # whatever happens after this, there is a result
        first = empty_report(assignment, "The grading did not end. Hand in again, or tell your instructor.", "not ended")
        write_text(out / "results.json", json.dumps(feedback.gradescope(first), indent=1))
    reports = {}
    tasks: dict[Hashable, tuple] = {}
    for submission in submissions:
        kept = _kept(out, submission, assignment, settings)
        if kept is not None:
            reports[submission.key] = kept
        elif submission.fault:
            reports[submission.key] = empty_report(assignment, submission.fault, "not readable")
            _keep(out, submission, assignment, settings, reports[submission.key])
        else:
            tasks[submission.key] = (assignment.name, assignment.files, submission.source, settings)
    by_key = {submission.key: submission for submission in submissions}
    try:
        with tqdm(total=len(submissions), initial=len(reports), desc="graded", unit="submission", dynamic_ncols=True,
                  disable=not sys.stderr.isatty()) as progress:
            for key, result, error in spread(_grade_one, tasks, executor or local(2)):
                report = (Report.from_dict(result) if error is None  # type: ignore[arg-type]
                          else empty_report(assignment, f"{GRADER_FAULT}{type(error).__name__}: {error}", "grader failed"))
                reports[str(key)] = report
                if error is None:
                    _keep(out, by_key[str(key)], assignment, settings, report)
                else:
                    _tell(out, by_key[str(key)], report)
                progress.update(1)
    finally:
        done = [(submission, reports[submission.key]) for submission in submissions if submission.key in reports]
        _look_alike(done)
        _write_class(out, done, for_gradescope)
    return done


def _grade_one(name: str, files: dict[str, str], source: str, settings: Settings) -> dict:
    """In a worker: plain data in and out, so that workers need not share a disk."""
    return grade_source(_assignment(name, tuple(files.items())), source, settings=settings).as_dict()


@lru_cache(maxsize=1)
def _assignment(name: str, files: tuple[tuple[str, str], ...]) -> Assignment:
    """Kept for a worker's next submission, so that the solution's kernels are compiled once."""
    return from_files(name, dict(files))


def _seed(out: Path, assignment: Assignment, given: int | None) -> int:
    """The seed that was given, or that an earlier run into `out` took, or a new secret one; kept in ``grading.json``."""
    file = out / "grading.json"
    if file.exists():
        told = json.loads(file.read_text(encoding="utf-8"))
        if told["assignment"] != assignment.name:
            raise ValueError(f"--out holds results of assignment {told['assignment']}, in {out}; name another folder for "
                             f"{assignment.name}.")
        if given is None:
            return int(told["seed"])
    seed = secrets.randbits(48) if given is None else given
    write_text(file, json.dumps({"assignment": assignment.name, "seed": seed}) + "\n")
    return seed


def _fingerprint(submission: Submission, assignment: Assignment, settings: Settings) -> str:
    told = json.dumps([submission.source, submission.fault, assignment.files, settings.seed, settings.seconds, settings.limits])
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


def _kept(out: Path, submission: Submission, assignment: Assignment, settings: Settings) -> Report | None:
    """The report of an earlier run, if nothing that it depends on has changed."""
    try:
        told = json.loads((out / "feedback" / f"{submission.key}.json").read_text(encoding="utf-8"))
        if told["fingerprint"] == _fingerprint(submission, assignment, settings):
            return Report.from_dict(told["report"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none, or a damaged one
    return None


def _keep(out: Path, submission: Submission, assignment: Assignment, settings: Settings, report: Report) -> None:
    _tell(out, submission, report)
    told = {"student": submission.student, "fingerprint": _fingerprint(submission, assignment, settings),
            "report": report.as_dict()}
    write_text(out / "feedback" / f"{submission.key}.json", json.dumps(told))


def _tell(out: Path, submission: Submission, report: Report) -> None:
    for suffix, form in (("md", feedback.as_markdown), ("html", feedback.as_html)):
        write_text(out / "feedback" / f"{submission.key}.{suffix}", form(report, submission.student))


def _look_alike(done: list[tuple[Submission, Report]]) -> None:
    """Remark where two students handed in the same text."""
    same: dict[str, list[tuple[Submission, Report]]] = {}
    for submission, report in done:
        if submission.source.strip():
            same.setdefault(submission.source, []).append((submission, report))
    for group in same.values():
        for submission, report in group if len(group) > 1 else ():
            others = [other.student for other, _ in group if other is not submission]
            some = ", ".join(others[:3]) + (" and others" if len(others) > 3 else "")
            report.flags = [*report.flags, f"the same text as {some}"]


def _write_class(out: Path, done: list[tuple[Submission, Report]], for_gradescope: bool) -> None:
    if not done:
        return
    rows = [(submission.student, submission.path.name, report) for submission, report in done]
    write_text(out / "grades.csv", feedback.class_csv(rows))
    write_text(out / "index.html", feedback.class_html(rows, [f"feedback/{submission.key}.html" for submission, _ in done]))
    if any(task.race is not None for _, _, report in rows for task in report.tasks):
        write_text(out / "leaderboard.csv", feedback.leaderboard_csv(rows))
    if for_gradescope:
        write_text(out / "results.json", json.dumps(feedback.gradescope(done[0][1]), indent=1))
