"""A sweep: one function asked for many configurations, over workers, each answer stored at once.

A cell is one configuration, called by a name such as "n1 softmax isbe seed 0". Its answer is plain data, and is stored in a
file of its own with the configuration and the machine's settings, so that a sweep that was stopped goes on where it was, and a
report can say where each number came from. A cell that fails, or whose worker dies three times, is told, and costs no other its
answer; a worker that died is told too.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from isbe_np.compiler import jit
from isbe_np.compiler.jit import set_threads
from isbe_np.environment import describe
from isbe_np.executors import Opener, local, spread
from isbe_np.storage.files import DamagedFile, json_of, odd, one_line, opened, write_json
from isbe_np.storage.folders import user_path
from isbe_np.storage.json_data import misfit

# What a time depends on besides the configuration; other results may come from another machine's cell.
MACHINE = ("isbe_np", "python", "numpy", "numba", "cpu", "cores", "threads", "jit", "boundscheck")
CELL = {"cell": str, "configuration": dict, "environment": dict, "seconds": float}  # and "answer"
LARGEST = 2**26  # bytes of a cell's file

logger = logging.getLogger(__name__)


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
          progress: bool = True, answer: Any = object) -> Sweep:
    """Ask ``function(**configuration)``, defined at a module's top level, for every cell.

    Parameters
    ----------
    folder : where answers are stored, a file a cell, and looked for first; None stores nothing. A file that cannot be used is
        named in a warning, and its cell is asked for again.
    executor : any `concurrent.futures.Executor`, or what opens one (default: one spawned process).
    threads : for the kernels of a worker. Answers do not depend on it, times do.
    same_machine : take an earlier answer only if versions, machine and threads are the same, as for times.
    progress : show a bar over cells on a terminal, and say on standard error when a worker died.
    answer : what an answer is like, a pattern as in `json_data.misfit`; a stored one that is otherwise cannot be used.

    DamagedFile where a folder, a pipe, a socket or a device has the name of a cell's file; OSError where it cannot be made.
    """
    found = Sweep()
    folder = None if folder is None else _made(user_path("sweep(folder)", folder, "folder"), cells)
    for name, configuration in cells.items():
        kept = None if folder is None else _kept(folder / file_name(name), configuration, answer,
                                                 threads if same_machine else None)
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
                    write_json(folder / file_name(str(key)), {"cell": key, **told}, follow=False)
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


def stored(folder: str | os.PathLike) -> dict[str, dict]:
    """All cells stored in `folder`, by name: configuration, environment, seconds and answer.

    A file that cannot be used is named in a warning and left out.
    """
    found = {}
    for path in sorted(user_path("stored(folder)", folder, "folder").glob("*.json")):
        told = _read(path, object, "It is left out.")
        if told is not None:
            found[told["cell"]] = told
    return found


def _made(folder: Path, cells: Mapping[str, dict]) -> Path:
    """The folder, which is made where it is missing, once every cell's file can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise OSError(f"A study expects a folder for its cells; {folder} cannot be made ({fault.strerror}). Name another "
                      f"folder.") from fault
    for name in cells:
        path = folder / file_name(name)
        if (kind := odd(path)) not in (None, "a link"):  # a link is read, and replaced by the file of the next answer
            raise DamagedFile(path, "kind", "a plain file", str(kind), "Remove it, or name another folder.")
    return folder


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


def _kept(path: Path, configuration: dict, answer: Any, threads: int | None) -> dict | None:
    told = _read(path, answer, "Its cell is asked for again.")
    if told is None or told["configuration"] != json.loads(json.dumps(configuration)):
        return None
    if threads is not None:
        here = describe() | {"threads": threads}
        if any(told["environment"].get(name) != here[name] for name in MACHINE):
            return None
    return told["answer"]


def _read(path: Path, answer: Any, remedy: str) -> dict | None:
    """What is stored in a cell's file, or None where there is none, or none to be used, which a warning says."""
    try:
        with opened(path, remedy) as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise DamagedFile(path, "length", f"at most {LARGEST:,} bytes", "more", remedy)
        try:
            told = json_of(data.decode("utf-8"))
        except ValueError as fault:
            raise DamagedFile(path, "content", "JSON", str(fault), remedy) from None
        if odd_one := misfit(told, CELL | {"answer": answer}, "cell"):
            field, expected, got = odd_one
            raise DamagedFile(path, field, expected, str(got), remedy)
        return told | {"cell": one_line(told["cell"]), "answer": _shown(told["answer"])}
    except FileNotFoundError:
        return None
    except (OSError, DamagedFile) as fault:
        logger.warning("%s", one_line(str(fault)))
        return None


def _shown(value: Any) -> Any:
    """An answer out of a file, whose text may be shown."""
    if isinstance(value, dict):
        return {_shown(name): _shown(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return one_line(value) if isinstance(value, str) else value
