"""Tables are cut into parts that fit, and every text for a terminal fits its width."""

import importlib.util
import json
from pathlib import Path

import pytest

from isbe_np.explain import explain
from isbe_np.reports import summary
from isbe_np.reports.summary import environment_text, explanation_text
from isbe_np.reports.timing import timing_text
from isbe_np.studies.from_json import restore
from isbe_np.tables import page, table, wrapped

SCRIPTS = Path(__file__).parents[1] / "scripts"
spec = importlib.util.spec_from_file_location("write_study", SCRIPTS / "write_study.py")
write_study = importlib.util.module_from_spec(spec)
spec.loader.exec_module(write_study)


def test_a_table_that_is_too_wide_is_cut_and_each_part_names_its_rows():
    header, rows = ("net", "of", "first", "second", "third"), [("n0", "step", 1, 22, 333), ("lenet5", "head", 4, 5, 6)]
    assert table(header, rows, left=2, keys=2, width=28) == (
        "net     of    first  second\n"
        "---------------------------\n"
        "n0      step      1      22\n"
        "lenet5  head      4       5\n"
        "\n"
        "net     of    third\n"
        "-------------------\n"
        "n0      step    333\n"
        "lenet5  head      6")
    assert "\n\n" not in table(header, rows, left=2, keys=2, width=34) and table(header, rows, 2, 2, 33).count("\n\n") == 1
    assert table(header, rows, left=2, keys=2, width=1).count("net ") == 3  # at least one column a part


def test_a_long_line_is_wrapped_and_a_formula_and_a_path_are_left_whole():
    assert wrapped("- so the error is y - t at last", 20) == "- so the error is\n  y - t at last"
    assert wrapped("it is in /a/very-long/path/that/is/wider", 12) == "it is in\n/a/very-long/path/that/is/wider"
    assert wrapped("short", 5) == "short"


def test_a_page_wraps_sentences_and_leaves_tables():
    rows = table(("a", "b"), [("x" * 30, 1)], width=10)
    assert page(["One two three four", rows], 10) == "One two\nthree four\n\n" + rows


@pytest.mark.parametrize("width", [100, 80, 60])
@pytest.mark.parametrize("name", write_study.RESULTS)
def test_no_line_of_a_study_is_wider_than_asked(name, width):
    path = SCRIPTS / "study" / f"{name}.json"
    study = restore(write_study.RESULTS[name][0], json.loads(path.read_text(encoding="utf-8")))
    text = {"normalizers": summary.normalizers_text, "timing": timing_text}.get(name, lambda s, w: s.text(w))(study, width)
    assert max(map(len, text.splitlines())) <= width
    sentences = study.conclusions() if hasattr(study, "conclusions") else []
    assert all(" ".join(sentence.split()) in " ".join(text.split()) for sentence in sentences)  # nothing is lost


@pytest.mark.parametrize("width", [100, 80])
def test_no_line_of_an_explanation_or_of_the_settings_is_wider_than_asked(width):
    text = explanation_text(explain([2, 1, 0.1, 3, 4, 5, 6, 7, 8, 9, 10, 11], 0, route="jacobian"), width)
    assert max(map(len, text.splitlines())) <= width
    settings = environment_text({"blas": "a b " * 60, "threads": 2}, width)
    assert max(map(len, settings.splitlines())) <= width and "\n         a b" in settings
