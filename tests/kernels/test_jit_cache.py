"""The cache of compiled kernels: never stale, safe with several processes at once, mended when damaged, and nobody needs it.

Each test runs processes of its own on two small files of kernels, with a cache folder of its own.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

import isbe_np as isbe

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled under NUMBA_DISABLE_JIT")

CALLEE = """
from isbe_np.kernels.jit import jit

@jit
def fill(a, value):
    for n in range(a.size):
        a[n] = value
"""
CALLER = """
import numpy as np
from isbe_np.kernels.callee import fill
from isbe_np.kernels.jit import jit, prange

@jit
def clear_from(a, start):
    fill(a[start:], a.dtype.type(0))

@jit
def element(a, i):
    return a[i]

@jit(parallel=True)
def double_all(a, b):
    for n in prange(a.size):
        b[n] = a[n] + a[n]

def lost(a, b):
    return (a + b) - a

lost_fast, lost_exact = jit(lost), jit(lost, exact=True)

def clear(dtype):
    a = np.full(5, 7, dtype)
    clear_from(a, 0)
    return sorted(set(a.tolist()))

def double(dtype):
    a = np.arange(6, dtype=dtype)
    b = np.zeros_like(a)
    double_all(a, b)
    return b.tolist()

def rounding(dtype):
    a, b = np.dtype(dtype).type(1e20), np.dtype(dtype).type(1)
    return [float(lost_fast(a, b)), float(lost_exact(a, b))]

def outside(dtype):
    try:
        return float(element(np.zeros(4, dtype), 4 if jit.__globals__["SETTINGS"].BOUNDSCHECK else 0))
    except IndexError:
        return "refused"

def in_a_worker(dtype):
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        return executor.submit(clear, dtype).result()
"""
# Waits for a line of input after importing, so that two processes can be let loose together. Prints what it found as JSON.
PROGRAM = """
import json, os, sys
from numba.core import event
from isbe_np.kernels import cache, caller

if "DIE" in os.environ:  # when the file is written, and not yet in its place
    cache.os.replace = lambda *_: os._exit(9)
folder = cache.cache_folder()
print("ready", flush=True)
sys.stdin.readline()
kernels, dtypes = (argument.split(",") for argument in sys.argv[1:])
with event.install_recorder("numba:compile") as compiled:
    found = {f"{name} {dtype}": getattr(caller, name)(dtype) for dtype in dtypes for name in kernels}
print(json.dumps({"folder": folder and str(folder), "kept": cache.kept_kernels(folder), "compiled": len(compiled.buffer) // 2,
                  **found}))
"""


class Project:
    """The compiling part of the package with kernels to try it on, the processes that run them, and their cache folder."""

    def __init__(self, folder: Path):
        self.package, self.cache = folder / "isbe_np", folder / "cache"
        package = Path(isbe.__file__).parent
        (self.package / "kernels").mkdir(parents=True)
        for name in ("folders.py", "kernels/__init__.py", "kernels/jit.py", "kernels/cache.py", "kernels/threads.py"):
            shutil.copy(package / name, self.package / name)
        (self.package / "__init__.py").touch()  # the rest of the package would only cost time to import
        (self.package / "kernels" / "callee.py").write_text(CALLEE, encoding="utf-8")
        (self.package / "kernels" / "caller.py").write_text(CALLER, encoding="utf-8")
        self.cache.mkdir()

    def start(self, kernels, dtypes="float32", stderr=subprocess.PIPE, before=(), **settings):
        """A process that is about to run `kernels`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "ISBE_"))}
        ours = {"PYTHONPATH": str(self.package.parent), "ISBE_CACHE_DIR": str(self.cache), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.Popen([*before, sys.executable, "-c", PROGRAM, kernels, dtypes], env=kept | ours | settings,
                                text=True, cwd=self.package.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=stderr)

    def finish(self, *processes):
        """What the processes print, let loose together once all of them are ready."""
        for process in processes:
            process.stdout.readline()
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        return [self.result(process) for process in processes]

    def result(self, process):
        """What one process prints, and what it complains of; its error text where it fails."""
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return json.loads(out) | {"said": err}

    def run(self, kernels, dtypes="float32", **options):
        """What one process finds."""
        return self.finish(self.start(kernels, dtypes, **options))[0]

    def entries(self):
        """The files of compiled kernels."""
        return sorted(self.cache.rglob("*.nbc"))

    def files(self):
        """All files of the cache, and compiled code that strayed into the package."""
        return [path for folder in (self.cache, self.package) for path in folder.rglob("*")
                if path.is_file() and path.suffix != ".py"]


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def right(dtype):
    """What PROGRAM prints for the kernels of one dtype, if all is well."""
    return {f"clear {dtype}": [0], f"double {dtype}": [0, 2, 4, 6, 8, 10], f"rounding {dtype}": [1, 0]}


ALL = "clear,double,rounding"


# Never stale


def test_an_edited_callee_and_a_changed_setting_are_compiled_again(project):
    """Numba's own cache would run the old callee: it looks at the file of the kernel that is called, and at no setting."""
    first = project.run("clear")
    assert first["clear float32"] == [0] and first["compiled"] == first["kept"] == 2
    again = project.run("clear")
    assert again["clear float32"] == [0] and not again["compiled"]
    assert again["folder"] == first["folder"]

    checked = project.run("clear,outside", NUMBA_BOUNDSCHECK="1")
    assert checked["compiled"] and checked["folder"] != first["folder"]
    assert checked["clear float32"] == [0] and checked["outside float32"] == "refused"
    assert project.run("clear", NUMBA_OPT="1")["folder"] not in (first["folder"], checked["folder"])

    callee = project.package / "kernels" / "callee.py"
    callee.write_text(CALLEE.replace("= value", "= value + a.dtype.type(1)"), encoding="utf-8")
    edited = project.run("clear")
    assert edited["clear float32"] == [1] and edited["compiled"]
    assert edited["folder"] not in (first["folder"], checked["folder"])


def test_one_function_under_two_flag_sets_is_kept_twice(project):
    """(1e20 + 1) - 1e20 is 0 rounded as written, and 1 once sums may be reordered."""
    for compiled in (2, 0):
        found = project.run("rounding")
        assert found["rounding float32"] == [1, 0] and found["compiled"] == compiled and found["kept"] == 2


def test_a_changed_flag_in_the_source_is_compiled_again(project):
    project.run("rounding")
    caller = project.package / "kernels" / "caller.py"
    caller.write_text(CALLER.replace("jit(lost), jit(lost, exact=True)", "jit(lost, exact=True), jit(lost)"), encoding="utf-8")
    assert project.run("rounding")["rounding float32"] == [0, 1]


# Several processes, and those that die


def test_two_processes_at_once_fill_one_cache(project):
    """They compile the same kernels, dtypes in opposite order; a third finds everything, and each dtype's own code."""
    both = right("float32") | right("float64")
    found = project.finish(project.start(ALL, "float32,float64"), project.start(ALL, "float64,float32"))
    for result in found:
        assert both.items() <= result.items() and result["compiled"] and not result["said"]
    third = project.run(ALL, "float32,float64")
    assert both.items() <= third.items() and third["compiled"] == 0 and third["kept"] == 10
    assert third["folder"] == found[0]["folder"] == found[1]["folder"]


def test_four_processes_at_once_compile_the_same_kernel(project):
    for result in project.finish(*(project.start("double") for _ in range(4))):
        assert result["double float32"] == [0, 2, 4, 6, 8, 10]
    assert project.run("double")["compiled"] == 0 and len(project.files()) == 1


def test_a_process_that_dies_while_it_writes_leaves_nothing_wrong(project):
    process = project.start("clear", DIE="1")
    process.communicate("\n", timeout=300)
    assert process.returncode == 9 and not project.entries() and len(project.files()) == 1
    again = project.run("clear")
    assert again["clear float32"] == [0] and again["compiled"] == 2 and not again["said"]
    assert project.run("clear")["compiled"] == 0


# Damage


def signed(data):
    """A file that is whole, and yet no compiled kernel."""
    return hashlib.sha256(data).digest() + data


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: data[:20], lambda data: data[:len(data) // 2],
    lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:], lambda data: b"\0" * len(data),
    lambda data: signed(b"no pickle"), lambda data: signed(b"\x80\x04K\x01."),
], ids=["empty", "too short for its digest", "half", "one bit", "zeros", "no pickle", "a pickle of 1"])
def test_a_damaged_file_is_told_of_in_one_line_and_made_anew(project, damage):
    project.run("clear")
    for path in project.entries():
        path.write_bytes(damage(path.read_bytes()))
    found = project.run("clear")
    assert found["clear float32"] == [0] and found["compiled"] == 2
    lines = found["said"].splitlines()
    assert len(lines) == 2 and all(line.startswith("isbe_np: compiled kernel ") for line in lines)
    again = project.run("clear")
    assert again["clear float32"] == [0] and again["compiled"] == 0 and not again["said"]


# Without a folder that can be written


def may_not_write():
    """What to put before a command so that it may not write where permissions forbid it, which root may otherwise."""
    if os.geteuid():
        return ()
    if not shutil.which("setpriv"):
        pytest.skip("root may write everywhere, and there is no setpriv to change that")
    return ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-all")


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of folders are another matter on Windows")
def test_a_warm_folder_that_may_only_be_read_is_used(project):
    project.run("clear")
    before, folders = project.files(), [path for path in (project.cache, *project.cache.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        found = project.run("clear", before=may_not_write())
        assert found["clear float32"] == [0] and found["compiled"] == 0
        other = project.run(ALL, "float64", before=may_not_write())
        assert right("float64").items() <= other.items() and other["compiled"] and not other["said"] + found["said"]
        assert project.files() == before
    finally:
        for folder in folders:
            folder.chmod(0o755)


@pytest.mark.parametrize("why", ["below a file", "turned off", "no folder may be made"])
def test_without_a_cache(project, why):
    """Kernels run all the same, and nothing is written anywhere."""
    file = project.cache / "file"
    file.write_text("in the way", encoding="utf-8")
    options = {"ISBE_JIT_CACHE": "0"} if why == "turned off" else {"ISBE_CACHE_DIR": str(file / "below")}
    if why == "no folder may be made":
        project.cache.chmod(0o555)
        options = {"before": may_not_write()}
    found = project.run("double", **options)
    project.cache.chmod(0o755)
    assert found["double float32"] == [0, 2, 4, 6, 8, 10] and found["compiled"] == 1
    assert found["folder"] is None and found["kept"] == 0 and project.files() == [file]


def test_a_full_disk_is_no_error(project):
    """What cannot be written whole leaves nothing behind."""
    resource = pytest.importorskip("resource")
    limited = f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {resource.RLIM_INFINITY})); " \
              "import os; os.execv(sys.argv[1], sys.argv[1:])"
    found = project.run("double", before=(sys.executable, "-c", limited))
    assert found["double float32"] == [0, 2, 4, 6, 8, 10] and found["kept"] == 0 and not project.files()


# What is said


def said_on_a_terminal(project, kernels, **settings):
    """What a process says on standard error, if that is a terminal."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = project.start(kernels, stderr=theirs, **settings)
    os.close(theirs)
    project.finish(process)
    text = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            part = b""
        if not part:
            os.close(ours)
            return text.decode().splitlines()
        text += part


def test_one_line_on_a_terminal_says_why_nothing_happens(project):
    assert said_on_a_terminal(project, "clear", ISBE_QUIET="1") == []
    lines = said_on_a_terminal(project, "double,rounding")
    assert len(lines) == 1 and lines[0].startswith("isbe_np: compiling kernels (once for this version; kept in ")
    assert str(project.cache) in lines[0]
    assert said_on_a_terminal(project, "clear,double,rounding") == []
    lines = said_on_a_terminal(project, "clear", ISBE_JIT_CACHE="0")
    assert lines == ["isbe_np: compiling kernels (and kept nowhere) ..."]


def test_nothing_is_said_to_a_pipe_nor_by_a_worker(project):
    assert project.run("clear")["said"] == ""
    for path in project.entries():
        path.unlink()
    assert said_on_a_terminal(project, "in_a_worker") == [] and len(project.entries()) == 2
