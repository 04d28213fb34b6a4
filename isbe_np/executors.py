"""Many independent tasks over a `concurrent.futures.Executor`: spawned processes here, or an existing Dask cluster.

Results arrive as they are finished. A task whose worker dies is tried again, then with no other beside it, so that a task
that kills its worker is known for it and costs no other its result. A Dask cluster sees to that itself. Either is told.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext

TRIES = 3
PATIENCE = 10  # seconds to find a cluster in

Opener = Callable[[], AbstractContextManager[Executor]]
Tell = Callable[[str], None]


def local(workers: int) -> Opener:
    """Opens a pool of `workers` spawned processes, which die of Ctrl-C, or with this process, at once and in silence."""
    def open_pool() -> Executor:
        return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _begin_worker)
    return open_pool


def _tell_nobody(sentence: str) -> None:
    pass


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """A pool's worker whose parent was killed would wait for its next task for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def dask(address: str) -> Opener:
    """Opens the Dask cluster at `address`, such as ``tcp://10.0.0.5:8786``. ImportError without dask.distributed."""
    try:
        import distributed  # noqa: F401
    except ImportError as fault:
        raise ImportError('--dask needs dask.distributed: pip install "isbe_np[distributed]".') from fault
    return lambda: _Cluster(address)


class _Cluster(AbstractContextManager):
    """`lost` is told of workers that died with tasks of ours, which the cluster gives to others."""

    def __init__(self, address: str):
        self.address = address
        self.lost: Tell = _tell_nobody

    def __enter__(self) -> Executor:
        import distributed
        self.client = distributed.Client(self.address, timeout=PATIENCE)
        self.client.subscribe_topic("all", self._hear)
        return self.client.get_executor(pure=False)  # equal calls are calls of their own

    def __exit__(self, *fault) -> None:
        self.client.close()

    def _hear(self, event: tuple[float, dict]) -> None:
        told = event[1]
        had = {*told.get("processing-tasks", ()), *told.get("lost-computed-tasks", ())}
        ours = had & set(self.client.futures)
        if ours and not told.get("expected"):
            self.lost(f"Worker {told.get('worker')} died; what it had is tried again by others: {len(ours)} in all.")


def _give_up(opened: Executor, flying: list[Future], ours: bool) -> None:
    """Begin nothing more. A pool of processes must cancel by itself: it fails on what was cancelled when a worker dies."""
    if ours and isinstance(opened, ProcessPoolExecutor):
        opened.shutdown(wait=False, cancel_futures=True)
    else:
        for future in flying:
            future.cancel()


def spread(function: Callable, tasks: Mapping[Hashable, tuple], executor: Executor | Opener,
           beside: int | None = None,
           lost: Tell = _tell_nobody) -> Iterator[tuple[Hashable, object, BaseException | None]]:
    """Call ``function(*arguments)`` for every task and yield (key, result, None) or (key, None, error) as they finish.

    `executor` is one, or opens one: only an opened one can be replaced when its workers have died. `beside` is how many tasks
    are in flight at once (default: four for each core), so that not all arguments and results lie in memory. What `function`
    raises is that task's error; a worker that dies is another try, up to three, and `lost` is called with a sentence about it.
    ConnectionError where the executor gives up what it was asked for, as when a cluster's scheduler is gone.
    """
    left = dict.fromkeys(tasks, 0)
    most = beside or 4 * (os.cpu_count() or 1)
    opener: Opener = (lambda: nullcontext(executor)) if isinstance(executor, Executor) else executor
    while left:
        broken: BaseException | None = None
        alone = max(left.values()) > 0
        opening = opener()
        if isinstance(opening, _Cluster):
            opening.lost = lost
        with opening as opened:
            flying: dict[Future, Hashable] = {}
            begun: set[Hashable] = set()  # what was under way when a worker died, or met a pool that had died
            try:
                waiting = sorted(left, key=lambda key: -left[key]) if alone else list(left)
                while (waiting or flying) and broken is None:
                    while waiting and len(flying) < (1 if alone and left[waiting[0]] else most):
                        key = waiting.pop(0)
                        begun.add(key)
                        flying[opened.submit(function, *tasks[key])] = key
                    for future in sorted(wait(flying, return_when=FIRST_COMPLETED)[0], key=Future.cancelled):
                        if future.cancelled():
                            raise ConnectionError("What was under way is cancelled: the cluster's scheduler is gone, or "
                                                  "somebody cancelled it. What was finished before is kept. Start again.")
                        key = flying[future]
                        error = future.exception()
                        if isinstance(error, BrokenExecutor):
                            broken = error
                            continue
                        del flying[future], left[key]
                        begun.remove(key)
                        yield key, None if error else future.result(), error
            except BrokenExecutor as fault:  # the pool noticed at the next submit
                broken = fault
            except BaseException:
                _give_up(opened, list(flying), ours=opened is not executor)
                raise
        if broken is not None:
            for key in begun:
                left[key] += 1
            for key in [key for key, tried in left.items() if tried >= TRIES]:
                del left[key]
                begun.remove(key)
                yield key, None, broken
            if begun:
                again = ", ".join(str(key) for key in left if key in begun)
                lost(f"A worker died; what was under way is tried again: {again}.")
