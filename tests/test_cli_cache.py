"""`isbe cache`: what it counts, what it removes and what it must not; and a package that may write nowhere."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from permissions import may_not_write

import isbe_np as isbe
from isbe_np import cli
from isbe_np.compiler import cache, contents

pytestmark = pytest.mark.exhaustive

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions and links are another matter on Windows")
OTHER = "0123456789abcdef"


@pytest.fixture
def jit(monkeypatch, tmp_path):
    """A folder with two kernels of this version, one of another, a half-written file in each, and a data set beside it."""
    monkeypatch.setenv("ISBE_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("ISBE_DEBUG", raising=False)
    for name, size in ((f"{current()}/a.nbc", 1_000_000), (f"{current()}/b.nbc", 500_000), (f"{current()}/b.1.part", 70_000),
                       (f"{OTHER}/a.nbc", 2_000_000), (f"{OTHER}/c.9.part", 30_000)):
        put(tmp_path / "jit" / name, size)
    put(tmp_path / "data" / "mnist" / "images.gz.part", 10)
    return tmp_path / "jit"


def current():
    return cache.version_folder().name


def put(path, size=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def files(folder):
    """All that is below, folders too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def run(capsys, *arguments, code=0):
    """What the command prints, and what it says on standard error."""
    assert cli.main(["cache", *map(str, arguments)]) == code
    return capsys.readouterr()


def test_info_counts_by_version_and_touches_nothing(jit, tmp_path, capsys):
    before = files(tmp_path)
    out = run(capsys, "info").out
    rows = {line[:14].strip(): line[14:].split() for line in out.splitlines()[-3:]}
    assert rows == {"this version": ["2", "1.5"], "other versions": ["1", "2.0"], "half written": ["2", "0.1"]}
    first = " ".join(out.split())
    assert (first.startswith(f"Compiled kernels: {jit / current()} ") or
            (numba.config.DISABLE_JIT and "NUMBA_DISABLE_JIT=1" in first))
    assert files(tmp_path) == before


def test_info_as_json(jit, tmp_path, capsys):
    run(capsys, "info", "--json", tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "folder": str(jit), "this_version": {"files": 2, "bytes": 1_500_000},
        "other_versions": {"files": 1, "bytes": 2_000_000}, "half_written": {"files": 2, "bytes": 100_000}}


def test_clear_removes_all_versions_and_no_data_set(jit, tmp_path, capsys):
    out = " ".join(run(capsys, "clear", "--json", tmp_path.parent / "cleared.json").out.split())
    assert f"3 compiled kernels and 2 half-written files removed from {jit}, 3.6 MB." in out
    assert files(tmp_path) == ["data", "data/mnist", "data/mnist/images.gz.part"]
    assert json.loads((tmp_path.parent / "cleared.json").read_text())["other_versions"] == {"files": 1, "bytes": 2_000_000}
    out = " ".join(run(capsys, "clear").out.split())
    assert out == f"0 compiled kernels and 0 half-written files removed from {jit}, 0.0 MB."


@posix
def test_clear_removes_nothing_that_is_not_ours(jit, tmp_path, capsys):
    elsewhere = put(tmp_path / "elsewhere" / "mine.nbc").parent
    theirs = [put(jit / name) for name in ("a.nbc", f"{OTHER}/notes.txt", f"{OTHER}/deep/a.nbc", "mine/a.nbc",
                                           f"{OTHER.upper()}/a.nbc", f"{OTHER}0/a.nbc")]
    links = [jit / OTHER / "link.nbc", jit / OTHER / "broken.part", jit / ("f" * 16), jit / current() / "folder.nbc"]
    for link, target in zip(links, (elsewhere / "mine.nbc", tmp_path / "none", elsewhere, elsewhere), strict=True):
        link.symlink_to(target)
    os.mkfifo(jit / OTHER / "pipe.nbc")
    (jit / OTHER / "empty.nbc").mkdir()
    assert run(capsys, "clear").out.startswith("3 compiled kernels and 2 half-written files removed")
    assert all(path.is_file() for path in theirs) and all(link.is_symlink() for link in links)
    assert (elsewhere / "mine.nbc").is_file() and (jit / OTHER / "pipe.nbc").exists() and (jit / OTHER / "empty.nbc").is_dir()


@posix
def test_clear_follows_no_link_in_place_of_the_folder(jit, tmp_path, capsys):
    jit.rename(tmp_path / "moved")
    jit.symlink_to(tmp_path / "moved")
    before = files(tmp_path)
    assert run(capsys, "clear").out.startswith("0 compiled kernels and 0 half-written")
    assert "other versions      0  0.0" in run(capsys, "info").out and files(tmp_path) == before


def test_what_another_process_removes_meanwhile_is_no_fault(jit, monkeypatch, capsys):
    """And what it writes meanwhile stays, with its folder."""
    def unlink(path):
        if not taken:
            taken.append(path)
            remove(path)
            put(Path(path).with_name("new.nbc"))
        remove(path)

    taken, remove = [], os.unlink
    monkeypatch.setattr(contents.os, "unlink", unlink)
    assert run(capsys, "clear").out.startswith(("2 compiled kernels and 2 ", "3 compiled kernels and 1 "))
    assert files(jit) == [Path(taken[0]).parent.name, f"{Path(taken[0]).parent.name}/new.nbc"]


def test_without_a_folder_there_is_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("ISBE_CACHE_DIR", str(tmp_path / "none"))
    assert run(capsys, "clear").out.startswith("0 compiled kernels") and not (tmp_path / "none").exists()


def no_home(monkeypatch):
    def fail():
        raise RuntimeError("Could not determine home directory.")

    for name in ("ISBE_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", fail)


def test_without_a_home_folder_there_is_nothing_either(monkeypatch, tmp_path, capsys):
    with monkeypatch.context() as patch:
        no_home(patch)
        assert cache.cache_folder() is None
        out = run(capsys, "info").out
        assert "none, kernels are kept nowhere: " in out and out.endswith("half written        0  0.0\n")
        assert ("Could not determine home" in out) is not bool(numba.config.DISABLE_JIT)
        assert run(capsys, "clear").out.startswith("0 compiled kernels")


# Where nothing may be written


def process(*arguments, path, **environment):
    """The command in a process of its own, from the package in the folder `path`, which may write where permissions say so."""
    moved = ("ISBE_CACHE_DIR", "XDG_CACHE_HOME", "ISBE_JIT_CACHE", "ISBE_DEBUG")
    kept = {name: value for name, value in os.environ.items() if name not in moved}
    done = subprocess.run([*may_not_write(), sys.executable, "-W", "error", "-m", "isbe_np", *arguments], cwd=path, text=True,
                          env=kept | {"PYTHONPATH": str(path)} | environment, capture_output=True, timeout=300, check=False)
    assert "Traceback" not in done.stderr
    return done


@posix
def test_clear_of_a_folder_that_may_not_be_written_is_one_line(jit):
    code = Path(isbe.__file__).parents[1]
    (jit / OTHER).chmod(0o555)
    try:
        done = process("cache", "clear", path=code, ISBE_CACHE_DIR=str(jit.parent))
    finally:
        (jit / OTHER).chmod(0o755)
    assert done.returncode == 2 and not done.stdout and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"isbe cache: cache clear expects folders that it may write; {jit / OTHER}/")
    assert " cannot be removed nor 1 more (Permission denied). 2 compiled kernels and 1 half-written files" in done.stderr
    assert files(jit) == [OTHER, f"{OTHER}/a.nbc", f"{OTHER}/c.9.part"]


@posix
@pytest.mark.parametrize("command", ["info", "clear"])
def test_a_folder_that_may_not_be_read_is_one_line(jit, command):
    (jit / OTHER).chmod(0)
    try:
        done = process("cache", command, path=Path(isbe.__file__).parents[1], ISBE_CACHE_DIR=str(jit.parent))
    finally:
        (jit / OTHER).chmod(0o755)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert str(jit / OTHER) in done.stderr and "Permission denied" in done.stderr


@posix
@pytest.mark.parametrize("home", ["not writable", "missing", "a file"])
def test_a_package_that_may_write_nowhere_works(tmp_path, home):
    """Package, home and cache folder may only be read: kernels are compiled in memory, and `isbe info` says so."""
    site, place = tmp_path / "site", tmp_path / "home"
    shutil.copytree(Path(isbe.__file__).parent, site / "isbe_np", ignore=shutil.ignore_patterns("__pycache__"))
    place.mkdir()
    put(place / "file")
    if home != "not writable":
        place = place / ("missing" if home == "missing" else "file")
    before = files(tmp_path)
    folders = [path for path in (tmp_path, *tmp_path.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        done = process("explain", "--scores", "2,1,0.1", "--target", "0", "--verbose", path=site, HOME=str(place))
        told = process("info", path=site, HOME=str(place))
        cleared = process("cache", "clear", path=site, HOME=str(place))
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert done.returncode == told.returncode == cleared.returncode == 0
    assert "0.659" in done.stdout and told.stderr == "" and cleared.stdout.startswith("0 compiled kernels")
    state = " ".join(told.stdout[told.stdout.index("jit_cache"):].split())  # a long path has a line of its own
    if numba.config.DISABLE_JIT:
        assert "NUMBA_DISABLE_JIT=1 turns the compiler off" in state and done.stderr == ""
    else:
        assert "none, kernels are kept nowhere: [Errno " in state and str(place) in state
        line, = done.stderr.splitlines()
        assert line.startswith("isbe explain: compiled kernels are kept nowhere: [Errno ")
    assert files(tmp_path) == before
