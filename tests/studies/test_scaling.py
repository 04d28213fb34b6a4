"""The study of scaling: what fits is predicted before it is tried, what is fitted is exact, and what was not run is told."""

import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.compiler.jit import SETTINGS
from isbe_np.studies import memory_limits, scaling
from isbe_np.studies.growth import crossing, power_law
from isbe_np.studies.measure import peak_memory
from isbe_np.studies.memory_limits import RUNS, available_memory, most_classes, predicted_bytes, refusal, size
from isbe_np.studies.scaling import Point, ScalingStudy

LIMIT = "isbe_np.heads.normalizers.JACOBIAN_LIMIT"


@pytest.fixture
def here():
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def invented(monkeypatch):
    """Times that are known, C µs and C² for jacobian, the calls that were timed, and no more than 1 GB of memory."""
    timed = []

    def take_turns(functions, rounds, **_):
        errors = {run: call().copy() for run, call in functions.items()}
        timed.append(errors)
        C = errors["isbe"].shape[1]
        return {run: np.full((rounds, 3), (C * C if run == "jacobian" else C) * 1e-6) for run in functions}

    monkeypatch.setattr(scaling, "take_turns", take_turns)
    monkeypatch.setattr(scaling, "available_memory", lambda: 10**9)
    return timed


def test_predicted_memory_is_what_is_held():
    # a few kilobytes of Python's own objects, a tracer's among them, do not count; an array is 12,800 bytes
    N, C = 16, 200
    random = np.random.default_rng(0)
    scores, labels = random.standard_normal((N, C), np.float32), random.integers(0, C, N)
    for run in isbe.ROUTES if SETTINGS.DISABLE_JIT else RUNS:  # without the compiler there is no one pass
        call = scaling._call(run, scores, labels)
        call()
        assert abs(peak_memory(call) - predicted_bytes(run, N, C)) < 6000, run


def test_the_package_refuses_what_is_predicted_and_takes_what_fits(monkeypatch):
    limit = 4 * 5 * 7**2
    monkeypatch.setattr(LIMIT, limit)
    head = isbe.Head(route="jacobian")
    assert most_classes(5, 10**9, limit)[0] == 7
    for C, fits in ((7, True), (8, False)):
        assert (refusal("jacobian", 5, C, 10**9, limit) == "") == fits
        head.forward(np.zeros((5, C), np.float32))
        if fits:
            assert head.backward(np.zeros(5, int)).shape == (5, 7)
        else:
            with pytest.raises(MemoryError):
                head.backward(np.zeros(5, int))


@pytest.mark.parametrize("available", [0, 10**5, 10**9, 24_807_628_800])
@pytest.mark.parametrize("batch", [1, 32])
def test_the_most_classes_are_the_last_that_are_not_refused(batch, available):
    _, machine = most_classes(batch, available, 10**30)
    assert refusal("jacobian", batch, machine + 1, available, 10**30)
    assert machine <= 0 or not refusal("jacobian", batch, machine, available, 10**30)


def test_other_routes_have_limits_too():
    assert refusal("isbe", 1, 1000, 2 * 4 * 1000 * 5, 0) == ""
    assert refusal("isbe", 1, 1001, 2 * 4 * 1000 * 5, 0) == "predicted 12 kB, beyond 50% of the 40 kB available"


def write(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


MEMINFO = {"proc__meminfo": "MemTotal:  2000 kB\nMemAvailable:   1000 kB\nHugePages: 0\n"}


def test_what_linux_says_is_available(tmp_path):
    write(tmp_path, **MEMINFO)
    assert available_memory(tmp_path) == 1_024_000 and 0 < available_memory()


def test_a_container_may_allow_less(tmp_path):
    write(tmp_path, **MEMINFO, proc__self__cgroup="0::/a/b\n", **{
        "sys__fs__cgroup__a__b__memory.max": "max\n", "sys__fs__cgroup__a__b__memory.current": "5\n",
        "sys__fs__cgroup__a__memory.max": "9000\n", "sys__fs__cgroup__a__memory.current": "5000\n",
        "sys__fs__cgroup__a__memory.stat": "anon 1\ninactive_file 300\n"})
    assert available_memory(tmp_path) == 4300
    write(tmp_path, **{"sys__fs__cgroup__a__memory.current": "9999\n"})
    assert available_memory(tmp_path) == 0


def test_a_container_of_the_first_version_that_knows_not_its_host(tmp_path):
    write(tmp_path, **MEMINFO, proc__self__cgroup="5:cpu:/x\n4:memory:/docker/1\n0::/x\n", **{
        "sys__fs__cgroup__memory__memory.limit_in_bytes": "8000", "sys__fs__cgroup__memory__memory.usage_in_bytes": "5000",
        "sys__fs__cgroup__memory__memory.stat": "inactive_file 1\ntotal_inactive_file 20\n"})
    assert available_memory(tmp_path) == 3020


def test_other_systems(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_limits.os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}.__getitem__, raising=False)
    assert available_memory(tmp_path) == 2_048_000
    monkeypatch.delattr(memory_limits.os, "sysconf")
    assert available_memory(tmp_path) == memory_limits.UNKNOWN


def test_a_power_law_is_found_over_the_largest_sizes():
    law = power_law({2: 99.0, **{C: 3.0 * C**2 for C in (16, 4, 8)}}, 3)
    assert (law.first, law.last, law.points) == (4, 16, 3)
    assert (law.exponent, law.scale, law.r2, law.flattest, law.steepest) == pytest.approx((2, 3, 1, 2, 2))
    assert law.error == pytest.approx(0, abs=1e-12) == law.deviation and law.at(5) == pytest.approx(75)


def test_how_well_a_law_fits():
    law = power_law({1: 1.0, 2: 4.0, 4: 4.0}, 6)  # in log2: 0, 2, 2 at 0, 1, 2, so that the line is 1/3 + x
    assert (law.exponent, law.flattest, law.steepest) == pytest.approx((1, 0, 2), abs=1e-12)
    assert law.deviation == pytest.approx(2 ** (2 / 3) - 1) and law.r2 == pytest.approx(0.75)
    assert law.error == pytest.approx(math.sqrt((6 / 9) / 1 / 2))
    assert power_law({1: 1.0, 2: 1.0}, 6) is None and power_law({1: 1.0, 2: 1.0, 4: 1.0}, 6).r2 == 0


@pytest.mark.parametrize(("values", "at"), [
    ({2: 1, 8: 100}, 4), ({2: 1, 4: 20, 8: 5, 16: 20}, 8 * math.sqrt(2)), ({4: 10, 8: 11}, 4), ({2: 1, 4: 10}, 4),
    ({2: 11, 4: 9}, None), ({}, None)])
def test_where_a_level_is_passed_for_good(values, at):
    assert crossing(values, 10) == (at if at is None else pytest.approx(at))


def test_times_of_all_routes_come_from_one_cell_and_what_is_too_large_is_not_tried(invented, here, monkeypatch, tmp_path):
    monkeypatch.setattr(LIMIT, 4 * 2 * 40**2)
    found = scaling.scaling((64, 4, 8, 16, 32), batch=2, rounds=6, folder=tmp_path, executor=here, progress=False)
    assert [list(errors) for errors in invented] == 4 * [list(RUNS)] + [list(RUNS[1:])]
    for errors in invented:
        for error in errors.values():
            np.testing.assert_allclose(error, errors["isbe"], rtol=0, atol=1e-6)
    assert [point.classes for point in found.points[::5]] == [4, 8, 16, 32, 64] and not found.failed
    left, = (point for point in found.points if point.refused)
    assert (left.run, left.classes, left.seconds, left.memory) == ("jacobian", 64, [], None)
    assert left.refused == "predicted 34.8 kB, and J is beyond the package's limit of 12.8 kB"
    laws = found.laws("time")
    assert laws["jacobian"].exponent == pytest.approx(2) and laws["isbe"].exponent == pytest.approx(1)
    assert (laws["jacobian"].last, laws["isbe"].last) == (32, 64) and found.ten_times() == pytest.approx((10, 10, 10))
    again = scaling.scaling((64, 4, 8, 16, 32), batch=2, rounds=6, folder=tmp_path, executor=here, progress=False)
    assert again == found and len(invented) == 5
    told = json.loads(json.dumps(found.as_dict()))
    assert told["most_classes"]["package"] == 40 and told["laws"]["memory"]["isbe"]["points"] == 4


def test_only_cells_that_now_fit_are_measured_anew(invented, here, monkeypatch, tmp_path):
    def ask():
        return scaling.scaling((4, 64), batch=2, rounds=2, folder=tmp_path, executor=here, progress=False)

    monkeypatch.setattr(LIMIT, 4 * 2 * 40**2)
    assert not ask().of("jacobian")[64].seconds
    monkeypatch.setattr(LIMIT, 10**6)
    assert ask().of("jacobian")[64].seconds and len(invented) == 3


def test_a_worker_asks_its_own_machine(invented, here, monkeypatch):
    found = scaling.scaling((4, 64), batch=2, rounds=2, memory=10**12, executor=here, progress=False)
    assert found.available == 10**12 and not [point for point in found.points if point.refused]
    monkeypatch.setattr(scaling, "available_memory", lambda: 50_000)
    found = scaling.scaling((4, 64), batch=2, rounds=2, memory=10**12, executor=here, progress=False)
    refused = [(point.run, point.classes, point.refused) for point in found.points if point.refused]
    assert refused == [("jacobian", 64, "predicted 34.8 kB, beyond 50% of the 50 kB available")]


def test_what_the_system_refuses_all_the_same_is_told(invented, here, monkeypatch):
    def refuse(*_):
        raise MemoryError("none left")

    monkeypatch.setattr("isbe_np.heads.routes.kernels.jacobian_error", refuse)
    found = scaling.scaling((4,), batch=2, rounds=2, executor=here, progress=False)
    assert found.of("jacobian")[4].refused == "tried, and refused: none left" and found.of("isbe")[4].seconds


def test_a_cell_can_be_measured():
    told = scaling.scaling_cell(6, 3, 2, 0, RUNS, turn=1e-3)
    assert {run: len(times) for run, times in told["seconds"].items()} == dict.fromkeys(RUNS, 2) and not told["refused"]
    assert all(seconds > 0 for times in told["seconds"].values() for seconds in times) and told["available"] > 0


@pytest.mark.parametrize(("given", "kind", "match"), [
    ({"batch": 0}, ValueError, "scaling: batch expects"), ({"rounds": 1}, ValueError, "scaling: rounds"),
    ({"classes": (1, 2)}, ValueError, "scaling: classes"), ({"memory": 1.5}, TypeError, "scaling: memory")])
def test_what_makes_no_sense_is_refused(given, kind, match):
    with pytest.raises(kind, match=match):
        scaling.scaling(**given)


def study(level=1, rounds=6, sizes=(4, 8, 16, 32)):
    points = [Point(run, C, predicted_bytes(run, 2, C), [1e-6 * (level * C if run == "jacobian" else 1)] * rounds,
                    predicted_bytes(run, 2, C)) for C in sizes for run in RUNS]
    points += [Point(run, 64, predicted_bytes(run, 2, 64), refused="too much") for run in RUNS]
    return ScalingStudy(2, rounds, 1, 0, 10**6, 10**5, points, {"128 classes batch 2": "BrokenProcessPool: dead"})


def test_the_text_says_what_was_found_and_what_was_not_run():
    lines = [" ".join(line.split()) for line in study().text(2000).splitlines()]
    assert "16 16.0 1.0 1.0 1.0 1.0 16 [16, 16] 1 [1, 1]" in lines and "64 not run not run not run not run not run" in lines
    assert "64 (34.8 kB) (2.56 kB) (1.54 kB) (1.54 kB) (512 B)" in lines
    assert "time jacobian 4 to 32 1.000 ± 0.000 1.00000 0.0% 1.00 to 1.00" in lines
    assert any(line.startswith("- Route jacobian takes 10 times as long as isbe from about 10 classes on (between 8 and 16")
               and "and 32 times as long at 32" in line for line in lines)
    assert any("fits up to 111 classes by the package's limit of 100 kB, and up to 247 by 50% of the 1 MB" in line and
               "from 112 on" in line for line in lines)
    assert "- Not run: jacobian at 64 classes (at 64: too much)." in lines
    assert any("no difference between fused and isbe can be told" in line for line in lines)
    assert lines[-1] == "128 classes batch 2 failed: BrokenProcessPool: dead"


@pytest.mark.parametrize(("level", "words"), [
    (0.1, "does not take 10 times as long as isbe at any size up to 32 classes"),
    (9, "10 times as long as isbe, or more, at every size from the smallest, 4 classes")])
def test_a_level_that_is_never_or_always_passed(level, words):
    assert words in study(level).text(2000)


def test_few_rounds_have_no_interval_and_no_verdict():
    text = study(rounds=2).text(2000)
    assert "16 (2 rounds)" in text and "can be told" not in text


def test_nothing_measured_can_be_told():
    text = study(sizes=()).text(2000)
    assert "Route jacobian was not timed beside isbe." in text and "off its prediction" not in text


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (999.6, "1 kB"), (4.29e9, "4.29 GB"),
                                             (2.2e12, "2.2 TB")])
def test_bytes_are_told_in_three_digits(count, text):
    assert size(count) == text
