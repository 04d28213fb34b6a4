"""Failures: each is what it says it is, what the diagnosis makes of it, and words that hide nothing."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tiny

import isbe_np as isbe
from isbe_np.studies import failures as study
from isbe_np.studies.failures import FAILURES, Failures, Outcome, failure_cell, failures
from isbe_np.studies.faulty_trainings import RATE, Failure
from isbe_np.studies.from_json import restore
from isbe_np.studies.sweep import file_name
from isbe_np.training.diagnosis import NO_CAUSE

SIZES = {"train_images": 60, "test_images": 40, "batch_size": 20, "epochs": 2}
SCORES = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])
LABELS = np.array([0, 2])
pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero) encountered:RuntimeWarning")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Trainings that are short without the compiler too."""
    tiny.perceptrons(monkeypatch, study)


def error(name):
    """What the head of a failure sends for `SCORES`, times N."""
    head = FAILURES[name].head()
    head.forward(SCORES)
    return 2 * head.backward(LABELS)


Y = isbe.Head().forward(SCORES)
ONE_HOT = np.eye(3)[LABELS]


@pytest.mark.parametrize(("name", "wanted"), [
    ("softmax", Y - ONE_HOT), ("sums to 2", Y - 2 * ONE_HOT), ("sums to 1/2", Y - ONE_HOT / 2),
    ("sums to 2, fused", 2 * Y - 2 * ONE_HOT), ("identity", SCORES - ONE_HOT), ("exp", np.exp(SCORES) - ONE_HOT),
    ("argmax", np.eye(3)[[0, 1]] - ONE_HOT), ("sine", np.sin(SCORES) - (2 * ONE_HOT - 1)),
    ("bump", np.exp(-SCORES**2) - ONE_HOT), ("falling", isbe.Head().forward(-SCORES) - ONE_HOT),
    ("diagonal", -(1 - Y) * ONE_HOT), ("twice", Y * (Y - ONE_HOT - (Y * (Y - ONE_HOT)).sum(axis=1, keepdims=True))),
])
def test_a_failure_sends_the_error_that_it_says(name, wanted):
    assert error(name) == pytest.approx(wanted, abs=1e-14)


def test_the_unbounded_turn_never_back_and_the_others_are_as_said():
    x = np.linspace(-6, 6, 401)[:, None]
    rises = {name: np.diff(FAILURES[name].head().forward(x)[:, 0]) for name in ("identity", "exp", "sine", "bump")}
    assert (rises["identity"] > 0).all() and (rises["exp"] > 0).all()
    assert all((rises[name] > 0).any() and (rises[name] < 0).any() for name in ("sine", "bump"))
    two = np.stack([x[:, 0], 0 * x[:, 0]], axis=1)
    assert (np.diff(FAILURES["falling"].head().forward(two)[:, 0]) < 0).all()


def cell(name, **sizes):
    return failure_cell("digits", None, **SIZES | sizes, failure=name, seed=0)


@pytest.mark.parametrize(("name", "words"), [
    ("exp", "still growing: not bounded"), ("exp", "the normalizer must return finite soft scores"),
    ("rate 2e29", "steps were too large"), ("underflow", "has the soft score 0"), ("diagonal", "J's diagonal alone"),
    ("diagonal", "∂loss/∂soft is -inf")])
def test_what_the_diagnosis_says(name, words):
    told = cell(name, epochs=6)
    assert words in told["diagnosis"] and told["accuracy"] is None and told["trained"] is None
    assert len(told["norms"]) < 18 and np.isfinite(told["norms"]).all() and told["warning"] is None


@pytest.mark.parametrize("name", ["sums to 1/2", "saturated", "flat zone"])
def test_what_the_warning_says(name):
    told = cell(name)
    assert FAILURES[name].words in told["warning"] and told["diagnosis"] is None and told["accuracy"] is not None


@pytest.mark.parametrize("name", ["softmax", "slow", "identity, slow", "one by one", "sparsemax", "entmax", "smoothed",
                                  "squared"])
def test_what_is_right_gets_no_word(name):
    told = cell(name)
    assert told["diagnosis"] is None and told["warning"] is None
    assert len(told["norms"]) == {"slow": 3, "one by one": 60}.get(name, 6)


def test_a_sentence_that_advises_a_lower_rate_is_followed(monkeypatch):
    rates = []

    class Spy(study.Watched):
        def __init__(self, rate, **named):
            rates.append(rate)
            super().__init__(rate, **named)

    monkeypatch.setattr(study, "Watched", Spy)
    assert "lower it tenfold" in cell("rate 2e29")["diagnosis"] and rates == [1e30 * RATE, 1e30 * RATE / 10]
    assert "lower it" not in cell("sine", epochs=20)["diagnosis"] and rates[2:] == [RATE]


def test_units_that_are_dead_get_no_gradient():
    told = cell("flat zone")
    assert told["norms"] == [0.0] * 6 and told["diagnosis"] is None
    assert max(cell("saturated")["norms"]) < 1e-6 and min(cell("saturated, isbe")["norms"]) > 1e-2


def test_a_watched_optimizer_is_sgd():
    told = cell("softmax")
    net, data = tiny.few_units((1, 4, 4), 0), tiny.little("digits", None, 60, 40)
    history = isbe.train(net, isbe.Head(), data, 2, 20, isbe.SGD(RATE, momentum=0.9), 0, progress=False)
    assert told["accuracy"] == history.accuracy[-1] and told["trained"] == history.train_accuracy[-1]
    assert np.reshape(told["norms"], (2, 3)).mean(axis=1) == pytest.approx(history.gradient_norm)


def test_the_study_trains_everything_and_takes_it_up_again(monkeypatch, tmp_path):
    monkeypatch.setattr(study, "FAILURES", {name: FAILURES[name] for name in ("softmax", "sums to 1/2", "underflow")})
    with ThreadPoolExecutor(1) as executor:
        found = failures(**SIZES, seeds=(0, 1), folder=tmp_path, executor=executor, progress=False)
        before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        again = failures(**SIZES, seeds=(0, 1), folder=tmp_path, executor=executor, progress=False)
    assert [o.verdict for o in found.outcomes] == ["learns", "recognised", "recognised"] and not found.failed
    assert [len(norms) for o in found.outcomes for norms in o.norms] == [6, 6, 6, 6, 0, 0]
    assert again == found and len(before) == 6
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert [o["verdict"] for o in json.loads(json.dumps(found.as_dict(), allow_nan=False))["outcomes"]] == [
        "learns", "recognised", "recognised"]


def test_no_two_failures_share_a_file_and_all_can_be_named():
    assert len({file_name(name) for name in FAILURES}) == len(FAILURES)
    assert all(bool(f.words) != f.right for f in FAILURES.values()) and Failure("", "", isbe.Head).rate == RATE


def outcome(name, *diagnosis, words="wheel", right=False, accuracy=0.5, trained=0.5, norm=1.0, largest=10.0, advised=None,
            warning=()):
    each = [(None, None) if sentence else (accuracy, trained) for sentence in diagnosis]
    return Outcome(name, "a wheel is off", words, right, [a for a, _ in each], [t for _, t in each],
                   [[norm, 2 * norm] for _ in each], [largest] * len(each), list(diagnosis), [advised] * len(each),
                   list(warning))


STEPS = "the steps were too large; lower it tenfold."
OUTCOMES = [outcome("fine", None, None, right=True, accuracy=0.9), outcome("alarm", None, STEPS, right=True),
            outcome("told", "The wheel.", "A wheel."), outcome("other", STEPS, "A wheel.", advised=0.12),
            outcome("half", None, "A wheel.", accuracy=0.4), outcome("large", None, None, largest=1e5),
            outcome("dead", None, None, norm=1e-8, trained=0.2),
            outcome("warned", None, "A wheel.", trained=0.1, warning=["The wheel.", None]),
            outcome("vague", None, "A wheel.", trained=0.1, warning=[f"{NO_CAUSE}. A wheel?", None])]
FOUND = Failures("heaps", 10, 2, [0, 1], OUTCOMES, {"a cell": "OSError: full"})


def test_verdicts_and_signs():
    assert [o.verdict for o in OUTCOMES] == ["learns", "false alarm", "recognised", "misread", "silent", "silent", "silent",
                                             "recognised", "seen"]
    assert outcome("a", None, right=True, warning=["A wheel."]).verdict == "false alarm"
    assert outcome("a", None, None, warning=[NO_CAUSE, STEPS]).verdict == "misread"
    assert [o.signs for o in OUTCOMES[4:7]] == [
        [], ["scores above 1e+04"], ["gradient below 1e-06", "training accuracy as of guessing"]]
    assert OUTCOMES[2].signs == []


def test_the_text_says_what_was_found_and_lost():
    lines = [" ".join(line.split()) for line in FOUND.text(2000).splitlines()]
    assert "fine learns 90.0 ± 0.0 1.0e+00 to 2.0e+00 1.0e+01" in lines
    assert "half silent 40.0 1.0e+00 to 2.0e+00 1.0e+01 2" in lines
    assert "told recognised 1.0e+00 to 2.0e+00 1.0e+01 2, 2" in lines
    assert "- told (a wheel is off): The wheel." in lines and "- fine (a wheel is off): No word." in lines
    assert "- large (a wheel is off): No word. To be seen: scores above 1e+04." in lines
    said = "\n".join(FOUND.conclusions())
    assert "Of 7 failures 2 are recognised: told, warned." in said and "Of 7 failures 3 are silent: half, large, dead." in said
    assert "Of 7 failures 1 is misread: other." in said and "Of 7 failures 1 is seen: vague." in said
    assert "Put down to too large a step: other. At a tenth of the rate, as" in said and "none reaches more than 12.0%." in said
    assert "Of 2 trainings with nothing wrong the diagnosis blames: alarm." in said
    assert "by another sign: large, dead; by nothing but the accuracy: half 40.0 %." in said
    assert "With nothing wrong these signs would have blamed: none." in said
    assert said.endswith("Not finished: a cell: OSError: full")


def test_the_result_comes_back_from_json():
    again = restore(Failures, json.loads(json.dumps(FOUND.as_dict(), allow_nan=False)))
    assert again == FOUND and again.text() == FOUND.text() and again.outcomes[7].warning == ["The wheel.", None]
    old = FOUND.as_dict()
    for told in old["outcomes"]:
        del told["warning"]
    assert [o.verdict for o in restore(Failures, old).outcomes][:7] == [o.verdict for o in OUTCOMES][:7]
