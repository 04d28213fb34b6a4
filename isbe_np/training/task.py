"""What `train` was asked to do: its arguments and its data, checked before the first step."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from isbe_np.checks import float_array, labels, nearest, whole
from isbe_np.datasets import Dataset
from isbe_np.datasets.batches import batches
from isbe_np.graph import Graph
from isbe_np.heads import Head
from isbe_np.kernels.finite import all_finite
from isbe_np.storage.json_data import plain
from isbe_np.training.augmentation import Augment
from isbe_np.training.checkpoint import refuse_others
from isbe_np.training.differences import default_optimizer
from isbe_np.training.keeping import name_of
from isbe_np.training.precautions import scale_fault, steps_per_epoch
from isbe_np.training.schedules import Factors, Schedule


@dataclass(kw_only=True)
class Task:
    """The arguments of `train`, under its names. ValueError or TypeError where one makes no sense, before anything is done.

    `read_data` adds the rest. x_train, y_train, x_test, y_test: the arrays of `data`. per_epoch: batches in an epoch. steps: in
    the whole training. base: the optimizer's learning rate. factor_at: the schedule. scale_fault: a sentence about the inputs.
    """

    net: Graph
    head: Head
    data: Dataset
    epochs: int
    batch_size: int
    optimizer: Any  # None for the default
    seed: int
    schedule: str | Schedule
    loss: bool
    progress: bool
    augment: Augment | None
    checkpoint: str | os.PathLike | None
    resume: bool
    checkpoint_seconds: float
    note: Any
    drop_last: bool
    on_interrupt: str

    def __post_init__(self) -> None:
        self.epochs, self.batch_size = whole("train(epochs)", self.epochs), whole("train(batch_size)", self.batch_size)
        self.seed = whole("train(seed)", self.seed, least=0)
        self.optimizer = default_optimizer() if self.optimizer is None else self.optimizer
        refuse_others("train", net=self.net, head=self.head, optimizer=self.optimizer)
        if self.augment is not None and not callable(self.augment):
            raise TypeError(f"train(augment) expects an object such as isbe_np.RandomAffine(rotation=10) or a function; "
                            f"got {self.augment!r}.")
        nearest("train(on_interrupt)", self.on_interrupt, ("raise", "return"))
        if self.resume and self.checkpoint is None:
            raise ValueError("train(resume) expects a folder to go on from, checkpoint=DIR or --checkpoint DIR; got none.")
        if not isinstance(self.checkpoint_seconds, (int, float)) or not self.checkpoint_seconds >= 0:
            raise ValueError(f"train(checkpoint_seconds) expects a number of seconds from 0 on; got "
                             f"{self.checkpoint_seconds!r}.")
        self.base, self.note = self.optimizer.learning_rate, plain(self.note)

    def read_data(self) -> None:
        """Check the data, and whatever depends on them. ValueError or TypeError where they do not fit."""
        self.x_train, self.y_train = _checked(self.net, self.data, "train")
        self.x_test, self.y_test = _checked(self.net, self.data, "test")
        self.per_epoch = steps_per_epoch(self.net, len(self.x_train), self.batch_size, self.drop_last)
        self.steps, self.factor_at = self.epochs * self.per_epoch, Factors(self.schedule)
        self.scale_fault = scale_fault(self.net, self.x_train, self.x_test)

    def batches(self, epoch: int, first: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pairs of x and y, the training examples in this epoch's order, without the `first` batches."""
        return batches(self.x_train, self.y_train, self.batch_size, self.seed, epoch, self.augment, first, self.drop_last)

    def settings(self) -> dict[str, Any]:
        """What a checkpoint keeps, as plain data: a training that goes on must have the same."""
        return {"epochs": self.epochs, "batch_size": self.batch_size, "batches": self.per_epoch, "seed": self.seed,
                "drop_last": bool(self.drop_last), "schedule": name_of(self.schedule), "loss": bool(self.loss),
                "augment": name_of(self.augment)}


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
