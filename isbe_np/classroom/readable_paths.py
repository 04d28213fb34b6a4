"""What of this machine a submission's process may reach: Python's own files and a few packages, never this one."""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import cache
from pathlib import Path

# What an assignment can let a submission import besides the standard library, and the packages that this takes. Never isbe_np,
# which holds the answers.
MODULES = {"numpy": ("numpy",), "numba": ("numba", "llvmlite")}


def packages(modules: tuple[str, ...]) -> list[str]:
    """The packages that these modules take."""
    return [package for module in modules for package in MODULES[module]]


@cache
def sites() -> list[str]:
    """The folders that NumPy and Numba were imported from."""
    import numba
    import numpy
    return sorted({str(Path(module.__path__[0]).resolve().parent) for module in (numpy, numba)})


def search_path() -> list[str]:
    """Where the process looks for modules."""
    return [*_standard_library()[:2], *sites()]


@cache
def _standard_library() -> list[str]:
    """The standard library, its compiled part, and the archive that may hold it."""
    folder = Path(os.__file__).resolve().parent
    return [str(folder), str(folder / "lib-dynload"), sysconfig.get_path("stdlib")]


@cache
def readable(modules: tuple[str, ...]) -> list[str]:
    """What a submission may read: Python's own files and the modules', no other package, above all not this one."""
    library = Path(_standard_library()[0])
    paths = [entry for entry in library.iterdir() if entry.name not in ("site-packages", "dist-packages", "test")]
    paths += [Path(site) / name for site in sites() for package in packages(modules) for name in (package, f"{package}.libs")]
    # Shared libraries, but not the packages that lie beside them.
    for folder in (f"{sys.base_prefix}/lib", "/lib64", "/usr/lib64", "/lib", "/usr/lib"):
        if os.path.isdir(folder):
            paths += [Path(folder) / name for name in os.listdir(folder) if not name.startswith("python")]
    return sorted({str(path.resolve()) for path in paths if path.exists()} | {"/dev/null", "/dev/zero", "/dev/urandom",
                                                                             "/etc/ld.so.cache", "/etc/localtime"})


@cache
def shut_in() -> bool:
    """Whether another user than this one could not run the interpreter with its libraries."""
    needed = [Path(sys.executable).resolve(), *map(Path, _standard_library()[:2]), *map(Path, sites())]
    return not all(os.stat(path).st_mode & 0o005 == 0o005 for place in needed for path in (place, *place.parents)
                   if path.exists() and (path.is_dir() or path == place))
