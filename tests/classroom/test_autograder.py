"""Gradescope's layout: the zip holds all that its two scripts need, and they work in a folder of that layout."""

import configparser
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from isbe_np import cli
from isbe_np.classroom.assignment import find
from isbe_np.classroom.autograder import autograder

pytestmark = pytest.mark.exhaustive

A1 = find("a1")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return autograder(A1, tmp_path_factory.mktemp("zip") / "a1.zip")


def test_what_is_in_it(archive):
    with zipfile.ZipFile(archive) as opened:
        names = set(opened.namelist())
        assert {
            "setup.sh",
            "run_autograder",
            "isbe_np/cli/__init__.py",
            "isbe_np/classroom/runner.py",
            "assignments/a1/a1.py",
            "assignments/a1/checks.py",
            "assignments/a1/handout.md",
        } <= names
        assert not any("__pycache__" in name or name.startswith(("/", "tests")) for name in names)
        for script in ("setup.sh", "run_autograder"):
            assert opened.getinfo(script).external_attr >> 16 == 0o755
        needs = opened.read("setup.sh").decode().splitlines()[-1]
        project = configparser.ConfigParser()
        project.read(Path(__file__).parents[2] / "setup.cfg")
        numba = next(line for line in project["options"]["install_requires"].splitlines() if line.startswith("numba"))
        assert f"'{numba.replace(' ', '')}'" in needs and "pytest" not in needs


def test_the_same_contents_are_the_same_file(archive, tmp_path):
    assert autograder(A1, tmp_path / "again.zip").read_bytes() == archive.read_bytes()


@pytest.fixture
def layout(archive, tmp_path):
    """/autograder in another place, with this Python in the place of the one that setup.sh makes."""
    source = tmp_path / "source"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(archive), str(source)], check=True)
    (source / "venv" / "bin").mkdir(parents=True)
    (source / "venv" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "run_autograder").write_bytes((source / "run_autograder").read_bytes())
    (tmp_path / "submission").mkdir()
    return tmp_path


def run(layout):
    # Neither the working folder nor the environment may matter.
    done = subprocess.run(
        ["bash", str(layout / "run_autograder")],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "VIRTUAL_ENV": sys.prefix},
    )
    assert done.returncode == 0, done.stderr
    return json.loads((layout / "results" / "results.json").read_text()), done.stdout


def with_libraries(layout):
    """A link to an interpreter is no virtual environment: let it find NumPy where this one does."""
    (layout / "source" / "venv" / "pyvenv.cfg").write_text((Path(sys.prefix) / "pyvenv.cfg").read_text())
    library = Path(f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages")
    (layout / "source" / "venv" / library.parent).mkdir(parents=True)
    (layout / "source" / "venv" / library).symlink_to(Path(sys.prefix) / library)


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="Python runs in no virtual environment whose libraries could be lent")
@pytest.mark.parametrize(
    ("name", "source", "score"),
    [
        ("a1.py", A1.files["a1.py"], 16),
        ("mine.py", A1.files["a1.py"].replace("np.outer", "np.add.outer"), 11),
        ("notes.txt", "", 0),
    ],
)
def test_a_submission_is_graded_in_that_layout(layout, name, source, score):
    with_libraries(layout)
    (layout / "submission" / name).write_text(source)
    results, printed = run(layout)
    assert results["score"] == score and len(results["tests"]) == 11 and "1 submission" in printed
    assert score or "The folder holds no Python file and no a1.py. Hand in a1.py." in results["output"]


def test_without_its_libraries_there_still_is_a_result(layout):
    (layout / "source" / "venv" / "bin" / "python").unlink()
    results, _ = run(layout)
    assert results["score"] == 0 and "did not start" in results["output"]


@pytest.mark.parametrize(("name", "words"), [("a1.tar", "does not end in .zip"), ("there.zip", "is there already")])
def test_other_names_are_refused(tmp_path, capsys, name, words):
    (tmp_path / "there.zip").write_text("kept")
    assert cli.main(["assignment", "autograder", "a1", str(tmp_path / name)]) == 2
    assert words in capsys.readouterr().err and (tmp_path / "there.zip").read_text() == "kept"
