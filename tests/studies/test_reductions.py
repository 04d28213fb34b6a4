"""Reductions: what is equal to rounding and what is not, runs beside each other seed by seed, and honest words."""

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tiny

import isbe_np as isbe
from isbe_np.studies import reductions as study
from isbe_np.studies.reductions import PAIRS, Reductions, Run, apart_cell, reductions, training_cell
from isbe_np.studies.sweep import file_name

SIZES = {"train_images": 60, "test_images": 40, "batch_size": 20, "epochs": 1}
UNEQUAL = {"SGD, sum at η", "SGD, sum at η/N, weight decay λ", "SGD, sum at η/N, last batch N/2", "Adam, sum at η",
           "Adam, sum at η, ε 10⁴ times", "Adam, sum at η, εN, weight decay λ"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Trainings that are short without the compiler too."""
    tiny.perceptrons(monkeypatch, study)


@pytest.fixture
def few(monkeypatch):
    """Two rates, two pairs, and a thread to work in."""
    monkeypatch.setattr(study, "RATES", {"SGD": (0.01, 0.1), "Adam": (0.01,)})
    monkeypatch.setattr(study, "PAIRS", {name: PAIRS[name] for name in ("SGD, sum at η", "SGD, sum at η/N, tanh")})
    monkeypatch.setattr(study, "BATCHES", 3)
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.mark.parametrize("name", PAIRS)
def test_what_is_equal_to_rounding_and_what_is_not(monkeypatch, name):
    monkeypatch.setattr(study, "BATCHES", 4)
    gap = apart_cell("digits", None, 10, dataclasses.asdict(PAIRS[name]), 0)["difference"]
    assert gap > 1e-8 if name in UNEQUAL else gap < 1e-13, gap


def test_none_is_sum_to_the_bit():
    data, values = tiny.little("digits", None, 60, 40), []
    for reduction in ("none", "sum"):
        net = tiny.few_units((1, 4, 4), 3)
        isbe.train(net, isbe.Head(reduction=reduction), data, 1, 20, isbe.SGD(1e-3, momentum=0.9), progress=False)
        values.append(net.values)
    assert np.array_equal(*values)


def test_a_cell_trains_with_its_reduction_and_settings():
    sizes = {"data": "digits", "data_dir": None, **SIZES, "normalizer": "tanh", "seed": 2}
    told = training_cell(**sizes, kind="SGD", reduction="sum", settings={"learning_rate": 0.004})
    net = tiny.few_units((1, 4, 4), 2)
    history = isbe.train(net, isbe.Head("tanh", reduction="sum"), tiny.little("digits", None, 60, 40), 1, 20,
                         isbe.SGD(0.004, momentum=0.9), 2, progress=False)
    assert told == {"accuracy": history.accuracy[0], "steps": 3, "diagnosis": None}
    assert training_cell(**sizes, kind="Adam", reduction="mean", settings={"learning_rate": 0.01, "epsilon": 1.0}) != told


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
def test_a_run_that_diverges_is_told():
    told = training_cell("digits", None, **SIZES, normalizer="identity", kind="SGD", reduction="sum",
                         settings={"learning_rate": 1e30}, seed=0)
    assert told["accuracy"] is None and "steps were too large" in told["diagnosis"]


def test_the_study_asks_for_every_run_and_takes_it_up_again(few, tmp_path):
    found = reductions(**SIZES, seeds=(0, 1), folder=tmp_path, executor=few, progress=False)
    assert [(run.optimizer, run.arm, run.rate, run.learning_rate, run.epsilon) for run in found.runs] == [
        ("SGD", "mean", 0.01, 0.01, None), ("SGD", "mean", 0.1, 0.1, None),
        ("SGD", "sum, same rate", 0.01, 0.01, None), ("SGD", "sum, same rate", 0.1, 0.1, None),
        ("SGD", "sum, same step", 0.01, 0.01 / 20, None), ("SGD", "sum, same step", 0.1, 0.1 / 20, None),
        ("Adam", "mean", 0.01, 0.01, 1e-8), ("Adam", "sum, same rate", 0.01, 0.01, 1e-8),
        ("Adam", "sum, same step", 0.01, 0.01, 20 * 1e-8)]
    assert all(len(run.accuracy) == 2 for run in found.runs) and not found.failed
    assert found.of("SGD", "mean")[0].accuracy == found.of("SGD", "sum, same step")[0].accuracy
    assert [found.equal(name) for name in found.apart] == [False, True]
    assert len(list(tmp_path.iterdir())) == 22 and json.loads(json.dumps(found.as_dict(), allow_nan=False))["epochs"] == 1
    assert "equal to rounding; not so: SGD, sum at η." in found.text(2000)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert reductions(**SIZES, seeds=(0, 1), folder=tmp_path, executor=few, progress=False) == found
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_no_two_pairs_share_a_file():
    assert len({file_name(name) for name in PAIRS}) == len(PAIRS)


def run(optimizer, arm, rate, *accuracy, diagnosis=()):
    return Run(optimizer, arm, rate, rate, None, list(accuracy), list(diagnosis))


RUNS = [run("SGD", "mean", 0.01, 0.5, 0.6), run("SGD", "mean", 0.1, 0.8, 0.9),
        run("SGD", "sum, same rate", 0.01, 0.7, 0.9), run("SGD", "sum, same rate", 0.1, None, 0.15, diagnosis=["Stopped."]),
        run("SGD", "sum, same step", 0.01, 0.5, 0.63), run("SGD", "sum, same step", 0.1, 0.8, 0.9),
        *(run("Adam", arm, 0.1, None, None, diagnosis=["Stopped."] * 2) for arm in study.ARMS)]
FOUND = Reductions("heaps", 10, 2, "softmax", [0, 1], RUNS, {"one": [1e-16, 0.0], "two": [1e-16, 1e-3]},
                   {"a cell": "OSError: full"})


def test_the_text_says_what_was_found_and_lost():
    lines = [" ".join(line.split()) for line in FOUND.text(2000).splitlines()]
    assert "0.01 55.0 ± 7.1 80.0 ± 14.1 56.5 ± 9.2" in lines
    assert "0.1 85.0 ± 7.1 15.0, 1 of 2 diverged 85.0 ± 7.1" in lines
    assert "0.1 2 of 2 diverged 2 of 2 diverged 2 of 2 diverged" in lines
    assert "one 1.0e-16" in lines and "two 1.0e-03 more than rounding" in lines
    one, step, adam, lost, pairs, *_, failed = FOUND.conclusions()
    assert "where mean is best, η = 0.1, mean reaches 85.0 ± 7.1 and sum 15.0, 1 of 2 diverged" in one
    assert "sum is best at η = 0.01 (mean's η of 0.1) and reaches 80.0 ± 14.1" in one
    assert "0.0 points at that rate of mean; most, 3.0, at η = 0.01" in step
    assert adam == "Adam: no training by one of the reductions came to its end."
    assert lost.startswith("Of 18 trainings 7 diverged; 1 stayed finite")
    assert "1 of 2 pairs" in pairs and "not so: two." in pairs
    assert failed == "Not finished: a cell: OSError: full"


def test_one_that_ended_and_one_that_did_not_are_infinitely_far():
    runs = [run("SGD", arm, 0.1, *accuracy, diagnosis=["Stopped."] * accuracy.count(None))
            for arm, accuracy in zip(study.ARMS, ((0.8, 0.9), (0.8, 0.9), (None, 0.9)), strict=True)]
    found = Reductions("heaps", 10, 2, "softmax", [0, 1], runs, {}, {})
    assert "by more than inf points" in found.conclusions()[1]


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match=r"train_images to be a multiple of batch_size, 30.*got 100"):
        reductions(train_images=100, batch_size=30)
    with pytest.raises(ValueError, match="Did you mean 'tanh'"):
        reductions(normalizer="tanhh")
