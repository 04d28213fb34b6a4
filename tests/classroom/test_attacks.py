"""Every hostile submission of `attacks.py` gets what it deserves, changes nothing, and leaves the next one in peace.

Where a machine lacks a wall that an attack needs to be stopped by, the attack is not tried: it could do harm. All others are
tried everywhere, and must hold everywhere.
"""

import csv
import dataclasses
import os
import platform
import signal
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from attacks import ATTACKS, GOOD, ROOT

from isbe_np.classroom import feedback, sandbox
from isbe_np.classroom.assignment import find
from isbe_np.classroom.grading import Settings, grade_source
from isbe_np.classroom.sandbox import Limits, Sandbox
from isbe_np.classroom.whole_class import grade

pytestmark = pytest.mark.exhaustive

A1 = find(ROOT / "tutorials" / "assignments" / "a1")
FIRST = dataclasses.replace(A1, tasks=(A1.task("1.1"),))
TWO = dataclasses.replace(A1, tasks=(A1.task("1.1"), A1.task("1.3")))  # for a process that hangs costs seconds in every task
LIMITS = {"start": 30.0, "first": 30.0, "call": 30.0, "memory": 2**29}  # beside other tests a process may wait for its turn


@pytest.fixture(scope="module")
def walls():
    """The names of the walls that this machine has, and its processor's."""
    with Sandbox("def f(x):\n    return x", "f") as one:
        one.call([np.ones(1)])
        return {name for name, stands in one.walls.items() if stands} | {platform.machine()}


class Canaries:
    """A folder that anyone may write in: another submission, a key, results; so that only the walls keep them as they are."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="canaries_"))
        (self.folder / "out").mkdir()
        for name in ("alice.py", "key", "out/grades.csv", "out/results.json"):
            (self.folder / name).write_text(f"this is {name}\n")
            os.chmod(self.folder / name, 0o666)
        for folder in (self.folder, self.folder / "out"):
            os.chmod(folder, 0o777)
        self.before = self.state()

    def state(self):
        """Names, contents, modes, owners, times."""
        told = {}
        for path in [self.folder, *sorted(self.folder.rglob("*"))]:
            kind = path.lstat()
            told[str(path)] = (kind.st_mode, kind.st_uid, kind.st_gid, kind.st_size, kind.st_mtime_ns, kind.st_ctime_ns,
                               kind.st_nlink, path.read_bytes() if path.is_file() else b"")
        return told


@pytest.fixture(scope="module")
def canaries():
    """See the class; removed at the end."""
    import shutil
    made = Canaries()
    yield made
    shutil.rmtree(made.folder)


@pytest.fixture
def homes(monkeypatch):
    """The folders of all processes that the grader starts."""
    started, popen = [], sandbox.subprocess.Popen

    def remember(*args, **options):
        started.append(options["cwd"])
        return popen(*args, **options)

    monkeypatch.setattr(sandbox.subprocess, "Popen", remember)
    return started


def alive(homes):
    """Processes that were started in one of the folders, however they have moved since; where /proc tells it."""
    marks = [f"HOME={home}".encode() for home in homes]
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if any(mark in (entry / "environ").read_bytes().split(b"\0") for mark in marks):
                found.append(entry.name)
        except OSError:
            pass
    return found


def litter():
    """Files that only an attack would make."""
    places = {Path(tempfile.gettempdir()), Path("/dev/shm"), Path("/var/tmp"), Path.cwd()}
    return [path for place in places if place.is_dir() for path in place.glob("attack_*")]


def everything(report):
    """All that a report tells, in one text."""
    checks = [check for task in report.tasks for check in task.checks]
    return "\n".join([*report.incidents, *report.flags, report.printed, report.fault, *(c.message for c in checks),
                      *(c.arguments for c in checks)])


def test_there_are_enough_of_them():
    assert len(ATTACKS) >= 100 and len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_gets_what_it_deserves_and_changes_nothing(attack, walls, canaries, homes):
    missing = set(attack.walls) - walls
    if missing:
        pytest.skip(f"not tried here, where there is no wall: {', '.join(sorted(missing))}")
    source = (attack.source.replace("@CANARIES@", str(canaries.folder)).replace("@ROOT@", str(ROOT))
              .replace("@TEMP@", tempfile.gettempdir()))
    heard = []
    handlers = {number: signal.signal(number, lambda *got: heard.append(got[0])) for number in (signal.SIGTERM, signal.SIGUSR2)}
    limits = Limits(**{**LIMITS, **attack.limits})
    # An attack's own time is for the attack: the right answers, in task 1.3, have what the others have.
    tasks = tuple(dataclasses.replace(task, limits=dataclasses.replace(limits, **more))
                  for task, more in zip(TWO.tasks, ({}, {"first": LIMITS["first"], "call": LIMITS["call"]}), strict=True))
    try:
        report = grade_source(dataclasses.replace(TWO, tasks=tasks, modules=attack.modules), source, settings=Settings(seed=11))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    told = everything(report)
    assert (report.score, tuple(report.incidents)) == (attack.score, attack.incidents), told
    assert attack.word in told
    assert "DONE" not in report.printed, report.printed
    assert not heard
    assert not set(told) & {"\x1b", "\x9b", "\x00", "\x07", "\r", "\u202e", "\u2066"}

    page = feedback.as_html(report, "mallory")
    assert "<script" not in page and "onerror=alert(1)>" not in page and len(page) < 200_000
    assert not feedback.class_csv([("mallory", "mallory.py", report)]).splitlines()[1].startswith(("=", "+", "-", "@"))

    assert canaries.state() == canaries.before
    assert not litter()
    assert not alive(homes)
    assert not [home for home in homes if os.path.exists(home)]
    good = grade_source(FIRST, GOOD, settings=Settings(seed=12))
    assert good.score == good.points and not good.incidents


def test_after_all_of_them_the_right_answers_get_everything():
    report = grade_source(A1, GOOD, seed=13)
    assert report.score == report.points == 16 and not report.incidents and not report.flags


NAMES = ["\u202egnp.exe", "\x1b[31mred", "a\nb", "<b>x<b>", "=1+1", "@SUM(1)", "-rf", "x" * 250, "CON", "\U0001f600",
         "[x](javascript:1)", "`x`", "Ann", "ann", " ", "e\u0301", "\u00e9", "index", "grades.csv"]
TEXTS = {  # what a file holds: whether it is right, and a word of the report
    "good": (GOOD.encode(), True, ""), "bom": (b"\xef\xbb\xbf" + GOOD.encode(), True, ""),
    "crlf": (GOOD.replace("\n", "\r\n").encode(), True, ""),
    "cookie": (b"# -*- coding: latin-1 -*-\n# \xfc\n" + GOOD.encode(), True, ""),
    "utf7": (b"# -*- coding: utf-7 -*-\n" + GOOD.encode(), False, "declares the encoding utf-7"),
    "empty": (b"", False, "is empty"), "nul": (GOOD.encode() + b"\0", False, "NUL"),
    "latin": ("# caf\u00e9\n".encode("latin-1"), False, "UTF-8"), "utf16": (GOOD.encode("utf-16"), False, "UTF-8"),
    "huge": (b"#" * 10**7, False, "at most"), "binary": (bytes(range(256)), False, "UTF-8"),
    "separator": ("x = 1\u2028y = 2\n".encode(), False, "SyntaxError"),
}


def odd_files(place, secret):
    """All kinds of files that could lie in a folder of submissions; returns what each deserves, by student."""
    deserved = {name: (False, "no function softmax") for name in NAMES}
    for name in NAMES:
        (place / f"{name}.py").write_text("x = 1\n")
    for name, (data, right, word) in TEXTS.items():
        (place / f"{name}.py").write_bytes(data)
        deserved[name] = right, word
    (place / "link.py").symlink_to("good.py")
    (place / "stolen.py").symlink_to(secret)
    (place / "loop.py").symlink_to("loop.py")
    os.mkfifo(place / "fifo.py")
    for name in ("a link inside", "a folder inside", "nothing inside", "two inside", "a pipe inside", "right inside"):
        (place / name).mkdir()
    (place / "a link inside" / "a1.py").symlink_to(place / "good.py")
    (place / "a folder inside" / "a1.py").mkdir()
    (place / "two inside" / "one.py").write_text(GOOD)
    (place / "two inside" / "other.py").write_text(GOOD)
    os.mkfifo(place / "a pipe inside" / "a1.py")
    (place / "right inside" / "a1.py").write_text(GOOD)
    (place / "a folder").symlink_to(secret.parent)
    refusals = {"symbolic link": ("link", "stolen", "loop", "a link inside", "a folder"), "no Python file": ("nothing inside",),
                "no ordinary file": ("fifo", "a folder inside", "a pipe inside"), "2 Python files": ("two inside",)}
    deserved.update({name: (False, word) for word, names in refusals.items() for name in names})
    deserved["right inside"] = True, ""
    return deserved


def test_odd_files_are_refused_by_name_and_cost_nobody_else_anything(tmp_path):
    place, out, secret = tmp_path / "in", tmp_path / "out", tmp_path / "key" / "secret.py"
    place.mkdir()
    secret.parent.mkdir()
    secret.write_text(GOOD)
    deserved = odd_files(place, secret)
    with open(os.path.join(os.fsencode(place), b"not\xff utf-8.py"), "w") as file:
        file.write("x = 1\n")
    with ThreadPoolExecutor(2) as pool:
        done = grade(A1, place, out, seed=3, executor=pool)
    by_file = {submission.path.relative_to(place).parts[0].removesuffix(".py"): report for submission, report in done}
    assert len(done) == len(deserved) + 1
    for name, (right, word) in deserved.items():
        report = by_file[name]
        assert (report.score == report.points) == right and (right or report.score == 0), (name, everything(report))
        assert word in everything(report), (name, everything(report))
        assert right or not report.tasks[0].checks[0].passed
    assert secret.read_text() == GOOD
    students = [submission.student for submission, _ in done]
    assert not set("".join(students)) & {"\x1b", "\u202e", "\n"}
    names = sorted(path.name for path in (out / "feedback").glob("*.html"))
    assert len({name.casefold() for name in names}) == len(done)
    assert all(len(name) < 100 and not name.startswith(".") for name in names)
    with open(out / "grades.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == len(done) + 1 and not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@"))]
    for page in (out / "index.html", *(out / "feedback").glob("*.html")):
        assert "<b>x" not in page.read_text(encoding="utf-8")
