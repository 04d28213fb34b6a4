import json

import numba
import numpy as np

from isbe_np.compiler import cache, jit
from isbe_np.environment import describe
from isbe_np.reports import summary


def test_everything_that_a_time_depends_on_is_told():
    found = describe()
    assert found["numpy"] == np.__version__ and found["numba"] == numba.__version__
    assert found["threads"] == jit.threads() and found["cores"] >= 1
    assert found["jit"] is not bool(numba.config.DISABLE_JIT) and isinstance(found["boundscheck"], bool)
    assert {"isbe_np", "python", "llvmlite", "matplotlib", "system", "cpu", "threading_layer", "blas"} < set(found)


def test_it_is_plain_json():
    found = describe()
    assert json.loads(json.dumps(found)) == found


def test_the_number_of_threads_is_that_of_now():
    before = jit.threads()
    try:
        jit.set_threads(1)
        assert describe()["threads"] == 1
    finally:
        jit.set_threads(before)


def test_the_folder_of_compiled_code_or_off(monkeypatch, tmp_path):
    monkeypatch.setenv("ISBE_CACHE_DIR", str(tmp_path))
    assert describe()["jit_cache"].startswith(str(tmp_path)) or numba.config.DISABLE_JIT
    monkeypatch.setenv("ISBE_JIT_CACHE", "0")
    assert describe()["jit_cache"] == "none, kernels are kept nowhere: ISBE_JIT_CACHE=0 turns the cache off"


def test_a_folder_that_may_only_be_read_is_told_of(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "_place", lambda: (tmp_path, None))
    assert describe()["jit_cache"] == str(tmp_path)
    monkeypatch.setattr("os.access", lambda *_: False)
    assert describe()["jit_cache"] == f"{tmp_path} (may only be read)"


def test_the_kernels_are_known_by_a_name():
    """What a result was computed by; an edited kernel has another."""
    assert len(describe(paths=False)["kernels"]) == 16 and describe()["kernels"] in str(cache.version_folder())


def test_as_text_it_is_one_setting_a_line():
    found = describe()
    lines = summary.environment_text(found).splitlines()
    assert len(lines) == len(found)
    for line, (name, value) in zip(lines, found.items(), strict=True):
        assert line.split(maxsplit=1) == [name, str(value)]


def test_settings_in_one_line_warn_of_slow_ones():
    found = describe()
    slow = summary.settings_line({**found, "jit": False, "boundscheck": True})
    fast = summary.settings_line({**found, "jit": True, "boundscheck": False})
    assert "JIT OFF, bounds checks ON" in slow and "JIT on, bounds checks off" in fast and "\n" not in slow
