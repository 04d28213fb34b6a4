"""Figures hold what the results hold, every axis says what it shows, and pyplot stays out of it."""

import io
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

import isbe_np as isbe
from isbe_np import plots
from isbe_np.explain import explain
from isbe_np.heads import ROUTES
from isbe_np.plots.networks import BOX
from isbe_np.reports.summary import explanation_rows
from isbe_np.studies.accuracy import AccuracyStudy
from isbe_np.studies.comparison import TOLERANCE, Agreement, Twin
from isbe_np.studies.cost import Cost, HeadCosts, StepCosts
from isbe_np.studies.data import DataStudy
from isbe_np.studies.failures import Failures
from isbe_np.studies.from_json import restore
from isbe_np.studies.measure import Ratio
from isbe_np.studies.reductions import Reductions
from isbe_np.studies.scaling import ScalingStudy
from isbe_np.studies.timing import TimingStudy
from isbe_np.training import History

CODE = Path(__file__).parents[1]
STUDIES = {"accuracy_mnist": AccuracyStudy, "data_cifar10": DataStudy, "timing": TimingStudy, "scaling": ScalingStudy,
           "reductions": Reductions, "failures": Failures}
PAIRS = [(a, b) for k, a in enumerate(ROUTES) for b in ROUTES[k + 1:]]


def agreements(networks=("n0", "n1", "lenet5"), gap=1e-16):
    return [Agreement(network, dtype, pair, 0.0, gap, "w") for network in networks for dtype in TOLERANCE
            for pair in PAIRS]


def costs(memory=1000):
    return [Cost(route, 1e-4 * (5 - k), Ratio(1.1, 1.0, 1.3), memory) for k, route in enumerate(ROUTES)]


def twin(route, epochs=2):
    numbers = [0.5 + 0.1 * k for k in range(epochs)]
    return Twin(route, History(accuracy=numbers, gradient_norm=numbers, seconds=numbers), 0.0)


def histories(*curves):
    return [History(accuracy=list(curve)) for curve in curves]


def small_net():
    """Two convolutions, the second of two channels, in a graph with a skip connection."""
    image = isbe.Input((1, 6, 6))
    x = isbe.Conv2D(2, 3, padding=1)(image)
    y = isbe.ReLU()(isbe.Conv2D(2, 3, padding=1)(x))
    return isbe.Graph(image, isbe.Dense(3)(isbe.Flatten()(isbe.Add()(x, y))), seed=0)


def texts(ax):
    return [text.get_text().replace("−", "-") for text in ax.texts]


IMAGE = np.linspace(0, 1, 36, dtype=np.float32).reshape(1, 6, 6)
TRUE, PREDICTED = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 2, 0])
ARMS = {"isbe": histories([0.5, 0.7], [0.6, 0.9]), "fused": histories([0.4, 0.7], [0.6, 0.8])}
TIMES = {"isbe": np.linspace(1e-3, 3e-3, 21), "fused": np.linspace(2e-3, 4e-3, 22).reshape(2, 11)}
HEADS = [HeadCosts(128, 10, costs()), HeadCosts(128, 100, costs())]
FIGURES = {
    "agreement": lambda: plots.agreement_figure(agreements()),
    "cost": lambda: plots.cost_figure(HEADS, StepCosts("n0", 128, costs())),
    "training": lambda: plots.training_figure([twin("isbe"), twin("fused")]),
    "collapse": lambda: plots.collapse_figure(np.array([1.0, 2.0, -0.5]), 1),
    "jacobian": lambda: plots.jacobian_figure(explain([2, 1, 0.1], 0).jacobian),
    "routes": lambda: plots.routes_figure(explain([2, 1, 0.1], 0)),
    "explanation": lambda: plots.explanation_figure(explain([200, 0, 0], 1, dtype="float32")),
    "range": lambda: plots.range_figure(),
    "paired": lambda: plots.paired_training_figure(ARMS),
    "times": lambda: plots.times_figure(TIMES, "a step"),
    "confusion": lambda: plots.confusion_figure(TRUE, PREDICTED),
    "filters": lambda: plots.filters_figure(small_net(), "conv2d_1"),
    "filters of channels": lambda: plots.filters_figure(small_net(), "conv2d_2"),
    "activations": lambda: plots.activations_figure(small_net(), IMAGE),
    "graph": lambda: plots.graph_figure(small_net()),
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
        colourbar, tile = ax.get_label() == "<colorbar>", ax.images and not ax.xaxis.get_ticklocs().size
        assert ax.get_title() or ax.get_xlabel() or (colourbar and ax.get_ylabel()) or tile


@pytest.mark.exhaustive
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


def stored(name):
    """The figure of a stored result of the study."""
    found = restore(STUDIES[name], json.loads((CODE / "scripts" / "study" / f"{name}.json").read_text(encoding="utf-8")))
    return getattr(plots, f"{name.split('_')[0]}_figure")(found)


def labels_on_another(figure):
    """Pairs of tick labels of one axis whose frames overlap, as they are drawn."""
    FigureCanvasAgg(figure).draw()
    found = []
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        texts = [text for minor in (False, True) for text in axis.get_ticklabels(minor=minor)
                 if text.get_text() and text.get_visible()]
        frames = [(text.get_text(), text.get_window_extent()) for text in texts]
        found += [(a, b) for k, (a, one) in enumerate(frames) for b, other in frames[:k] if one.overlaps(other)]
    return found


GAPS = [2e-7, 1e-6, 1.5e-6, 5e-13, 1e-3, 1e3]
DRAWN = {**FIGURES, **{f"stored {name}": partial(stored, name) for name in STUDIES},
         **{f"agreements {gap}": partial(lambda gap: plots.agreement_figure(agreements(gap=gap)), gap) for gap in GAPS},
         "one example": lambda: plots.routes_figure(explain([0.3, 0.2, 0.1], 0))}


@pytest.mark.exhaustive
@pytest.mark.parametrize("make", DRAWN.values(), ids=DRAWN)
def test_no_tick_s_label_is_printed_on_another(make):
    assert labels_on_another(make()) == []


def test_the_pairs_of_routes_stand_in_the_order_of_the_table():
    left, right = plots.agreement_figure(agreements()).axes
    assert left.get_ylim() == right.get_ylim() == (5.5, -0.5)  # the first at the top
    assert [label.get_text() for label in left.get_yticklabels()] == [f"{a} / {b}" for a, b in PAIRS]


@pytest.mark.parametrize("name", ["agreement", "cost"])
def test_a_legend_does_not_lie_on_the_data(name):
    figure = FIGURES[name]()
    FigureCanvasAgg(figure).draw()
    assert not [ax for ax in figure.axes if ax.get_legend()]
    assert not any(figure.legends[0].get_window_extent().overlaps(ax.get_window_extent()) for ax in figure.axes)


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


def test_the_jacobian_is_a_matrix_of_its_numbers():
    J = explain([2, 1, 0.1], 0).jacobian
    ax, bar = plots.jacobian_figure(J).axes
    assert [float(text) for text in texts(ax)] == pytest.approx(J.ravel(), abs=5e-4) and (ax.images[0].get_array() == J).all()
    assert "x_j" in ax.get_xlabel() and "y_i" in ax.get_ylabel() and "unit" in bar.get_ylabel()


def test_a_jacobian_of_many_classes_is_colour_alone():
    assert not plots.jacobian_figure(np.eye(13)).axes[0].texts and len(plots.jacobian_figure(np.eye(12)).axes[0].texts) == 144


@pytest.mark.parametrize("J", [np.zeros((2, 2)), np.full((2, 2), np.nan), np.eye(1)])
def test_extreme_jacobians_can_be_drawn(J):
    drawn(plots.jacobian_figure(J))


def test_the_jacobian_of_a_batch_is_refused():
    with pytest.raises(ValueError, match=r"Pass J\[n\]"):
        plots.jacobian_figure(np.zeros((1, 3, 3)))


def test_routes_stand_side_by_side():
    found = explain([2, 1, 0.1], 0, dilation=2)
    for ax, route in zip(plots.routes_figure(found).axes, ROUTES, strict=True):
        assert ax.get_title().startswith(f"{route}\n") and [bar.get_width() for bar in ax.patches] == list(found.errors[route])
        assert [float(text) for text in texts(ax)] == pytest.approx(found.errors[route], abs=5e-5)
        assert len({bar.get_hatch() for bar in ax.patches}) == 1
    assert len({ax.patches[0].get_hatch() for ax in ax.figure.axes}) == 4


def test_a_route_that_breaks_says_nan_and_one_that_is_refused_says_why():
    broken = plots.routes_figure(explain([200, 0, 0], 1, dtype="float32"))
    assert texts(broken.axes[0]) == ["NaN"] * 3 and texts(broken.axes[3]) == ["1", "-1", "0"]
    refused = plots.routes_figure(explain([2, 1, 0.1], 0, "sparsemax")).axes
    assert "dead unit" in texts(refused[0])[0].replace("\n", " ") and not refused[0].patches and len(refused[3].patches) == 3


@pytest.mark.parametrize("classes", [1, 3, 12])
def test_an_explanation_is_drawn_number_by_number(classes):
    found = explain(np.linspace(2, -2, classes), 0)
    rows = [row for group in explanation_rows(found) for row in group]
    figure = plots.explanation_figure(found)
    ax, = figure.axes
    cells = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert len(cells) == len(ax.texts) == len(rows) * classes and len(ax.get_yticks()) == len(rows)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert f"J ({classes}, {classes})   J[0, i]" in labels and "y − t" in " ".join(labels)
    assert figure.get_supxlabel().count("•") == len(found.sentences)
    drawn(figure)


def test_numbers_that_are_not_finite_are_hatched():
    ax, = FIGURES["explanation"]().axes
    hatched = [patch.get_hatch() is not None for patch in ax.patches]
    assert hatched == [text in ("NaN", "-inf", "inf") for text in texts(ax)] and any(hatched)


def test_the_range_begins_where_the_quotient_overflows():
    single, double = plots.range_figure().axes
    for ax, dtype, last in ((single, "float32", 120), (double, "float64", 800)):
        begin = np.log(float(np.finfo(dtype).max))  # beyond this gap 1/y is infinite, though y is not yet 0
        text, = (text for text in texts(ax) if "NaN" in text)
        said = float(text.split("from ")[1].split(" on")[0])
        assert said == pytest.approx(begin, abs=2e-2) and ax.get_title() == dtype and ax.get_xlim() == (0, last)
        jacobian, factored, fused = ax.lines[:3]
        assert [line.get_label() for line in ax.lines[:3]] == list(ROUTES[:3])
        assert np.isfinite(fused.get_ydata()).all() and (np.nanmax(jacobian.get_ydata()) < TOLERANCE[dtype])
        assert np.isnan(jacobian.get_ydata()).sum() == (jacobian.get_xdata() >= said - 1e-2).sum()
        assert len({line.get_marker() for line in ax.lines[:3]}) == 3 and np.isnan(factored.get_ydata()).any()


def test_a_range_without_nan_has_no_hatch():
    ax, = plots.range_figure(limits={"float64": 50.0}).axes
    assert not ax.patches and "NaN" not in "".join(texts(ax))


def test_paired_trainings_are_means_with_bands_and_differences_by_seed():
    left, right = plots.paired_training_figure(ARMS).axes
    assert [line.get_ydata() for line in left.lines] == [pytest.approx([55, 80]), pytest.approx([50, 75])]
    bands = [band.get_paths()[0].get_extents() for band in left.collections]
    assert [(box.y0, box.y1) for box in bands] == [pytest.approx((50, 90)), pytest.approx((40, 80))]
    assert len({band.get_hatch() for band in left.collections}) == 2
    assert [line.get_ydata() for line in right.lines[:3]] == [pytest.approx(gap) for gap in ([10, 0], [0, 10], [5, 5])]
    assert right.get_ylabel() == "isbe − fused, percentage points"


def test_a_band_of_one_standard_deviation():
    left, _ = plots.paired_training_figure(ARMS, band="sd").axes
    box = left.collections[0].get_paths()[0].get_extents()
    assert box.y1 - 80 == pytest.approx(np.std([70, 90], ddof=1)) and "standard deviation" in left.get_title()


def test_trainings_of_unequal_length_are_drawn_as_far_as_all_go():
    arms = {"a": histories([0.5, 0.6, 0.7]), "b": histories([0.5])}
    left, _ = plots.paired_training_figure(arms, "sd").axes
    assert [list(line.get_xdata()) for line in left.lines] == [[1], [1]]
    drawn(plots.paired_training_figure({"a": histories([]), "b": histories([0.5])}))


@pytest.mark.parametrize("arms", [{}, {"a": histories([1])}, {"a": histories([1]), "b": []}, {"a": [], "b": []},
                                  {"a": histories([1]), "b": histories([1], [1])}])
def test_trainings_that_are_no_pairs_are_refused(arms):
    with pytest.raises(ValueError, match="two arms"):
        plots.paired_training_figure(arms)
    with pytest.raises(ValueError, match="'range' or 'sd'"):
        plots.paired_training_figure(ARMS, "se")


def test_times_are_drawn_with_intervals_in_a_unit_that_can_be_read():
    ax, = FIGURES["times"]().axes
    assert "ms" in ax.get_xlabel() and [label.get_text() for label in ax.get_yticklabels()] == ["isbe", "fused"]
    typical = [float(bar.lines[0].get_xdata()[0]) for bar in ax.containers]
    assert typical == pytest.approx([2, 3], rel=0.02) and len(ax.lines[0].get_xdata()) == 21
    for bar, middle in zip(ax.containers, typical, strict=True):
        (low, _), (high, _) = bar.lines[2][0].get_segments()[0]
        assert low < middle < high
    assert ax.get_xlim()[0] == 0


@pytest.mark.parametrize(("seconds", "unit"), [(5e-10, "ns"), (5e-8, "ns"), (5e-6, "µs"), (5e-4, "µs"), (5e-3, "ms"), (5, "s")])
def test_the_unit_of_times(seconds, unit):
    ax, = plots.times_figure({"a": np.full(3, seconds), "b": np.full(1, 2 * seconds)}).axes
    assert f", {unit}:" in ax.get_xlabel()
    drawn(ax.figure)


def test_confusions_are_counted_by_true_and_predicted_class():
    ax, bar = plots.confusion_figure(TRUE, PREDICTED).axes
    counts = {(text.get_position()[1], text.get_position()[0]): int(text.get_text()) for text in ax.texts}
    assert counts == {(0, 0): 1, (0, 1): 1, (1, 1): 1, (2, 2): 2, (2, 0): 1}
    assert ax.images[0].get_array()[2].tolist() == pytest.approx([100 / 3, 0, 200 / 3])
    assert ax.get_title() == "4 of 6 right: 66.67%"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class") and "%" in bar.get_ylabel()


def test_classes_may_have_names():
    names = ["shirt", "coat", "bag", "boot"]
    ax = plots.confusion_figure(TRUE, PREDICTED, names).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == names == [label.get_text() for label in ax.get_xticklabels()]
    drawn(ax.figure)
    drawn(plots.confusion_figure(np.arange(47), np.arange(47)))


@pytest.mark.parametrize("given", [([0, 1], [0]), ([], []), ([[0]], [[0]]), ([-1], [0]), ([0, 1], [0, 1], ["one"])])
def test_labels_that_do_not_fit_are_refused(given):
    with pytest.raises(ValueError, match="confusion_figure expects"):
        plots.confusion_figure(*given)


def test_filters_are_the_layer_s_weights():
    net = small_net()
    weight = next(p.value for p in net.parameters() if p.name == "conv2d_2.weight")
    tiles = [ax for ax in FIGURES["filters of channels"]().axes if ax.images]
    labels = [(ax.get_title(), ax.get_ylabel()) for ax in tiles]
    assert labels == [("filter 0", "channel 0"), ("filter 1", ""), ("", "channel 1"), ("", "")]
    for k, ax in enumerate(tiles):
        assert (ax.images[0].get_array() == weight[k % 2, k // 2]).all()
    assert len({ax.images[0].get_clim() for ax in tiles}) == 1
    few = plots.filters_figure(net, "conv2d_2", most=(1, 2))
    assert len([ax for ax in few.axes if ax.images]) == 2 and "1 of 2 filters, 2 of 2 channels" in few.get_suptitle()


def test_filters_of_no_convolution_are_refused():
    with pytest.raises(ValueError, match="Those of this network: conv2d_1, conv2d_2"):
        plots.filters_figure(small_net(), "dense_1")


def test_activations_are_the_values_of_the_nodes():
    net = small_net()
    figure = plots.activations_figure(net, IMAGE, ["conv2d_1", "dense_1"], most=1)
    maps, scores = figure.axes
    assert (maps.images[0].get_array() == net.value("conv2d_1")[0, 0]).all()
    assert maps.get_ylabel().startswith("conv2d_1\n2 x 6 x 6\n")
    assert [bar.get_height() for bar in scores.patches] == pytest.approx(net.value("dense_1")[0])
    labels = [ax.get_ylabel().split("\n")[0] for ax in FIGURES["activations"]().axes if ax.get_ylabel()]
    assert labels == ["input", "conv2d_1", "conv2d_2", "relu_1", "add_1", "dense_1"]


def boxes_and_arrows(net):
    ax, = plots.graph_figure(net).axes
    return ([patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)],
            [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)], ax)


def test_a_graph_is_boxes_with_shapes_and_arrows():
    net = small_net()
    boxes, arrows, ax = boxes_and_arrows(net)
    assert len(boxes) == len(net.nodes) == 7 and len(arrows) == 7
    assert texts(ax) == [text for node, name in net.names.items() for text in (name, " x ".join(map(str, node.shape)))]
    assert len({box.get_facecolor() for box in boxes}) == 2
    assert "7 nodes" in ax.get_title() and f"{sum(p.value.size for p in net.parameters())} parameters" in ax.get_title()


@pytest.mark.parametrize("make", [small_net, isbe.networks.lenet5, lambda: nested(), lambda: branches()])
def test_no_box_lies_on_another_and_no_line_runs_through_one(make):
    boxes, _, ax = boxes_and_arrows(make())
    frames = [(box.get_x(), box.get_y(), box.get_x() + box.get_width(), box.get_y() + box.get_height()) for box in boxes]
    for k, (left, top, right, bottom) in enumerate(frames):
        assert right - left == pytest.approx(BOX[0])
        assert not [f for f in frames[:k] if f[0] < right and left < f[2] and f[1] < bottom and top < f[3]]
        for line in ax.lines:
            (xs, ys), steps = line.get_data(), np.linspace(0, 1, 200)
            for a, b in zip(range(len(xs) - 1), range(1, len(xs)), strict=True):
                x, y = xs[a] + steps * (xs[b] - xs[a]), ys[a] + steps * (ys[b] - ys[a])
                assert not ((left < x) & (x < right) & (top + 1e-9 < y) & (y < bottom - 1e-9)).any()
    assert ax.get_xlim()[0] < min(f[0] for f in frames) and ax.get_xlim()[1] > max(f[2] for f in frames)


def nested():
    """A skip within a skip, and one from the input to the end."""
    image = isbe.Input((4,))
    a = isbe.Dense(4)(image)
    b = isbe.ReLU()(a)
    c = isbe.Dense(4)(b)
    d = isbe.Add()(b, c)
    e = isbe.Tanh()(d)
    return isbe.Graph(image, isbe.Add()(a, e, image))


def branches():
    """Three ways of unequal length between two nodes."""
    image = isbe.Input((4,))
    one, two = isbe.Dense(4)(image), isbe.Dense(4)(image)
    return isbe.Graph(image, isbe.Add()(isbe.ReLU()(isbe.Tanh()(one)), isbe.ReLU()(two), image))


def test_drawing_needs_no_pyplot_and_warns_of_nothing():
    code = ("import sys, numpy as np; from isbe_np import plots; figure = plots.collapse_figure(np.arange(3.0), 0); "
            "figure.savefig(sys.stdout.buffer, format='png'); assert 'matplotlib.pyplot' not in sys.modules")
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0 and done.stderr == b"" and done.stdout.startswith(b"\x89PNG")
