"""Assignment 6: train, time, and report honestly. Read handout.md; fill in the functions; try them with `isbe check a6`."""

import numpy as np


def train(images, labels, weights, bias, order, batch_size, learning_rate):
    """Weights (D, C) and bias (C,) of softmax regression, trained through `order`, float64; what came in stays unchanged.

    images (N, D), labels (N,) whole numbers from 0 to C − 1; weights (D, C) and bias (C,): where the training starts. `order`
    (M,) holds numbers of examples. Each `batch_size` of them in turn are a batch of B; the last one may be smaller. A batch has
    scores x = images · weights + bias and errors e = (softmax(x) − target) / B; then weights −= learning_rate · imagesᵀ e and
    bias −= learning_rate · Σ e over its examples.
    """
    # BEGIN SOLUTION
    weights, bias = weights.astype(np.float64), bias.astype(np.float64)
    for start in range(0, len(order), batch_size):
        chosen = order[start:start + batch_size]
        batch, B = images[chosen], len(chosen)
        scores = batch @ weights + bias
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        error = e / e.sum(axis=1, keepdims=True)
        error[np.arange(B), labels[chosen]] -= 1
        weights = weights - learning_rate / B * (batch.T @ error)
        bias = bias - learning_rate / B * error.sum(axis=0)
    return weights, bias
    # END SOLUTION


def accuracy(scores, labels, z):
    """Four numbers: accuracy p of the scores (N, C) for labels (N,), its standard error, and Wilson's interval, low and high.

    The predicted class is that of the largest score, the first of equal ones. `z` is 1.96 for a 95 % interval.
    """
    # BEGIN SOLUTION
    N = len(labels)
    p = float((scores.argmax(axis=1) == labels).mean())
    standard_error = np.sqrt(p * (1 - p) / N)
    middle = (p + z**2 / (2 * N)) / (1 + z**2 / N)
    half = z / (1 + z**2 / N) * np.sqrt(p * (1 - p) / N + z**2 / (4 * N**2))
    return p, standard_error, middle - half, middle + half
    # END SOLUTION


def fit_and_predict(x_train, y_train, x_test):
    """Labels (M,), whole numbers, of the images x_test (M, 28, 28), learnt from x_train (N, 28, 28) and y_train (N,).

    Images are uint8, 0 for paper to 255 for ink; labels are 0 to 9, of which some may be missing. The way is yours, in at most
    20 s.
    """
    # BEGIN SOLUTION
    def features(images):
        """How strongly ink changes in each of 8 directions in each square of 4 x 4 pixels: (N, 392), every row of length 8."""
        ink = np.pad(images / 255.0, ((0, 0), (2, 2), (2, 2)))
        ink = (ink[:, :-2] + 2 * ink[:, 1:-1] + ink[:, 2:]) / 4
        ink = (ink[:, :, :-2] + 2 * ink[:, :, 1:-1] + ink[:, :, 2:]) / 4
        across, down = ink[:, 1:-1, 2:] - ink[:, 1:-1, :-2], ink[:, 2:, 1:-1] - ink[:, :-2, 1:-1]
        turns = np.arange(8) * np.pi / 4
        slopes = [np.maximum(0, across * np.cos(t) + down * np.sin(t)) for t in turns]
        rows = np.stack([s.reshape(-1, 7, 4, 7, 4).sum(axis=(2, 4)) for s in slopes], axis=1).reshape(len(images), -1)
        return 8 * rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)

    x, random = features(x_train), np.random.default_rng(0)
    order = np.concatenate([random.permutation(len(x)) for _ in range(30)])
    weights, bias = train(x, y_train, np.zeros((x.shape[1], 10)), np.zeros(10), order, 50, 0.5)
    return (features(x_test) @ weights + bias).argmax(axis=1)
    # END SOLUTION


def paired_ratio(times, warm_up):
    """The median over rounds of (time of A) / (time of B), without the first `warm_up` rounds.

    times (R, 2) are seconds in the order in which they were taken: A, then B in rounds 0, 2, 4, …; B, then A in rounds 1, 3, …
    """
    # BEGIN SOLUTION
    a, b = times[:, 0].copy(), times[:, 1].copy()
    a[1::2], b[1::2] = times[1::2, 1], times[1::2, 0]
    return np.median((a / b)[warm_up:])
    # END SOLUTION


def bootstrap_interval(ratios, picks, level):
    """Two numbers: the percentile interval, low and high, of the median of the ratios (R,); `level` is 0.95 for 95 %.

    Each row of picks (draws, R) holds the numbers of the rounds that are drawn again, and so gives one median. The interval
    runs from the quantile (1 − level) / 2 of these medians to the quantile (1 + level) / 2, as np.quantile defines them.
    """
    # BEGIN SOLUTION
    medians = np.median(ratios[picks], axis=1)
    low, high = np.quantile(medians, [(1 - level) / 2, (1 + level) / 2])
    return low, high
    # END SOLUTION


def verdict(low, high, margin):
    """What each interval low (K,), high (K,) of a ratio of times A / B says of A: (K,) whole numbers −1, 0, 1 or 2.

    In this order: 0 (no difference that matters) where all of it lies from 1 − margin to 1 + margin, ends included; −1 (faster)
    where all of it lies below 1; 1 (slower) where all of it lies above 1; 2 (undecided) otherwise.
    """
    # BEGIN SOLUTION
    same = (low >= 1 - margin) & (high <= 1 + margin)
    return np.where(same, 0, np.where(high < 1, -1, np.where(low > 1, 1, 2)))
    # END SOLUTION
