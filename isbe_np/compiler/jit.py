"""How every kernel is compiled.

A kernel is a plain Python function of NumPy arrays under one of two decorators:

    @jit                    one thread
    @jit(parallel=True)     ``prange`` loops are shared among threads

Set ``NUMBA_DISABLE_JIT=1`` and every kernel runs as the plain Python it is written in, for a debugger to step through.
`cache.py` keeps what was compiled, `threads.py` decides how many threads run it, `interrupts.py` makes Ctrl-C wait for
the compiler.
"""

from pathlib import Path

import numba
import numpy as np
from numba import prange

from isbe_np.compiler.cache import KERNEL_FOLDERS, SETTINGS, KernelCache, cache_folder
from isbe_np.compiler.interrupts import deferring
from isbe_np.compiler.threads import SMALL, SPIN, set_threads, shared, threads

__all__ = ["SETTINGS", "SMALL", "SPIN", "cache_folder", "jit", "prange", "set_threads", "threads"]

# Sums may be reordered (so that they vectorise), a*b + c may round once, -0 may become 0, and x/s may become x*(1/s).
# NaN and infinity keep their meaning: `nnan` and `ninf` are absent on purpose.
FAST = {"reassoc", "contract", "nsz", "arcp"}
ORDERED = {"contract"}
# "numpy" makes 1/0 infinite, as in NumPy, where Numba's default would raise.
ERRORS = "numpy"


def jit(function=None, *, parallel=False, exact=False, ordered=False, inline=False):
    """Compile a kernel at its first call with each dtype, and keep the result in `cache_folder`.

    Parameters
    ----------
    parallel : share ``prange`` loops among threads where the arrays are large enough (`SMALL`).
    exact : round every operation as written; no sum is reordered.
    ordered : only let a*b + c round once; sums are added up as written. Numba compiles a parallel kernel's loop, and a function
        that others call, several times. Which of these copies runs depends on what was compiled in this process, and sums that
        are reordered may differ between copies in their last bits. Only kernels call an ordered function that is not parallel.
    inline : put the function's text into its callers, for helpers between a kernel and its inner loop. Compiled by itself at
        each level, the inner loop would be compiled anew at each.
    """
    if function is None:
        return lambda f: jit(f, parallel=parallel, exact=exact, ordered=ordered, inline=inline)
    if SETTINGS.DISABLE_JIT:
        # Compiled code warns of no overflow, so that the plain code must not either.
        return np.errstate(all="ignore")(function)
    fast = set() if exact else ORDERED if ordered else FAST
    # Nobody takes a kernel's address for C, and Python does not call helpers: without the code for such calls compiling takes a
    # tenth less.
    kernel = numba.njit(parallel=parallel, nogil=True, fastmath=fast or False, error_model=ERRORS, no_cfunc_wrapper=True,
                        no_cpython_wrapper=ordered and not parallel, inline="always" if inline else "never")(function)
    kernel.compile = deferring(kernel.compile)
    # A kernel of a file of your own, and what it calls, is compiled at each run.
    if Path(function.__code__.co_filename).resolve().parent in KERNEL_FOLDERS:
        kernel._cache = KernelCache(function, (parallel, exact, ordered, inline))
    return shared(kernel) if parallel else kernel
