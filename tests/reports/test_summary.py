"""Text for terminals, and JSON that is whole or absent."""


import pytest

from isbe_np.reports import summary
from isbe_np.studies.comparison import Agreement
from isbe_np.studies.cost import Cost, HeadCosts, StepCosts
from isbe_np.studies.measure import Ratio

COSTS = [Cost("jacobian", 1e-3, Ratio(2, 1.9, 2.1), 1_500_000), Cost("isbe", 5e-4, Ratio(1, 1, 1), None)]


def test_a_table_is_aligned():
    assert summary.table(("name", "number"), [("a", 1), ("longer", 12345)]) == (
        "name    number\n"
        "--------------\n"
        "a            1\n"
        "longer   12345")


def test_a_table_without_rows_is_its_header():
    assert summary.table(("a", "b"), []) == "a  b\n----"


def test_a_table_with_more_columns_on_the_left():
    assert summary.table(("a", "bcd", "e"), [("x", "y", "zz")], left=2).splitlines()[2] == "x  y    zz"


@pytest.mark.parametrize(("count", "words"), [
    (None, ""), (0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1500, "1.5 kB"), (999_499, "999 kB"), (999_600, "1 MB"),
    (128_000_000, "128 MB"), (4_000_000_000, "4 GB"),
])
def test_bytes_are_told_in_their_unit(count, words):
    assert summary._bytes(count) == words


def test_the_head_table_tells_ratio_interval_and_memory():
    lines = summary.head_table([HeadCosts(128, 1000, COSTS)]).splitlines()
    assert lines[2].split("  ")[0] == "128 x 1,000"
    assert lines[2].split()[3:] == ["jacobian", "1,000.0", "2", "1.9", "to", "2.1", "1.5", "MB"]
    assert lines[3].split()[3:] == ["isbe", "500.0", "1"]


def test_the_step_table():
    lines = summary.step_table(StepCosts("tiny", 8, COSTS)).splitlines()
    assert lines[2].split() == ["tiny", "jacobian", "1.00", "2", "1.9", "to", "2.1"]
    assert lines[3].split() == ["tiny", "isbe", "0.50", "1"]


def test_the_agreement_table_marks_what_is_beyond_rounding():
    found = [Agreement("tiny", dtype, ("a", "b"), 1e-7, gap, "w") for dtype, gap in (("float32", 1e-7), ("float64", 1e-3))]
    line = summary.agreement_table(found).splitlines()[2]
    assert line.split() == ["tiny", "a", "/", "b", "1.0e-07", "1.0e-07", "1.0e-07", "1.0e-03", "!"]
