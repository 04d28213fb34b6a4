"""The figures of the studies of reductions and failures hold what was found."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from isbe_np.plots.failures import failures_figure
from isbe_np.plots.reductions import reductions_figure
from isbe_np.studies.failures import Failures, Outcome
from isbe_np.studies.reductions import ARMS, Reductions, Run


def found(accuracy=((0.5, 0.7), (0.9, None)), apart=None):
    runs = [Run(kind, arm, rate, rate, None, list(some), ["Stopped."] * some.count(None))
            for kind in ("SGD", "Adam") for arm in ARMS for rate, some in zip((0.1, 1.0), accuracy, strict=True)]
    apart = {"one": [0.0, 1e-15], "two": [1e-2, 1e-3]} if apart is None else apart
    return Reductions("heaps", 10, 2, "softmax", [0, 1], runs, apart, {})


def outcome(name, norms, sentence, words="", right=False, accuracy=0.5):
    reached = None if sentence else accuracy
    return Outcome(name, "a wheel is off", words, right, [reached], [reached], [norms], [1.0], [sentence], [None])


OUTCOMES = [outcome("fine", [1.0, 2.0], None, right=True), outcome("told", [1.0, 1e30], "A wheel.", "wheel"),
            outcome("other", [], "A step.", "wheel"), outcome("quiet", [0.0, 1.0], None),
            outcome("alarm", [1.0], "A step.", right=True)]
FAILURES = Failures("heaps", 10, 2, [0], OUTCOMES, {})


def drawn(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


@pytest.mark.parametrize("make", [lambda: reductions_figure(found()), lambda: failures_figure(FAILURES)])
def test_a_figure_is_returned_can_be_drawn_and_is_the_same_again(make):
    first, again = make(), make()
    assert type(first) is Figure and (png := drawn(first)).startswith(b"\x89PNG") and png == drawn(again)


def test_accuracy_by_rate_and_by_effective_step():
    by_rate, by_step, adam, apart = reductions_figure(found()).axes
    assert [ax.get_xlabel() for ax in (by_rate, adam)] == ["learning rate η"] * 2 and "η N for sum" in by_step.get_xlabel()
    for ax, factor in ((by_rate, 1), (by_step, 10), (adam, 1)):
        mean, total = ax.containers
        assert list(mean.lines[0].get_xdata()) == [0.1, 1] and list(total.lines[0].get_xdata()) == [0.1 * factor, factor]
        assert mean.lines[0].get_ydata() == pytest.approx([60, 90])
        (_, low), (_, high) = mean.lines[2][0].get_segments()[0]
        assert (low, high) == pytest.approx((60 - 200**0.5, 60 + 200**0.5))
        crosses = [line for line in ax.lines if line.get_marker() == "x"]
        assert [list(line.get_xdata()) for line in crosses] == [[1.0], [factor]]
        assert len({line.get_ydata()[0] for line in crosses}) == 2
    assert "test accuracy, %" in by_rate.get_ylabel() and apart.get_xlabel() and apart.get_ylabel()


def test_every_seed_s_difference_is_a_point():
    ax = reductions_figure(found()).axes[3]
    one, two, bound = ax.lines
    assert list(two.get_xdata()) == [1e-2, 1e-3] and one.get_xdata()[1] == 1e-15 and 0 < one.get_xdata()[0] < 1e-16
    assert bound.get_xdata()[0] == 1e-12 and one.get_marker() != two.get_marker()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "two"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("accuracy", [((None, None), (None, None)), ((0.5,), (0.6,)), ((), ())])
def test_runs_that_all_diverged_or_are_few_can_be_drawn(accuracy):
    drawn(reductions_figure(found(accuracy)))
    drawn(reductions_figure(found(accuracy, apart={})))


def test_a_panel_for_each_training():
    figure = failures_figure(FAILURES, columns=3)
    assert [ax.get_title().split("\n")[::2] for ax in figure.axes[:5]] == [
        ["fine", "learns"], ["told", "recognised"], ["other", "misread"], ["quiet", "silent"], ["alarm", "false alarm"]]
    assert [[text.get_text() for text in ax.texts] for ax in figure.axes[:2]] == [["accuracy 50 %"], []]
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx([1, 2]) and not figure.axes[5].axison
    line, cross = figure.axes[1].lines
    assert list(cross.get_xdata()) == [2] and np.isfinite(line.get_ydata()).all()
    assert 0 < figure.axes[3].lines[0].get_ydata()[0] < 1e-9
    assert figure.get_supxlabel() == "step" and "norm of the gradient" in figure.get_supylabel()


def test_no_training_can_be_drawn():
    drawn(failures_figure(Failures("heaps", 10, 2, [], [], {})))
