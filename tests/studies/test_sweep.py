"""Sweeps: every cell once, stored at once, taken up again after a stop, and the same bits wherever it ran."""

import importlib
import json
import os
import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from cluster import processes

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


@pytest.mark.exhaustive
def test_the_same_bits_in_threads_processes_and_on_a_cluster(threads):
    cells = {name: CELLS[name] for name in ("seed 0", "seed 1")}
    with processes() as cluster:
        here = sweep(train_little, cells, None, threads).answers
        assert here == sweep(train_little, cells, None, local(2), threads=2).answers
        assert here == sweep(train_little, cells, None, dask(cluster.scheduler_address)).answers


# Files of cells that are none

posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")


def changed(path, change):
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))


@pytest.mark.parametrize("damage, sentence", [
    *((lambda p, name=name: changed(p, lambda t: t.pop(name)), "cell: expected the names cell, ") for name in
      ("cell", "configuration", "environment", "seconds", "answer")),
    (lambda p: changed(p, lambda t: t["answer"].pop("seed")), "cell.answer: expected the names seed"),
    (lambda p: changed(p, lambda t: t.update(answer=[1])), "cell.answer: expected the names seed"),
    (lambda p: changed(p, lambda t: t["answer"].update(seed="1")), "cell.answer.seed: expected float"),
    (lambda p: changed(p, lambda t: t["answer"].update(seed=10**400)), "cell.answer.seed: expected a number of at most 1.8e"),
    (lambda p: changed(p, lambda t: t.update(seconds=10**400)), "cell.seconds: expected a number of at most"),
    (lambda p: changed(p, lambda t: t.update(environment=[])), "cell.environment: expected dict"),
    (lambda p: changed(p, lambda t: t.update(cell=["a"])), "cell.cell: expected str"),
    (lambda p: changed(p, lambda t: t.update(more=1)), "cell: expected the names"),
    (lambda p: p.write_text("[]"), "cell: expected the names"), (lambda p: p.write_text("null"), "cell: expected the names"),
    (lambda p: p.write_text("NaN"), "cell: expected the names"), (lambda p: p.write_text(""), "content: expected JSON"),
    (lambda p: p.write_text('{"cell": "a"'), "content: expected JSON"),
    (lambda p: p.write_text('{"cell": "a", "cell": "b"}'), "got a name stands twice"),
    (lambda p: p.write_text("9" * 5000), "content: expected JSON"),
    (lambda p: p.write_text("[" * 10**5), "got more than 200 lists and objects"),
    (lambda p: p.write_bytes(p.read_text().encode("utf-16")), "content: expected JSON; got 'utf-8' codec"),
    (lambda p: p.write_text("\x1b[2J"), "content: expected JSON"),
    (lambda p: os.truncate(p, 2**27), "length: expected at most 67,108,864 bytes"),
])
def test_a_cell_that_cannot_be_used_is_named_in_a_sentence_and_asked_again(tmp_path, threads, caplog, damage, sentence):
    cells, path = {"a": {"seed": 0}, "b": {"seed": 1}}, tmp_path / file_name("a")
    sweep(fail_at_2, cells, tmp_path, threads)
    damage(path)
    found = sweep(fail_at_2, cells, tmp_path, threads, answer={"seed": float})
    assert found.answers == {"a": {"seed": 0}, "b": {"seed": 1}} and found.kept == ["b"]
    message, = (record.getMessage() for record in caplog.records)
    assert message.startswith(f"{path}: ") and message.isprintable() and message.endswith("Its cell is asked for again.")
    assert re.search(sentence, message) and len(message) < 1100
    assert sweep(fail_at_2, cells, tmp_path, threads, answer={"seed": float}).kept == ["a", "b"], "and is whole again"


@posix
@pytest.mark.parametrize("kind", ["a folder", "a pipe", "a socket"])
def test_what_can_be_no_file_of_a_cell_is_refused_before_anything_is_asked(tmp_path, monkeypatch, threads, kind):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        {"a folder": lambda: os.mkdir("b.json"), "a pipe": lambda: os.mkfifo("b.json"),
         "a socket": lambda: server.bind("b.json")}[kind]()
        with pytest.raises(ValueError, match=rf"b\.json: kind: expected a plain file; got {kind}\. Remove it, or name another"):
            sweep(fail_at_2, {"a": {"seed": 2}, "b": {"seed": 2}}, tmp_path, threads)
        assert stored(tmp_path) == {} and os.listdir(tmp_path) == ["b.json"]


@posix
@pytest.mark.parametrize("target", ["victim", "new", "/dev/zero", ".", "pipe"])
def test_a_link_in_the_place_of_a_cell_is_replaced(tmp_path, threads, target):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "victim").write_text("years of work")
    (tmp_path / "cells").mkdir()
    path = tmp_path / "cells" / "a.json"
    path.symlink_to(tmp_path / target)
    assert sweep(fail_at_2, {"a": {"seed": 0}}, tmp_path / "cells", threads).answers == {"a": {"seed": 0}}
    assert not path.is_symlink() and stored(tmp_path / "cells")["a"]["answer"] == {"seed": 0}
    assert (tmp_path / "victim").read_text() == "years of work" and sorted(os.listdir(tmp_path)) == ["cells", "pipe", "victim"]


@posix
def test_a_link_to_a_cell_is_read(tmp_path, threads):
    sweep(fail_at_2, {"a": {"seed": 0}}, tmp_path / "one", threads)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "a.json").symlink_to(tmp_path / "one" / "a.json")
    assert sweep(fail_at_2, {"a": {"seed": 0}}, tmp_path / "two", threads).kept == ["a"]


def test_a_folder_that_cannot_be_made(tmp_path, threads):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"A study expects a folder for its cells; .*file cannot be made"):
        sweep(fail_at_2, {"a": {"seed": 0}}, tmp_path / "file", threads)


def test_text_of_a_cell_steers_no_terminal(tmp_path, threads):
    cells = {"a": {"seed": 0}}
    sweep(fail_at_2, cells, tmp_path, threads)
    changed(tmp_path / "a.json", lambda told: told.update(answer={"so\x1b[2J": ["\u202eurce\n"]}))
    assert sweep(fail_at_2, cells, tmp_path, threads).answers["a"] == {r"so\x1b[2J": [r"\u202eurce\n"]}


@pytest.mark.parametrize("study, options, patterns", [
    ("accuracy", {}, ["ANSWER"]), ("data", {"sets": ["mnist"]}, ["ANSWER", "STEP"]), ("failures", {}, ["ANSWER"]),
    ("reductions", {}, ["TRAINED", "APART"]), ("scaling", {}, ["ANSWER"]), ("timing", {}, ["ANSWER"])])
def test_every_study_says_what_its_answers_are_like(study, options, patterns, monkeypatch):
    """So that a cell which lacks a part is asked for again. That new answers are like it, the tests of each study show."""
    module, asked = importlib.import_module(f"isbe_np.studies.{study}"), []
    monkeypatch.setattr(module, "sweep", lambda *_, answer, **__: asked.append(answer) or Sweep())
    getattr(module, study)(**options)
    assert asked == [getattr(module, name) for name in patterns] and all(isinstance(one, dict) for one in asked)
