"""Trainings that are wrong in ways the diagnosis was not made by: it was finished, and then they were written and tried once.

Of 13 it recognised 9, misread 2 and was silent at 2. Nothing was tuned to them. Two claims that were untrue were mended later,
which named no further cause: that a normalizer of which rows are scaled is constant ("spherical" had been misread), and that
scores move where rounding moves them ("rate 1e-12" had been silent). `SAID` is what comes out, not what ought to, so that a
change shows.
"""

import numba
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.studies.faulty_trainings import Formula, Sums, softmax
from isbe_np.training.diagnosis import NO_CAUSE

pytestmark = [
    pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes without the compiler"),
    pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero) encountered:RuntimeWarning")]
lenet = isbe.networks.lenet5


class Away(isbe.Head):
    """The error t − y."""

    def backward(self, targets, out=None):
        return -super().backward(targets)


class Plus(Formula):
    """Softmax with J = diag(y) + y yᵀ."""

    def __init__(self):
        super().__init__(softmax)

    def jacobian(self, scores, soft):
        return np.eye(soft.shape[1], dtype=soft.dtype) * soft[:, None, :] + soft[:, :, None] * soft[:, None, :]


def deep(seed):
    """Two hidden layers with tanh."""
    return isbe.Sequential((1, 28, 28), isbe.Flatten(), isbe.Dense(32), isbe.Tanh(), isbe.Dense(32), isbe.Tanh(),
                           isbe.Dense(10), seed=seed)


def by(formula, low=0.0):
    return lambda: isbe.Head(Formula(formula, low=low))


def naive(x):
    """Softmax without a shift."""
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


# Network, head, optimizer, scores at the start, and the words that name what is wrong.
CASES = {
    "spherical": (lenet, by(lambda x: x * x / (x * x).sum(axis=1, keepdims=True)), lambda: isbe.Adam(1e-3), 0, "not monotone"),
    "cubic": (deep, by(lambda x: x**3), lambda: isbe.SGD(0.1, momentum=0.9), 0, "not bounded"),
    "softplus": (lenet, by(lambda x: np.logaddexp(0, x)), lambda: isbe.SGD(1.0, momentum=0.9), 0, "not bounded"),
    "away": (lenet, Away, lambda: isbe.Adam(1e-3), 0, "its sign is wrong"),
    "targets −1": (deep, by(lambda x: 1 / (1 + np.exp(-x)), -1.0), lambda: isbe.Adam(0.01), 0, "targets: -1"),
    "sums to 3": (lenet, lambda: Sums(3), lambda: isbe.Adam(1e-3), 0, "targets: a row of them sums to"),
    "tanh far": (deep, lambda: isbe.Head("tanh", "factored", loss="squared"), lambda: isbe.Adam(1e-3), 20, "flat zone"),
    "AdamW 10": (lenet, isbe.Head, lambda: isbe.AdamW(10.0), 0, "steps were too large"),
    "plus": (lenet, lambda: isbe.Head(Plus(), "jacobian"), lambda: isbe.SGD(0.05, momentum=0.9), 0, "jacobian is wrong"),
    "naive": (deep, by(naive), lambda: isbe.SGD(0.1, momentum=0.9), 100, "the normalizer must return finite soft scores"),
    "rate 1e-12": (lenet, isbe.Head, lambda: isbe.SGD(1e-12), 0, "too small"),
    "minus tanh": (deep, by(lambda x: -np.tanh(x), -1.0), lambda: isbe.Adam(0.01), 0, "not monotone"),
    "hardsigmoid far": (lenet, lambda: isbe.Head("hardsigmoid", "jacobian", loss="squared"),
                        lambda: isbe.SGD(0.05, momentum=0.9), -10, "flat zone"),
}
# "sums to 3" learns all the same, to 30 % in training.
SAID = {"spherical": "seen", "softplus": "misread", "sums to 3": "silent", "rate 1e-12": "seen"}


@pytest.fixture(scope="module")
def digits():
    return isbe.datasets.load("digits", train=600, test=200)


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_of_it(name, digits):
    make, head, optimizer, bias, words = CASES[name]
    net = make(seed=0)
    if bias:
        net.parameters()[-1].value[...] = bias
    history = isbe.train(net, head(), digits, 4, 50, optimizer(), progress=False)
    told = history.diagnosis or history.warning
    verdict = "silent" if not told else "seen" if NO_CAUSE in told else "recognised" if words in told else "misread"
    assert verdict == SAID.get(name, "recognised"), told
