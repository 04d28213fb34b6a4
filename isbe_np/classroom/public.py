"""The public checks of an assignment, as the students get them: fixed cases with the numbers that are expected, in JSON."""

from __future__ import annotations

import copy
import importlib.util
import json
from pathlib import Path

import numpy as np

from isbe_np.classroom import judge
from isbe_np.classroom.assignment import Assignment, AssignmentError, Check, Task, generator
from isbe_np.classroom.protocol import Formula, NotNumbers, pack_arguments, pack_result, unpack
from isbe_np.classroom.sandbox import Limits

PUBLIC_SEED = 1


def to_json(assignment: Assignment) -> str:
    """The public cases, with what the solution returns for them. Checks with a judgement of their own stay the grader's."""
    tasks = []
    for task in assignment.tasks:
        checks = []
        for check in task.checks:
            if not check.public or check.judge is not None:
                continue
            cases = [{"arguments": [_told(a) for a in arguments],
                      "expected": [_told(np.asarray(e)) for e in assignment.expected(task, check, arguments)]}
                     for arguments in check.cases(generator(PUBLIC_SEED, task, check))]
            checks.append({"name": check.name, "points": check.points, "hint": check.hint, "tolerance": check.tolerance,
                           "same_dtype": check.same_dtype, "cases": cases})
        if not checks:
            raise AssignmentError(f"Assignment {assignment.name}: task {task.number} has no public check for students to run.")
        tasks.append({"number": task.number, "function": task.function, "title": task.title, "returns": task.returns,
                      "limits": vars(task.limits), "checks": checks})
    told = {"assignment": assignment.name, "title": assignment.title, "modules": assignment.modules, "tasks": tasks}
    return json.dumps(told) + "\n"


def from_json(text: str) -> Assignment:
    """The assignment that `to_json` told: its public checks alone, and no solution. ValueError for what is no such text."""
    try:
        told = json.loads(text)
        tasks = tuple(Task(task["number"], task["function"], task["title"], tuple(_check(check) for check in task["checks"]),
                           tuple(task["returns"]), Limits(**task["limits"])) for task in told["tasks"])
        return Assignment(told["title"], tasks, tuple(told["modules"]), told["assignment"])
    except (json.JSONDecodeError, KeyError, TypeError) as fault:
        raise ValueError(f"The public checks cannot be read ({type(fault).__name__}: {fault}). Take the file as it was handed "
                         "out.") from fault


def from_folder(folder: Path, name: str) -> tuple[Assignment, Path]:
    """The public checks and the student's file in `folder`; ValueError that says what is missing there."""
    checks, file = folder / f"{name}.json", folder / f"{name}.py"
    for path, what in ((checks, "the public checks"), (file, "your functions")):
        if not path.is_file():
            raise ValueError(f"check expects a folder that was handed out, with {name}.json and {name}.py; {folder} has no "
                             f"{path.name}, {what}. Go to that folder, or name it with --folder.")
    return from_json(checks.read_text(encoding="utf-8")), file


def verify(test_file: str, number: str, check_name: str) -> None:
    """Run one public check on the student's file beside `test_file`, in this process; AssertionError tells what is wrong."""
    folder = Path(test_file).resolve().parent
    assignment, file = from_folder(folder, Path(test_file).stem.removeprefix("test_"))
    task = assignment.task(number)
    check = {check.name: check for check in task.checks}[check_name]
    spec = importlib.util.spec_from_file_location(assignment.name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, task.function)
    for arguments in check.cases(np.random.default_rng(0)):
        expected = assignment.expected(task, check, arguments)
        result = function(*copy.deepcopy(arguments))
        try:
            got = unpack(pack_result(result))  # as the grader gets it
        except NotNumbers as wrong:
            raise AssertionError(f"{task.function}({judge.shown(arguments)}): {wrong}") from None
        fault = judge.compare(expected, got, check.tolerance, check.same_dtype, task.returns)
        if fault:
            raise AssertionError(f"{task.function}({judge.shown(arguments)}): {fault} Hint: {check.hint}")


def _check(told: dict) -> Check:
    cases = [tuple(_meant(a) for a in case["arguments"]) for case in told["cases"]]
    expected = {pack_arguments(arguments): [_meant(e) for e in case["expected"]]
                for arguments, case in zip(cases, told["cases"], strict=True)}
    return Check(told["name"], told["points"], lambda random: cases, told["hint"], told["tolerance"], told["same_dtype"],
                 reference=lambda *arguments: expected[pack_arguments(arguments)])


def _told(value):
    """A number, array or Formula as JSON."""
    if isinstance(value, Formula):
        return {"formula": [value.variable, value.text], "values": {name: _told(v) for name, v in value.values.items()}}
    if isinstance(value, (np.ndarray, np.generic)):
        return {"dtype": value.dtype.name, "shape": value.shape, "data": value.ravel().tolist()}
    return value


def _meant(told):
    if not isinstance(told, dict):
        return told
    if "formula" in told:
        return Formula(*told["formula"], **{name: _meant(v) for name, v in told["values"].items()})
    return np.array(told["data"], told["dtype"]).reshape(told["shape"])
