"""What does the reduction do? SGD and Adam by `mean` and by `sum`, at one learning rate and at equal effective step.

For a batch of N, `sum` sends N times the error that `mean` sends; `none` sends what `sum` sends, to the bit. SGD's step is η g,
so that `sum` at η / N is `mean` at η. Adam's is η m / (√v + ε), where the factor N cancels but for ε.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from isbe_np.checks import nearest, whole
from isbe_np.datasets import Dataset
from isbe_np.executors import Opener
from isbe_np.graph import Graph
from isbe_np.heads import NORMALIZERS, Head
from isbe_np.studies.comparison import TOLERANCE
from isbe_np.studies.measure import relative_difference
from isbe_np.studies.perceptron import CHANCE, images, perceptron
from isbe_np.studies.sweep import sweep
from isbe_np.tables import WIDEST, page, table
from isbe_np.training import SGD, Adam, AdamW, train

MOMENTUM, EPSILON, DECAY = 0.9, 1e-8, 5e-4
# Of `mean`. With N = 100 the effective steps of both reductions at one rate lie on one grid.
RATES = {"SGD": (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
         "Adam": (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3)}
KINDS = {"SGD": SGD, "Adam": Adam, "AdamW": AdamW}
ARMS = ("mean", "sum, same rate", "sum, same step")
TRAINED = {"accuracy": (None, float), "steps": int, "diagnosis": (None, str)}  # the answer of `training_cell`
APART = {"difference": float}  # and of `apart_cell`
COMPARED, BATCHES = 2, 20  # parameters are compared after so many epochs of so many batches


@dataclass(frozen=True)
class Pair:
    """Two trainings in float64: by `mean`, and by `sum` with each setting in `powers` times N to that power.

    `reduction` stands for `mean`; `ragged`: the last batch of an epoch has N / 2 examples.
    """

    kind: str
    rate: float
    powers: dict[str, int] = field(default_factory=dict)
    settings: dict[str, float] = field(default_factory=dict)
    normalizer: str = "softmax"
    reduction: str = "mean"
    ragged: bool = False


STEP, DECAYED, SMALL = {"learning_rate": -1}, {"weight_decay": DECAY}, {"epsilon": EPSILON}
PAIRS = {
    "SGD, sum at η": Pair("SGD", 0.03),
    "SGD, sum at η, beside none at η": Pair("SGD", 3e-4, reduction="none"),
    **{f"SGD, sum at η/N, {name}": Pair("SGD", 0.03, STEP, normalizer=name) for name in
       ("softmax", "sigmoid", "tanh", "hardsigmoid", "hardtanh")},
    "SGD, sum at η/N, weight decay λ": Pair("SGD", 0.03, STEP, DECAYED),
    "SGD, sum at η/N, weight decay λN": Pair("SGD", 0.03, STEP | {"weight_decay": 1}, DECAYED),
    "SGD, sum at η/N, last batch N/2": Pair("SGD", 0.03, STEP, ragged=True),
    "Adam, sum at η": Pair("Adam", 1e-3, {}, SMALL),
    "Adam, sum at η, ε 10⁴ times": Pair("Adam", 1e-3, {}, {"epsilon": 1e4 * EPSILON}),
    "Adam, sum at η, εN": Pair("Adam", 1e-3, {"epsilon": 1}, SMALL),
    "Adam, sum at η, εN, weight decay λ": Pair("Adam", 1e-3, {"epsilon": 1}, SMALL | DECAYED),
    "AdamW, sum at η, εN, weight decay λ": Pair("AdamW", 1e-3, {"epsilon": 1}, SMALL | DECAYED),
}


@dataclass
class Run:
    """A training for each seed: `accuracy` on the test set, None where it did not end, and sentences of those that diverged."""

    optimizer: str
    arm: str
    rate: float
    learning_rate: float
    epsilon: float | None
    accuracy: list[float | None]
    diagnosis: list[str]

    @property
    def reached(self) -> np.ndarray:
        """Accuracies of the trainings that ended, in per cent."""
        return 100 * np.array([a for a in self.accuracy if a is not None])

    def told(self) -> str:
        """Mean ± sd of those that ended in per cent, and how many diverged."""
        found, lost = self.reached, len(self.diagnosis)
        mean = f"{found.mean():.1f}" + (f" ± {found.std(ddof=1):.1f}" if len(found) > 1 else "") if len(found) else ""
        return ", ".join(filter(None, (mean, f"{lost} of {len(self.accuracy)} diverged" if lost else ""))) or "none"


@dataclass
class Reductions:
    """All runs, and by name of `PAIRS` the largest relative difference of parameters, for each seed."""

    data: str
    batch_size: int
    epochs: int
    normalizer: str
    seeds: list[int]
    runs: list[Run]
    apart: dict[str, list[float]]
    failed: dict[str, str]

    def as_dict(self) -> dict:
        """The same as plain lists and numbers, for JSON."""
        return asdict(self)

    def of(self, optimizer: str, arm: str) -> list[Run]:
        """The runs of one arm, by rate."""
        return [run for run in self.runs if (run.optimizer, run.arm) == (optimizer, arm)]

    def equal(self, pair: str) -> bool:
        """True when no seed's parameters of that pair differ by more than rounding."""
        return max(self.apart[pair]) <= TOLERANCE["float64"]

    def text(self, width: int = WIDEST) -> str:
        """A table for each optimizer, one of the differences, and what they say."""
        parts = [f"{self.data}; {self.normalizer}, route isbe, batches of N = {self.batch_size}, {self.epochs} epochs, "
                 f"constant rate, seeds {', '.join(map(str, self.seeds))}. Test accuracy in %, mean ± sd over seeds.\n"
                 "none sends what sum sends, to the bit: what is said of sum holds for it."]
        for optimizer, same in (("SGD", "sum at η/N"), ("Adam", "sum at η, εN")):
            arms = [self.of(optimizer, arm) for arm in ARMS]
            rows = [(f"{runs[0].rate:g}", *(run.told() for run in runs)) for runs in zip(*arms, strict=True)]
            parts.append(f"{optimizer}\n\n" + table(("η", "mean at η", "sum at η", same), rows, left=0, width=width))
        apart = [(name, f"{max(gaps):.1e}", "" if self.equal(name) else "more than rounding")
                 for name, gaps in self.apart.items()]
        parts.append(f"How far parameters are from those of mean at η after {COMPARED} epochs of {BATCHES} batches in float64: "
                     "max |a − b| / max |b|, the largest of all seeds\n\n" + table(("trained by", "difference", ""), apart,
                                                                      width=width))
        return page([*parts, "What this says\n\n" + "\n".join(f"- {said}" for said in self.conclusions())], width)

    def conclusions(self) -> list[str]:
        """What the numbers support, one sentence each."""
        every = [accuracy for run in self.runs for accuracy in run.accuracy]
        stuck = sum(a is not None and a <= 2 * CHANCE for a in every)
        unequal = [name for name in self.apart if not self.equal(name)]
        return [
            *(sentence for optimizer in RATES for sentence in self._of_optimizer(optimizer)),
            f"Of {len(every)} trainings {sum(len(run.diagnosis) for run in self.runs)} diverged; {stuck} stayed finite, so "
            f"that no diagnosis was given, but ended at no more than twice the accuracy of guessing ({2 * CHANCE:.0%}).",
            f"In float64 {len(self.apart) - len(unequal)} of {len(self.apart)} pairs are equal to rounding; not so: "
            f"{'; '.join(unequal) or 'none'}.",
            "For SGD a study that compares reductions at one learning rate compares two learning rates: what it finds says "
            "where that rate lay, not what a reduction is worth. Divide the rate by N for sum, multiply weight decay by N, and "
            "let all batches have N examples; or vary the rate for each.",
            "Not measured: other networks, batch sizes and schedules. The best rates are of this grid and chosen on the test "
            "set, alike for both.",
            *(f"Not finished: {name}: {why}" for name, why in self.failed.items())]

    def _of_optimizer(self, optimizer: str) -> list[str]:
        mean, same_rate, same_step = (self.of(optimizer, arm) for arm in ARMS)
        top, other = _best(mean), _best(same_rate)
        if top is None or other is None:
            return [f"{optimizer}: no training by one of the reductions came to its end."]
        k, step = mean.index(top), self.batch_size * other.rate
        how = (f" (mean's η of {step:g})", "η/N") if optimizer == "SGD" else ("", "η with εN")
        gap, where = max((_gap(a, b), a.rate) for a, b in zip(mean, same_step, strict=True))
        return [f"{optimizer} at one learning rate: where mean is best, η = {top.rate:g}, mean reaches {top.told()} and sum "
                f"{same_rate[k].told()}; sum is best at η = {other.rate:g}{how[0]} and reaches {other.told()}.",
                f"{optimizer} at equal effective step, sum at {how[1]}: in float32 no seed's accuracy differs by more than "
                f"{_gap(mean[k], same_step[k]):.1f} points at that rate of mean; most, {gap:.1f}, at η = {where:g}"
                + (", where steps are so large that rounding may grow from one to the next." if gap > 1 else ".")]


def _best(runs: list[Run]) -> Run | None:
    return max((run for run in runs if len(run.reached)), key=lambda run: run.reached.mean(), default=None)


def _gap(one: Run, other: Run) -> float:
    """The largest difference of a seed's accuracies in points; infinite where only one of the two ended."""
    pairs = [pair for pair in zip(one.accuracy, other.accuracy, strict=True) if pair != (None, None)]
    return max((math.inf if a is None or b is None else 100 * abs(a - b) for a, b in pairs), default=0.0)


def reductions(data: str = "digits", data_dir: str | None = None, train_images: int = 2000, test_images: int = 1000,
               batch_size: int = 100, epochs: int = 8, normalizer: str = "softmax", seeds: Sequence[int] = (0, 1, 2),
               folder: Path | None = None, executor: Executor | Opener | None = None, progress: bool = True) -> Reductions:
    """Train a perceptron 64-10 by both reductions at all of `RATES`, and compare parameters in float64 for all of `PAIRS`.

    All batches must have N examples, since `mean` divides by what a batch has: ValueError where `batch_size` does not divide
    `train_images`.
    """
    nearest("reductions: normalizer", normalizer, NORMALIZERS)
    if whole("reductions: train_images", train_images) % whole("reductions: batch_size", batch_size, least=2):
        raise ValueError(f"reductions expects train_images to be a multiple of batch_size, {batch_size}: mean divides by what "
                         f"a batch has, and the last would have fewer; got {train_images}.")
    where = {"data": data, "data_dir": data_dir, "batch_size": batch_size}
    sizes = {**where, "train_images": train_images, "test_images": test_images, "epochs": epochs, "normalizer": normalizer}
    arms = [(kind, arm, rate, _settings(kind, arm, rate, batch_size))
            for kind, rates in RATES.items() for arm in ARMS for rate in rates]

    def cell(*name) -> str:
        return " ".join(map(str, ("reductions", data, normalizer, *name)))

    ran = sweep(training_cell, {cell(kind, arm, rate, seed): {
        **sizes, "kind": kind, "reduction": arm.split(",")[0], "settings": settings, "seed": seed}
        for kind, arm, rate, settings in arms for seed in seeds}, folder, executor, progress=progress, answer=TRAINED)
    compared = sweep(apart_cell, {cell(name, seed): {**where, "pair": asdict(pair), "seed": seed}
                                  for name, pair in PAIRS.items() for seed in seeds}, folder, executor, progress=progress,
                     answer=APART)
    runs = []
    for kind, arm, rate, settings in arms:
        answers = [ran.answers.get(cell(kind, arm, rate, seed), {}) for seed in seeds]
        runs.append(Run(kind, arm, rate, settings["learning_rate"], settings.get("epsilon"),
                        [a.get("accuracy") for a in answers], [a["diagnosis"] for a in answers if a.get("diagnosis")]))
    gaps = {name: [compared.answers[cell(name, seed)]["difference"] for seed in seeds if cell(name, seed) in compared.answers]
            for name in PAIRS}
    return Reductions(f"{data}: {train_images} training and {test_images} test images", batch_size, epochs, normalizer,
                      list(seeds), runs, {name: some for name, some in gaps.items() if some}, ran.failed | compared.failed)


def _settings(optimizer: str, arm: str, rate: float, batch_size: int) -> dict[str, float]:
    N = batch_size if arm == "sum, same step" else 1
    return {"learning_rate": rate / N} if optimizer == "SGD" else {"learning_rate": rate, "epsilon": EPSILON * N}


def _train(net: Graph, head: Head, data: Dataset, epochs: int, batch_size: int, kind: str, settings: dict, seed: int):
    optimizer = KINDS[kind](**settings, **({"momentum": MOMENTUM} if kind == "SGD" else {}))
    return train(net, head, data, epochs, batch_size, optimizer, seed, progress=False)


def training_cell(data, data_dir, train_images, test_images, batch_size, epochs, normalizer, kind, reduction, settings,
                  seed) -> dict:
    """Test accuracy after the last epoch, or the diagnosis."""
    given = images(data, data_dir, train_images, test_images)
    net = perceptron(given.x_train.shape[1:], seed)
    history = _train(net, Head(normalizer, reduction=reduction), given, epochs, batch_size, kind, settings, seed)
    return {"accuracy": None if history.stopped else history.accuracy[-1], "steps": history.steps,
            "diagnosis": history.diagnosis}


def apart_cell(data, data_dir, batch_size, pair, seed) -> dict:
    """max |a − b| / max |b| of the parameters of both trainings."""
    given, pair = images(data, data_dir, (BATCHES + 1) * batch_size, 100, "float64"), Pair(**pair)
    some = slice(BATCHES * batch_size + (batch_size // 2 if pair.ragged else 0))
    given = replace(given, x_train=given.x_train[some], y_train=given.y_train[some])
    one = {"learning_rate": pair.rate, **pair.settings}
    other = {name: value * float(batch_size) ** pair.powers.get(name, 0) for name, value in one.items()}
    values = []
    for reduction, settings in ((pair.reduction, one), ("sum", other)):
        net = perceptron(given.x_train.shape[1:], seed, "float64")
        _train(net, Head(pair.normalizer, reduction=reduction), given, COMPARED, batch_size, pair.kind, settings, seed)
        values.append(net.values)
    return {"difference": relative_difference(*values)}
