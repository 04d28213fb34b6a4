"""Ctrl-C while kernels compile: it takes effect, once, when the kernel is compiled; and every handler is as it was."""

import os
import signal
import subprocess
import sys
import threading

import numba
import pytest

from isbe_np.compiler.interrupts import DEFERRED, Deferred, deferring


@pytest.fixture(params=DEFERRED, ids=lambda number: number.name)
def number(request):
    """A signal, whose handler is put back at the end."""
    before = signal.getsignal(request.param)
    yield request.param
    signal.signal(request.param, before)


def test_a_handler_is_called_when_the_block_ends_and_is_in_its_place_then(number):
    calls = []

    def handler(given, frame):
        calls.append((given, frame is not None, signal.getsignal(number) is handler, Deferred.active))

    signal.signal(number, handler)
    with Deferred():
        signal.raise_signal(number)
        assert not calls
    assert calls == [(number, True, True, None)] and signal.getsignal(number) is handler
    signal.raise_signal(number)
    assert len(calls) == 2


@pytest.mark.parametrize("presses", [1, 2, 3])
def test_a_second_signal_counts_and_waits_too(number, presses):
    """An exception in the middle of a compilation may corrupt memory; a third signal means no more than a second."""
    calls = []
    signal.signal(number, lambda *_: calls.append(1))
    with Deferred():
        for _ in range(presses):
            signal.raise_signal(number)
        assert not calls
    assert len(calls) == min(presses, 2)


@pytest.mark.parametrize("inside", [None, RuntimeError("no compiled object yet")])
def test_what_handlers_raise_comes_through_and_none_is_left_out(number, inside):
    calls = []

    def handler(*_):
        calls.append(1)
        raise KeyboardInterrupt(len(calls))

    def work():
        signal.raise_signal(number)
        signal.raise_signal(number)
        if inside:
            raise inside

    signal.signal(number, handler)
    with pytest.raises(KeyboardInterrupt, match="1"):
        deferring(work)()
    assert calls == [1, 1] and signal.getsignal(number) is handler and Deferred.active is None


def test_calls_within_each_other_wait_for_the_outermost(number):
    calls = []
    signal.signal(number, lambda *_: calls.append(1))
    inner = deferring(lambda: signal.raise_signal(number))
    deferring(lambda: (inner(), calls.append("inner is done")))()
    assert calls == ["inner is done", 1]


@pytest.mark.parametrize("kept", [signal.SIG_IGN, signal.SIG_DFL])
def test_signals_that_are_ignored_or_end_the_process_keep_that(number, kept):
    signal.signal(number, kept)
    with Deferred():
        assert signal.getsignal(number) is kept
    assert signal.getsignal(number) is kept


def test_a_handler_that_is_not_of_python_is_left_alone(monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    monkeypatch.setattr(signal, "signal", lambda *_: pytest.fail("it cannot be put back"))
    with Deferred():
        pass


def test_a_handler_that_was_exchanged_in_the_block_stays(number):
    def other(*_):
        pass

    signal.signal(number, lambda *_: None)
    with Deferred():
        signal.signal(number, other)
    assert signal.getsignal(number) is other


def test_other_threads_and_programs_without_a_main_thread_are_left_alone(monkeypatch):
    def refuse(*_):
        raise ValueError("signal only works in main thread")

    before, seen = signal.getsignal(signal.SIGINT), []
    thread = threading.Thread(target=deferring(lambda: seen.append(signal.getsignal(signal.SIGINT))))
    thread.start()
    thread.join()
    assert seen == [before]
    monkeypatch.setattr(signal, "signal", refuse)
    assert deferring(lambda: 5)() == 5


PRESS = """
import os, signal, sys, tempfile
import numpy as np, isbe_np as isbe
signal.signal(signal.SIGINT, signal.default_int_handler)
net, data = isbe.Sequential((4,), isbe.Dense(3)), type("Data", (), {})
data.x_train = data.x_test = np.ones((64, 4), np.float32)
data.y_train = data.y_test = np.arange(64) % 3
pressed = []
def press(frame, event, argument):
    if event == "call" and frame.f_code.co_name in ("_raw_object_cache_notify", "_raw_object_cache_getbuffer"):
        pressed.append(1)
        if len(pressed) == 3:
            signal.raise_signal(signal.SIGINT)
def train(**how):
    isbe.train(net, isbe.Head(), data, 50, progress=False, **how)
work = {"forward": lambda: net.forward(data.x_train), "train": train,
        "checkpoint": lambda: train(checkpoint=tempfile.mkdtemp()),
        "check": lambda: isbe.check_gradients(isbe.Dense(3), np.eye(4))}[sys.argv[1]]
sys.setprofile(press)
try:
    work()
    ended = "nothing was noticed"
except KeyboardInterrupt as fault:
    ended = f"interrupted, {getattr(getattr(fault, 'history', None), 'steps', 'no')} steps"
sys.setprofile(None)
assert len(pressed) >= 3 and signal.getsignal(signal.SIGINT) is signal.default_int_handler
print(ended, np.isfinite(net.forward(data.x_train)).all())
"""


@pytest.mark.exhaustive
@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled under NUMBA_DISABLE_JIT")
@pytest.mark.parametrize(("cache", "work", "ended"), [
    ("0", "forward", "interrupted, no steps True"), ("1", "forward", "interrupted, no steps True"),
    ("0", "train", "interrupted, 0 steps True"), ("1", "checkpoint", "interrupted, 0 steps True"),
    ("1", "check", "interrupted, no steps True")])
def test_ctrl_c_in_a_callback_of_the_compiler_is_not_lost(cache, work, ended, tmp_path):
    """Python drops what is raised there. In a process of its own, with nothing compiled before."""
    run = subprocess.run([sys.executable, "-c", PRESS, work], capture_output=True, text=True, check=False, env=os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path), "ISBE_JIT_CACHE": cache, "ISBE_CACHE_DIR": str(tmp_path), "ISBE_QUIET": "1"})
    assert (run.stdout, run.stderr) == (ended + "\n", "")
