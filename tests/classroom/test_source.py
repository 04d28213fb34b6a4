"""A Python file is read as Python reads it, and a file of another kind is told what it is."""

import io
import itertools
import json
import zipfile

import pytest

from isbe_np import cli
from isbe_np.classroom.assignment import find, from_files, read_files
from isbe_np.classroom.grading import grade_source
from isbe_np.classroom.release import student_files
from isbe_np.classroom.source import SourceError, lines, python_text
from isbe_np.classroom.submissions import LARGEST, collect

SOLUTION = find("a1").files["a1.py"]
MARK = b"\xef\xbb\xbf"
HEADS = (
    b"", b"# -*- coding: latin-1 -*-\n", b"#!/usr/bin/python\n# vim: set fileencoding=iso-8859-15 :\n", b"\n#coding=cp1252\n",
    b"x = 1\n# coding: latin-1\n", b"# f\xfcr\n# coding: latin-1\n", b"# f\xfcr coding: latin-1-unix\n",
    b"# coding: UTF_8-mac\n", b"# coding: utf8\n", b"# my coding: exercise 1\n", b"# coding: ascii\n",
    b"\x0c# encoding: koi8-r\n", b"\n\n# coding: latin-1\n", b"# coding: shift_jis\n", b"# coding: rot13\n",
    b"# coding: utf-16\n", b"  # coding: mac-roman\n", b"# coding : latin-1\n", b"# coding: latin-1 coding: utf-8\n",
    b"# coding: unicode_escape\n",
)
BODIES = (
    b"s = 'f\xfcr'\nn = 2\n", "s = 'für €'\n".encode(), b"s = '''a\nb'''\nif 1:\n\tn = 3", b"s = 'a\x0cb'\n\x0cn = 1\n",
    b"s = 1\nn = 2\0\n", b"s = 'x'\x1a\n", "s = '日本'\n".encode("shift_jis"), b"def f():\n        return 1\n\treturn 2\n",
)


def run(code):
    """What a program sets, or "refused"."""
    names = {}
    try:
        exec(compile(code(), "x.py", "exec"), names)
    except (SyntaxError, SourceError):
        return "refused"
    return {name: names.get(name) for name in "snx"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_file_is_read_as_python_reads_it():
    outcomes = []
    for head, body, mark, end in itertools.product(HEADS, BODIES, (b"", MARK), (b"\n", b"\r\n", b"\r")):
        data = mark + (head + body).replace(b"\n", end)
        by_python = run(lambda data=data: data)
        assert run(lambda data=data: python_text(data, "x.py")) == by_python, data
        outcomes.append(by_python)
    assert 200 < outcomes.count("refused") < len(outcomes) - 200  # both happen


def test_the_text_says_what_it_is_kept_in_and_has_one_kind_of_line_end():
    assert python_text(b"# f\xfcr\r\n# coding: latin-1 \xfc\r\nx = 1\r\r\n", "x.py") == "# für\n# coding: utf-8 ü\nx = 1\n\n"
    assert lines("a\x0cb\x85c\u2028d\n\ne\n") == ["a\x0cb\x85c\u2028d", "", "e"] and lines("a") == ["a"]


def zipped(name):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "")
        archive.writestr(name, "x" * 100)
    return file.getvalue()


NOTEBOOK = {"cells": [{"execution_count": None}], "metadata": {}, "nbformat": 4}
EXPORT = "is a notebook, which is not graded. Export it as a Python file (in Jupyter: File, Save and Export Notebook As"


@pytest.mark.parametrize(("name", "data", "words"), [
    ("bob.ipynb", b'{"cells": [{"execution_count": null}]}', f"bob.ipynb {EXPORT}"),
    ("bob.ipynb", b"", EXPORT),
    ("bob.ipynb", b'{"cells": [{"outputs": "' + b"x" * LARGEST + b'"}]}', EXPORT),
    ("bob.py", json.dumps(NOTEBOOK).encode(), f"bob.py {EXPORT}"),
    ("bob.py", MARK + json.dumps(NOTEBOOK, indent=1).encode()[:40], EXPORT),
    ("bob.py", b'{"cells": [{"outputs": "' + b"x" * LARGEST + b'"}]}', EXPORT),
    ("bob.py", b'{"metadata": {"name": ""}, "nbformat": 3, "worksheets": []}', EXPORT),
    ("bob.py", b'{"z": null, "cells": []}', EXPORT),
    ("bob.py", b'[{"z": null}]', "holds JSON data, not Python code."),
    ("bob.py", zipped("a1.py"), "bob.py is a zip archive, not Python code. Unpack it"),
    ("bob.py", zipped("word/document.xml"), "is a word processor's document, not Python code. Save it as plain text."),
    ("bob.py", b"\xd0\xcf\x11\xe0\xa1\xb1" + bytes(100), "is a word processor's document"),
    ("bob.py", b"{\\rtf1\\ansi import numpy", "is an RTF document, not Python code. Save it as plain text."),
    ("bob.py", b"%PDF-1.7\n" + b"x" * LARGEST, "is a PDF file, not Python code."),
    ("bob.py", b"\n<!DOCTYPE html>\n<html>", "is a web page (HTML or XML), not Python code."),
    ("bob.py", b"\x1f\x8b\x08" + bytes(9), "is an archive, not Python code. Unpack it"),
    ("bob.py", "x = 1\n".encode("utf-16"), "is UTF-16, not UTF-8 text. Save it as UTF-8."),
    ("bob.py", "x = 1\n".encode("utf-16-be"), "is UTF-16, not UTF-8 text."),
    ("bob.py", "x = 1\n".encode("utf-32"), "is UTF-32, not UTF-8 text."),
    ("bob.py", b"x = 1\n\0", "is no text: byte 6 is NUL."),
    ("bob.py", MARK + b" \r\n\t", "is empty. Write your functions into it."),
    ("bob.py", b"x = 1\r\ny = '\xfc'", "is not UTF-8 text (byte 12). Save it as UTF-8."),
    ("bob.py", MARK + b"y = '\xfc'", "is not UTF-8 text (byte 8). Save it as UTF-8."),
    ("bob.py", b"# coding: nosuch\n", "declares the encoding nosuch, which Python does not know."),
    ("bob.py", MARK + b"# coding: latin-1\n", "declares the encoding latin-1 in a comment, but begins with the mark of UTF-8."),
    ("bob.py", b"# coding: punycode\n" + b"a" * LARGEST, "at most 262,144 are read"),
    ("bob.py", b"# coding: punycode\n" + b"a" * 200_000, "declares the encoding punycode, in which no program is written."),
    ("bob.py", b"# coding: ascii\n\xfc", "declares the encoding ascii, but byte 16 is not in it."),
])
def test_a_file_of_another_kind_is_told_what_it_is(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    (alone,) = collect(tmp_path / name, "a1")
    (found,) = collect(tmp_path, "a1")
    assert words in alone.fault and alone.source == "" and (found.student, found.fault) == ("bob", alone.fault)
    assert alone.student == "bob"


@pytest.mark.parametrize(
    "text", ["PK = 3  # word/\n", "{'cells': 1}\nx = 2\n", '{"metadata": 1}\nx = 2\n', "'<html>'\n", "[1]\nx = 3\n", "# {\n"]
)
def test_python_that_looks_like_another_kind_is_python(text):
    assert python_text(text.encode(), "x.py") == text


def test_a_notebook_that_was_exported_beside_it_is_passed_over(tmp_path):
    for name in ("ann.py", "ann.ipynb", "bob.ipynb", "notes.txt"):
        (tmp_path / name).write_text("x = 1")
    for folder, names in {"cid": ("a1.ipynb",), "dan": ("a1.ipynb", "a1.py")}.items():
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_text("x = 1")
    found = {one.student: one for one in collect(tmp_path, "a1")}
    assert set(found) == {"ann", "bob", "cid", "dan"} and found["ann"].source == found["dan"].source == "x = 1"
    assert found["bob"].fault.startswith("bob.ipynb is a notebook") and found["cid"].fault.startswith("a1.ipynb is a notebook")


def test_a_declared_encoding_is_graded_and_checked_alike(tmp_path):
    source = "# -*- coding: latin-1 -*-\n# für\n" + SOLUTION.encode("ascii", "ignore").decode()
    (tmp_path / "a1.py").write_bytes(source.replace("\n", "\r\n").encode("latin-1"))
    (only,) = collect(tmp_path / "a1.py", "a1")
    report = grade_source(find("a1"), only.source)
    assert report.score == 16 and report.flags == []
    (tmp_path / "a1.json").write_text(student_files(find("a1"))["a1.json"])
    assert cli.main(["check", "a1", "--folder", str(tmp_path)]) == 0


def test_an_assignments_own_files_are_read_alike_and_handed_out_as_utf8(tmp_path):
    folder = tmp_path / "twice"
    folder.mkdir()
    source = ("# coding: latin-1\n# für\n\x0c\ndef twice(x):\n    # BEGIN SOLUTION\n    doubled = x + x\n    return doubled\n"
              "    # END SOLUTION\n")
    (folder / "twice.py").write_bytes(source.replace("\n", "\r\n").encode("latin-1"))
    (folder / "handout.md").write_bytes(MARK + b"# Twice\n")
    (folder / "checks.py").write_bytes(
        b"# coding: latin-1\nfrom isbe_np.classroom import Assignment, Check, Task\nASSIGNMENT = Assignment('F\xfcr', ("
        b"Task('1', 'twice', 'Twice', (Check('values', 1, lambda random: [(random.normal(),)], ''),)),))\n")
    assignment = from_files("twice", read_files(folder))
    stub = student_files(assignment)["twice.py"]
    assert assignment.title == "Für" and stub.startswith("# coding: utf-8\n# für\n\x0c\ndef twice(x):\n    # Your code here.\n")
    (folder / "twice.py").write_bytes(b"\xff\xfe")
    assert cli.main(["assignment", "show", str(folder)]) == 2


def test_characters_of_a_word_processor_are_explained():
    report = grade_source(find("a1"), "def softmax(x):\n    raise ValueError(“no”)\n")
    told = report.tasks[0].checks[0].message
    assert "invalid character '“' (U+201C)" in told and "Type the one of your keyboard, in an editor." in told


def test_a_traceback_counts_lines_as_python_does():
    report = grade_source(find("a1"), "\x0c\nx = '\x1c \u2028'\ndef softmax(x):\n    raise ValueError('here')\n")
    assert "line 4, in softmax: raise ValueError('here')" in report.tasks[0].checks[0].message
