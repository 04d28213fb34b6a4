"""What kernels are compiled for: the processor, its vector registers, the versions and the settings of the compiler.

The one place that lists what decides compiled code besides the kernel itself. `cache.py` makes its keys of it, and
`vectors_compiled.py` takes the length of a vector from it. The processor is Numba's *target*, which can differ from that of the
machine: ``NUMBA_CPU_NAME=generic`` asks for code that every machine of this architecture runs. A length taken from the machine
would differ between machines that share such code.
"""

import functools
import importlib.machinery
import platform
import sys
from typing import Any

import llvmlite
import llvmlite.binding
import numba
import numpy as np
from numba.core import config
from numba.core.registry import cpu_target

# Numba's own settings: it makes them from the environment when it is imported, out of a type checker's sight.
SETTINGS: Any = config
# Those of them that change compiled code, beside the flags that `jit` gives and the processor. Threads and the threading layer
# are absent: compiled code asks for both when it runs. A Numba that lacks one of these settings counts it as None.
DECIDING = ("BOUNDSCHECK", "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "USING_SVML", "LLVM_REFPRUNE_PASS", "LLVM_REFPRUNE_FLAGS",
            "PARFOR_MAX_TUPLE_SIZE", "DEBUGINFO_DEFAULT", "EXTEND_VARIABLE_LIFETIMES", "JIT_COVERAGE", "DEBUG_JIT", "DEBUG_NRT",
            "DEBUG_ARRAY_OPT_RUNTIME", "USE_LEGACY_TYPE_SYSTEM")


@functools.cache
def processor() -> tuple[str, str, str]:
    """Numba's target: its triple, the processor's name, and its features as LLVM writes them, such as "+avx2,-avx512f".

    Read once: Numba also makes its code generator once, however the environment changes later.
    """
    return cpu_target.target_context.codegen().magic_tuple()


@functools.cache
def registers() -> tuple[int, int]:
    """Bytes of a vector register of the target, and the number of them in a wide vector: four of 32 registers, two of fewer.

    Only features that are named count. With ``NUMBA_CPU_NAME=haswell`` and an empty ``NUMBA_CPU_FEATURES``, AVX is not named:
    kernels then use the short registers, which every x86-64 processor has.
    """
    triple, _, features = processor()
    named = tuple(feature[1:] for feature in features.split(",") if feature.startswith("+"))
    if any(name.startswith("avx512") for name in named):  # each of them needs avx512f
        return 64, 4
    if any(name.startswith("avx") for name in named):
        return 32, 2
    return 16, 4 if triple.startswith(("aarch64", "arm64")) else 2


def versions() -> tuple:
    """Of the compiler and of what its code calls: Numba, llvmlite, LLVM, NumPy and Python, with its binary interface."""
    return (numba.__version__, llvmlite.__version__, llvmlite.binding.llvm_version_info, np.__version__,
            platform.python_implementation(), sys.version_info[:2], importlib.machinery.EXTENSION_SUFFIXES)


def settings() -> dict[str, Any]:
    """Numba's settings as they are now: Numba reads the environment anew whenever it compiles."""
    return {name: getattr(SETTINGS, name, None) for name in DECIDING}


def compiled_for() -> bytes:
    """All of it, as a part of a key."""
    return repr((versions(), processor(), registers(), settings())).encode()
