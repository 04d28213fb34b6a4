"""What stands beside the training loop and watches: finite numbers, sizes, counts, the history, and the sentences about them.

Divergence is found before it reaches the parameters: in the scores before the head reads them, in what the head computes, and
in the gradients and in the change they would make, before the update.
"""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np

from isbe_np.kernels.finite import all_finite, squared_norm
from isbe_np.training.checkpoint import Checkpoint
from isbe_np.training.diagnosis import Early, diagnose, guessing, no_better, too_large, warn
from isbe_np.training.history import History
from isbe_np.training.keeping import Keeping
from isbe_np.training.metrics import accuracy
from isbe_np.training.progress import Progress
from isbe_np.training.task import Task

# Momentum adds up many steps: the change of one step stays so far below the largest number of the dtype.
MARGIN = 1e6


class Diverged(Exception):
    """Scores or gradients stopped being finite; the text is the diagnosis."""


class Unwatched:
    """Watches nothing. Its methods are called between the lines of `learn`, which runs inside it as a context manager."""

    def __enter__(self) -> None:
        """A batch comes next."""

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        """The batch is done, or `fault` ended it; the network is still this thread's alone."""

    def scores(self, x: np.ndarray, y: np.ndarray, scores: np.ndarray) -> None:
        """The scores (N, ..., C) of x (N, ...), before the head reads them; y are the targets."""

    def error(self, error: np.ndarray) -> None:
        """The head's error (N, ..., C), before it goes back through the network."""

    def gradients(self) -> None:
        """All gradients are there, and the parameters are still those that gave the scores."""


@dataclass
class Sums:
    """What an epoch adds up: seconds, steps, examples seen and right ones, losses and gradients' norms."""

    seconds: float = 0.0
    steps: int = 0
    seen: int = 0
    right: int = 0
    loss: float = 0.0
    norm: float = 0.0


class Observer(Unwatched):
    """Watches the training of a `task`: the epoch and the batch that come next, what the epoch adds up, and the history."""

    def __init__(self, task: Task, history: History, keeping: Keeping | None):
        self.task, self.history, self.keeping = task, history, keeping
        self.net, self.head, self.optimizer, self.base = task.net, task.head, task.optimizer, task.base
        self.guess, self.early = guessing(task.y_train), Early()
        self.epoch, self.batch, self.sums, self.started = 0, 0, Sums(), time.perf_counter()
        self.bar: Progress | None = None
        self.at_head = False

    def counted(self) -> Sums:
        """The sums so far, with the seconds until now."""
        return replace(self.sums, seconds=self.sums.seconds + time.perf_counter() - self.started)

    def go_on(self, found: Checkpoint) -> None:
        """From where a checkpoint was saved, which network and optimizer hold already."""
        training = found.training or {}
        vars(self.history).update(vars(found.history))
        self.epoch, self.batch, self.sums = training["epoch"], training["batch"], Sums(**training["sums"])
        # Fewer examples than are kept, or none of a last batch that is left out: the second epoch's came next.
        epochs = map(self.task.batches, range(self.epoch + 1))
        self.early.recall(itertools.chain.from_iterable(epochs), found.early)

    # Between the lines of `learn`

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        at_head, self.at_head = self.at_head, False
        if at_head and isinstance(fault, FloatingPointError):
            raise self.diverged("what the head computes", str(fault)) from fault

    def scores(self, x: np.ndarray, y: np.ndarray, scores: np.ndarray) -> None:
        self.rows, self.labels = scores.reshape(-1, scores.shape[-1]), y.reshape(-1)  # as the head reads them
        if not all_finite(scores.reshape(-1)):
            raise self.diverged("the scores")
        if self.early.missing:
            self.early.keep(x, y, scores)
        self.at_head = True

    def error(self, error: np.ndarray) -> None:
        self.sent = error.reshape(self.rows.shape)
        self.loss = float(np.sum(self.head.loss(self.labels))) if self.task.loss else 0.0
        self.at_head = False

    def gradients(self) -> None:
        self.norm, rate = math.sqrt(squared_norm(self.net.grads)), self.optimizer.learning_rate
        if not math.isfinite(self.norm):
            raise self.diverged("the norm of the gradient")
        if rate * self.norm > float(np.finfo(self.net.dtype).max) / MARGIN:
            raise self.diverged("the change of the parameters", too_large(rate))

    # Between batches, and between epochs

    def start_epoch(self) -> None:
        """The batch `batch` of the epoch `epoch` comes next."""
        self.bar = Progress(self.task.progress, self.epoch, self.task.epochs, self.task.per_epoch, self.batch)
        self.started = time.perf_counter()

    def end_batch(self) -> None:
        """The parameters have changed: count it, show it, and save a checkpoint where it is time."""
        sums, examples = self.sums, len(self.labels)
        sums.loss += self.loss * (examples if self.head.reduction == "mean" else 1)
        sums.norm += self.norm
        sums.steps += 1
        sums.seen += examples
        sums.right += int(np.count_nonzero(self.rows.argmax(axis=1) == self.labels))
        self.history.steps += 1
        self.batch += 1
        if self.bar is not None and self.bar.shown:
            self.bar.advance()
        if self.keeping is not None and self.batch < self.task.per_epoch:
            self.keeping.after_step(self)

    def end_epoch(self) -> None:
        """Evaluate, and only then write anything down: an epoch that is cut short leaves no entry."""
        history, sums = self.history, self.counted()
        try:
            reached = accuracy(self.net, self.task.x_test, self.task.y_test)
        except FloatingPointError:
            raise self.diverged("the scores") from None
        warning = self.warning()
        history.accuracy.append(reached)
        history.seconds.append(sums.seconds)
        history.train_accuracy.append(sums.right / sums.seen)
        history.gradient_norm.append(sums.norm / sums.steps)
        history.learning_rate.append(self.optimizer.learning_rate)
        if self.task.loss:
            history.loss.append(sums.loss / sums.seen)
        history.warning = warning
        self.epoch, self.batch, self.sums, self.started = self.epoch + 1, 0, Sums(), time.perf_counter()
        if self.bar is not None:
            self.bar.finish(history.line())
        if self.keeping is not None:
            self.keeping.after_epoch(self, last=self.epoch == self.task.epochs)

    def close(self) -> None:
        """Take the bar away, whatever ended the training."""
        if self.bar is not None:
            self.bar.close()

    # Sentences

    def diverged(self, what: str, reason: str = "") -> Diverged:
        """What to raise where a pass was not finite."""
        told = diagnose(self.net, self.history.steps, self.optimizer.learning_rate, what, reason, self.head, self.labels)
        return Diverged(self._with_scale(told))

    def warning(self) -> str | None:
        """A sentence where the epoch's accuracy in training is as of guessing and nothing is being learnt."""
        sums = self.sums
        if not no_better(sums.right, sums.seen, self.guess):
            return None
        reached = (f"training accuracy {sums.right / sums.seen:.1%} is as of guessing ({self.guess:.1%} by the most frequent "
                   f"label), gradient norm {sums.norm / sums.steps:.3g}")
        told = warn(self.net, self.head, self.labels, self.sent, self.optimizer.learning_rate, self.early, reached)
        return told and self._with_scale(told)

    def _with_scale(self, told: str) -> str:
        """A diagnosis, and the fault of the inputs' scale before any other cause."""
        return f"{told} But first: {self.task.scale_fault}" if self.task.scale_fault else told
