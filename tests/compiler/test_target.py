"""What kernels are compiled for: Numba's target decides the width of a vector, and the cache's keys hold every part of it."""

import importlib.machinery
import platform
import sys
from types import CellType, FunctionType

import llvmlite
import numba
import numpy as np
import pytest

from isbe_np.compiler import cache, target

X86, ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"


@pytest.mark.parametrize(("triple", "features", "expected"), [
    (X86, "+sse2,+avx,+avx2,+avx512f", (64, 4)), (X86, "+avx2,+avx512vl", (64, 4)),
    (X86, "+avx,+avx2,-avx512f", (32, 2)), (X86, "+avx2,+fma", (32, 2)), (X86, "+sse2,-avx,-avx2,-avx512f", (16, 2)),
    (X86, "", (16, 2)), (ARM, "+neon", (16, 4)), (ARM, "", (16, 4)), ("arm64-apple-darwin", "", (16, 4))])
def test_registers_follow_from_the_target(monkeypatch, triple, features, expected):
    monkeypatch.setattr(target, "processor", lambda: (triple, "any", features))
    assert target.registers.__wrapped__() == expected


def test_the_target_is_numba_s(monkeypatch):
    """Not what the machine says of itself."""
    codegen = target.cpu_target.target_context.codegen()
    assert target.processor() == codegen.magic_tuple()
    monkeypatch.setattr(codegen, "magic_tuple", lambda: (X86, "generic", ""))
    assert target.processor.__wrapped__() == (X86, "generic", "")


def kernel_of(scale):
    def kernel(a):
        return np.sin(a) * scale
    return kernel


FLAGS, CODE, TYPES = (True, False, False, False), kernel_of(0).__code__, (numba.float32[::1],)


def file(types=TYPES, flags=FLAGS, code=CODE, cell=0):
    """Name of the file of one variant of a kernel, `code` with a number in its closure."""
    return cache.KernelCache(FunctionType(code, {}, closure=(CellType(cell),)), flags)._path(types).name


@pytest.fixture
def keys(monkeypatch, tmp_path):
    """The two names by which a compiled kernel is found: its folder's and its own."""
    monkeypatch.setattr(cache, "_FOLDER", tmp_path)
    return lambda **given: (cache.fingerprint.__wrapped__(), file(**given))


HERE = target.processor()
FOR = {
    "Numba": (numba, "__version__", "0"), "llvmlite": (llvmlite, "__version__", "0"),
    "LLVM": (llvmlite.binding, "llvm_version_info", (0, 0, 0)), "NumPy": (np, "__version__", "0"),
    "another Python": (platform, "python_implementation", lambda: "other"), "Python": (sys, "version_info", (3, 99, 0)),
    "Python's binary interface": (importlib.machinery, "EXTENSION_SUFFIXES", [".other.so"]),
    "triple": (target, "processor", lambda: ("other", *HERE[1:])),
    "processor": (target, "processor", lambda: (HERE[0], "other", HERE[2])),
    "features": (target, "processor", lambda: (*HERE[:2], "+other")), "width": (target, "registers", lambda: (1, 1))}
SETTINGS = {"BOUNDSCHECK": 7, "OPT": 7, "LOOP_VECTORIZE": 7, "SLP_VECTORIZE": 7, "USING_SVML": 7, "LLVM_REFPRUNE_PASS": 7,
            "LLVM_REFPRUNE_FLAGS": "other", "PARFOR_MAX_TUPLE_SIZE": 7, "DEBUGINFO_DEFAULT": 7, "EXTEND_VARIABLE_LIFETIMES": 7,
            "JIT_COVERAGE": 7, "DEBUG_JIT": 7, "DEBUG_NRT": 7, "DEBUG_ARRAY_OPT_RUNTIME": 7, "USE_LEGACY_TYPE_SYSTEM": 7}
FOR |= {name: (numba.config, name, value) for name, value in SETTINGS.items()}


@pytest.mark.parametrize("change", FOR.values(), ids=FOR)
def test_all_that_a_kernel_is_compiled_for_is_in_both_names(monkeypatch, keys, change):
    """In the folder's for the next process, in the file's for a setting that changes in this one."""
    before = keys()
    assert keys() == before
    monkeypatch.setattr(*change, raising=False)
    after = keys()
    assert after[0] != before[0] and after[1] != before[1]


def test_opt_max_is_not_opt_3(monkeypatch, keys):
    """They are equal as numbers, and "max" compiles otherwise."""
    found = []
    for level in (3, "max"):
        monkeypatch.setattr(numba.config, "OPT", type(numba.config.OPT)(level))
        found.append(keys())
    assert found[0][0] != found[1][0] and found[0][1] != found[1][1]


OTHERS = {"types": {"types": (numba.float64[::1],)}, "layout": {"types": (numba.float32[:],)}, "closure": {"cell": 1},
          "number in the text": {"code": CODE.replace(co_consts=(*CODE.co_consts, 2.0))},
          "name in the text": {"code": CODE.replace(co_names=("np", "cos"))},
          "text": {"code": CODE.replace(co_code=CODE.co_code + CODE.co_code[-2:])},
          "line": {"code": CODE.replace(co_firstlineno=CODE.co_firstlineno + 1)},
          **{f"flag {n}": {"flags": tuple(flag is not (n == i) for i, flag in enumerate(FLAGS))} for n in range(4)}}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_all_that_differs_between_kernels_is_in_the_file_s_name(keys, change):
    assert keys(**change)[0] == keys()[0] and keys(**change)[1] != keys()[1]


def test_every_kernel_s_source_is_in_the_folder_s_name(monkeypatch, tmp_path):
    """An edit, another file, or a file under another name."""
    def name():
        return cache.fingerprint.__wrapped__()

    found = []
    monkeypatch.setattr(cache, "KERNEL_FOLDERS", (tmp_path,))
    for file, text in (("a.py", "1"), ("a.py", "2"), ("b.py", "2")):
        (tmp_path / file).write_text(text, encoding="utf-8")
        found.append(name())
    (tmp_path / "b.py").rename(tmp_path / "c.py")
    assert len({*found, name()}) == 4
