"""The second switch: which kernels compute, the plain ones or the fast ones. The first one is a head's route."""

from isbe_np.checks import nearest
from isbe_np.compiler.jit import SETTINGS

__all__ = ["KERNELS"]

KERNELS = ("plain", "fast")


def read_kernels(who: str, given: str) -> str:
    """The name of the kernels to compute with.

    Under NUMBA_DISABLE_JIT=1 these are always the plain ones, so that a debugger steps through the formula. ValueError for
    a name that is not in `KERNELS`.
    """
    name = nearest(who, given, KERNELS)
    return "plain" if SETTINGS.DISABLE_JIT else name
