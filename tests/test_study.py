"""The report on the paper's claims: it is what the stored results make it, and its verdicts follow the numbers."""

import sys
from pathlib import Path

import pytest

from isbe_np.studies.accuracy import AccuracyStudy, Row

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(SCRIPTS))
    import write_study
    sys.path.remove(str(SCRIPTS))
    return write_study


def test_the_report_is_what_the_stored_results_make_it(script):
    folder = SCRIPTS / "study"
    found, machines = script.load(folder)
    assert set(found) == set(script.RESULTS)
    assert script.report(found, machines, folder) == (SCRIPTS / "STUDY.md").read_text(encoding="utf-8")


def test_every_figure_is_there(script):
    wanted = {f"{name}.png" for name, (_, draw, _) in script.RESULTS.items() if draw}
    assert wanted == {path.name for path in (SCRIPTS / "study").glob("*.png")}


def study(isbe, other, rival="fused cross entropy"):
    rows = [Row("n1", "softmax", "fused cross entropy", [0.996, 0.996], [0.996, 0.996]), Row("n1", "tanh", rival, isbe, other)]
    return AccuracyStudy("mnist", "", [0, 1], None, rows, {})


@pytest.mark.parametrize(("isbe", "other", "five", "same"), [
    ([0.9955, 0.9950], [0.9955, 0.9950], "holds here", "holds here"),
    ([0.98, 0.98], [0.98, 0.98], "holds, but for tanh on n1", "holds here"),
    ([0.9955, 0.9950], [0.98, 0.98], "holds here", "holds, but for n1 tanh")])
def test_verdicts_follow_the_numbers(script, isbe, other, five, same):
    studies = [study(isbe, other)]
    assert script.five_words(studies)[0] == five and script.same_words(studies)[0] == same


def test_the_accuracy_that_the_paper_names(script):
    assert script.reached_words([study([0.9], [0.9])], {})[0] == "holds for n1"
    low = study([0.9], [0.9])
    low.rows[0].isbe = [0.994, 0.995]
    assert script.reached_words([low], {})[0] == "not reached by the networks of this table"
    assert script.reached_words([low], {"runs": [{"accuracy": 0.9961}]})[0] == "holds for n2"
