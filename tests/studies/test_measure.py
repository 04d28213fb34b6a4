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


class Clock:
    """Time that passes only in functions and in sleep; `busy` more seconds of sleep use a core, as threads in a loop do."""

    def __init__(self, monkeypatch):
        self.now = self.used = self.busy = 0.0
        self.calls = []
        monkeypatch.setattr(measure.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(measure.time, "process_time", lambda: self.used)
        monkeypatch.setattr(measure.time, "sleep", self.sleep)

    def sleep(self, seconds):
        self.calls.append("z")
        self.now += seconds
        self.used += min(seconds, self.busy)
        self.busy -= min(seconds, self.busy)

    def spender(self, name, seconds):
        def spend():
            self.calls.append(name)
            self.now += seconds
        return spend


def test_a_turn_is_quiet_then_waking_then_timed_calls(monkeypatch):
    clock = Clock(monkeypatch)
    both = {"A": clock.spender("A", 0.25), "B": clock.spender("B", 1.0)}
    seconds = measure.take_turns(both, rounds=2, turn=0.75, most=9, waking=0.5)
    # Waking takes two calls of A and one of B, a turn three and one; a trial, one turn and a call more, tells how many.
    assert "".join(clock.calls) == "zAAAA" "zBB" "zAAAAA" "zBB" "zBB" "zAAAAA"
    for name, wanted in (("A", np.full((2, 3), 0.25)), ("B", np.full((2, 1), 1.0))):
        np.testing.assert_allclose(seconds[name], wanted)


def test_a_turn_has_at_most_so_many_calls_however_short(monkeypatch):
    clock = Clock(monkeypatch)
    assert measure.take_turns({"A": clock.spender("A", 1e-4)}, 3, most=7, waking=1e-3)["A"].shape == (3, 7)


def test_whoever_is_too_slow_leaves_after_a_whole_turn(monkeypatch):
    clock = Clock(monkeypatch)
    both = {"A": clock.spender("A", 0.01), "B": clock.spender("B", 5.0)}
    seconds = measure.take_turns(both, rounds=4, patience=1.0)
    assert (len(seconds["A"]), len(seconds["B"])) == (4, 1)


def test_quiet_is_waited_for_but_not_for_ever(monkeypatch):
    clock = Clock(monkeypatch)
    clock.busy = 0.035
    measure.until_quiet(0.01)
    assert len(clock.calls) == 5  # four spells in which a core is used, and one without
    clock.busy = 1e9
    measure.until_quiet(0.01, most=8)
    assert len(clock.calls) == 13


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


def test_several_calls_of_a_round_are_drawn_together():
    a, b = noisy(1.3)
    assert ratio_of_medians(a[:, None], b[:, None]) == ratio_of_medians(a, b)
    # The same times ten times over tell no more than once.
    assert ratio_of_medians(np.repeat(a[:, None], 10, axis=1), b[:, None]) == ratio_of_medians(a, b)


def test_only_rounds_that_both_took_part_in_count():
    a, b = noisy(1.3)
    assert ratio_of_medians(a, b[:20]) == ratio_of_medians(a[:20], b[:20]) == ratio_of_medians(a[:20], b)


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
