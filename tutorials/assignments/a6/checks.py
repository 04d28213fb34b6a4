"""The checks of assignment 6. Cases are drawn anew for every grading; the solution in a6.py says what is expected.

The digits of task 6.3 are drawn here from the grading's own seed. Their labels are never sent, and not even computed before the
submission's process is dead: what is kept till then is the number that the images were drawn from.
"""

import hashlib

import numpy as np

from isbe_np.classroom import Assignment, Check, Limits, Task
from isbe_np.datasets import digits

QUICK = Limits(start=10, first=5, call=5, memory=2**30)
FIT = Limits(start=10, first=20, call=20, processor=100, memory=2 * 2**30)
TRAINED, TESTED = 1000, 1000  # digits

drawn: dict[bytes, int] = {}  # from the digest of the images to the number that they were drawn from


def start(random, N, D, C, scale=1.0):
    """Images, labels, and weights and bias to start from."""
    weights, bias = scale * random.normal(size=(D, C)), scale * random.normal(size=C)
    return random.uniform(0, 1, (N, D)), random.integers(0, C, N), weights, bias


def one_pass(random):
    """Every example once, in batches of one size."""
    return [(*start(random, N, D, C), random.permutation(N), B, float(random.uniform(0.1, 1)))
            for N, D, C, B in ((12, 5, 3, 4), (6, 3, 2, 1), (8, 4, 5, 8))]


def left_over(random):
    """The last batch is smaller, or there are fewer examples than a batch holds."""
    return [(*start(random, N, 4, 3), random.permutation(N), B, 0.7) for N, B in ((10, 4), (3, 8))]


def epochs(random):
    """Three passes, in which some examples come often and others never."""
    return [(*start(random, 9, 4, 3), random.integers(0, 9, 27), 3, 0.5)]


def far_scores(random):
    """Scores so large that e^x overflows."""
    return [(*start(random, 8, 6, 3, 2000), random.integers(0, 8, 8), 4, 0.5)]


def guesses(random):
    """Scores of a classifier that is often right, among them equal ones."""
    cases = []
    for N, C in ((20, 4), (150, 10), (7, 2)):
        labels = random.integers(0, C, N)
        scores = np.round(random.normal(0, 1, (N, C)) + 1.5 * np.eye(C)[labels], 1)
        labels[0], labels[1] = scores[0].argmax(), (scores[1].argmax() + 1) % C  # neither all right nor none
        scores[2], labels[2] = 0, 0
        cases.append((scores, labels, float(random.uniform(1, 3))))
    return cases


def all_or_none(random):
    """Every answer right, every answer wrong, and a single one."""
    labels = random.integers(0, 5, 40)
    scores = np.eye(5)[labels]
    return [(scores, labels, 1.96), (-scores, labels, 1.96), (np.array([[0.2, 0.9]]), np.array([1]), 1.96)]


def right_share(arguments, got):
    """The accuracy by itself, whatever else is returned."""
    scores, labels, _ = arguments
    if not got or np.size(got[0]) != 1:
        return f"The accuracy, which is the first result, is one number; got {_described(got[:1])}."
    expected = np.mean(scores.argmax(axis=1) == labels)
    value = float(np.asarray(got[0]).reshape(()))
    fault = f"The accuracy, which is the first result: expected {expected:.6g}, got {value:.6g}."
    return None if abs(value - expected) <= 1e-9 else fault


def squares(random):
    """Images that anything can tell: a bright square at a place for each class, and not every class is there."""
    cases = []
    for classes, N, M in (((0, 1, 2, 3, 4, 5, 6, 7, 8, 9), 20, 10), ((1, 4, 9), 9, 6)):
        y_train, y_test = (np.resize(random.permutation(classes), count) for count in (N, M))
        cases.append((_squares(random, y_train), y_train, _squares(random, y_test)))
    return cases


def _squares(random, labels):
    images = np.zeros((len(labels), 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = 2 + 9 * (label // 4), 1 + 7 * (label % 4)
        image[row:row + 5, column:column + 5] = random.integers(200, 256)
    return images


def like_nearest(x_train, y_train, x_test):
    """The label of the nearest image."""
    gaps = x_test.reshape(len(x_test), 1, -1).astype(np.float64) - x_train.reshape(1, len(x_train), -1)
    return y_train[(gaps**2).sum(axis=2).argmin(axis=1)]


def new_digits(random):
    """Digits that nobody has seen."""
    seed = int(random.integers(2**31))
    x_train, y_train = digits.draw(TRAINED, seed, "train")
    x_test, _ = digits.draw(TESTED, seed, "test")
    drawn[_digest(x_test)] = seed
    return [(x_train, y_train, x_test)]


def _digest(images):
    return hashlib.sha256(images.tobytes()).digest()


def reaches(level):
    """A judge: at least `level` of the hidden labels must be right."""
    def judge(arguments, got):
        if len(got) != 1 or np.shape(got[0]) != (TESTED,):
            return f"One array of {TESTED:,} labels is expected, a label for each image of x_test; got {_described(got)}."
        _, y_test = digits.draw(TESTED, drawn[_digest(arguments[2])], "test")
        right = int((np.asarray(got[0]) == y_test).sum())
        low, high = _wilson(right, TESTED)
        return None if right >= level * TESTED else (
            f"{right} of {TESTED:,} hidden labels are right: accuracy {right / TESTED:.1%} (95 % interval {low:.1%} to "
            f"{high:.1%}), where at least {level:.0%} is expected.")
    return judge


def _described(got):
    return f"shape {np.shape(got[0])}" if len(got) == 1 else f"{len(got)} results"


def _wilson(right, N, z=1.96):
    p = right / N
    middle, half = p + z**2 / (2 * N), z * np.sqrt(p * (1 - p) / N + z**2 / (4 * N**2))
    return (middle - half) / (1 + z**2 / N), (middle + half) / (1 + z**2 / N)


def _rounds(random, R, ratio):
    """Times of A and B, (R, 2), as taken: a long tail upwards, and a spell in which the machine is slow."""
    speed = np.exp(0.1 * random.normal(size=(R, 2)) + random.exponential(0.2, (R, 2)))
    speed[R // 2:R // 2 + 1 + R // 4] *= random.uniform(2, 4)
    times = 1e-3 * speed * [ratio, 1]
    times[1::2] = times[1::2, ::-1]
    return times


def rounds(random):
    """Nothing to leave out."""
    return [(_rounds(random, R, float(random.uniform(0.7, 1.3))), 0) for R in (9, 12, 1)]


def cold_rounds(random):
    """The first rounds take far longer, A above all; the number of those left out is even and odd."""
    cases = []
    for warm_up, R in ((2, 8), (3, 10), (5, 6)):
        times = _rounds(random, R, 0.9)
        for k in range(warm_up):
            times[k] *= [40, 3] if k % 2 == 0 else [3, 40]
        cases.append((times, warm_up))
    return cases


def draws_of(random, R, draws):
    """Ratios with a long tail, and the rounds to draw again."""
    return np.exp(0.1 * random.normal(size=R) + random.exponential(0.1, R)), random.integers(0, R, (draws, R))


def at_95(random):
    """The usual level."""
    return [(*draws_of(random, R, draws), 0.95) for R, draws in ((15, 200), (8, 333), (1, 5))]


def other_levels(random):
    """Wider and narrower ones."""
    return [(*draws_of(random, 11, 150), level) for level in (0.99, 0.8, 0.5)]


def clear(random):
    """Intervals far from the margin: faster, slower, undecided."""
    width = random.uniform(0.05, 0.2, 6)
    low = np.array([0.5, 1.2, 0.9, 0.6, 1.4, 0.97]) + random.uniform(-0.02, 0.02, 6)
    low[5] = 0.97
    width[[2, 5]] = 0.3
    return [(low, low + width, 0.01), (np.array([0.9, 1.0]), np.array([1.0, 1.1]), 0.0)]


def up_to_3_percent(random):
    """What a claim of a few per cent meets: intervals within the margin, across it, or faster by less than it."""
    a, b, c = random.uniform(0.001, 0.009, 3)
    low = np.array([0.98 + a, 0.95 + b, 0.97 + a, 0.95, 1.001, 1.01, 0.98, 0.9])
    high = np.array([1.01 + b, 1.01 + c, 0.99, 0.98 + c, 1.02 + b, 1.05 + a, 1.04 + c, 1.1])
    return [(low, high, 0.03), (low[:1], high[:1], 0.03), (np.ones(1), np.ones(1), 0.0)]


ASSIGNMENT = Assignment("Train, time, and report honestly", tasks=(
    Task("6.1", "train", "Softmax regression by the error alone", limits=QUICK, returns=("weights", "bias"), checks=(
        Check("one pass", 2, one_pass, "Take the examples that `order` names, not the first ones. e = (y − t) / B, with y "
              "from the weights as they are before this batch's step. Subtract, and change the bias too."),
        Check("a smaller last batch", 1, left_over, "The last batch counts, and its B is the number of examples that it has."),
        Check("examples that come again", 1, epochs, "`order` can be longer than the data, and name an example often or "
              "never: its length says when to stop."),
        Check("large scores", 1, far_scores, "Subtract each row's largest score before e^x."))),
    Task("6.2", "accuracy", "Accuracy and what it is worth", limits=QUICK,
         returns=("the accuracy", "the standard error", "Wilson's lower end", "Wilson's upper end"), checks=(
             Check("the accuracy alone", 1, lambda random: guesses(random) + all_or_none(random), "The share of rows whose "
                   "largest score is the label's; of equal ones the first counts, as in np.argmax.",
                   judge=right_share, public=False),
             Check("values", 1, guesses, "The standard error is √(p(1 − p)/N), with N and not N − 1; Wilson's interval has its "
                   "middle between p and 1/2, and z² in three places."),
             Check("all right or all wrong", 1, all_or_none, "At p = 1 the standard error is 0, and p ± z · 0 would claim to "
                   "be sure. Wilson's interval runs from 1 / (1 + z²/N) to 1."))),
    Task("6.3", "fit_and_predict", "A classifier of your own", limits=FIT, returns=("the labels",), checks=(
        Check("bright squares", 1, squares, "Give one whole number for each image of x_test. uint8 wraps round, 3 − 5 = "
              "254: turn images into floats first. A class without an example has no mean.", reference=like_nearest),
        *(Check(f"{level} % of digits", 1, new_digits, hint, judge=reaches(level / 100), public=False) for level, hint in (
            (55, "The mean image of each class, and the nearest of them, gets there."),
            (72, "Softmax regression with `train`, on images / 255 with 40 passes or so, gets there; so does the nearest "
             "image's label."),
            (81, "Blur first: strokes that lie a pixel apart then overlap. The nearest image after a blur gets there, and a "
             "hidden layer may."),
            (88, "Digits differ in where strokes run which way. Sum up the ink's slopes by direction in squares of 4 x 4 "
             "pixels, scale each image's numbers to one length, and train on these."))))),
    Task("6.4", "paired_ratio", "Times in turns", limits=QUICK, returns=("the ratio",), checks=(
        Check("values", 2, rounds, "First put A's and B's times where they belong, then divide round by round, then take the "
              "median. A ratio of two medians, or a mean, is another number."),
        Check("warm-up", 1, cold_rounds, "Leave out the first `warm_up` rounds. Whether A or B came first in one that remains "
              "is told by its number in the whole."))),
    Task("6.5", "bootstrap_interval", "How sure is a ratio?", limits=QUICK, returns=("the lower end", "the upper end"), checks=(
        Check("95 %", 1, at_95, "ratios[picks] is (draws, R): one median a row, then two quantiles of these medians."),
        Check("other levels", 1, other_levels, "What is outside, 1 − level, is shared by both ends."))),
    Task("6.6", "verdict", "What may be said", limits=QUICK, returns=("the verdicts",), checks=(
        Check("clear cases", 1, clear, "Below 1 throughout: A is faster; above 1: slower. An interval that ends at 1 does not "
              "lie below it."),
        Check("up to 3 %", 1, up_to_3_percent, "Not to see a difference (2) is not to see that there is none (0): for 0 the "
              "whole interval must lie within the margin."))),
))
