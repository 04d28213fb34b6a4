"""Sweeps: every cell once, stored at once, taken up again after a stop, and the same bits wherever it ran."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.executors import dask, local
from isbe_np.studies.sweep import Sweep, file_name, stored, sweep

CELLS = {f"seed {seed}": {"seed": seed} for seed in range(4)}


def train_little(seed):
    """A training whose every bit counts: its parameters as text."""
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(40, 6)).astype(np.float32), random.integers(0, 3, 40)
    data = isbe.datasets.Dataset("noise", x, y, x, y, ("a", "b", "c"), "random numbers")
    net = isbe.Sequential((6,), isbe.Dense(8), isbe.ReLU(), isbe.Dense(3), seed=seed)
    isbe.train(net, isbe.Head(), data, 3, 8, isbe.SGD(0.1, momentum=0.9), seed, progress=False)
    return {"bits": net.values.tobytes().hex()}


def fail_at_2(seed):
    if seed == 2:
        raise ValueError("no such seed")
    return {"seed": seed}


def die_at_first(seed, folder):
    mark = Path(folder) / str(seed)
    if seed == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"seed": seed}


@pytest.fixture
def threads():
    with ThreadPoolExecutor(1) as executor:
        yield executor


def test_answers_are_stored_and_found_again(tmp_path, threads):
    asked = []

    def once(seed):
        asked.append(seed)
        return {"twice": 2 * seed}

    first = sweep(once, CELLS, tmp_path, threads)
    assert first == Sweep({name: {"twice": 2 * k} for k, name in enumerate(CELLS)}) and sorted(asked) == [0, 1, 2, 3]
    again = sweep(once, CELLS, tmp_path, threads)
    assert again.answers == first.answers and again.kept == list(CELLS) and len(asked) == 4
    told = stored(tmp_path)["seed 3"]
    assert told["configuration"] == {"seed": 3} and told["environment"]["numpy"] == np.__version__ and told["seconds"] >= 0


def test_what_has_changed_or_is_damaged_is_asked_anew(tmp_path, threads):
    sweep(fail_at_2, {"a": {"seed": 0}, "b": {"seed": 1}, "c": {"seed": 3}}, tmp_path, threads)
    (tmp_path / file_name("b")).write_text("{half a fi")
    found = sweep(fail_at_2, {"a": {"seed": 7}, "b": {"seed": 1}, "c": {"seed": 3}}, tmp_path, threads)
    assert found.answers == {"a": {"seed": 7}, "b": {"seed": 1}, "c": {"seed": 3}} and found.kept == ["c"]


def test_times_of_another_machine_are_not_kept(tmp_path, threads):
    sweep(fail_at_2, {"a": {"seed": 0}}, tmp_path, threads)
    path = tmp_path / file_name("a")
    told = json.loads(path.read_text())
    assert sweep(fail_at_2, {"a": {"seed": 0}}, tmp_path, threads, same_machine=True).kept == ["a"]
    path.write_text(json.dumps(told | {"environment": told["environment"] | {"cpu": "z80"}}))
    assert sweep(fail_at_2, {"a": {"seed": 0}}, tmp_path, threads).kept == ["a"]
    assert sweep(fail_at_2, {"a": {"seed": 0}}, tmp_path, threads, same_machine=True).kept == []


def test_a_cell_that_fails_is_told_and_asked_again_next_time(tmp_path, threads):
    found = sweep(fail_at_2, CELLS, tmp_path, threads)
    assert found.failed == {"seed 2": "ValueError: no such seed"} and len(found.answers) == 3
    assert sweep(fail_at_2, CELLS, tmp_path, threads).kept == ["seed 0", "seed 1", "seed 3"]


def test_a_dead_worker_costs_no_answer(tmp_path):
    cells = {str(seed): {"seed": seed, "folder": str(tmp_path)} for seed in range(3)}
    assert sweep(die_at_first, cells, tmp_path / "cells", local(2)).answers == {str(k): {"seed": k} for k in range(3)}


def test_cells_stay_in_their_order_and_names_become_files(threads):
    cells = {"z / λ": {"seed": 0}, "a:b": {"seed": 1}}
    assert list(sweep(fail_at_2, cells, None, threads).answers) == ["z / λ", "a:b"]
    assert file_name("n1 softmax/isbe seed 0") == "n1_softmax_isbe_seed_0.json"


def test_the_same_bits_in_threads_processes_and_on_a_cluster(threads):
    distributed = pytest.importorskip("distributed", reason="the extra [distributed] is not installed")
    cells = {name: CELLS[name] for name in ("seed 0", "seed 1")}
    here = sweep(train_little, cells, None, threads).answers
    assert here == sweep(train_little, cells, None, local(2), threads=2).answers
    options = {"threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None, "silence_logs": 50}
    with distributed.LocalCluster(n_workers=2, **options) as cluster:
        assert here == sweep(train_little, cells, None, dask(cluster.scheduler_address)).answers
