"""Faults tried in processes of their own, which may be killed by one, or hang, and cost no other fault its result."""

from __future__ import annotations

import ctypes
import gc
import logging
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Any

from drill.rows import Outcome

ROOM = 1500  # megabytes of addresses that a process may take beyond those it has when it begins


def tried(work: Callable[[Any], Outcome], cases: Sequence[Any], workers: int, seconds: float, bar=None,
          limited: bool = True) -> list[Outcome]:
    """What `work`, a function that a new process can import, makes of each case, in their order.

    A process that is not done with a case within `seconds` is killed. limited : let it have `ROOM` and no more. With no workers
    all of it is done here.
    """
    if not workers:
        return [work(case) for case in cases]
    found: list[Outcome] = [Outcome("was never tried")] * len(cases)
    waiting = deque(range(len(cases)))
    crew = [_Worker(work, limited) for _ in range(min(workers, len(cases)))]
    try:
        while waiting or any(worker.case is not None for worker in crew):
            for n, worker in enumerate(crew):
                if worker.case is None and waiting:
                    worker.give(waiting.popleft(), cases)
                elif worker.case is not None and time.monotonic() - worker.began > seconds:
                    found[worker.case] = Outcome(f"there was no end after {seconds:g} s", seconds=seconds)
                    worker.process.kill()
                    crew[n] = worker.replaced()
            busy = {worker.pipe: worker for worker in crew if worker.case is not None}
            for pipe in wait(list(busy), timeout=0.5):
                worker = busy[pipe]  # type: ignore[index]
                case = worker.case
                try:
                    found[case] = worker.take()
                except EOFError:
                    worker.process.join(5)
                    found[case] = Outcome(f"the process died, exit code {worker.process.exitcode}")
                    crew[crew.index(worker)] = worker.replaced()
                if bar is not None:
                    bar.update()
    finally:
        for worker in crew:
            worker.end()
    return found


class _Worker:
    """A process and the number of the case that it is at."""

    def __init__(self, work, limited: bool):
        self.made_of = work, limited
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(work, limited, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.case, self.began = None, 0.0

    def give(self, case: int, cases: Sequence[Any]) -> None:
        with suppress(BrokenPipeError):  # it has died, which `take` finds out
            self.pipe.send(cases[case])
        self.case, self.began = case, time.monotonic()

    def take(self) -> Outcome:
        outcome = self.pipe.recv()
        self.case = None
        return outcome

    def replaced(self) -> _Worker:
        self.end()
        return _Worker(*self.made_of)

    def end(self) -> None:
        self.pipe.close()  # by which it knows
        self.process.join(5)
        self.process.kill()
        self.process.join()


def _serve(work, limited: bool, pipe) -> None:
    """A worker's whole life: cases come, outcomes go."""
    logging.getLogger("isbe_np").addHandler(logging.NullHandler())  # what it warns of is no fault
    if limited:
        _limit_addresses()
    while True:
        try:
            case = pipe.recv()
        except EOFError:
            return
        try:
            outcome = work(case)
        except Exception as fault:  # of the drill itself
            outcome = Outcome(f"the drill failed: {type(fault).__name__}: {fault}")
        pipe.send(outcome)


def _limit_addresses() -> None:
    """Let the system refuse what no load may take, so that a bomb costs a MemoryError and not the machine."""
    with suppress(ImportError, OSError, ValueError):
        import resource
        size = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE") + ROOM * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


class Measured:
    """A context manager that measures `seconds` and `megabytes`: the most memory in the block beyond what there was before."""

    seconds = megabytes = 0.0
    _large = False  # whether the block before may have left something large behind, as an error's traceback does

    def __enter__(self) -> Measured:
        if Measured._large:
            gc.collect()
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)  # what was freed before, and might be used again unseen
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")  # the most so far is forgotten
        self._memory, self._start = _status("VmRSS"), time.perf_counter()
        return self

    def __exit__(self, *_) -> None:
        self.seconds = time.perf_counter() - self._start
        self.megabytes = max(0.0, (_status("VmHWM") - self._memory) / 2**10)
        Measured._large = self.megabytes > 4


def _status(name: str) -> int:
    """Kilobytes of this process by Linux's name for them; elsewhere the most it ever had."""
    with suppress(OSError):
        with open("/proc/self/status") as file:
            return next((int(line.split()[1]) for line in file if line.startswith(name)), 0)
    with suppress(ImportError):
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 0
