"""How many threads run a kernel, for which Python thread, and that several Python threads or processes may train at once.

Run as a program, it trains as many networks at once, each in a Python thread of its own, as it is given seeds, and prints the
hashes of their parameters: `python tests/compiler/test_threads.py 0 1`.
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.compiler import jit
from isbe_np.compiler.jit import prange

pytestmark = pytest.mark.exhaustive

MOST = numba.config.NUMBA_NUM_THREADS
compiled_only = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="plain Python runs in one thread and takes minutes")
several_threads = pytest.mark.skipif(MOST < 2 or bool(numba.config.DISABLE_JIT), reason="there is one thread only")
ROOT = str(Path(isbe.__file__).resolve().parent.parent)


@jit.jit(parallel=True)
def used(a, out):
    """out[0] = the number of threads that run this; ValueError for a negative first number"""
    if a[0] < 0:
        raise ValueError("negative")
    for i in prange(a.size):
        a[i] += 1
    out[0] = numba.get_num_threads()


def threads_for(numbers, first=0.0):
    """How many threads run a kernel that is given so many numbers."""
    a, out = np.full(numbers - 1, first), np.zeros(1, np.int64)
    used(a, out)
    return int(out[0])


@pytest.fixture(autouse=True)
def same_number_again():
    before = jit.threads()
    yield
    jit.set_threads(before)


@pytest.mark.parametrize("wrong", [0, -1, MOST + 1, 1.0, "1", None, True, np.float64(1), [1]], ids=repr)
def test_a_number_of_threads_that_there_is_not_is_refused(wrong):
    before = jit.threads()
    with pytest.raises(ValueError, match=f"set_threads expects a whole number from 1 to {MOST}.*; got "):
        isbe.set_threads(wrong)
    assert jit.threads() == before


@pytest.mark.parametrize("n", [1, np.int64(1), MOST])
def test_threads_tells_what_was_set(n):
    isbe.set_threads(n)
    assert jit.threads() == n and type(jit.threads()) is int


@several_threads
def test_small_kernels_run_in_one_thread_and_large_ones_in_all_that_are_allowed():
    for allowed in (MOST, 1):
        isbe.set_threads(allowed)
        assert [threads_for(n) for n in (2, jit.SMALL - 1, jit.SMALL, 4 * jit.SMALL)] == [1, 1, allowed, allowed]
        assert jit.threads() == allowed and numba.get_num_threads() == MOST


@several_threads
@pytest.mark.parametrize("numbers", [2, 2 * jit.SMALL])
def test_a_kernel_that_raises_leaves_the_number_as_it_was(numbers):
    isbe.set_threads(1)
    with pytest.raises(ValueError, match="negative"):
        threads_for(numbers, -1.0)
    assert numba.get_num_threads() == MOST and jit.threads() == 1


@several_threads
def test_set_threads_holds_for_every_python_thread():
    """Numba's own number holds for one: a new Python thread starts with all."""
    isbe.set_threads(1)
    found = []
    thread = threading.Thread(target=lambda: found.extend([jit.threads(), threads_for(jit.SMALL), threads_for(2),
                                                           numba.get_num_threads()]))
    thread.start()
    thread.join()
    assert found == [1, 1, 1, MOST]


@several_threads
def test_numbas_own_number_may_be_lower():
    try:
        numba.set_num_threads(1)
        assert jit.threads() == 1 and threads_for(jit.SMALL) == 1 and numba.get_num_threads() == 1
        isbe.set_threads(MOST)
        assert jit.threads() == 1 and threads_for(jit.SMALL) == 1
    finally:
        numba.set_num_threads(MOST)
    assert jit.threads() == MOST and threads_for(jit.SMALL) == MOST


def python(*arguments, **settings):
    """A process that has been started; `settings` of None are removed from its environment."""
    environment = {name: value for name, value in {**os.environ, "PYTHONPATH": ROOT, **settings}.items() if value is not None}
    return subprocess.Popen([sys.executable, *arguments], env=environment, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def printed(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.strip()


@pytest.mark.parametrize(("settings", "found"), [
    ({}, jit.SPIN), ({"GOMP_SPINCOUNT": "77"}, "77"), ({"OMP_WAIT_POLICY": "passive"}, "None")], ids=["", "count", "policy"])
def test_how_long_idle_threads_wait_unless_the_user_says(settings, found):
    program = "import os, isbe_np; print(os.environ.get('GOMP_SPINCOUNT'))"
    assert printed(python("-c", program, **{"GOMP_SPINCOUNT": None, "OMP_WAIT_POLICY": None, **settings})) == found


# At once


def trained(seed, steps=30):
    """Hash of the parameters of a network whose kernels share their work, small ones between them."""
    net = isbe.Sequential((1, 12, 12), isbe.Conv2D(4, 3), isbe.ReLU(), isbe.MaxPool2D(2), isbe.Flatten(), isbe.Dense(300),
                          isbe.ReLU(), isbe.Dense(5), seed=seed)
    head, optimizer, random = isbe.Head(), isbe.SGD(0.05, momentum=0.9), np.random.default_rng(seed)
    images, labels = random.random((160, 1, 12, 12), np.float32), random.integers(0, 5, 160)
    for _ in range(steps):
        head.forward(net.forward(images, training=True))
        net.backward(head.backward(labels))
        optimizer.step(net)
    assert np.isfinite(net.values).all()
    return hashlib.sha256(net.values.tobytes()).hexdigest()


def trained_at_once(seeds):
    """`trained` for each seed, in Python threads let loose together."""
    with ThreadPoolExecutor(len(seeds), initializer=threading.Barrier(len(seeds)).wait) as pool:
        return list(pool.map(trained, seeds))


@pytest.fixture(scope="module")
def alone():
    """Hashes of two trainings, one after the other."""
    return [trained(seed) for seed in (0, 1)]


@compiled_only
@pytest.mark.parametrize("layer", ["workqueue", "omp", "default"])
@pytest.mark.parametrize("threads", [None, "1"], ids=["all", "one"])
def test_two_python_threads_train_at_once(layer, threads, alone):
    """Numba's workqueue would end the process when both are in it, even with one thread each."""
    if layer == "omp":
        pytest.importorskip("numba.np.ufunc.omppool", reason="this Numba has no OpenMP", exc_type=ImportError)
    process = python(__file__, "0", "1", NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS=threads)
    assert json.loads(printed(process)) == alone


@compiled_only
def test_two_processes_train_at_once(alone):
    processes = [python(__file__, seed) for seed in "01"]
    assert [json.loads(printed(process))[0] for process in processes] == alone


@compiled_only
def test_two_python_threads_here(alone):
    assert trained_at_once([1, 0]) == alone[::-1] and jit.threads() == numba.get_num_threads() == MOST


if __name__ == "__main__":
    print(json.dumps(trained_at_once([int(seed) for seed in sys.argv[1:]])))
