"""What is refused or told before it costs a training: batches too small for a layer, inputs far too large, idle schedules."""

import warnings

import numpy as np
import pytest
import tiny

import isbe_np as isbe
from isbe_np.datasets import Dataset, batches

RANDOM = np.random.default_rng(3)


def data(x, test=None):
    """A data set of these inputs, with three classes in turn."""
    test = x if test is None else test
    labels = [np.arange(len(part)) % 3 for part in (x, test)]
    return Dataset("some", np.float32(x), labels[0], np.float32(test), labels[1], ("a", "b", "c"), "Some numbers.")


def train(net, given, **options):
    return isbe.train(net, isbe.Head(), given, progress=False, **options)


def normed(shape=(6,)):
    """A network with batch norm on inputs of this shape."""
    layers = [isbe.BatchNorm()] if len(shape) == 1 else [isbe.BatchNorm(), isbe.Flatten()]
    return isbe.Sequential(shape, *layers, isbe.Dense(3))


# Batches


@pytest.mark.parametrize(("examples", "options", "words"), [
    (129, {"batch_size": 128}, r"'batchnorm_1' needs them; 129 examples .* 128 leave 1 .*drop.*=127\."),
    (9, {"batch_size": 4}, r"9 examples in batches of 4 leave 1 .*Pass drop_last=True .*batch_size=3\."),
    (3, {"batch_size": 2}, r"leave 1 .*or batch_size=3\."),
    (6, {"batch_size": 1}, r"expects at least 2 examples in each training batch.*got batch_size=1\. Pass batch_size=2\."),
    (7, {"batch_size": 1, "drop_last": True}, r"got batch_size=1\. Pass batch_size=4\."),
    (1, {"batch_size": 128}, r"train\(data\.x_train\) expects at least 2 examples .*got 1 in all\. Train on more"),
    (1, {"batch_size": 1, "drop_last": True}, r"got 1 in all"),
    (5, {"batch_size": 8, "drop_last": True}, r"at least one full batch; got 5 examples and batch_size=8\. Pass .* at most 5"),
])
@pytest.mark.parametrize("shape", [(6,), (6, 1, 1)])
def test_batches_that_a_layer_refuses_are_refused_before_the_first_step(examples, options, words, shape, tmp_path):
    net, given = normed(shape), data(RANDOM.random((examples, *shape)))
    before, state = net.values.copy(), {name: array.copy() for name, array in net.state().items()}
    with pytest.raises(ValueError, match=words):
        train(net, given, **options, checkpoint=tmp_path / "run")
    assert np.array_equal(net.values, before) and not (tmp_path / "run" / "checkpoint.npz").exists()
    assert all(np.array_equal(array, state[name]) for name, array in net.state().items())


@pytest.mark.parametrize(("shape", "examples", "options", "steps"), [
    ((6,), 9, {"batch_size": 4, "drop_last": True}, 2), ((6,), 9, {"batch_size": 3}, 3), ((6,), 2, {"batch_size": 128}, 1),
    ((6,), 8, {"batch_size": 4, "drop_last": True}, 2), ((2, 1, 2), 9, {"batch_size": 4}, 3),
    ((2, 1, 2), 1, {"batch_size": 1}, 1), ((2, 2, 2), 3, {"batch_size": 1}, 3),
])
def test_the_remedies_work_and_images_of_several_pixels_need_none(shape, examples, options, steps):
    history = train(normed(shape), data(RANDOM.random((examples, *shape))), epochs=2, **options)
    assert history.steps == 2 * steps and history.stopped is None


@pytest.mark.parametrize(("examples", "batch_size"), [(9, 4), (7, 2), (7, 3), (7, 1), (13, 6), (2, 1)])
def test_the_batch_size_that_is_advised_trains(examples, batch_size):
    given = data(RANDOM.random((examples, 6)))
    with pytest.raises(ValueError) as fault:
        train(normed(), given, batch_size=batch_size)
    advised = int(str(fault.value).rsplit("batch_size=", 1)[1].rstrip("."))
    assert train(normed(), given, batch_size=advised).stopped is None


def test_dropping_the_last_batch_leaves_the_others_as_they_were():
    x, y = np.arange(11), np.arange(11)
    pairs, full = list(batches(x, y, 4, 1, 2)), list(batches(x, y, 4, 1, 2, drop_last=True))
    assert [len(pair[0]) for pair in pairs] == [4, 4, 3] and len(full) == 2
    assert all(np.array_equal(one[0], other[0]) for one, other in zip(full, pairs, strict=False))
    assert [len(pair[0]) for pair in batches(x[:8], y[:8], 4, 1, 2, drop_last=True)] == [4, 4]
    assert list(batches(x[:3], y[:3], 4, 1, 2, drop_last=True)) == []
    assert len(list(batches(x, y, 4, 1, 2, first=1, drop_last=True))) == 1


def test_a_training_without_the_last_batches_is_the_steps_by_hand():
    one, other, given = tiny.net(), tiny.net(), tiny.dataset()
    history = train(one, given, epochs=2, batch_size=10, drop_last=True, optimizer=isbe.SGD(0.1), seed=7)
    head, optimizer = isbe.Head(), isbe.SGD(0.1)
    for epoch in range(2):
        for x, y in list(batches(given.x_train, given.y_train, 10, 7, epoch))[:2]:
            other.backward(head.error(other.forward(x, training=True), y))
            optimizer.step(other)
    assert np.array_equal(one.values, other.values) and history.steps == 4


# The inputs' scale

PIXELS = np.minimum(255, 40 * RANDOM.random((30, 1, 8, 8)) ** 4 * 20).round()
TABLE = np.abs(RANDOM.normal(size=(30, 5))) * [1, 10, 60, 200, 5e4]
NORMAL = RANDOM.normal(size=(30, 1, 8, 8))


def images(*layers, shape=(1, 8, 8)):
    return isbe.Sequential(shape, *layers, isbe.Flatten(), isbe.Dense(3))


@pytest.mark.parametrize(("net", "x", "test", "words"), [
    (images(), PIXELS, None, r"from 0 to 2\d\d, as images are stored\. Divide x_train and x_test by 255\."),
    (images(shape=(64,)), PIXELS.reshape(30, 64), None, "by 255"),
    (images(isbe.Conv2D(2, 3), isbe.ReLU(), isbe.MaxPool2D(2)), 0.98 * PIXELS, None, "by 255"),
    (images(isbe.Sigmoid()), PIXELS, None, "by 255"),
    (images(isbe.Conv2D(2, 3), isbe.Tanh(), isbe.BatchNorm()), PIXELS, None, "by 255"),
    (images(), PIXELS - 100, None, r"root mean square \d+.*divide both by its standard deviation"),
    (images(), 257 * PIXELS, None, r"root mean square 3\.\d+e\+04"),
    (images(shape=(5,)), TABLE, None, "standard deviation"),
    (images(), PIXELS / 255, PIXELS, r"x_test\) expects inputs of the scale of x_train.*Scale both in the same way"),
    (images(isbe.BatchNorm()), PIXELS, None, None),
    (images(isbe.Conv2D(2, 3), isbe.BatchNorm(), isbe.ReLU()), PIXELS, None, None),
    (images(isbe.Flatten(), isbe.LayerNorm()), PIXELS, None, None),
    (images(), PIXELS / 255, None, None), (images(), PIXELS / 127.5 - 1, None, None), (images(), NORMAL, None, None),
    (images(), np.round(PIXELS / 16), None, None),
    (images(shape=(5,)), TABLE[:, [0, 1, 2, 3, 0]], None, None),
    (images(shape=(8,)), RANDOM.integers(0, 256, (30, 8)), None, None),
    (images(shape=(64,)), np.where(RANDOM.random((30, 64)) < 0.001, 50, RANDOM.normal(size=(30, 64))), None, None),
    (isbe.Sequential((64,), isbe.Embedding(256, 2), isbe.MeanTokens(), isbe.Dense(3)), PIXELS.reshape(30, 64), None, None),
    (images(), 0 * NORMAL, NORMAL, None),
])
def test_inputs_far_too_large_are_told_and_no_others(net, x, test, words):
    """Before the first step: by a rate of 0 nothing else can go wrong."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        train(net, data(x, test), optimizer=isbe.SGD(0.0))
    assert len(told) == (words is not None) and all(warning.filename == __file__ for warning in told)
    if words:
        with pytest.warns(UserWarning, match=words):
            train(net, data(x, test), optimizer=isbe.SGD(0.0))


def test_a_layer_of_ones_own_may_scale():
    class Scaled(isbe.Layer):
        def forward(self, step):
            step.y[...] = step.x / 255

        def backward(self, step):
            pass

    train(images(Scaled()), data(PIXELS), optimizer=isbe.SGD(0.0))


@tiny.plain_python_warns
def test_a_diagnosis_names_the_inputs_scale():
    with pytest.warns(UserWarning, match="by 255"):
        history = train(images(isbe.Flatten(), isbe.Dense(8)), data(PIXELS), epochs=30, optimizer=isbe.SGD(1e15))
    assert history.stopped == "diverged" and history.diagnosis.endswith("Divide x_train and x_test by 255.")


# Schedules


def by_step(step):
    return 1 if step < 100 else 0.1


@pytest.mark.parametrize(("schedule", "words"), [
    (by_step, r"share of training done, from 0 to 1, .*over all 8 steps it gave the factor 1\. Write for example"),
    (lambda epoch: 0.1 ** (epoch // 30), "gave the factor 1"), (lambda step: 0.99 ** step, r"factor 0\.99\d+ to 0\.99\d+\."),
    (lambda step: 0, "gave the factor 0"),
    (lambda done: 1 if done < 0.9 else 0.1, None), (lambda done: 1 - done, None), ("constant", None),
    (isbe.training.schedules.constant, None), ("warm_up_and_decay", None),
])
def test_a_schedule_of_ones_own_that_never_changes_is_told(schedule, words):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        train(tiny.net(), tiny.dataset(), epochs=2, batch_size=6, schedule=schedule)
    assert len(told) == (words is not None)
    if words:
        with pytest.warns(UserWarning, match=words):
            train(tiny.net(), tiny.dataset(), epochs=2, batch_size=6, schedule=schedule)


def test_of_a_part_of_a_training_nothing_is_told(tmp_path):
    """A schedule may have changed before, or may yet."""
    class Ending(isbe.SGD):
        def step(self, net):
            super().step(net)
            if self.steps == 6:
                raise KeyboardInterrupt

    how = {"epochs": 2, "batch_size": 4, "schedule": lambda done: 1 if done < 0.4 else 0.1, "checkpoint": tmp_path}
    train(tiny.net(), tiny.dataset(), optimizer=Ending(0.1), on_interrupt="return", checkpoint_seconds=0, **{
        **how, "schedule": how["schedule"]})
    train(tiny.net(), tiny.dataset(), optimizer=Ending(0.1), resume=True, on_interrupt="return", **how)
