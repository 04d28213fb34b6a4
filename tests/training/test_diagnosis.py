"""The diagnosis: each fault of a head is found with its number, no right head is blamed, and no training is changed by it."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import tiny

import isbe_np as isbe
from isbe_np import cli, datasets
from isbe_np.heads import Normalizer
from isbe_np.studies.faulty_trainings import Formula, Smoothed, Sums, Twice, softmax
from isbe_np.training.diagnosis import NO_CAUSE, diagnose, guessing, no_better, too_large
from isbe_np.training.head_faults import distance, faults, silenced

LABELS = np.array([0, 1, 2, 3, 3, 0, 1, 2])
Head = isbe.Head


def found(head, dtype=np.float32, labels=LABELS, **given):
    return "; ".join(faults(head, labels, 4, np.dtype(dtype), **given))


# Right heads


class Focal(Head):
    """Less for what is right already."""

    def backward(self, targets, out=None):
        e, p = super().backward(targets), self.soft[np.arange(len(targets)), targets]
        return e * (1 - p[:, None])**2


class Weighted(Head):
    """Each class with a weight of its own."""

    def backward(self, targets, out=None):
        return super().backward(targets) * np.array([0.1, 1, 5, 2], self.soft.dtype)


class Masked(Head):
    """Every other example is left out."""

    def backward(self, targets, out=None):
        e = super().backward(targets)
        e[::2] = 0
        return e


class Gumbel(Normalizer):
    """Softmax with noise."""

    def __init__(self):
        self.random = np.random.default_rng(0)

    def forward(self, scores):
        return softmax((scores + self.random.gumbel(size=scores.shape)).astype(scores.dtype))


def built_in():
    for name in isbe.NORMALIZERS:
        for route in isbe.ROUTES:
            for loss in (None, "squared"):
                try:
                    yield Head(name, route, loss=loss)
                except ValueError:  # a cell without a meaning
                    continue


RIGHT = [*built_in(), Head("softmax", dilation=0.01), Head("softmax", dilation=100), Head(reduction="sum"), Smoothed(), Focal(),
         Focal("identity"), Weighted(), Masked(), Head(Gumbel()), Sums(2, "fused"), Head(Formula(np.arctan, low=-1.0)),
         Head(Formula(lambda x: x / (1 + np.abs(x)), low=-1.0)), Head(Formula(lambda x: softmax(x / 5)))]


@pytest.mark.parametrize("head", RIGHT, ids=lambda head: f"{type(head).__name__} {head._name} {head.route} {head.loss_name}")
def test_no_right_head_has_a_fault(head, dtype):
    unbounded = "normalizer: y = -30 at x = -30 and still growing: not bounded"
    told = found(head, dtype)
    assert told.startswith(unbounded) and ";" not in told.replace("; take", "") if "'identity'" in repr(head) else told == ""
    assert found(head, dtype, grown=False) == ""


def test_a_training_that_learns_is_never_looked_at(monkeypatch):
    def refuse(*_):
        raise AssertionError("a head was asked")

    monkeypatch.setattr("isbe_np.training.diagnosis.faults", refuse)
    for head, rate in ((Head("identity"), 0.05), (Twice(), 0.5)):
        history = isbe.train(tiny.net(), head, tiny.dataset(train=900), 2, 6, isbe.SGD(rate, momentum=0.9), progress=False)
        assert history.train_accuracy[-1] > 0.9 and history.warning is None


@pytest.mark.parametrize("rate", [1e-5, 1e-4, 1e-3])
@pytest.mark.parametrize("head", [Head(), Head("identity"), Head("sparsemax"), Head("hardtanh"), Smoothed(), Masked(),
                                  Head("softmax", "factored", loss="squared")], ids=repr)
def test_a_slow_beginning_is_not_blamed(head, rate):
    history = isbe.train(tiny.net(), head, tiny.dataset(train=120), 1, 8, isbe.SGD(rate), progress=False)
    assert history.warning is None, history


# Wrong heads


class Away(Head):
    def backward(self, targets, out=None):
        return -super().backward(targets)


class Jacobian(Formula):
    """Softmax with a J of which the sign of y yᵀ is wrong."""

    def __init__(self):
        super().__init__(softmax)

    def jacobian(self, scores, soft):
        return np.eye(soft.shape[1]) * soft[:, None, :] + soft[:, :, None] * soft[:, None, :]


def over_the_batch(x):
    return softmax(x.T).T


@pytest.mark.parametrize(("head", "words"), [
    (Head(Formula(np.exp)), "y = 1.07e+13 at x = 30 and still growing: not bounded"),
    (Head(Formula(np.sin, low=-1.0)), "to -1 at x = 17.3: not monotone"),
    (Head(Formula(lambda x: softmax(-x))), ": not monotone"),
    (Head(Formula(lambda x: np.where(x > 0.5, 1, 0).astype(x.dtype))), "y jumps from 0 to 1 at x = 0.5: its slope"),
    (Head(Formula(np.log)), "y = nan at x = -30, which is not finite"),
    (Head(Formula(lambda x: 0 * x + 0.25)), "y = 0.25 whatever the score is"),
    (Head(Formula(over_the_batch)), "change with the other examples of its batch"),
    (Sums(2), "a row of them sums to 2 and soft scores to 1"),
    (Sums(0.5), "a row of them sums to 0.5 and soft scores to 1"),
    (Head(Formula(lambda x: 1 / (1 + np.exp(-x)), low=-1.0)), "-1 is none that soft scores reach, which lie from 0 to 1"),
    (Head(Formula(softmax, lambda x, y, g: y * (1 - y) * g), "factored"),
     "its product is that of J's diagonal alone, off by 1.1 of"),
    (Head(Jacobian(), "jacobian"), "its jacobian is wrong, off by 3.6 of"),
    (Away(), "points away from y − t (cosine -1.00): its sign is wrong"),
    (Twice(), "y − t through the normalizer's Jacobian once more"),
])
def test_each_fault_is_found_with_its_number(head, words, dtype):
    assert words in found(head, dtype)
    assert found(head, dtype, labels=LABELS[:3]) and head._last.soft is None  # asked was a copy


def test_what_a_chain_rule_knows_is_no_fault():
    """By routes that differentiate, a slope that is negative turns the error round."""
    falling = Formula(lambda x: -np.tanh(x), lambda x, y, g: (y * y - 1) * g, low=-1.0)
    falling.positive = False
    assert "not monotone" in found(Head(falling)) and found(Head(falling, "factored", loss="squared")) == ""


def test_many_classes_are_asked_for_one():
    labels = np.arange(2)
    assert faults(Head(), labels, 1001, np.dtype(np.float32)) == []
    rows = []
    sine = Formula(lambda x: rows.append(len(x)) or np.sin(x), low=-1.0)
    assert "not monotone" in faults(Head(sine), labels, 1001, np.dtype(np.float32))[0] and max(rows) <= 100


def test_a_head_that_refuses_to_be_asked_has_no_known_fault():
    class Shy(Head):
        def __deepcopy__(self, memo):
            raise TypeError("no copies")

    assert faults(Shy(Formula(np.sin)), LABELS, 4, np.dtype(np.float32)) == []
    net = tiny.net()
    assert isbe.train(net, Shy(), tiny.dataset(), 1, 6, isbe.SGD(0.0), progress=False).stopped is None


def silent_error(head, scores):
    scores = np.full((8, 4), scores, np.float32)
    head.forward(scores)
    return silenced(head, LABELS, head.backward(LABELS))


def test_an_error_that_vanishes_far_from_the_target():
    saturated, = silent_error(Head("sigmoid", "factored", loss="squared"), -20)
    assert "soft scores are saturated: the error sent by route 'factored' is 2e-09 of y − t; use route 'isbe'" in saturated
    flat, = silent_error(Head("hardsigmoid", "jacobian", loss="squared"), -20)
    assert "soft scores lie in a flat zone: the error sent by route 'jacobian' is 0 of y − t" in flat
    assert silent_error(Head("sigmoid", "factored", loss="squared"), -2) == silent_error(Head("sigmoid"), -20) == []
    assert silent_error(Masked(), 0) == []


def test_distance_is_of_soft_scores_and_targets():
    scores = np.array([[[0.5, -1.0], [2.0, 0.0]]], np.float32)
    assert distance(Head("identity"), scores, np.array([[0, 1]])) == pytest.approx((0.25 + 1 + 4 + 1) / 2)
    assert np.isnan(distance(Head(Formula(lambda x: 1 / 0)), scores, np.array([[0, 1]])))


# When nothing is learnt


def test_guessing_is_the_most_frequent_label():
    assert guessing(np.array([[0, 2, 2], [2, 1, 0]], np.uint8)) == 0.5
    assert no_better(500, 1000, 0.5) and no_better(547, 1000, 0.5) and not no_better(548, 1000, 0.5)
    assert not no_better(10, 10, 1.0) and not no_better(0, 10, 0.95)  # where guessing is right, or chance may be


def warned(head, *, net=None, rate=0.1, epochs=3, data=None, **given):
    net = net or tiny.net()
    data = data or tiny.dataset(train=240)
    return isbe.train(net, head, data, epochs, 12, isbe.SGD(rate, momentum=0.9), progress=False, **given)


def test_a_head_in_a_flat_zone_is_warned_of_and_isbe_is_not():
    def far(route):
        net = tiny.net()
        net.parameters()[-1].value[...] = -20
        return warned(Head("hardsigmoid", route, loss="squared"), net=net)

    history = far("factored")
    assert history.stopped is None and history.diagnosis is None and len(history.accuracy) == 3
    assert history.warning.startswith("Nothing was learnt: training accuracy ") and "lie in a flat zone" in history.warning
    assert "gradient norm 0," in history.warning and "steps were too large" not in history.warning
    assert far("isbe").warning is None
    assert json.loads(json.dumps(history.as_dict()))["warning"] == history.warning


def test_a_normalizer_without_a_bound_is_blamed_where_soft_scores_have_grown():
    head = Head(Formula(lambda x: np.sinh(np.clip(x, -60, 60)), low=-1.0))
    net = tiny.linear()
    net.values[...] = 0
    assert "not bounded" not in (warned(head, net=net, rate=0.0).warning or "")
    net.parameters()[-1].value[...] = [30, -30, 30]
    assert "not bounded" in warned(head, net=net, rate=0.0).warning


def test_where_no_cause_is_found_none_is_named():
    history = warned(Head(), rate=0.0)
    assert f"{NO_CAUSE}; the head shows no fault. It may be the learning rate (0), too large or too" in history.warning
    assert "Likely cause" not in history.warning


def test_units_that_died_in_training_are_put_down_to_the_step():
    history = warned(Head(), rate=3000.0)
    assert history.stopped is None and "the steps were too large (learning rate 3000); lower it tenfold" in history.warning
    history = warned(Head(), rate=100.0)
    assert "all images get the same scores now, so that units are dead: the steps were too large" in history.warning


def test_large_parameters_are_put_down_to_the_step_or_to_the_head():
    net = tiny.net()
    net.values[...] = 1e5
    net.forward(tiny.dataset().x_train)
    change = "the change of the parameters", too_large(0.1)
    sine = Head(Formula(np.sin, low=-1.0))
    for head, labels, words, others in ((Head(), LABELS % 3, "steps", "monotone"), (sine, LABELS % 3, "monotone", "steps"),
                                        (sine, None, "steps", "monotone")):
        told = diagnose(net, 7, 0.1, *change, head, labels)
        assert "at step 7: the change of" in told and words in told and others not in told


def test_a_warning_is_taken_back_by_what_is_learnt(monkeypatch):
    head = Head()
    net = tiny.net()

    def late(share):
        return 0.0 if share < 0.5 else 1.0

    seen = []
    line = isbe.History.line
    monkeypatch.setattr(isbe.History, "line", lambda self: seen.append(self.warning) or line(self))
    history = warned(head, net=net, epochs=8, schedule=late)
    assert seen[0] and history.warning is None and history.train_accuracy[-1] > 0.9


def test_a_divergence_leaves_no_warning():
    sums = warned(Sums(2), rate=2.0, epochs=200)
    assert sums.stopped == "diverged" and sums.warning is None
    assert "targets: a row of them sums to 2" in sums.diagnosis and "steps were too large" not in sums.diagnosis


def test_a_step_that_overflows_at_once_is_not_put_down_to_the_head():
    history = warned(Head("identity"), rate=1e39)
    assert history.steps == 0 and "steps were too large" in history.diagnosis and "not bounded" not in history.diagnosis


def test_a_layer_that_makes_nan_is_not_put_down_to_the_head():
    class Nan(isbe.Layer):
        def forward(self, step):
            step.y[...] = np.nan

        def backward(self, step):
            step.dx[...] = 0

    net = isbe.Sequential((1, 2, 2), isbe.Flatten(), isbe.Dense(3), Nan("nan"))
    history = warned(Head(Formula(np.sin, low=-1.0)), net=net)
    assert "a layer made a number that is not finite" in history.diagnosis and "monotone" not in history.diagnosis


def test_the_same_bits_whether_asked_or_not(monkeypatch):
    """Dropout and batch norm, whose state and random numbers another pass could change."""
    def trained():
        net = isbe.Sequential((1, 2, 2), isbe.Flatten(), isbe.Dense(8), isbe.BatchNorm(), isbe.Dropout(0.5), isbe.Dense(3),
                              seed=1)
        head = Head(Gumbel())
        history = warned(head, net=net, rate=1e-9, epochs=4, data=tiny.dataset(train=60))
        return net, head, history

    (one, asked, first), count = trained(), []
    monkeypatch.setattr(sys.modules["isbe_np.training.observer"], "warn", lambda *given: count.append(given))
    other, head, second = trained()
    assert count and np.array_equal(one.values, other.values) and first.gradient_norm == second.gradient_norm
    assert all(np.array_equal(a, b) for a, b in zip(one.state().values(), other.state().values(), strict=True))
    assert np.array_equal(asked.soft, head.soft) and asked.strict
    assert asked.normalizer.random.random() == head.normalizer.random.random()


def test_train_itself_says_nothing(capsys):
    assert warned(Head(), rate=0.0).warning
    assert capsys.readouterr() == ("", "")


def test_texts_are_warned_of_too():
    random = np.random.default_rng(0)
    net = isbe.networks.characters(vocabulary=5, length=6)
    x, y = random.integers(0, 5, (40, 6)).astype(np.float32), random.integers(0, 5, (40, 6))
    data = datasets.Dataset("text", x, y, x, y, tuple("abcde"), "Random.")
    history = isbe.train(net, Away(), data, 1, 8, isbe.SGD(0.01), progress=False)
    assert "its sign is wrong" in history.warning


def test_the_command_warns_and_ends_well(monkeypatch, tmp_path, capsys):
    tiny.study(monkeypatch)
    monkeypatch.setattr(datasets, "load", lambda *_, **__: tiny.dataset(train=240))
    file = tmp_path / "a.json"
    assert cli.main(["train", "--net", "tiny", "--learning-rate", "0", "--json", str(file)]) == 0
    out, err = capsys.readouterr()
    history = json.loads(file.read_text())["history"]
    assert history["warning"].startswith("Nothing was learnt") and history["stopped"] is None
    assert history["warning"] in err and "Nothing" not in out and "test accuracy" in out


def test_the_comparison_warns_too(monkeypatch, capsys):
    from isbe_np.cli import learning

    tiny.study(monkeypatch)
    monkeypatch.setattr(datasets, "load", lambda *_, **__: tiny.dataset(train=240))
    monkeypatch.setattr(learning, "second_process", tiny.Here)
    train = sys.modules["isbe_np.studies.compare"].train
    monkeypatch.setattr("isbe_np.studies.compare.train", lambda *given, **options: dataclasses.replace(
        train(*given, **options), warning="Nothing was learnt."))
    assert cli.main(["compare", "--net", "tiny", "--batch-size", "6", "--rounds", "2", "--epochs", "1"]) == 0
    assert "isbe compare: by route isbe: Nothing was learnt." in capsys.readouterr().err
