"""How does ISBE fail, and is it told? Trainings that are wrong on purpose, and what the training diagnosis says of each.

The diagnosis stops a training whose scores or gradients are no longer finite, warns of one that ended and learnt nothing, and
names a likely cause. A failure is "recognised" where the sentences of all seeds name the cause that was put in, "misread" where
one names another, "seen" where some name none, and "silent" where some seed got no sentence. Beside the failures stand
trainings that look like one and are right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from isbe_np.executors import Opener
from isbe_np.kernels.finite import squared_norm
from isbe_np.studies.faulty_trainings import FAILURES, RATE
from isbe_np.studies.perceptron import CHANCE, images, perceptron
from isbe_np.studies.sweep import sweep
from isbe_np.tables import WIDEST, page, table
from isbe_np.training import SGD, train
from isbe_np.training.diagnosis import LARGE, NO_CAUSE

MOMENTUM = 0.9
ADVICE = "lower it tenfold"
ANSWER = {"norms": [float], "largest": float, **dict.fromkeys(("accuracy", "trained", "advised"), (None, float)),
          **dict.fromkeys(("diagnosis", "warning"), (None, str))}  # of `failure_cell`
VANISHED = 1e-6  # norm of a gradient of which nothing is learnt


@dataclass
class Outcome:
    """One of `FAILURES`, a list entry for each seed that was trained.

    accuracy: on the test set in the end, None where training was stopped; trained: the same on the training set. norms: of
    the gradient at each step. largest: score of all steps. diagnosis: the sentence of what was stopped, None where it was not;
    warning: the sentence of what ended. advised: test accuracy at a tenth of the rate where the sentence advises that (None:
    not advised, or stopped again).
    """

    name: str
    what: str
    words: str
    right: bool
    accuracy: list[float | None]
    trained: list[float | None]
    norms: list[list[float]]
    largest: list[float]
    diagnosis: list[str | None]
    advised: list[float | None]
    warning: list[str | None] = field(default_factory=list)

    @property
    def sentences(self) -> list[str]:
        """What is said of each seed, "" for nothing."""
        warnings = self.warning or [None] * len(self.diagnosis)
        return [stopped or warned or "" for stopped, warned in zip(self.diagnosis, warnings, strict=True)]

    @property
    def verdict(self) -> str:
        """"recognised", "misread", "seen" or "silent"; of what is right "learns", which is no word, or "false alarm"."""
        if self.right:
            return "false alarm" if any(self.sentences) else "learns"
        if not all(self.sentences):
            return "silent"
        named = [sentence for sentence in self.sentences if NO_CAUSE not in sentence]
        if any(self.words not in sentence for sentence in named):
            return "misread"
        return "recognised" if len(named) == len(self.sentences) else "seen"

    @property
    def signs(self) -> list[str]:
        """What all seeds without a sentence would have shown to a diagnosis that looked for it."""
        ended = [k for k, sentence in enumerate(self.sentences) if not sentence]
        shown = {f"scores above {LARGE:.0e}": [self.largest[k] > LARGE for k in ended],
                 f"gradient below {VANISHED:.0e}": [max(self.norms[k], default=0.0) < VANISHED for k in ended],
                 "training accuracy as of guessing": [(self.trained[k] or 0.0) <= 2 * CHANCE for k in ended]}
        return [sign for sign, seeds in shown.items() if seeds and all(seeds)]

    def reached(self) -> str:
        """Mean ± sd of the test accuracy in per cent, of the seeds that ran to their end."""
        ended = [100 * a for a in self.accuracy if a is not None]
        return f"{np.mean(ended):.1f}" + (f" ± {np.std(ended, ddof=1):.1f}" if len(ended) > 1 else "") if ended else ""

    def row(self) -> tuple:
        """A line of the table: the gradient's norm at the first and the last step, means over seeds."""
        first, last = (np.mean([norms[k] for norms in self.norms if norms] or [math.nan]) for k in (0, -1))
        stops = [str(len(norms)) for norms, sentence in zip(self.norms, self.diagnosis, strict=True) if sentence]
        norms = "" if math.isnan(first) else f"{first:.1e} to {last:.1e}"
        return self.name, self.verdict, self.reached(), norms, f"{max(self.largest):.1e}", ", ".join(stops)

    def told(self) -> str:
        """What is wrong, and what the diagnosis says of it (the first seed of which it does), or what it might see."""
        sentence = next(filter(None, self.sentences), "")
        silent = f"No word. To be seen: {'; '.join(self.signs) or 'nothing but the accuracy'}."
        return f"- {self.name} ({self.what}): {sentence or ('No word.' if self.right else silent)}"


@dataclass
class Failures:
    """All outcomes, by name, and the sentences of cells that failed to run."""

    data: str
    batch_size: int
    epochs: int
    seeds: list[int]
    outcomes: list[Outcome]
    failed: dict[str, str]

    def as_dict(self) -> dict:
        """The same as plain lists and numbers, for JSON, with each verdict and the other signs."""
        told = {outcome.name: {"verdict": outcome.verdict, "signs": outcome.signs} for outcome in self.outcomes}
        return asdict(self) | {"outcomes": [asdict(outcome) | told[outcome.name] for outcome in self.outcomes]}

    def text(self, width: int = WIDEST) -> str:
        """A table, the diagnosis's sentences, and what follows."""
        return page([
            f"{self.data}; a perceptron, batches of {self.batch_size}, {self.epochs} epochs, SGD at {RATE:g} unless said "
            f"otherwise with momentum {MOMENTUM:g}, seeds {', '.join(map(str, self.seeds))}",
            table(("training", "diagnosis", "accuracy, %", "gradient norm", "largest score", "stopped at step"),
                  [outcome.row() for outcome in self.outcomes], left=2, width=width),
            "What is wrong, and what the diagnosis says\n\n" + "\n".join(outcome.told() for outcome in self.outcomes),
            "What this says\n\n" + "\n".join(f"- {sentence}" for sentence in self.conclusions())], width)

    def conclusions(self) -> list[str]:
        """What the numbers support, one sentence each."""
        wrong, fine = ([o for o in self.outcomes if o.right is right] for right in (False, True))
        by = {verdict: [o for o in wrong if o.verdict == verdict] for verdict in ("recognised", "misread", "seen", "silent")}
        said = [f"Of {len(wrong)} failures {len(some)} {'is' if len(some) == 1 else 'are'} {verdict}: {_names(some)}."
                for verdict, some in by.items()]
        blamed = [o for o in wrong if any(ADVICE in sentence for sentence in o.sentences)]
        if blamed:
            again = [a for o in blamed for a in o.advised if a is not None]
            said.append(f"Put down to too large a step: {_names(blamed)}. At a tenth of the rate, as the sentence advises, "
                        + (f"none reaches more than {max(again):.1%}." if again else "all are stopped again."))
        alarms = [o for o in fine if o.verdict == "false alarm"]
        said.append(f"Of {len(fine)} trainings with nothing wrong the diagnosis blames: {_names(alarms)}.")
        if by["silent"]:
            shown = [o for o in by["silent"] if o.signs]
            hidden = "; ".join(f"{o.name} {o.reached()} %" for o in by["silent"] if not o.signs)
            said.append(f"Silent, but to be seen by another sign: {_names(shown)}; by nothing but the accuracy: "
                        f"{hidden or 'none'}. With nothing wrong these signs would have blamed: "
                        f"{_names(o for o in fine if o.signs)}.")
            said.append("No head is asked for its faults while the training accuracy is above guessing: what learns all the "
                        "same may be meant so.")
        said.append("Measured on one small network and data set: what is silent here may overflow elsewhere, and the other way "
                    "round.")
        return said + [f"Not finished: {name}: {why}" for name, why in self.failed.items()]


def _names(outcomes) -> str:
    return ", ".join(outcome.name for outcome in outcomes) or "none"


def failures(data: str = "digits", data_dir: str | None = None, train_images: int = 2000, test_images: int = 1000,
             batch_size: int = 50, epochs: int = 6, seeds: Sequence[int] = (0, 1, 2), folder: Path | None = None,
             executor: Executor | Opener | None = None, progress: bool = True) -> Failures:
    """Train a perceptron in all the ways of `FAILURES`, and keep what the training diagnosis says."""
    sizes = {"data": data, "data_dir": data_dir, "train_images": train_images, "test_images": test_images,
             "batch_size": batch_size, "epochs": epochs}
    cells = {(name, seed): f"failure {data} {name} seed {seed}" for name in FAILURES for seed in seeds}
    found = sweep(failure_cell, {cell: {**sizes, "failure": name, "seed": seed} for (name, seed), cell in cells.items()},
                  folder, executor, progress=progress, answer=ANSWER)
    outcomes = []
    for name, failure in FAILURES.items():
        answers = [found.answers[cells[name, seed]] for seed in seeds if cells[name, seed] in found.answers]
        if answers:
            outcomes.append(Outcome(name, failure.what, failure.words, failure.right,
                                    **{part: [answer[part] for answer in answers] for part in answers[0]}))
    return Failures(f"{data}: {train_images} training and {test_images} test images", batch_size, epochs, list(seeds),
                    outcomes, found.failed)


def failure_cell(data, data_dir, train_images, test_images, batch_size, epochs, failure, seed) -> dict:
    """One training, and a second one at a tenth of the rate where the diagnosis advises that."""
    wrong, given = FAILURES[failure], images(data, data_dir, train_images, test_images)

    size, rounds = wrong.batch_size or batch_size, wrong.epochs or epochs

    def once(rate: float):
        net, optimizer = perceptron(given.x_train.shape[1:], seed), Watched(rate, momentum=MOMENTUM)
        net.parameters()[-1].value[...] = wrong.bias
        return train(net, wrong.head(), given, rounds, size, optimizer, seed, progress=False), optimizer

    history, watched = once(wrong.rate)
    advised = once(wrong.rate / 10)[0] if ADVICE in (history.diagnosis or history.warning or "") else None
    ended = not history.stopped
    return {"accuracy": history.accuracy[-1] if ended else None, "trained": history.train_accuracy[-1] if ended else None,
            "norms": watched.norms, "largest": watched.largest, "diagnosis": history.diagnosis,
            "warning": history.warning, "advised": advised.accuracy[-1] if advised and not advised.stopped else None}


class Watched(SGD):
    """SGD that remembers the gradient's norm at each step and the largest score of all."""

    def __init__(self, *settings, **named):
        super().__init__(*settings, **named)
        self.norms: list[float] = []
        self.largest = 0.0

    def step(self, net):
        self.norms.append(math.sqrt(squared_norm(net.grads)))
        self.largest = max(self.largest, float(np.abs(net.value(net.names[net.nodes[-1]])).max()))
        super().step(net)
