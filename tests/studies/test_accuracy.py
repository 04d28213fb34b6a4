"""The study of accuracy: pairs by seed, exact where the gradients are the same, and honest where training diverges."""

import json

import numpy as np
import pytest
import tiny

from isbe_np import cli, datasets, plots
from isbe_np.studies.accuracy import NORMALIZERS, RIVAL, AccuracyStudy, Row, accuracy, train_cell


@pytest.fixture
def small(monkeypatch):
    tiny.study(monkeypatch)
    monkeypatch.setattr(datasets, "load", lambda *_, **__: tiny.dataset())


def test_every_pair_is_trained_and_told(small, tmp_path):
    found = accuracy("heaps", ("tiny",), seeds=(0, 1), epochs=2, folder=tmp_path, executor=tiny.Here, progress=False)
    assert [row.normalizer for row in found.rows] == list(NORMALIZERS) == list(RIVAL) and not found.failed
    assert all(len(row.isbe) == len(row.other) == 2 and all(0 <= value <= 1 for value in row.isbe) for row in found.rows)
    softmax = found.rows[0]
    assert softmax.differences == [0, 0]  # so few steps of the same gradient
    assert len(list(tmp_path.iterdir())) == 20 and json.loads(json.dumps(found.as_dict()))["seeds"] == [0, 1]
    again = accuracy("heaps", ("tiny",), seeds=(0, 1), epochs=2, folder=tmp_path, executor=tiny.Here, progress=False)
    assert again == found


def test_a_cell_is_the_training_of_its_recipe(small):
    first, again = (train_cell("heaps", "tiny", "tanh", "isbe", None, 3, None, None, None, True) for _ in range(2))
    assert first["history"]["accuracy"] == again["history"]["accuracy"] and len(first["history"]["accuracy"]) == 2


STUDY = AccuracyStudy("heaps", "made up", [0, 1, 2], None, [
    Row("n1", "softmax", "fused cross entropy", [0.99, 0.98, 0.97], [0.98, 0.98, 0.98]),
    Row("n1", "tanh", "fused matching", [0.5, None, 0.6], [0.5, 0.4, None]),
    Row("n2", "sigmoid", "fused", [None, None, None], [0.1, 0.2, 0.3])], {"heaps n2 sigmoid": "MemoryError: none left"})


def test_the_text_says_what_was_found_and_lost():
    lines = [" ".join(line.split()) for line in STUDY.text(2000).splitlines()]
    assert "n1 softmax 98.00 ± 1.00 fused cross entropy 98.00 ± 0.00 +0.00 ± 0.58" in lines
    assert "n1 tanh 55.00 ± 7.07, 1 did not end fused matching 45.00 ± 7.07, 1 did not end +0.00" in lines
    assert "n2 sigmoid none, 3 did not end fused 20.00 ± 10.00 none" in lines
    assert lines[-1] == "heaps n2 sigmoid failed: MemoryError: none left" and "the recipe's epochs, seeds 0, 1, 2" in lines[0]


def test_the_figure_shows_every_pair():
    figure = plots.accuracy_figure(STUDY)
    assert [ax.get_title() for ax in figure.axes] == ["n1", "n2"]
    points = [line for line in figure.axes[0].lines if line.get_marker() not in ("None", "")]
    assert len(points) == 12 and np.isnan(points[-1].get_ydata()[0])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["isbe", "the loss's gradient"]


def test_the_command(small, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("isbe_np.executors.local", lambda workers: tiny.Here)
    command = ["study", "accuracy", "--nets", "tiny", "--seeds", "1", "--epochs", "1", "--folder", str(tmp_path / "cells")]
    assert cli.main([*command, "--out", str(tmp_path), "--json", str(tmp_path / "a.json")]) == 0
    assert "tiny" in capsys.readouterr().out and (tmp_path / "accuracy.png").stat().st_size > 10_000
    assert len(json.loads((tmp_path / "a.json").read_text())["rows"]) == 5 and len(list((tmp_path / "cells").iterdir())) == 10
    assert cli.main(["study", "accuracy", "--nets", "tinny"]) == 2
    assert "--nets expects one of 'tiny', 'linear'; got 'tinny'. Did you mean 'tiny'?" in capsys.readouterr().err
