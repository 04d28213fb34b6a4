"""A training in which everything counts, in a process that may be killed at any moment, and what it would be unkilled."""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import multiprocessing
import os
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import isbe_np as isbe
from drill.subjects import state_of
from isbe_np.storage.files import write_json

BATCH, PER_EPOCH = 20, 30
PACE = 0.004  # seconds a step takes at least where checkpoints are written by the clock, as with a larger network


def network(seed: int = 3) -> isbe.Graph:
    """With running statistics and random numbers of its own."""
    return isbe.Sequential((1, 28, 28), isbe.Conv2D(4, 5, stride=2, padding=2), isbe.BatchNorm(), isbe.ReLU(),
                           isbe.MaxPool2D(2), isbe.Flatten(), isbe.Dense(24), isbe.ReLU(), isbe.Dropout(0.3),
                           isbe.Dense(10), seed=seed)


def train(epochs: int, after_step: Callable[[isbe.Graph, isbe.Optimizer], None], **options):
    """The training, with something to be done after each step; its network, optimizer and history."""
    isbe.set_threads(1)
    alone()
    data = isbe.datasets.load("digits", train=600, test=100)
    net, optimizer = network(), isbe.AdamW(0.003)
    step = optimizer.step

    def stepped(stepping):
        step(stepping)
        after_step(stepping, optimizer)

    optimizer.step = stepped  # type: ignore[method-assign]  the object's alone, so that it stays an AdamW to a checkpoint
    history = isbe.train(net, isbe.Head(), data, epochs, BATCH, optimizer, 4, "warm_up_and_decay", loss=True, progress=False,
                         augment=isbe.RandomAffine(rotation=10, shift=2), **options)
    return net, optimizer, history


def alone() -> None:
    """Let this process have no locks that others clean up after, in words, should it be killed: it starts none."""
    multiprocessing.set_start_method("fork", force=True)


def digest(net: isbe.Graph, optimizer: isbe.Optimizer | None) -> str:
    """Of parameters, running statistics, random numbers, and the optimizer's memory and steps."""
    found = hashlib.sha256()
    for name, part in sorted(state_of(net, optimizer).items()):
        found.update(f"{name} {len(part)} ".encode() + part)
    return found.hexdigest()


def told(history: isbe.History) -> dict:
    """A history but for what the clock says."""
    return {name: value for name, value in history.as_dict().items() if name != "seconds"}


def reference(path: Path, epochs: int) -> None:
    """Write what an uninterrupted training is at each step, and in the end, to `path`."""
    digests: list[str] = []
    net, optimizer, history = train(epochs, lambda *pair: digests.append(digest(*pair)))
    fresh, first = network(), isbe.AdamW(0.003)
    first.adopt(fresh)
    write_json(path, {"digests": [digest(fresh, first), *digests], "history": told(history), "end": digest(net, optimizer)})


class Told:
    """A few bytes that a process shares with those that watch it, and that outlive it: whether it trains, and steps done."""

    def __init__(self, path: Path):
        if not path.exists():
            path.write_bytes(bytes(16))
        with open(path, "r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 16)

    @property
    def values(self) -> tuple[int, int]:
        return struct.unpack("<2q", self._shared[:])

    def set(self, training: int, steps: int) -> None:
        self._shared[:] = struct.pack("<2q", training, steps)


def lived(folder: Path, told_at: Path, epochs: int, seconds: float) -> None:
    """A process's life: it trains in `folder`, from where the one before was killed, and writes down what it ends with."""
    shared = Told(told_at)
    shared.set(0, shared.values[1])

    def after_step(net, optimizer):
        shared.set(1, optimizer.steps)
        if seconds:
            time.sleep(PACE)

    net, optimizer, history = train(epochs, after_step, checkpoint=folder, resume=True, checkpoint_seconds=seconds)
    write_json(folder.with_suffix(".json"), {"history": told(history), "end": digest(net, optimizer)})


@contextlib.contextmanager
def quick_processes() -> Iterator[multiprocessing.context.ForkServerContext]:
    """A context for processes that begin with this module imported, in a tenth of the time that Python takes to start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # the server's own search path is what it imports by
    try:
        yield context
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
