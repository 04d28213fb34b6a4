"""Plain kernels against fast ones, on tiny networks: how far they differ, and what a step with each costs."""

import copy
import dataclasses
import json
import math

import numpy as np
import pytest
import tiny

import isbe_np as isbe
from isbe_np.reports import summary
from isbe_np.studies import kernels
from isbe_np.studies.kernels import KernelAgreement, compare_kernels, kernel_agreement, kernel_costs
from isbe_np.studies.measure import Ratio
from isbe_np.tables import WIDEST


@pytest.fixture(autouse=True)
def small(monkeypatch):
    tiny.study(monkeypatch)
    tiny.both_sets(monkeypatch)


def batch(dtype=np.float32):
    data = tiny.dataset(dtype=dtype)
    return data.x_train, data.y_train


def study(**options):
    return compare_kernels(("tiny", "linear"), *batch(), **{"rounds": 2, **options})


def with_memory(dtype):
    """A network that draws random numbers and keeps running statistics."""
    return isbe.Sequential((1, 2, 2), isbe.Flatten(), isbe.Dense(6), isbe.Dropout(0.4), isbe.Dense(5), isbe.BatchNorm(),
                           isbe.ReLU(), isbe.Dense(tiny.CLASSES), seed=1, dtype=dtype)


def test_both_sets_agree_in_both_dtypes(dtype):
    for make in (tiny.net, lambda seed, dtype: with_memory(dtype)):
        found = kernel_agreement("it", make(0, dtype), *batch(dtype))
        assert found.within and (found.network, found.dtype) == ("it", dtype.name) and found.compiling >= 0
        assert found.scores < kernels.TOLERANCE[dtype.name] / 5


@pytest.mark.parametrize("factor", [1.001, math.nan])
def test_a_wrong_gradient_is_found_and_measured(monkeypatch, dtype, factor):
    tiny.wrong_bias(monkeypatch, factor)
    found = kernel_agreement("tiny", tiny.net(0, dtype), *batch(dtype))
    assert not found.within and found.parameter.endswith(".bias") and found.scores < 1e-6
    assert found.gradient == pytest.approx(factor - 1, rel=1e-3, nan_ok=True)


@pytest.mark.parametrize(("plain", "fast", "largest", "gap"), [
    ([1.0, 3.0], [1.0, 2.0], 8.0, 0.5), ([2e-9, 0.0], [-1e-9, 0.0], 10.0, 3e-10), ([1e-9], [0.0], 10.0, 1e-10),
    ([1.0], [0.0], 10.0, 0.1), ([0.0], [0.0], 0.0, 0.0), ([math.nan], [1.0], 10.0, math.nan),
    ([math.nan], [0.0], 10.0, math.nan)])
def test_a_gradient_of_rounding_is_held_against_the_network_s_largest(plain, fast, largest, gap):
    found = kernels.gradient_difference(np.array(plain), np.array(fast), largest)
    assert found == pytest.approx(gap, rel=1e-12, nan_ok=True)


def test_wrong_scores_are_found_where_gradients_are_right(dtype):
    right = kernel_agreement("tiny", tiny.net(0, dtype), *batch(dtype))
    assert right.within and not dataclasses.replace(right, scores=0.1).within


def test_agreement_leaves_the_network_as_it_was(dtype):
    net = with_memory(dtype)
    before = copy.deepcopy(net)
    kernel_agreement("it", net, *batch(dtype))
    assert net.kernels == before.kernels == "fast" and not net.grads.any()
    assert net.random.bit_generator.state == before.random.bit_generator.state
    assert all(np.array_equal(array, before.state()[name]) for name, array in net.state().items())


def test_a_network_without_parameters_is_refused():
    with pytest.raises(ValueError, match="Add a layer that has some"):
        kernel_agreement("none", isbe.Sequential((3,), isbe.ReLU()), np.ones((2, 3), np.float32), np.array([0, 1]))


def test_a_step_is_timed_with_the_kernels_that_its_name_says(monkeypatch):
    used, heads = [], []
    make = kernels.training_step

    def training_step(name, net, *given):
        step = make(name, net, *given)
        return lambda: (used.append(net.kernels), step())

    head = isbe.Head
    monkeypatch.setattr("isbe_np.studies.steps.Head",
                        lambda *given, **options: heads.append(head(*given, **options)) or heads[-1])
    monkeypatch.setattr(kernels, "training_step", training_step)
    monkeypatch.setattr(kernels, "take_turns", lambda steps, rounds, calls: {
        name: np.full((rounds, calls), (used.clear(), step(), {"plain": 3.0}.get(*used, 1.0))[-1])
        for name, step in steps.items()})
    net = tiny.net()
    found = kernel_costs("tiny", net, *batch(), rounds=4)
    assert [(cost.kernels, cost.seconds, cost.ratio.value) for cost in found.costs] == [
        ("plain", 3.0, pytest.approx(3)), ("fast", 1.0, 1.0), ("fast again", 1.0, 1.0)]
    assert (found.network, found.batch) == ("tiny", 24)
    assert [head.kernels for head in heads] == ["plain", "fast", "fast"]


@pytest.mark.parametrize("before", isbe.KERNELS)
def test_times_leave_kernels_and_parameters_as_they_were(before):
    net = tiny.net(kernels=before)
    values = net.values.copy()
    kernel_costs("tiny", net, *batch(), rounds=2)
    assert net.kernels == before and np.array_equal(net.values, values)


def test_the_study_holds_both_dtypes_with_and_without_an_executor():
    alone = study()
    with tiny.Here() as executor:
        both = study(executor=executor)
    for found in (alone, both):
        assert [(a.network, a.dtype) for a in found.agreements] == [
            (name, dtype) for dtype in ("float32", "float64") for name in ("tiny", "linear")]
        assert [costs.network for costs in found.costs] == ["tiny", "linear"]
    assert [a.gradient for a in alone.agreements] == [a.gradient for a in both.agreements]
    read = json.loads(json.dumps(dataclasses.asdict(alone)))
    assert read["agreements"][0].keys() == {"network", "dtype", "scores", "gradient", "parameter", "compiling"}
    assert read["costs"][0]["costs"][1] == {**read["costs"][0]["costs"][1], "kernels": "fast",
                                            "ratio": {"value": 1, "low": 1, "high": 1}}


def test_without_a_compiler_there_is_nothing_to_compare(monkeypatch):
    monkeypatch.setattr("isbe_np.graph.read_kernels", lambda who, given: "plain")
    found = study()
    assert found.agreements == found.costs == []
    assert found.conclusions() == ["Without the compiler (NUMBA_DISABLE_JIT=1) plain kernels compute everything, so that there "
                                   "is nothing to compare them with."]


def made(gradient=2e-16, compiling=0.0):
    """A study of one network with numbers that are known."""
    costs = [kernels.KernelCost(name, seconds, Ratio(ratio, ratio / 2, 2 * ratio))
             for name, seconds, ratio in (("plain", 0.02, 4.0), ("fast", 0.005, 1.0), ("fast again", 0.0051, 1.01))]
    agreements = [KernelAgreement("tiny", dtype, 1e-16, gap, "dense_1.bias", seconds)
                  for dtype, gap, seconds in (("float32", 3e-7, 1.25), ("float64", gradient, compiling))]
    return kernels.KernelComparison(agreements, [kernels.KernelCosts("tiny", 6, costs)])


def test_words_tell_the_worst_the_ratio_the_control_and_the_compiler():
    assert made(compiling=2.5).conclusions() == [
        "Plain and fast kernels agree: no score and no parameter gradient of tiny differs by more than 3.0e-07 in float32 "
        "(tolerance 5e-06) and 2.0e-16 in float64 (tolerance 1e-12).",
        "In a whole training step of tiny (batch 6): plain takes 4 times as long as fast (95 % interval 2 to 8). The control, "
        "fast against itself: 1.010 (0.505 to 2.020).",
        "Compiling the plain kernels took 1.2 s in float32 and 2.5 s in float64, apart from all these times. They are kept for "
        "the next run."]


@pytest.mark.parametrize(("gradient", "words"), [(0.25, "2.5e-01"), (math.nan, "nan")])
def test_words_of_kernels_that_differ(gradient, words):
    found = made(gradient)
    assert found.conclusions()[0] == (
        f"Plain and fast kernels do NOT agree: they differ by up to 3.0e-07 in float32 (tolerance 5e-06) and {words} in "
        f"float64 (tolerance 1e-12). Beyond rounding: tiny in float64 at dense_1.bias.")
    assert f"{words} !" in summary.kernels_table(found)


def test_the_table_has_a_row_for_each_contestant_and_fits():
    lines = summary.kernels_table(made()).splitlines()
    assert max(map(len, lines)) <= WIDEST
    assert [line.split() for line in lines[2:]] == [
        ["tiny", "plain", "20.00", "4", "2", "to", "8", "3.0e-07", "2.0e-16"],
        ["tiny", "fast", "5.00", "1"],
        ["tiny", "fast", "again", "5.10", "1.01", "0.505", "to", "2.02"]]
