"""Tutorials in the terminal: their cells, their text, waiting for Enter on a pseudo-terminal; and every tutorial, run."""

import os
import re
import select
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from isbe_np import lessons
from isbe_np.compiler.jit import SETTINGS

CODE = Path(__file__).parents[1]
TUTORIALS = sorted((CODE / "tutorials").glob("plot_*.py"))
FIRST_AND_OTHERS = [TUTORIALS[0], *(pytest.param(path, marks=pytest.mark.exhaustive) for path in TUTORIALS[1:])]

LESSON = '''"""
A lesson
========

Some ``text`` first.
"""

from isbe_np import lessons

lessons.step()

number = 1

# %%
# Second
# ------
# Its text.

number += 1
print("number", number, __name__)

# %%
# Exercises
# ---------
# 1. Why?
#
# Solutions
# ---------
# 1. Because.

print("last")
'''


@pytest.fixture
def script(tmp_path, monkeypatch):
    """script(source): the file of such a lesson, in a folder of its own."""
    monkeypatch.setenv("MPLBACKEND", "agg")  # the lesson would set it, for all tests after this one
    def write(source=LESSON):
        path = tmp_path / "plot_tiny.py"
        path.write_text(source, encoding="utf-8")
        return path
    return write


def run(path, *arguments, folder=None):
    """The script in a process of its own, without a terminal."""
    return subprocess.run([sys.executable, "-W", "error", str(path), *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, encoding="utf-8", cwd=folder or path.parent, timeout=600,
                          env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "80"})


# Cells


def test_cells_are_the_docstring_and_what_each_mark_begins():
    first, second, exercises, solutions = lessons.cells(LESSON)
    assert first.text == "A lesson\n========\n\nSome ``text`` first." and first.line == 1 and "number = 1" in first.code
    assert second.text == "Second\n------\nIts text." and second.code.strip().startswith("number += 1")
    assert exercises.text.strip() == "Exercises\n---------\n1. Why?" and exercises.code == ""
    assert solutions.text == "Solutions\n---------\n1. Because." and solutions.code.strip() == 'print("last")'


def test_code_begins_in_the_line_that_it_has_in_the_script():
    for cell in lessons.cells(LESSON):
        lines = LESSON.split("\n")[cell.line - 1:]
        assert lines[:cell.code.count("\n") + 1] == cell.code.split("\n") or cell.code == ""


def test_every_line_of_code_is_in_one_cell():
    code = [line for cell in lessons.cells(LESSON) for line in cell.code.split("\n") if line]
    assert code == [line for line in LESSON.split("\n") if line and not line.startswith("#")]


@pytest.mark.parametrize(("source", "texts"), [
    ("x = 1\n", [""]),
    ('"""Only this."""', ["Only this."]),
    ("x = 1\n# %%\ny = 2\n#%%\n# Text.\n#\n#  indented\n# %%\n", ["", "", "Text.\n\n indented", ""]),
    ("# %%\n# Text.\n\n# A comment of the code's.\nx = 1", ["", "Text."]),
    ("# %%\n# Solutions to come\n# -----------------\n# Solutions\n", ["", "Solutions to come\n-----------------\nSolutions"]),
])
def test_texts_of_cells(source, texts):
    assert [cell.text for cell in lessons.cells(source)] == texts


# Text


@pytest.mark.parametrize(("rst", "plain"), [
    ("``y − t``, *here* and **there**", "y − t, here and there"),
    ("a * b * c, 2*3*4 and ``**options``", "a * b * c, 2*3*4 and **options"),
    ("the `paper <https://arxiv.org/abs/2311.16357>`_ says", "the paper (https://arxiv.org/abs/2311.16357) says"),
    (":func:`~isbe_np.check_gradients` and :ref:`that`", "isbe_np.check_gradients and that"),
    (r":math:`y_j = e^{x_j - m} / \sum_k e^{x_k}`", "y_j = e^(x_j − m) / Σ_k e^(x_k)"),
    (r":math:`J = \mathrm{diag}(y) - y y^T`", "J = diag(y) − y yᵀ"),
    (r":math:`\frac{\partial y_i}{\partial x_j}`", "(∂ y_i)/(∂ x_j)"),
    (r":math:`\tau y - t \le \frac{t}{y}, x^2, \log y`", "τ y − t ≤ t/y, x², log y"),
])
def test_marks_within_a_line_become_plain(rst, plain):
    assert lessons.inline(rst) == plain == lessons.plain(rst)


@pytest.mark.parametrize(("rst", "plain"), [
    ("=====\nTitle\n=====\n\nText.", "Title\n=====\n\nText."),
    ("The ``J``\n---------\nText\nof two lines.", "The J\n-----\n\nText of two lines."),
    ("Text ::\n\n    as it\n\n::\n\n    is", "Text\n\n    as it\n\n    is"),
    ("Text::\n\n    as it  is\n    ``here``\n\n    and here\n\nMore.",
     "Text:\n\n    as it  is\n    ``here``\n\n    and here\n\nMore."),
    (".. code-block:: python\n\n    print(1)\n    print(2)\n\nAfter.", "    print(1)\n    print(2)\n\nAfter."),
    (".. math::\n\n    J^T g = y - t\n\nAfter.", "    Jᵀ g = y − t\n\nAfter."),
    (".. math:: y - t", "    y − t"),
    (".. raw:: html\n\n   <details>\n\nShown.\n\n.. raw:: html\n\n   </details>", "Shown."),
    (".. note::\n\n   Content.", "   Content."),
    (".. _label:\n\nText.", "Text."),
    ("1. One\n   goes on.\n2. Two.\n\n- Point\n- Other", "1. One goes on.\n2. Two.\n\n- Point\n- Other"),
])
def test_blocks_become_plain(rst, plain):
    assert lessons.plain(rst, 80) == plain


def test_paragraphs_are_filled_and_items_hang():
    text = lessons.plain("word " * 30 + "\n\n1. " + "word " * 30 + "\n\nSee `it <https://example.org/" + "x" * 50 + ">`_.", 40)
    assert lessons.plain("word " * 7 + "``y_i = e^x_i / Σ``", 40).endswith("\ny_i = e^x_i / Σ")
    lines = text.split("\n")
    assert all(len(line) <= 40 for line in lines if "https" not in line) and "x" * 50 + ")." in text
    start = next(k for k, line in enumerate(lines) if line.startswith("1. "))
    assert lines[start + 1].startswith("   word")


# Running, in this process


def test_cells_run_in_one_namespace_and_end_with_0(script, tmp_path, capsys):
    names = {"__name__": "__main__"}
    assert lessons.run(script(), names, ["--out", str(tmp_path / "new" / "folder")]) == 0
    out, err = capsys.readouterr()
    assert out == ("A lesson\n========\n\nSome text first.\n\n\nSecond\n------\n\nIts text.\n\nnumber 2 __main__\n\nExercises\n"
                   "---------\n\n1. Why?\n\n\nSolutions\n---------\n\n1. Because.\n\nlast\n")
    assert err == "" and names["number"] == 2 and (tmp_path / "new" / "folder").is_dir()


def test_every_new_figure_is_saved_once(script, tmp_path, capsys):
    figure = ["from matplotlib.figure import Figure\nfirst = Figure(figsize=(1, 1))", "number = 1",
              "again, second, third = first, Figure(figsize=(1, 1)), Figure(figsize=(1, 1))"]
    assert lessons.run(script("\n# %%\n".join(figure)), {}, ["--out", str(tmp_path / "out")]) == 0
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == ["plot_tiny_1.png", "plot_tiny_2.png", "plot_tiny_3.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)
    assert capsys.readouterr().out.split("\n")[:3] == [f"Figure: {file}" for file in files]


@pytest.mark.parametrize(("line", "last"), [("1 / 0", "ZeroDivisionError: division by zero"), ("return", "SyntaxError: ")])
def test_an_error_is_told_with_the_line_of_the_script(script, tmp_path, capsys, line, last):
    source = LESSON.replace("number += 1", line)
    path = script(source)
    assert lessons.run(path, {}, ["--out", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    number = source.split("\n").index(line) + 1
    assert f'File "{path}", line {number}' in err and line in err and err.rstrip().split("\n")[-1].startswith(last)
    assert "lessons.py" not in err and "Second" in out and "Exercises" not in out


def test_cells_are_compiled_by_the_rules_of_the_script(script, tmp_path):
    names = {}
    assert lessons.run(script("def f(x: 1 + 1):\n    pass"), names, ["--out", str(tmp_path)]) == 0
    assert names["f"].__annotations__ == {"x": 2}


def test_a_cell_that_exits_is_obeyed(script, tmp_path):
    with pytest.raises(SystemExit) as stop:
        lessons.run(script("raise SystemExit(7)"), {}, ["--out", str(tmp_path)])
    assert stop.value.code == 7


def test_ctrl_c_in_a_cell_ends_with_130(script, tmp_path, capsys):
    assert lessons.run(script("raise KeyboardInterrupt"), {}, ["--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "\nplot_tiny.py: interrupted.\n"


@pytest.mark.parametrize("at", [0, 3])
def test_ctrl_c_in_a_training_ends_the_lesson(script, tmp_path, capsys, at):
    """Also in its first step: no cell goes on with half a training."""
    source = ("import signal\nimport tiny\nimport isbe_np as isbe\nsteps = []\n"
              f"def press(done):\n    steps.append(done)\n    len(steps) > {at} and signal.raise_signal(signal.SIGINT)\n"
              "    return 1 - done\n"
              "told = isbe.train(tiny.net(), isbe.Head(), tiny.dataset(), 3, 6, schedule=press, progress=False)\n"
              "print(told.accuracy[-1])")
    assert lessons.run(script(source + "\n# %%\nprint('the next cell')"), {}, ["--out", str(tmp_path)]) == 130
    assert tuple(capsys.readouterr()) == ("", "\nplot_tiny.py: interrupted.\n")


def test_a_folder_that_is_none_is_refused_before_anything_runs(script, tmp_path, capsys):
    plain = tmp_path / "plain"
    plain.write_text("kept")
    with pytest.raises(SystemExit) as stop:
        lessons.run(script("print('it ran')"), {}, ["--out", str(plain / "below")])
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and out == "" and plain.read_text() == "kept"
    assert err == (f"plot_tiny.py: --out expects a folder that can be written; {plain / 'below'} is none (Not a directory). "
                   f"Name another.\n")


def test_step_does_nothing_where_it_is_not_the_script_itself(monkeypatch):
    monkeypatch.setattr(lessons, "run", lambda *_: pytest.fail("it took over"))
    assert lessons.step() is None
    exec("lessons.step()", {"lessons": lessons, "__name__": "__main__"})
    exec("lessons.step()", {"lessons": lessons, "__name__": "__main__", "__file__": str(CODE / "setup.cfg")})


# Running, in a process of its own


def test_without_a_terminal_it_runs_through(script, tmp_path):
    done = run(script(), folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("A lesson") == 1 and "number 2 __main__" in done.stdout and done.stdout.endswith("last\n")
    assert "Enter" not in done.stdout and (tmp_path / "figures").is_dir()


def test_matplotlib_is_left_alone_and_an_error_ends_with_1(script, tmp_path):
    source = LESSON.replace("number += 1", "import sys; assert not [name for name in sys.modules if 'matplotlib' in name]")
    source = source.replace('print("last")', "1 / 0")
    done = run(script(source), "--no-wait", "--out", tmp_path)
    assert done.returncode == 1 and "AssertionError" not in done.stderr
    assert f'plot_tiny.py", line {source.split(chr(10)).index("1 / 0") + 1}, in <module>' in done.stderr


def test_run_by_another_program_or_imported_the_script_is_as_it_is_written(script):
    path = script()
    done = subprocess.run([sys.executable, "-c", f"import runpy, sys; sys.argv = ['x']\n"
                           f"names = runpy.run_path({str(path)!r}, run_name='__main__'); print(names['number'])\n"
                           f"sys.path.insert(0, {str(path.parent)!r}); import plot_tiny"],
                          capture_output=True, text=True, timeout=300)
    assert (done.stdout, done.stderr) == ("number 2 __main__\nlast\n2\nnumber 2 plot_tiny\nlast\n", "")


# Makes standard input the terminal that Ctrl-C comes from, then runs the script. A background job may have Ctrl-C turned off.
OWN_TERMINAL = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.default_int_handler)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class Terminal:
    """A script on a pseudo-terminal of 60 columns: what it has shown, and keys for it."""

    def __init__(self, path, *arguments):
        fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, (40).to_bytes(2, sys.byteorder) + (60).to_bytes(2, sys.byteorder) + bytes(4))
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen([sys.executable, "-c", OWN_TERMINAL, str(path), *arguments], stdin=slave, stdout=slave,
                                        stderr=slave, cwd=path.parent, start_new_session=True,
                                        env={**environment, "TERM": "dumb", "PYTHONIOENCODING": "utf-8"})
        os.close(slave)

    def until(self, end, again=""):
        """What is shown from now on up to `end`, for which keys are pressed `again` every other second, for a minute."""
        found, start = b"", time.monotonic()
        while not (end and end in found.decode(errors="replace")):
            ready, _, _ = select.select([self.master], [], [], 2)
            try:
                part = os.read(self.master, 4096) if ready else None
            except OSError:  # Linux says so when the other side is closed
                part = b""
            if part == b"" or time.monotonic() > start + 300:
                break
            if part is None:
                self.press(again)
            found += part or b""
        text = found.decode().replace("\r\n", "\n")
        if end not in text:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"{end!r} was not shown, but {text!r}")
        return text

    def press(self, keys):
        os.write(self.master, keys.encode())

    def code(self):
        """The exit code, once the process has ended."""
        self.until("")
        os.close(self.master)
        return self.process.wait(60)


def test_on_a_terminal_each_cell_waits_for_enter(script, tmp_path):
    terminal = Terminal(script(LESSON.replace("Some ``text`` first.", "Some ``text`` first. " + "And more. " * 9)))
    first = terminal.until("[Enter: next, q: stop] ")
    assert first.startswith("A lesson\n========\n\nSome text first. And more.") and "Second" not in first
    assert max(map(len, first.split("\n"))) <= 60
    terminal.press("\n")
    second = terminal.until("[Enter: next, q: stop] ")
    assert "Second\n------\n\nIts text.\n\nnumber 2 __main__\n" in second and "Exercises" not in second
    terminal.press("\n")
    third = terminal.until("[Enter: the solutions, q: stop] ")
    assert "1. Why?" in third and "Because" not in third and "last" not in third
    terminal.press("\n")
    assert "Solutions\n---------\n\n1. Because.\n\nlast\n" in terminal.until("last\n") and terminal.code() == 0


@pytest.mark.parametrize(("keys", "code"), [("q\n", 0), ("\x04", 0), ("\x03", 130)], ids=["q", "end of input", "Ctrl-C"])
def test_on_a_terminal_it_can_be_stopped(script, keys, code):
    terminal = Terminal(script())
    terminal.until("[Enter: next, q: stop] ")
    terminal.press(keys)
    if code == 130:  # pressed between the prompt and the reading, it would be noticed at the next key only
        terminal.until("plot_tiny.py: interrupted.", again=keys)
    assert terminal.code() == code


def test_no_wait_on_a_terminal_waits_for_nothing(script):
    terminal = Terminal(script(), "--no-wait")
    assert "Enter" not in terminal.until("last\n") and terminal.code() == 0


# The tutorials


def section(source, title):
    """The text of a tutorial's section, up to the next one."""
    text = "\n\n".join(cell.text for cell in lessons.cells(source))
    found = re.search(rf"^{title}\n-+\n(.*?)(?=^\S[^\n]*\n-+$|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {title}"
    return found[1]


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_has_the_form_of_one(path):
    source = path.read_text(encoding="utf-8")
    lines = source.split("\n")
    assert len(lines) - 1 <= 120 and max(map(len, lines)) <= 128
    assert re.match(r'"""\n\S.*\n=+\n\n\S(?:.|\n)*?\S\n"""\n\nfrom isbe_np import lessons\n\nlessons\.step\(\)\n', source)
    assert not [line for line in lines if re.match(r"#\s*%%\s*\S", line)]
    for title in ("Exercises", "Solutions"):
        assert re.findall(r"^(\d)\. ", section(source, title), re.MULTILINE) == ["1", "2", "3"]
    text = lessons.plain("\n\n".join(cell.text for cell in lessons.cells(source)))
    assert not re.search(r"``|:math:|\.\. \w", text)


@pytest.mark.skipif(SETTINGS.DISABLE_JIT, reason="tutorials would take minutes without the compiler")
@pytest.mark.parametrize("path", FIRST_AND_OTHERS, ids=lambda path: path.stem)
def test_a_tutorial_runs_with_its_solutions_and_leaves_a_figure(path, tmp_path):
    source = path.read_text(encoding="utf-8")
    solutions = re.findall(r"\.\. code-block:: python\n\n((?: +.*\n|\n)+)", section(source, "Solutions") + "\n")
    script = path
    if solutions:
        script = tmp_path / path.name
        script.write_text("\n".join([source, "# %%", *map(textwrap.dedent, solutions)]), encoding="utf-8")
    done = run(script, "--no-wait", "--out", tmp_path / "out", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr + done.stdout and "nan" not in done.stderr
    figures = list((tmp_path / "out").glob("*.png"))
    assert figures and all(figure.stat().st_size > 5000 for figure in figures)


@pytest.mark.skipif(SETTINGS.DISABLE_JIT, reason="tutorials would take minutes without the compiler")
@pytest.mark.parametrize("path", FIRST_AND_OTHERS, ids=lambda path: path.stem)
def test_a_tutorial_steps_on_a_terminal(path, tmp_path):
    cells = lessons.cells(path.read_text(encoding="utf-8"))
    terminal = Terminal(path, "--out", str(tmp_path))
    shown = []
    for _ in cells[1:]:
        shown.append(terminal.until("q: stop] "))
        terminal.press("\n")
    shown.append(terminal.until(""))
    for cell, part in zip(cells, shown, strict=True):
        assert lessons.plain(cell.text, 60).split("\n\n")[0] in part
    assert shown[-2].endswith("[Enter: the solutions, q: stop] ") and terminal.code() == 0
    assert "Figure: " in "".join(shown) and "Warning" not in "".join(shown)
