"""How every kernel is compiled: the flags, the threads and the folder that keeps compiled code.

A kernel is a plain Python function of NumPy arrays under one of two decorators:

    @jit                    one thread
    @jit(parallel=True)     ``prange`` loops are shared among threads

Set ``NUMBA_DISABLE_JIT=1`` and every kernel runs as the plain Python it is written in, for a debugger to step through.
"""

import contextlib
import functools
import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import prange
from numba.core import config

from isbe_np.folders import cache_root

__all__ = ["cache_folder", "jit", "prange", "set_threads", "threads"]

# Numba's own settings: it makes them from the environment when it is imported, out of a type checker's sight.
SETTINGS: Any = config
# Sums may be reordered (so that they vectorise), a*b + c may round once, -0 may become 0, and x/s may become x*(1/s).
# NaN and infinity keep their meaning: `nnan` and `ninf` are absent on purpose.
FAST = {"reassoc", "contract", "nsz", "arcp"}
# A parallel kernel whose arrays hold fewer numbers than this in all runs in one thread: waking a second costs more than that
# saves.
SMALL = 1 << 15
# Idle OpenMP threads of GCC's runtime wait for work in a loop for some milliseconds before they sleep. On a machine that does
# anything else besides, that loop holds the core which the other thread waits for, and a training step becomes ten times slower
# and more. So they go to sleep soon, unless the user has said otherwise; it is read when the first parallel kernel runs.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
# "numpy" makes 1/0 infinite, as in NumPy, where Numba's default would raise.
ERRORS = "numpy"


def _fingerprint():
    """Name for all that decides the compiled code: every kernel's source, the flags and the compiler's version.

    Numba keys its cache by one function's own file. A kernel that calls another would go on running the old callee
    after an edit there, and a changed flag would go unnoticed. A folder named by this fingerprint has neither fault.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    settings = (numba.__version__, sys.version_info[:2], sorted(FAST), ERRORS, SETTINGS.BOUNDSCHECK)
    digest.update(repr(settings).encode())
    return digest.hexdigest()[:16]


def cache_folder() -> Path | None:
    """Folder of compiled kernels, or None where caching is off or no folder can be written.

    ``ISBE_CACHE_DIR`` moves it, ``ISBE_JIT_CACHE=0`` turns it off.
    """
    if os.environ.get("ISBE_JIT_CACHE", "1") == "0" or SETTINGS.DISABLE_JIT:
        return None
    try:
        folder = cache_root() / "jit" / _fingerprint()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder if os.access(folder, os.W_OK) else None


_FOLDER = cache_folder()


def nothing_compiled() -> bool:
    """True when the next kernel must be compiled: no compiled code is kept, as at the first run, and the JIT is on."""
    return not SETTINGS.DISABLE_JIT and (_FOLDER is None or not any(_FOLDER.rglob("*.nbi")))


def jit(function=None, *, parallel=False, exact=False):
    """Compile a kernel at its first call with each dtype, and keep the result in `cache_folder`.

    Parameters
    ----------
    parallel : share ``prange`` loops among threads where the arrays are large enough (`SMALL`).
    exact : round every operation as written; no sum is reordered.
    """
    if function is None:
        return lambda f: jit(f, parallel=parallel, exact=exact)
    if SETTINGS.DISABLE_JIT:
        # Compiled code warns of no overflow, so that the plain code must not either.
        return np.errstate(all="ignore")(function)
    # The folder's name answers for the files here alone: a kernel of your own file, and what it calls, is compiled at each run.
    kept = _FOLDER is not None and Path(function.__code__.co_filename).parent == Path(__file__).parent
    # Numba asks for the folder once, while it decorates, and only through its configuration.
    before = SETTINGS.CACHE_DIR
    SETTINGS.CACHE_DIR = str(_FOLDER) if _FOLDER else before
    try:
        kernel = numba.njit(parallel=parallel, cache=kept, nogil=True,
                            fastmath=False if exact else FAST, error_model=ERRORS)(function)
    finally:
        SETTINGS.CACHE_DIR = before
    if kept:
        _save_one_at_a_time(kernel)
    return _one_thread_where_small(kernel) if parallel else kernel


def _save_one_at_a_time(kernel):
    """Let only one process at a time add compiled code to the folder.

    Numba numbers the files of a function's variants by reading its index. Two processes that read it at once choose the same
    number, and the index then leads to the other's code, for arrays of another type.
    """
    save = kernel._cache.save_overload

    def save_alone(signature, compiled):
        # What cannot be kept, on a full disk say, is compiled again next time.
        with contextlib.suppress(OSError), _lock(_FOLDER / "lock"):
            save(signature, compiled)
    kernel._cache.save_overload = save_alone


@contextlib.contextmanager
def _lock(path):
    """Hold the file at `path` for this process; wait while another does. The system frees it should the process die."""
    with open(path, "a+b") as file:
        if sys.platform == "win32":
            import msvcrt
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _one_thread_where_small(kernel):
    """`kernel`, run by one thread when its arrays hold fewer than `SMALL` numbers in all."""
    @functools.wraps(kernel.py_func)
    def run(*arguments):
        if sum(getattr(argument, "size", 0) for argument in arguments) >= SMALL:
            return kernel(*arguments)
        before = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            return kernel(*arguments)
        finally:
            numba.set_num_threads(before)
    run.kernel = kernel
    return run


def threads() -> int:
    """Number of threads that parallel kernels use now."""
    return numba.get_num_threads()


def set_threads(n: int) -> None:
    """Let parallel kernels use `n` threads, 1 to the number that Numba started with (its ``NUMBA_NUM_THREADS``)."""
    most = SETTINGS.NUMBA_NUM_THREADS
    if not isinstance(n, int) or not 1 <= n <= most:
        raise ValueError(f"set_threads expects a whole number from 1 to {most}, the threads Numba started with; "
                         f"got {n!r}. For more, set NUMBA_NUM_THREADS before isbe_np is imported.")
    numba.set_num_threads(n)
