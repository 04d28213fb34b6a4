"""The commands of the classroom: assignment, check, grade."""

from __future__ import annotations

import sys
from pathlib import Path

from isbe_np.cli.options import WENT_WRONG, add_json, count, file_path, folder_path, name_or_folder, write_json


def add(commands) -> None:
    """Add these commands to the parser."""
    assignment = commands.add_parser("assignment", help="for instructors: list, show, release or package assignments")
    assignment.add_argument("action", choices=["list", "show", "release", "autograder"])
    assignment.add_argument("name", nargs="?", type=name_or_folder,
                            help="a name that list tells, or the folder of an assignment of your own, written with a "
                            "separator: ./mine")
    assignment.add_argument("target", nargs="?", type=file_path, metavar="OUT",
                            help="release: the students' folder, new or empty; autograder: the zip file for Gradescope")
    add_json(assignment, _assignment)

    check = commands.add_parser("check", help="for students: run an assignment's public checks on your own file")
    check.add_argument("name", help="such as a1; its folder is the one that was handed out")
    check.add_argument("--task", metavar="NUMBER", help="one task, such as 1.2 (all)")
    check.add_argument("--folder", type=folder_path, default=Path(), help="where that folder is (the current one)")
    add_json(check, _check)

    grade = commands.add_parser("grade", help="for instructors: grade a submission, or a folder of hundreds")
    grade.add_argument("name", type=name_or_folder,
                       help="the assignment's name, or its folder, written with a separator: ./mine")
    grade.add_argument("submissions", type=file_path, metavar="SUBMISSIONS", help="a file, or a folder of files or of folders")
    grade.add_argument("--out", type=folder_path, required=True, metavar="DIR",
                       help="folder for feedback, grades.csv and index.html")
    grade.add_argument("--workers", type=count, default=2, metavar="N", help="processes that grade side by side (%(default)s)")
    grade.add_argument("--dask", metavar="ADDRESS", help="a Dask cluster to grade on instead, such as tcp://10.0.0.5:8786")
    grade.add_argument("--seed", type=int, help="of the private cases (a secret one, kept in DIR/grading.json)")
    grade.add_argument("--seconds", type=float, metavar="S", help="for each call, instead of what the tasks allow")
    grade.add_argument("--first-seconds", type=float, metavar="S", help="for the first call, which may compile, likewise")
    grade.add_argument("--memory", type=count, metavar="MB", help="for each process, compiler included, likewise")
    grade.add_argument("--total", type=float, default=300.0, metavar="S", help="seconds for one submission (%(default)s)")
    grade.add_argument("--gradescope", action="store_true", help="also write DIR/results.json, for a single submission")
    add_json(grade, _grade)
    grade.set_defaults(check=_outside)


def _assignment(given) -> int:
    from isbe_np.classroom import assignment
    from isbe_np.tables import table
    if given.action == "list":
        if given.name is not None:
            raise ValueError(f"list shows every assignment and takes no name; got {given.name!r}. Leave it out.")
        known = [assignment.find(folder) for folder in assignment.available()]
        if not known:
            raise ValueError(assignment.ABSENT)
        print(table(("name", "title", "tasks", "points"), [(a.name, a.title, len(a.tasks), f"{a.points:g}") for a in known],
                    left=2))
        write_json(given, {a.name: {"title": a.title, "tasks": list(a.numbers), "points": a.points} for a in known})
        return 0
    if given.name is None or (given.action != "show" and given.target is None):
        target = {"show": "", "release": " FOLDER", "autograder": " FILE.zip"}[given.action]
        what = "an assignment's name" + (" and what to write" if target else "")
        raise ValueError(f"{given.action} expects {what}, as in isbe assignment {given.action} NAME{target}.")
    found = assignment.find(given.name)
    if given.action == "show":
        rows = [(task.number, task.function, check.name, "no" if check.judge or not check.public else "yes",
                 f"{check.points:g}") for task in found.tasks for check in task.checks]
        print(f"{found.name}: {found.title}, {found.points:g} points; may import {', '.join(found.modules)}\n")
        print(table(("task", "function", "check", "public", "points"), rows, left=4))
        write_json(given, {"name": found.name, "title": found.title, "checks": rows})
        return 0
    if given.action == "release":
        from isbe_np.classroom.release import release
        for path in release(found, given.target):
            print(path)
        print("Proved: the solution gets every point and the stub none, on private and on public cases.")
        return 0
    from isbe_np.classroom.autograder import autograder
    print(autograder(found, given.target))
    return 0


def _check(given) -> int:
    from dataclasses import replace

    from isbe_np.classroom.feedback import text
    from isbe_np.classroom.grading import Settings, grade_source
    from isbe_np.classroom.public import PUBLIC_SEED, from_folder
    from isbe_np.classroom.submissions import collect
    assignment, file = from_folder(given.folder, given.name)
    if given.task is not None:
        assignment = replace(assignment, tasks=(assignment.task(given.task),))
    submission, = collect(file, assignment.name)
    if submission.fault:
        raise ValueError(submission.fault)
    report = grade_source(assignment, submission.source, settings=Settings(PUBLIC_SEED, True), file=file.name)
    print(text(report))
    write_json(given, report.as_dict())
    return 0 if report.score == report.points else WENT_WRONG


def _outside(given) -> None:
    """Before the folder for results is made, which would be one more submission."""
    from isbe_np.classroom.apart import refuse_inside
    refuse_inside(given.out, given.submissions)


def _grade(given) -> int:
    from isbe_np import executors
    from isbe_np.classroom.assignment import find
    from isbe_np.classroom.whole_class import GRADER_FAULT, grade
    chosen = (("call", given.seconds), ("first", given.first_seconds), ("memory", given.memory and given.memory * 2**20))
    limits = tuple((name, value) for name, value in chosen if value is not None)
    for name, value in (*limits, ("total", given.total)):
        if not value > 0:
            raise ValueError(f"A limit expects a number above 0; got {value} for {name}.")
    workers = executors.dask(given.dask) if given.dask else executors.local(given.workers)
    assignment = find(given.name, given.submissions)
    done = grade(assignment, given.submissions, given.out, given.seed, limits, given.total, workers, given.gradescope)
    scores = [report.score for _, report in done]
    report = done[0][1]
    print(f"{report.assignment}: {len(done)} submission{'s' if len(done) > 1 else ''}, mean {sum(scores) / len(scores):.2f} of "
          f"{report.points:g} points. Feedback, grades.csv and index.html are in {given.out}")
    isolation = sorted({report.isolation for _, report in done if report.isolation})
    print("\n".join(f"Isolation {line}." for line in isolation))
    failed = [submission.student for submission, report in done if report.fault.startswith(GRADER_FAULT)]
    if failed:
        print(f"isbe grade: the grader itself failed on {', '.join(failed[:5])}; see their feedback, and run it again.",
              file=sys.stderr)
    write_json(given, {submission.key: report.as_dict() for submission, report in done})
    return WENT_WRONG if failed else 0
