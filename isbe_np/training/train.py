"""The training loop. Learning from a batch is the four lines of `learn`; what watches them stands beside it, in `observer.py`.

`task.py` checks the arguments and the data. `running.py` starts the loop and ends it, by whatever cause. `keeping.py` writes
the checkpoints.
"""

from __future__ import annotations

import os
from typing import Any, Literal

import numpy as np

from isbe_np.datasets import Dataset
from isbe_np.graph import Graph
from isbe_np.heads import Head
from isbe_np.training.augmentation import Augment
from isbe_np.training.history import History
from isbe_np.training.observer import Observer, Unwatched
from isbe_np.training.optimizers import Optimizer
from isbe_np.training.running import run
from isbe_np.training.schedules import Schedule
from isbe_np.training.task import Task

UNWATCHED = Unwatched()


def learn(net: Graph, head: Head, optimizer: Optimizer, x: np.ndarray, y: np.ndarray, watch: Unwatched = UNWATCHED) -> None:
    """Learn from one batch: scores, error, gradients, update.

    x (N, *input shape) of the network's dtype. y holds the labels, (N,), or (N, T) for a network with scores for each of T
    positions, or dense targets of the scores' shape. `watch` is shown what comes of each line, and may raise to end it all.
    """
    with net.exclusive(), watch:
        scores = net.forward(x, training=True)
        watch.scores(x, y, scores)
        error = head_error(head, scores, y)
        watch.error(error)
        net.backward(error)
        watch.gradients()
        optimizer.step(net)


def head_error(head: Head, scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The error of the scores (N, ..., C), of their shape. To the head, each position of a text is an example."""
    axes = scores.ndim - 1
    rows, targets = scores.reshape(-1, scores.shape[-1]), y.reshape(-1, *y.shape[axes:])
    return head.error(rows, targets).reshape(scores.shape)


def loop(task: Task, watch: Observer) -> None:
    """Learn from every batch of every epoch, from where `watch` is: a training that goes on begins in the middle."""
    for epoch in range(watch.epoch, task.epochs):
        watch.start_epoch()
        for x, y in task.batches(epoch, first=watch.batch):
            task.optimizer.learning_rate = task.base * task.factor_at((watch.history.steps + 0.5) / task.steps)
            learn(task.net, task.head, task.optimizer, x, y, watch)
            watch.end_batch()
        watch.end_epoch()


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
    augment : changes the training images anew in each epoch, such as `isbe_np.RandomAffine(rotation=10, shift=2)`, or a
        function (x_train, indices, epoch, out, seed) that fills and returns `out` from x_train[indices]. `seed` decides how.
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
    task = Task(net=net, head=head, data=data, epochs=epochs, batch_size=batch_size, optimizer=optimizer, seed=seed,
                schedule=schedule, loss=loss, progress=progress, augment=augment, checkpoint=checkpoint, resume=resume,
                checkpoint_seconds=checkpoint_seconds, note=note, drop_last=drop_last, on_interrupt=on_interrupt)
    return run(task, loop)
