"""The cache of compiled kernels: never stale, safe with several processes at once, mended when damaged, and nobody needs it.

Each test runs processes of its own on two small files of kernels, with a cache folder of its own.
"""

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from llvmlite import binding
from permissions import may_not_write

import isbe_np as isbe

pytestmark = [pytest.mark.exhaustive,
              pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled under NUMBA_DISABLE_JIT")]
posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions are another matter on Windows")

CALLEE = """
from isbe_np.compiler.jit import jit

@jit
def fill(a, value):
    for n in range(a.size):
        a[n] = value
"""
CALLER = """
import numpy as np
from isbe_np.kernels.callee import fill
from isbe_np.compiler.jit import jit, prange

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
import json, logging, os, sys
from numba.core import event
from isbe_np.compiler import cache, entries
from isbe_np.kernels import caller

logging.basicConfig(format="%(name)s %(levelname)s %(message)s")
logging.getLogger("isbe_np").setLevel(os.environ.get("LEVEL", "WARNING"))
if "DIE" in os.environ:  # when the file is written, and not yet in its place
    entries.os.replace = lambda *_: os._exit(9)
folder = cache.cache_folder()
print("ready", flush=True)
sys.stdin.readline()
kernels, dtypes = (argument.split(",") for argument in sys.argv[1:])
with event.install_recorder("numba:compile") as compiled:
    found = {f"{name} {dtype}": getattr(caller, name)(dtype) for dtype in dtypes for name in kernels}
print(json.dumps({"folder": folder and str(folder), "kept": cache.kept_kernels(folder), "compiled": len(compiled.buffer) // 2,
                  **found}))
"""
PARTS = ("interrupts", "__init__", "jit", "cache", "entries", "target", "threads")


class Project:
    """The compiling part of the package with kernels to try it on, the processes that run them, and their cache folder."""

    def __init__(self, folder: Path):
        self.package, self.cache = folder / "isbe_np", folder / "cache"
        package = Path(isbe.__file__).parent
        for folder in ("compiler", "kernels", "engine", "storage"):
            (self.package / folder).mkdir(parents=True)
        for name in ("storage/__init__", "storage/folders", "storage/files", "kernels/__init__", "engine/__init__",
                     *(f"compiler/{part}" for part in PARTS)):
            shutil.copy(package / f"{name}.py", self.package / f"{name}.py")
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


# Several targets

# The machine's word on its registers, as two unlike machines would give it.
MACHINE = """
import os
from llvmlite import binding
features = binding.get_host_cpu_features()
if "MACHINE" in os.environ:
    features.update((name, os.environ["MACHINE"] == "wide") for name in ("avx", "avx2", "avx512f"))
    binding.get_host_cpu_features = lambda: features
"""
VECTORS = """
from isbe_np.engine.vectors import load, store, wide, width

@jit
def double_vectors(a, b, step):
    like = wide(a)
    for n in range(3):
        store(b, n * step, load(a, n * step, like) + load(a, n * step, like), like)

def doubled(dtype):
    step = width(np.dtype(dtype).itemsize)
    a = np.arange(1, 3 * step + 100, dtype=dtype)
    b = np.zeros_like(a)
    double_vectors(a, b, step)
    return [step * a.itemsize, bool((b[:3 * step] == 2 * a[:3 * step]).all()), b[3 * step:].tolist() == [0] * 99]
"""
GENERIC = {"NUMBA_CPU_NAME": "generic"}
TARGETS = {"this machine": {}, "generic here": GENERIC | {"MACHINE": "narrow"}, "generic there": GENERIC | {"MACHINE": "wide"}}
if binding.get_host_cpu_features().get("avx2"):
    TARGETS |= {"generic with AVX2": GENERIC | {"NUMBA_CPU_FEATURES": "+avx,+avx2"}}


@pytest.mark.parametrize("order", [1, -1], ids=["in one order", "in the other"])
def test_targets_of_unlike_vectors_share_one_cache(project, order):
    """A kernel of wider vectors would write beyond its part, one of narrower ones would leave some of it out."""
    package = Path(isbe.__file__).parent
    for name in ("vectors", "vectors_compiled", "vectors_plain"):
        shutil.copy(package / "engine" / f"{name}.py", project.package / "engine" / f"{name}.py")
    (project.package / "__init__.py").write_text(MACHINE, encoding="utf-8")
    (project.package / "kernels" / "caller.py").write_text(CALLER + VECTORS, encoding="utf-8")
    found = {name: project.run("doubled", "float32,float64", **TARGETS[name]) for name in list(TARGETS)[::order]}
    for name, result in found.items():
        size, *right = result["doubled float32"]
        assert result["doubled float64"] == result["doubled float32"] and right == [True, True], name
        assert name != "generic with AVX2" or size == 2 * 32
    here, there = found["generic here"], found["generic there"]
    assert here["folder"] == there["folder"] and {here["compiled"], there["compiled"]} == {0, 2}
    assert len({result["folder"] for result in found.values()}) == len(TARGETS) - 1


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


def test_eight_first_runs_at_once(project):
    """All of them have everything to compile; none waits for another, and none leaves anything but whole kernels."""
    for result in project.finish(*(project.start(ALL) for _ in range(8))):
        assert right("float32").items() <= result.items() and not result["said"]
    last = project.run(ALL)
    assert right("float32").items() <= last.items() and last["compiled"] == 0 and not last["said"]
    assert len(project.entries()) == last["kept"] == 5 and sorted(project.files()) == project.entries()


def test_the_folder_may_be_cleared_under_a_process(project):
    process = project.start("clear")
    process.stdout.readline()
    shutil.rmtree(project.cache / "jit")
    process.stdin.write("\n")
    process.stdin.flush()
    found = project.result(process)
    assert found["clear float32"] == [0] and found["compiled"] == found["kept"] == 2 and not found["said"]


def test_a_process_that_dies_while_it_writes_leaves_nothing_wrong(project):
    process = project.start("clear", DIE="1")
    process.communicate("\n", timeout=300)
    assert process.returncode == 9 and not project.entries() and len(project.files()) == 1
    again = project.run("clear")
    assert again["clear float32"] == [0] and again["compiled"] == 2 and not again["said"]
    assert project.run("clear")["compiled"] == 0


# Damage, and files that others may have written; which ones are told from the others is in test_entries.py


def signed(path, data):
    """A file that is whole, and yet no compiled kernel."""
    return hashlib.sha256(f"{path.parent.name}/{path.name}\0".encode() + data).digest() + data


class Complaint:
    """Unpickled, it fails with an error of several lines that would also change a terminal's colour."""

    def __reduce__(self):
        return exec, ("raise ValueError('one\\ntwo\\r\\x1b[31mthree\\u2028four')",)


def write(bytes_of):
    return lambda path: path.write_bytes(bytes_of(path))


SPOILED = {"half": write(lambda path: path.read_bytes()[:path.stat().st_size // 2]),
           "no pickle": write(lambda path: signed(path, b"no pickle")),
           "a pickle of 1": write(lambda path: signed(path, b"\x80\x04K\x01.")),
           "an error of four lines": write(lambda path: signed(path, pickle.dumps(Complaint())))}
if sys.platform != "win32":
    SPOILED |= {"others may write it": lambda path: path.chmod(0o646),
                "a pipe": lambda path: (path.unlink(), os.mkfifo(path))}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_what_cannot_be_used_is_made_anew_and_one_line_says_so(project, spoil):
    project.run("clear")
    for path in project.entries():
        spoil(path)
    found = project.run("clear")
    assert found["clear float32"] == [0] and found["compiled"] == 2
    line, = found["said"].splitlines()
    assert line.startswith("isbe_np.compiler.cache WARNING compiled kernel ") and str(project.cache) in line
    assert line.isprintable() and "cannot be used (" in line and "run `isbe cache clear`, or set ISBE_CACHE_DIR to" in line
    again = project.run("clear")
    assert again["clear float32"] == [0] and again["compiled"] == 0 and not again["said"]


def test_a_folder_in_a_file_s_place_stays_and_costs_no_more_than_compiling(project):
    project.run("clear")
    for path in project.entries():
        path.unlink()
        path.mkdir()
    for _ in range(2):
        found = project.run("clear")
        assert found["clear float32"] == [0] and found["compiled"] == 2 and len(found["said"].splitlines()) == 1
        assert not project.files()


@posix
def test_nothing_is_read_from_a_folder_that_others_may_write(project):
    folder = Path(project.run("clear")["folder"])
    before = {path: path.read_bytes() for path in project.entries()}
    folder.chmod(0o777)
    found = project.run("clear")
    line, = found["said"].splitlines()
    assert found["clear float32"] == [0] and found["compiled"] == 2 and found["folder"] is None
    assert line == (f"isbe_np.compiler.cache WARNING compiled kernels are kept nowhere: the folder {folder} may be written by "
                    "others than its owner; set ISBE_CACHE_DIR to a folder that only you may write.")
    assert {path: path.read_bytes() for path in project.entries()} == before
    folder.chmod(0o755)
    assert project.run("clear")["compiled"] == 0


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_files_of_another_user_are_read_only_if_the_package_is_theirs_too(project):
    project.run("clear")
    for path in project.entries():
        os.chown(path, 12345, -1)
    os.chown(project.package / "compiler" / "entries.py", 12345, -1)
    found = project.run("clear")
    assert found["clear float32"] == [0] and found["compiled"] == 0 and not found["said"]
    os.chown(project.package / "compiler" / "entries.py", 0, -1)
    found = project.run("clear")
    assert found["clear float32"] == [0] and found["compiled"] == 2
    assert "it belongs to user 12345, who is neither you nor the owner of isbe_np" in found["said"]
    assert project.run("clear")["compiled"] == 0 and {path.stat().st_uid for path in project.entries()} == {0}


@posix
def test_whatever_the_umask_is_nobody_else_may_write(project):
    project.run("clear", before=("sh", "-c", 'umask 0; exec "$@"', "sh"))
    entries = project.entries()
    assert len(entries) == 2 and all(path.stat().st_mode & 0o777 == 0o644 for path in entries)
    assert entries[0].parent.stat().st_mode & 0o777 == 0o755
    assert project.run("clear")["compiled"] == 0


# Without a folder that can be written, or files that can be read


@posix
def test_files_that_may_not_be_read_are_replaced(project):
    project.run("clear")
    for path in project.entries():
        path.chmod(0)
    found = project.run("clear", before=may_not_write())
    assert found["clear float32"] == [0] and found["compiled"] == 2
    assert len(found["said"].splitlines()) == 1 and "PermissionError" in found["said"]
    assert project.run("clear", before=may_not_write())["compiled"] == 0


@posix
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
    found = project.run("double", LEVEL="INFO", **options)
    project.cache.chmod(0o755)
    line, = found["said"].splitlines()
    assert line.startswith("isbe_np.compiler.cache INFO compiled kernels are kept nowhere: ")
    assert ("ISBE_JIT_CACHE=0 turns the cache off" if why == "turned off" else "[Errno ") in line
    assert found["double float32"] == [0, 2, 4, 6, 8, 10] and found["compiled"] == 1
    assert found["folder"] is None and found["kept"] == 0 and project.files() == [file]


def test_a_full_disk_is_no_error(project):
    """What cannot be written whole leaves nothing behind."""
    resource = pytest.importorskip("resource")
    limited = f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {resource.RLIM_INFINITY})); " \
              "import os; os.execv(sys.argv[1], sys.argv[1:])"
    found = project.run("double", before=(sys.executable, "-c", limited), LEVEL="INFO")
    assert "INFO compiled kernels cannot be kept in " in found["said"] and len(found["said"].splitlines()) == 1
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
