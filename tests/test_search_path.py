"""The command imports nothing from the working folder, whatever lies there; a program that imports the package still may."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.exhaustive

ROOT = Path(__file__).resolve().parents[1]
# What Python has imported, or looked for, before it comes to any line of the package.
BEFORE = {"nt", "_winapi", *subprocess.run([sys.executable, "-P", "-c", "import re, runpy, sys; print(*sys.modules)"],
                                           capture_output=True, text=True, check=True).stdout.split()}
OTHERS = ("numpy", "numba", "llvmlite", "tqdm", "matplotlib", "yaml", "scipy", "distributed", "safetensors", "conftest", "a1")
HOSTILE = "import os\nwith open({marker!r}, 'a') as file:\n    file.write(__name__ + ' ')\nos._exit(66)\n"
SOLUTION = (ROOT / "tutorials" / "assignments" / "a1" / "a1.py").read_text(encoding="utf-8")


@pytest.fixture
def hostile(tmp_path):
    """A folder with a file for every module that could be looked for in it, and a submission."""
    folder = tmp_path / "bob"
    folder.mkdir()
    for name in {*sys.stdlib_module_names, *OTHERS} - BEFORE:
        (folder / f"{name}.py").write_text(HOSTILE.format(marker=str(tmp_path / "ran")))
    (folder / "sub").mkdir()
    (folder / "sub" / "a1.py").write_text(SOLUTION)
    return folder


def started(way, folder, *arguments, **environment):
    settings = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | environment
    return subprocess.run([*way, *arguments], cwd=folder, capture_output=True, text=True, check=False, env=settings)


MODULE = (sys.executable, "-m", "isbe_np")


@pytest.mark.parametrize(("way", "search"), [
    (("-m", "isbe_np"), None), (("-Bmisbe_np",), ":"), (("{script}",), None), (("{script}",), ".:/nowhere"),
    (("-P", "-m", "isbe_np"), "/nowhere:{folder}"),
])
def test_grading_imports_nothing_from_the_working_folder(hostile, tmp_path, way, search):
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "isbe"  # as pip writes it
    script.write_text("import re\nimport sys\nfrom isbe_np.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n")
    command = [sys.executable, *(part.format(script=script) for part in way)]
    environment = {} if search is None else {"PYTHONPATH": search.format(folder=hostile)}
    done = started(command, hostile, "grade", "a1", "sub", "--out", "../graded", "--seed", "1", "--workers", "1", **environment)
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    assert done.returncode == 0 and "mean 16.00 of 16 points" in done.stdout, done.stderr


def test_a_checkout_runs_without_being_installed_and_so_do_its_workers(tmp_path):
    for name in ("isbe_np", "tutorials"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "numpy.py").write_text(HOSTILE.format(marker=str(tmp_path / "ran")))
    (tmp_path / "ann.py").write_text(SOLUTION)
    with open(tmp_path / "isbe_np" / "classroom" / "whole_class.py", "a", encoding="utf-8") as file:
        file.write(f"open({str(tmp_path / 'here')!r}, 'a').write('x')\n")  # this copy is what runs
    done = started(MODULE, tmp_path, "grade", "a1", "ann.py", "--out", "graded", "--workers", "1")
    assert done.returncode == 0 and "mean 16.00 of 16 points" in done.stdout, done.stderr
    assert (tmp_path / "here").read_text() == "xx" and not (tmp_path / "ran").exists()  # in the process and in its worker


def test_a_program_that_imports_the_package_keeps_its_search_path(tmp_path):
    (tmp_path / "beside.py").write_text("import isbe_np, sys\nprint(sys.path[0])\n")
    (tmp_path / "isbe.py").write_text("import isbe_np, os, sys\nimport beside\nprint(os.environ.get('PYTHONSAFEPATH'))\n")
    done = started((sys.executable, "isbe.py"), tmp_path)
    assert done.stdout.splitlines() == [str(tmp_path), "None"], done.stderr
    done = started((sys.executable, "-m", "beside"), tmp_path)
    assert done.stdout.splitlines() == [str(tmp_path)], done.stderr
