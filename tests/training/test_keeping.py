"""Trainings that are stopped and go on: at any batch, to the bit; their folder; what is in the way costs nothing."""

import errno
import logging
import os
import re
import shutil
import signal
import socket
import sys
import threading
import time

import numpy as np
import pytest
import tiny

import isbe_np as isbe
from isbe_np.storage import files
from isbe_np.training import checkpoint, keeping, observer
from isbe_np.training.diagnosis import Early


class Stopping(isbe.SGD):
    """An SGD that sends its process a signal in one of its steps, or does something else then."""

    def __init__(self, at=-1, number=signal.SIGINT, then=None):
        super().__init__(0.1, momentum=0.9, weight_decay=1e-3)
        self.at, self.then = at, then or (lambda: os.kill(os.getpid(), number))

    def step(self, net):
        super().step(net)
        if self.steps == self.at:
            self.then()


def network():
    """A network of which everything must be kept: running statistics, random numbers and parameters."""
    image = isbe.Input((1, 2, 2))
    x = isbe.ReLU()(isbe.BatchNorm()(isbe.Conv2D(4, 2, padding=1)(image)))
    return isbe.Graph(image, isbe.Dense(tiny.CLASSES)(isbe.Dropout(0.3)(isbe.Flatten()(x))), seed=3)


PREVIOUS = "checkpoint.previous.npz"
HOW = {"on_interrupt": "return", "epochs": 3, "batch_size": 5, "seed": 4, "schedule": "warm_up_and_decay",
       "augment": isbe.RandomAffine(shift=1), "loss": True}


def train(folder=None, optimizer=None, net=None, head=None, data=None, **options):
    """A training of 15 steps, 5 an epoch, with its network and optimizer."""
    net, optimizer = net or network(), optimizer or Stopping()
    history = isbe.train(net, head or isbe.Head(), data or tiny.dataset(), optimizer=optimizer, progress=False,
                         checkpoint=folder, **HOW | options)
    return net, optimizer, history


def told(history):
    """A history but for what the clock says."""
    return {name: value for name, value in history.as_dict().items() if name != "seconds"}


def same(one, other):
    """Whether two trainings ended with the same bits."""
    return (one[0].values.tobytes() == other[0].values.tobytes() and told(one[2]) == told(other[2])
            and all(a.tobytes() == b.tobytes() for a, b in zip(one[1].memory, other[1].memory, strict=True))
            and all(a.tobytes() == b.tobytes() for a, b in zip(one[0].state().values(), other[0].state().values(), strict=True))
            and one[0].random.bit_generator.state == other[0].random.bit_generator.state)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


@pytest.mark.parametrize("at", range(1, 15))
def test_a_training_goes_on_from_any_batch_to_the_bit(at, folder):
    whole = train()
    stopped = train(folder, Stopping(at))
    # Ctrl-C in the first step ends it at once: nothing was learnt that could be lost.
    assert stopped[2].stopped == "interrupted" and stopped[2].steps == (at if at > 1 else stopped[2].steps)
    assert checkpoint.read(folder / keeping.FILE, optimizer=Stopping()).history.steps == (at if at > 1 else 0)
    resumed = train(folder, resume=True)
    assert same(resumed, whole) and resumed[2].stopped is None
    assert len(resumed[2].seconds) == 3 and all(seconds > 0 for seconds in resumed[2].seconds)


def test_checkpoints_change_no_bit(folder):
    assert same(train(folder, checkpoint_seconds=0), train())


def test_again_and_again(folder):
    """Stopped after every third step, each part in objects of its own."""
    for at in range(3, 15, 3):
        assert train(folder, Stopping(at), resume=True)[2].steps == at
    assert same(train(folder, resume=True), train())


def test_what_comes_after_the_last_step_is_kept_too(folder):
    """The history's warning, for which the first examples' scores are needed, is the same after another stop."""
    class Reversed(isbe.Head):
        """Sends the error with the wrong sign, so that nothing is learnt."""

        def backward(self, targets, out=None):
            return -super().backward(targets, out)

    how = {"epochs": 2, "batch_size": 8, "augment": None, "schedule": "constant", "loss": False}
    whole = train(head=Reversed(), net=tiny.net(), **how)
    train(folder, Stopping(2), head=Reversed(), net=tiny.net(), **how)
    resumed = train(folder, head=Reversed(), net=tiny.net(), resume=True, **how)
    assert whole[2].warning and same(resumed, whole)


def test_sigterm_ends_a_training_as_ctrl_c_does(folder):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    stopped = train(folder, Stopping(7, signal.SIGTERM))
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert stopped[2].stopped == "terminated" and stopped[2].steps == 7
    assert same(train(folder, resume=True), train())


@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_signal_reaches_the_script_once_all_is_saved(folder, number, word):
    with pytest.raises(isbe.TrainingInterrupted) as stop:
        train(folder, Stopping(7, number), on_interrupt="raise")
    assert str(stop.value).startswith(f"The training was {word} in epoch 2 of 3, after 7 steps. Its checkpoint is in {folder}: "
                                      f"go on by resume=True.")
    assert (stop.value.history.stopped, stop.value.history.steps) == (word, 7)
    assert same(train(folder, resume=True), train())


def test_a_signal_in_the_last_evaluation_reaches_the_script_too(folder, monkeypatch):
    """The training is whole; what would come after it in a script is not wanted."""
    evaluated = []

    def accuracy(*given):
        evaluated.append(1)
        if len(evaluated) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return isbe.accuracy(*given)

    with monkeypatch.context() as patch, pytest.raises(isbe.TrainingInterrupted, match="interrupted after its end") as stop:
        patch.setattr(sys.modules["isbe_np.training.observer"], "accuracy", accuracy)
        train(folder, on_interrupt="raise")
    assert told(stop.value.history) == told(train()[2]) and same(train(folder, resume=True), train())


def test_a_second_ctrl_c_ends_it_at_once(folder):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    stopped = train(folder, Stopping(7, then=twice))
    assert stopped[2].stopped == "interrupted" and stopped[2].steps == 6, "the seventh step was not ended"
    assert same(train(folder, resume=True), train())


def test_a_second_ctrl_c_while_the_first_is_saved(folder, monkeypatch):
    write = checkpoint.archive.write

    def interrupted(*given):
        if isinstance(given[1], dict) and given[1]["history"]["steps"] == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return write(*given)

    monkeypatch.setattr(checkpoint.archive, "write", interrupted)
    stopped = train(folder, Stopping(7))
    assert stopped[2].stopped == "interrupted"
    assert checkpoint.read(folder / keeping.FILE, optimizer=Stopping()).history.steps == 5, "that of the epoch before"


def test_with_one_batch_an_epoch_a_step_is_ended_too(folder):
    stopped = train(folder, Stopping(2), batch_size=100)
    assert stopped[2].stopped == "interrupted" and stopped[2].steps == 2
    assert checkpoint.read(folder / keeping.FILE, optimizer=Stopping()).history.steps == 2


def test_a_signal_in_the_last_evaluation_changes_nothing(folder, monkeypatch):
    evaluated = []

    def accuracy(*given):
        evaluated.append(1)
        if len(evaluated) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return isbe.accuracy(*given)

    monkeypatch.setattr(sys.modules["isbe_np.training.observer"], "accuracy", accuracy)
    done = train(folder)
    assert done[2].stopped is None and len(done[2].accuracy) == 3


def test_in_a_thread_there_are_no_signals_and_all_else_works(folder):
    found = []
    thread = threading.Thread(target=lambda: found.append(train(folder)))
    thread.start()
    thread.join()
    assert same(found[0], train())


def test_a_finished_training_is_only_told_of(folder):
    first = train(folder)
    optimizer = Stopping(16, then=lambda: pytest.fail("a step was made"))
    again = train(folder, optimizer, resume=True)
    assert same(again, first) and again[2] == first[2]


def test_more_epochs_at_a_constant_rate(folder):
    train(folder, schedule="constant", epochs=1)
    assert same(train(folder, schedule="constant", epochs=3, resume=True), train(schedule="constant", epochs=3))


@pytest.mark.parametrize("other, sentence", [
    ({"epochs": 4}, "There epochs is 3, here 4. Pass epochs=3, or train in another folder."),
    ({"batch_size": 128}, "There batch_size is 5, here 128 (the default). Pass batch_size=5, or"),
    ({"seed": 0, "loss": False}, "There seed is 4, here 0 (the default); loss is True, here False (the default). Pass seed=4, "
                                 "loss=True, or"),
    ({"schedule": "constant"}, "schedule is warm_up_and_decay, here constant (the default). Pass schedule='warm_up_and_decay'"),
    ({"schedule": np.sqrt}, "here sqrt. Pass schedule='warm_up_and_decay'"),
    ({"augment": None}, ", shift=1), here None (the default). Pass augment=RandomAffine("),
    ({"augment": isbe.RandomAffine(shift=2)}, "shift=1), here RandomAffine("),
    ({"drop_last": True}, "There drop_last is False, here True. Pass drop_last=False, or"),
    ({"data": tiny.replaced(y_test=1 - tiny.dataset().y_test % 2)}, "its data are others (SHA-256 of the data "),
    ({"data": tiny.dataset(train=30)}, "its data are others (SHA-256 of the data "),
    ({"net": tiny.net()}, "that network has the layers Input, Conv2D"),
    ({"head": isbe.Head(route="fused")}, "There the head has route='isbe', here route='fused'. Pass a head with route='isbe',"),
    ({"head": isbe.Head("sigmoid")}, "There the head has normalizer='softmax'"),
    ({"optimizer": isbe.SGD(0.1)}, "There the optimizer is Stopping(learning_rate=0.1, momentum=0.9, nesterov=False, "
                                   "weight_decay=0.001), here SGD(learning_rate=0.1, momentum=0.0, "),
    ({"optimizer": None}, "here SGD(learning_rate=0.05, momentum=0.9, nesterov=False, weight_decay=0.0) (the default). Pass "
                          "optimizer=Stopping(learning_rate=0.1, "),
    ({"optimizer": isbe.Adam(), "seed": 5}, "There seed is 4, here 5; the optimizer is Stopping("),
], ids=str)
def test_another_training_is_refused_and_nothing_changed(other, sentence, folder):
    train(folder, Stopping(7))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    net = other.get("net") or network()
    values = net.values.copy()
    with pytest.raises(ValueError, match=re.escape(sentence)) as fault:
        optimizer = other.get("optimizer", Stopping())
        isbe.train(net, other.get("head") or isbe.Head(), other.get("data") or tiny.dataset(), optimizer=optimizer,
                   progress=False, checkpoint=folder, resume=True,
                   **HOW | {name: given for name, given in other.items() if name not in ("net", "head", "data", "optimizer")})
    assert str(fault.value).startswith(f"train(resume) expects the training of {folder / keeping.FILE}")
    assert str(fault.value).endswith(", or train in another folder.") and ", or none" not in str(fault.value)
    assert np.array_equal(net.values, values)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert same(train(folder, resume=True), train())


def test_an_augmentation_by_its_name_in_the_last_release_goes_on(folder, monkeypatch):
    with monkeypatch.context() as patch:
        name_of = keeping.name_of
        patch.setattr("isbe_np.training.task.name_of", lambda thing: (name_of(thing) or "").replace("RandomAffine", "Affine"))
        train(folder, Stopping(7))
    assert "Affine" in checkpoint.read(folder / keeping.FILE, optimizer=Stopping()).training["settings"]["augment"]
    assert same(train(folder, resume=True), train())


def test_a_training_that_drops_the_last_batch_goes_on(folder):
    how = {"drop_last": True}
    assert train(folder, Stopping(6), **how)[2].steps == 6
    resumed = train(folder, resume=True, **how)
    assert same(resumed, train(**how)) and resumed[2].steps == 12


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("at", [3, 6, 9])
def test_the_first_examples_are_recalled_with_the_scores_they_had(folder, at, drop_last, monkeypatch):
    """Also where an epoch has fewer than are kept, so that some are of the second: by them it is told whether all is well."""
    made = []
    monkeypatch.setattr(observer, "Early", lambda: made.append(Early()) or made[-1])
    train(drop_last=drop_last)
    train(folder, Stopping(at), drop_last=drop_last)
    train(folder, resume=True, drop_last=drop_last)
    for name in ("x", "y", "scores"):
        never_stopped, _, resumed = (np.concatenate(getattr(early, name)) for early in made)
        assert np.array_equal(never_stopped, resumed)


def test_a_checkpoint_from_before_there_was_drop_last_goes_on(folder):
    train(folder, Stopping(7))
    from test_checkpoint import changed
    changed(folder / keeping.FILE, lambda facts: facts["training"]["settings"].pop("drop_last"))
    assert same(train(folder, resume=True), train())


def test_a_schedule_of_ones_own_is_known_by_its_name(folder):
    def half(done):
        return 1 - done / 2

    train(folder, Stopping(7), schedule=half)
    assert same(train(folder, resume=True, schedule=half), train(schedule=half))


def test_resume_without_a_checkpoint_begins_and_says_so(folder, caplog):
    assert same(train(folder, resume=True), train()) and "a new training begins" in caplog.text


def test_a_folder_with_a_checkpoint_needs_resume(folder):
    train(folder, Stopping(7))
    with pytest.raises(FileExistsError, match=r"holds a checkpoint already\. Go on with it by resume=True or --resume"):
        train(folder)
    assert same(train(folder, resume=True), train())


@pytest.mark.parametrize("seconds", [-1, float("nan"), "5"])
def test_seconds_between_checkpoints(folder, seconds):
    with pytest.raises(ValueError, match="expects a number of seconds from 0 on"):
        train(folder, checkpoint_seconds=seconds)


def test_resume_needs_a_folder():
    with pytest.raises(ValueError, match="expects a folder to go on from"):
        train(resume=True)


def test_a_checkpoint_of_no_training_is_none_to_go_on_from(folder):
    folder.mkdir()
    isbe.save_checkpoint(folder / keeping.FILE, network(), isbe.Head(), Stopping())
    with pytest.raises(ValueError, match="was not saved by a training"):
        train(folder, resume=True)


def test_the_note_is_kept(folder):
    train(folder, note={"classes": ["a"]})
    assert keeping.newest(folder).note == {"classes": ["a"]} and keeping.newest(folder / "none") is None
    train(folder, resume=True)
    assert keeping.newest(folder).note == {"classes": ["a"]}, "also where it is not given again"


def test_a_fault_of_ones_own_optimizer_is_not_the_files(folder):
    class Own(Stopping):
        """Which has lost an attribute since."""

        settings = (*isbe.SGD.settings, "gone")
        gone = 1

    train(folder, Own(7))
    del Own.gone
    with pytest.raises(AttributeError, match="gone"):
        train(folder, Own(), resume=True)
    assert not list(folder.glob("*.damaged.npz"))


@pytest.mark.parametrize("path", [5, ""])
def test_a_folder_is_a_path(path):
    with pytest.raises(TypeError, match="expects the path of a folder"):
        train(path)


def test_a_training_that_diverges_leaves_the_checkpoint_before(folder):
    with np.errstate(all="ignore"):
        lost = train(folder, isbe.SGD(1e30), schedule="constant")
    assert lost[2].stopped == "diverged" and checkpoint.read(folder / keeping.FILE).history.stopped is None


# The folder


def test_the_file_before_is_used_where_the_last_is_damaged(folder, caplog):
    train(folder, Stopping(7))
    last = folder / keeping.FILE
    data = bytearray(last.read_bytes())
    data[len(data) // 2] ^= 1
    last.write_bytes(data)
    resumed = train(folder, resume=True)
    assert same(resumed, train())
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "checkpoint.damaged.npz" in caplog.text and (folder / "checkpoint.damaged.npz").read_bytes() == data


def test_a_damaged_file_never_takes_the_place_of_a_right_one(folder, monkeypatch):
    """Should the process die while it writes the first checkpoint after such a damage, one is still there."""
    train(folder, Stopping(7))
    (folder / keeping.FILE).write_bytes(b"damaged")

    replace = os.replace

    def die(source, target):
        if os.path.basename(target) == keeping.FILE:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", die)
        assert train(folder, resume=True)[2].stopped == "interrupted"
    assert not (folder / keeping.FILE).exists() and same(train(folder, resume=True), train())


def test_one_of_a_newer_version_is_not_damaged(folder):
    train(folder, Stopping(7))
    from test_checkpoint import changed
    changed(folder / keeping.FILE, lambda facts: facts.update(version=2))
    with pytest.raises(ValueError, match="is of version 2; this isbe_np reads 1"):
        train(folder, resume=True)
    assert (folder / keeping.FILE).exists() and not list(folder.glob("*.damaged.npz"))


def test_both_damaged(folder):
    train(folder, Stopping(7))
    for path in folder.glob("*.npz"):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"checkpoint\.npz: .*expected"):
        train(folder, resume=True)
    with pytest.raises(ValueError, match=r"damaged ones alone, checkpoint\.damaged\.npz, checkpoint\.previous\.damaged\.npz"):
        train(folder, resume=True)
    for path in folder.glob("*.damaged.npz"):
        path.unlink()
    assert same(train(folder, resume=True), train())


def test_the_seconds_of_an_epoch_add_up(folder, monkeypatch):
    """Those of its parts, and none of those in which nothing was trained: each look at the clock is a second later."""
    clock = iter(range(10**6))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    train(folder, Stopping(7))
    before = checkpoint.read(folder / keeping.FILE, optimizer=Stopping())
    for _ in range(1000):
        time.perf_counter()
    after = train(folder, resume=True)[2]
    assert before.history.seconds == after.seconds[:1] and before.training["sums"]["seconds"] > 0
    assert 0 < after.seconds[1] < 100


def test_the_clock_is_of_no_consequence(folder, monkeypatch):
    """The newest is known by its name, not by its time, and seconds are counted by a clock that never goes back."""
    clock = iter(range(10**9, 0, -1000))
    monkeypatch.setattr(time, "time", lambda: next(clock))
    train(folder, Stopping(7))
    os.utime(folder / "checkpoint.previous.npz", (2**31, 2**31))
    assert same(train(folder, resume=True), train())


def test_what_a_killed_process_left_is_cleared(folder):
    train(folder, Stopping(7))
    for name in (".checkpoint.npz.abc.part", ".checkpoint.previous.npz.abc.part"):
        (folder / name).write_bytes(b"half")
    (folder / "mine.part").write_text("not ours")
    train(folder, resume=True)
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint.npz", "checkpoint.previous.npz", "lock", "mine.part"]


def test_a_second_training_in_the_folder_is_refused(folder):
    def second():
        with pytest.raises(BlockingIOError, match=f"as for {folder}, process {os.getpid()} is using it"):
            train(folder, resume=True)

    assert same(train(folder, Stopping(7, then=second)), train())


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="expects a folder that can be written"):
        train(tmp_path / "file")


def test_a_full_disk_costs_no_training(folder, monkeypatch, caplog):
    """It goes on, says so, and the checkpoint before is still there; with room again the next one is written."""
    real, full = checkpoint.archive.write, [False]

    def write(*given):
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*given)

    monkeypatch.setattr(checkpoint.archive, "write", write)
    done = train(folder, Stopping(7, then=lambda: full.__setitem__(0, True)))
    assert same((*done[:2], isbe.History(**{**done[2].as_dict(), "unsaved": None})), train())
    assert "checkpoint of step 15 could not be written" in done[2].unsaved and "No space left on device" in done[2].unsaved
    assert len(caplog.records) == 2 and checkpoint.read(folder / keeping.FILE, optimizer=Stopping()).history.steps == 5

    full[0] = False
    again = train(folder, resume=True)
    assert same(again, train()) and again[2].unsaved is None


def test_a_full_disk_at_the_start_is_refused(folder, monkeypatch, caplog):
    def write(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint.archive, "write", write)
    with pytest.raises(OSError, match=r"expects a folder that can be written; .*No space left on device"):
        train(folder, Stopping(1, then=lambda: pytest.fail("a step was made")))
    assert not caplog.records, "it is told once"


def test_another_version_is_told(folder, monkeypatch, caplog):
    train(folder, Stopping(7))
    monkeypatch.setattr(keeping, "deciding", lambda: {"numpy": "0.1"})
    train(folder, resume=True)
    assert f"numpy {np.__version__} before and 0.1 now" in caplog.text and "rounded otherwise" in caplog.text


def test_it_is_quiet_but_for_info(folder, caplog):
    with caplog.at_level(logging.INFO):
        train(folder, Stopping(7))
        train(folder, resume=True)
    assert "going on from" in caplog.text and "epoch 2, batch 2" in caplog.text
    assert {record.levelname for record in caplog.records} == {"INFO"}


def test_a_checkpoint_moves_with_its_folder(folder, tmp_path):
    train(folder, Stopping(7))
    shutil.move(folder, tmp_path / "elsewhere")
    assert same(train(tmp_path / "elsewhere", resume=True), train())


# What checkpoints promise


class Clock:
    """Takes the place of `time`: a second passes with each step of the optimizer that it makes."""

    def __init__(self):
        self.now, self.perf_counter = 0.0, time.perf_counter

    def monotonic(self):
        return self.now

    def optimizer(self):
        made = Stopping()
        step = made.step

        def stepping(net):
            step(net)
            self.now += 1

        made.step = stepping
        return made


@pytest.mark.parametrize("seconds, steps", [
    (0, range(16)), (2, [0, 2, 4, 5, 7, 9, 10, 12, 14, 15]), (3.5, [0, 4, 5, 9, 10, 14, 15]), (30, [0, 5, 10, 15]),
    (float("inf"), [0, 5, 10, 15])])
def test_a_checkpoint_is_written_whenever_so_many_seconds_have_passed(folder, monkeypatch, seconds, steps):
    """Since the last one, that of an epoch's end included."""
    clock, written, write = Clock(), [], checkpoint.write

    def counted(path, net, head, optimizer, history, *more):
        written.append(history.steps)
        return write(path, net, head, optimizer, history, *more)

    monkeypatch.setattr(keeping, "time", clock)
    monkeypatch.setattr(checkpoint, "write", counted)
    train(folder, clock.optimizer(), checkpoint_seconds=seconds)
    assert written == list(steps)


@pytest.mark.parametrize("note, again, kept", [
    ({"classes": ["a"]}, None, {"classes": ["a"]}), ({"a": 1}, {"b": 2}, {"b": 2}), (None, {"b": 2}, {"b": 2}), (0, None, 0)])
def test_a_note_outlives_every_checkpoint_after_a_resume(folder, note, again, kept):
    train(folder, Stopping(3), note=note)
    train(folder, Stopping(8), note=again, resume=True)
    assert checkpoint.read(folder / keeping.FILE).note == checkpoint.read(folder / PREVIOUS).note == kept
    train(folder, resume=True)
    assert checkpoint.read(folder / keeping.FILE).note == kept


def test_a_folder_that_holds_the_checkpoint_before_alone(folder):
    """As after a crash on a file system without links: it is one, it is gone on from, and never begun over."""
    train(folder, Stopping(7))
    before = isbe.load_checkpoint(folder / PREVIOUS)
    os.remove(folder / keeping.FILE)
    assert keeping.Folder(folder).holds_one() and keeping.newest(folder).history.steps == before.history.steps == 5
    with pytest.raises(FileExistsError, match="holds a checkpoint already"):
        train(folder)
    assert sorted(os.listdir(folder)) == [PREVIOUS, "lock"]
    clock = Clock()
    assert same(train(folder, clock.optimizer(), resume=True), train()) and clock.now == 10  # steps, of 15


X = np.arange(24, dtype=np.float32).reshape(6, 1, 2, 2)


@pytest.mark.parametrize("other", [
    {"x_train": X.reshape(6, 1, 1, 4)}, {"x_train": X.reshape(3, 2, 2, 2)}, {"x_train": X.view(np.int32)},
    {"x_train": X.astype(">f4")}, {"y_train": np.arange(6, dtype=np.uint64)}, {"y_train": np.arange(6).reshape(6, 1)},
    {"x_train": X + 1}, {"x_train": X[::-1]}, {"x_test": X}, {"y_test": np.arange(6)[::-1]}], ids=str)
def test_the_digest_of_data_is_of_shapes_dtypes_and_numbers(other):
    """Of bytes alone, images of 4 x 1 would be those of 2 x 2."""
    from types import SimpleNamespace
    data = {"x_train": X, "y_train": np.arange(6), "x_test": 2 * X, "y_test": np.arange(6)}
    digest = keeping.digest(SimpleNamespace(**data))
    assert digest == keeping.digest(SimpleNamespace(**{name: array.copy() for name, array in data.items()}))
    assert digest != keeping.digest(SimpleNamespace(**data | other))


# What is not ours in the folder

OURS = ("lock", keeping.FILE, PREVIOUS, "checkpoint.damaged.npz", "checkpoint.previous.damaged.npz")
odd_files = pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")


@odd_files
@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("kind", ["a link", "a dangling link", "a link to a folder", "a folder", "a pipe", "a socket"])
@pytest.mark.parametrize("name", OURS)
def test_what_has_a_name_of_ours_is_neither_followed_nor_overwritten(tmp_path, monkeypatch, name, kind, resume):
    folder, victim = tmp_path / "run", tmp_path / "victim"
    folder.mkdir()
    victim.write_text("years of work")
    monkeypatch.chdir(folder)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        {"a link": lambda: os.symlink(victim, name), "a dangling link": lambda: os.symlink(tmp_path / "new", name),
         "a link to a folder": lambda: os.symlink(tmp_path, name), "a folder": lambda: os.mkdir(name),
         "a pipe": lambda: os.mkfifo(name), "a socket": lambda: server.bind(name)}[kind]()
        told = "a link" if "link" in kind else kind
        with pytest.raises(OSError, match=rf"for this training alone; {folder / name} in it is {told}, which it neither"):
            train(folder, resume=resume)
    assert victim.read_text() == "years of work" and sorted(os.listdir(tmp_path)) == ["run", "victim"]
    assert os.listdir(folder) == [name]


@odd_files
def test_a_link_that_comes_during_the_training_is_replaced(folder, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("years of work")

    def plant():
        for name in (keeping.FILE, PREVIOUS):
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(victim)

    done = train(folder, Stopping(7, then=plant))
    assert victim.read_text() == "years of work" and sorted(os.listdir(tmp_path)) == ["run", "victim"]
    assert same(done, train()) and not (folder / keeping.FILE).is_symlink() and not (folder / PREVIOUS).is_symlink()


@odd_files
def test_the_second_name_of_a_file_is_left_alone(folder, tmp_path):
    """Such as that of a folder copied by hard links."""
    train(folder, Stopping(7))
    copy = shutil.copytree(folder, tmp_path / "copy", copy_function=os.link)
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    assert same(train(folder, resume=True), train())
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


@odd_files
def test_the_folder_itself_may_be_a_link(folder, tmp_path):
    (tmp_path / "disk").mkdir()
    folder.symlink_to("disk")
    train(folder, Stopping(7))
    assert same(train(folder, resume=True), train()) and folder.is_symlink()
    assert sorted(os.listdir(tmp_path / "disk")) == sorted(["lock", keeping.FILE, PREVIOUS])


def test_what_a_file_says_of_another_machine_steers_no_terminal(folder, caplog):
    train(folder, Stopping(7))
    tiny.changed(folder / keeping.FILE, lambda facts: facts["environment"].update(cpu="z80\x1b[2J\n\u202e"))
    train(folder, resume=True)
    warning, = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert warning.isprintable() and r"cpu z80\x1b[2J\n\u202e before" in warning
