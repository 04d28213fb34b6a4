"""Figures from results. Each function takes results and returns a matplotlib Figure; none shows or saves it.

`studies` draws what the studies measured, `example` one example's numbers, `networks` what a network is and holds.
"""

from isbe_np import backend  # noqa: F401  comes before all that imports matplotlib
from isbe_np.plots.accuracy import accuracy_figure, curves_figure
from isbe_np.plots.data import data_figure
from isbe_np.plots.example import collapse_figure, explanation_figure, jacobian_figure, range_figure, routes_figure
from isbe_np.plots.failures import failures_figure
from isbe_np.plots.networks import activations_figure, confusion_figure, filters_figure, graph_figure
from isbe_np.plots.reductions import reductions_figure
from isbe_np.plots.scaling import scaling_figure
from isbe_np.plots.studies import agreement_figure, cost_figure, paired_training_figure, times_figure, training_figure
from isbe_np.plots.timing import timing_figure

__all__ = [
    "accuracy_figure", "activations_figure", "agreement_figure", "collapse_figure", "confusion_figure",
    "cost_figure", "curves_figure", "data_figure", "explanation_figure", "failures_figure", "filters_figure",
    "graph_figure", "jacobian_figure", "paired_training_figure", "range_figure", "reductions_figure",
    "routes_figure", "scaling_figure", "times_figure", "timing_figure", "training_figure",
]
