"""A lock: one holder at a time, by its process's life, and a warning where there are none."""

import os
import signal
import subprocess
import sys

import pytest

from isbe_np.storage import locks
from isbe_np.storage.locks import Lock

names_it = pytest.mark.skipif(os.name != "posix", reason="elsewhere what is locked cannot be read")
HOLDER = "import sys, time; from pathlib import Path; from isbe_np.storage.locks import Lock; lock = Lock(Path(sys.argv[1])); "


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


def started(program, path):
    """Another process that runs `program`, once it has printed its first line."""
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    assert process.stdout.readline() == "held\n"
    return process


@names_it
def test_a_second_lock_in_this_process_is_refused_and_names_it(path):
    lock = Lock(path)
    with pytest.raises(BlockingIOError, match=rf"^process {os.getpid()} is using it$"):
        Lock(path)
    lock.release()


def test_after_its_release_others_may_have_it(path):
    for _ in range(3):
        Lock(path).release()
    assert path.exists() and path.read_text() == f"{os.getpid()}\n"


def test_a_refusal_leaves_no_file_open(path, monkeypatch):
    opened, closed = [], []
    monkeypatch.setattr(locks.os, "open", lambda *a, made=os.open: opened.append(made(*a)) or opened[-1])
    monkeypatch.setattr(locks.os, "close", lambda n, close=os.close: closed.append(n) or close(n))
    lock = Lock(path)
    with pytest.raises(BlockingIOError):
        Lock(path)
    assert closed == opened[1:]
    lock.release()
    assert sorted(closed) == sorted(opened)


def test_the_pid_of_a_holder_before_is_not_told(path):
    path.write_text("123456789 and more\n")
    lock = Lock(path)
    lock.release()
    assert path.read_text() == f"{os.getpid()}\n"


@names_it
def test_another_process_is_refused_and_named_and_frees_it_when_it_is_killed(path):
    process = started(HOLDER + "print('held', flush=True); sys.stdin.read()", path)
    try:
        with pytest.raises(BlockingIOError, match=rf"^process {process.pid} is using it$"):
            Lock(path)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    Lock(path).release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_was_forked_does_not_keep_what_was_released(path):
    process = started(HOLDER + "import os\n"
                      "if os.fork(): lock.release(); print('held', flush=True); os.wait()\n"
                      "else: sys.stdin.read()", path)
    try:
        Lock(path).release()
    finally:
        process.communicate("", timeout=60)


@names_it
def test_a_holder_who_has_not_told_its_pid(path):
    lock = Lock(path)
    path.write_bytes(b"")
    with pytest.raises(BlockingIOError, match=r"^it is in use$"):
        Lock(path)
    lock.release()


def test_where_there_are_no_locks_one_is_warned_and_goes_on(path, monkeypatch, caplog):
    def none(descriptor):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks, "_lock", none)
    lock, second = Lock(path), Lock(path)
    first, _ = caplog.records
    assert first.levelname == "WARNING" and first.name == "isbe_np.storage.locks"
    assert first.getMessage() == (f"{path} cannot be locked (Operation not supported): take care that no second process uses "
                                  f"its folder.")
    lock.release(), second.release()


def test_a_folder_that_is_not_there_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        Lock(tmp_path / "none" / "lock")


@names_it
@pytest.mark.parametrize("kind", ["a link", "a dangling link", "a folder", "a pipe"])
def test_what_is_no_file_is_refused_and_left_as_it_is(path, tmp_path, kind):
    """A link in its place would have the file that it leads to emptied."""
    victim = tmp_path / "victim"
    victim.write_text("years of work")
    {"a link": lambda: path.symlink_to(victim), "a dangling link": lambda: path.symlink_to(tmp_path / "new"),
     "a folder": path.mkdir, "a pipe": lambda: os.mkfifo(path)}[kind]()
    with pytest.raises(OSError, match=f"{kind.replace('dangling ', '')} is in the place of the lock"):
        Lock(path)
    assert victim.read_text() == "years of work" and sorted(os.listdir(tmp_path)) == ["lock", "victim"]


@names_it
def test_a_link_that_comes_at_the_last_moment_is_not_followed(path, tmp_path, monkeypatch):
    (tmp_path / "victim").write_text("years of work")
    path.symlink_to(tmp_path / "victim")
    monkeypatch.setattr(locks, "odd", lambda _: None)
    with pytest.raises(OSError):
        Lock(path)
    assert (tmp_path / "victim").read_text() == "years of work"


@names_it
def test_a_file_with_a_second_name_is_locked_and_not_written(path, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("123")
    os.link(victim, path)
    lock = Lock(path)
    with pytest.raises(BlockingIOError, match=r"^it is in use$"):  # 123 is no process
        Lock(path)
    lock.release()
    assert victim.read_text() == "123"
