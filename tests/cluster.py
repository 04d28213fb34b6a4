"""A Dask cluster on this machine, of processes that a test may kill: nobody starts them again."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

SECONDS = 120  # to wait for what must come, on a busy machine too


def until(condition, what):
    """Wait until `condition()` holds, and return what it is."""
    deadline = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come in {SECONDS} s"
        time.sleep(0.01)
    return found


def address_in(file):
    """The scheduler's address; None until its file is there and whole."""
    try:
        return json.loads(file.read_text())["address"]
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def processes():
    """A scheduler and two worker processes of one thread, on ports that are free: other tests may run beside this one."""
    distributed = pytest.importorskip("distributed", reason="the extra [distributed] is not installed")
    return distributed.LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0",
                                    silence_logs=50)


@contextmanager
def cluster(folder, workers=2, **environment):
    """Its `address`, and processes: the `scheduler`, and `workers` of one thread each, by their addresses."""
    import distributed

    file, started = folder / "scheduler.json", []
    paths = os.pathsep.join(filter(None, sys.path))  # workers find the functions of tests

    def start(program, *options):
        command = [sys.executable, "-m", f"distributed.cli.{program}", "--scheduler-file", str(file), "--no-dashboard",
                   *options]
        with (folder / "cluster.log").open("a") as log:
            started.append(subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths, **environment}, stdout=log,
                                            stderr=log))
        return started[-1]

    try:
        scheduler = start("dask_scheduler", "--host", "127.0.0.1", "--port", "0")
        for _ in range(workers):
            start("dask_worker", "--host", "127.0.0.1", "--no-nanny", "--nthreads", "1", "--local-directory", str(folder))
        address = until(lambda: address_in(file), "the scheduler")
        with distributed.Client(address, timeout=SECONDS) as client:
            client.wait_for_workers(workers, timeout=SECONDS)
            pids = client.run(os.getpid)
        yield SimpleNamespace(address=address, scheduler=scheduler, workers={
            name: next(process for process in started if process.pid == pid) for name, pid in pids.items()})
    finally:
        for process in started:
            process.kill()
            process.wait()
