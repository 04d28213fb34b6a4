"""Figures hold what the results hold, every axis says what it shows, and pyplot stays out of it."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from isbe_np import plots
from isbe_np.heads import ROUTES
from isbe_np.studies.agreement import TOLERANCE, Agreement
from isbe_np.studies.compare import Twin
from isbe_np.studies.cost import Cost, HeadCosts, StepCosts
from isbe_np.studies.measure import Ratio
from isbe_np.training import History

PAIRS = [(a, b) for k, a in enumerate(ROUTES) for b in ROUTES[k + 1:]]


def agreements(networks=("n0", "n1", "lenet5"), gap=1e-16):
    return [Agreement(network, dtype, pair, 0.0, gap, "w") for network in networks for dtype in TOLERANCE
            for pair in PAIRS]


def costs(memory=1000):
    return [Cost(route, 1e-4 * (5 - k), Ratio(1.1, 1.0, 1.3), memory) for k, route in enumerate(ROUTES)]


def twin(route, epochs=2):
    numbers = [0.5 + 0.1 * k for k in range(epochs)]
    return Twin(route, History(accuracy=numbers, gradient_norm=numbers, seconds=numbers), 0.0)


HEADS = [HeadCosts(128, 10, costs()), HeadCosts(128, 100, costs())]
FIGURES = {
    "agreement": lambda: plots.agreement_figure(agreements()),
    "cost": lambda: plots.cost_figure(HEADS, StepCosts("n0", 128, costs())),
    "training": lambda: plots.training_figure([twin("isbe"), twin("fused")]),
    "collapse": lambda: plots.collapse_figure(np.array([1.0, 2.0, -0.5]), 1),
}
every_figure = pytest.mark.parametrize("name", FIGURES)


def drawn(figure):
    """The figure as PNG; matplotlib draws, and may warn, only now."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


@every_figure
def test_a_figure_is_returned_and_can_be_drawn(name):
    figure = FIGURES[name]()
    assert type(figure) is Figure and drawn(figure).startswith(b"\x89PNG")


@every_figure
def test_every_axis_says_what_it_shows(name):
    figure = FIGURES[name]()
    drawn(figure)
    for ax in figure.axes:
        for axis, label in ((ax.xaxis, ax.get_xlabel()), (ax.yaxis, ax.get_ylabel())):
            shared = ax.get_shared_y_axes().get_siblings(ax) if axis is ax.yaxis else [ax]
            labels = [label, *(other.get_ylabel() for other in shared if axis is ax.yaxis)]
            assert not axis.get_ticklocs().size or any(labels), f"{name}: {ax.get_title()!r}"
        assert ax.get_title() or ax.get_xlabel()


@every_figure
def test_the_same_results_give_the_same_figure(name):
    assert drawn(FIGURES[name]()) == drawn(FIGURES[name]())


def test_agreements_are_points_beside_their_bound():
    figure = plots.agreement_figure(agreements(gap=1e-3))
    for ax, bound in zip(figure.axes, TOLERANCE.values(), strict=True):
        *points, line = ax.lines
        assert [p.get_label() for p in points] == ["n0", "n1", "lenet5"] and line.get_xdata()[0] == bound
        assert all(p.get_xdata() == pytest.approx([1e-3] * 6) for p in points) and ax.get_xscale() == "log"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [f"{a} / {b}" for a, b in PAIRS]


def test_routes_that_differ_are_not_said_to_agree():
    assert "same gradient, to rounding" in plots.agreement_figure(agreements()).get_suptitle()
    assert "NOT" in plots.agreement_figure(agreements(gap=1e-3)).get_suptitle()


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_any_number_of_networks_and_none_lies_on_another(count):
    figure = plots.agreement_figure(agreements([f"net{k}" for k in range(count)]))
    places = np.concatenate([line.get_ydata() for line in figure.axes[0].lines[:-1]])
    assert len(places) == 6 * count and np.diff(np.sort(places)).min() > 0.05
    drawn(figure)


@pytest.mark.parametrize("gap", [0.0, np.nan, np.inf])
def test_extreme_gaps_can_be_drawn(gap):
    drawn(plots.agreement_figure(agreements(gap=gap)))


def test_costs_are_by_example():
    figure = FIGURES["cost"]()
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines] == list(ROUTES) and list(lines[0].get_xdata()) == [10, 100]
    assert lines[0].get_ydata() == pytest.approx([5e-4 * 1e6 / 128] * 2)
    assert figure.axes[1].lines[0].get_ydata() == pytest.approx([1000 / 128] * 2)


def test_an_interval_that_misses_its_value_can_be_drawn():
    steps = StepCosts("n0", 128, [Cost("isbe", 1, Ratio(1, 1.01, 1.02)), Cost("fused", 1, Ratio(1, 0.97, 0.99))])
    drawn(plots.cost_figure(HEADS, steps))


def test_memory_that_was_not_measured_can_be_drawn():
    some = [*costs()[:3], *costs(memory=None)[3:]]
    drawn(plots.cost_figure([HeadCosts(1, 10, some)], StepCosts("n0", 1, costs())))


def test_trainings_are_drawn_in_per_cent_by_epoch():
    figure = plots.training_figure([twin("isbe", 3), twin("fused", 2)])
    one, two = figure.axes[0].lines
    assert list(one.get_xdata()) == [1, 2, 3] and one.get_ydata() == pytest.approx([50, 60, 70])
    assert (one.get_label(), two.get_label()) == ("isbe", "fused") and len(two.get_xdata()) == 2


@pytest.mark.parametrize("epochs", [1, 2, 3, 60])
def test_epochs_are_whole_and_few_enough_to_read(epochs):
    ax = plots.training_figure([twin("isbe", epochs), twin("fused", 1)]).axes[0]
    drawn(ax.figure)
    low, high = ax.get_xlim()
    ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
    assert 1 <= len(ticks) <= 12 and all(tick == int(tick) for tick in ticks), ticks


@pytest.mark.parametrize("twins", [[twin("isbe", 0)], [twin("isbe", 1)], [twin("isbe", 2), twin("fused", 0)],
                                   [twin("isbe"), twin("isbe")]])
def test_trainings_that_were_cut_short_can_be_drawn(twins):
    drawn(plots.training_figure(twins))


def test_the_collapse_shows_that_the_product_is_the_difference():
    figure = plots.collapse_figure([1.0, 2.0, -0.5], 1)
    numbers = [[float(text.get_text().replace("−", "-")) for text in ax.texts[:-1]] for ax in figure.axes]
    J, g, product, soft, target = map(np.array, numbers)
    assert J.reshape(3, 3) @ g == pytest.approx(product, abs=3e-3)
    assert product == pytest.approx(soft - target, abs=2e-3) and target.tolist() == [0, 1, 0]


def test_drawing_needs_no_pyplot_and_warns_of_nothing():
    code = ("import sys, numpy as np; from isbe_np import plots; figure = plots.collapse_figure(np.arange(3.0), 0); "
            "figure.savefig(sys.stdout.buffer, format='png'); assert 'matplotlib.pyplot' not in sys.modules")
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0 and done.stderr == b"" and done.stdout.startswith(b"\x89PNG")
