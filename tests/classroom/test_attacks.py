"""Every hostile submission of `attacks.py` gets what it deserves, changes nothing, and leaves the next one in peace.

Where a machine lacks a wall that an attack needs to be stopped by, the attack is not tried: it could do harm. All others are tried
everywhere, and all must then hold.
"""

import dataclasses
import os
import platform
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest
from attacks import ATTACKS, GOOD, ROOT

from isbe_np.classroom import feedback, sandbox
from isbe_np.classroom.assignment import find
from isbe_np.classroom.grading import Settings, grade_source
from isbe_np.classroom.sandbox import Sandbox

A1 = find(ROOT / "tutorials" / "assignments" / "a1")
FIRST = dataclasses.replace(A1, tasks=A1.tasks[:1])
LIMITS = {"start": 10.0, "first": 1.0, "call": 1.0, "memory": 2**29}


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
            told[str(path)] = (kind.st_mode, kind.st_uid, kind.st_gid, kind.st_size, kind.st_mtime_ns, kind.st_ctime_ns, kind.st_nlink,
                               path.read_bytes() if path.is_file() else b"")
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
    assert len(ATTACKS) >= 50 and len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_gets_what_it_deserves_and_changes_nothing(attack, walls, canaries, homes):
    missing = set(attack.walls) - walls
    if missing:
        pytest.skip(f"not tried here, where there is no wall: {', '.join(sorted(missing))}")
    source = (attack.source.replace("@CANARIES@", str(canaries.folder)).replace("@ROOT@", str(ROOT))
              .replace("@TEMP@", tempfile.gettempdir()))
    heard = []
    handlers = {number: signal.signal(number, lambda *got: heard.append(got[0])) for number in (signal.SIGTERM, signal.SIGUSR2)}
    settings = Settings(seed=11, limits=tuple({**LIMITS, **attack.limits}.items()))
    try:
        report = grade_source(dataclasses.replace(A1, modules=attack.modules), source, settings=settings)
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
