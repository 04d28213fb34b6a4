"""Does ISBE reach the accuracy that the loss's own gradient reaches, normalizer by normalizer? Paired by seed.

The same network from the same seed, on the same batches, is trained by route "isbe" and by one that differentiates the
normalizer's loss (see `RIVAL`). Where that loss is the matching one both send the same gradient, so that what remains
between the two is rounding; where it is another (squared error through the chain rule) it is another training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from isbe_np import datasets
from isbe_np.executors import Opener
from isbe_np.heads import Head
from isbe_np.networks import NETWORKS
from isbe_np.studies.sweep import sweep
from isbe_np.tables import table
from isbe_np.training import train
from isbe_np.training.recipes import RECIPES, augmentation

NORMALIZERS = ("softmax", "sigmoid", "tanh", "hardsigmoid", "hardtanh")
# By normalizer, what ISBE is compared with: the route and the loss that it differentiates. Where the chain rule through a flat
# zone is refused, squared error stands for what a reader would do without ISBE.
RIVAL = {"softmax": ("fused", "cross_entropy"), "sigmoid": ("fused", "binary_cross_entropy"), "tanh": ("fused", "matching"),
         "hardsigmoid": ("factored", "squared"), "hardtanh": ("factored", "squared")}


@dataclass
class Row:
    """One network with one normalizer: test accuracy by ISBE and by its rival, seed by seed (None: training diverged)."""

    network: str
    normalizer: str
    rival: str
    isbe: list[float | None]
    other: list[float | None]

    @property
    def differences(self) -> list[float]:
        """ISBE's accuracy less its rival's, of the seeds in which both ended."""
        return [a - b for a, b in zip(self.isbe, self.other, strict=True) if a is not None and b is not None]


@dataclass
class AccuracyStudy:
    """Rows by network and normalizer; the seeds, epochs and data; and the sentences of cells that failed."""

    data: str
    seeds: list[int]
    epochs: int | None
    rows: list[Row]
    failed: dict[str, str]

    def as_dict(self) -> dict:
        """All of it as JSON can hold it."""
        return asdict(self)

    def text(self) -> str:
        """A table, and what it says."""
        rows = [(row.network, row.normalizer, _mean_sd(row.isbe), row.rival, _mean_sd(row.other), _paired(row.differences))
                for row in self.rows]
        epochs, seeds = self.epochs or "the recipe's", ", ".join(map(str, self.seeds))
        lines = [f"Test accuracy on {self.data} after {epochs} epochs, seeds {seeds}: mean ± sd in %, and the mean of paired "
                 "differences ± its standard error",
                 table(("network", "normalizer", "isbe", "against", "accuracy", "isbe less it, in points"), rows, left=2)]
        return "\n\n".join([*lines, *(f"{name} failed: {why}" for name, why in self.failed.items())])


def accuracy(data: str = "digits", nets: Sequence[str] = ("n1",), *, normalizers: Sequence[str] = NORMALIZERS,
             seeds: Sequence[int] = (0, 1, 2), epochs: int | None = None, data_dir: str | None = None,
             folder: Path | None = None, executor: Executor | Opener | None = None, threads: int = 1,
             progress: bool = True) -> AccuracyStudy:
    """Train every network with every normalizer from every seed, by ISBE and by its rival; `epochs` None: the recipe's."""
    cells = {}
    for net in nets:
        for normalizer in normalizers:
            for route, loss in (("isbe", None), RIVAL[normalizer]):
                for seed in seeds:
                    cells[f"{data} {net} {normalizer} {route} seed {seed}"] = {
                        "data": data, "net": net, "normalizer": normalizer, "route": route, "loss": loss, "seed": seed,
                        "epochs": epochs, "data_dir": data_dir}
    found = sweep(train_cell, cells, folder, executor, threads, progress=progress)

    def reached(net: str, normalizer: str, route: str) -> list[float | None]:
        return [found.answers.get(f"{data} {net} {normalizer} {route} seed {seed}", {}).get("accuracy") for seed in seeds]

    rows = [Row(net, normalizer, " ".join(RIVAL[normalizer]).replace("_", " "), reached(net, normalizer, "isbe"),
                reached(net, normalizer, RIVAL[normalizer][0])) for net in nets for normalizer in normalizers]
    return AccuracyStudy(data, list(seeds), epochs, rows, found.failed)


def train_cell(data: str, net: str, normalizer: str, route: str, loss: str | None, seed: int, epochs: int | None,
               data_dir: str | None) -> dict:
    """One training by the network's recipe: the accuracy after its last epoch, or None where it diverged, and its history."""
    recipe, images = RECIPES[net], datasets.load(data, data_dir)
    head = Head(normalizer, route, loss=loss)
    history = train(NETWORKS[net](seed=seed, image=images.x_train.shape[1:]), head, images, epochs or recipe.epochs,
                    recipe.batch_size, recipe.optimizer(recipe.learning_rate, recipe.weight_decay), seed, recipe.schedule,
                    progress=False, augment=augmentation(data) if recipe.augment else None)
    return {"accuracy": None if history.stopped else history.accuracy[-1], "history": history.as_dict(),
            "source": images.source}


def _mean_sd(values: Sequence[float | None]) -> str:
    ended = [100 * value for value in values if value is not None]
    lost = f", {len(values) - len(ended)} diverged" if len(ended) < len(values) else ""
    if not ended:
        return "none" + lost
    return f"{np.mean(ended):.2f}" + (f" ± {np.std(ended, ddof=1):.2f}" if len(ended) > 1 else "") + lost


def _paired(differences: Sequence[float]) -> str:
    """The mean of paired differences, with its standard error."""
    if not differences:
        return "none"
    points = 100 * np.asarray(differences)
    return f"{points.mean():+.2f}" + (f" ± {points.std(ddof=1) / math.sqrt(len(points)):.2f}" if len(points) > 1 else "")
