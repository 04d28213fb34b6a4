"""What a figure depends on besides the code: versions, machine, threads, and the compiler's settings."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import llvmlite
import llvmlite.binding
import numba
import numpy as np

from isbe_np.compiler import jit
from isbe_np.compiler.cache import cache_state, fingerprint


def describe(paths: bool = True) -> dict:
    """Versions, machine and settings as plain text and numbers, for printing and for JSON; `paths`: folders too."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "isbe_np": version_of("isbe_np"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
        "matplotlib": version_of("matplotlib"),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": llvmlite.binding.get_host_cpu_name(),
        "cores": os.cpu_count(),
        "threads": jit.threads(),
        "threading_layer": _threading_layer(),
        "blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip() + " (no kernel here uses it)",
        "jit": not jit.SETTINGS.DISABLE_JIT,
        "boundscheck": bool(jit.SETTINGS.BOUNDSCHECK),
        "kernels": fingerprint(),
        **({"jit_cache": cache_state()} if paths else {}),
    }


def version_of(package: str) -> str:
    """The version of an installed package, or that it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _threading_layer() -> str:
    try:
        return numba.threading_layer()
    except ValueError:
        return "none started yet"
