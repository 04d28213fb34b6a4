"""The cache of compiled kernels: never stale, safe with several processes at once, and nobody needs it.

Each test runs a copy of the kernels in processes of its own, with a cache folder of its own, and the smallest kernels of all.
"""

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

# Waits for a line of input after importing, so that two processes can be let loose together. Prints what it found as JSON.
PROGRAM = """
import json, sys
import numpy as np
from numba.core import event
from isbe_np.kernels import finite, jit, layout, pooling

def clear(dtype):  # calls `fill`, which is in another file
    images = np.full((1, 2, 3, 4), 7, dtype)
    pooling.clear(images, 0)
    return sorted(set(images.ravel().tolist()))

def transpose(dtype):
    a = np.arange(600, dtype=dtype).reshape(20, 30)
    b = np.zeros((30, 20), dtype)
    layout.transpose(a, b)
    return bool((b == a.T).all())

def all_finite(dtype):
    x = np.ones(5, dtype)
    y = np.array([1, np.nan], dtype)
    return [bool(finite.all_finite(x)), bool(finite.all_finite(y)), float(finite.squared_norm(x))]

def outside(dtype):
    try:
        pooling.clear(np.zeros((1, 2, 3, 4), dtype), 1)
    except IndexError:
        return "refused"

folder, before = jit.cache_folder(), jit.nothing_compiled()
print("ready", flush=True)
sys.stdin.readline()
kernels, dtypes = (argument.split(",") for argument in sys.argv[1:])
with event.install_recorder("numba:compile") as compiled:
    found = {f"{name} {dtype}": globals()[name](dtype) for dtype in dtypes for name in kernels}
print(json.dumps({"folder": folder and str(folder), "before": before, "after": jit.nothing_compiled(),
                  "compiled": len(compiled.buffer), **found}))
"""


class Project:
    """A copy of the kernels, the processes that run them, and the folder that they keep compiled code in."""

    def __init__(self, folder: Path):
        self.package, self.cache = folder / "isbe_np", folder / "cache"
        package = Path(isbe.__file__).parent
        shutil.copytree(package / "kernels", self.package / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(package / "folders.py", self.package)
        (self.package / "__init__.py").touch()  # the rest of the package would only cost time to import
        self.cache.mkdir()

    def start(self, kernels, dtypes, **settings):
        """A process that is about to run `kernels`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "ISBE_"))}
        ours = {"PYTHONPATH": str(self.package.parent), "ISBE_CACHE_DIR": str(self.cache), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.Popen([sys.executable, "-c", PROGRAM, kernels, dtypes], env=kept | ours | settings, text=True,
                                cwd=self.package.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self, *processes):
        """What the processes print, let loose together once all of them are ready."""
        for process in processes:
            process.stdout.readline()
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        return [self.result(process) for process in processes]

    def result(self, process):
        """What one process prints; its error text where it fails."""
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return json.loads(out)

    def run(self, kernels, dtypes="float32", **settings):
        """What one process finds."""
        return self.finish(self.start(kernels, dtypes, **settings))[0]

    def files(self):
        """All files of the cache, and compiled code that strayed into the package."""
        return [path for folder in (self.cache, self.package) for path in folder.rglob("*")
                if path.is_file() and path.suffix != ".py"]


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def right(dtype):
    """What PROGRAM prints for the kernels of one dtype, if all is well."""
    return {f"clear {dtype}": [0], f"transpose {dtype}": True, f"all_finite {dtype}": [True, False, 5.0]}


def test_an_edited_callee_and_a_changed_flag_are_compiled_again(project):
    """Numba alone would run the old callee: it looks at the file of the kernel that is called, and at no flag."""
    first = project.run("clear")
    assert first["clear float32"] == [0] and first["compiled"] and first["before"] and not first["after"]
    again = project.run("clear")
    assert again["clear float32"] == [0] and not again["compiled"] and not again["before"] and not again["after"]
    assert again["folder"] == first["folder"]

    checked = project.run("clear,outside", NUMBA_BOUNDSCHECK="1")
    assert checked["compiled"] and checked["folder"] != first["folder"]
    assert checked["clear float32"] == [0] and checked["outside float32"] == "refused"

    callee = project.package / "kernels" / "microkernels.py"
    text = callee.read_text(encoding="utf-8")
    assert text.count("a[n] = value\n") == 1
    callee.write_text(text.replace("a[n] = value\n", "a[n] = value + a.dtype.type(1)\n"), encoding="utf-8")
    edited = project.run("clear")
    assert edited["clear float32"] == [1] and edited["compiled"] and edited["before"]
    assert edited["folder"] not in (first["folder"], checked["folder"])


def test_two_processes_at_once_fill_one_cache(project):
    """They compile the same kernels in opposite order; a third finds everything, and each dtype's code under its own name."""
    kernels, both = "transpose,all_finite,clear", right("float32") | right("float64")
    found = project.finish(project.start(kernels, "float32,float64"), project.start(kernels, "float64,float32"))
    for result in found:
        assert both.items() <= result.items() and result["compiled"]
    third = project.run(kernels, "float32,float64")
    assert both.items() <= third.items() and third["compiled"] == 0 and not third["before"]
    assert third["folder"] == found[0]["folder"] == found[1]["folder"]


@pytest.mark.parametrize("why", ["below a file", "turned off"])
def test_without_a_cache(project, why):
    """A folder that cannot be made, or ISBE_JIT_CACHE=0: kernels run all the same, and nothing is written anywhere."""
    file = project.cache / "file"
    file.write_text("in the way", encoding="utf-8")
    setting = {"ISBE_JIT_CACHE": "0"} if why == "turned off" else {"ISBE_CACHE_DIR": str(file / "below")}
    found = project.run("all_finite", **setting)
    assert found["all_finite float32"] == [True, False, 5.0] and found["compiled"]
    assert found["folder"] is None and found["before"] and found["after"]
    assert project.files() == [file]
