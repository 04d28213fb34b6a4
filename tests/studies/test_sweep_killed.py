"""Studies outlive what is killed: a worker, the study itself, the cluster's scheduler. Real trainings in real processes."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import pytest
from cluster import SECONDS, cluster, until

from isbe_np import cli
from isbe_np.executors import dask, local, spread
from isbe_np.studies import sweep as module
from isbe_np.studies.failures import FAILURES, failures
from isbe_np.studies.sweep import stored, sweep

pytestmark = pytest.mark.exhaustive

trains = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="trains on 2,000 images, which takes minutes without the compiler")
STUDY = ["study", "failures", "--seeds", "1", "--epochs", "2"]
# The command line in a process that kills another (0: itself) as soon as so many cells are stored.
KILLS = """
import os, signal, sys
from isbe_np import cli
from isbe_np.studies import sweep
victim, cells, *arguments = sys.argv[1:]
write = sweep.write_json
def write_and_kill(path, told, **how):
    write(path, told, **how)
    if len(list(path.parent.glob("*.json"))) == int(cells):
        os.kill(int(victim) or os.getpid(), signal.SIGKILL)
sweep.write_json = write_and_kill
sys.exit(cli.main(arguments))
"""
# The command line in the foreground of the terminal on its standard input.
OWN_TERMINAL = """
import fcntl, signal, sys, termios
from isbe_np import cli
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background may ignore it
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def uninterrupted():
    """What the study finds in a thread of this process."""
    with ThreadPoolExecutor(1) as executor:
        found = failures(epochs=2, seeds=[0], executor=executor, progress=False)
    assert len(found.outcomes) == len(FAILURES) and not found.failed
    return json.loads(json.dumps(found.as_dict()))


def found_in(file):
    found = json.loads(file.read_text())
    del found["environment"]
    return found


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.json")}


def die_at(seed, killers):
    """Kill the worker at these seeds, always."""
    if seed in killers:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"seed": seed}


@trains
def test_a_worker_of_a_cluster_is_killed_halfway(uninterrupted, tmp_path, monkeypatch, capsys):
    distributed = pytest.importorskip("distributed", reason="the extra [distributed] is not installed")
    folder, write, killed = tmp_path / "cells", module.write_json, []

    def write_and_kill(path, told, **how):
        """Kill the first worker that is caught at work; a stopped one cannot finish what it has."""
        write(path, told, **how)
        for name, process in () if killed else workers.items():
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)
            time.sleep(0.05)  # for what it said before
            if client.processing()[name]:
                process.kill()
                killed.append((name, len(stored(folder))))
                break
            process.send_signal(signal.SIGCONT)

    with cluster(tmp_path) as started, distributed.Client(started.address) as client:
        workers = started.workers
        monkeypatch.setattr(module, "write_json", write_and_kill)
        code = cli.main([*STUDY, "--dask", started.address, "--folder", str(folder), "--json", str(tmp_path / "dask.json")])
        (name, cells), left = *killed, set(client.processing())
    told = capsys.readouterr().err
    assert code == 0 and 0 < cells < len(FAILURES) and left == set(workers) - {name}
    assert re.search(rf"Worker {name} died; what it had is tried again by others: [1-9]", told), told
    assert len(stored(folder)) == len(FAILURES) and found_in(tmp_path / "dask.json") == uninterrupted


@trains
def test_a_study_is_killed_halfway_and_goes_on(uninterrupted, tmp_path):
    folder = tmp_path / "cells"
    command = [*STUDY, "--workers", "2", "--folder", str(folder), "--json", str(tmp_path / "again.json")]
    process = subprocess.Popen([sys.executable, "-c", KILLS, "0", "3", *command], start_new_session=True)
    assert process.wait(SECONDS) == -signal.SIGKILL
    if Path("/proc").exists():
        until(lambda: not alive_in_group(process.pid), "the end of its workers")
    kept = times(folder)
    assert len(kept) == 3 and cli.main(command) == 0
    assert kept.items() < times(folder).items() and len(times(folder)) == len(FAILURES)
    assert found_in(tmp_path / "again.json") == uninterrupted


def alive_in_group(group):
    """Processes of a group that run; one that nobody has waited for is dead all the same."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = file.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue  # it has just ended
        if int(its_group) == group and state not in "ZX":
            found.append(int(file.parent.name))
    return found


@trains
def test_the_scheduler_is_killed_halfway(tmp_path):
    pytest.importorskip("distributed", reason="the extra [distributed] is not installed")
    folder = tmp_path / "cells"
    with cluster(tmp_path, workers=1) as started:
        command = [*STUDY, "--dask", started.address, "--folder", str(folder)]
        ended = subprocess.run([sys.executable, "-c", KILLS, str(started.scheduler.pid), "3", *command], capture_output=True,
                               text=True, timeout=SECONDS)
    said = [line for line in ended.stderr.splitlines() if line.startswith("isbe study: ")]
    assert ended.returncode == 2 and len(said) == 1 and "scheduler is gone" in said[0], ended.stderr
    assert 3 <= len(stored(folder)) < len(FAILURES)


def test_a_cell_that_always_kills_its_worker_is_told_after_three_tries(tmp_path, capsys):
    cells = {f"seed {seed}": {"seed": seed, "killers": [1]} for seed in range(4)}
    found = sweep(die_at, cells, tmp_path, local(2))
    assert found.answers == {f"seed {seed}": {"seed": seed} for seed in (0, 2, 3)} and len(stored(tmp_path)) == 3
    assert list(found.failed) == ["seed 1"] and found.failed["seed 1"].startswith("BrokenProcessPool: ")
    assert len(found.lost) == 2 and all("seed 1" in sentence for sentence in found.lost)
    assert found.lost[1] == "A worker died; what was under way is tried again: seed 1."
    assert capsys.readouterr().err.splitlines() == found.lost


def test_a_task_that_always_kills_its_worker_is_told_by_a_cluster(tmp_path):
    pytest.importorskip("distributed", reason="the extra [distributed] is not installed")
    tasks, lost = {seed: (seed, [1]) for seed in (1, 2, 3)}, []
    with cluster(tmp_path, workers=3, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1") as started:
        found = {key: (answer, type(error).__name__)
                 for key, answer, error in spread(die_at, tasks, dask(started.address), beside=1, lost=lost.append)}
    assert found == {1: (None, "KilledWorker"), 2: ({"seed": 2}, "NoneType"), 3: ({"seed": 3}, "NoneType")}
    assert len(lost) == 2 and all(sentence.endswith("tried again by others: 1 in all.") for sentence in lost)


@trains
def test_a_terminal_shows_cells_and_ctrl_c_keeps_those_that_are_finished(tmp_path):
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    folder, (master, slave) = tmp_path / "cells", pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, (40).to_bytes(2, sys.byteorder) + (100).to_bytes(2, sys.byteorder) + bytes(4))
    # Enough epochs that it cannot have finished before the key is pressed.
    command = [*STUDY[:-1], "40", "--workers", "2", "--folder", str(folder)]
    process = subprocess.Popen([sys.executable, "-c", OWN_TERMINAL, *command], stdin=slave, stdout=slave, stderr=slave,
                               start_new_session=True)
    os.close(slave)
    seen = b""

    def shown(pattern):
        nonlocal seen
        if select.select([master], [], [], 0)[0]:
            try:
                seen += os.read(master, 4096)
            except OSError:  # Linux says so when the other side is closed
                assert re.search(pattern, seen), seen.decode()
        return re.search(pattern, seen)

    try:
        until(lambda: shown(rb"failure: .* [1-9]/%d \[.*cell" % len(FAILURES)), "a bar over cells")
        os.write(master, b"\x03")
        until(lambda: shown(rb"isbe study: interrupted\."), "the last word")
        assert process.wait(SECONDS) == 130
    finally:
        process.kill()
        process.wait()
        os.close(master)
    assert 0 < len(stored(folder)) < len(FAILURES) and b"Traceback" not in seen
