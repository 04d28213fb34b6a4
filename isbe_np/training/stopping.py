"""Ending a training between two steps when a signal asks for it."""

from __future__ import annotations

import signal
import sys
import threading

from isbe_np.training.history import History

STOPPED = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "terminated"}


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C, SIGTERM or a closed terminal ended a training.

    history: what `train` would have returned. The network and the optimizer hold what was learnt until then.
    """

    def __init__(self, sentence: str, history: History):
        super().__init__(sentence)
        self.history = history

    def __reduce__(self):
        return type(self), (str(self), self.history)


class Stopping:
    """A context manager in which a signal sets `asked`: "interrupted" by Ctrl-C, "terminated" by SIGTERM or a closed terminal.

    A second signal, or the first before `working` was called, raises KeyboardInterrupt at once. Signals that this process
    ignores stay ignored, and outside the main thread, where there are none, nothing is changed.
    """

    def __init__(self, wanted: bool = True) -> None:
        self.signals = STOPPED if wanted else ()
        self.asked: str | None = None
        self._at_once = True
        self._before: dict[int, object] = {}

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():
            for name in self.signals:
                number = getattr(signal, name, None)  # Windows has no SIGHUP
                if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._on_signal)
        if self._before:
            self._hook, sys.unraisablehook = sys.unraisablehook, self._on_unraisable
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if self._before:
            sys.unraisablehook = self._hook

    def working(self) -> None:
        """From here on there is something to lose."""
        self._at_once = self.asked is not None

    def _on_signal(self, number: int, _) -> None:
        at_once, self._at_once = self._at_once, True
        self.asked = STOPPED[signal.Signals(number).name]
        if at_once:
            raise KeyboardInterrupt

    def _on_unraisable(self, told) -> None:
        """While Python clears an object away nothing can be raised; it would say so, where `asked` ends the training anyway."""
        if not (self.asked and told.exc_type is KeyboardInterrupt):
            self._hook(told)
