"""Points: everything for the solution, nothing for the stub, and for a partly right answer what its tasks deserve."""

import numpy as np
import pytest

from isbe_np.classroom import Assignment, Check, Limits, Task
from isbe_np.classroom.assignment import find, from_files, generator
from isbe_np.classroom.grading import Report, Settings, empty_report, grade_source
from isbe_np.classroom.scan import look_at

A1 = find("a1")
SOLUTION = A1.files["a1.py"]
MODEL = """
import numpy as np
from isbe_np.classroom import Assignment, Check, Limits, Race, Task
LIMITS = Limits(start=10, first=1, call=1)
ASSIGNMENT = Assignment("A model", (
    Task("1", "f", "One", limits=LIMITS, checks=(
        Check("positive", 1, lambda random: [(float(random.uniform(1, 2)),) for _ in range(3)], "Double it."),
        Check("negative", 2, lambda random: [(-1.0,)], "Double it."),
        Check("large", 4, lambda random: [(1e9,)], "Double it.")),
        race=Race("f", lambda random: [(float(random.uniform(1, 2)),)], rounds=5)),
    Task("2", "g", "Two", limits=LIMITS, checks=(
        Check("any", 8, lambda random: [(1.0,)], "Halve it.", judge=lambda arguments, got: None if got[0] == 0.5 else "No."),)),
))
"""
HALF = "def g(x):\n    return x / 2\n"


@pytest.fixture(scope="module")
def model():
    source = "def f(x):\n    # BEGIN SOLUTION\n    return 2 * x\n    # END SOLUTION\n\n\n" + HALF
    return from_files("m1", {"m1.py": source, "checks.py": MODEL, "handout.md": ""})


def points(report):
    return {f"{task.number} {check.name}": check.score for task in report.tasks for check in task.checks}


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ("scores - scores.max(axis=1, keepdims=True)\n", "scores\n", {}),  # absent: nothing is lost, see the next
        ("np.exp(scores - scores.max(axis=1, keepdims=True))", "np.exp(scores)", {"1.1 large scores"}),
        (
            "e / e.sum(axis=1, keepdims=True)\n    # END SOLUTION\n\n\ndef softmax_temperature",
            "e / e.sum()\n    # END SOLUTION\n\n\ndef softmax_temperature",
            {"1.1 values", "1.1 equal scores", "1.1 large scores"},
        ),
        ("scores.dtype.type(temperature)", "np.float64(temperature)", {"1.2 float32"}),
        ("scores.dtype.type(temperature)", "1", {"1.2 values", "1.2 low temperature", "1.2 float32"}),
        ("np.diag(soft[n]) - np.outer(soft[n], soft[n])", "np.diag(soft[n] * (1 - soft[n]))", {"1.3 values", "1.4 values"}),
        ("softmax_jacobian(soft) / temperature", "softmax_jacobian(soft)", {"1.4 values"}),
        (
            "return soft * (gradient - inner)",
            "return np.einsum('nij,ni->nj', softmax_jacobian(soft), gradient)",
            {"1.5 many classes"},
        ),
        ("soft * (gradient - inner)", "soft * gradient - inner", {"1.5 values", "1.5 many classes"}),
    ],
)
def test_partial_credit_for_softmax(old, new, lost):
    report = grade_source(A1, SOLUTION.replace(old, new), seed=3)
    assert {name for name, score in points(report).items() if not score} == set(lost)
    assert report.score == A1.points - sum(
        check.points for task in A1.tasks for check in task.checks if f"{task.number} {check.name}" in lost
    )
    for task in report.tasks:
        for check in task.checks:
            assert check.passed or (check.message and check.hint and check.arguments)


def test_the_same_seed_gives_the_same_cases_and_another_seed_others():
    wrong = SOLUTION.replace("np.outer", "np.add.outer")
    first, again, other = (grade_source(A1, wrong, seed) for seed in (1, 1, 2))
    told = [
        [check.arguments + check.message for task in report.tasks for check in task.checks] for report in (first, again, other)
    ]
    assert told[0] == told[1] != told[2]


def test_cases_differ_between_checks():
    task = A1.tasks[0]
    draws = [generator(5, task, check).random() for check in task.checks]
    assert len(set(draws)) == len(draws)


@pytest.mark.parametrize(
    ("source", "expected", "incidents"),
    [
        ("def f(x):\n    return 2 * x\n" + HALF, 15, []),
        ("def f(x):\n    if x < 0:\n        while True: pass\n    return 2 * x\n" + HALF, 13, ["time limit"]),
        ("import os\ndef f(x):\n    if x < 0: os._exit(0)\n    return 2 * x\n" + HALF, 13, ["ended itself"]),
        ("def f(x):\n    if x < 0: raise KeyError(1)\n    return 2 * x\n" + HALF, 13, []),
        ("def f(x):\n    while True: pass\n" + HALF, 8, ["time limit"]),
        ("def f(x):\n    return float('nan')\n" + HALF, 8, []),
        ("def f(x):\n    return 2 * x\ndef g(x):\n    return 'half'\n", 7, []),
        ("def f(x):\n    return 2 * x\n", 7, []),
        ("def f(x:\n", 0, []),
        ("", 0, []),
    ],
)
def test_what_happens_in_one_check_costs_no_other(model, source, expected, incidents):
    report = grade_source(model, source)
    assert report.score == expected and report.incidents == incidents


def test_a_judge_that_fails_on_an_odd_answer_is_no_points_and_no_crash(model):
    report = grade_source(model, "import numpy as np\ndef f(x): return 2 * x\ndef g(x): return np.zeros(2)\n")
    assert report.score == 7 and "The answer is not of the expected form (ValueError" in report.tasks[1].checks[0].message


def test_a_race_counts_only_right_answers(model):
    fair = grade_source(model, "def f(x):\n    return 2 * x\n" + HALF)
    assert 0 < fair.tasks[0].race < 1 and fair.tasks[1].race is None
    # right for the cases of the checks, which come first, and wrong ever after
    later = grade_source(model, "n = 0\ndef f(x):\n    global n\n    n += 1\n    return 2 * x if n < 7 else 0.0\n" + HALF)
    assert later.score == 15 and later.tasks[0].race is None


def test_the_time_of_a_submission_is_limited(model):
    report = grade_source(
        model, "import time\ndef f(x):\n    time.sleep(0.4)\n    return 2 * x\n" + HALF, settings=Settings(0, seconds=0.6)
    )
    assert report.score == 0 and "The time for this submission was used up" in report.tasks[1].checks[0].message


def test_limits_can_be_overridden(model):
    slow = "import time\ndef f(x):\n    time.sleep(1.2 if x < 0 else 0)\n    return 2 * x\n" + HALF
    assert grade_source(model, slow).score == 13
    assert grade_source(model, slow, settings=Settings(0, limits=(("first", 5.0), ("call", 5.0)))).score == 15
    hungry = "import numpy as np\ndef f(x):\n    np.empty(2**26)\n    return 2 * x\n" + HALF
    assert grade_source(model, hungry).score == 15
    assert grade_source(model, hungry, settings=Settings(0, limits=(("memory", 400 * 2**20),))).score < 15


def test_reports_come_back_from_plain_data(model):
    report = grade_source(model, "def f(x):\n    print('hello')\n    return 3 * x\n" + HALF)
    assert Report.from_dict(report.as_dict()) == report and set(report.printed.split()) == {"hello"}
    told = empty_report(model, "It was a folder.", "not readable")
    assert told.score == 0 and told.points == 15 and told.incidents == ["not readable"]


def test_references_are_the_assignments_own_fault():
    check = Check("c", 1, lambda random: [(np.zeros(1),)], "", reference=lambda x: 1 / 0)
    broken = Assignment("Broken", (Task("1", "f", "", (check,), limits=Limits(first=1)),), name="b1")
    with pytest.raises(ValueError, match="Assignment b1: the reference of task 1, check 'c', raised ZeroDivisionError"):
        grade_source(broken, "def f(x): return x")


@pytest.mark.parametrize(
    ("source", "flags"),
    [
        ("import numpy as np\nx = np.exp(1)\n", []),
        ("import os, ctypes.util\nfrom isbe_np import Head\n", ["imports ctypes", "imports isbe_np", "imports os"]),
        ("import numpy as np\nnp.exp = None\nopen('x')\n", ["calls open", "replaces a part of a library"]),
        ("().__class__.__bases__", ["uses __bases__", "uses __class__"]),
        ("def f(:", ["cannot be parsed"]),
        ("(" * 5000, ["cannot be parsed"]),
    ],
)
def test_what_a_person_should_look_at(source, flags):
    assert look_at(source, ("numpy",)) == flags
