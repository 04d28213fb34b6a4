"""The training loop."""

from __future__ import annotations

import contextlib
import math
import os
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from isbe_np.checks import float_array, labels, nearest, whole
from isbe_np.datasets import Dataset
from isbe_np.datasets.batches import batches
from isbe_np.graph import Graph
from isbe_np.heads import Head
from isbe_np.kernels.finite import all_finite, squared_norm
from isbe_np.plain import plain
from isbe_np.training.augmentation import Augment
from isbe_np.training.checkpoint import Checkpoint, refuse_others
from isbe_np.training.diagnosis import Early, diagnose, guessing, no_better, too_large, warn
from isbe_np.training.differences import default_optimizer
from isbe_np.training.history import History
from isbe_np.training.keeping import Folder, Keeping, KeepingInFolder, Stopped, name_of
from isbe_np.training.metrics import accuracy
from isbe_np.training.optimizers import Optimizer
from isbe_np.training.precautions import Factors, scale_fault, steps_per_epoch
from isbe_np.training.progress import Progress
from isbe_np.training.schedules import Schedule
from isbe_np.training.stopping import Stopping, TrainingInterrupted

# Momentum adds up many steps: the change of one step stays so far below the largest number of the dtype.
MARGIN = 1e6


class Diverged(Exception):
    """Scores or gradients stopped being finite; the text is the diagnosis."""


def train(net: Graph, head: Head, data: Dataset, epochs: int = 1, batch_size: int = 128,
          optimizer: Optimizer | None = None, seed: int = 0, schedule: str | Schedule = "constant", loss: bool = False,
          progress: bool = True, augment: Augment | None = None, checkpoint: str | os.PathLike | None = None,
          resume: bool = False, checkpoint_seconds: float = 30.0, note: Any = None, *, drop_last: bool = False,
          on_interrupt: Literal["raise", "return"] = "raise") -> History:
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
    checkpoint : a folder for this training alone, new or empty. Its checkpoint.npz is written at the start, after each epoch
        and whenever `checkpoint_seconds` have passed; the one before it is kept.
    resume : go on from the folder's checkpoint, by the same arguments. The result is that of a training that was never
        stopped, to the bit with the same versions on the same processor. Where there is none yet, training starts.
    note : plain data of your own, kept in the checkpoint.
    drop_last : leave out each epoch's last batch where it is smaller than `batch_size`.
    on_interrupt : what follows when Ctrl-C has ended the training: "raise" a `TrainingInterrupted`, a KeyboardInterrupt with
        the history in its `history`, so that a script does not go on; or "return" that history.

    Ctrl-C ends training and keeps what was learnt: `History.stopped` is then "interrupted". With a checkpoint it ends after
    the step at hand, or the evaluation, and is saved first, as by SIGTERM ("terminated"); a second Ctrl-C ends it at once.
    Scores or gradients that are not finite end it with "diverged" and a sentence in `History.diagnosis`, before they reach the
    parameters. OSError where the folder cannot be used, is used by another training, or holds a checkpoint without `resume`;
    one that cannot be written later is told in `History.unsaved`. ValueError where the training to go on with was another, or
    a layer takes no batch as small as one would be. A UserWarning tells of inputs that are far too large, such as images from
    0 to 255, and of a schedule of your own that never changed.
    """
    epochs, batch_size = whole("train(epochs)", epochs), whole("train(batch_size)", batch_size)
    seed = whole("train(seed)", seed, least=0)
    optimizer = default_optimizer() if optimizer is None else optimizer
    refuse_others("train", net=net, head=head, optimizer=optimizer)
    if augment is not None and not callable(augment):
        raise TypeError(f"train(augment) expects an object such as isbe_np.Affine(rotation=10) or a function; got {augment!r}.")
    nearest("train(on_interrupt)", on_interrupt, ("raise", "return"))
    if resume and checkpoint is None:
        raise ValueError("train(resume) expects a folder to go on from, checkpoint=DIR or --checkpoint DIR; got none.")
    if not isinstance(checkpoint_seconds, (int, float)) or not checkpoint_seconds >= 0:
        raise ValueError(f"train(checkpoint_seconds) expects a number of seconds from 0 on; got {checkpoint_seconds!r}.")
    history, base, note, stopping = History(), optimizer.learning_rate, plain(note), Stopping(checkpoint is not None)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(stopping)
            stack.enter_context(net.sharing.training())
            keeping = Keeping() if checkpoint is None else KeepingInFolder(
                stack.enter_context(Folder(checkpoint)), checkpoint_seconds, note, stopping)
            x_train, y_train = _checked(net, data, "train")
            x_test, y_test = _checked(net, data, "test")
            per_epoch, factor_at = steps_per_epoch(net, len(x_train), batch_size, drop_last), Factors(schedule)
            run = _Run(net, head, optimizer, loss, guessing(y_train), history, scale_fault(net, x_train, x_test))
            if run.scale_fault:
                warnings.warn(run.scale_fault, stacklevel=2)
            settings = {"epochs": epochs, "batch_size": batch_size, "batches": per_epoch, "seed": seed, "drop_last":
                        bool(drop_last), "schedule": name_of(schedule), "loss": bool(loss), "augment": name_of(augment)}
            found = keeping.begin(run, data, settings, resume)
            if found is not None:
                run.go_on(found, batches(x_train, y_train, batch_size, seed, 0, augment, drop_last=drop_last))
            for epoch in range(run.epoch, epochs):
                with Progress(progress, epoch, epochs, per_epoch, run.batch) as bar:
                    run.started = time.perf_counter()
                    for x, y in batches(x_train, y_train, batch_size, seed, epoch, augment, run.batch, drop_last):
                        optimizer.learning_rate = base * factor_at((history.steps + 0.5) / (epochs * per_epoch))
                        with net.exclusive():
                            run.step(x, y)
                        bar.advance()
                        if run.batch < per_epoch:
                            keeping.after_step(run)
                    run.end_epoch(x_test, y_test)
                    bar.finish(history.line())
                keeping.after_epoch(run, last=epoch == epochs - 1)
        except KeyboardInterrupt:
            history.stopped = stopping.asked or "interrupted"
        except Stopped as stopped:
            history.stopped = str(stopped)
        except Diverged as diverged:
            history.stopped, history.diagnosis, history.warning = "diverged", str(diverged), None
        finally:
            optimizer.learning_rate = base
    if on_interrupt == "raise" and (stopping.asked or history.stopped == "interrupted"):
        raise TrainingInterrupted(_interruption(history, epochs, checkpoint), history)
    if history.stopped is None and history.steps == factor_at.steps and (unchanged := factor_at.fault()):
        warnings.warn(unchanged, stacklevel=2)
    return history


def _interruption(history: History, epochs: int, checkpoint: str | os.PathLike | None) -> str:
    """The sentences of a `TrainingInterrupted`."""
    done = len(history.accuracy)
    place = "after its end" if done == epochs else f"in epoch {done + 1} of {epochs}, after {history.steps} steps"
    if history.unsaved:
        kept = f" {history.unsaved}"
    elif checkpoint is not None and Folder(checkpoint).holds_one():
        kept = f" Its checkpoint is in {Folder(checkpoint).path}: go on by resume=True."
    else:
        kept = ""
    how = "terminated" if history.stopped == "terminated" else "interrupted"
    return f"The training was {how} {place}.{kept} The history is in this exception's .history."


@dataclass
class Sums:
    """What an epoch adds up: seconds, steps, examples seen and right ones, losses and gradients' norms."""

    seconds: float = 0.0
    steps: int = 0
    seen: int = 0
    right: int = 0
    loss: float = 0.0
    norm: float = 0.0


class _Run:
    """One step after another: the epoch and the batch that come next, what the epoch adds up, and the history."""

    def __init__(self, net: Graph, head: Head, optimizer: Optimizer, with_loss: bool, guess: float, history: History,
                 scale_fault: str | None):
        self.net, self.head, self.optimizer, self.with_loss, self.guess = net, head, optimizer, with_loss, guess
        self.base, self.history, self.early, self.scale_fault = optimizer.learning_rate, history, Early(), scale_fault
        self.epoch = 0
        self.start_epoch()

    def start_epoch(self) -> None:
        self.batch, self.sums, self.started = 0, Sums(), time.perf_counter()

    def counted(self) -> Sums:
        """The sums so far, with the seconds until now."""
        return replace(self.sums, seconds=self.sums.seconds + time.perf_counter() - self.started)

    def go_on(self, found: Checkpoint, first: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        """From where a checkpoint was saved, which network and optimizer hold already; `first`: epoch 0's batches."""
        training = found.training or {}
        vars(self.history).update(vars(found.history))
        self.epoch, self.batch, self.sums = training["epoch"], training["batch"], Sums(**training["sums"])
        self.early.recall(first, found.early)

    def step(self, x: np.ndarray, y: np.ndarray) -> None:
        """Scores, soft scores, error, gradients, update: the whole of learning from one batch."""
        rate, number = self.optimizer.learning_rate, self.history.steps
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
        self.sums.loss += loss * (len(y) if self.head.reduction == "mean" else 1)
        self.sums.norm += norm
        self.sums.steps += 1
        self.sums.seen += len(y)
        self.sums.right += int(np.count_nonzero(rows.argmax(axis=1) == y))
        self.history.steps += 1
        self.batch += 1

    def end_epoch(self, x_test: np.ndarray, y_test: np.ndarray) -> None:
        """Evaluate, and only then write anything down: an epoch that is cut short leaves no entry."""
        history, sums = self.history, self.counted()
        try:
            reached = accuracy(self.net, x_test, y_test)
        except FloatingPointError:
            raise self.diverged(history.steps, "the scores") from None
        warning = self.warning()
        history.accuracy.append(reached)
        history.seconds.append(sums.seconds)
        history.train_accuracy.append(sums.right / sums.seen)
        history.gradient_norm.append(sums.norm / sums.steps)
        history.learning_rate.append(self.optimizer.learning_rate)
        if self.with_loss:
            history.loss.append(sums.loss / sums.seen)
        history.warning = warning
        self.epoch += 1
        self.start_epoch()

    def diverged(self, step: int, what: str, reason: str = "") -> Diverged:
        """What to raise where a pass was not finite."""
        told = diagnose(self.net, step, self.optimizer.learning_rate, what, reason, self.head, self.labels)
        return Diverged(self._with_scale(told))

    def _with_scale(self, told: str) -> str:
        """A diagnosis, and the fault of the inputs' scale before any other cause."""
        return f"{told} But first: {self.scale_fault}" if self.scale_fault else told

    def warning(self) -> str | None:
        """A sentence where the epoch's accuracy in training is as of guessing and nothing is being learnt."""
        sums = self.sums
        if not no_better(sums.right, sums.seen, self.guess):
            return None
        reached = (f"training accuracy {sums.right / sums.seen:.1%} is as of guessing ({self.guess:.1%} by the most frequent "
                   f"label), gradient norm {sums.norm / sums.steps:.3g}")
        told = warn(self.net, self.head, self.labels, self.error, self.optimizer.learning_rate, self.early, reached)
        return told and self._with_scale(told)


def _checked(net: Graph, data: Dataset, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of one part; refused, before the first step, where they do not fit `net` or each other."""
    try:
        x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
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
    return x, labels(f"train(data.y_{part})", y, (len(x), *positions), classes)
