"""Tasks over executors: every task exactly once, an error costs its own task alone, and a dead worker is replaced."""

import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster import processes

from isbe_np.executors import TRIES, dask, local, spread

pytestmark = pytest.mark.exhaustive


def square(x):
    if x == 3:
        raise ValueError("three")
    return x * x


def die_once(x, folder):
    """Kill the worker at the first visit of task 2, and always at task 5."""
    mark = Path(folder) / f"{x}"
    if x == 5 or (x == 2 and not mark.exists()):
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def slow_beside_a_killer(x):
    """Task 5 kills its worker at once; the others are still under way then."""
    if x == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.4)
    return x


def tasks(*xs):
    return {f"task {x}": (x,) for x in xs}


def test_results_and_errors_by_task():
    with ThreadPoolExecutor(2) as executor:
        found = {key: (result, str(error)) for key, result, error in spread(square, tasks(1, 2, 3, 4), executor)}
    assert found == {"task 1": (1, "None"), "task 2": (4, "None"), "task 3": (None, "three"), "task 4": (16, "None")}


def test_no_more_in_flight_than_allowed():
    inside, most = 0, 0

    class Counting(ThreadPoolExecutor):
        def submit(self, *arguments):
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            future = super().submit(*arguments)
            return future

    with Counting(2) as executor:
        for _ in spread(square, tasks(*range(10, 30)), executor, beside=3):
            inside -= 1
    assert most <= 3


def test_a_dead_worker_is_replaced_and_a_task_that_kills_it_is_known_for_it(tmp_path):
    jobs = {x: (x, str(tmp_path)) for x in range(8)}
    found = {key: (result, type(error).__name__) for key, result, error in spread(die_once, jobs, local(2))}
    assert found == {x: (x, "NoneType") if x != 5 else (None, "BrokenProcessPool") for x in range(8)}


def test_tasks_that_were_under_way_are_not_lost_to_another_that_kills():
    found = {key: result for key, result, _ in spread(slow_beside_a_killer, tasks(5, 1, 2), local(2))}
    assert found == {"task 5": None, "task 1": 1, "task 2": 2}


def test_an_executor_that_cannot_be_replaced_is_tried_as_often_and_no_more(tmp_path):
    with ProcessPoolExecutor(1) as executor:
        found = list(spread(die_once, {5: (5, str(tmp_path))}, executor))
    assert len(found) == 1 and found[0][2] is not None


def test_what_opens_an_executor_is_opened_once_where_nothing_breaks():
    opened = []

    @contextmanager
    def open_threads():
        opened.append(1)
        with ThreadPoolExecutor(1) as executor:
            yield executor

    assert len(list(spread(square, tasks(1, 2), open_threads))) == 2 and opened == [1] and TRIES == 3


def test_no_tasks_open_nothing():
    assert list(spread(square, {}, lambda: pytest.fail("opened"))) == []


@pytest.fixture(scope="module")
def cluster():
    """A real scheduler and two worker processes, on this machine alone."""
    with processes() as cluster:
        yield cluster.scheduler_address


def test_a_dask_cluster_gives_the_same_results_though_a_worker_dies(cluster, tmp_path):
    jobs = {x: (x, str(tmp_path)) for x in (0, 1, 2, 3)}
    assert sorted(spread(die_once, jobs, dask(cluster))) == [(x, x, None) for x in range(4)]
    assert (tmp_path / "2").exists()
    errors = {key: str(error) for key, _, error in spread(square, tasks(1, 3), dask(cluster))}
    assert errors == {"task 1": "None", "task 3": "three"}


def test_a_cluster_that_is_not_there_is_told(monkeypatch):
    pytest.importorskip("distributed", reason="the extra [distributed] is not installed")
    monkeypatch.setattr("isbe_np.executors.PATIENCE", 1)
    with pytest.raises(OSError, match=r"127\.0\.0\.1:1"):
        list(spread(square, tasks(1), dask("tcp://127.0.0.1:1")))


def test_dask_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ImportError, match=r"isbe_np\[distributed\]"):
        dask("tcp://127.0.0.1:1")
