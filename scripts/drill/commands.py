"""Faults of folders that are tried on the command itself, `isbe train --checkpoint`: its exit code and its words count."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import isbe_np as isbe
from drill import training
from isbe_np.training.keeping import FILE

COMMAND = (sys.executable, "-m", "isbe_np", "train", "--net", "n0", "--epochs", "2", "--seed", "1")
SIZE = 4.4  # megabytes of its checkpoint, nearly; of its first, before the optimizer remembers anything, half as many


class NotHere(Exception):
    """This machine does not let one try it."""


def make_reference(folder: Path) -> None:
    """Train once without any fault."""
    code, _, err = isbe_train(folder)
    assert code == 0, f"exit code {code} without any fault: {err}"


@functools.cache
def reference(folder: Path) -> tuple[str, dict]:
    """What the training ends with, and its history."""
    found = isbe.load_checkpoint(folder / FILE)
    return training.digest(found.net, found.optimizer), training.told(found.history)


def isbe_train(folder: Path, *more: str, before=()) -> tuple[int, str, str]:
    """Exit code, output and errors of the command."""
    return ended(started(folder, *more, before=before))


def started(folder: Path, *more: str, before=()) -> subprocess.Popen:
    return subprocess.Popen([*before, *COMMAND, "--checkpoint", str(folder), *more], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})


def ended(process: subprocess.Popen) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, out, err


def right(folder: Path, place: Path) -> None:
    """The training in `folder` has ended as that without a fault."""
    found = isbe.load_checkpoint(folder / FILE)
    here = training.digest(found.net, found.optimizer), training.told(found.history)
    assert here == reference(place.parent / "reference"), "WRONG: it ended otherwise than a training without a fault"


def refused(came: tuple[int, str, str]) -> None:
    """It was refused with one sentence, before it trained."""
    code, out, err = came
    assert code == 2, f"exit code {code}, not 2: {err[-300:]}"
    assert err.count("\n") == 1 and err.startswith("isbe train: "), f"this is not one sentence: {err!r}"
    assert "steps" not in out, f"it trained before: {out}"


@contextlib.contextmanager
def disk(path: Path, megabytes: float) -> Iterator[Path]:
    """A small disk at `path`; NotHere where none can be mounted."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={int(megabytes * 2**20)}", "tmpfs", str(path)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        raise NotHere("no small disk can be mounted here, which takes root's rights; a limit to files' length stands in")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def small_disk(place: Path, random: np.random.Generator) -> None:
    """The disk has room for the first checkpoints and then none, to the end or for a while."""
    with disk(place / "disk", random.uniform(1.2, 2.8) * SIZE) as small:
        code, _, err = isbe_train(small / "run", "--checkpoint-seconds", "0.05")
        assert code == 1, f"exit code {code}, not 1, from a full disk: {err[-300:]}"
        told = [line for line in err.splitlines() if "could not be written" in line]
        assert told and "No space left" in told[-1] and "Traceback" not in err, f"it is not told: {err[-500:]}"
        steps = isbe.load_checkpoint(small / "run" / FILE).history.steps
        odd = [path.name for path in (small / "run").iterdir() if path.name.startswith(".")]
        assert not odd, f"left on the full disk: {odd}"
        subprocess.run(["mount", "-o", f"remount,size={int(5 * SIZE)}m", str(small)], check=True)
        code, _, err = isbe_train(small / "run", "--resume")
        assert code == 0, f"exit code {code} with room again, from step {steps}: {err[-300:]}"
        right(small / "run", place)


def small_disk_from_the_start(place: Path, random: np.random.Generator) -> None:
    """There is no room for the first checkpoint: nothing is trained for nothing."""
    with disk(place / "disk", random.uniform(0.1, 0.4) * SIZE) as small:
        refused(isbe_train(small / "run"))
        subprocess.run(["mount", "-o", f"remount,size={int(5 * SIZE)}m", str(small)], check=True)
        code, _, err = isbe_train(small / "run")
        assert code == 0, f"exit code {code} with room: {err[-300:]}"
        right(small / "run", place)


def unusable(place: Path, random: np.random.Generator) -> None:
    """The folder may not be written, cannot be made, or is none; what is in it stays as it is."""
    folder, kind, before = place / "run", str(random.choice(["mode", "parent", "file", "proc", "mounted", "no lock"])), ()
    if kind == "file":
        folder.write_text("a file")
    elif kind == "proc":
        folder = Path("/proc/run")
    elif kind == "no lock":
        (folder / "lock").mkdir(parents=True)
    elif kind == "mounted":
        folder.mkdir()
        if os.geteuid() or subprocess.run(["mount", "--bind", str(folder), str(folder)], capture_output=True).returncode:
            raise NotHere("nothing can be mounted read-only here, which takes root's rights")
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
    else:
        folder = folder if kind == "mode" else place / "parent" / "run"
        (folder if kind == "mode" else folder.parent).mkdir()
        (folder if kind == "mode" else folder.parent).chmod(0o555)
        before = without_roots_rights()
    try:
        refused(isbe_train(folder, *(["--resume"] if random.integers(2) else []), before=before))
    finally:
        if kind == "mounted":
            subprocess.run(["umount", "-l", str(folder)], check=True)
    assert kind != "file" or folder.read_text() == "a file"


def without_roots_rights() -> tuple[str, ...]:
    """What is put before a command, so that permissions bind it as they bind anybody."""
    if os.geteuid():
        return ()
    if shutil.which("setpriv") is None:
        raise NotHere("root writes everywhere here, and there is no setpriv to take that from it")
    return ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")


def two_at_once(place: Path, random: np.random.Generator) -> None:
    """Of several trainings on one folder one goes on, right, and the others are refused."""
    folder = place / "run"
    if random.integers(2):
        all_of_them = [ended(process) for process in [started(folder) for _ in range(3)]]
        winners = [came for came in all_of_them if came[0] == 0]
        assert winners, f"none of three that began together has ended well: {all_of_them}"
        for came in all_of_them:
            if came[0]:
                refused(came)
    else:
        first = started(folder)
        assert first.stdout.readline(), first.communicate()
        end = time.monotonic() + 60
        while not (folder / FILE).exists() and time.monotonic() < end:
            time.sleep(0.005)
        second = started(folder, "--resume")
        codes = ended(second), ended(first)
        assert codes[1][0] == 0, f"the first training ended with {codes[1]}"
        if codes[0][0]:  # unless it came after the first one's end
            refused(codes[0])
            assert str(first.pid) in codes[0][2], f"it does not say which process: {codes[0][2]}"
    right(folder, place)
