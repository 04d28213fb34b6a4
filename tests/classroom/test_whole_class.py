"""A folder of submissions: every report whole, nothing lost when a run is stopped, results that no submission can steer."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from html.parser import HTMLParser

import pytest

from isbe_np import cli
from isbe_np.classroom import feedback, whole_class
from isbe_np.classroom.assignment import find
from isbe_np.classroom.whole_class import grade
from isbe_np.executors import local

A1 = find("a1")
SOLUTION = A1.files["a1.py"]
WRONG = SOLUTION.replace("np.exp(scores - scores.max(axis=1, keepdims=True))", "np.exp(scores)")
STUB = "def softmax(scores):\n    raise NotImplementedError\n"


@pytest.fixture
def handed_in(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for student, source in {"ann": SOLUTION, "bob": WRONG, "cid": STUB, "dan": SOLUTION}.items():
        (folder / f"{student}.py").write_text(source)
    return folder


def run(place, out, **more):
    with ThreadPoolExecutor(2) as executor:
        return grade(A1, place, out, seed=7, executor=executor, **more)


def table(out):
    with open(out / "grades.csv", encoding="utf-8", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def test_grades_feedback_and_the_class(handed_in, tmp_path):
    out = tmp_path / "out"
    done = run(handed_in, out)
    assert {submission.student: report.score for submission, report in done} == {"ann": 16, "bob": 14, "cid": 0, "dan": 16}
    rows = table(out)
    assert [rows[name]["score"] for name in rows] == ["16", "14", "0", "16"] and rows["bob"]["1.1"] == "3"
    assert rows["ann"]["look at"] == "the same text as dan" and rows["bob"]["look at"] == "" and rows["bob"]["of"] == "16"
    told = (out / "feedback" / "bob.md").read_text()
    assert told.startswith("# a1, Softmax and its Jacobian: 14 / 16\n\nStudent: bob\n")
    assert (
        "**Failed: large scores** (0 of 2)" in told and "got nan" in told and "Hint: Subtract the row's largest score" in told
    )
    assert re.search(r"Graded in [\d.]+ s\. Isolation (full|reduced): limits of memory", told)
    assert not any("seed" in path.read_text() for path in (out / "feedback").iterdir())  # it would tell the cases that come
    page = (out / "index.html").read_text()
    assert "4 submissions, mean 11.5 of 16 points" in page and '<a href="feedback/bob.html">bob</a>' in page
    assert re.search(r"1.1 softmax</td><td>large scores</td><td class=\"number\">2</td>", page)
    assert not list(out.rglob(".*")) and json.loads((out / "grading.json").read_text()) == {"assignment": "a1", "seed": 7}


@pytest.mark.exhaustive
def test_any_executor_gives_the_same_reports(handed_in, tmp_path):
    def told(out):
        return {
            path.name: re.sub(r"Graded in [\d.]+ s", "", path.read_text()) for path in sorted((out / "feedback").glob("*.md"))
        }

    run(handed_in, tmp_path / "threads")
    grade(A1, handed_in, tmp_path / "spawned", seed=7, executor=local(2))
    with ProcessPoolExecutor(1) as executor:
        grade(A1, handed_in, tmp_path / "one", seed=7, executor=executor)
    assert told(tmp_path / "threads") == told(tmp_path / "spawned") == told(tmp_path / "one")


@pytest.mark.exhaustive
def test_a_second_run_grades_only_what_has_changed(handed_in, tmp_path, monkeypatch):
    out, graded = tmp_path / "out", []
    real = whole_class._grade_one
    monkeypatch.setattr(whole_class, "_grade_one", lambda *given: graded.append(given[2]) or real(*given))
    run(handed_in, out)
    first = {path.name: path.read_bytes() for path in (out / "feedback").iterdir()}
    assert len(graded) == 4
    run(handed_in, out)
    assert len(graded) == 4 and {path.name: path.read_bytes() for path in (out / "feedback").iterdir()} == first
    (handed_in / "cid.py").write_text(WRONG)
    (out / "feedback" / "dan.json").write_text("{damaged")
    done = run(handed_in, out)
    assert sorted(graded[4:]) == sorted([WRONG, SOLUTION]) and [report.score for _, report in done] == [16, 14, 14, 16]
    run(handed_in, out, seconds=200.0)
    assert len(graded) == 10


def test_the_seed_is_secret_unless_given_and_kept(handed_in, tmp_path):
    (handed_in / "bob.py").unlink()
    seeds = []
    for out in ("one", "two", "one"):
        with ThreadPoolExecutor(2) as executor:
            grade(A1, handed_in, tmp_path / out, executor=executor)
        seeds.append(json.loads((tmp_path / out / "grading.json").read_text())["seed"])
    assert seeds[0] == seeds[2] != seeds[1]


def test_what_cannot_be_read_gets_a_report_too(handed_in, tmp_path):
    (handed_in / "eve.py").symlink_to(handed_in / "ann.py")
    (handed_in / "fay.py").write_bytes(b"\xff\xfe")
    out = tmp_path / "out"
    done = {submission.student: report for submission, report in run(handed_in, out)}
    assert done["eve"].score == done["fay"].score == 0 and done["eve"].incidents == ["not readable"]
    assert "**Not graded:** eve.py is a symbolic link" in (out / "feedback" / "eve.md").read_text()
    assert "not UTF-8 text" in (out / "feedback" / "fay.html").read_text() and table(out)["eve"]["not graded"]


def test_the_graders_own_fault_is_told_and_tried_again(handed_in, tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise OSError("no more processes")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(whole_class, "_grade_one", fail)
        done = run(handed_in, out)
    assert all(report.incidents == ["grader failed"] for _, report in done)
    assert "The grader itself failed here" in (out / "feedback" / "ann.md").read_text()
    assert [report.score for _, report in run(handed_in, out)] == [16, 14, 0, 16]


def test_folders_are_refused_where_they_would_mix(handed_in, tmp_path):
    with pytest.raises(ValueError, match="--out expects a folder outside of the submissions"):
        run(handed_in, handed_in / "out")
    out = tmp_path / "out"
    out.mkdir()
    (out / "grading.json").write_text('{"assignment": "a9", "seed": 1}')
    with pytest.raises(ValueError, match="--out holds results of assignment a9"):
        run(handed_in, out)


def test_gradescope_gets_a_result_first_and_last(handed_in, tmp_path, monkeypatch):
    out, seen = tmp_path / "out", []
    real = whole_class._grade_one
    monkeypatch.setattr(
        whole_class, "_grade_one", lambda *given: seen.append(json.loads((out / "results.json").read_text())) or real(*given)
    )
    run(handed_in / "bob.py", out, for_gradescope=True)
    first, last = *seen, json.loads((out / "results.json").read_text())
    assert first["score"] == 0 and "The grading did not end" in first["output"] and len(first["tests"]) == 11
    assert last["score"] == 14 == sum(test["score"] for test in last["tests"]) and last["execution_time"] > 0
    assert sum(test["max_score"] for test in last["tests"]) == 16 and last["stdout_visibility"] == "hidden"
    (failed,) = (test for test in last["tests"] if test["status"] == "failed")
    assert failed["name"] == "1.1 softmax: large scores" and "got nan" in failed["output"] and failed["output_format"] == "text"


class Tags(HTMLParser):
    """The tags of a page and their attributes."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes = set(), set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


NASTY = '<script>alert(1)</script>\x1b[2J\u202e=cmd|"/C calc"!A0 ``` </pre> <img src=x onerror=alert(1)> [a](javascript:b)'


def test_no_page_table_or_terminal_obeys_a_submission(tmp_path, capsys):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    source = f"NASTY = {NASTY!r}\nprint(NASTY)\ndef softmax(x):\n    print(NASTY)\n    raise ValueError(NASTY)\n"
    for name in ("=1+cmd.py", "<img src=x onerror=alert(1)>.py", "a\x1b[2Jb.py", "x\ny.py", "`a` *b*.py"):
        (folder / name).write_text(source)
    run(folder, out)
    pages = [path.read_text() for path in (*out.glob("*.html"), *out.rglob("feedback/*.html"))]
    assert len(pages) == 6
    for page in pages:
        seen = Tags(page)
        assert not seen.tags & {"script", "img", "iframe", "form", "link", "object"}
        assert not any(name.startswith("on") or name == "src" for name in seen.attributes)
        assert "\x1b" not in page and "\u202e" not in page and "default-src 'none'" in page
    for path in out.rglob("*.md"):
        text = path.read_text()
        assert "\x1b" not in text and "\u202e" not in text and "<img" not in re.sub(r"(?s)(`{3,})text\n.*?\n\1", "", text)
    assert not any(value[:1] in "=+-@" for row in table(out).values() for value in row.values() if value)
    results = feedback.gradescope(run(folder, out)[0][1])
    assert "\x1b" not in json.dumps(results, ensure_ascii=False) and "\\u001b" not in json.dumps(results)


@pytest.mark.exhaustive
def test_the_command_line(handed_in, tmp_path, capsys):
    out = tmp_path / "out"
    assert (
        cli.main(
            [
                "grade",
                "a1",
                str(handed_in),
                "--out",
                str(out),
                "--seed",
                "7",
                "--workers",
                "1",
                "--seconds",
                "3",
                "--memory",
                "1500",
                "--json",
                str(tmp_path / "all.json"),
            ]
        )
        == 0
    )
    told = capsys.readouterr()
    assert "a1: 4 submissions, mean 11.50 of 16 points." in told.out and "Isolation " in told.out
    assert json.loads((tmp_path / "all.json").read_text())["bob"]["score"] == 14
    for wrong, words in (
        ((handed_in, "--seconds", "0"), "A limit expects a number above 0; got 0.0 for call."),
        ((tmp_path / "none",), "grade expects a file or folder of submissions"),
    ):
        assert cli.main(["grade", "a1", *map(str, wrong), "--out", str(tmp_path / "other")]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.exhaustive
def test_a_run_that_is_interrupted_goes_on_where_it_was(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for k in range(12):
        (folder / f"s{k:02}.py").write_text(f"import time\n{SOLUTION}\ntime.sleep(0.1 if {k} < 6 else 3)\n")
    command = [sys.executable, "-m", "isbe_np", "grade", "a1", str(folder), "--out", str(out), "--seed", "7"]

    def restored():
        signal.signal(signal.SIGINT, signal.default_int_handler)

    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=restored
    )
    deadline = time.monotonic() + 60
    while len(list(out.glob("feedback/*.json"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    told = process.communicate(timeout=60)[1]
    kept = {path: path.read_bytes() for path in out.glob("feedback/*.json")}
    assert process.returncode == 130 and "interrupted" in told and 4 <= len(kept) < 12
    assert len(table(out)) == len(kept)
    for path in sorted(folder.iterdir())[6:]:  # the slow ones, quick now
        path.write_text(SOLUTION)
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert len(table(out)) == 12 and all(path.read_bytes() == data for path, data in kept.items())
