"""What was handed in, however it lies there: one student each, no link followed, nothing read that is too large or no text."""

import os

import pytest

from isbe_np.classroom.safe import cell, fenced, file_name, markdown, plain
from isbe_np.classroom.submissions import LARGEST, collect


@pytest.fixture
def handed_in(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


def by_student(place):
    return {submission.student: submission for submission in collect(place, "a1")}


def test_a_file_is_one_submission(handed_in):
    file = handed_in / "ann.py"
    file.write_text("x = 1\n")
    (only,) = collect(file, "a1")
    assert (only.student, only.key, only.source, only.fault) == ("ann", "ann", "x = 1\n", "")


def test_a_folder_with_the_assignments_file_alone_is_one_submission(handed_in):
    for name in ("a1.py", "test_a1.py", "a1.json", "README.md"):
        (handed_in / name).write_text(name)
    (only,) = collect(handed_in, "a1")
    assert only.student == "in" and only.source == "a1.py"


def test_a_student_who_called_the_file_as_the_assignment_is_one_of_the_class(handed_in):
    for name in ("a1.py", "ann.py"):
        (handed_in / name).write_text(name)
    assert {student: one.source for student, one in by_student(handed_in).items()} == {"a1": "a1.py", "ann": "ann.py"}
    (only,) = collect(handed_in, "a1", single=True)
    assert only.source == "a1.py"


def test_a_folder_called_as_the_assignments_file_costs_its_student_alone(handed_in):
    (handed_in / "bob" / "a1.py").mkdir(parents=True)
    (handed_in / "ann.py").write_text("ann")
    (handed_in / " .py").write_text("no name")
    found = by_student(handed_in)
    assert found["bob"].fault == "a1.py is no ordinary file. Hand in a Python file." and found["ann"].source == "ann"
    assert found["(no name)"].source == "no name"


def test_files_and_folders_side_by_side(handed_in):
    (handed_in / "ann.py").write_text("ann")
    for student, files in {
        "bob": ("a1.py", "other.py"),
        "cid": ("work.py", "test_a1.py"),
        "dan": (),
        "eve": ("x.py", "y.py"),
    }.items():
        (handed_in / student).mkdir()
        for file in files:
            (handed_in / student / file).write_text(f"{student} {file}")
    (handed_in / "readme.txt").write_text("passed over")
    (handed_in / ".hidden.py").write_text("passed over")
    found = by_student(handed_in)
    assert {student: submission.source for student, submission in found.items()} == {
        "ann": "ann",
        "bob": "bob a1.py",
        "cid": "cid work.py",
        "dan": "",
        "eve": "",
    }
    assert found["dan"].fault == "The folder holds no Python file and no a1.py. Hand in a1.py."
    assert found["eve"].fault == "The folder holds 2 Python files and no a1.py. Hand in a1.py."


def test_no_link_is_followed(handed_in, tmp_path):
    secret = tmp_path / "secret.py"
    secret.write_text("the key")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a1.py").write_text("the key")
    (handed_in / "ann.py").symlink_to(secret)
    (handed_in / "bob").symlink_to(tmp_path / "other")
    (handed_in / "cid").mkdir()
    (handed_in / "cid" / "a1.py").symlink_to(secret)
    (handed_in / "dan.py").symlink_to("nowhere")
    found = by_student(handed_in)
    assert all(
        submission.source == "" and "is a symbolic link, which is not followed" in submission.fault
        for submission in found.values()
    ) and set(found) == {"ann", "bob", "cid", "dan"}


def test_a_link_in_the_place_of_one_submission_is_not_followed(handed_in, tmp_path):
    secret = tmp_path / "secret.py"
    secret.write_text("the key")
    (handed_in / "a1.py").symlink_to(secret)
    for single in (False, True):
        (only,) = collect(handed_in, "a1", single)
        assert only.source == "" and "symbolic link" in only.fault


def test_files_of_other_kinds_are_refused_and_none_is_waited_for(handed_in):
    os.mkfifo(handed_in / "fifo.py")
    (handed_in / "large.py").write_bytes(b"#" * (LARGEST + 1))
    (handed_in / "latin.py").write_bytes("# Grüße".encode("latin-1"))
    (handed_in / "mark.py").write_bytes(b"\xef\xbb\xbfx = 1")
    (handed_in / "folder.py").mkdir()
    (handed_in / "nul.py").write_bytes(b"x = 1\0")
    found = by_student(handed_in)
    assert "is no ordinary file" in found["fifo"].fault and f"at most {LARGEST:,} are read" in found["large"].fault
    assert found["latin"].fault == "latin.py is not UTF-8 text (byte 4). Save it as UTF-8."
    assert found["mark"].source == "x = 1" and "no Python file" in found["folder.py"].fault
    assert found["nul"].fault == "nul.py is no text: byte 5 is NUL. Hand in a Python file, saved as UTF-8."


def test_every_student_has_a_file_name_of_their_own(handed_in):
    for name in (
        "ann.py",
        "Ann.py",
        "müller.py",
        "Σ.py",
        "..x.py",
        "a b.py",
        "x" * 200 + ".py",
        "=cmd.py",
        "‮evil.py",
        "<b>.py",
        "nul.py",
    ):
        (handed_in / name).write_text(name)
    (handed_in / "ann").mkdir()
    (handed_in / "ann" / "a1.py").write_text("folder")
    found = collect(handed_in, "a1")
    keys = [submission.key for submission in found]
    assert len({key.casefold() for key in keys}) == len(keys) == 11  # the name that begins with a dot is hidden
    assert all(key == file_name(key) and len(key.encode()) < 200 and key.lower() != "nul" for key in keys if "_" not in key)
    assert not any(set(key) & set('/\\<>:"|?*‮') for key in keys) and {"müller", "Σ", "a b"} <= set(keys)


@pytest.mark.parametrize("place", ["nowhere", "empty"])
def test_nothing_to_grade_is_told(tmp_path, place):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="grade expects"):
        collect(tmp_path / place, "a1")


def test_a_terminal_and_the_direction_of_writing_are_left_alone():
    assert plain("a\x1b[2Jb\x07\x9b\u202ec\r\nd\te") == "a�[2Jb���c\nd\te"
    assert plain("x" * 10, 5) == "xxxxx … (cut)" and plain("\ud800") == "�"


def test_markdown_and_spreadsheets_find_nothing_to_obey():
    assert markdown("*a* [b](c) <b> `d` a_b") == r"\*a\* \[b\](c) &lt;b&gt; \`d\` a\_b"
    assert fenced("```\nx\n````") == "`````text\n```\nx\n````\n`````"
    assert [cell(text) for text in ("=1+1", "+1", "-1", "@x", "ann", "\t=1")] == ["'=1+1", "'+1", "'-1", "'@x", "ann", "'=1"]
