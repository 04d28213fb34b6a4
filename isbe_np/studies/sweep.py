"""A sweep: one function asked for many configurations, over workers, each answer stored at once.

A cell is one configuration, called by a name such as "n1 softmax isbe seed 0". Its answer is plain data, and is stored in a
file of its own with the configuration and the machine's settings, so that a sweep that was stopped goes on where it was, and a
report can say where each number came from. A cell that fails, or whose worker dies three times, is told, and costs no other its
answer; a worker that died is told too.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from isbe_np.environment import describe
from isbe_np.executors import Opener, local, spread
from isbe_np.files import write_json
from isbe_np.kernels import jit
from isbe_np.kernels.jit import set_threads

# What a time depends on besides the configuration; other results may come from another machine's cell.
MACHINE = ("isbe_np", "python", "numpy", "numba", "cpu", "cores", "threads", "jit", "boundscheck")


@dataclass
class Sweep:
    """By cell: its `answers`, and the sentences of those that `failed`; `kept` cells were answered by an earlier run.

    `lost`: a sentence for each time that workers died and cells were tried again.
    """

    answers: dict[str, dict] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def sweep(function: Callable[..., dict], cells: Mapping[str, dict], folder: Path | None = None,
          executor: Executor | Opener | None = None, threads: int = 1, same_machine: bool = False,
          progress: bool = True) -> Sweep:
    """Ask ``function(**configuration)``, defined at a module's top level, for every cell.

    Parameters
    ----------
    folder : where answers are stored, a file a cell, and looked for first; None stores nothing.
    executor : any `concurrent.futures.Executor`, or what opens one (default: one spawned process).
    threads : for the kernels of a worker. Answers do not depend on it, times do.
    same_machine : take an earlier answer only if versions, machine and threads are the same, as for times.
    progress : show a bar over cells on a terminal, and say on standard error when a worker died.
    """
    found = Sweep()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    for name, configuration in cells.items():
        kept = None if folder is None else _kept(folder / file_name(name), configuration, threads if same_machine else None)
        if kept is not None:
            found.answers[name] = kept
            found.kept.append(name)
    left: dict[Hashable, tuple] = {name: (function, configuration, threads) for name, configuration in cells.items()
                                   if name not in found.answers}
    with tqdm(total=len(cells), initial=len(found.kept), desc=stage_name(function), unit="cell", dynamic_ncols=True,
              disable=not (progress and sys.stderr.isatty())) as bar:
        def lost(sentence: str) -> None:
            found.lost.append(sentence)
            if progress:
                bar.write(sentence, file=sys.stderr)

        for key, told, error in spread(_answer, left, executor or local(1), lost=lost):
            if isinstance(told, dict):
                found.answers[str(key)] = told["answer"]
                if folder is not None:
                    write_json(folder / file_name(str(key)), {"cell": key, **told})
            else:
                found.failed[str(key)] = f"{type(error).__name__}: {error}"
            bar.update()
    found.answers = {name: found.answers[name] for name in cells if name in found.answers}
    return found


def stage_name(function: Callable) -> str:
    """What the bar says is being done, after the name of the function that answers a cell: "timing" of timing_cell."""
    return function.__name__.strip("_").removesuffix("_cell").replace("_", " ")


def file_name(name: str) -> str:
    """The file of a cell."""
    return re.sub(r"[^\w.=-]+", "_", name) + ".json"


def stored(folder: Path) -> dict[str, dict]:
    """All cells stored in `folder`, by name: configuration, environment, seconds and answer; damaged files are left out."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        told = _read(path)
        if told is not None:
            found[told["cell"]] = told
    return found


def _answer(function: Callable[..., dict], configuration: dict, threads: int) -> dict:
    """In a worker, which may also be a thread of this process, whose own number of threads comes back."""
    before = jit.threads()
    set_threads(threads)
    try:
        start = time.perf_counter()
        answer = function(**configuration)
        return {"configuration": configuration, "environment": describe(), "seconds": time.perf_counter() - start,
                "answer": answer}
    finally:
        set_threads(before)


def _kept(path: Path, configuration: dict, threads: int | None) -> dict | None:
    told = _read(path)
    if told is None or told["configuration"] != json.loads(json.dumps(configuration)):
        return None
    if threads is not None:
        here = describe() | {"threads": threads}
        if any(told["environment"].get(name) != here[name] for name in MACHINE):
            return None
    return told["answer"]


def _read(path: Path) -> dict | None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return told if {"cell", "configuration", "environment", "seconds", "answer"} <= told.keys() else None
    except (OSError, ValueError, AttributeError):
        return None  # none, or a damaged one, which is made anew
