"""The figure of the study of scaling holds what the study holds."""

import io

import pytest
from matplotlib.figure import Figure

from isbe_np.plots.scaling import scaling_figure
from isbe_np.studies.memory_limits import RUNS, predicted_bytes
from isbe_np.studies.scaling import Point, ScalingStudy


def study(sizes=(4, 8, 16, 32), refused=(64,), rounds=6):
    points = [Point(run, C, predicted_bytes(run, 2, C), [1e-6 * (C if run == "jacobian" else 1)] * rounds,
                    predicted_bytes(run, 2, C)) for C in sizes for run in RUNS]
    points += [Point(run, C, predicted_bytes(run, 2, C), refused="too much" if run == "jacobian" else "") for C in refused
               for run in RUNS]
    return ScalingStudy(2, rounds, 1, 0, 10**6, 10**5, points, {})


def drawn(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def lines(ax):
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in ax.lines}


def test_times_with_their_exponents():
    ax = scaling_figure(study()).axes[0]
    assert lines(ax)["jacobian: $C^{1.00 ± 0.00}$"] == ([4, 8, 16, 32], pytest.approx([4, 8, 16, 32]))
    fits = [line for line in ax.lines if len(line.get_xdata()) == 2]
    assert len(fits) == 5 and list(fits[0].get_xdata()) == [4, 32] and fits[0].get_ydata() == pytest.approx([4, 32])
    assert ax.get_xscale() == ax.get_yscale() == "log" and "µs" in ax.get_ylabel() and "classes" in ax.get_xlabel()


def test_ratios_and_where_the_jacobian_takes_ten_times_as_long():
    ax = scaling_figure(study()).axes[1]
    drawn_lines = lines(ax)
    assert drawn_lines["jacobian"] == ([4, 8, 16, 32], pytest.approx([4, 8, 16, 32]))
    assert drawn_lines["jacobian: 10 times isbe at C ≈ 10"] == (pytest.approx([10]), [10])
    assert len(ax.collections) == 4
    assert not [label for label in lines(scaling_figure(study(sizes=(2, 4))).axes[1]) if "10 times" in label]


def test_memory_with_its_limits_and_what_was_not_run():
    ax = scaling_figure(study()).axes[2]
    found = lines(ax)
    assert found["jacobian"] == ([4, 8, 16, 32], [predicted_bytes("jacobian", 2, C) for C in (4, 8, 16, 32)])
    assert found["jacobian, not run"] == ([64], [predicted_bytes("jacobian", 2, 64)])
    levels = {label: y[0] for label, (_, y) in found.items() if "up to C" in label}
    assert levels == {"package's limit of J, 100 kB:\njacobian up to C = 111": 10**5,
                      "50% of what was available, 500 kB:\njacobian up to C = 247": 500_000}


@pytest.mark.exhaustive
@pytest.mark.parametrize("found", [study(), study(rounds=2), study(sizes=(4,)), study(sizes=()), study((), ()),
                                   study(refused=())])
def test_any_study_can_be_drawn(found):
    figure = scaling_figure(found)
    assert type(figure) is Figure and drawn(figure).startswith(b"\x89PNG")
