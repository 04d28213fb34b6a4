"""How many threads a parallel kernel uses: all that the user allows, or one where a second would cost more than it saves."""

import contextlib
import functools
import operator
import os
import threading

import numba
from numba.np.ufunc import parallel
from numpy import ndarray

from isbe_np.compiler.cache import SETTINGS

# A parallel kernel whose arrays hold fewer numbers than this in all runs in one thread. Measured on two cores with relu, which
# does least for each number: where both threads are awake, a launch costs about a microsecond, and two of them overtake one
# between 2^14 and 2^15 numbers; beyond, they gain little, as both wait for the same memory. A kernel that does more for each
# number gains more. Where the second thread sleeps, waking it costs tens of microseconds, which relu never earns back.
SMALL = 1 << 15
# How often idle OpenMP threads of GCC's runtime look for work before they sleep, unless the user has said otherwise; it is read
# when the first parallel kernel runs. Its own default, some milliseconds, holds a core that others may wait for. Measured on
# two cores with training steps of lenet5 and n0, batches 128 and 32: four times as often made the fastest steps 6 to 10 %
# shorter with nothing else running, and median steps 60 to 130 % longer beside one busy process; a fifth as often made them 20
# to 40 % longer, and 35 to 50 % shorter. What one look takes, 10 to 50 ns, differs from processor to processor.
SPIN = "5000"
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN)

_MOST = SETTINGS.NUMBA_NUM_THREADS
# What `set_threads` allows. Numba's own number belongs to one Python thread; this one holds for all of them.
_allowed = _MOST
_one_at_a_time = threading.Lock()


class _Layer:
    """Numba's threads, once they have started: how to enter them, and how many of them the calling Python thread uses."""

    def __init__(self):
        numba.get_num_threads()  # starts them
        # Numba's own layer ends the process when two Python threads are in it at once, be it with one thread each.
        workqueue = numba.threading_layer() == "workqueue"
        self.entrance = _one_at_a_time if workqueue else contextlib.nullcontext()
        # numba.set_num_threads and its counterpart without their checks, which take 4 µs a kernel.
        self.get = getattr(parallel, "_get_num_threads", numba.get_num_threads)
        self.set = getattr(parallel, "_set_num_threads", numba.set_num_threads)


_layer = functools.cache(_Layer)
_forked = False


def _after_fork() -> None:
    """In a forked child: GNU's OpenMP ends a process that enters it after a fork, and a pool's parent then waits for ever."""
    global _forked
    started = not SETTINGS.DISABLE_JIT and getattr(parallel, "_is_initialized", _layer.cache_info().currsize > 0)
    _forked = bool(started) and numba.threading_layer() == "omp"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def refuse_forked() -> None:
    """RuntimeError in a process that was forked after kernels had run in its parent."""
    if _forked:
        raise RuntimeError("isbe_np: this process was forked from one in which kernels had run. Their OpenMP threads do not "
                           "survive a fork. Start processes by spawning them: multiprocessing.get_context('spawn').Pool(2), "
                           "or ProcessPoolExecutor(2, mp_context=multiprocessing.get_context('spawn')).")


def shared(kernel):
    """`kernel`, run by as many threads as its arrays are worth: one when they hold fewer than `SMALL` numbers in all."""
    @functools.wraps(kernel.py_func)
    def run(*arguments):
        refuse_forked()
        layer = _layer()
        size = 0
        for argument in arguments:
            if type(argument) is ndarray:
                size += argument.size
        n = 1 if size < SMALL else _allowed
        with layer.entrance:
            before = n if n == _MOST else layer.get()
            if before <= n:
                return kernel(*arguments)
            try:
                layer.set(n)
                return kernel(*arguments)
            finally:
                layer.set(before)
    run.kernel = kernel
    return run


def threads() -> int:
    """Number of threads that large parallel kernels use, called from this Python thread."""
    return min(_allowed, numba.get_num_threads())


def set_threads(n: int) -> None:
    """Let parallel kernels use `n` threads, 1 to the number that Numba started with (its ``NUMBA_NUM_THREADS``).

    It holds for every Python thread of the process, and for the kernels of isbe_np alone. ``numba.set_num_threads``, which
    holds for the Python thread that calls it, may lower the number further there.
    """
    global _allowed
    try:
        given = None if isinstance(n, bool) else operator.index(n)
    except TypeError:
        given = None
    if given is None or not 1 <= given <= _MOST:
        raise ValueError(f"set_threads expects a whole number from 1 to {_MOST}, the threads Numba started with; "
                         f"got {n!r}. For more, set NUMBA_NUM_THREADS before isbe_np is imported.")
    _allowed = given
