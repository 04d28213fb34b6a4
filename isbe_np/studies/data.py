"""Do agreement, accuracy and saving hold as data grows: in kind, from digits to photographs, and in number of images?

For every data set that is here, one network is trained on more and more of its images, by ISBE and by the fused cross-entropy
from the same seeds. In each trained network the gradients of all routes are compared. What a step costs does not depend on how
many images there are to come: it is measured once for a data set, with its network and the size of its images.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from isbe_np import datasets
from isbe_np.checks import nearest
from isbe_np.datasets import places
from isbe_np.executors import Opener
from isbe_np.heads import ROUTES
from isbe_np.networks import NETWORKS
from isbe_np.studies.accuracy import ANSWER, LOST, less, mean_sd, paired, standing, train_cell, training
from isbe_np.studies.comparison import TOLERANCE
from isbe_np.studies.cost import step_costs
from isbe_np.studies.measure import Ratio
from isbe_np.studies.sweep import sweep
from isbe_np.tables import WIDEST, page, table
from isbe_np.training.recipes import RECIPES

# By data set, the network that is trained on it.
SETS = {"mnist": "lenet5", "fashion_mnist": "lenet5", "cifar10": "resnet"}
IMAGES = (2_000, 10_000, None)  # None: all
ROUNDS = 60
STEP = {"batch": int, "seconds": float, "ratios": {str: [float]}}  # the answer of `step_cell`
TRAINED = (("isbe", None), ("fused", "cross_entropy"))  # the routes that are trained by, with the loss
OTHERS = ROUTES[:-1]  # that isbe is compared with in the trained network
# Why a product through y may be further off where training went well.
WHY = " Where y is near t, y − t is small, and a product that takes it from two numbers near 1 keeps their rounding."


@dataclass
class Row:
    """One data set with so many training images (None: all): accuracy by both routes, a list entry for each seed.

    `gaps`: by route, for each seed, how far its gradients in the trained network are from those of isbe; infinite where the
    route refused to give any.
    """

    data: str
    network: str
    images: int | None
    isbe: list[float | None]
    fused: list[float | None]
    gaps: dict[str, list[float]] = field(default_factory=dict)

    @property
    def differences(self) -> list[float]:
        """Accuracy by ISBE less that by fused, of the seeds in which both ended."""
        return less(self.isbe, self.fused)


@dataclass
class Step:
    """What a training step on a data set's images takes by fused and by the explicit Jacobian, by what it takes by ISBE."""

    batch: int
    seconds: float
    ratios: dict[str, Ratio]


@dataclass
class DataStudy:
    """Rows by data set and number of images; `steps` and `sources` by data set; sentences of cells that failed."""

    seeds: list[int]
    epochs: int | None
    threads: int
    sources: dict[str, str]
    rows: list[Row]
    steps: dict[str, Step]
    failed: dict[str, str]

    def as_dict(self) -> dict:
        """All of it as JSON can hold it."""
        return asdict(self)

    def text(self, width: int = WIDEST) -> str:
        """A table of accuracy and agreement, one of a step's time, and what they say."""
        rows = [(row.data, row.network, "all" if row.images is None else f"{row.images:,}", mean_sd(row.isbe),
                 mean_sd(row.fused), paired(row.differences), *(_worst(row.gaps.get(route)) for route in OTHERS))
                for row in self.rows]
        steps = [(name, SETS[name], step.batch, f"{1e3 * step.seconds:.2f}", _ratio(step.ratios["fused"]),
                  _ratio(step.ratios["jacobian"])) for name, step in self.steps.items()]
        seeds, threads = ", ".join(map(str, self.seeds)), f"{self.threads} thread{'s' * (self.threads > 1)}"
        header = ("data", "network", "images", "isbe", "fused", "isbe less fused", *OTHERS)
        return page([
            f"Test accuracy in % after {self.epochs or 'the recipe’s'} epochs, seeds {seeds}: mean ± sd, and the mean of "
            "paired differences in points ± its standard error; then how far each route's gradients are from those of isbe "
            "in the trained network, by the largest gradient: the worst seed",
            table(header, rows, left=2, keys=3, width=width),
            f"A training step, {threads}: time by that of isbe, with 95 % intervals",
            table(("data", "network", "batch", "isbe, ms", "fused / isbe", "jacobian / isbe"), steps, left=2, keys=2,
                  width=width),
            "What this says\n\n" + "\n".join(f"- {sentence}" for sentence in self.conclusions())], width)

    def conclusions(self) -> list[str]:
        """What the numbers support, and what was not measured, one sentence each."""
        said = []
        for name in dict.fromkeys(row.data for row in self.rows):
            rows = [row for row in self.rows if row.data == name and row.differences]
            if rows:
                largest = max(rows, key=lambda row: abs(np.mean(row.differences)))
                said.append(f"{name}: of {len(rows)} numbers of images, the largest mean difference of ISBE and fused is "
                            f"{paired(largest.differences)} points.")
        limit = TOLERANCE["float32"]
        beyond = {route: max((max(row.gaps.get(route) or [0.0]) for row in self.rows), default=0.0)
                  for route in OTHERS}
        said += [f"In trained networks {route} is as far as {gap:.1e} from isbe, "
                 + (f"within the {limit:.0e} of networks at their start." if gap <= limit else
                    f"beyond the {limit:.0e} of networks at their start." + WHY) for route, gap in beyond.items()]
        said += [f"{name}: {step.ratios['fused'].verdict('a step by fused', 'by isbe')}." for name, step in self.steps.items()]
        said += [f"Not part of this run: {name}." for name in SETS if name not in self.sources]
        return [*said, *(f"{name} failed: {why}" for name, why in self.failed.items())]


def data(sets: Sequence[str] | None = None, *, images: Sequence[int | None] | None = None, seeds: Sequence[int] = (0, 1, 2),
         epochs: int | None = None, data_dir: str | None = None, verify: bool = True, folder: Path | None = None,
         executor: Executor | Opener | None = None, threads: int = 1, progress: bool = True) -> DataStudy:
    """Train on each of `sets` (default: all of `SETS` that are here) with each number of `images` (default `IMAGES`)."""
    images = IMAGES if images is None else images
    named = [name for name in SETS if places.find(name, data_dir)] if sets is None else list(sets)
    for name in named:
        nearest("data: sets", name, tuple(SETS))
    if not named:
        raise FileNotFoundError(f"The study of data expects one of {', '.join(SETS)}; none of them is here. See `isbe data "
                                "list`, then `isbe data fetch mnist`.")
    cells = dict(training(name, SETS[name], "softmax", route, loss, seed, images=count, epochs=epochs, data_dir=data_dir,
                          verify=verify)
                 for name in named for count in images for route, loss in TRAINED for seed in seeds)
    found = sweep(train_cell, cells, folder, executor, threads, progress=progress, answer=ANSWER)
    timed = sweep(step_cell, {f"{name} step": {"data": name, "net": SETS[name], "rounds": ROUNDS, "data_dir": data_dir,
                                               "verify": verify} for name in named},
                  folder, executor, threads, same_machine=True, progress=progress, answer=STEP)

    def answers(name: str, route: str, count: int | None) -> list[dict]:
        return [found.answers.get(training(name, SETS[name], "softmax", route, None, seed, images=count)[0], LOST)
                for seed in seeds]

    rows = []
    for name in named:
        for count in images:
            ours, theirs = (answers(name, route, count) for route, _ in TRAINED)
            gaps = {route: [_number(a["gaps"][route]) for a in ours if route in a["gaps"]] for route in OTHERS}
            rows.append(Row(name, SETS[name], count, [a["accuracy"] for a in ours], [a["accuracy"] for a in theirs], gaps))
    steps = {name: Step(told["batch"], told["seconds"], {route: Ratio(*ratio) for route, ratio in told["ratios"].items()})
             for name in named if (told := timed.answers.get(f"{name} step"))}
    sources = {name: standing(a for key, a in found.answers.items() if key.startswith(name + " ")) for name in named}
    return DataStudy(list(seeds), epochs, threads, sources, rows, steps, found.failed | timed.failed)


def step_cell(data: str, net: str, rounds: int, data_dir: str | None, verify: bool) -> dict:
    """By route, (ratio, low, high) of a training step's time by that of isbe, on the recipe's batch of real images."""
    batch = RECIPES[net].batch_size
    given = datasets.load(data, data_dir, train=batch, test=1, verify=verify)
    found = step_costs(net, NETWORKS[net](image=given.x_train.shape[1:]), given.x_train, given.y_train, rounds)
    return {"batch": batch, "seconds": next(cost.seconds for cost in found.costs if cost.route == "isbe"),
            "ratios": {cost.route: (cost.ratio.value, cost.ratio.low, cost.ratio.high) for cost in found.costs}}


def _number(gap: float | str) -> float:
    return np.inf if isinstance(gap, str) else gap


def _worst(gaps: Sequence[float] | None) -> str:
    if not gaps:
        return ""
    return "refused" if np.isinf(max(gaps)) else f"{max(gaps):.1e}"


def _ratio(ratio: Ratio) -> str:
    return f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
