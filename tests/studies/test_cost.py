"""What is timed, and how it is told; not how long it takes."""

import numpy as np
import pytest
import tiny

import isbe_np as isbe
from isbe_np.studies import cost, steps


@pytest.fixture
def invented(monkeypatch):
    """Times that are known: a call of each contestant takes its place in the list, in seconds."""
    runs = {}

    def take_turns(contestants, rounds, clock=None, **_):
        runs.update(contestants)
        parts = [] if clock is None else [len(clock(run)) for run in contestants.values()][:1]
        return {name: np.full((rounds, 1, *parts), k + 1.0) for k, name in enumerate(contestants)}

    monkeypatch.setattr(cost, "take_turns", take_turns)
    monkeypatch.setattr(steps, "take_turns", take_turns)
    return runs


def test_head_costs_are_medians_and_their_ratios_to_isbe(invented):
    found = cost.head_costs(4, 6, rounds=3)
    names = [*isbe.ROUTES, "one pass", "isbe again"]
    assert (found.batch, found.classes) == (4, 6) and [c.route for c in found.costs] == names
    assert [c.seconds for c in found.costs] == [1, 2, 3, 4, 5, 6]
    assert [c.ratio.value for c in found.costs] == pytest.approx([0.25, 0.5, 0.75, 1, 1.25, 1.5])


def test_head_costs_run_the_head_that_they_name(invented):
    cost.head_costs(4, 6, rounds=2)
    errors = {route: run() for route, run in invented.items()}
    assert all(error.shape == (4, 6) and error.dtype == np.float32 for error in errors.values())
    for error in errors.values():
        np.testing.assert_allclose(error, errors["isbe"], rtol=0, atol=1e-6)


def test_one_pass_is_one_call_of_the_head(invented, monkeypatch):
    called = []
    for name in ("forward", "backward", "error"):
        method = getattr(isbe.Head, name)
        monkeypatch.setattr(isbe.Head, name, lambda *given, name=name, method=method: called.append(name) or method(*given))
    cost.head_costs(4, 6, rounds=2)
    for name, run in invented.items():
        called.clear()
        run()
        assert called == (["error"] if name == "one pass" else ["forward", "backward"])


def test_the_jacobian_takes_memory_for_every_pair_of_classes(invented):
    # Classes enough that a few kilobytes of Python's own objects, a tracer's among them, do not count.
    memory = {c.route: c.memory for c in cost.head_costs(8, 400, rounds=2).costs}
    assert memory["jacobian"] >= 8 * 400 * 400 * 4 > memory["factored"] and memory["isbe"] < 8 * 400 * 4 * 4


def test_a_step_is_the_whole_step(invented):
    """Its time is that of all its parts, and the parameters stay, so that each contestant and each round has the same work."""
    data, net = tiny.dataset(), tiny.net()
    before = net.values.copy()
    found = cost.step_costs("tiny", net, data.x_train, data.y_train, rounds=2)
    assert (found.network, found.batch) == ("tiny", 24) and list(invented) == list(steps.CONTESTANTS)
    for run in invented.values():
        net.grads[:] = 0
        parts = dict(zip(steps.PARTS, run(), strict=True))
        assert net.grads.any() and parts["step"] >= parts["forward"] + parts["backward"] > 0
    assert np.array_equal(net.values, before)


def test_real_times_are_positive():
    for c in cost.head_costs(2, 3, rounds=2).costs:
        assert c.seconds > 0 and c.ratio.low <= c.ratio.high and c.memory > 0
