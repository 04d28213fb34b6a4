"""The training loop."""

from __future__ import annotations

import math
import time

import numpy as np

from isbe_np.checks import float_array, whole
from isbe_np.datasets import Dataset
from isbe_np.datasets.batches import batches
from isbe_np.graph import Graph
from isbe_np.heads import Head
from isbe_np.kernels.finite import all_finite, squared_norm
from isbe_np.training.augmentation import Augment
from isbe_np.training.diagnosis import Early, diagnose, guessing, no_better, too_large, warn
from isbe_np.training.history import History
from isbe_np.training.metrics import accuracy
from isbe_np.training.optimizers import SGD, Optimizer
from isbe_np.training.progress import Progress
from isbe_np.training.schedules import Schedule, factor

# Momentum adds up many steps: the change of one step stays so far below the largest number of the dtype.
MARGIN = 1e6


class Diverged(Exception):
    """Scores or gradients stopped being finite; the text is the diagnosis."""


def train(net: Graph, head: Head, data: Dataset, epochs: int = 1, batch_size: int = 128,
          optimizer: Optimizer | None = None, seed: int = 0, schedule: str | Schedule = "constant", loss: bool = False,
          progress: bool = True, augment: Augment | None = None) -> History:
    """Train `net` in place and return its history.

    Parameters
    ----------
    data : has x_train, y_train, x_test, y_test, such as `isbe_np.datasets.load` returns.
    optimizer : default SGD(0.05, momentum=0.9). Its learning rate times the schedule's factor is used at each step.
    seed : decides the order of the examples in each epoch, a new permutation for each.
    schedule : "constant", "warm_up_and_decay", or a function from the share of training done (0 to 1) to a factor.
    loss : also compute the head's loss. No route needs it for training, so that by default none is computed.
    progress : show a bar on a terminal, else a line an epoch, on standard error.
    augment : changes the training images anew in each epoch, such as `isbe_np.Affine(rotation=10, shift=2)`, or a function
        (x_train, indices, epoch, out, seed) that fills and returns `out` from x_train[indices]. `seed` decides how.

    Ctrl-C ends training and keeps what was learnt: `History.stopped` is then "interrupted". Scores or gradients that
    are not finite end it with "diverged" and a sentence in `History.diagnosis`, before they reach the parameters.
    """
    epochs, batch_size = whole("train(epochs)", epochs), whole("train(batch_size)", batch_size)
    seed = whole("train(seed)", seed, least=0)
    optimizer = SGD(0.05, momentum=0.9) if optimizer is None else optimizer
    for name, given, kind in (("net", net, Graph), ("head", head, Head), ("optimizer", optimizer, Optimizer)):
        if not isinstance(given, kind):
            raise TypeError(f"train({name}) expects an isbe_np {kind.__name__}; got {given!r}.")
    if augment is not None and not callable(augment):
        raise TypeError(f"train(augment) expects an object such as isbe_np.Affine(rotation=10) or a function; got {augment!r}.")
    x_train, y_train = _checked(net, data, "train")
    x_test, y_test = _checked(net, data, "test")
    factor_at, run = factor(schedule), _Run(net, head, optimizer, loss, guessing(y_train))
    history, base = History(), optimizer.learning_rate
    total = epochs * math.ceil(len(x_train) / batch_size)
    try:
        for epoch in range(epochs):
            run.start_epoch()
            with Progress(progress, epoch, epochs, total // epochs) as bar:
                for x, y in batches(x_train, y_train, batch_size, seed, epoch, augment):
                    optimizer.learning_rate = base * factor_at((history.steps + 0.5) / total)
                    run.step(x, y, history.steps)
                    history.steps += 1
                    bar.advance()
                run.end_epoch(history, x_test, y_test)
                bar.finish(history.line())
    except KeyboardInterrupt:
        history.stopped = "interrupted"
    except Diverged as diverged:
        history.stopped, history.diagnosis, history.warning = "diverged", str(diverged), None
    finally:
        optimizer.learning_rate = base
    return history


class _Run:
    """One step after another, and what an epoch adds up."""

    def __init__(self, net: Graph, head: Head, optimizer: Optimizer, with_loss: bool, guess: float):
        self.net, self.head, self.optimizer, self.with_loss, self.guess = net, head, optimizer, with_loss, guess
        self.early = Early()

    def start_epoch(self) -> None:
        self.started = time.perf_counter()
        self.seen = self.right = self.steps = 0
        self.loss = self.norm = 0.0

    def step(self, x: np.ndarray, y: np.ndarray, number: int) -> None:
        """Scores, soft scores, error, gradients, update: the whole of learning from one batch."""
        rate = self.optimizer.learning_rate
        scores = self.net.forward(x, training=True)
        self.labels = y.reshape(-1)  # to the head, each position of a text is an example
        if not all_finite(scores.reshape(-1)):
            raise self.diverged(number, "the scores")
        if self.early.missing:
            self.early.keep(x, y, scores)
        rows, y = scores.reshape(-1, scores.shape[-1]), self.labels
        try:
            self.head.forward(rows)
            error = self.head.backward(y).reshape(scores.shape)
            loss = float(np.sum(self.head.loss(y))) if self.with_loss else 0.0
        except FloatingPointError as refusal:
            raise self.diverged(number, "what the head computes", str(refusal)) from refusal
        self.net.backward(error)
        norm = math.sqrt(squared_norm(self.net.grads))
        if not math.isfinite(norm):
            raise self.diverged(number, "the norm of the gradient")
        if rate * norm > float(np.finfo(self.net.dtype).max) / MARGIN:
            raise self.diverged(number, "the change of the parameters", too_large(rate))
        self.optimizer.step(self.net)
        self.error = error.reshape(rows.shape)
        self.loss += loss * (len(y) if self.head.reduction == "mean" else 1)
        self.norm += norm
        self.steps += 1
        self.seen += len(y)
        self.right += int(np.count_nonzero(rows.argmax(axis=1) == y))

    def end_epoch(self, history: History, x_test: np.ndarray, y_test: np.ndarray) -> None:
        """Evaluate, and only then write anything down: an epoch that is cut short leaves no entry."""
        seconds = time.perf_counter() - self.started
        try:
            reached = accuracy(self.net, x_test, y_test)
        except FloatingPointError:
            raise self.diverged(history.steps, "the scores") from None
        warning = self.warning()
        history.accuracy.append(reached)
        history.seconds.append(seconds)
        history.train_accuracy.append(self.right / self.seen)
        history.gradient_norm.append(self.norm / self.steps)
        history.learning_rate.append(self.optimizer.learning_rate)
        if self.with_loss:
            history.loss.append(self.loss / self.seen)
        history.warning = warning

    def diverged(self, step: int, what: str, reason: str = "") -> Diverged:
        """What to raise where a pass was not finite."""
        return Diverged(diagnose(self.net, step, self.optimizer.learning_rate, what, reason, self.head, self.labels))

    def warning(self) -> str | None:
        """A sentence where the epoch's accuracy in training is as of guessing and nothing is being learnt."""
        if not no_better(self.right, self.seen, self.guess):
            return None
        reached = (f"training accuracy {self.right / self.seen:.1%} is as of guessing ({self.guess:.1%} by the most frequent "
                   f"label), gradient norm {self.norm / self.steps:.3g}")
        return warn(self.net, self.head, self.labels, self.error, self.optimizer.learning_rate, self.early, reached)


def _checked(net: Graph, data: Dataset, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of one part; refused, before the first step, where they do not fit `net` or each other."""
    try:
        x, y = getattr(data, f"x_{part}"), np.asarray(getattr(data, f"y_{part}"))
    except AttributeError:
        raise TypeError(f"train(data) expects x_train, y_train, x_test and y_test, such as datasets.load returns; got "
                        f"a {type(data).__name__} without them.") from None
    x = float_array(f"train(data.x_{part})", x, net.dtype)
    shape, (*positions, classes) = net.nodes[0].shape, net.nodes[-1].shape
    if x.shape[1:] != shape or len(x) == 0:
        raise ValueError(f"train(data.x_{part}) expects shape (N, {', '.join(map(str, shape))}) with N of at least 1, "
                         f"as {net!r} takes; got {x.shape}.")
    if not all_finite(x.reshape(-1)):
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise ValueError(f"train(data.x_{part}) expects finite numbers; got {x[place]} at {place}. Clean the data, for "
                         f"example with np.nan_to_num.")
    if y.shape != (len(x), *positions) or y.dtype.kind not in "iu":
        each = f" and each of {positions[0]} positions" if positions else ""
        raise ValueError(f"train(data.y_{part}) expects one whole-number label for each of {len(x)} examples{each}; "
                         f"got shape {y.shape} of {y.dtype}.")
    wrong = np.flatnonzero((y < 0) | (y >= classes))
    if wrong.size:
        raise ValueError(f"train(data.y_{part}) expects labels from 0 to {classes - 1}, one for each of the network's "
                         f"{classes} scores; label {wrong[0]} is {y.flat[wrong[0]]}.")
    return x, y
