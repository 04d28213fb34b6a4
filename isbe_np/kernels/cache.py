"""The folder that keeps compiled kernels, so that they are compiled once for each version and not at each start.

Numba's own cache is keyed by one function's file and numbers the variants of a function in an index. A kernel that calls
another would go on running the old callee after an edit there; a changed flag would go unnoticed; a process that dies, or
another that writes at the same time, would leave an index that leads to other code. Here the folder is named by all that
decides the code, and each variant is one file, named by what it was compiled for and written whole or not at all: no index.
"""

import contextlib
import hashlib
import multiprocessing
import os
import pickle
import platform
import sys
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import config
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from isbe_np.folders import cache_root

# Numba's own settings: it makes them from the environment when it is imported, out of a type checker's sight.
SETTINGS: Any = config
# Those of them that change what a kernel is compiled to, beside the flags that `jit` gives.
DECIDING = ("BOUNDSCHECK", "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "DEBUGINFO_DEFAULT", "ENABLE_AVX", "DISABLE_INTEL_SVML")
DIGEST = hashlib.sha256().digest_size


def _fingerprint():
    """Name for all that decides the compiled code: every kernel's source, the settings and the compiler's version."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    versions = numba.__version__, llvmlite.__version__, platform.python_implementation(), sys.version_info[:2]
    digest.update(repr((versions, [getattr(SETTINGS, name, None) for name in DECIDING])).encode())
    return digest.hexdigest()[:16]


def cache_folder() -> Path | None:
    """Folder of compiled kernels, or None where caching is off or there can be no folder.

    ``ISBE_CACHE_DIR`` moves it, ``ISBE_JIT_CACHE=0`` turns it off. A folder that may only be read serves what it holds.
    """
    if os.environ.get("ISBE_JIT_CACHE", "1") == "0" or SETTINGS.DISABLE_JIT:
        return None
    try:
        folder = cache_root() / "jit" / _fingerprint()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder


def kept_kernels(folder: Path | None) -> int:
    """How many compiled kernels `folder` holds, each dtype of one counted apart."""
    return sum(1 for _ in folder.glob("*.nbc")) if folder else 0


_FOLDER = cache_folder()


class KernelCache(NullCache):
    """Loads and saves the variants of one kernel; Numba asks it before, and hands it the result after, it compiles one."""

    def __init__(self, function, flags: tuple):
        code = function.__code__
        self.flags, self.code = flags, hashlib.sha256(code.co_code + repr(code.co_consts).encode()).digest()
        self.cells = [cell.cell_contents for cell in function.__closure__ or ()]
        self.name = f"{Path(code.co_filename).stem}.{function.__name__}-{code.co_firstlineno}"

    def _path(self, signature, codegen) -> Path | None:
        """The file of one variant: its name holds the arguments' types, the processor, the flags and what a closure holds."""
        if _FOLDER is None:
            return None
        key = repr((signature, codegen.magic_tuple(), self.flags, self.code)).encode() + dumps(self.cells)
        return _FOLDER / f"{self.name}.{hashlib.sha256(key).hexdigest()[:24]}.nbc"

    def load_overload(self, signature, target):
        """The compiled code for these types, or None: Numba then compiles it."""
        target.refresh()
        path = self._path(signature, target.codegen())
        try:
            if path is not None:
                data = path.read_bytes()
                if hashlib.sha256(data[DIGEST:]).digest() != data[:DIGEST]:
                    raise ValueError("it was not written whole, or changed since")
                return CompileResult._rebuild(target, *pickle.loads(data[DIGEST:]))
        except (FileNotFoundError, PermissionError):
            pass
        except Exception as fault:
            # Whatever is wrong with it, compiling once more mends it: the new file takes its place.
            _say(f"isbe_np: compiled kernel {path} cannot be used ({type(fault).__name__}: {fault}); compiling it again.")
        announce()
        return None

    def save_overload(self, signature, compiled):
        """Keep what was compiled. What cannot be kept, on a full disk say, is compiled again next time."""
        path = self._path(signature, compiled.codegen)
        if path is None or compiled.library.has_dynamic_globals:
            return
        data = dumps(compiled._reduce())
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            part.write_bytes(hashlib.sha256(data).digest() + data)
            os.replace(part, path)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


_announced = False


def announce() -> None:
    """Say once, on a terminal, why nothing happens for a while; not where a process only works for another one.

    Called when a kernel is about to be compiled. Who says it better may call `announced` first. ``ISBE_QUIET=1`` turns it off.
    """
    global _announced
    if _announced or not sys.stderr.isatty() or multiprocessing.parent_process() is not None:
        return
    _announced = True
    where = f"once for this version; kept in {_FOLDER}" if _FOLDER and os.access(_FOLDER, os.W_OK) else "and kept nowhere"
    _say(f"isbe_np: compiling kernels ({where}) ...")


def announced() -> None:
    """Let no notice of compiling appear: it is being told otherwise."""
    global _announced
    _announced = True


def _say(line: str) -> None:
    """One line on standard error, above a progress bar if there is one."""
    if os.environ.get("ISBE_QUIET", "0") == "0":
        from tqdm import tqdm
        tqdm.write(line, file=sys.stderr)
