"""Does ISBE reach the accuracy that the loss's own gradient reaches, normalizer by normalizer? Paired by seed.

The same network from the same seed, on the same batches, is trained by route "isbe" and by one that differentiates the
normalizer's loss (see `RIVAL`). Where that loss is the matching one both send the same gradient, so that what remains
between the two is rounding; where it is another (squared error through the chain rule) it is another training.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from isbe_np import datasets
from isbe_np.checks import nearest
from isbe_np.executors import Opener
from isbe_np.graph import Graph
from isbe_np.heads import ROUTES, Head
from isbe_np.networks import NETWORKS
from isbe_np.studies.compare import agreement
from isbe_np.studies.sweep import sweep
from isbe_np.tables import WIDEST, page, table
from isbe_np.training import train
from isbe_np.training.checkpoint import HISTORY
from isbe_np.training.recipes import RECIPES, augmentation

NORMALIZERS = ("softmax", "sigmoid", "tanh", "hardsigmoid", "hardtanh")
# By normalizer, what ISBE is compared with: the route and the loss that it differentiates. Where the chain rule through a flat
# zone is refused, squared error stands for what a reader would do without ISBE.
RIVAL = {"softmax": ("fused", "cross_entropy"), "sigmoid": ("fused", "binary_cross_entropy"), "tanh": ("fused", "matching"),
         "hardsigmoid": ("factored", "squared"), "hardtanh": ("factored", "squared")}
ANSWER = {"accuracy": (None, float), "history": HISTORY, "source": str, "gaps": {str: (float, str)}}  # of a cell
LOST: dict = {"accuracy": None, "history": {"accuracy": [], "seconds": []}, "gaps": {}}  # what is told of a cell that failed


@dataclass
class Row:
    """One network with one normalizer: test accuracy by ISBE and by its rival, seed by seed.

    None: training diverged, or was not made. Curves hold the accuracy after each epoch, seconds what all epochs took.
    """

    network: str
    normalizer: str
    rival: str
    isbe: list[float | None]
    other: list[float | None]
    isbe_curves: list[list[float]] = field(default_factory=list)
    other_curves: list[list[float]] = field(default_factory=list)
    isbe_seconds: list[float | None] = field(default_factory=list)

    @property
    def differences(self) -> list[float]:
        """ISBE's accuracy less its rival's, of the seeds in which both ended."""
        return less(self.isbe, self.other)


@dataclass
class AccuracyStudy:
    """Rows by network and normalizer; the seeds, epochs and data; and the sentences of cells that failed."""

    data: str
    source: str
    seeds: list[int]
    epochs: int | None
    rows: list[Row]
    failed: dict[str, str]

    def as_dict(self) -> dict:
        """All of it as JSON can hold it."""
        return asdict(self)

    def text(self, width: int = WIDEST) -> str:
        """A table, and what it says."""
        rows = [(row.network, row.normalizer, mean_sd(row.isbe), row.rival, mean_sd(row.other), paired(row.differences))
                for row in self.rows]
        epochs, seeds = self.epochs or "the recipe's", ", ".join(map(str, self.seeds))
        lines = [f"Test accuracy on {self.data} after {epochs} epochs, seeds {seeds}: mean ± sd in %, and the mean of paired "
                 "differences ± its standard error",
                 table(("network", "normalizer", "isbe", "against", "accuracy", "isbe less it, in points"), rows, left=2,
                       keys=2, width=width)]
        return page([*lines, *(f"{name} failed: {why}" for name, why in self.failed.items())], width)


def accuracy(data: str = "digits", nets: Sequence[str] = ("n1",), *, normalizers: Sequence[str] = NORMALIZERS,
             seeds: Sequence[int] = (0, 1, 2), epochs: int | None = None, data_dir: str | None = None, verify: bool = True,
             folder: Path | None = None, executor: Executor | Opener | None = None, threads: int = 1,
             progress: bool = True) -> AccuracyStudy:
    """Train every network with every normalizer from every seed, by ISBE and by its rival; `epochs` None: the recipe's."""
    for normalizer in normalizers:
        nearest("accuracy: normalizers", normalizer, tuple(RIVAL))
    asked = [(net, normalizer, route, loss, seed) for net in nets for normalizer in normalizers
             for route, loss in (("isbe", None), RIVAL[normalizer]) for seed in seeds]
    cells = dict(training(data, *one, epochs=epochs, data_dir=data_dir, verify=verify) for one in asked)
    found = sweep(train_cell, cells, folder, executor, threads, progress=progress, answer=ANSWER)

    def answers(net: str, normalizer: str, route: str) -> list[dict]:
        return [found.answers.get(training(data, net, normalizer, route, None, seed)[0], LOST) for seed in seeds]

    rows = []
    for net in nets:
        for normalizer in normalizers:
            route, loss = RIVAL[normalizer]
            ours, theirs = answers(net, normalizer, "isbe"), answers(net, normalizer, route)
            rows.append(Row(net, normalizer, f"{route} {loss}".replace("_", " "),
                            [answer["accuracy"] for answer in ours], [answer["accuracy"] for answer in theirs],
                            [answer["history"]["accuracy"] for answer in ours],
                            [answer["history"]["accuracy"] for answer in theirs],
                            [sum(answer["history"]["seconds"]) or None for answer in ours]))
    return AccuracyStudy(data, standing(found.answers.values()), list(seeds), epochs, rows, found.failed)


def training(data: str, net: str, normalizer: str, route: str, loss: str | None, seed: int, *, images: int | None = None,
             epochs: int | None = None, data_dir: str | None = None, verify: bool = True) -> tuple[str, dict]:
    """Name and configuration of the cell that trains so; `images` None: all training images."""
    name = f"{data} {net} {normalizer} {route} seed {seed}" + (f" images {images}" if images else "")
    return name, {"data": data, "net": net, "normalizer": normalizer, "route": route, "loss": loss, "seed": seed,
                  "images": images, "epochs": epochs, "data_dir": data_dir, "verify": verify}


def train_cell(data: str, net: str, normalizer: str, route: str, loss: str | None, seed: int, images: int | None,
               epochs: int | None, data_dir: str | None, verify: bool) -> dict:
    """One training by the network's recipe: the accuracy after its last epoch, or None where it diverged, and its history.

    `gaps`: by route, how far its gradients are from those of route isbe in the trained softmax network (largest difference by
    largest gradient, of each parameter the worst), for a batch of training images; a sentence where the route refuses.
    """
    recipe, given = RECIPES[net], datasets.load(data, data_dir, train=images, verify=verify)
    trained, head = NETWORKS[net](seed=seed, image=given.x_train.shape[1:]), Head(normalizer, route, loss=loss)
    history = train(trained, head, given, epochs or recipe.epochs, recipe.batch_size,
                    recipe.optimizer(recipe.learning_rate, recipe.weight_decay), seed, recipe.schedule, progress=False,
                    augment=augmentation(data) if recipe.augment else None)
    ended = not history.stopped
    batch = given.x_train[:recipe.batch_size], given.y_train[:recipe.batch_size]
    return {"accuracy": history.accuracy[-1] if ended else None, "history": history.as_dict(), "source": given.source,
            "gaps": _gaps(trained, *batch) if ended and normalizer == "softmax" else {}}


def _gaps(net: Graph, x: np.ndarray, y: np.ndarray) -> dict[str, float | str]:
    found: dict[str, float | str] = {}
    for route in ROUTES[:-1]:
        try:
            found[route] = agreement("", net, Head("softmax"), x, y, (route, "isbe"))[0].gradient
        except FloatingPointError as refusal:  # such as a soft score of 0, through which routes 1 and 2 divide
            found[route] = str(refusal)
    return found


def standing(answers: Iterable[dict]) -> str:
    """Where the data of these cells came from and whether they were verified, less the folder, which is of one machine."""
    return next((re.sub(", from [^;]*;", ";", answer["source"]) for answer in answers if "source" in answer), "")


def less(ours: Sequence[float | None], theirs: Sequence[float | None]) -> list[float]:
    """Our accuracy less theirs, of the seeds in which both ended."""
    return [a - b for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]


def mean_sd(values: Sequence[float | None]) -> str:
    """Mean ± standard deviation in per cent of the trainings that ended, and how many did not."""
    ended = [100 * value for value in values if value is not None]
    lost = f", {len(values) - len(ended)} did not end" if len(ended) < len(values) else ""
    if not ended:
        return "none" + lost
    return f"{np.mean(ended):.2f}" + (f" ± {np.std(ended, ddof=1):.2f}" if len(ended) > 1 else "") + lost


def paired(differences: Sequence[float]) -> str:
    """The mean of paired differences, with its standard error."""
    if not differences:
        return "none"
    points = 100 * np.asarray(differences)
    return f"{points.mean():+.2f}" + (f" ± {points.std(ddof=1) / math.sqrt(len(points)):.2f}" if len(points) > 1 else "")
