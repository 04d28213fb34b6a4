"""Files are written whole or not at all."""

import json
import os
import stat
import sys
import threading

import pytest

from isbe_np.storage import files

posix = pytest.mark.skipif(os.name != "posix", reason="permissions, links and folders of POSIX")


class Fault(Exception):
    """Raised in a block that writes."""


def names(folder):
    return sorted(os.listdir(folder))


def contents(folder):
    """Of all files, those whose names begin with a dot too."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def replace(path, content, previous=None):
    with files.replacing(path, previous) as file:
        file.write(content)


def test_json_is_written_whole(tmp_path):
    file = tmp_path / "a.json"
    files.write_json(file, {"a": [1, (2.5, None)], 3: {"b": "ü", "c": True}})
    assert json.loads(file.read_text(encoding="utf-8")) == {"a": [1, [2.5, None]], "3": {"b": "ü", "c": True}}
    assert os.listdir(tmp_path) == ["a.json"]


def test_numbers_that_json_lacks_are_written_by_name(tmp_path):
    files.write_json(tmp_path / "a.json", {"a": [float("nan"), float("inf"), -float("inf")]})
    assert json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail) == {"a": ["nan", "inf", "-inf"]}


@pytest.mark.parametrize("older", [None, "older"])
def test_what_is_no_json_leaves_the_folder_as_it_was(tmp_path, older):
    file = tmp_path / "a.json"
    if older:
        file.write_text(older)
    with pytest.raises(TypeError, match="not JSON serializable"):
        files.write_json(file, {"fine": 1, "wrong": object()})
    assert os.listdir(tmp_path) == (["a.json"] if older else []) and (not older or file.read_text() == older)


def test_an_interrupt_while_writing_leaves_no_part(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_json(tmp_path / "a.json", {})
    assert os.listdir(tmp_path) == []


@posix
def test_others_may_read_a_result_as_they_may_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    files.write_json(tmp_path / "a.json", {})
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "target.json").write_text("older")
    (tmp_path / "link.json").symlink_to(tmp_path / "target.json")
    files.write_json(tmp_path / "link.json", {"a": 1})
    assert (tmp_path / "link.json").is_symlink() and json.loads((tmp_path / "target.json").read_text()) == {"a": 1}


def test_the_file_before_is_kept_under_the_name_of_the_previous(tmp_path):
    for content in (b"1", b"2", b"3"):
        replace(tmp_path / "a", content, "a.before")
    assert contents(tmp_path) == {"a": b"3", "a.before": b"2"}


def test_without_a_previous_none_is_kept(tmp_path):
    for content in (b"1", b"2"):
        replace(tmp_path / "a", content)
    assert contents(tmp_path) == {"a": b"2"}


@pytest.mark.parametrize("fault", [Fault, KeyboardInterrupt, SystemExit, OSError])
def test_a_block_that_fails_leaves_both_files_as_they_were(tmp_path, fault):
    replace(tmp_path / "a", b"1"), replace(tmp_path / "a", b"2", "a.before")
    with pytest.raises(fault), files.replacing(tmp_path / "a", "a.before") as file:
        file.write(b"3")
        raise fault
    assert contents(tmp_path) == {"a": b"2", "a.before": b"1"}


def test_while_it_is_written_the_old_file_is_there_and_the_part_beside_it(tmp_path):
    replace(tmp_path / "a", b"1")
    with files.replacing(tmp_path / "a", "a.before") as file:
        file.write(b"2")
        file.flush()
        part, = set(names(tmp_path)) - {"a"}
        assert (tmp_path / "a").read_bytes() == b"1" and part.startswith(".a.") and part.endswith(files.PART)
    assert names(tmp_path) == ["a", "a.before"]


def test_what_was_written_can_be_read_and_changed_in_the_block(tmp_path):
    with files.replacing(tmp_path / "a") as file:
        file.write(b"abc")
        file.seek(0)
        assert file.read() == b"abc"
        file.seek(1)
        file.write(b"x")
    assert contents(tmp_path) == {"a": b"axc"}


@posix
@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_content_is_on_the_disk_before_its_name_and_then_the_folder_is(tmp_path, monkeypatch, links):
    """After a power cut there is the old file or the new one, whole: the order is what makes it so."""
    replace(tmp_path / "a", b"1")
    calls = []

    def fsync(descriptor, done=os.fsync):
        told = os.fstat(descriptor)
        calls.append("fsync of the folder" if stat.S_ISDIR(told.st_mode) else f"fsync of {told.st_size} bytes")
        done(descriptor)

    def moved(old, new, done=os.replace):
        calls.append(f"replace {os.path.basename(new)}")
        done(old, new)

    def link(old, new, done=os.link):
        if not links:
            raise OSError("no links here")
        calls.append("link")
        done(old, new)

    for name, function in (("fsync", fsync), ("replace", moved), ("link", link)):
        monkeypatch.setattr(files.os, name, function)
    replace(tmp_path / "a", b"12345", "a.before")
    assert calls == ["fsync of 5 bytes", *(["link"] if links else []), "replace a.before", "replace a", "fsync of the folder"]
    assert contents(tmp_path) == {"a": b"12345", "a.before": b"1"}


@posix
def test_at_every_moment_there_is_a_file_in_the_place(tmp_path, monkeypatch):
    """And each is whole; looked at before and after whatever changes names."""
    replace(tmp_path / "a", b"1", "a.before")

    def looking(name):
        done = getattr(os, name)

        def look(*arguments, **options):
            assert (tmp_path / "a").read_bytes() in (b"1", b"2")
            result = done(*arguments, **options)
            assert (tmp_path / "a").read_bytes() in (b"1", b"2")
            return result

        monkeypatch.setattr(files.os, name, look)

    for name in ("replace", "link", "unlink"):
        looking(name)
    replace(tmp_path / "a", b"2", "a.before")
    assert contents(tmp_path) == {"a": b"2", "a.before": b"1"}


def test_a_file_system_without_links_keeps_the_previous_too(tmp_path, monkeypatch):
    def none(*_):
        raise OSError("no links here")

    monkeypatch.setattr(files.os, "link", none)
    for content in (b"1", b"2", b"3"):
        replace(tmp_path / "a", content, "a.before")
    assert contents(tmp_path) == {"a": b"3", "a.before": b"2"}


@posix
def test_two_names_of_one_file_leave_no_third(tmp_path):
    """As when a process was killed between giving the second name and replacing the first: rename does nothing then."""
    replace(tmp_path / "a", b"1")
    os.link(tmp_path / "a", tmp_path / "a.before")
    replace(tmp_path / "a", b"2", "a.before")
    assert contents(tmp_path) == {"a": b"2", "a.before": b"1"}


@pytest.mark.parametrize("previous", [None, "a.before"])
def test_a_folder_in_the_place_stays_where_it_is(tmp_path, previous):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").write_text("mine")
    with pytest.raises(OSError):
        replace(tmp_path / "a", b"1", previous)
    assert names(tmp_path) == ["a"] and names(tmp_path / "a") == ["mine"]


@pytest.mark.parametrize("older", [b"1", None])
def test_a_folder_in_the_place_of_the_previous_is_an_oserror(tmp_path, older):
    (tmp_path / "a.before").mkdir()
    (tmp_path / "a.before" / "mine").write_text("mine")
    if older is None:  # nothing is to be kept
        replace(tmp_path / "a", b"2", "a.before")
    else:
        replace(tmp_path / "a", b"1")
        with pytest.raises(OSError):
            replace(tmp_path / "a", b"2", "a.before")
    assert names(tmp_path) == ["a", "a.before"] and names(tmp_path / "a.before") == ["mine"]
    assert (tmp_path / "a").read_bytes() == (older or b"2")


@posix
def test_a_link_to_what_is_not_there_yet(tmp_path):
    (tmp_path / "away").symlink_to("none/a")
    with pytest.raises(FileNotFoundError):
        replace(tmp_path / "away", b"1")
    (tmp_path / "new").symlink_to("target")
    replace(tmp_path / "new", b"1")
    assert (tmp_path / "new").is_symlink() and (tmp_path / "target").read_bytes() == b"1"
    assert names(tmp_path) == ["away", "new", "target"]


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o007], ids=oct)
def test_the_mask_for_new_files_decides_their_mode_and_stays(tmp_path, mask):
    before = os.umask(mask)
    try:
        replace(tmp_path / "a", b"1")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask


@posix
def test_the_mask_stays_when_many_threads_write(tmp_path):
    """It belongs to the process: to set it for a moment would let two threads fix each other's."""
    before, interval = os.umask(0o022), sys.getswitchinterval()
    try:
        sys.setswitchinterval(1e-6)
        threads = [threading.Thread(target=lambda n=n: [replace(tmp_path / n, b"1") for _ in range(100)]) for n in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert os.umask(0o022) == 0o022
    finally:
        sys.setswitchinterval(interval)
        os.umask(before)


def test_long_names_are_cut_in_the_parts_name(tmp_path):
    name = "ü" * 120  # 240 of the 255 bytes that a name may have
    replace(tmp_path / name, b"1"), replace(tmp_path / name, b"2", "a.before")
    assert contents(tmp_path) == {name: b"2", "a.before": b"1"}


def test_the_error_of_a_damaged_file_is_one_sentence_with_its_parts():
    fault = files.DamagedFile("a.npz", "length", "3 bytes", "4", "Get another.")
    assert isinstance(fault, ValueError) and str(fault) == "a.npz: length: expected 3 bytes; got 4. Get another."
    assert (fault.expected, fault.got) == ("3 bytes", "4")


def test_the_error_of_a_damaged_file_moves_no_cursor():
    told = str(files.DamagedFile("a\n.npz", "wörd", "3", "a\nb\r\x1b[2J\u202e\x7f", "Get another."))
    assert told == r"a\n.npz: wörd: expected 3; got a\nb\r\x1b[2J\u202e\x7f. Get another."


@posix
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    pipe, faults = tmp_path / "pipe", []
    os.mkfifo(pipe)

    def run():
        try:
            files.opened(pipe, "Mend it.").__enter__()
        except files.DamagedFile as fault:
            faults.append(str(fault))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    waits = thread.is_alive()
    if waits:
        os.close(os.open(pipe, os.O_WRONLY))  # what it waits for
        thread.join()
    assert not waits and faults == [f"{pipe}: kind: expected a plain file; got a pipe or a device. Mend it."]


@posix
def test_a_device_is_refused():
    with pytest.raises(files.DamagedFile, match=r"/dev/zero: kind: expected a plain file; got a pipe or a device\. Mend it\."):
        files.opened("/dev/zero", "Mend it.").__enter__()


@pytest.mark.parametrize("path, kind", [("none", FileNotFoundError), (".", OSError)])
def test_what_cannot_be_opened_is_an_oserror_of_its_kind(path, kind, tmp_path):
    with pytest.raises(kind, match=r" cannot be read: .*\. Mend it\.$"):
        files.opened(tmp_path / path, "Mend it.").__enter__()


def test_a_plain_file_is_opened_and_closed(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    with files.opened(tmp_path / "a", "Mend it.") as file:
        assert file.read() == b"abc"
    assert file.closed


def test_a_folder_that_is_not_there_is_told_by_the_name_that_was_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        files.write_json(tmp_path / "none" / "a.json", {})
    assert caught.value.filename == str(tmp_path / "none" / "a.json") and caught.value.strerror


@pytest.mark.skipif(os.name != "posix", reason="folders are opened on POSIX")
def test_a_folder_that_cannot_be_synchronised_is_no_failure(tmp_path, monkeypatch):
    """The file is in its place by then; a folder need not be readable, and some network file systems refuse."""
    fsync = os.fsync

    def refuse(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError("not here")
        fsync(descriptor)

    monkeypatch.setattr(files.os, "fsync", refuse)
    files.write_json(tmp_path / "a.json", {"a": 1})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}


# Names that isbe_np chose


@posix
@pytest.mark.parametrize("target", ["victim", "new"], ids=["link", "dangling link"])
def test_a_link_that_is_not_to_be_followed_is_replaced(tmp_path, target):
    (tmp_path / "in").mkdir()
    (tmp_path / "victim").write_bytes(b"years of work")
    (tmp_path / "in" / "a").symlink_to(tmp_path / target)
    (tmp_path / "in" / "a.before").symlink_to(tmp_path / target)
    for content in (b"1", b"2"):
        with files.replacing(tmp_path / "in" / "a", "a.before", follow=False) as file:
            file.write(content)
    assert (tmp_path / "victim").read_bytes() == b"years of work" and names(tmp_path) == ["in", "victim"]
    assert contents(tmp_path / "in") == {"a": b"2", "a.before": b"1"} and not (tmp_path / "in" / "a").is_symlink()


@posix
def test_a_link_is_never_kept_as_the_file_before(tmp_path):
    (tmp_path / "victim").write_bytes(b"years of work")
    (tmp_path / "a").symlink_to("victim")
    with files.replacing(tmp_path / "a", "a.before", follow=False) as file:
        file.write(b"1")
    assert contents(tmp_path) == {"a": b"1", "victim": b"years of work"}


@posix
def test_without_following_the_folder_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to("disk")
    files.write_text(tmp_path / "run" / "a", "1")
    assert contents(tmp_path / "disk") == {"a": b"1"} and names(tmp_path) == ["disk", "run"]


@posix
@pytest.mark.parametrize("follow", [True, False])
def test_the_other_name_of_a_file_keeps_its_content(tmp_path, follow):
    (tmp_path / "victim").write_bytes(b"years of work")
    os.link(tmp_path / "victim", tmp_path / "a")
    files.write_text(tmp_path / "a", "1", follow)
    assert contents(tmp_path) == {"a": b"1", "victim": b"years of work"}


@posix
@pytest.mark.parametrize("follow", [True, False])
def test_a_pipe_in_the_place_of_a_file_stays(tmp_path, follow):
    """As /dev/null would, for a user who may remove it."""
    os.mkfifo(tmp_path / "a")
    with pytest.raises(OSError, match="A pipe is in the place of the file"):
        files.write_text(tmp_path / "a", "1", follow)
    assert files.odd(tmp_path / "a") == "a pipe" and names(tmp_path) == ["a"]


@posix
def test_kinds_of_what_is_no_plain_file(tmp_path):
    (tmp_path / "link").symlink_to("none")
    (tmp_path / "file").touch()
    kinds = {"link": "a link", "file": None, "none": None, "file/none": None, ".": "a folder", "/dev/null": "a device"}
    assert {name: files.odd(tmp_path / name) for name in kinds} == kinds


@posix
def test_a_figure_replaces_a_link_and_is_there_whole_or_not_at_all(tmp_path):
    (tmp_path / "victim").write_bytes(b"years of work")
    (tmp_path / "a.png").symlink_to("victim")

    class Figure:
        def savefig(self, file, *, format, dpi):
            file.write(b"half")
            if self.fails:
                raise Fault

    figure = Figure()
    figure.fails = True
    with pytest.raises(Fault):
        files.write_figure(tmp_path / "a.png", figure)
    assert (tmp_path / "a.png").is_symlink() and names(tmp_path) == ["a.png", "victim"]
    figure.fails = False
    files.write_figure(tmp_path / "a.png", figure)
    assert contents(tmp_path) == {"a.png": b"half", "victim": b"years of work"}


def test_json_of_any_depth_that_is_read():
    assert files.json_of("[" * 200 + "]" * 200) and files.json_of(b'{"a": [null]}') == {"a": [None]}
    assert files.json_of("null") is None
