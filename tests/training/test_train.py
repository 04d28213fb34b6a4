"""The loop: what it does each step, what it keeps, and how it ends when it cannot go on."""

import io
import os
import pickle
import signal
import sys
from types import SimpleNamespace

import numba
import numpy as np
import pytest
import tiny

import isbe_np as isbe
from isbe_np.datasets import batches


def train(net=None, head=None, data=None, **options):
    """A silent training on three heaps."""
    return isbe.train(net or tiny.net(), head or isbe.Head(), data or tiny.dataset(),
                      **{"progress": False, "on_interrupt": "return", **options})


class Watching(isbe.SGD):
    """An SGD that writes down at each step what it was given, and does `then` at one of them."""

    def __init__(self, *given, at=-1, then=None, **options):
        super().__init__(*given, **options)
        self.at, self.then, self.rates, self.norms = at, then, [], []

    def step(self, net):
        if self.steps == self.at:
            self.then(net)
        self.rates.append(self.learning_rate)
        self.norms.append(float(np.sqrt(np.sum(net.grads.astype(np.float64) ** 2))))
        super().step(net)


def interrupt(*_):
    raise KeyboardInterrupt


def test_the_loop_is_the_steps_by_hand():
    """Scores, error, gradients, update, on the batches of `datasets.batches`: the same bits."""
    data, one, other = tiny.dataset(), tiny.net(), tiny.net()
    train(one, data=data, epochs=2, batch_size=10, optimizer=isbe.SGD(0.1, momentum=0.5), seed=7)
    head, optimizer = isbe.Head(), isbe.SGD(0.1, momentum=0.5)
    for epoch in range(2):
        for x, y in batches(data.x_train, data.y_train, 10, 7, epoch):
            other.backward(head.error(other.forward(x, training=True), y))
            optimizer.step(other)
    assert np.array_equal(one.values, other.values)


def test_every_epoch_uses_every_example_once_in_an_order_of_its_own(monkeypatch):
    seen = []
    forward = isbe.Graph.forward

    def watched(self, batch, training=False, out=None):
        if training:
            seen.append(batch.copy())
        return forward(self, batch, training, out)

    monkeypatch.setattr(isbe.Graph, "forward", watched)
    data = tiny.dataset()
    history = train(data=data, epochs=2, batch_size=10)
    assert [len(x) for x in seen] == [10, 10, 4] * 2 and history.steps == 6
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:])
    for epoch in (first, second):
        assert sorted(epoch[:, 0, 0, 0]) == sorted(data.x_train[:, 0, 0, 0])
    assert not np.array_equal(first, second)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    nets = [tiny.net() for _ in range(3)]
    histories = [train(net, epochs=2, batch_size=7, seed=seed) for net, seed in zip(nets, (3, 3, 4), strict=True)]
    assert np.array_equal(nets[0].values, nets[1].values) and histories[0].gradient_norm == histories[1].gradient_norm
    assert not np.array_equal(nets[0].values, nets[2].values)


def test_a_batch_larger_than_the_data_is_all_of_it():
    assert train(epochs=3, batch_size=1000).steps == 3


@pytest.mark.parametrize("normalizer", isbe.NORMALIZERS)
def test_three_heaps_are_learnt_with_every_normalizer(normalizer):
    history = train(head=isbe.Head(normalizer), epochs=25, batch_size=6, optimizer=isbe.SGD(0.1, momentum=0.9))
    assert history.accuracy[-1] > 0.9 and history.train_accuracy[-1] > 0.9 and history.stopped is None


@pytest.mark.parametrize("optimizer", [isbe.SGD(0.1), isbe.SGD(0.05, momentum=0.9, nesterov=True), isbe.Adam(0.02),
                                       isbe.AdamW(0.02)], ids=repr)
def test_three_heaps_are_learnt_by_every_optimizer(optimizer):
    assert train(tiny.linear(), epochs=60, batch_size=6, optimizer=optimizer).accuracy[-1] > 0.9


def test_every_dtype_trains(dtype):
    net = tiny.net(dtype=dtype)
    assert train(net, data=tiny.dataset(dtype=dtype)).stopped is None and net.values.dtype == dtype


def test_history_has_one_entry_an_epoch():
    optimizer = Watching(0.1)
    history = train(epochs=3, batch_size=8, optimizer=optimizer)
    for name in ("accuracy", "train_accuracy", "gradient_norm", "learning_rate", "seconds"):
        assert len(getattr(history, name)) == 3 and all(type(number) is float for number in getattr(history, name))
    assert history.loss == [] and history.steps == 9 and history.stopped is None and history.diagnosis is None
    assert history.gradient_norm == pytest.approx([np.mean(optimizer.norms[k:k + 3]) for k in (0, 3, 6)])
    assert history.as_dict()["accuracy"] == history.accuracy


def test_accuracies_are_those_of_the_network():
    data, net = tiny.dataset(), tiny.net()
    history = train(net, data=data)
    assert history.accuracy == [isbe.accuracy(net, data.x_test, data.y_test)]
    still = train(net, data=data, optimizer=isbe.SGD(0.0))
    assert still.train_accuracy == [isbe.accuracy(net, data.x_train, data.y_train)]


@pytest.mark.parametrize("route", isbe.ROUTES)
def test_no_loss_is_computed_unless_asked_for(route, monkeypatch):
    def refuse(*_):
        raise AssertionError("the loss was computed")

    monkeypatch.setattr(isbe.Head, "loss", refuse)
    for place in ("isbe_np.heads.losses.values", "isbe_np.heads.head.values"):
        monkeypatch.setattr(place, refuse)
    assert train(head=isbe.Head(route=route)).loss == []
    with pytest.raises(AssertionError, match="the loss was computed"):
        train(head=isbe.Head(route=route), loss=True)


def test_route_isbe_differentiates_nothing(monkeypatch):
    def refuse(*_):
        raise AssertionError("a derivative was computed")

    for place in ("isbe_np.heads.routes.gradient", "isbe_np.heads.head.softmax_jacobian",
                  "isbe_np.heads.normalizers.softmax_jacobian", "isbe_np.heads.normalizers.Softmax.product"):
        monkeypatch.setattr(place, refuse, raising=False)
    assert train(head=isbe.Head(route="isbe")).stopped is None


@pytest.mark.parametrize("reduction", isbe.REDUCTIONS)
def test_loss_is_the_mean_over_the_epoch_whatever_the_reduction(reduction):
    data, net = tiny.dataset(), tiny.net()
    head = isbe.Head(reduction=reduction)
    history = train(net, head, data, batch_size=10, optimizer=isbe.SGD(0.0), loss=True)
    head.forward(net.forward(data.x_train))
    whole = float(np.sum(head.loss(data.y_train))) / (1 if reduction == "mean" else len(data.x_train))
    assert history.loss == pytest.approx([whole], rel=1e-6)


def test_asking_for_the_loss_changes_no_parameter():
    nets = tiny.net(), tiny.net()
    for net, loss in zip(nets, (False, True), strict=True):
        train(net, loss=loss, epochs=2, batch_size=5)
    assert np.array_equal(nets[0].values, nets[1].values)


def test_the_schedule_multiplies_the_learning_rate_which_is_then_restored():
    optimizer = Watching(0.4)
    history = train(optimizer=optimizer, schedule=lambda done: done, epochs=2, batch_size=6)
    assert optimizer.rates == pytest.approx([0.4 * (k + 0.5) / 8 for k in range(8)])
    assert history.learning_rate == [optimizer.rates[3], optimizer.rates[7]] and optimizer.learning_rate == 0.4


def test_a_schedule_by_name():
    optimizer = Watching(0.1)
    train(optimizer=optimizer, schedule="warm_up_and_decay", epochs=5, batch_size=6)
    assert max(optimizer.rates) == pytest.approx(0.1, rel=0.1) and optimizer.rates[-1] < 0.01 > optimizer.rates[0] / 2


def test_a_second_training_goes_on_from_the_first():
    net, optimizer = tiny.net(), isbe.SGD(0.1, momentum=0.9)
    train(net, optimizer=optimizer, epochs=1, batch_size=6)
    train(net, optimizer=optimizer, epochs=1, batch_size=6)
    assert optimizer.steps == 8


# How it ends when it cannot go on


@pytest.mark.parametrize("exit_by", [interrupt, lambda *_: os.kill(os.getpid(), signal.SIGINT)],
                         ids=["raised", "signal"])
def test_ctrl_c_keeps_history_and_what_was_learnt(exit_by):
    net, optimizer = tiny.net(), Watching(0.1, at=6, then=exit_by)
    start = net.values.copy()
    history = train(net, optimizer=optimizer, schedule="warm_up_and_decay", epochs=9, batch_size=6)
    assert history.stopped == "interrupted" and history.steps == 6 and history.diagnosis is None
    for name in ("accuracy", "train_accuracy", "gradient_norm", "learning_rate", "seconds"):
        assert len(getattr(history, name)) == 1
    assert optimizer.learning_rate == 0.1 and not np.array_equal(net.values, start)


@pytest.mark.parametrize("exit_by", [interrupt, lambda *_: os.kill(os.getpid(), signal.SIGINT)], ids=["raised", "signal"])
def test_ctrl_c_reaches_the_script_once_all_is_kept(exit_by):
    """By default: a script that trains must not go on with half a training."""
    def run(**options):
        net, optimizer = tiny.net(), Watching(0.1, at=6, then=exit_by)
        return isbe.train(net, isbe.Head(), tiny.dataset(), 9, 6, optimizer, progress=False, **options)

    returned = run(on_interrupt="return")
    with pytest.raises(isbe.TrainingInterrupted, match=r"was interrupted in epoch 2 of 9, after 6 steps\. The history") as stop:
        run()
    history = stop.value.history
    assert isinstance(stop.value, KeyboardInterrupt) and (history.stopped, history.steps) == ("interrupted", 6)
    assert history.accuracy == returned.accuracy and history.gradient_norm == returned.gradient_norm
    again = pickle.loads(pickle.dumps(stop.value))  # as from another process
    assert (str(again), again.history) == (str(stop.value), history)


def test_ctrl_c_in_a_schedule():
    calls = []
    history = train(schedule=lambda done: interrupt() if len(calls) == 2 else calls.append(done) or 1, batch_size=6)
    assert history.stopped == "interrupted" and history.steps == 2 and history.accuracy == []


def test_ctrl_c_during_the_evaluation_leaves_no_half_an_entry(monkeypatch):
    monkeypatch.setattr(sys.modules["isbe_np.training.observer"], "accuracy", interrupt)
    history = train(loss=True, epochs=2, batch_size=6)
    assert history.stopped == "interrupted" and history.steps == 4
    assert history.as_dict() == {**history.as_dict(), "accuracy": [], "train_accuracy": [], "loss": [], "seconds": [],
                                 "gradient_norm": [], "learning_rate": []}


def test_another_fault_restores_the_learning_rate_too():
    optimizer = isbe.SGD(0.1)
    with pytest.raises(ZeroDivisionError):
        train(optimizer=optimizer, schedule=lambda done: 0.5 if done < 0.5 else 1 / 0, batch_size=6)
    assert optimizer.learning_rate == 0.1


@tiny.plain_python_warns
def test_a_learning_rate_far_too_large():
    net, optimizer = tiny.net(), isbe.SGD(1e25)
    history = train(net, optimizer=optimizer, epochs=5, batch_size=6)
    assert history.stopped == "diverged" and optimizer.learning_rate == 1e25
    assert f"stopped at step {history.steps}: " in history.diagnosis and "dense" in history.diagnosis
    assert "largest finite value so far " in history.diagnosis and "largest parameter " in history.diagnosis
    assert "learning rate 1e+25" in history.diagnosis and "lower it" in history.diagnosis
    assert np.isfinite(net.values).all()


@pytest.mark.parametrize("rate", [1e38, 1e39, 1e300])
def test_a_step_that_overflows_does_not_reach_the_parameters(rate):
    net = tiny.net()
    history = train(net, head=isbe.Head(reduction="sum"), optimizer=isbe.SGD(rate))
    assert history.stopped == "diverged" and f"learning rate {rate:g}" in history.diagnosis
    assert np.isfinite(net.values).all()


@tiny.plain_python_warns
def test_scores_that_overflow_after_the_last_step_are_seen_in_the_evaluation():
    net = tiny.net()
    history = train(net, optimizer=isbe.SGD(1e25), batch_size=24)
    assert history.steps == 1 and history.stopped == "diverged" and history.accuracy == history.seconds == []
    assert "step 1: the output of layer 'dense_2'" in history.diagnosis and "learning rate 1e+25" in history.diagnosis


@pytest.mark.parametrize("route", ["jacobian", "factored"])
def test_a_route_that_underflows(route):
    net = tiny.linear()
    net.parameters()[1].value[...] = [0, 500, 0]
    start = net.values.copy()
    history = train(net, isbe.Head(route=route))
    assert history.stopped == "diverged" and history.steps == 0 and np.array_equal(net.values, start)
    assert f"route '{route}'" in history.diagnosis and "soft score 0" in history.diagnosis
    assert "Use route 'isbe'" in history.diagnosis and ".." not in history.diagnosis
    assert train(net, isbe.Head(route="isbe")).stopped is None


class Broken(isbe.Layer):
    """Passes everything on, and makes one NaN forward or backward at its call number `at`."""

    def __init__(self, forward_at=-1, backward_at=-1):
        super().__init__("broken")
        self.forward_at, self.backward_at = forward_at, backward_at

    def forward(self, step):
        step.y[...] = step.x
        if self.forward_at == 0:
            step.y.flat[1] = np.nan
        self.forward_at -= 1

    def backward(self, step):
        step.dx[...] = step.dy
        if self.backward_at == 0:
            step.dx.flat[1] = np.nan
        self.backward_at -= 1


def broken(**at):
    return isbe.Sequential((1, 2, 2), isbe.Flatten(), isbe.Dense(4), isbe.Dense(5), Broken(**at), isbe.Dense(3))


def test_a_layer_that_makes_nan_is_named():
    net = broken(forward_at=2)
    history = train(net, batch_size=6)
    assert history.stopped == "diverged" and history.steps == 2
    assert "step 2: the output of layer 'broken'" in history.diagnosis and "look at its formula" in history.diagnosis
    assert np.isfinite(net.values).all()


def test_a_backward_pass_that_makes_nan_is_told_by_the_nearest_gradient():
    net, optimizer = broken(backward_at=1), isbe.SGD(0.1, momentum=0.9)
    history = train(net, optimizer=optimizer, batch_size=6)
    assert history.stopped == "diverged" and history.steps == 1
    assert "the gradient of 'dense_2." in history.diagnosis and "a layer made a number" in history.diagnosis
    assert np.isfinite(net.values).all() and np.isfinite(optimizer.memory[0]).all()


def test_a_loss_that_has_no_value_ends_in_a_diagnosis():
    class Counts(isbe.Normalizer):
        name = "counts"

        def forward(self, scores):
            return np.zeros_like(scores)

    history = train(head=isbe.Head(Counts()), loss=True)
    assert history.stopped == "diverged" and "'cross_entropy' has no finite value" in history.diagnosis


# Progress


def test_one_plain_line_an_epoch_where_standard_error_is_no_terminal(capsys):
    history = train(progress=True, epochs=2, loss=True)
    out, err = capsys.readouterr()
    assert out == "" and "\r" not in err and len(err.splitlines()) == 2
    for k, line in enumerate(err.splitlines()):
        assert line.startswith(f"epoch {k + 1:3d}") and f"test {history.accuracy[k]:7.2%}" in line
        assert f"loss {history.loss[k]:.4f}" in line


def test_a_bar_and_a_line_an_epoch_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    train(progress=True, epochs=2)
    text = sys.stderr.getvalue()
    assert "\repoch 1/2:   0%" in text and "\repoch 2/2:" in text and "\repoch   2  test" in text


def test_nothing_is_written_when_no_progress_is_wanted(capsys):
    train(progress=False, epochs=2)
    assert capsys.readouterr() == ("", "")


# What it refuses, before the first step

IMAGES, LABELS = tiny.dataset().x_train, tiny.dataset().y_train


def spoiled(array, place, value):
    copy = array.copy()
    copy[place] = value
    return copy


@pytest.mark.parametrize(("parts", "error", "words"), [
    ({"x_train": IMAGES[:, 0]}, ValueError, r"data\.x_train\) expects shape \(N, 1, 2, 2\).*got \(24, 2, 2\)"),
    ({"x_test": IMAGES.reshape(24, 4)}, ValueError, r"data\.x_test\) expects shape .* got \(24, 4\)"),
    ({"x_train": IMAGES[:0], "y_train": LABELS[:0]}, ValueError, r"data\.x_train\).*at least 1.*got \(0, 1, 2, 2\)"),
    ({"x_test": IMAGES[:0], "y_test": LABELS[:0]}, ValueError, r"data\.x_test\).*N of at least 1"),
    ({"x_train": IMAGES.astype(np.float64)}, TypeError, r"data\.x_train\) expects a float32 array; got float64.*"),
    ({"x_test": (IMAGES * 255).astype(np.uint8)}, TypeError, r"data\.x_test\) expects a float32 array; got uint8"),
    ({"x_train": spoiled(IMAGES, (5, 0, 1, 0), np.nan)}, ValueError, r"x_train\) .* got nan at \(5, 0, 1, 0\)"),
    ({"x_test": spoiled(IMAGES[:12], (2, 0, 0, 1), np.inf)}, ValueError, r"x_test\) .* got inf at \(2, 0, 0, 1\)"),
    ({"y_train": LABELS[:-1]}, ValueError, r"y_train\) expects one label for each of 24 .* got shape \(23,\)"),
    ({"y_test": LABELS[:12] + 0.5}, ValueError, r"y_test\) expects whole-number labels; label 0 is 0\.5"),
    ({"y_train": np.eye(3)[LABELS]}, ValueError, r"y_train\) .* got shape \(24, 3\)"),
    ({"y_train": spoiled(LABELS, 17, 3)}, ValueError, r"y_train\) expects labels from 0 to 2.*label 17 is 3"),
    ({"y_train": spoiled(LABELS, 4, -1)}, ValueError, r"y_train\) expects labels from 0 to 2.*label 4 is -1"),
    ({"y_test": spoiled(LABELS[:12], 11, 9)}, ValueError, r"y_test\) expects labels from 0 to 2.*label 11 is 9"),
])
@tiny.plain_python_warns
def test_data_that_does_not_fit_is_refused_and_named(parts, error, words):
    net = tiny.net()
    start = net.values.copy()
    with pytest.raises(error, match=words):
        train(net, data=tiny.replaced(**parts))
    assert np.array_equal(net.values, start)


def test_labels_of_any_whole_dtype_and_lists_and_strided_images_will_do():
    nets = [tiny.net() for _ in range(4)]
    images = np.repeat(IMAGES, 2, axis=0)[::2]
    for net, parts in zip(nets, [{}, {"y_train": LABELS.astype(np.uint8)}, {"y_train": LABELS.tolist()},
                                 {"x_train": images}], strict=True):
        train(net, data=tiny.replaced(**parts))
        assert np.array_equal(net.values, nets[0].values)


@pytest.mark.parametrize(("bias", "predicted"), [([0, 0, 0], 0), ([-1, 1, 1], 1), ([1, 0, 1], 0)])
def test_a_tie_counts_for_the_lower_class_in_training_as_in_evaluation(bias, predicted):
    net, data = tiny.linear(), tiny.replaced(y_train=np.repeat([0, 1, 2], [3, 8, 13]))
    net.values[...] = 0
    net.parameters()[1].value[...] = bias
    history = train(net, data=data, epochs=1, optimizer=isbe.SGD(0.0))
    assert history.train_accuracy == [isbe.accuracy(net, data.x_train, data.y_train)] == [[3, 8, 13][predicted] / 24]


def test_any_object_with_the_four_arrays_is_data():
    data = tiny.dataset()
    own = SimpleNamespace(x_train=data.x_train, y_train=data.y_train, x_test=data.x_test, y_test=data.y_test)
    assert train(data=own).stopped is None


@pytest.mark.parametrize(("options", "error", "words"), [
    ({"epochs": 0}, ValueError, r"train\(epochs\) expects a whole number of at least 1; got 0"),
    ({"epochs": 1.5}, TypeError, r"train\(epochs\) expects a whole number; got 1\.5"),
    ({"batch_size": 0}, ValueError, r"train\(batch_size\) expects .* got 0"),
    ({"seed": -1}, ValueError, r"train\(seed\) expects .* got -1"),
    ({"on_interrupt": "ignore"}, ValueError, r"train\(on_interrupt\) expects one of 'raise', 'return'; got 'ignore'"),
    ({"schedule": "constnat"}, ValueError, "schedule expects .* Did you mean 'constant'"),
    ({"schedule": lambda done: np.nan}, ValueError, r"schedule expects .*; at 0\.5000 of training it gave nan"),
    ({"schedule": lambda done: -1}, ValueError, "schedule expects .* it gave -1"),
    ({"schedule": lambda done: None}, ValueError, "schedule expects .* it gave None"),
    ({"optimizer": "sgd"}, TypeError, r"train\(optimizer\) expects an isbe_np Optimizer; got 'sgd'"),
    ({"head": "softmax"}, TypeError, r"train\(head\) expects an isbe_np Head; got 'softmax'"),
    ({"net": "lenet5"}, TypeError, r"train\(net\) expects an isbe_np Graph; got 'lenet5'"),
    ({"data": (IMAGES, LABELS)}, TypeError, r"train\(data\) expects x_train, .* got a tuple"),
])
def test_options_that_make_no_sense_are_refused_and_named(options, error, words):
    with pytest.raises(error, match=words):
        train(**options)


def test_an_optimizer_serves_one_network():
    optimizer = isbe.SGD(0.1)
    train(optimizer=optimizer)
    with pytest.raises(ValueError, match="make a new optimizer for each network"):
        train(optimizer=optimizer)


@pytest.mark.skipif(numba.config.DISABLE_JIT or numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
def test_one_thread_and_two_train_to_the_same_bits():
    """Every task owns what it writes, and no sum is split between threads. Batches are large enough to be shared."""
    data = isbe.datasets.load("digits", train=300, test=50)
    finals = []
    for count in (1, 2):
        isbe.set_threads(count)
        try:
            net = isbe.networks.lenet5(seed=1)
            isbe.train(net, isbe.Head("softmax"), data, epochs=2, optimizer=isbe.SGD(0.05, momentum=0.9), progress=False)
        finally:
            isbe.set_threads(numba.config.NUMBA_NUM_THREADS)
        finals.append(net.values.copy())
    assert (finals[0] == finals[1]).all()
