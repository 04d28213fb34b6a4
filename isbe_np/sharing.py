"""One network and several Python threads: whole calls take turns, and no thread goes back through another's forward pass.

The buffers of a network hold one batch at a time. A lock lets one call in at a time, so that answers are right whichever thread
asks. Between two calls another thread may still run a batch of its own: each thread's passes are therefore counted, and a call
that needs the thread's last pass is refused where another pass has replaced it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from isbe_np.compiler.threads import refuse_forked


class Sharing:
    """Who uses a network now, and whose passes its buffers hold; entered with `with`, again and again by the same thread."""

    def __init__(self) -> None:
        self._lock, self._training = threading.RLock(), threading.Lock()
        self._passes = {"forward": 0, "backward": 0}
        self._thread = threading.local()  # by kind, the number of this thread's last pass

    def __enter__(self) -> None:
        refuse_forked()  # first: a lock that another thread held during the fork is never released in the child
        self._lock.acquire()

    def __exit__(self, *reason) -> None:
        self._lock.release()

    def __getstate__(self) -> dict:
        """Nothing: a copy of a network is a network that nobody has used."""
        return {}

    def __setstate__(self, state: dict) -> None:
        Sharing.__init__(self)

    def passed(self, kind: str) -> None:
        """This thread runs a "forward" or "backward" pass, which replaces what the one before left in the buffers."""
        self._passes[kind] += 1
        vars(self._thread)[kind] = self._passes[kind]

    def refuse_replaced(self, who: str, kind: str) -> None:
        """RuntimeError where this thread ran a pass of this kind and another thread has run one since."""
        if vars(self._thread).get(kind, self._passes[kind]) != self._passes[kind]:
            raise RuntimeError(f"{who} needs this thread's last {kind} pass, but another thread has used the network since. "
                               "Keep the calls that belong together in `with net.exclusive():`, or give each thread a network "
                               "of its own, copy.deepcopy(net).")

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Train the network alone; RuntimeError where it is being trained."""
        if not self._training.acquire(blocking=False):
            raise RuntimeError("train: this network is being trained already, by another thread or by the call that this one "
                               "lies in. Train a copy, copy.deepcopy(net), or wait for the other training to end.")
        try:
            yield
        finally:
            self._training.release()
