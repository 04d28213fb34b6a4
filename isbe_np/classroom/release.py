"""From an assignment's source to the students' folder: the solution cut out, public cases written down, and all of it proved.

In the source, ``# BEGIN SOLUTION`` and ``# END SOLUTION`` stand on lines of their own. What lies between them is replaced by a
prompt and, inside a function, by a `NotImplementedError`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from isbe_np.classroom.assignment import Assignment, AssignmentError
from isbe_np.classroom.grading import Report, Settings, grade_source
from isbe_np.classroom.public import PUBLIC_SEED, from_json, to_json
from isbe_np.classroom.source import lines

MARKER = re.compile(r"(\s*)#\s*(BEGIN|END) SOLUTION\s*$")
DEFINITION = re.compile(r"\s*def\s+(\w+)")


def strip(source: str, name: str = "The source") -> str:
    """`source` without its solutions. AssignmentError, with the line, for markers that do not pair up."""
    kept: list[str] = []
    begun, function = 0, ""
    for number, line in enumerate(lines(source), 1):
        marker = MARKER.match(line)
        if marker is None:
            if "BEGIN SOLUTION" in line or "END SOLUTION" in line:
                raise AssignmentError(f"{name}, line {number}: a marker is a comment on its own line; got {line.strip()!r}.")
            if not begun:
                definition = DEFINITION.match(line)
                function = definition.group(1) if definition else function
                kept.append(line)
            continue
        indent, what = marker.groups()
        if (what == "BEGIN") == bool(begun):
            trouble = f"the solution from line {begun} on has not ended" if begun else "no solution has begun"
            raise AssignmentError(f"{name}, line {number}: {what} SOLUTION, but {trouble}. Pair the markers.")
        if what == "BEGIN":
            begun = number
            kept.append(f"{indent}# Your code here.")
            if indent:
                kept.append(f'{indent}raise NotImplementedError("{function} is not written yet")')
        else:
            begun = 0
    if begun:
        raise AssignmentError(f"{name}: the solution that begins on line {begun} has no END SOLUTION.")
    stub = "\n".join(kept) + "\n"
    try:
        compile(stub, name, "exec", dont_inherit=True)
    except SyntaxError as fault:
        raise AssignmentError(f"{name}: without its solutions it is no Python (line {fault.lineno}: {fault.msg}). Put the "
                              "markers around whole statements.") from fault
    return stub


def solutions(source: str) -> list[str]:
    """The lines between the markers, without indentation, that are long enough to tell a solution by."""
    inside, found = False, []
    for line in lines(source):
        marker = MARKER.match(line)
        if marker:
            inside = marker.group(2) == "BEGIN"
        elif inside and len(line.strip()) > 12:
            found.append(line.strip())
    return found


def student_files(assignment: Assignment) -> dict[str, str]:
    """The students' files, by name. AssignmentError where a line of the solution is in one of them."""
    name = assignment.name
    source = assignment.files[f"{name}.py"]
    files = {f"{name}.py": strip(source, f"{name}.py"), "handout.md": assignment.files["handout.md"],
             f"{name}.json": to_json(assignment), f"test_{name}.py": _tests(assignment), "pytest.ini": _markers(assignment),
             "README.md": _readme(assignment)}
    if not any(MARKER.match(line) for line in lines(source)):
        raise AssignmentError(f"{name}.py has no solution between # BEGIN SOLUTION and # END SOLUTION.")
    for file, text in files.items():
        shown = {line.strip() for line in lines(text)}
        traces = [line for line in solutions(source) if line in shown]
        if traces:
            raise AssignmentError(f"{file} would show the students a line of the solution, {traces[0]!r}. Reword one.")
    return files


def prove(assignment: Assignment, seed: int = 0) -> dict[str, Report]:
    """Grade the solution and the stub, on private and public cases; AssignmentError unless they get everything and nothing."""
    source = assignment.files[f"{assignment.name}.py"]
    files = student_files(assignment)
    handed_out = from_json(files[f"{assignment.name}.json"])
    reports = {}
    for what, text in (("solution", source), ("stub", files[f"{assignment.name}.py"])):
        for kind, form, settings in (("private", assignment, Settings(seed)),
                                     ("public", handed_out, Settings(PUBLIC_SEED, True))):
            report = reports[f"{what}, {kind} cases"] = grade_source(form, text, settings=settings)
            wrong = [f"task {task.number}, {check.name!r}: {check.message or 'passed'}" for task in report.tasks
                     for check in task.checks if check.passed == (what == "stub")]
            if wrong:
                deserved = "every point" if what == "solution" else "none"
                raise AssignmentError(f"Assignment {assignment.name}: its {what} must get {deserved} for the {kind} cases, and "
                                      f"does not. {wrong[0]}")
    return reports


def release(assignment: Assignment, out: Path, seed: int = 0) -> list[Path]:
    """Prove the assignment, and write the students' folder `out`, which must be new or empty; returns the files written."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"release expects a new or empty folder; {out} is there already. Name another, or empty it.")
    prove(assignment, seed)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for file, text in student_files(assignment).items():
        (out / file).write_text(text, encoding="utf-8")
        written.append(out / file)
    return written


def mark(number: str) -> str:
    """The pytest marker of a task: task1_1 for 1.1."""
    return "task" + re.sub(r"\W", "_", number)


def _tests(assignment: Assignment) -> str:
    name = assignment.name
    first = mark(assignment.numbers[0])
    parts = [f'"""The public checks of assignment {name}: `pytest`, or those of one task with `pytest -m {first}`."""\n\n'
             "import pytest\n\nfrom isbe_np.classroom.public import verify\n"]
    for task in from_json(to_json(assignment)).tasks:
        names = json.dumps([check.name for check in task.checks], ensure_ascii=False)
        parts.append(f"\n\n@pytest.mark.{mark(task.number)}\n@pytest.mark.parametrize(\"check\", {names})\n"
                     f"def test_{task.function}(check):\n    \"\"\"Task {task.number}: {task.title}.\"\"\"\n"
                     f"    verify(__file__, \"{task.number}\", check)\n")
    return "".join(parts)


def _markers(assignment: Assignment) -> str:
    lines = [f"    {mark(task.number)}: {task.title}" for task in assignment.tasks]
    return "\n".join(["[pytest]", "addopts = -q --strict-markers", "markers =", *lines]) + "\n"


def _readme(assignment: Assignment) -> str:
    name, first = assignment.name, assignment.numbers[0]
    return f"""# {name}: {assignment.title}

Read `handout.md`, then fill in the functions of `{name}.py`. Two commands, in this folder, try what you have written:

    isbe check {name}

    pytest -m {mark(first)}

The first runs the public checks of all tasks as the grader will, each task in a process of its own with limits of time and
memory, and tells for each what was expected, what came, where and how far off. The second runs those of task {first} alone, in
one process where a debugger can stop (`--pdb`); leave `-m` out for all. Both need isbe_np, installed as your course says; your
own file must not import it.

Hand in `{name}.py`. It is graded on other numbers than those in `{name}.json`, and some checks are the grader's alone: write
what is right for any input.
"""
