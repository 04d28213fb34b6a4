"""The study of timing: who is timed when, what is told of times that are known, and what noise may not pass for."""

import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import tiny

from isbe_np.environment import describe
from isbe_np.reports.timing import timing_text
from isbe_np.storage.json_data import misfit
from isbe_np.studies import steps, time_saved, timing
from isbe_np.studies.from_json import restore
from isbe_np.studies.measure import Ratio
from isbe_np.studies.steps import CONTESTANTS, CONTROL, PARTS, RIVALS, Timed
from isbe_np.studies.time_saved import Saving, chance_of, claim
from isbe_np.studies.timing import ANSWER, TimingStudy
from isbe_np.training import SGD


@pytest.mark.parametrize(("turn", "planned"), [
    (1, (12, 1)), (100, (12, 1)), (0.25, (30, 1)), (0.24, (30, 1)), (0.1251, (54, 1)), (0.125, (60, 1)), (0.0834, (60, 1)),
    (0.08, (60, 2)), (0.01, (60, 24))])
def test_the_budget_decides_how_many_rounds_of_how_many_steps(turn, planned):
    """Each round has a step more, which is not timed: 15 seconds are filled, and not by more than the least rounds take."""
    rounds, calls = planned
    assert steps.plan(turn, 15, 12, 60) == planned and (rounds == 12 or rounds * (calls + 1) * turn <= 15)


def test_all_is_compiled_before_a_turn_is_taken_for_its_measure(monkeypatch):
    called = []
    times = iter((0.0, 5.0, 5.0, 8.0, 8.0, 10.5))
    monkeypatch.setattr(steps, "time", SimpleNamespace(perf_counter=lambda: next(times)))
    assert steps.wake({name: lambda name=name: called.append(name) for name in "ab"}, 9) == 2.5
    assert "".join(called) == "ab" * 4


@pytest.fixture
def made_up(monkeypatch):
    """A clock that network, head and optimizer move on by known seconds, and the routes of the heads that were made."""
    now, routes = [0], []

    def takes(seconds):
        def run(*_, **__):
            now[0] += seconds
        return run

    def head(normalizer, route, kernels):
        assert kernels == "fast"
        routes.append(route)
        return SimpleNamespace(forward=takes(2), backward=takes(4), error=takes(32))

    monkeypatch.setattr(steps, "Head", head)
    monkeypatch.setattr(steps, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    net = SimpleNamespace(kernels="fast", forward=takes(1), backward=takes(8))
    return SimpleNamespace(net=net, optimizer=SimpleNamespace(step=takes(16)), routes=routes)


def test_the_parts_of_a_step(made_up):
    took = {name: steps.training_step(name, made_up.net, made_up.optimizer, None, None)() for name in CONTESTANTS}
    assert PARTS == ("forward", "backward", "head", "step")
    assert took.pop("one pass") == (1, 40, 32, 57)
    assert set(took.values()) == {(1 + 2, 4 + 8, 2 + 4, 31)} and made_up.routes == list(CONTESTANTS.values())
    assert CONTESTANTS[CONTROL] == CONTESTANTS["one pass"] == CONTESTANTS["isbe"] == "isbe"


def test_contestants_send_the_same_gradient_and_the_network_stays_as_it_is():
    net, data = tiny.net(), tiny.dataset()
    optimizer, before, gradients = SGD(steps.RATE, momentum=0.9, weight_decay=0.1), net.values.copy(), {}
    for name in CONTESTANTS:
        step = steps.training_step(name, net, optimizer, data.x_train, data.y_train)
        net.grads[:] = 0
        assert all(seconds >= 0 for seconds in step())
        gradients[name] = net.grads.copy()
    for gradient in gradients.values():
        np.testing.assert_allclose(gradient, gradients["isbe"], rtol=0, atol=1e-6)
    assert gradients["isbe"].any() and np.array_equal(net.values, before) and optimizer.steps == len(CONTESTANTS)


def test_a_cell_can_be_timed(monkeypatch):
    tiny.study(monkeypatch)
    told = steps.timing_cell("tiny", 3, (1, 2, 2), (2, 4), 1e-3, 0)
    assert told == json.loads(json.dumps(told)) and misfit(told, ANSWER) is None and list(told["seconds"]) == list(PARTS)
    for times in told["seconds"].values():
        assert list(times) == list(CONTESTANTS) and len({len(rounds) for rounds in times.values()}) == 1
        assert all(2 <= len(rounds) <= 4 and min(rounds) >= 0 for rounds in times.values())
    step = Timed("tiny", 3, **told)
    assert step.median("step", "fused") >= step.median("head", "fused") > 0


def timed(network="n0", batch=1, noise=0.0, seed=0, turns=2, **saved):
    """A cell of 20 rounds in which isbe saves the shares `saved` of each rival's times, apart from noise."""
    random = np.random.default_rng(seed)
    shares = {"forward": 0.3, "backward": 0.5, "head": 0.1, "step": 1.0}

    def rounds(part, name):
        median = 1e-3 * shares[part] / (1 - saved.get(name.replace(" ", "_"), 0))
        return (median * (1 + noise * random.normal(size=20))).tolist()
    return Timed(network, batch, turns, {part: {name: rounds(part, name) for name in CONTESTANTS} for part in PARTS})


def study(*cells, failed=None):
    return TimingStudy([1, 28, 28], [12, 60], 15.0, 2, 0, list(cells), failed or {})


def test_a_contestant_that_takes_longer_is_told_so():
    found = study(timed(fused=0.03, jacobian=-0.25, noise=0.002))
    fused, jacobian = (found.savings["n0", "step", rival][1] for rival in ("fused", "jacobian"))
    assert fused.value == pytest.approx(0.03, abs=0.003) and fused.low < fused.value < fused.high < fused.low + 0.01
    assert jacobian.value == pytest.approx(-0.25, abs=0.003)
    assert found.seen("n0", "step", "fused") == [1] == found.seen("n0", "step", "jacobian", "slower")
    assert fused.words(found.floor("n0", "step")) == "faster" and jacobian.words() == "slower"


def test_of_equal_ones_it_is_told_what_difference_could_have_been_missed():
    found = study(timed(noise=0.01))
    for rival in RIVALS:
        s, floor = found.savings["n0", "step", rival][1], found.floor("n0", "step")
        assert s.verdict(floor) == "" and 0 < max(-s.low, s.high) < 0.02
        assert s.words(floor).startswith("no difference above ") and s.words(floor).endswith(" %")


@pytest.mark.parametrize(("s", "floor", "words"), [
    (Saving(0.02, 0.01, 0.03), 0.019, "faster"), (Saving(0.02, 0.01, 0.03), 0.02, "no difference above 3.0 %"),
    (Saving(0.02, 0.01, 0.03), 0.0401, "no difference above 4.1 %"), (Saving(-0.02, -0.0312, -0.01), 0, "slower"),
    (Saving(-0.02, -0.0312, -0.01), 0.02, "no difference above 3.2 %"), (Saving(0, 0, 0), 0, "no difference above 0.0 %")])
def test_a_difference_counts_only_beyond_the_noise(s, floor, words):
    assert s.words(floor) == words


def test_the_noise_is_the_most_that_the_control_shows_at_any_batch_size_of_the_network():
    found = study(timed(fused=0.02, isbe_again=0.01), timed(batch=4, fused=0.04, isbe_again=-0.03), timed("n1", fused=0.02))
    assert found.floor("n0", "backward") == pytest.approx(0.03) and found.floor("n1", "backward") == pytest.approx(0)
    assert found.seen("n0", "backward", "fused") == [4] and found.seen("n1", "backward", "fused") == [1]


def test_a_share_saved_follows_from_the_ratio_of_times():
    s = time_saved.saving(Ratio(1.25, 1, 2))
    assert (s.value, s.low, s.high) == pytest.approx((0.2, 0, 0.5)) and s.text() == "+20.0 [+0.0, +50.0]"
    assert Saving(-0.0001, -0.01, 0).text() == "+0.0 [-1.0, +0.0]"


def test_means_over_batch_sizes_and_their_intervals():
    s = time_saved.mean([Saving(0.02, -0.01, 0.06), Saving(0.04, 0, 0.07)])
    assert (s.value, s.low, s.high) == pytest.approx((0.03, 0.03 - 0.025, 0.03 + 0.025))
    found = study(timed(fused=0.02), timed(batch=4, fused=0.06), timed("n1", fused=0.03, isbe_again=0.03))
    assert found.pooled("n0", "step", "fused").value == pytest.approx(0.04)
    assert found.pooled_verdict("n0", "step", "fused") == "faster" and found.pooled_verdict("n1", "step", "fused") == ""


@pytest.mark.parametrize(("savings", "floor", "verdict"), [
    (((0.01, 0, 0.029), (0.05, 0.03, 0.06)), 0.01, "confirmed"), (((0.05, 0.03, 0.06),), 0.05, "cannot be told"),
    (((0.01, 0, 0.029), (-0.01, -0.2, 0.02)), 0.02, "refuted"), (((0.01, 0, 0.029),), 0.03, "cannot be told"),
    (((0.01, 0, 0.02), (0.05, 0.02, 0.07)), 0.01, "cannot be told")])
def test_the_claim_of_three_per_cent(savings, floor, verdict):
    assert claim({batch: Saving(*s) for batch, s in enumerate(savings)}, floor) == verdict


def test_what_the_head_alone_saves_of_a_step():
    cell = timed()
    cell.seconds["head"]["fused"] = [0.00016] * 20
    assert study(cell).by_head(cell, "fused", "step").value == pytest.approx(0.06)
    assert study(cell).by_head(cell, "fused", "backward").value == pytest.approx(0.12)


def test_the_chance_of_misses():
    assert chance_of(0, 36) == pytest.approx(1) and chance_of(1, 36) == pytest.approx(1 - 0.95**36)
    assert chance_of(2, 2) == pytest.approx(0.0025)


def invented(net, batch, image, rounds, seconds, seed):
    if batch == 4:
        raise FloatingPointError("no soft scores")
    cell = timed(noise=0.01, seed=seed, fused=0.02)
    return {"turns": cell.turns, "seconds": cell.seconds}


def test_cells_are_asked_of_workers_and_stored_and_failures_are_told(monkeypatch, tmp_path):
    tiny.study(monkeypatch)
    asked = []
    monkeypatch.setattr(timing, "timing_cell", lambda **given: asked.append(given) or invented(**given))
    with ThreadPoolExecutor(1) as here:
        found, again = (timing.timing(("tiny", "linear"), (2, 4), image=(1, 2, 2), rounds=(2, 3), seconds=0.1, threads=1,
                                      folder=tmp_path, executor=here, progress=False) for _ in range(2))
    assert [(cell.network, cell.batch) for cell in found.cells] == [("tiny", 2), ("linear", 2)] and found == again
    fault = "FloatingPointError: no soft scores"
    assert found.failed == {f"{net} batch 4": fault for net in ("tiny", "linear")}
    assert asked[0] == {"net": "tiny", "batch": 2, "image": [1, 2, 2], "rounds": [2, 3], "seconds": 0.1, "seed": 0}
    assert [given["batch"] for given in asked] == [2, 4, 2, 4, 4, 4]
    text = timing_text(found, 2000)
    assert text.endswith(f"tiny batch 4 failed: {fault}\n\nlinear batch 4 failed: {fault}")
    assert "Of cells that failed nothing is known" in text


def test_times_of_another_machine_are_not_taken(monkeypatch, tmp_path):
    tiny.study(monkeypatch)
    asked = []
    monkeypatch.setattr(timing, "timing_cell", lambda **given: asked.append(given) or invented(**given))
    with ThreadPoolExecutor(1) as here:
        def ask():
            timing.timing(("tiny",), (2,), image=(1, 2, 2), threads=1, folder=tmp_path, executor=here, progress=False)
            return len(asked)

        assert ask() == 1 and ask() == 1
        file, = tmp_path.glob("*.json")
        file.write_text(json.dumps(json.loads(file.read_text()) | {"environment": describe() | {"cpu": "another"}}))
        assert ask() == 2


def test_a_study_can_be_told_and_made_again():
    found = study(timed(noise=0.01, fused=0.05), timed(batch=4, noise=0.01, seed=1), failed={"n1 batch 1": "dead"})
    told = json.loads(json.dumps(found.as_dict()))
    again = restore(TimingStudy, told)
    assert again == found and timing_text(again) == timing_text(found) and again.as_dict() == found.as_dict()
    assert {"network": "n0", "part": "step", "rival": "fused", "batch": 1}.items() <= next(
        s for s in told["savings"] if (s["part"], s["rival"]) == ("step", "fused") and s["verdict"] == "faster").items()
    assert [c["verdict"] for c in told["claims"] if c["rival"] == "fused" and c["part"] == "step"] == ["confirmed"]


def test_the_text_says_what_was_found():
    cells = [timed(fused=0.01, jacobian=0.2, one_pass=-0.05), timed(batch=64, jacobian=0.2),
             timed("n1", fused=0.04, jacobian=-0.2), timed("n2", fused=0.04, isbe_again=0.05)]
    text = timing_text(study(*cells), 2000)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    nothing = "+0.0 [+0.0, +0.0]"
    assert f"n0 1 20 x 2 0.500 +20.0 [+20.0, +20.0]* {nothing} +1.0 [+1.0, +1.0]* {nothing} faster" in lines
    assert (f"n0 1 20 x 2 1.000 +20.0 [+20.0, +20.0]* {nothing} +1.0 [+1.0, +1.0]* -5.0 [-5.0, -5.0]* {nothing} faster"
            in lines)
    assert f"n2 1 100.0 {nothing} {nothing} +4.0 [+4.0, +4.0] {nothing} +5.0 [+5.0, +5.0] 10.0 0.4 [0.4, 0.4]" in lines
    assert "n0 fused step +0.5 [+0.5, +0.5] 1 none 0.0 0.1 refuted" in lines
    assert "n0 jacobian step +20.0 [+20.0, +20.0]* 1, 64 1, 64 0.0 2 confirmed" in lines
    assert "n2 fused step +4.0 [+4.0, +4.0] none none 5.0 0.4 cannot be told" in lines
    saved = "is saved at some batch size"
    assert (f"- Against fused, that 3 % of the whole step {saved}: confirmed for n1; refuted for n0; cannot be told for n2."
            in lines)
    assert (f"- Against jacobian, that 3 % of the backward pass {saved}: confirmed for n0; refuted for n1; cannot be told for "
            "n2." in lines)
    assert ("- In the whole step isbe can be told from fused as faster: n0 at batch 1; n1 at batch 1 (on the mean over batch "
            "sizes: none); as slower: nowhere (on the mean over batch sizes: none).") in lines
    assert "- All of fused's head, both halves, is at most 10.0 % of its step (n" in text
    assert "in 5 % of cells, 0.2 of 4. It has, and seems to save or lose: forward 1, at most 5.0 % (n2, batch 1);" in text
    assert ("- Many comparisons: of 8 intervals against fused chance alone would put 0.2 above 0 and as many below. Found are "
            "6 above (4 of them beyond the control) and 0 below (0 of them beyond the control).") in lines
    assert "Of cells that failed" not in text


def test_a_control_that_differs_too_often_is_told():
    text = timing_text(study(*(timed(batch=batch, isbe_again=0.01) for batch in (1, 2))), 2000)
    assert "step 2 (more than chance: its intervals are too narrow), at most 1.0 % (n0, batch 1)" in text


def test_what_the_head_saves_is_told_from_short_steps_to_long_ones():
    def longer(times):
        cell = timed("n1", batch=times, fused=0.05)
        for seconds in cell.seconds["step"].values():
            seconds[:] = [times * s for s in seconds]
        return cell

    text = timing_text(study(*map(longer, (8, 1, 2, 4, 16, 32, 64))), 2000)
    assert ("from fused's short steps to its long ones: 0.5 % of 1.05 ms (n1, batch 1), 0.12 % of 4.21 ms (n1, batch 4), 0.062 "
            "% of 8.42 ms (n1, batch 8), 0.031 % of 16.8 ms (n1, batch 16), 0.0078 % of 67.4 ms (n1, batch 64)." in text)


def test_nothing_timed_can_be_told():
    text = timing_text(study(failed={"n0 batch 1": "BrokenProcessPool: dead"}), 2000)
    assert "What this says" not in text and text.endswith("n0 batch 1 failed: BrokenProcessPool: dead")


@pytest.mark.parametrize(("given", "match"), [
    ({"nets": ("n9",)}, "timing: nets expects"), ({"batches": (0,)}, "timing: batches expects"),
    ({"rounds": (1, 4)}, "timing: rounds expects .* at least 2"), ({"rounds": (8, 4)}, "timing: rounds expects .* at least 8"),
    ({"seconds": 0}, "timing: seconds expects"), ({"seconds": float("nan")}, "timing: seconds expects"),
    ({"seconds": float("inf")}, "timing: seconds expects")])
def test_what_makes_no_sense_is_refused(given, match):
    with pytest.raises(ValueError, match=match):
        timing.timing(**({"nets": ()} | given))  # without a network nothing would be timed
