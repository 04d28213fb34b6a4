"""Assignment 6: its solution against independent computations, and the credit that typical answers get."""

import dataclasses
import statistics
from pathlib import Path

import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.classroom.assignment import find, generator
from isbe_np.classroom.grading import grade_source
from isbe_np.datasets import digits

pytestmark = pytest.mark.exhaustive

A6 = find(Path(__file__).parents[2] / "tutorials" / "assignments" / "a6")
SOLUTION = A6.solution


def cases(number, name, seed=7):
    task = A6.task(number)
    check = next(check for check in task.checks if check.name == name)
    return check.cases(generator(seed, task, check))


def graded(number, source, seed=7):
    """The report on one task of `source`."""
    return grade_source(dataclasses.replace(A6, tasks=(A6.task(number),)), source, seed).tasks[0]


@pytest.mark.parametrize("name", ["one pass", "a smaller last batch", "examples that come again", "large scores"])
def test_training_is_that_of_the_fused_route(name):
    for images, labels, weights, bias, order, batch_size, rate in cases("6.1", name):
        head = isbe.Head("softmax", route="fused", reduction="mean")
        W, b = weights.copy(), bias.copy()
        for k in range(0, len(order), batch_size):
            batch = images[order[k:k + batch_size]]
            head.forward(batch @ W + b)
            error = head.backward(labels[order[k:k + batch_size]])
            W, b = W - rate * batch.T @ error, b - rate * error.sum(axis=0)
        before = weights.copy()
        got = SOLUTION.train(images, labels, weights, bias, order, batch_size, rate)
        for have, want in zip(got, (W, b), strict=True):
            assert np.abs(have - want).max() < 1e-11 * max(1, np.abs(want).max())
        assert np.array_equal(weights, before)


def test_one_step_goes_down_the_gradient_of_the_mean_cross_entropy():
    images, labels, weights, bias, order, _, rate = cases("6.1", "one pass")[0]

    def loss(W, b):
        x = images @ W + b
        return np.mean(np.log(np.exp(x).sum(axis=1)) - x[np.arange(len(x)), labels])

    W, b = SOLUTION.train(images, labels, weights, bias, order, len(order), rate)
    h = 1e-6
    for index in np.ndindex(weights.shape):
        step = np.zeros_like(weights)
        step[index] = h
        slope = (loss(weights + step, bias) - loss(weights - step, bias)) / (2 * h)
        assert abs((weights - W)[index] / rate - slope) < 1e-8
    for c in range(len(bias)):
        step = h * np.eye(len(bias))[c]
        assert abs((bias - b)[c] / rate - (loss(weights, bias + step) - loss(weights, bias - step)) / (2 * h)) < 1e-8


@pytest.mark.parametrize("name", ["values", "all right or all wrong"])
def test_wilsons_interval_solves_its_equation(name):
    for scores, labels, z in cases("6.2", name):
        p, error, low, high = SOLUTION.accuracy(scores, labels, z)
        N = len(labels)
        right = [row.tolist().index(max(row)) == label for row, label in zip(scores, labels, strict=True)]
        assert p == pytest.approx(sum(right) / N, abs=1e-14)
        assert error == pytest.approx(np.std(right) / np.sqrt(N), abs=1e-14)
        # The ends are the shares q from which p is just z standard errors away: (p − q)² = z² q (1 − q) / N.
        ends = np.sort(np.roots([1 + z**2 / N, -2 * p - z**2 / N, p**2]).real)
        assert np.abs(ends - [low, high]).max() < 1e-7 and -1e-12 <= low <= p <= high <= 1 + 1e-12  # a double root loses half


def test_wilsons_interval_holds_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    held = {"wilson": 0, "p ± 1.96 s": 0}
    for _ in range(2000):
        right = random.random(20) < 0.95
        p, s, low, high = SOLUTION.accuracy(np.stack([right, ~right], axis=1).astype(float), np.zeros(20, int), 1.96)
        held["wilson"] += low <= 0.95 <= high
        held["p ± 1.96 s"] += p - 1.96 * s <= 0.95 <= p + 1.96 * s
    assert held["wilson"] > 0.9 * 2000 and held["p ± 1.96 s"] < 0.7 * 2000


def test_ratios_intervals_and_verdicts_are_those_of_plain_loops():
    for times, warm_up in cases("6.4", "values") + cases("6.4", "warm-up"):
        ratios = [first / second if k % 2 == 0 else second / first for k, (first, second) in enumerate(times.tolist())]
        assert SOLUTION.paired_ratio(times, warm_up) == pytest.approx(statistics.median(ratios[warm_up:]), rel=1e-13)
    for ratios, picks, level in cases("6.5", "95 %") + cases("6.5", "other levels"):
        medians = sorted(statistics.median(ratios[k] for k in row) for row in picks)
        ends = SOLUTION.bootstrap_interval(ratios, picks, level)
        for end, share in zip(ends, ((1 - level) / 2, (1 + level) / 2), strict=True):
            place = share * (len(medians) - 1)
            whole = min(int(place), len(medians) - 2)
            assert end == pytest.approx(medians[whole] + (place - whole) * (medians[whole + 1] - medians[whole]), rel=1e-12)
    seen = set()
    for low, high, margin in cases("6.6", "clear cases") + cases("6.6", "up to 3 %"):
        for a, b, got in zip(low, high, SOLUTION.verdict(low, high, margin), strict=True):
            want = 0 if 1 - margin <= a <= b <= 1 + margin else -1 if b < 1 else 1 if a > 1 else 2
            assert got == want
            seen.add(want)
    assert seen == {-1, 0, 1, 2}


def test_the_handouts_example_of_3_percent():
    low, high = np.array([0.96, 0.975, 0.97]), np.array([1.01, 1.005, 0.99])
    assert SOLUTION.verdict(low, high, 0.03).tolist() == [2, 0, 0]


def test_the_bootstrap_interval_holds_the_median_as_often_as_it_says():
    random = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        ratios = np.exp(random.normal(size=40))
        low, high = SOLUTION.bootstrap_interval(ratios, random.integers(0, 40, (400, 40)), 0.95)
        held += low <= 1 <= high
    assert 0.9 * 400 < held < 0.99 * 400


def test_the_classifier_is_well_above_the_highest_level():
    for seed in (1, 2, 3):
        x, y = digits.draw(1000, seed, "train")
        x_test, y_test = digits.draw(1000, seed, "test")
        assert (SOLUTION.fit_and_predict(x, y, x_test) == y_test).mean() > 0.90


TRAIN = '''
import numpy as np
def train(images, labels, weights, bias, order, batch_size, learning_rate):
    N, C = len(images), weights.shape[1]
    weights, bias = weights.copy(), bias.copy()
    for k in range(0, len(order), batch_size):
        chosen = order[k:k + batch_size]
        X, B = images[chosen], len(chosen)
        x = X @ weights + bias
        x = x - x.max(axis=1, keepdims=True)
        y = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        e = (y - np.eye(C)[labels[chosen]]) / B
        weights -= learning_rate * X.T @ e
        bias -= learning_rate * e.sum(axis=0)
    return weights, bias
'''
ACCURACY = '''
import numpy as np
def accuracy(scores, labels, z):
    N = len(labels)
    p = np.mean(np.argmax(scores, axis=1) == labels)
    s = np.sqrt(p * (1 - p) / N)
    d = 1 + z * z / N
    m, h = (p + z * z / (2 * N)) / d, z * np.sqrt(p * (1 - p) / N + z * z / (4 * N * N)) / d
    return p, s, m - h, m + h
'''
RATIO = '''
import numpy as np
def paired_ratio(times, warm_up):
    a = np.array([t[k % 2] for k, t in enumerate(times)])
    b = np.array([t[1 - k % 2] for k, t in enumerate(times)])
    return np.median(a[warm_up:] / b[warm_up:])
'''
INTERVAL = '''
import numpy as np
def bootstrap_interval(ratios, picks, level):
    medians = np.array([np.median(ratios[row]) for row in picks])
    return np.percentile(medians, 50 * (1 - level)), np.percentile(medians, 50 * (1 + level))
'''
VERDICT = '''
import numpy as np
def verdict(low, high, margin):
    out = np.full(len(low), 2)
    out[low > 1] = 1
    out[high < 1] = -1
    out[(low >= 1 - margin) & (high <= 1 + margin)] = 0
    return out
'''
EYE = "e = (y - np.eye(C)[labels[chosen]]) / B"
ANSWERS = [  # task, what it does, points, the text, what is replaced in it, by what
    ("6.1", "right, with a one-hot matrix", 5, TRAIN, "", ""),
    ("6.1", "right, with einsum", 5, TRAIN, "X.T @ e", "np.einsum('bd,bc->dc', X, e)"),
    ("6.1", "right, example by example", 5, TRAIN, "X.T @ e", "sum(np.outer(X[i], e[i]) for i in range(B))"),
    ("6.1", "right, by log-softmax", 5, TRAIN, "y = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)",
     "y = np.exp(x - np.log(np.exp(x).sum(axis=1, keepdims=True)))"),
    ("6.1", "the sum, not the mean", 0, TRAIN, " / B\n", "\n"),
    ("6.1", "divides by classes too", 0, TRAIN, " / B\n", " / (B * C)\n"),
    ("6.1", "divides the last batch by batch_size", 4, TRAIN, " / B\n", " / batch_size\n"),
    ("6.1", "leaves the last batch out", 4, TRAIN, "range(0, len(order), batch_size)",
     "range(0, len(order) - batch_size + 1, batch_size)"),
    ("6.1", "one pass whatever the order says", 4, TRAIN, "range(0, len(order), batch_size)", "range(0, N, batch_size)"),
    ("6.1", "takes the examples as they lie", 0, TRAIN, "order[k:k + batch_size]", "np.arange(k, min(k + batch_size, N))"),
    ("6.1", "goes up", 0, TRAIN, "weights -= ", "weights += "),
    ("6.1", "forgets the bias", 0, TRAIN, "bias -= ", "bias - "),
    ("6.1", "overflows", 4, TRAIN, "x = x - x.max(axis=1, keepdims=True)", "pass"),
    ("6.1", "multiplies by the Jacobian again", 0, TRAIN, EYE, EYE + "; e = y * (e - (y * e).sum(axis=1, keepdims=True))"),
    ("6.1", "in float32", 0, TRAIN, "weights.copy(), bias.copy()", "weights.astype('f4'), bias.astype('f4')"),
    ("6.2", "right", 3, ACCURACY, "", ""),
    ("6.2", "the accuracy alone", 1, ACCURACY, "return p, s, m - h, m + h", "return p"),
    ("6.2", "p ± z s", 1, ACCURACY, "m - h, m + h", "p - z * s, p + z * s"),
    ("6.2", "N − 1", 2, ACCURACY, "s = np.sqrt(p * (1 - p) / N)", "s = np.sqrt(p * (1 - p) / max(N - 1, 1))"),
    ("6.2", "always 95 %", 2, ACCURACY, "N = len(labels)", "N = len(labels); z = 1.96"),
    ("6.2", "forgets to divide by 1 + z²/N", 1, ACCURACY, "d = 1 + z * z / N", "d = 1"),
    ("6.2", "the last of equal scores", 1, ACCURACY, "np.argmax(scores, axis=1)",
     "scores.shape[1] - 1 - np.argmax(scores[:, ::-1], axis=1)"),
    ("6.2", "in per cent", 0, ACCURACY, "return p,", "return 100 * p,"),
    ("6.4", "right, in a loop", 3, RATIO, "", ""),
    ("6.4", "the mean of ratios", 0, RATIO, "np.median(", "np.mean("),
    ("6.4", "the ratio of medians", 0, RATIO, "a[warm_up:] / b[warm_up:])", "a[warm_up:]) / np.median(b[warm_up:])"),
    ("6.4", "the ratio of sums", 0, RATIO, "np.median(a[warm_up:] / b[warm_up:])", "a[warm_up:].sum() / b[warm_up:].sum()"),
    ("6.4", "B / A", 0, RATIO, "a[warm_up:] / b[warm_up:]", "b[warm_up:] / a[warm_up:]"),
    ("6.4", "takes the columns for A and B", 0, RATIO, "k % 2", "0"),
    ("6.4", "counts the warm-up", 2, RATIO, "[warm_up:]", ""),
    ("6.4", "drops first, then tells A from B", 2, RATIO, "    a =", "    times = times[warm_up:]; warm_up = 0\n    a ="),
    ("6.5", "right, with percentiles", 2, INTERVAL, "", ""),
    ("6.5", "means of the draws", 0, INTERVAL, "np.median(ratios[row])", "np.mean(ratios[row])"),
    ("6.5", "always 95 %", 1, INTERVAL, "    medians", "    level = 0.95\n    medians"),
    ("6.5", "all of 1 − level at each end", 0, INTERVAL, "50 * (1", "100 * (1 * 0.5 + 0.5"),
    ("6.5", "draws by itself", 0, INTERVAL, "in picks", "in np.random.default_rng(0).integers(0, len(ratios), picks.shape)"),
    ("6.5", "as if the draws were normal", 0, INTERVAL, "    return", "    return medians.mean() - 1.96 * medians.std(), "
     "medians.mean() + 1.96 * medians.std()\n    return"),
    ("6.6", "right, with masks", 2, VERDICT, "", ""),
    ("6.6", "as float64", 2, VERDICT, "return out", "return out.astype(float)"),
    ("6.6", "has no 0", 1, VERDICT, "] = 0", "] *= 1"),
    ("6.6", "faster before the margin is asked", 1, VERDICT, "    return out",
     "    out[low > 1] = 1; out[high < 1] = -1\n    return out"),
    ("6.6", "not seen is not there", 0, VERDICT, "    return out", "    out[(low <= 1) & (high >= 1)] = 0\n    return out"),
    ("6.6", "swaps faster and slower", 0, VERDICT, "= -1", "= 1; out[low > 1] = -1"),
    ("6.6", "leaves the ends of the margin out", 1, VERDICT, "(low >= 1 - margin) & (high <= 1 + margin)",
     "(low > 1 - margin) & (high < 1 + margin)"),
]


@pytest.mark.parametrize(("number", "what", "points", "text", "old", "new"), ANSWERS, ids=[f"{a[0]} {a[1]}" for a in ANSWERS])
def test_typical_answers_get_the_credit_they_deserve(number, what, points, text, old, new):
    assert old in text
    report = graded(number, text.replace(old, new) if old else text)
    assert report.score == points, [(check.name, check.message) for check in report.checks]
    for check in report.checks:
        if not check.passed:
            assert check.message and check.hint


MEANS = '''
    M = np.array([a[y_train == c].mean(axis=0) for c in range(10)])
    return ((b[:, None] - M)**2).sum(axis=2).argmin(axis=1)
'''
NEAREST = '''
    return y_train[((b**2).sum(axis=1)[:, None] - 2 * b @ a.T + (a**2).sum(axis=1)).argmin(axis=1)]
'''
BLUR = '''
    def blur(x):
        for axis in (1, 2):
            x = (np.roll(x, 1, axis) + 2 * x + np.roll(x, -1, axis)) / 4
        return x
    x_train, x_test = blur(x_train / 255), blur(x_test / 255)
'''
REGRESSION = '''
    W, c, random = np.zeros((784, 10)), np.zeros(10), np.random.default_rng(0)
    order = np.concatenate([random.permutation(len(a)) for _ in range(40)])
    W, c = train(a, y_train, W, c, order, 50, 0.5)
    return (b @ W + c).argmax(axis=1)
'''
FLAT = "    a, b = (x.reshape(len(x), -1) / 255 for x in (x_train, x_test))\n"
CLASSIFIERS = {  # what it does: points, the body
    "nearest mean": (2, FLAT + MEANS.replace("for c in", "if (y_train == c).any() else np.full(784, 1e9) for c in")),
    "nearest mean, of classes that are missing too": (1, FLAT + MEANS),
    "nearest image": (3, FLAT + NEAREST),
    "nearest image in uint8": (0, FLAT.replace(" / 255", "") + NEAREST),
    "nearest blurred image": (4, BLUR + FLAT.replace(" / 255", "") + NEAREST),
    "softmax regression": (3, FLAT + REGRESSION),
    "always 7": (0, "    return np.full(len(x_test), 7)\n"),
    "scores instead of labels": (0, "    return np.zeros((len(x_test), 10))\n"),
    "labels in a column": (0, (FLAT + NEAREST).replace("return y_train", "return y_train[:, None]")),
    "nonsense numbers": (0, "    return np.full(len(x_test), np.nan)\n"),
}


@pytest.mark.parametrize("what", CLASSIFIERS)
def test_classifiers_get_a_point_for_each_level(what):
    points, body = CLASSIFIERS[what]
    report = graded("6.3", f"{TRAIN}\ndef fit_and_predict(x_train, y_train, x_test):\n{body}")
    assert report.score == points, [(check.name, check.message) for check in report.checks]
    missed = [check.message for check in report.checks[1:] if not check.passed]
    assert all("hidden labels are right" in message or "label for each image" in message for message in missed)


def test_the_hidden_labels_are_not_among_what_is_sent():
    (x_train, y_train, x_test), = cases("6.3", "88 % of digits")
    assert (x_train.shape, y_train.shape, x_test.shape) == ((1000, 28, 28), (1000,), (1000, 28, 28))
    assert x_train.dtype == x_test.dtype == np.uint8
    assert not np.array_equal(x_test, cases("6.3", "88 % of digits", seed=8)[0][2])


@pytest.mark.parametrize(("dtype", "score"), [("int8", 2), (">i2", 2), ("float16", 2), ("uint8", 0), ("object", 0)])
def test_verdicts_count_in_every_dtype_that_holds_them(dtype, score):
    source = A6.files["a6.py"].replace("np.where(high < 1, -1, np.where(low > 1, 1, 2)))", "np.where(high < 1, -1, "
                                       f"np.where(low > 1, 1, 2))).astype({dtype!r})")
    report = graded("6.6", source)
    assert report.score == score
    said = {"uint8": "It is of dtype uint8, which holds whole numbers from 0 to 255 only", "object": "is of dtype object"}
    assert all(said.get(dtype, "") in check.message and "TypeError" not in check.message for check in report.checks)


@pytest.mark.parametrize(("result", "score"), [
    ("np.float16(0.3),", 0), ("[p], standard_error, middle - half, middle + half", 1), ("", 0), ("np.array([p, p]),", 0),
])
def test_an_accuracy_of_another_form_is_told(result, score):
    source = A6.files["a6.py"].replace("return p, standard_error, middle - half, middle + half", f"return ({result})")
    (alone,) = (check for check in graded("6.2", source).checks if check.name == "the accuracy alone")
    assert alone.score == score and "Error" not in alone.message
    assert score or "The accuracy, which is the first result" in alone.message
