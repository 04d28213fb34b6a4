"""`scripts/fault_drill.py` would notice: damage is damage, and what is not survived gets into the table and the exit code."""

import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import isbe_np as isbe

SCRIPTS = Path(__file__).parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

import fault_drill  # noqa: E402  it is a script, in no package
from drill import (  # noqa: E402
    archives,
    checkpoints,
    crew,
    data,
    datafiles,
    downloads,
    facts,
    judge,
    kills,
    mutations,
    subjects,
    training,
    zips,
)
from drill.rows import Drill, Outcome, Row, text  # noqa: E402

pytestmark = pytest.mark.exhaustive

posix = pytest.mark.skipif(sys.platform == "win32", reason="the drill kills, forks and links as POSIX does")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder as the section of checkpoints has it, with trained networks in `made`."""
    folder = tmp_path_factory.mktemp("drill")
    subjects.make(folder / "made")
    return folder


@pytest.fixture
def checkpoint(made):
    """The bytes of a checkpoint in which there is everything."""
    return (made / "made" / "images" / "checkpoint.npz").read_bytes()


# The damage


@pytest.mark.parametrize("subject", subjects.SUBJECTS)
def test_an_undamaged_file_is_written_anew_with_the_same_bytes(made, subject):
    """So that whatever is refused is refused for what was changed."""
    right = (made / "made" / subject / "checkpoint.npz").read_bytes()
    assert zips.taken_apart(right).build() == right


@pytest.mark.parametrize("kind", mutations.MUTATIONS)
def test_the_same_random_numbers_do_the_same_damage(checkpoint, kind):
    found = {mutations.mutated(kind, checkpoint, np.random.default_rng(seed)) for seed in (1, 2, 3, 1, 2, 3)}
    assert checkpoint not in found and len(found) <= 3
    assert len(found) == 3 or kind == "blank", "there are few blank files"


@pytest.mark.parametrize("kind", [*archives.LIES, *facts.NAMES])
def test_lies_are_the_same_for_the_same_numbers_and_have_a_right_sum(checkpoint, kind, tmp_path):
    def lie(seed):
        random = np.random.default_rng(seed)
        return facts.changed(kind, checkpoint, random) if kind in facts.NAMES else \
            archives.lying(kind, checkpoint, random, str(tmp_path / "canary"))

    for seed in (1, 2):
        found = lie(seed)
        assert found == lie(seed) != checkpoint and mutations.resealed(found) == found
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name, kinds", [
    (data.IMAGES, datafiles.OWN["idx"]), (data.LABELS + ".gz", datafiles.OWN["gz"]), (data.BATCH, datafiles.OWN["cifar"])])
def test_data_files_are_damaged_and_the_other_reader_reads_right_ones(shrunk, name, kinds):
    right = shrunk[name]
    for kind, mutate in kinds.items():
        for seed in range(3):
            found = mutate(right, np.random.default_rng(seed))
            assert found == mutate(right, np.random.default_rng(seed)), kind
        assert {mutate(right, np.random.default_rng(seed)) for seed in range(20)} - {right}, kind
    if name != data.BATCH:
        assert np.array_equal(datafiles.seen(right), datafiles.arrays()[name.removesuffix(".gz")])


def test_the_same_seed_tries_the_same_faults(tmp_path):
    one, same, other = (checkpoints.cases(Drill(tmp_path, seed, short=True), tmp_path) for seed in (3, 3, 4))
    assert one == same and one != other
    assert {case.kind for case in one} == {kind for _, kinds in checkpoints.GROUPS.values() for kind in kinds}


# The judge of loads


def judged(made, load, right=True, passed=None, path=None):
    """What is said of a load of the right checkpoint, or of the file at `path`."""
    path = path or made / "made" / "images" / "checkpoint.npz"
    _, whole, _ = checkpoints.original(made, "images")
    return judge.judged(lambda: load(path), path, whole if right else None, made / "canary", passed)


def loaded(path):
    found = isbe.load_checkpoint(path)
    return judge.Loaded(found.net, found.head, found.optimizer, note=found.note)


@pytest.mark.parametrize("right", [True, False])
def test_a_right_load_and_a_clear_error_are_survived(made, right):
    def refuse(path):
        raise ValueError(f"{path}: expected this; got that. Do so.")

    for load, was in ((loaded, True), (refuse, False)):
        outcome = judged(made, load, right)
        assert not outcome.fault and not outcome.wrong and outcome.loaded is was


def changed(part):
    """A load that returns what is in the file but for one bit."""
    def load(path):
        found = loaded(path)
        if part == "random":
            found.net.random.random()
        elif part == "steps":
            found.optimizer.steps += 1
        elif part == "note":
            found.rest["note"] = {"classes": ["a", "b", "d"]}
        else:
            array = {"parameter": found.net.parameters()[0].value, "state": next(iter(found.net.state().values())),
                     "memory": found.net.parts(found.optimizer.memory[1])["dense_1.bias"]}[part]
            array.view(np.uint32).flat[0] ^= 1
        return found
    return load


@pytest.mark.parametrize("part", ["parameter", "state", "memory", "random", "steps", "note"])
def test_one_changed_bit_is_a_wrong_load(made, part):
    for right in ((False,) if part == "note" else (True, False)):
        outcome = judged(made, changed(part), right)
        assert outcome.wrong and outcome.fault, right


def raising(error):
    def load(path):
        raise error(path)
    return load


@pytest.mark.parametrize("load, told", [
    (raising(lambda path: KeyError(f"{path}")), "KeyError came"), (raising(lambda path: MemoryError(f"{path}")), "MemoryError"),
    (raising(lambda path: ValueError("wrong")), "does not name the file"),
    (raising(lambda path: ValueError(f"{path}\nand more")), "is no one line"),
    (raising(lambda path: ValueError(f"{path} \x1b[2J")), "is no one line"),
    (raising(lambda path: ValueError(f"{path}" + "x" * 5000)), "letters"),
], ids=["KeyError", "MemoryError", "no name", "two lines", "a terminal's command", "long"])
def test_an_error_that_is_none_or_not_clear_is_told(made, load, told):
    outcome = judged(made, load)
    assert told in outcome.fault and not outcome.wrong


def test_what_a_load_does_besides_is_told(made, monkeypatch):
    def canary(path):
        (made / "canary").mkdir()
        return loaded(path)

    def warning(path):
        warnings.warn("the header is odd", stacklevel=1)
        return loaded(path)

    net, optimizer = subjects.images(), isbe.SGD(0.1)

    def half_filled(path):
        net.parameters()[0].value[...] = 7
        raise ValueError(f"{path}: damaged")

    assert "has been run" in judged(made, canary).fault and not (made / "canary").exists()
    assert "the header is odd" in judged(made, warning).fault
    outcome = judged(made, half_filled, passed=(net, optimizer))
    assert "has been changed" in outcome.fault and outcome.wrong
    monkeypatch.setattr(judge, "SECONDS", 0.01)
    assert "it took" in judged(made, lambda path: (time.sleep(0.02), loaded(path))[1]).fault


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the most memory in a block is told by Linux alone")
def test_memory_is_told(made):
    outcome = judged(made, lambda path: (np.ones(100_000_000, np.uint8), loaded(path))[1])
    assert "MB for a file of" in outcome.fault and 90 < outcome.megabytes < 200


def test_a_file_that_no_other_reader_reads_may_not_be_loaded(made, checkpoint, tmp_path):
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(checkpoint[:1000])
    right = made / "made" / "images" / "checkpoint.npz"
    outcome = judged(made, lambda _: loaded(right), right=False, path=path)
    assert outcome.wrong and "cannot read it" in outcome.fault


@posix
@pytest.mark.parametrize("load, survived", [
    (None, True), (lambda *_: judge.Loaded(subjects.dense(seed=9)), False), (lambda *_: {}["gone"], False)])
def test_the_section_counts_a_loader_s_faults(tmp_path, monkeypatch, load, survived):
    cases = checkpoints.cases
    monkeypatch.setattr(checkpoints, "cases", lambda *given: cases(*given)[::23])
    loads = {name: load or right for name, right in checkpoints.LOADS.items()}
    rows = checkpoints.section(Drill(tmp_path, seed=1, short=True), loads)
    assert len(rows) == len(checkpoints.GROUPS) and all(row.tried for row in rows)
    for row in rows:
        assert row.passed is survived and row.survived == (row.tried if survived else 0), row.faults
        assert bool(row.wrong) is (load is not None and load.__code__.co_names[:1] == ("judge",))


# The other judges


def test_a_checkpoint_of_a_killed_training_is_held_against_the_reference(made, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    path = folder / kills.FILE
    path.write_bytes((made / "made" / "images" / "checkpoint.npz").read_bytes())
    found = isbe.load_checkpoint(path)
    wanted = {"digests": {10: training.digest(found.net, found.optimizer)}, "history": training.told(found.history)}
    chain = kills.Chain(None, folder, wanted, 1, 0.0, 0)
    chain.told.set(1, 11)
    outcome = chain.checked(-9)
    assert not outcome.fault and not outcome.wrong and outcome.lost == 1

    chain.told.set(1, 13)
    assert "3 steps of 13 are lost" in chain.checked(-9).fault
    chain.told.set(1, 10)
    wanted["history"]["accuracy"] = [0.0, 0.0]
    assert chain.checked(-9).wrong
    wanted["history"]["accuracy"] = found.history.accuracy
    found.net.parameters()[0].value.view(np.uint32).flat[0] ^= 1
    isbe.save_checkpoint(path, found.net, found.head, found.optimizer, found.history)
    assert chain.checked(-9).wrong
    path.write_bytes(path.read_bytes()[:-1])
    assert chain.checked(-9).fault
    path.unlink()
    kills.previous_of(path).unlink()
    assert "no checkpoint" in chain.checked(-9).fault


DEATHS = """
import contextlib, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from drill import deaths
from isbe_np.storage import archive, files

@contextlib.contextmanager
def in_place(path, previous=None, follow=True):
    with files.open(path, "w+b") as file:
        yield file

if sys.argv[3] == "in place":
    files.open, archive.replacing = open, in_place
deaths.all_of_them(Path(sys.argv[2]), True)
"""


@posix
@pytest.mark.parametrize("how", ["in place", "as it is"])
def test_a_saving_that_writes_over_the_old_file_does_not_survive_its_deaths(tmp_path, how):
    from drill import deaths
    subprocess.run([sys.executable, "-c", DEATHS, str(SCRIPTS), str(tmp_path), how], check=True, timeout=300, env=os.environ)
    row = Row("deaths")
    for what, outcome in deaths.found(tmp_path):
        row.add(outcome, what)
    assert row.tried > 50 and row.passed is (how == "as it is"), row.faults[:3]


@pytest.fixture
def shrunk(monkeypatch):
    """The small data files, and a package that takes them for the published ones."""
    for name in ("mnist", "kmnist", "cifar10"):
        monkeypatch.setitem(data.ENTRIES, name, data.ENTRIES[name])
    return datafiles.shrunk()


def test_data_that_is_read_otherwise_than_it_is_is_told(shrunk, tmp_path):
    path = tmp_path / (data.IMAGES + ".gz")
    path.write_bytes(shrunk[path.name])
    right = datafiles.arrays()[data.IMAGES]
    for name, load, wrong, fault in (("right", lambda _: right, False, ""), ("other", lambda _: right ^ 1, True, "otherwise"),
                                     ("short", lambda _: right[:3], True, "otherwise"),
                                     ("crash", lambda _: {}["gone"], False, "KeyError")):
        outcome = data.judged(load, path, shrunk[path.name], SimpleNamespace(reader="read"))
        assert outcome.wrong is wrong and (fault in outcome.fault if fault else not outcome.fault), name
    damaged = shrunk[path.name][:-9]
    assert data.judged(lambda _: right, path, damaged, SimpleNamespace(reader="read")).wrong
    labels = shrunk[data.LABELS][:-1] + b"\x0a"
    assert "label 10" in data.other_than(datafiles.seen(labels), labels) and not data.other_than(right, shrunk[path.name])
    rows = np.frombuffer(shrunk[data.BATCH], np.uint8).reshape(3, -1)
    assert data.other_than((rows[:, 1:], rows[:, 0]), shrunk[data.BATCH]) == ""
    assert data.other_than((rows[:, 1:], rows[::-1, 0]), shrunk[data.BATCH])


def test_what_a_download_leaves_is_told(tmp_path):
    case = downloads.Case(tmp_path, "mnist", ("stalls",), "nothing", 0)
    clear = OSError(f"Get it by hand and put it in {tmp_path}.")
    assert downloads.judged(case, tmp_path, clear, {"a": b"1"}) == ("", False)
    assert "does not say where" in downloads.judged(case, tmp_path, OSError("timed out"), {"a": b"1"})[0]
    assert "KeyError" in downloads.judged(case, tmp_path, KeyError("a"), {"a": b"1"})[0]
    assert downloads.judged(case, tmp_path, None, {"a": b"1"})[1], "it ended well and brought nothing"
    (tmp_path / "a").write_bytes(b"2")
    assert downloads.judged(case, tmp_path, clear, {"a": b"1"})[1], "a wrong file has the name of the right one"
    (tmp_path / "a").write_bytes(b"1")
    assert downloads.judged(case, tmp_path, None, {"a": b"1"}) == ("", False)
    (tmp_path / "a.part").write_bytes(b"1")
    assert "left" in downloads.judged(case, tmp_path, None, {"a": b"1"})[0]
    good = downloads.Case(tmp_path, "mnist", ("stalls", "good"), "nothing", 0)
    assert "a good mirror was there" in downloads.judged(good, tmp_path, clear, {"a": b"1"})[0]


@posix
def test_a_process_that_dies_or_hangs_costs_its_own_case_alone():
    died, = crew.tried(os._exit, [3], 1, 60)
    assert died.fault == "the process died, exit code 3"
    hung, = crew.tried(time.sleep, [60], 1, 1)
    assert "no end after 1 s" in hung.fault


# The table and the exit code


def row(*outcomes):
    found = Row("a section")
    for outcome in outcomes:
        found.add(outcome, "a fault")
    return found


def test_the_table_and_what_is_under_it():
    found = row(Outcome(lost=2, seconds=0.5, megabytes=3.0, loaded=True), Outcome("it broke", lost=1, wrong=True, loaded=False))
    assert found.cells() == ("a section", "2", "1", "2 / 1.50", "1", "0.50", "3.0")
    assert text([found]).endswith("a section: NOT survived: a fault: it broke\na section: 1 were refused, 1 loaded right")
    assert not found.passed and row(Outcome()).passed and not row().passed
    assert "and 3 more like these" in text([row(*[Outcome("no")] * 8)])


@pytest.mark.parametrize("outcomes, code", [([Outcome()], 0), ([Outcome(), Outcome("no")], 1), ([], 1),
                                            ([Outcome(wrong=True)], 1)], ids=["right", "a fault", "nothing tried", "wrong"])
def test_the_exit_code_and_the_file(monkeypatch, capsys, tmp_path, outcomes, code):
    asked = []
    section = SimpleNamespace(section=lambda drill: asked.append(drill) or [row(*outcomes)])
    monkeypatch.setitem(sys.modules, "drill.data", section)
    file = tmp_path / "a.json"
    assert fault_drill.main(["--only", "data", "--short", "--seed", "5", "--json", str(file)]) == code
    drill, = asked
    assert (drill.seed, drill.short, drill.workers) == (5, True, 2) and not drill.folder.exists()
    printed = capsys.readouterr().out
    assert "numpy" in printed and "short form, seed 5" in printed and "\na section  " in printed
    found = json.loads(file.read_text())
    assert found["seed"] == 5 and found["rows"][0]["tried"] == len(outcomes) and "jit_cache" not in found["environment"]
