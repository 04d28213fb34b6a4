"""The study of data: more images and other data sets, paired by seed; what is not here is said."""

import json

import numpy as np
import pytest
import tiny

import isbe_np.studies.data as study
from isbe_np import cli, datasets, plots
from isbe_np.studies.data import DataStudy, Row, Step, data, step_cell
from isbe_np.studies.from_json import restore
from isbe_np.studies.measure import Ratio
from isbe_np.studies.steps import CONTESTANTS


@pytest.fixture
def small(monkeypatch, tmp_path):
    tiny.study(monkeypatch)
    monkeypatch.setattr(study, "SETS", {"heaps": "tiny", "piles": "linear"})
    monkeypatch.setattr(study.places, "find", lambda name, _: tmp_path if name == "heaps" else None)
    monkeypatch.setattr(datasets, "load", lambda *_, train=None, **__: tiny.dataset(train=train or 24))
    monkeypatch.setattr(study, "ROUNDS", 3)


def test_each_number_of_images_is_trained_in_pairs(small, tmp_path):
    asked = {"images": (6, None), "seeds": (0, 1), "folder": tmp_path / "cells", "executor": tiny.Here, "progress": False}
    found = data(**asked)
    assert [(row.data, row.network, row.images) for row in found.rows] == [("heaps", "tiny", 6), ("heaps", "tiny", None)]
    assert all(len(row.isbe) == len(row.fused) == 2 and row.differences == [0, 0] for row in found.rows) and not found.failed
    assert all(0 <= gap < 1e-5 for row in found.rows for gaps in row.gaps.values() for gap in gaps)
    assert list(found.rows[0].gaps) == ["jacobian", "factored", "fused"] and len(found.rows[0].gaps["fused"]) == 2
    assert found.steps["heaps"].batch == 6 and found.steps["heaps"].ratios["isbe"].value == 1
    assert len(list((tmp_path / "cells").iterdir())) == 9 and data(**asked) == found  # eight trainings and a step


def test_more_images_are_more_images(small):
    sizes = []
    load = datasets.load
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "load", lambda *a, train=None, **k: sizes.append(train) or load(*a, train=train, **k))
        data(images=(6, 12, None), seeds=(0,), executor=tiny.Here, progress=False)
    assert sorted(sizes, key=str) == [12, 12, 6, 6, 6, None, None]  # two routes each, and the batch of the step


def test_without_any_data_it_says_what_to_do(small, monkeypatch):
    monkeypatch.setattr(study.places, "find", lambda name, _: None)
    with pytest.raises(FileNotFoundError, match=r"heaps, piles; none of them is here. See `isbe data list`"):
        data()
    with pytest.raises(ValueError, match=r"data: sets expects one of 'heaps', 'piles'; got 'heap'. Did you mean 'heaps'"):
        data(["heap"])


def test_a_step_is_timed_on_the_recipes_batch(small):
    told = step_cell("heaps", "tiny", 3, None, True)
    assert told["batch"] == 6 and set(told["ratios"]) == set(CONTESTANTS)
    value, low, high = told["ratios"]["fused"]
    assert 0 < low <= value <= high


STUDY = DataStudy([0, 1], None, 2, {"mnist": "Digits."}, [
    Row("mnist", "lenet5", 100, [0.9, 0.8], [0.9, 0.9], {"jacobian": [1e-7, 2e-7], "factored": [3e-5, 1e-5], "fused": [0.0]}),
    Row("mnist", "lenet5", None, [0.99, None], [0.98, 0.97], {"jacobian": [np.inf], "factored": [1e-7], "fused": [1e-7]})],
    {"mnist": Step(128, 0.002, {"fused": Ratio(1.01, 1.002, 1.02), "jacobian": Ratio(1.2, 1.1, 1.3)})},
    {"mnist lenet5": "MemoryError: none"})


def test_the_text_says_what_was_found_and_what_is_not_here():
    text = " ".join(STUDY.text(2000).split())
    assert "mnist lenet5 100 85.00 ± 7.07 90.00 ± 0.00 -5.00 ± 5.00 2.0e-07 3.0e-05 0.0e+00" in text
    assert "mnist lenet5 all 99.00, 1 did not end 97.50 ± 0.71 +1.00 refused 1.0e-07 1.0e-07" in text
    assert "mnist lenet5 128 2.00 1.010 [1.002, 1.020] 1.200 [1.100, 1.300]" in text
    assert "mnist: of 2 numbers of images, the largest mean difference of ISBE and fused is -5.00 ± 5.00 points." in text
    assert "In trained networks fused is as far as 1.0e-07 from isbe, within the 2e-06" in text
    assert "In trained networks factored is as far as 3.0e-05 from isbe, beyond the 2e-06" in text
    assert "a step by fused takes 1.01 times as long as by isbe (95 % interval 1 to 1.02)" in text
    assert "Not part of this run: fashion_mnist. - Not part of this run: cifar10." in text
    assert text.endswith("mnist lenet5 failed: MemoryError: none")


def test_the_study_comes_back_from_json():
    assert restore(DataStudy, json.loads(json.dumps(STUDY.as_dict()))).text() == STUDY.text()


def test_the_figure_shows_every_training():
    above, below = plots.data_figure(STUDY).axes
    assert sum(len(line.get_xdata()) for line in above.lines if line.get_marker() != "None") == 7
    assert [label.get_text() for label in below.get_xticklabels()] == ["100", "all"]


def test_the_command(small, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("isbe_np.executors.local", lambda workers: tiny.Here)
    monkeypatch.setattr(study, "IMAGES", (6,))
    assert cli.main(["study", "data", "--seeds", "1", "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert "heaps" in capsys.readouterr().out and (tmp_path / "data.png").stat().st_size > 10_000
    assert cli.main(["study", "data", "--nets", "tiny"]) == 2
    assert "isbe study data takes no --nets. Leave it out." in capsys.readouterr().err
