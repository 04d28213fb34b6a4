"""A training's folder: one training at a time, its checkpoint and the one before, and where it goes on from.

    checkpoint.npz             written at the start, every so many seconds, after each epoch and when a signal ends the training
    checkpoint.previous.npz    the one before that
    lock                       held while a training uses the folder
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import logging
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from isbe_np.environment import describe
from isbe_np.storage.files import PART, DamagedFile, Misfit, odd, one_line
from isbe_np.storage.folders import user_path
from isbe_np.storage.locks import Lock
from isbe_np.training import checkpoint
from isbe_np.training.checkpoint import Checkpoint
from isbe_np.training.differences import DATA, refuse_another
from isbe_np.training.stopping import Stopping

FILE, LOCK = "checkpoint.npz", "lock"
# What decides the bits of a training besides its settings.
DECIDING = ("isbe_np", "kernels", "python", "numpy", "numba", "llvmlite", "cpu", "threads", "jit", "boundscheck")

logger = logging.getLogger(__name__)


class Stopped(Exception):
    """A signal asked for the end, and what there is has been saved; the text is "interrupted" or "terminated"."""


class Folder:
    """The folder `path` while a training uses it: a context manager. OSError where it cannot be used, or is in use."""

    def __init__(self, path: str | os.PathLike):
        self.path = user_path("train(checkpoint)", path, "folder")
        self.file = self.path / FILE

    def __enter__(self) -> Folder:
        self._refuse_odd()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(self.path / LOCK)
        except BlockingIOError as fault:
            raise BlockingIOError(f"train(checkpoint) expects a folder that no other training uses; as for {self.path}, "
                                  f"{fault}. Wait for its end, or name another folder.") from None
        except OSError as fault:
            raise self.unusable(fault) from fault
        for part in self.path.glob(f".checkpoint.*{PART}"):  # of a process that was killed while it wrote
            with contextlib.suppress(OSError):
                part.unlink()
        return self

    def __exit__(self, *_) -> None:
        self._lock.release()

    def _refuse_odd(self) -> None:
        """OSError where a link, a folder, a pipe or a device has the name of a file that the training writes."""
        previous = checkpoint.previous_of(self.file)
        for file in (self.path / LOCK, self.file, previous, _aside(self.file), _aside(previous)):
            if kind := odd(file):
                raise OSError(f"train(checkpoint) expects a folder for this training alone; {file} in it is {kind}, which it "
                               f"neither follows nor overwrites. Remove it, or name another folder.")

    def unusable(self, fault: OSError) -> OSError:
        """The error to raise about this folder."""
        return OSError(f"train(checkpoint) expects a folder that can be written; {self.path} is none ({fault.strerror}). Make "
                       f"room in it, or name another.")

    def holds_one(self) -> bool:
        """Whether there is a checkpoint, right or damaged."""
        return self.file.exists() or checkpoint.previous_of(self.file).exists()

    def load(self, **passed) -> Checkpoint | None:
        """The newest checkpoint that is undamaged, or None where there is none at all; `passed` as to `checkpoint.read`.

        DamagedFile where all are damaged. One that is damaged is renamed, so that it never takes the place of a right one.
        """
        damaged = None
        for file in (self.file, checkpoint.previous_of(self.file)):
            try:
                return checkpoint.read(file, **passed)
            except FileNotFoundError:
                pass
            except DamagedFile as fault:
                aside = _aside(file)
                os.replace(file, aside)
                damaged = damaged or fault
                logger.warning("%s It is called %s now; the checkpoint before it comes next.", fault, aside.name)
        if damaged is not None:
            raise damaged
        damaged_ones = sorted(path.name for path in self.path.glob("*.damaged.npz"))
        if damaged_ones:
            raise Misfit(f"train(resume) expects a checkpoint that is whole; {self.path} holds damaged ones alone, "
                                    f"{', '.join(damaged_ones)}. Delete them to begin anew, or name another folder.")
        return None


def _aside(file: Path) -> Path:
    """Where a damaged checkpoint is kept."""
    return file.with_name(f"{file.stem}.damaged{file.suffix}")


def newest(path: str | os.PathLike) -> Checkpoint | None:
    """The newest undamaged checkpoint of the folder `path`, made from the file alone, or None; nothing is changed."""
    file = user_path("newest(path)", path, "folder") / FILE
    for place in (file, checkpoint.previous_of(file)):
        with contextlib.suppress(OSError, DamagedFile):
            return checkpoint.load_checkpoint(place)
    return None


class Keeping:
    """Writes a checkpoint in `folder`: at the start, every so many `seconds`, and after each epoch.

    When a signal asks for the end, it writes one too and raises Stopped. `run` is the training's `Observer`.
    """

    def __init__(self, folder: Folder, seconds: float, note: Any, stopping: Stopping):
        self.folder, self.seconds, self.note, self.stopping = folder, seconds, note, stopping
        self.settings: dict[str, Any] = {}
        self._environment, self._saved, self._data = deciding(), 0.0, ""

    def begin(self, run, data, settings: dict[str, Any], resume: bool) -> Checkpoint | None:
        """The checkpoint to go on from, with which the network and the optimizer were filled, or None."""
        self.settings, self._data = settings, digest(data)
        self._environment["kernel_set"] = kernels_of(run.net, run.head)
        if self.folder.holds_one() and not resume:
            raise FileExistsError(f"train(checkpoint) expects a new folder; {self.folder.path} holds a checkpoint already. Go "
                                  f"on with it by resume=True or --resume, or name another folder.")
        found = self.folder.load(net=run.net, head=run.head, optimizer=run.optimizer,
                                 check=functools.partial(self._check, run)) if resume else None
        self._saved = time.monotonic()
        if found is not None:
            self.note = found.note if self.note is None else self.note
            return found
        if resume:
            logger.warning("there is no checkpoint in %s yet: a new training begins.", self.folder.path)
        try:
            self._write(run)
        except OSError as fault:
            raise self.folder.unusable(fault) from fault
        return None

    def _check(self, run, facts: dict[str, Any]) -> None:
        """ValueError unless the training is the same; a warning where it may round otherwise."""
        training = facts["training"]
        if training is None or facts["history"] is None or facts["optimizer"] is None:
            raise Misfit(f"{self.folder.file} was not saved by a training, so that none can go on from it. Load it "
                                    f"by load_checkpoint, and train in another folder.")
        then, now = training["settings"], self.settings | {DATA: self._data}
        if now["schedule"] == "constant":  # more epochs change nothing in those that were
            now["epochs"] = then.get("epochs")
        refuse_another(self.folder.file, facts, run, now)
        done, batch, per_epoch = training["epoch"], training["batch"], then["batches"]
        steps, entries = facts["history"]["steps"], len(facts["history"]["accuracy"])
        if batch >= per_epoch or (steps, entries) != (done * per_epoch + batch, done) or done > self.settings["epochs"]:
            raise Misfit(f"train(resume) expects a place in a training of {self.settings['epochs']} epochs of "
                                    f"{per_epoch} batches; {self.folder.file} is at epoch {done}, batch {batch}, step {steps}, "
                                    f"with {entries} entries of history. Train in a new folder, or by more epochs.")
        apart = [f"{name} {facts['environment'].get(name)} before and {here} now" for name, here in self._environment.items()
                 if facts["environment"].get(name) != here]
        if apart:
            logger.warning("going on where something else is at work (%s): from here on results may be rounded otherwise.",
                           one_line("; ".join(apart)))
        logger.info("going on from %s: epoch %d, batch %d", self.folder.file, training["epoch"] + 1, training["batch"])

    def after_step(self, run) -> None:
        """Between two steps of an epoch."""
        self.stopping.working()
        if self.stopping.asked or time.monotonic() - self._saved >= self.seconds:
            self.save(run)
        if self.stopping.asked:
            raise Stopped(self.stopping.asked)

    def after_epoch(self, run, last: bool) -> None:
        """After an epoch's evaluation."""
        self.stopping.working()
        self.save(run)
        if self.stopping.asked and not last:
            raise Stopped(self.stopping.asked)

    def save(self, run) -> None:
        """Write the checkpoint. Where that fails, training goes on, with a warning: the checkpoint before is still there."""
        try:
            self._write(run)
        except (OSError, ValueError) as fault:
            reason = getattr(fault, "strerror", None) or fault
            run.history.unsaved = (f"The checkpoint of step {run.history.steps} could not be written to {self.folder.path} "
                                   f"({reason}); the one before it is still there. Make room, or set permissions.")
            logger.warning("%s", run.history.unsaved)
        self._saved = time.monotonic()

    def _write(self, run) -> None:
        run.optimizer.learning_rate = run.base  # the schedule sets it anew before each step
        early, history, start = run.early.seen(), run.history, time.perf_counter()
        history.unsaved = None
        training = {"settings": self.settings, "data": self._data, "epoch": run.epoch, "batch": run.batch,
                    "early": 0 if early is None else len(early), "sums": dataclasses.asdict(run.counted())}
        size = checkpoint.write(self.folder.file, run.net, run.head, run.optimizer, history, self.note, training, early,
                                self._environment)
        logger.info("%s: step %d, %.1f MB in %.0f ms", self.folder.file, history.steps, size / 1e6,
                    (time.perf_counter() - start) * 1e3)


def deciding() -> dict[str, Any]:
    """Versions, machine and threads that decide the bits of a training."""
    here = describe(paths=False)
    return {name: here[name] for name in DECIDING}


def kernels_of(net, head) -> str:
    """Which kernels compute: no part of network or head, which go on with either, but they decide how results are rounded."""
    return net.kernels if net.kernels == head.kernels else f"{net.kernels} in the network, {head.kernels} in the head"


def digest(data) -> str:
    """SHA-256 of a data set's arrays, which tells whether a training goes on with the same."""
    found = hashlib.sha256()
    for name in ("x_train", "y_train", "x_test", "y_test"):
        array = np.ascontiguousarray(getattr(data, name))
        found.update(f"{name} {array.shape} {array.dtype.str}".encode())
        found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def name_of(thing: Any) -> str | None:
    """A schedule or an augmentation by a name that is the same in another process."""
    if thing is None or isinstance(thing, str):
        return thing
    return repr(thing) if dataclasses.is_dataclass(thing) else getattr(thing, "__qualname__", type(thing).__qualname__)
