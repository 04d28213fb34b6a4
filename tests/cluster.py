"""A Dask cluster on this machine, of processes that a test may kill: nobody starts them again."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

SECONDS = 120  # to wait for what must come, on a busy machine too


def until(condition, what):
    """Wait until `condition()` holds, and return what it is."""
    deadline = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come in {SECONDS} s"
        time.sleep(0.01)
    return found


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
        until(file.exists, "the scheduler")
        address = json.loads(file.read_text())["address"]
        with distributed.Client(address, timeout=SECONDS) as client:
            client.wait_for_workers(workers, timeout=SECONDS)
            pids = client.run(os.getpid)
        yield SimpleNamespace(address=address, scheduler=scheduler, workers={
            name: next(process for process in started if process.pid == pid) for name, pid in pids.items()})
    finally:
        for process in started:
            process.kill()
            process.wait()
