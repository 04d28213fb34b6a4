"""How far apart, how long, how sure: on numbers whose answers are known."""

import numba
import numpy as np
import pytest

from isbe_np.studies import measure
from isbe_np.studies.measure import Ratio, ratio_of_medians, relative_difference


@pytest.mark.parametrize(("a", "b", "wanted"), [
    ([1, 2, 4], [1, 2, 4], 0), ([1, 2, 5], [1, 2, 4], 0.25), ([0, 0], [0, 0], 0), ([0, 1], [0, 0], np.inf),
    ([-3], [4], 1.75), ([], [], 0), ([1, np.nan], [1, 1], np.nan), ([1, 1], [np.nan, 1], np.nan),
])
def test_relative_difference(a, b, wanted):
    assert relative_difference(np.array(a, float), np.array(b, float)) == pytest.approx(wanted, nan_ok=True)


def test_relative_difference_of_float32_is_not_rounded_to_float32():
    a = np.array([np.float32(1) + np.float32(2.0 ** -23)], np.float32)
    assert relative_difference(a, np.ones(1)) == 2.0 ** -23


@pytest.mark.parametrize(("rounds", "warm_up"), [(3, 2), (1, 0)])
def test_functions_run_in_turn_and_warm_up_is_not_counted(rounds, warm_up, monkeypatch):
    calls = []
    ticks = iter(range(1000))
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(ticks) ** 2)
    seconds = measure.interleaved({name: lambda name=name: calls.append(name) for name in "ABC"}, rounds, warm_up)
    orders = {0: "ABC", 1: "BCA", 2: "CAB"}  # each round begins with the next
    assert "".join(calls) == "".join(orders[k % 3] for k in range(-warm_up, rounds))
    assert all(times.shape == (rounds,) for times in seconds.values()) and list(seconds) == list("ABC")
    assert all((times > 0).all() for times in seconds.values())


def test_times_land_in_their_function_and_round(monkeypatch):
    clock = [0.0]
    lengths = {"A": iter([9, 9, 1, 2, 3]), "B": iter([9, 9, 10, 20, 30])}

    def spend(name):
        clock[0] += next(lengths[name])

    monkeypatch.setattr(measure.time, "perf_counter", lambda: clock[0])
    seconds = measure.interleaved({name: lambda name=name: spend(name) for name in "AB"}, 3)
    assert seconds["A"].tolist() == [1, 2, 3] and seconds["B"].tolist() == [10, 20, 30]


def noisy(ratio, rounds=60, seed=1):
    """Times of two functions with a slow spell that falls on both, and a tenth of noise of their own."""
    random = np.random.default_rng(seed)
    spell = np.where(np.arange(rounds) > rounds * 0.7, 3.0, 1.0)
    return (ratio * spell * random.lognormal(0, 0.1, rounds), spell * random.lognormal(0, 0.1, rounds))


@pytest.mark.parametrize("ratio", [0.5, 1, 1.3, 20])
def test_the_interval_holds_the_true_ratio(ratio):
    found = ratio_of_medians(*noisy(ratio))
    assert found.low <= ratio <= found.high and found.low <= found.value <= found.high
    assert found.high / found.low < 1.3


def test_the_interval_misses_the_true_ratio_about_once_in_twenty():
    misses = 0
    for seed in range(100):
        found = ratio_of_medians(*noisy(1, seed=seed), draws=300)
        misses += not found.low <= 1 <= found.high
    assert misses <= 12


def test_equal_times_have_the_ratio_1_without_doubt():
    times = np.array([1.0, 2.0, 5.0])
    assert ratio_of_medians(times, times) == Ratio(1, 1, 1)


def test_an_outlier_moves_nothing():
    a, b = noisy(1.3)
    a[3] = 1e6
    assert ratio_of_medians(a, b).value == pytest.approx(1.3, rel=0.1)


@pytest.mark.parametrize(("ratio", "words"), [
    (Ratio(2.5, 2.4, 2.61), "a takes 2.5 times as long as b (95 % interval 2.4 to 2.61)"),
    (Ratio(0.9, 0.85, 0.95), "a takes 10.0% less time than b (95 % interval 5.0% to 15.0%)"),
    (Ratio(1.01, 0.99, 1.03),
     "no difference between a and b can be told here (ratio 1.010, 95 % interval 0.990 to 1.030)"),
    (Ratio(1, 1, 1), "no difference between a and b can be told here (ratio 1.000, 95 % interval 1.000 to 1.000)"),
])
def test_a_verdict_says_what_the_interval_allows(ratio, words):
    assert ratio.verdict("a", "b") == words


def test_peak_memory_counts_what_was_held_at_once():
    def run():
        np.empty(1_000_000)
        both = np.empty(500_000), np.empty(500_000)
        return both

    assert 8e6 <= measure.peak_memory(run) < 8.1e6


def test_peak_memory_stops_tracing_after_a_fault():
    import tracemalloc
    with pytest.raises(ZeroDivisionError):
        measure.peak_memory(lambda: 1 / 0)
    assert not tracemalloc.is_tracing()


def test_compiling_is_timed_and_running_is_not():
    fresh = numba.njit(lambda x: x + 1)
    with measure.CompileClock() as clock:
        fresh(1)
    compiled = clock.seconds
    fresh(1)
    assert clock.seconds == compiled and (compiled > 0) != numba.config.DISABLE_JIT
