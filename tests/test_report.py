"""Text for terminals, and JSON that is whole or absent."""

import json
import os
import stat

import pytest

from isbe_np import report
from isbe_np.studies.agreement import Agreement
from isbe_np.studies.cost import Cost, HeadCosts, StepCosts
from isbe_np.studies.measure import Ratio

COSTS = [Cost("jacobian", 1e-3, Ratio(2, 1.9, 2.1), 1_500_000), Cost("isbe", 5e-4, Ratio(1, 1, 1), None)]


def test_a_table_is_aligned():
    assert report.table(("name", "number"), [("a", 1), ("longer", 12345)]) == (
        "name    number\n"
        "--------------\n"
        "a            1\n"
        "longer   12345")


def test_a_table_without_rows_is_its_header():
    assert report.table(("a", "b"), []) == "a  b\n----"


def test_a_table_with_more_columns_on_the_left():
    assert report.table(("a", "bcd", "e"), [("x", "y", "zz")], left=2).splitlines()[2] == "x  y    zz"


@pytest.mark.parametrize(("count", "words"), [
    (None, ""), (0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1500, "1.5 kB"), (999_499, "999 kB"), (999_600, "1 MB"),
    (128_000_000, "128 MB"), (4_000_000_000, "4 GB"),
])
def test_bytes_are_told_in_their_unit(count, words):
    assert report._bytes(count) == words


def test_the_head_table_tells_ratio_interval_and_memory():
    lines = report.head_table([HeadCosts(128, 1000, COSTS)]).splitlines()
    assert lines[2].split("  ")[0] == "128 x 1,000"
    assert lines[2].split()[3:] == ["jacobian", "1,000.0", "2", "1.9", "to", "2.1", "1.5", "MB"]
    assert lines[3].split()[3:] == ["isbe", "500.0", "1"]


def test_the_step_table():
    lines = report.step_table(StepCosts("tiny", 8, COSTS)).splitlines()
    assert lines[2].split() == ["tiny", "jacobian", "1.00", "2", "1.9", "to", "2.1"]
    assert lines[3].split() == ["tiny", "isbe", "0.50", "1"]


def test_the_agreement_table_marks_what_is_beyond_rounding():
    found = [Agreement("tiny", dtype, ("a", "b"), 1e-7, gap, "w") for dtype, gap in (("float32", 1e-7), ("float64", 1e-3))]
    line = report.agreement_table(found).splitlines()[2]
    assert line.split() == ["tiny", "a", "/", "b", "1.0e-07", "1.0e-07", "1.0e-07", "1.0e-03", "!"]


def test_json_is_written_whole(tmp_path):
    file = tmp_path / "a.json"
    report.write_json(file, {"a": [1, (2.5, None)], 3: {"b": "ü", "c": True}})
    assert json.loads(file.read_text(encoding="utf-8")) == {"a": [1, [2.5, None]], "3": {"b": "ü", "c": True}}
    assert os.listdir(tmp_path) == ["a.json"]


def test_numbers_that_json_lacks_are_written_by_name(tmp_path):
    report.write_json(tmp_path / "a.json", {"a": [float("nan"), float("inf"), -float("inf")]})
    assert json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail) == {"a": ["nan", "inf", "-inf"]}


@pytest.mark.parametrize("older", [None, "older"])
def test_what_is_no_json_leaves_the_folder_as_it_was(tmp_path, older):
    file = tmp_path / "a.json"
    if older:
        file.write_text(older)
    with pytest.raises(TypeError, match="not JSON serializable"):
        report.write_json(file, {"fine": 1, "wrong": object()})
    assert os.listdir(tmp_path) == (["a.json"] if older else []) and (not older or file.read_text() == older)


def test_an_interrupt_while_writing_leaves_no_part(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(report.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        report.write_json(tmp_path / "a.json", {})
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_others_may_read_a_result_as_they_may_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    report.write_json(tmp_path / "a.json", {})
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "target.json").write_text("older")
    (tmp_path / "link.json").symlink_to(tmp_path / "target.json")
    report.write_json(tmp_path / "link.json", {"a": 1})
    assert (tmp_path / "link.json").is_symlink() and json.loads((tmp_path / "target.json").read_text()) == {"a": 1}
