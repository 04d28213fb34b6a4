"""The folder that keeps compiled kernels, so that they are compiled once for each version and not at each start.

Numba's own cache is keyed by one function's file and numbers the variants of a function in an index. A kernel that calls
another would go on running the old callee after an edit there; a changed flag would go unnoticed; a process that dies, or
another that writes at the same time, would leave an index that leads to other code. Here the folder is named by all that
decides the code of every kernel (`fingerprint`), and each variant is one file, named by what differs between kernels
(`KernelCache._path`) and written whole or not at all: no index.
"""

import functools
import hashlib
import logging
import multiprocessing
import os
import pickle
import sys
from pathlib import Path

from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from isbe_np.compiler.entries import KERNEL, Untrusted, make_folder, read, write
from isbe_np.compiler.target import SETTINGS, compiled_for
from isbe_np.storage.files import one_line
from isbe_np.storage.folders import cache_root

logger = logging.getLogger(__name__)

# The folder's name answers for the files in these: how kernels are compiled, the plain ones, and the fast ones.
KERNEL_FOLDERS = tuple(Path(__file__).resolve().parents[1] / name for name in ("compiler", "kernels", "engine"))
REMEDY = "set ISBE_CACHE_DIR to a folder that only you may write."


@functools.cache
def fingerprint() -> str:
    """Name for what decides the code of all kernels: their source, and what they are compiled for (see `target.py`)."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in KERNEL_FOLDERS for path in folder.glob("*.py")):
        digest.update(f"{path.parent.name}/{path.name}".encode() + b"\0" + path.read_bytes())
    digest.update(compiled_for())
    return digest.hexdigest()[:16]


def version_folder() -> Path:
    """The folder for this version's kernels, whether it exists or not; RuntimeError where there is no home folder."""
    return cache_root() / "jit" / fingerprint()


def _place():
    """The folder and None; or None, and the error that says why there is none."""
    try:
        if os.environ.get("ISBE_JIT_CACHE", "1") == "0":
            raise RuntimeError("ISBE_JIT_CACHE=0 turns the cache off")
        if SETTINGS.DISABLE_JIT:
            raise RuntimeError("NUMBA_DISABLE_JIT=1 turns the compiler off")
        folder = version_folder()
        make_folder(folder)
    except (OSError, RuntimeError) as fault:
        return None, fault
    return folder, None


def cache_folder() -> Path | None:
    """Folder of compiled kernels, or None where caching is off, or there can be no folder or none to be trusted.

    ``ISBE_CACHE_DIR`` moves it, ``ISBE_JIT_CACHE=0`` turns it off. A folder that may only be read serves what it holds.
    """
    return _place()[0]


def cache_state() -> str:
    """In a line: the folder, and whether it may only be read; or that there is none, and why."""
    folder, fault = _place()
    if folder is None:
        return f"none, kernels are kept nowhere: {one_line(str(fault))}"
    return f"{folder}{'' if os.access(folder, os.W_OK) else ' (may only be read)'}"


def kept_kernels(folder: Path | None) -> int:
    """How many compiled kernels `folder` holds, each dtype of one counted apart."""
    return sum(1 for _ in folder.glob(f"*{KERNEL}")) if folder else 0


_FOLDER, _FAULT = _place()


class KernelCache(NullCache):
    """Loads and saves the variants of one kernel; Numba asks it before, and hands it the result after, it compiles one."""

    def __init__(self, function, flags: tuple):
        code = function.__code__
        self.flags = flags
        self.code = hashlib.sha256(code.co_code + repr((code.co_consts, code.co_names)).encode()).digest()
        self.cells = [cell.cell_contents for cell in function.__closure__ or ()]
        file = Path(code.co_filename)
        self.name = f"{file.parent.name}.{file.stem}.{function.__name__}-{code.co_firstlineno}"

    def _path(self, signature) -> Path | None:
        """The file of one variant: its name holds the arguments' types, the flags, the kernel and what its closure holds.

        And once more what it is compiled for, as settings may have changed since the folder was named.
        """
        if _FOLDER is None:
            return None
        key = repr((signature, self.flags, self.code)).encode() + compiled_for() + dumps(self.cells)
        return _FOLDER / f"{self.name}.{hashlib.sha256(key).hexdigest()[:24]}{KERNEL}"

    def load_overload(self, signature, target):
        """The compiled code for these types, or None: Numba then compiles it."""
        target.refresh()
        path = self._path(signature)
        try:
            if path is not None:
                return CompileResult._rebuild(target, *pickle.loads(read(path)))
            untrusted = isinstance(_FAULT, Untrusted)
            _tell(logging.WARNING if untrusted else logging.INFO,
                  f"compiled kernels are kept nowhere: {_FAULT}{f'; {REMEDY}' if untrusted else '.'}")
        except FileNotFoundError:
            pass
        except Exception as fault:
            # Whatever is wrong with it, compiling once more mends it: the new file takes its place.
            _tell(logging.WARNING, f"compiled kernel {path} cannot be used ({type(fault).__name__}: {fault!s:.300}); it is "
                  "compiled again, as is any other like it. Should this be said at every start, run `isbe cache clear`, or "
                  f"{REMEDY}")
        announce()
        return None

    def save_overload(self, signature, compiled):
        """Keep what was compiled. What cannot be kept, on a full disk say, is compiled again next time."""
        path = self._path(signature)
        if path is None or compiled.library.has_dynamic_globals:
            return
        try:
            write(path, dumps(compiled._reduce()))
        except OSError as fault:
            _tell(logging.INFO, f"compiled kernels cannot be kept in {path.parent}: {fault}.")


_told: set[int] = set()


def _tell(level, sentence):
    """Log a sentence, whatever is in it as one line, unless this process has logged one of this level."""
    if level not in _told:
        _told.add(level)
        logger.log(level, "%s", one_line(sentence))


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
