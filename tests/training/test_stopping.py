"""Ending a training by a signal: asked once, at once the second time, and everything is as it was afterwards."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from isbe_np.training.stopping import STOPPED, Stopping

SIGNALS = [getattr(signal, name) for name in STOPPED]


@pytest.fixture(autouse=True)
def handlers():
    """A signal that comes through ends a test and not all of them, and each test must leave the handlers as they are here."""
    def stray(number, _):
        raise AssertionError(f"signal {number} came through")

    before = {number: signal.signal(number, stray) for number in SIGNALS}
    yield stray
    after = {number: signal.signal(number, handler) for number, handler in before.items()}
    assert set(after.values()) == {stray}, "the handlers are back"


@pytest.mark.parametrize("name, word", STOPPED.items())
def test_a_signal_is_remembered_and_does_nothing_else(name, word):
    with Stopping() as stopping:
        stopping.working()
        assert stopping.asked is None
        signal.raise_signal(getattr(signal, name))
        assert stopping.asked == word
    assert stopping.asked == word


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_a_second_signal_raises_at_once(first, second):
    with Stopping() as stopping:
        stopping.working()
        signal.raise_signal(first)
        for _ in range(2):  # and every one after it
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(second)
        assert stopping.asked == STOPPED[signal.Signals(second).name]


def test_work_that_goes_on_does_not_make_the_second_signal_a_first():
    """`working` is told between any two steps, so also between a signal and the saving that it asked for."""
    with Stopping() as stopping:
        stopping.working()
        signal.raise_signal(signal.SIGINT)
        stopping.working()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", SIGNALS)
def test_before_there_is_work_the_first_signal_raises_at_once(number):
    with Stopping() as stopping, pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert stopping.asked == STOPPED[signal.Signals(number).name]


@pytest.mark.parametrize("fault", [None, KeyError, KeyboardInterrupt])
def test_the_handlers_are_back_afterwards(fault, handlers):
    try:
        with Stopping():
            assert all(signal.getsignal(number) is not handlers for number in SIGNALS)
            if fault:
                raise fault
    except (KeyError, KeyboardInterrupt):
        pass
    assert all(signal.getsignal(number) is handlers for number in SIGNALS)


def test_one_within_another_leaves_the_outer_one_at_work():
    with Stopping() as outer:
        outer.working()
        with Stopping() as inner:
            inner.working()
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert (inner.asked, outer.asked) == ("interrupted", "terminated")


@pytest.mark.parametrize("ignored", SIGNALS)
def test_ignored_signals_stay_ignored(ignored, handlers):
    """A shell starts what runs in the background with SIGINT ignored, for Ctrl-C to reach others alone."""
    signal.signal(ignored, signal.SIG_IGN)
    other = next(number for number in SIGNALS if number != ignored)
    with Stopping() as stopping:
        stopping.working()
        for _ in range(3):
            signal.raise_signal(ignored)
        assert stopping.asked is None and signal.getsignal(ignored) is signal.SIG_IGN
        signal.raise_signal(other)
        assert stopping.asked == STOPPED[signal.Signals(other).name]
    assert signal.getsignal(ignored) is signal.SIG_IGN
    signal.signal(ignored, handlers)


def test_a_handler_that_is_not_of_python_is_left_alone(monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    monkeypatch.setattr(signal, "signal", lambda *_: pytest.fail("it cannot be put back"))
    with Stopping():
        pass


def test_in_another_thread_nothing_happens(handlers):
    found = []

    def run():
        hook = sys.unraisablehook
        with Stopping() as stopping:
            stopping.working()
            assert sys.unraisablehook is hook
            found.extend(signal.getsignal(number) for number in SIGNALS)
        found.append(stopping.asked)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [*[handlers] * len(SIGNALS), None]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_default_actions_are_back_too(number):
    """In a process of its own: SIGTERM ends it again, and Ctrl-C is a KeyboardInterrupt."""
    program = ("import signal, sys; from isbe_np.training.stopping import Stopping\n"
               "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
               "with Stopping() as s:\n    s.working(); signal.raise_signal(int(sys.argv[1])); print(s.asked, flush=True)\n"
               "try: signal.raise_signal(int(sys.argv[1]))\n"
               "except KeyboardInterrupt: print('at once')\n")
    run = subprocess.run([sys.executable, "-c", program, str(int(number))], capture_output=True, text=True, check=False,
                         env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    interrupt = number == signal.SIGINT
    assert run.stdout.split("\n") == ([STOPPED["SIGINT"], "at once", ""] if interrupt else [STOPPED["SIGTERM"], ""])
    assert (run.returncode == 0) is interrupt


@pytest.mark.filterwarnings("error")
def test_a_signal_while_an_object_is_cleared_away_is_kept_and_not_told(capsys):
    """Python cannot raise there; it would print a traceback and go on."""
    class Clearing:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)

    class Failing:
        def __del__(self):
            raise OSError("of its own")

    told = []
    before, sys.unraisablehook = sys.unraisablehook, told.append
    try:
        with Stopping() as stopping:
            thing = Clearing()
            del thing
            assert stopping.asked == "terminated" and not told
            thing = Failing()
            del thing
        assert [one.exc_type for one in told] == [OSError], "what has nothing to do with it is told"
        assert sys.unraisablehook == told.append
    finally:
        sys.unraisablehook = before
