"""What is timed, and how it is told; not how long it takes."""

import numpy as np
import pytest
import tiny

import isbe_np as isbe
from isbe_np.studies import cost
from isbe_np.studies.measure import Ratio


@pytest.fixture
def invented(monkeypatch):
    """Times that are known: a round of each route takes its place in the list, in seconds."""
    runs = {}

    def interleaved(functions, rounds, warm_up=2):
        runs.update(functions)
        for function in functions.values():
            function()
        return {name: np.full(rounds, k + 1.0) for k, name in enumerate(functions)}

    monkeypatch.setattr(cost, "interleaved", interleaved)
    return runs


def test_head_costs_are_medians_and_their_ratios_to_isbe(invented):
    found = cost.head_costs(4, 6, rounds=3)
    assert (found.batch, found.classes) == (4, 6) and [c.route for c in found.costs] == list(isbe.ROUTES)
    assert [c.seconds for c in found.costs] == [1, 2, 3, 4]
    assert [c.ratio for c in found.costs] == [Ratio(r, r, r) for r in (0.25, 0.5, 0.75, 1)]


def test_head_costs_run_the_head_that_they_name(invented):
    cost.head_costs(4, 6, rounds=2)
    errors = {route: run() for route, run in invented.items()}
    assert all(error.shape == (4, 6) and error.dtype == np.float32 for error in errors.values())
    for route in isbe.ROUTES:
        np.testing.assert_allclose(errors[route], errors["isbe"], rtol=0, atol=1e-6)


def test_the_jacobian_takes_memory_for_every_pair_of_classes(invented):
    # Classes enough that a few kilobytes of Python's own objects, a tracer's among them, do not count.
    memory = {c.route: c.memory for c in cost.head_costs(8, 400, rounds=2).costs}
    assert memory["jacobian"] >= 8 * 400 * 400 * 4 > memory["factored"] and memory["isbe"] < 8 * 400 * 4 * 4


def test_a_step_is_the_whole_step(invented):
    data, net = tiny.dataset(), tiny.net()
    found = cost.step_costs("tiny", net, data.x_train, data.y_train, rounds=2)
    assert (found.network, found.batch) == ("tiny", 24) and list(invented) == list(isbe.ROUTES)
    for run in invented.values():
        before = net.values.copy()
        run()
        assert not np.array_equal(net.values, before)


def test_real_times_are_positive():
    for c in cost.head_costs(2, 3, rounds=2).costs:
        assert c.seconds > 0 and c.ratio.low <= c.ratio.high and c.memory > 0
