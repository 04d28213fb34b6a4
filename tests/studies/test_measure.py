"""How far apart, how long, how sure: on numbers whose answers are known."""

import itertools
from collections import Counter

import numba
import numpy as np
import pytest

from isbe_np.studies import measure
from isbe_np.studies.measure import Ratio, paired_ratio, relative_difference


@pytest.mark.parametrize(("a", "b", "wanted"), [
    ([1, 2, 4], [1, 2, 4], 0), ([1, 2, 5], [1, 2, 4], 0.25), ([0, 0], [0, 0], 0), ([0, 1], [0, 0], np.inf),
    ([-3], [4], 1.75), ([], [], 0), ([1, np.nan], [1, 1], np.nan), ([1, 1], [np.nan, 1], np.nan),
])
def test_relative_difference(a, b, wanted):
    assert relative_difference(np.array(a, float), np.array(b, float)) == pytest.approx(wanted, nan_ok=True)


def test_relative_difference_of_float32_is_not_rounded_to_float32():
    a = np.array([np.float32(1) + np.float32(2.0 ** -23)], np.float32)
    assert relative_difference(a, np.ones(1)) == 2.0 ** -23


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6])
def test_each_contestant_comes_equally_often_at_each_place_and_after_each_other_one(count):
    block = count * (1 + count % 2)
    for seed in range(5):
        turns = measure.orders(count, 3 * block, seed)
        for first in range(0, len(turns), block):
            some = turns[first:first + block]
            places = Counter(pair for turn in some for pair in enumerate(turn))
            pairs = Counter(pair for turn in some for pair in itertools.pairwise(turn))
            assert set(places) == set(itertools.product(range(count), repeat=2))
            assert set(pairs) == set(itertools.permutations(range(count), 2))
            assert set(places.values()) <= {block // count} and set(pairs.values()) <= {block // count}


def test_orders_are_drawn_by_the_seed():
    assert measure.orders(4, 40, 1) == measure.orders(4, 40, 1) != measure.orders(4, 40, 2)
    assert len(measure.orders(4, 7)) == 7 and len({tuple(turn) for turn in measure.orders(4, 400)}) == 24


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


def test_a_turn_is_a_call_that_is_not_timed_and_then_timed_ones(monkeypatch):
    clock = Clock(monkeypatch)
    lengths = {"A": iter([9, 9, 1, 9, 2, 9, 3]), "B": iter([9, 9, 10, 9, 20, 9, 30])}

    def spender(name):
        def spend():
            clock.calls.append(name)
            clock.now += next(lengths[name])
        return spend

    seconds = measure.take_turns({name: spender(name) for name in "AB"}, 3)
    assert clock.calls[:3] == ["z", "A", "B"]
    rounds = ["".join(clock.calls[k:k + 4]) for k in (3, 7, 11)]
    assert set(rounds) == {"AABB", "BBAA"} and list(seconds) == ["A", "B"]
    np.testing.assert_allclose(seconds["A"], [[1], [2], [3]])
    np.testing.assert_allclose(seconds["B"], [[10], [20], [30]])


def test_a_turn_can_be_quiet_and_wake_its_own_threads(monkeypatch):
    clock = Clock(monkeypatch)
    both = {"A": clock.spender("A", 0.25), "B": clock.spender("B", 1.0)}
    seconds = measure.take_turns(both, rounds=2, turn=0.75, most=9, waking=0.5, quiet=True)
    # Waking takes two calls of A and one of B, a turn three and one; a trial, one turn and a call more, tells how many.
    rounds = "".join(clock.calls).removeprefix("z" "zAAA" "zBB")
    assert rounds in ("zAAAAA" "zBB" "zBB" "zAAAAA", "zBB" "zAAAAA" "zAAAAA" "zBB")
    for name, wanted in (("A", np.full((2, 3), 0.25)), ("B", np.full((2, 1), 1.0))):
        np.testing.assert_allclose(seconds[name], wanted)


def test_a_turn_has_at_most_so_many_calls_however_short(monkeypatch):
    clock = Clock(monkeypatch)
    assert measure.take_turns({"A": clock.spender("A", 1e-4)}, 3, turn=1, most=7)["A"].shape == (3, 7)


def test_a_contestant_may_tell_its_own_seconds():
    seconds = measure.take_turns({"A": lambda: (1, 2), "BB": lambda: (3, 4)}, 5, calls=2, clock=lambda function: function())
    assert seconds["A"].shape == (5, 2, 2) and seconds["BB"][4, 1].tolist() == [3, 4]


def test_whoever_is_too_slow_leaves_after_a_whole_turn(monkeypatch):
    clock = Clock(monkeypatch)
    both = {"A": clock.spender("A", 0.01), "B": clock.spender("B", 5.0)}
    seconds = measure.take_turns(both, rounds=4, patience=1.0)
    assert (len(seconds["A"]), len(seconds["B"])) == (4, 1)


TRUE = {"light": 1.0, "heavy": 8.0, "middle": 1.5, "again": 1.0}


@pytest.mark.parametrize("names", [*itertools.permutations(TRUE)], ids=" ".join)
def test_the_true_ratios_are_found_in_any_order_of_contestants(names, monkeypatch):
    """The heavy one leaves the caches in such a state that the next call of another contestant takes four times as long.

    A rotation, in which each keeps its predecessor, gives the one after the heavy one four times its time.
    """
    clock, last = Clock(monkeypatch), [None]
    random = np.random.default_rng(1)

    def contestant(name):
        def call():
            after = 4.0 if last[0] == "heavy" and name != "heavy" else 1.0
            clock.now += TRUE[name] * after * random.lognormal(0, 0.02)
            last[0] = name
        return call

    seconds = measure.take_turns({name: contestant(name) for name in names}, rounds=24)
    for name, true in TRUE.items():
        found = paired_ratio(seconds[name], seconds["light"])
        assert found.value == pytest.approx(true, rel=0.03) and found.high / found.low < 1.06


@pytest.mark.parametrize("names", [*itertools.permutations(TRUE)], ids=" ".join)
def test_an_after_effect_that_lasts_is_over_at_the_median_call_of_a_turn(names, monkeypatch):
    """Here it halves with each call."""
    clock, left = Clock(monkeypatch), [0.0]

    def contestant(name):
        def call():
            clock.now += TRUE[name] * (1 + (left[0] if name != "heavy" else 0))
            left[0] = 3.0 if name == "heavy" else left[0] / 2
        return call

    seconds = measure.take_turns({name: contestant(name) for name in names}, rounds=12, calls=11)
    for name, true in TRUE.items():
        assert paired_ratio(seconds[name], seconds["light"]).value == pytest.approx(true, rel=0.05)


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
    found = paired_ratio(*noisy(ratio))
    assert found.low <= ratio <= found.high and found.low < found.value < found.high
    assert found.high / found.low < 1.1


@pytest.mark.parametrize("rounds", [4, 15, 60])
def test_the_interval_misses_the_true_ratio_about_once_in_twenty(rounds):
    misses = 0
    for seed in range(400):
        found = paired_ratio(*noisy(1, rounds, seed))
        misses += not found.low <= 1 <= found.high
    assert 5 <= misses <= 35


def test_equal_times_have_the_ratio_1_without_doubt():
    times = np.array([1.0, 2.0, 5.0])
    assert paired_ratio(times, times) == Ratio(1, 1, 1)


def test_a_slow_spell_of_both_widens_nothing():
    a, b = noisy(1.3)
    spell = np.where(np.arange(60) % 7 == 0, 50.0, 1.0)
    assert paired_ratio(a * spell, b * spell).high == pytest.approx(paired_ratio(a, b).high)


def test_the_calls_of_a_round_count_as_one():
    a, b = noisy(1.3)
    assert paired_ratio(a[:, None], b[:, None]) == paired_ratio(a, b)
    assert paired_ratio(np.repeat(a[:, None], 10, axis=1), b[:, None]) == paired_ratio(a, b)


def test_only_rounds_that_both_took_part_in_count():
    a, b = noisy(1.3)
    assert paired_ratio(a, b[:20]) == paired_ratio(a[:20], b[:20]) == paired_ratio(a[:20], b)


def test_outliers_move_nothing():
    a, b = noisy(1.3)
    a[3:9], b[20:28] = 1e6, 1e6
    assert paired_ratio(a, b).value == pytest.approx(1.3, rel=0.1) and paired_ratio(a, b).high < 1.4


def test_a_single_round_has_no_interval():
    assert paired_ratio(np.array([3.0]), np.array([2.0])) == Ratio(pytest.approx(1.5), 0, np.inf)


@pytest.mark.parametrize(("freedom", "wanted"), [(1, 12.7062), (2, 4.30265), (4, 2.77645), (5, 2.57058), (7, 2.36462),
                                                 (20, 2.08596), (1000, 1.96234)])
def test_students_t_is_that_of_the_tables(freedom, wanted):
    assert measure.student(freedom) == pytest.approx(wanted, rel=1e-3)


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
