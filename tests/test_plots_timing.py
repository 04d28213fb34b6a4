"""The figure of the study of timing holds what the study holds."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from isbe_np.plots.timing import timing_figure
from isbe_np.studies.steps import CONTESTANTS, PARTS, Timed
from isbe_np.studies.timing import TimingStudy

SAVED = {"jacobian": 0.5, "factored": 0.25, "fused": 0.02, "one pass": -0.1}


def study(networks=("n0", "n1"), batches=(1, 4, 16), noise=0.0):
    random = np.random.default_rng(0)

    def rounds(part, name):
        factor = 2 if part == "backward" else 1  # saves half as much of the step as of its part
        return (1e-3 / (1 - SAVED.get(name, 0) * factor / 2) * np.exp(noise * random.normal(size=6))).tolist()
    cells = [Timed(network, batch, 1, {part: {name: rounds(part, name) for name in CONTESTANTS} for part in PARTS})
             for network in networks for batch in batches]
    return TimingStudy([1, 28, 28], [2, 6], 1.0, 2, 0, cells, {})


def drawn(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def test_a_column_for_each_network_and_a_row_for_each_part():
    axes = timing_figure(study()).axes
    assert [ax.get_title() for ax in axes] == ["n0", "n1", "", ""]
    assert [ax.get_ylabel() for ax in axes] == ["saved of the backward pass, %", "", "saved of the whole step, %", ""]
    for ax, factor in zip(axes, (1, 1, 0.5, 0.5), strict=True):
        found = {bars.get_label(): bars[0].get_ydata() for bars in ax.containers}
        assert found == {f"against {name}": pytest.approx([100 * factor * SAVED[name]] * 3)
                         for name in ("jacobian", "factored", "fused")}
        levels = [line.get_ydata()[0] for line in ax.lines if len(set(line.get_ydata())) == 1 and len(line.get_xdata()) == 2]
        assert {0, 3} <= set(levels)


def test_intervals_and_the_band_of_the_control():
    found = study(("n0",), noise=0.05)
    above = timing_figure(found).axes[0]
    fused = found.savings["n0", "backward", "fused"]
    bars = next(bars for bars in above.containers if bars.get_label() == "against fused")
    for segment, s in zip(bars[2][0].get_segments(), fused.values(), strict=True):
        assert segment[:, 1] == pytest.approx([100 * min(s.low, s.value), 100 * max(s.high, s.value)])
    band = above.collections[0].get_paths()[0].vertices[:, 1]
    control = found.savings["n0", "backward", "isbe again"].values()
    assert (band.min(), band.max()) == pytest.approx((100 * min(s.low for s in control), 100 * max(s.high for s in control)))


def test_batch_sizes_on_a_log_axis_and_shares_that_can_be_read():
    ax = timing_figure(study()).axes[-1]
    assert ax.get_xlabel() == "batch size"
    assert ax.get_xscale() == "log" and [label.get_text() for label in ax.get_xticklabels()] == ["1", "4", "16"]
    low, high = ax.get_ylim()
    assert ax.get_yscale() == "symlog" and low == -5 and 50 < high <= 100
    assert timing_figure(study(noise=10.0)).axes[0].get_ylim() == pytest.approx((-100, 100))


@pytest.mark.parametrize("found", [study(noise=0.01), study(("n0",), (1,)), study(())])
def test_any_study_can_be_drawn(found):
    figure = timing_figure(found)
    assert type(figure) is Figure and drawn(figure).startswith(b"\x89PNG")
