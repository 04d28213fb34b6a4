"""No student's code runs as the instructor: names lead to the package's assignments, folders keep apart from submissions."""

import os

import pytest

from isbe_np import cli
from isbe_np.classroom import assignment
from isbe_np.classroom.apart import passes_through
from isbe_np.classroom.assignment import find

FORGED = """
open({marker!r}, "w").close()
from isbe_np.classroom import Assignment, Check, Task
ASSIGNMENT = Assignment("Forged", (Task("1.1", "softmax", "Softmax", (Check("values", 16, lambda random: [(1.0,)], ""),)),))
"""


@pytest.fixture
def bob(tmp_path, monkeypatch):
    """A student's folder, with assignments of the student's own in it wherever a name could lead, to stand in."""
    folder = tmp_path / "subs" / "bob"
    for place in (folder, folder / "a1", folder / "a3x", folder / "tutorials" / "assignments" / "a1"):
        place.mkdir(parents=True)
        (place / "checks.py").write_text(FORGED.format(marker=str(tmp_path / "ran")))
        (place / "handout.md").write_text("")
        for name in ("a1.py", f"{place.name}.py"):
            (place / name).write_text("def softmax(s):\n    return 7\n")
    monkeypatch.chdir(folder)
    return folder


def grade(name, submissions, tmp_path):
    return cli.main(["grade", str(name), str(submissions), "--out", str(tmp_path / "graded"), "--workers", "1"])


def test_a_bare_name_is_the_packages_assignment(bob, tmp_path, capsys):
    assert grade("a1", "a1.py", tmp_path) == 0
    assert "mean 0.00 of 16 points" in capsys.readouterr().out and not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["a3x", "bob", "", "A1", "a1\\", ".\\a1"])
def test_no_other_bare_name_leads_anywhere(bob, tmp_path, capsys, name):
    for arguments in (["grade", name, ".", "--out", str(tmp_path / "graded")], ["assignment", "show", name],
                      ["assignment", "release", name, str(tmp_path / "out")]):
        assert cli.main(arguments) == 2
        told = capsys.readouterr().err
        assert "The name of an assignment expects one of 'a1'" in told and "written with a separator, such as ./" in told
    assert not (tmp_path / "ran").exists()


def test_where_no_assignments_lie_beside_the_package_what_to_write_is_told(bob, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(assignment, "PLACE", tmp_path / "none")
    for arguments in (["assignment", "list"], ["grade", "a1", ".", "--out", str(tmp_path / "graded")]):
        assert cli.main(arguments) == 2
        assert "Write a folder of that checkout, such as ./tutorials/assignments/a1" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


def linked(tmp_path, way):
    """The path of an assignment that belongs to a student, and the submissions beside it."""
    subs, bob, link = tmp_path / "subs", tmp_path / "subs" / "bob", tmp_path / "link"
    own = tmp_path / "double"  # the instructor's own folder, with a file that leads to a student's
    if way == "a link to it":
        link.symlink_to(bob / "a1")
    elif way == "a link above it":
        link.symlink_to(bob)
        return link / "a1", subs
    elif way == "two links":
        (tmp_path / "other").symlink_to("subs")
        link.symlink_to("other/bob/../bob/a1")
    elif way == "a link in it that leads out":
        (bob / "a1").rename(tmp_path / "a1")
        (bob / "out").symlink_to(tmp_path / "a1")
        return bob / "out", subs
    elif way == "a link to a link in it that leads out":
        (bob / "a1").rename(tmp_path / "a1")
        (bob / "out").symlink_to(tmp_path / "a1")
        link.symlink_to(bob / "out")
    elif way == "a link as its checks":
        own.mkdir()
        (own / "double.py").write_text("def softmax(s):\n    return 7\n")
        (own / "handout.md").write_text("")
        (own / "checks.py").symlink_to(bob / "checks.py")
        return own, subs
    elif way == "submissions by a link above":
        link.symlink_to(tmp_path)
        return bob / "a1", link / "subs"
    return link, subs


WAYS = ["a link to it", "a link above it", "two links", "a link in it that leads out", "a link to a link in it that leads out",
        "a link as its checks", "submissions by a link above"]


@pytest.mark.parametrize("way", WAYS)
def test_no_link_leads_to_an_assignment_of_a_students(bob, tmp_path, capsys, way):
    name, submissions = linked(tmp_path, way)
    assert grade(name, submissions, tmp_path) == 2
    assert "lies inside SUBMISSIONS or is reached through it" in capsys.readouterr().err and not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("name", "submissions", "how"), [
    ("./a1", ".", "lies inside"), (".", ".", "lies inside"), ("..//bob/./a1/", "..", "lies inside"),
    ("../bob/a1", "a1", "lies inside"), ("./a1", "./a1", "lies inside"), ("..", "../bob", "contains"),
    (".", "a1", "contains"), (".", "a3x/a3x.py", "contains"),
    ("{bob}/a1", "{bob}", "lies inside"), ("~/a1", ".", "lies inside"),
])
def test_a_folder_keeps_apart_from_the_submissions(bob, tmp_path, capsys, monkeypatch, name, submissions, how):
    monkeypatch.setenv("HOME", str(bob))
    assert grade(name.format(bob=bob), submissions.format(bob=bob), tmp_path) == 2
    told = capsys.readouterr().err
    assert f"{how} " in told and "Keep assignments and submissions in separate folders." in told
    assert not (tmp_path / "ran").exists()


def test_a_folder_beside_the_submissions_is_taken_and_so_is_its_own_solution(bob, tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    (bob / "a3x").rename(mine)  # as if it were the instructor's
    (mine / "mine.py").write_text("def softmax(s):\n    return 7\n")
    assert grade("../../mine", ".", tmp_path) == 0 and (tmp_path / "ran").exists()
    assert grade(mine, mine / "mine.py", tmp_path) == 0
    assert find(mine).name == find(str(mine)).name == "mine"
    monkeypatch.chdir(mine)
    assert find(".").name == "mine"


@pytest.mark.parametrize("out", ["out", "./a1/../new", "{link}/out", "{bob}"])
def test_results_among_the_submissions_are_refused_before_a_folder_is_made(bob, tmp_path, capsys, out):
    (tmp_path / "link").symlink_to(bob)
    before = sorted(os.listdir(bob))
    out = out.format(link=tmp_path / "link", bob=bob)
    assert cli.main(["grade", "a1", ".", "--out", out]) == 2
    assert "--out expects a folder outside of the submissions" in capsys.readouterr().err and sorted(os.listdir(bob)) == before


def test_ways_with_loops_and_without_a_place(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert not passes_through(tmp_path / "loop" / "x", tmp_path / "none")
    assert passes_through(tmp_path / "loop" / "x", tmp_path) and not passes_through(tmp_path / ".." / "x", tmp_path)
