"""Compiling beforehand: nothing is left to compile afterwards, and what it says of itself is so."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

import isbe_np as isbe
from isbe_np import cli, warmup
from isbe_np.compiler import cache

pytestmark = pytest.mark.exhaustive

compiled_only = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled under NUMBA_DISABLE_JIT")
ROOT = str(Path(isbe.__file__).resolve().parent.parent)
# What a user does after a warm-up, and how many kernels it compiles.
PROGRAM = """
from numba.core import event
import numpy as np
import isbe_np as isbe
from isbe_np.heads import NORMALIZERS
from isbe_np.studies.compare import agreements

data = isbe.datasets.load("digits", train=300, test=50)
with event.install_recorder("numba:compile") as compiled:
    for optimizer in (isbe.SGD(0.01), isbe.SGD(0.01, momentum=0.9), isbe.SGD(0.01, momentum=0.9, nesterov=True), isbe.Adam(),
                      isbe.AdamW()):
        isbe.train(isbe.networks.n0(), isbe.Head(), data, optimizer=optimizer, loss=True, progress=False)
    for net in (isbe.networks.n0(), isbe.networks.n0(fuse=False)):
        for batch in (1, 60, 300):
            images, labels = data.x_train[:batch], data.y_train[:batch]
            for targets in (labels, np.eye(10, dtype=np.float32)[labels]):
                head = isbe.Head()
                net.backward(head.error(net.forward(images, training=True), targets), input_gradient=True)
        for name in ("dense_1", "relu_1"):
            net.value(name), net.gradient(name)
    for normalizer in NORMALIZERS:
        isbe.train(net, isbe.Head(normalizer), data, optimizer=isbe.SGD(1e-6), progress=False)
    isbe.predict(net, data.x_test[0:1])
    for rows in (4, 8000):
        scores, labels = np.random.default_rng(0).random((rows, 10)).astype(np.float32), np.arange(rows) % 10
        for route in isbe.ROUTES:
            for targets in (labels, np.eye(10, dtype=np.float32)[labels]):
                isbe.Head(route=route).error(scores, targets)
print(len(compiled.buffer))
"""


@pytest.fixture
def little(monkeypatch, tmp_path):
    """One network, one head and one optimizer, and a folder that seems to gain a file with each part that is run."""
    def part(*given):
        ran.append(given)
        (tmp_path / f"{len(ran)}.nbc").touch()

    ran = []
    for name in ("warm_network", "warm_heads", "warm_optimizers"):
        monkeypatch.setattr(warmup, name, lambda *given, name=name: part(name, *given))
    monkeypatch.setattr(warmup, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(warmup.SETTINGS, "DISABLE_JIT", 0)
    monkeypatch.setattr(cache, "_announced", False)
    return ran


def run(*arguments, **settings):
    """A process that must succeed: what it prints, and what it says on standard error."""
    done = subprocess.run([sys.executable, *arguments], env={**os.environ, "PYTHONPATH": ROOT, **settings}, text=True, cwd=ROOT,
                          capture_output=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


@compiled_only
def test_nothing_is_left_to_compile(tmp_path):
    """It begins with the kernels that other tests have compiled: where all are there already, this takes seconds.

    It counts in a copy of their folder, as other tests may be compiling.
    """
    ours, folder = {"ISBE_CACHE_DIR": str(tmp_path)}, cache.cache_folder()
    (tmp_path / "jit" / folder.name).mkdir(mode=0o700, parents=True)
    for kernel in folder.glob(f"*{cache.KERNEL}"):
        shutil.copy(kernel, tmp_path / "jit" / folder.name)
    # In both dtypes: a training that learns nothing is looked at more closely, in float64.
    run("-m", "isbe_np", "warmup", "--nets", "n0", **ours)
    assert run("-c", PROGRAM, **ours) == ("0", "")
    out, err = run("-m", "isbe_np", "warmup", "--nets", "n0", "--json", str(tmp_path / "a.json"), **ours)
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["compiled"] == 0 and found["kept"] > 20 and err == ""
    assert f"All kernels were there, {found['kept']} in {found['folder']}: nothing was compiled" in " ".join(out.split())


def test_every_part_is_run_and_counted(little, tmp_path):
    done = warmup.warm_up(("n0", "n1"), ("float64",))
    assert little == [("warm_network", "n0", "float64"), ("warm_network", "n1", "float64"), ("warm_heads", "float64"),
                      ("warm_optimizers", "float64")]
    assert (done.compiled, done.kept, done.folder) == (4, 4, str(tmp_path))
    assert done.sentence().startswith("4 kernels compiled in ") and done.sentence().endswith(f"; 4 are kept in {tmp_path}.")


def test_both_dtypes_by_default(little):
    warmup.warm_up()
    assert len(little) == len(set(little)) == 2 * (len(isbe.networks.NETWORKS) + 2)
    assert {dtype for *_, dtype in little} == {"float32", "float64"}


def test_half_of_it_is_done_in_another_process(little):
    class Elsewhere:
        def submit(self, function, *given):
            from concurrent.futures import Future
            future = Future()
            future.set_result(submitted.append(given))
            return future

    submitted = []
    warmup.warm_up(("n0",), executor=Elsewhere())
    assert {dtype for *_, dtype in little} == {"float32"} and {dtype for *_, dtype in submitted} == {"float64"}
    del submitted[:], little[:]
    warmup.warm_up(("n0",), ("float32",), executor=Elsewhere())
    assert little == [("warm_network", "n0", "float32")] and submitted == [("float32",)] * 2


def test_the_bar_takes_the_place_of_the_notice(little):
    warmup.warm_up(("n0",), ("float32",))
    assert cache._announced


def test_what_it_refuses(little, monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="Did you mean 'lenet5'"):
        warmup.warm_up(("lenet",))
    with pytest.raises(ValueError, match="'float32', 'float64'; got 'float16'"):
        warmup.warm_up(dtypes=("float16",))
    monkeypatch.setattr(warmup.os, "access", lambda *_: False)
    with pytest.raises(OSError, match=r"may only be read\. Set ISBE_CACHE_DIR"):
        warmup.warm_up()
    monkeypatch.setattr(warmup, "cache_folder", lambda: None)
    with pytest.raises(OSError, match="has no folder"):
        warmup.warm_up()
    monkeypatch.setattr(warmup.SETTINGS, "DISABLE_JIT", 1)
    with pytest.raises(ValueError, match="NUMBA_DISABLE_JIT=1"):
        warmup.warm_up()
    assert not little


def test_the_command_refuses_in_one_sentence(little, capsys):
    for arguments, words in ((["--nets", "n3"], "--nets expects one of"), (["--dtype", "float16"], "--dtype expects one of")):
        assert cli.main(["warmup", *arguments]) == 2
        assert words in capsys.readouterr().err
    assert not little
