"""The way of a batch: which files of the package a training step enters, how many, and that none calls back up."""

import os
import sys
from types import SimpleNamespace

import numba
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.training import observer
from isbe_np.training.diagnosis import Early

ROOT = os.path.dirname(isbe.__file__)
# Python files that a step may enter. Plain kernels go by a head's forward, backward and route, fast ones by one pass.
MOST = 18 if numba.config.DISABLE_JIT else 16
BATCH = 2
# A file calls those of its own level and of the levels below. Kernels, and what starts their threads, are at the bottom.
LEVELS = {"training/": 0, "datasets/": 1, "heads/": 1, "graph.py": 1, "sharing.py": 2, "plan.py": 2, "layers/": 3,
          "engine/layers/": 3, "checks.py": 3, "compiler/": 4, "engine/": 4, "kernels/": 4}


def level(file):
    return LEVELS[max((start for start in LEVELS if file.startswith(start)), key=len)]


def name_of(frame):
    """The file of a frame, from the package's folder."""
    return os.path.relpath(frame.f_code.co_filename, ROOT).replace(os.sep, "/") if frame else ".."


def is_kernel(file):
    return file.startswith(("kernels/", "engine/")) and not file.startswith("engine/layers/")


@pytest.fixture(scope="module")
def calls():
    """(file, function, caller's file) of each call from the start of one `learn` to the next, once all is laid out."""
    random, calls, starts = np.random.default_rng(0), [], []
    x, y = random.normal(size=(4 * BATCH, 1, 12, 12)).astype(np.float32), random.integers(0, 10, 4 * BATCH)
    data = SimpleNamespace(x_train=x, y_train=y, x_test=x[:BATCH], y_test=y[:BATCH])

    def watch(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(ROOT):
            file, caller = name_of(frame), name_of(frame.f_back)
            if frame.f_code.co_name == "learn":
                starts.append(len(calls))
            calls.append((file, frame.f_code.co_name, caller))

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(observer, "Early", lambda: Early(missing=1))  # else steps keep the first examples for some time
            isbe.train(isbe.networks.lenet5(image=(1, 12, 12)), isbe.Head(), data, batch_size=BATCH, progress=False)
    finally:
        sys.setprofile(before)
    return calls[starts[2]:starts[3]]


def test_a_step_enters_few_files(calls):
    """Kernels count apart, one file an operation: what a debugger steps through on the way to them is Python."""
    way, kernels = (sorted({file for file, _, _ in calls if is_kernel(file) == bottom}) for bottom in (False, True))
    functions = {(file, name) for file, name, _ in calls}
    told = f"{len(way)} files: {', '.join(way)}; {len(kernels)} of kernels: {', '.join(kernels)}; {len(functions)} functions"
    print(told)
    assert len(way) <= MOST, told
    assert {"training/train.py", "training/observer.py", "graph.py", "plan.py", "heads/head.py"} <= set(way)


def test_no_file_is_entered_from_below(calls):
    up = {f"{caller} calls {name} in {file}" for file, name, caller in calls
          if not caller.startswith("..") and level(caller) > level(file)}
    assert not up, up


def test_what_need_not_be_watched_costs_no_file(calls):
    """Progress that nobody sees and checkpoints that nobody asked for."""
    assert not {file for file, _, _ in calls} & {"training/progress.py", "training/keeping.py", "training/task.py"}
