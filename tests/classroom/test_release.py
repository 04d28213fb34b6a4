"""What students get: no trace of the solution, and checks that run; and what an instructor is told of a faulty source."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from isbe_np import cli
from isbe_np.classroom import AssignmentError, Formula
from isbe_np.classroom.assignment import available, find, from_files
from isbe_np.classroom.public import from_json, to_json, verify
from isbe_np.classroom.release import prove, release, solutions, strip, student_files

SOURCE = '''"""A model."""
import numpy as np


def twice(x):
    """2 x."""
    # BEGIN SOLUTION
    doubled = np.asarray(x) * 2
    return doubled
    # END SOLUTION
'''
CHECKS = """
import numpy as np
from isbe_np.classroom import Assignment, Check, Task

ASSIGNMENT = Assignment("Doubling", (Task("1", "twice", "Twice", (
    Check("values", 2, lambda random: [(random.normal(size=3),)], "Add it to itself."),
    Check("empty", 1, lambda random: [(np.zeros(0),)], "Nothing twice is nothing.", public=False))),))
"""
HANDOUT = "# Doubling\n"


def files(source=SOURCE, checks=CHECKS):
    return {"m1.py": source, "checks.py": checks, "handout.md": HANDOUT}


def test_the_stub_has_a_prompt_and_an_error_where_the_solution_was():
    stub = strip(SOURCE)
    assert stub == SOURCE[: SOURCE.index("    # BEGIN")] + (
        '    # Your code here.\n    raise NotImplementedError("twice is not written yet")\n'
    )


def test_a_solution_outside_of_functions_leaves_a_prompt_alone():
    assert strip("x = 1\n# BEGIN SOLUTION\ndef helper():\n    return 1\n# END SOLUTION\n") == "x = 1\n# Your code here.\n"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("# BEGIN SOLUTION\nx = 1\n", "the solution that begins on line 1 has no END SOLUTION."),
        ("x = 1\n# END SOLUTION\n", "line 2: END SOLUTION, but no solution has begun."),
        (
            "# BEGIN SOLUTION\n# BEGIN SOLUTION\n# END SOLUTION\n",
            "line 2: BEGIN SOLUTION, but the solution from line 1 on has not ended.",
        ),
        (
            "x = 1  # BEGIN SOLUTION\n# END SOLUTION\n",
            "line 1: a marker is a comment on its own line; got 'x = 1  # BEGIN SOLUTION'.",
        ),
        ("if True:\n# BEGIN SOLUTION\n    x = 1\n# END SOLUTION\n", "without its solutions it is no Python"),
    ],
)
def test_faulty_markers_are_told_with_their_line(source, words):
    with pytest.raises(AssignmentError, match=r"^m1\.py") as told:
        strip(source, "m1.py")
    assert words in str(told.value)


def test_a_model_proves_itself():
    reports = prove(from_files("m1", files()))
    assert {what: report.score for what, report in reports.items()} == {
        "solution, private cases": 3,
        "solution, public cases": 2,
        "stub, private cases": 0,
        "stub, public cases": 0,
    }


@pytest.mark.parametrize(
    ("source", "checks", "words"),
    [
        (
            SOURCE.replace("* 2", "* 3 if np.size(x) else 1"),
            CHECKS.replace("public=False", "public=False, reference=lambda x: x"),
            "its solution must get every point for the private cases, and does not. task 1, 'empty': the result has shape ()",
        ),
        ("import numpy as np\ndef twice(x):\n    return np.asarray(x) * 2\n", CHECKS, "has no solution between"),
        (
            SOURCE.replace('"""2 x."""', '"""doubled = ...\n    return doubled\n    """'),
            CHECKS,
            "would show the students a line of the solution, 'return doubled'",
        ),
        (SOURCE, CHECKS.replace("ASSIGNMENT", "EXERCISE"), "checks.py must define ASSIGNMENT"),
        (SOURCE, CHECKS + "1 / 0", "checks.py cannot be run: ZeroDivisionError"),
        (SOURCE, CHECKS.replace('"twice"', '"thrice"'), "the solution has no function thrice"),
        (SOURCE, CHECKS.replace('"empty"', '"values"'), "needs checks with points and different names"),
        (SOURCE, CHECKS.replace(", 2, lambda", ", 0, lambda"), "needs checks with points and different names"),
        (
            SOURCE,
            CHECKS.replace('itself."', 'itself.", reference=lambda x: 1 / 0'),
            "the reference of task 1, check 'values', raised ZeroDivisionError",
        ),
        (
            SOURCE,
            CHECKS.replace('nothing.", public=False))),)', 'nothing.", public=False))),), ("torch",)'),
            "modules can be numpy, numba",
        ),
        (SOURCE, CHECKS.replace('itself."', 'itself.", public=False'), "task 1 has no public check"),
        (
            SOURCE,
            CHECKS.replace("(np.zeros(0),)", "(np.zeros(0), 1)"),
            "task 1, 'empty': TypeError: twice() takes 1 positional argument",
        ),
    ],
)
def test_faulty_assignments_are_told(source, checks, words):
    with pytest.raises(AssignmentError) as told:
        prove(from_files("m1", files(source, checks)))
    assert words in str(told.value)


def test_a_stub_that_passes_is_an_error():
    easy = (
        "def twice(x):\n    try:\n        # BEGIN SOLUTION\n        return x + 1 * x\n        # END SOLUTION\n"
        "    except NotImplementedError:\n        return 2 * x\n"
    )
    with pytest.raises(
        AssignmentError, match=r"its stub must get none for the private cases, and does not\. task 1, 'values': passed"
    ):
        prove(from_files("m1", files(easy)))


@pytest.mark.exhaustive
@pytest.mark.parametrize("folder", available(), ids=lambda folder: folder.name)
def test_every_assignment_shows_no_trace_of_its_solution(folder):
    assignment = find(folder)
    told = student_files(assignment)
    assert len(solutions(assignment.files[f"{assignment.name}.py"])) >= len(assignment.tasks)
    assert set(told) == {
        f"{assignment.name}.py",
        f"{assignment.name}.json",
        f"test_{assignment.name}.py",
        "handout.md",
        "README.md",
        "pytest.ini",
    }
    assert "SOLUTION" not in "".join(told.values()) and told[f"{assignment.name}.py"].count("NotImplementedError") >= len(
        assignment.tasks
    )


def test_public_cases_are_the_same_after_json():
    assignment = find("a1")
    back = from_json(to_json(assignment))
    for task, told in zip(assignment.tasks, back.tasks, strict=True):
        assert [check.name for check in told.checks] == [check.name for check in task.checks if check.public]
        for check in told.checks:
            for arguments in check.cases(np.random.default_rng(5)):
                for want, have in zip(
                    assignment.expected(task, next(c for c in task.checks if c.name == check.name), arguments),
                    back.expected(told, check, arguments),
                    strict=True,
                ):
                    assert np.array_equal(want, have) and want.dtype == have.dtype


def test_formulas_are_the_same_after_json():
    checks = (
        CHECKS.replace("Check, Task", "Check, Formula, Task")
        .replace("(random.normal(size=3),)", '(Formula("x", "a * x", a=np.array([1.0, 2.0])),)')
        .replace("(np.zeros(0),)", '(Formula("x", "x"),)')
    )
    assignment = from_files("m1", files(SOURCE.replace("np.asarray(x) * 2", "x(3.0)"), checks))
    check = from_json(to_json(assignment)).tasks[0].checks[0]
    ((formula,),) = check.cases(None)
    assert isinstance(formula, Formula) and np.array_equal(formula(3.0), [3, 6])
    assert np.array_equal(check.reference(formula)[0], [3, 6])


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class") / "a1"
    release(find("a1"), folder)
    return folder


@pytest.mark.exhaustive
def test_release_needs_an_empty_folder(handed_out, capsys):
    before = {path: path.read_bytes() for path in handed_out.iterdir() if path.is_file()}
    assert cli.main(["assignment", "release", "a1", str(handed_out)]) == 2
    assert "release expects a new or empty folder" in capsys.readouterr().err
    assert all(path.read_bytes() == data for path, data in before.items())


def pytest_in(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.exhaustive
def test_the_public_tests_run_by_task(handed_out):
    stub = handed_out / "a1.py"
    text = stub.read_text()
    try:
        ran = pytest_in(handed_out, "-m", "task1_1")
        assert "3 failed, 7 deselected" in ran.stdout and "softmax is not written yet" in ran.stdout
        stub.write_text(find("a1").files["a1.py"])
        assert "10 passed" in pytest_in(handed_out).stdout
        stub.write_text(find("a1").files["a1.py"].replace("scores - scores.max(axis=1, keepdims=True)", "scores", 1))
        ran = pytest_in(handed_out, "-m", "task1_1")
        assert (
            "1 failed, 2 passed" in ran.stdout and "got nan" in ran.stdout and "Subtract the row's largest score" in ran.stdout
        )
    finally:
        stub.write_text(text)


def test_check_tells_and_its_exit_code_says_so(handed_out, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(handed_out)
    assert cli.main(["check", "a1", "--task", "1.3"]) == 1
    out = capsys.readouterr().out
    assert "FAILED  values (2)" in out and "softmax_jacobian is not written yet" in out and "0 / 3 points" in out
    (tmp_path / "a1.py").write_text(find("a1").files["a1.py"])
    (tmp_path / "a1.json").write_text((handed_out / "a1.json").read_text())
    assert cli.main(["check", "a1", "--folder", str(tmp_path), "--json", str(tmp_path / "found.json")]) == 0
    assert "15 / 15 points" in capsys.readouterr().out and json.loads((tmp_path / "found.json").read_text())["score"] == 15


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "a1", "--folder", "nowhere"], "nowhere has no a1.json, the public checks."),
        (["check", "a1", "--task", "1.9"], "a1: --task expects one of '1.1', '1.2', '1.3', '1.4', '1.5'; got '1.9'."),
        (["assignment", "show"], "show expects an assignment's name, as in isbe assignment show NAME."),
        (["assignment", "release", "a1"], "release expects an assignment's name and what to write"),
        (["assignment", "list", "a1"], "list shows every assignment and takes no name"),
        (
            ["assignment", "show", "a11"],
            "The name of an assignment expects one of 'a1', 'a2', 'a3', 'a4', 'a5', 'a6'; got 'a11'. Did you mean 'a1'?"
            " A folder is written with a separator, such as ./a11.",
        ),
    ],
)
def test_refusals(handed_out, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(handed_out)
    assert cli.main(arguments) == 2 and words in capsys.readouterr().err


def test_damaged_public_checks_are_told(tmp_path, capsys):
    (tmp_path / "a1.py").write_text("")
    for text in ("{", "[]", '{"tasks": 3}'):
        (tmp_path / "a1.json").write_text(text)
        assert cli.main(["check", "a1", "--folder", str(tmp_path)]) == 2
        assert "Take the file as it was handed out." in capsys.readouterr().err


def test_public_checks_of_somebody_elses_run_nothing_here(handed_out, tmp_path, capsys):
    told = json.loads((handed_out / "a1.json").read_text())
    marker = str(tmp_path / "ran")
    told["tasks"][0]["checks"][0]["cases"][0]["arguments"] = [{"formula": ["x", f"0, open({marker!r}, 'w')"], "values": {}}]
    (tmp_path / "a1.json").write_text(json.dumps(told))
    (tmp_path / "a1.py").write_text(find("a1").files["a1.py"])
    assert cli.main(["check", "a1", "--folder", str(tmp_path), "--task", "1.1"]) == 1
    assert not (tmp_path / "ran").exists()


def test_verify_takes_what_the_grader_takes(handed_out, tmp_path):
    for name in ("a1.json", "test_a1.py"):
        (tmp_path / name).write_text((handed_out / name).read_text())
    more = "\nright = softmax\ndef softmax(x):\n    return right(x) + 0j\n"
    (tmp_path / "a1.py").write_text(find("a1").files["a1.py"] + more)
    with pytest.raises(AssertionError, match=r"the result is of dtype complex128 where real numbers are expected"):
        verify(str(tmp_path / "test_a1.py"), "1.1", "values")


def test_list_and_show(capsys, tmp_path):
    assert cli.main(["assignment", "list", "--json", str(tmp_path / "all.json")]) == 0
    assert (
        "Softmax and its Jacobian" in capsys.readouterr().out
        and json.loads((tmp_path / "all.json").read_text())["a1"]["points"] == 16
    )
    assert cli.main(["assignment", "show", "a1"]) == 0
    assert "1.5   jacobian_times        many classes     no           1" in capsys.readouterr().out


def test_verify_survives_answers_that_alter_their_arguments(handed_out, tmp_path):
    for name in ("a1.json", "test_a1.py"):
        (tmp_path / name).write_text((handed_out / name).read_text())
    (tmp_path / "a1.py").write_text(
        "import numpy as np\ndef softmax(x):\n    x -= x.max(axis=1, keepdims=True)\n    np.exp(x, out=x)\n"
        "    x /= x.sum(axis=1, keepdims=True)\n    return x\n\n\ndef softmax_jacobian(y):\n    pass\n"
    )
    verify(str(tmp_path / "test_a1.py"), "1.1", "values")
    with pytest.raises(AssertionError, match="returned None"):
        verify(str(tmp_path / "test_a1.py"), "1.3", "values")


def test_the_instructors_example_works_as_it_is_written(tmp_path):
    text = (available()[0].parent / "README.md").read_text(encoding="utf-8")
    source, checks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    folder = tmp_path / "double"
    folder.mkdir()
    for name, part in (("double.py", source), ("checks.py", checks), ("handout.md", "# Doubling\n")):
        (folder / name).write_text(part, encoding="utf-8")
    assert cli.main(["assignment", "release", str(folder), str(tmp_path / "handout")]) == 0
    assert cli.main(["grade", str(folder), str(folder / "double.py"), "--out", str(tmp_path / "graded"), "--workers", "1"]) == 0
    assert "double,double.py,3,3,3,," in (tmp_path / "graded" / "grades.csv").read_text()


def test_the_instructors_page_names_every_assignment_and_every_command_there_is(capsys):
    text = (available()[0].parent / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == [folder.name for folder in available()]
    assert cli.main(["grade", "--help"]) == 0
    options = capsys.readouterr().out
    assert all(option in options for option in re.findall(r"`(--[\w-]+)", text))


@pytest.mark.parametrize("folder", available(), ids=lambda folder: folder.name)
def test_a_handouts_table_says_what_the_tasks_are_worth(folder):
    assignment = find(folder)
    rows = re.findall(r"^\| ([\d.]+) \| `(\w+)\(.*?\| (\d+) \|", assignment.files["handout.md"], re.MULTILINE)
    assert rows == [(task.number, task.function, f"{task.points:g}") for task in assignment.tasks]
