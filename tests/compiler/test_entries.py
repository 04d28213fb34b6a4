"""The files of compiled kernels: whole or not at all, and read only if nobody could slip them in."""

import os
import sys
from types import SimpleNamespace

import pytest

from isbe_np.compiler import entries

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="permissions, links and pipes are another matter on Windows")
DATA = b"compiled" * 20


@pytest.fixture
def entry(tmp_path):
    """A file that is as it should be."""
    path = tmp_path / "0123456789abcdef" / "kernel.nbc"
    entries.write(path, DATA)
    return path


def test_what_is_written_is_read_and_nothing_else_is_left(entry):
    assert entries.read(entry) == DATA
    entries.write(entry, b"other")
    assert entries.read(entry) == b"other" and os.listdir(entry.parent) == [entry.name]
    with pytest.raises(FileNotFoundError):
        entries.read(entry.with_name("none.nbc"))


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: data[:20], lambda data: data[:-1], lambda data: data + b"\0",
    lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], lambda data: b"\0" * len(data), lambda data: data[32:],
], ids=["empty", "too short for its digest", "a byte less", "a byte more", "one bit", "zeros", "no digest"])
def test_damage_is_noticed(entry, damage):
    entry.write_bytes(damage(entry.read_bytes()))
    with pytest.raises(ValueError, match="not written whole, or changed since"):
        entries.read(entry)


@pytest.mark.parametrize("place", ["0123456789abcdef/other.nbc", "fedcba9876543210/kernel.nbc"])
def test_a_file_in_another_s_place_is_none(entry, tmp_path, place):
    """Whoever may write the folder, or keeps an old one, could otherwise have one kernel run for another."""
    moved = tmp_path / place
    moved.parent.mkdir(exist_ok=True)
    entry.rename(moved)
    with pytest.raises(ValueError, match="changed since"):
        entries.read(moved)


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o622, 0o777])
def test_what_others_may_write_is_not_read(entry, mode):
    entry.chmod(mode)
    with pytest.raises(entries.Untrusted, match="it may be written by others than its owner"):
        entries.read(entry)
    entry.chmod(0o600)
    assert entries.read(entry) == DATA


def test_what_is_no_plain_file_is_not_read(entry, tmp_path):
    """A link could lead to a file of this user's that somebody else made up; opening a pipe would wait for ever."""
    kept = entry.rename(tmp_path / "kept")
    entry.symlink_to(kept)
    with pytest.raises(OSError, match=r"symbolic link|[Ll]ink"):
        entries.read(entry)
    entry.unlink()
    os.mkfifo(entry)
    writer = os.open(entry, os.O_RDWR)  # so that a fault in `read` does not wait for ever
    with pytest.raises(ValueError, match="no file that holds data"):
        entries.read(entry)
    os.close(writer)
    entry.unlink()
    entry.mkdir()
    with pytest.raises(IsADirectoryError):
        entries.read(entry)


def test_what_was_opened_is_judged_not_what_has_its_name_since(entry, monkeypatch):
    def swapped(path, flags):
        descriptor = os.open(path, flags)
        os.unlink(path)
        entries.write(entry, DATA)
        return descriptor

    entry.chmod(0o666)
    monkeypatch.setattr(entries, "_open_at_once", swapped)
    with pytest.raises(entries.Untrusted):
        entries.read(entry)


@pytest.mark.parametrize(("user", "package", "trusted"), [
    (12345, 12345, {0, 12345}), (12345, 54321, {0, 12345, 54321}), (0, 0, {0}),
    (12345, 65534, {0, 12345}), (65534, 0, {0, 65534}), (65534, 65534, {0, 65534})])
def test_this_user_root_and_the_owner_of_the_package_are_trusted_but_not_nobody(entry, monkeypatch, user, package, trusted):
    """In a container all users it does not know are nobody: that the package is theirs makes nobody's files no safer."""
    with monkeypatch.context() as patch:
        patch.setattr(entries.os, "geteuid", lambda: user)
        patch.setattr(entries.Path, "stat", lambda _: SimpleNamespace(st_uid=package))
        found = entries._owners()
    assert found == trusted


def test_what_belongs_to_another_user_is_not_read(entry, monkeypatch):
    monkeypatch.setattr(entries, "_owners", lambda: {os.geteuid() + 1})
    with pytest.raises(entries.Untrusted, match=f"belongs to user {os.geteuid()}, who is neither you nor the owner of isbe_np"):
        entries.read(entry)
    with pytest.raises(entries.Untrusted, match=f"the folder {entry.parent} belongs to user {os.geteuid()}"):
        entries.write(entry, b"other")


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_nothing_is_kept_in_a_folder_that_others_may_write(entry, mode):
    entry.parent.chmod(mode)
    with pytest.raises(entries.Untrusted, match="may be written by others"):
        entries.write(entry, b"other")
    entry.parent.chmod(0o700)
    assert entries.read(entry) == DATA


def test_a_folder_that_is_a_link_is_refused(entry, tmp_path):
    (tmp_path / "link").symlink_to(entry.parent)
    with pytest.raises(entries.Untrusted, match="is a link"):
        entries.make_folder(tmp_path / "link")


def test_names_of_files_being_written_are_unlike_each_other_in_one_process(entry, monkeypatch):
    """Two containers that share a folder have the same process numbers."""
    names = []
    monkeypatch.setattr(entries.os, "replace", lambda part, path: names.append(part))
    for _ in range(20):
        entries.write(entry, DATA)
    assert len(set(names)) == 20 and all(name.suffix == ".part" and name.parent == entry.parent for name in names)
    assert os.listdir(entry.parent) == [entry.name]


@pytest.mark.parametrize("fault", [OSError, KeyboardInterrupt])
def test_a_write_that_fails_leaves_what_was_there(entry, monkeypatch, fault):
    def fail(*_):
        raise fault("no more")

    monkeypatch.setattr(entries.os, "replace", fail)
    with pytest.raises(fault):
        entries.write(entry, b"other")
    assert entries.read(entry) == DATA and os.listdir(entry.parent) == [entry.name]


def test_a_folder_that_was_removed_is_made_again(entry):
    entry.unlink()
    entry.parent.rmdir()
    entries.write(entry, DATA)
    assert entries.read(entry) == DATA
