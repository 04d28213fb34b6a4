"""Signals that arrive while a kernel is compiled take effect when it is compiled.

LLVM calls back into Python while it compiles. Python prints an exception that is raised in such a callback, drops it and goes
on: a KeyboardInterrupt would be lost, or would leave a kernel half compiled. Every call that compiles or loads a kernel
therefore defers the handlers that may raise, and calls them at its end.
"""

from __future__ import annotations

import functools
import signal
import sys
import threading
from collections.abc import Callable

# Signals by which a program is ended or a time limit is enforced: their handlers usually raise. Windows lacks some of them.
DEFERRED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGBREAK")
                 if hasattr(signal, name))


class Deferred:
    """A context manager for the main thread: the Python handlers of the signals in `DEFERRED` are called when the block ends.

    A handler is called as often as its signal arrived, at most twice: a second Ctrl-C may mean more than the first. Even that
    one waits, since an exception in the middle of a compilation can corrupt LLVM's memory. Signals that are ignored, that end
    the process by default, or whose handler is not a Python function are left alone.
    """

    active: Deferred | None = None

    def __init__(self) -> None:
        self.handlers: dict[int, Callable] = {}
        self.arrived: list[int] = []
        self._ended = False

    def __enter__(self) -> Deferred:
        try:
            for number in DEFERRED:
                handler = signal.getsignal(number)
                if callable(handler):
                    self.handlers[number] = handler  # before it is replaced: `_on_signal` may need it right after
                    signal.signal(number, self._on_signal)
        except ValueError:  # an embedding program whose main thread is not the one that `threading` knows
            pass
        except BaseException:
            self.__exit__()
            raise
        Deferred.active = self
        return self

    def __exit__(self, *_) -> None:
        Deferred.active = None
        try:
            for number in reversed(self.handlers):  # SIGINT last: after it, an interrupt leaves nothing undone
                if signal.getsignal(number) == self._on_signal:
                    signal.signal(number, self.handlers[number])
        finally:
            self._ended = True
            self._deliver()

    def _on_signal(self, number: int, frame) -> None:
        if self._ended:  # a signal in `__exit__` kept the former handler from being put back: this one acts for it
            self.handlers[number](number, frame)
        elif self.arrived.count(number) < 2:
            self.arrived.append(number)

    def _deliver(self) -> None:
        """Call the handlers of what arrived, in that order, all of them, and then raise the first exception among theirs."""
        fault: BaseException | None = None
        while self.arrived:
            number = self.arrived.pop(0)
            try:
                self.handlers[number](number, sys._getframe())
            except BaseException as raised:
                fault = fault or raised
        if fault is not None:
            raise fault


def deferring(function: Callable) -> Callable:
    """`function`, during which signals are `Deferred` if the main thread calls it; other threads receive none."""
    @functools.wraps(function)
    def run(*args, **named):
        if Deferred.active is not None or threading.current_thread() is not threading.main_thread():
            return function(*args, **named)
        with Deferred():
            return function(*args, **named)
    return run
