"""One saving of a training, ended before, within and after each call that it makes of the system and of the file."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import isbe_np as isbe
from drill import training
from drill.rows import Outcome
from drill.subjects import SUBJECTS
from isbe_np.storage import archive, files
from isbe_np.storage.files import write_json
from isbe_np.training.keeping import FILE

AT = 7  # the step whose saving it is; 5 make an epoch
SYSTEM = ("fsync", "replace", "link", "unlink", "open", "close")
FILES = ("write", "flush", "seek", "read", "close")
MOMENTS = ("before", "after", "within")
SUBJECT = SUBJECTS["images"]


class Counted:
    """Counts calls by name, and ends this process at call number `at`: before, after or within it."""

    def __init__(self, at: int = -1, moment: str = "before"):
        self.at, self.moment, self.names = at, moment, []

    def call(self, name, function, *given, **named):
        here = len(self.names) == self.at
        self.names.append(name)
        if here and self.moment == "before":
            die()
        if here and self.moment == "within" and name == "file.write":
            function(given[0][:len(given[0]) // 2])
            function.__self__.flush()
            die()
        try:
            return function(*given, **named)
        finally:
            if here:
                die()

    def install(self) -> None:
        """From here on, in this process."""
        for name in SYSTEM:
            setattr(os, name, self._counting(f"os.{name}", getattr(os, name)))
        files.open = lambda *given, **named: Watched(self, open(*given, **named))  # type: ignore[attr-defined]

    def _counting(self, name, function):
        return lambda *given, **named: self.call(name, function, *given, **named)


class Watched:
    """A file whose calls are counted."""

    def __init__(self, counted: Counted, file):
        self._counted, self._file = counted, file

    def __getattr__(self, name):
        found = getattr(self._file, name)
        return self._counted._counting(f"file.{name}", found) if name in FILES else found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def all_of_them(folder: Path, short: bool) -> None:
    """Try them all, in forks of this process, then go on from each, and write what was found into `folder`."""
    isbe.set_threads(1)
    training.alone()
    reference: list[str] = [""]
    ended = trained(None, lambda *pair: reference.append(training.digest(*pair)))
    write, run, cases = archive.write, folder / "run", []

    def dying(path, facts, *rest):
        if facts["history"]["steps"] == AT and not cases:
            kept = folder / "kept"
            shutil.copytree(run, kept)
            names = counted(folder / "names.json", lambda: write(path, facts, *rest))
            restore(kept, run)
            todo = [(n, moment) for n, name in enumerate(names) for moment in MOMENTS
                    if moment != "within" or name == "file.write"]
            for n, moment in todo[::9 if short else 1]:
                code = forked(lambda at=n, when=moment: ending(at, when, lambda: write(path, facts, *rest)))
                case = {"what": f"{moment} call {n + 1} of {len(names)}, {names[n]}", "folder": str(folder / f"{n}{moment}")}
                shutil.copytree(run, case["folder"])
                cases.append(case | {"fault": "" if code == -signal.SIGKILL else f"its exit code is {code}"})
                restore(kept, run)
        return write(path, facts, *rest)

    archive.write = dying
    trained(run, lambda *_: None)
    archive.write = write
    for case in cases:
        case |= gone_on(Path(case["folder"]), reference, ended) if not case["fault"] else {}
    write_json(folder / "found.json", {"cases": cases})


def trained(folder: Path | None, after_step, resume: bool = False):
    """A short training: what it ended with, and its history."""
    net, optimizer, head = SUBJECT.net(), SUBJECT.optimizer(), SUBJECT.head()
    step = optimizer.step

    def stepped(stepping):
        step(stepping)
        after_step(stepping, optimizer)

    optimizer.step = stepped
    subject = dataclasses.replace(SUBJECT, options={**SUBJECT.options, "checkpoint_seconds": 0})
    history = subject.train(folder, net, head, optimizer, resume)
    return training.digest(net, optimizer), training.told(history)


def gone_on(folder: Path, reference: list[str], ended) -> dict:
    """Whether the checkpoint in `folder` is right, and a training that goes on from it ends as it should."""
    try:
        found = isbe.load_checkpoint(folder / FILE)
    except (ValueError, OSError) as fault:
        return {"fault": str(fault)}
    steps = found.history.steps
    if steps not in (AT - 1, AT) or training.digest(found.net, found.optimizer) != reference[steps]:
        return {"fault": f"the checkpoint of step {steps} is none of this training", "wrong": True}
    if trained(folder, lambda *_: None, resume=True) != ended:
        return {"fault": f"it ended otherwise, from step {steps}", "wrong": True}
    odd = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    return {"fault": f"left in its folder: {odd}" if odd else "", "lost": AT - steps}


def counted(path: Path, save) -> list[str]:
    """The names of the calls that `save` makes, in their order, as a process that ends well makes them."""
    def counting():
        watch = Counted()
        watch.install()
        save()
        names = list(watch.names)
        watch.at = -1
        write_json(path, {"names": names})

    if forked(counting):
        raise RuntimeError("a saving that is only watched failed")
    return training.read_json(path)["names"]


def ending(at: int, moment: str, save) -> None:
    Counted(at, moment).install()
    save()


def forked(work) -> int:
    """The exit code of a fork of this process that does `work`, which computes nothing."""
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(70)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def restore(kept: Path, run: Path) -> None:
    """Have `run` hold what is in `kept`, and its lock stay the file it is."""
    for path in run.iterdir():
        if path.name != "lock":
            path.unlink()
    for path in kept.iterdir():
        if path.name != "lock":
            shutil.copy2(path, run)


def found(folder: Path) -> Iterator[tuple[str, Outcome]]:
    """Each death and what came of it."""
    for case in training.read_json(folder / "found.json")["cases"] if (folder / "found.json").exists() else ():
        yield case["what"], Outcome(case["fault"], case.get("wrong", False), case.get("lost"))
