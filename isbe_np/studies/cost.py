"""What does each route cost? The head alone at several numbers of classes, and a whole training step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isbe_np.graph import Graph
from isbe_np.heads import Head
from isbe_np.studies.measure import Ratio, paired_ratio, peak_memory, take_turns
from isbe_np.studies.steps import CONTESTANTS, RATE, step_seconds
from isbe_np.training import SGD

TURN = 0.005  # seconds of a turn of the head, which may take microseconds


@dataclass
class Cost:
    """Median seconds of a contestant, the ratio of its time to that of "isbe", and bytes where they were measured.

    route: one of `steps.CONTESTANTS`: the routes, "one pass" (`Head.error` by route isbe), and the control, "isbe again".
    """

    route: str
    seconds: float
    ratio: Ratio
    memory: int | None = None


@dataclass
class HeadCosts:
    """The costs of all contestants for scores (batch, classes): forward and backward of the head, nothing else."""

    batch: int
    classes: int
    costs: list[Cost]


@dataclass
class StepCosts:
    """The costs of all contestants for a whole training step: network and head forward and backward, and the update."""

    network: str
    batch: int
    costs: list[Cost]


def head_costs(batch: int, classes: int, rounds: int, seed: int = 0, kernels: str = "fast") -> HeadCosts:
    """Time and memory of the softmax head by each contestant, float32, normal scores, labels drawn evenly."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(batch, classes)).astype(np.float32)
    labels = random.integers(0, classes, batch)
    runs = {name: _head_run(name, scores, labels, kernels) for name in CONTESTANTS}
    costs = _costs(take_turns(runs, rounds, turn=TURN, most=50, seed=seed))
    for cost in costs:
        cost.memory = peak_memory(runs[cost.route])
    return HeadCosts(batch, classes, costs)


def _head_run(name: str, scores: np.ndarray, labels: np.ndarray, kernels: str) -> Callable[[], object]:
    head = Head("softmax", CONTESTANTS[name], kernels=kernels)

    def run():
        if name == "one pass":
            return head.error(scores, labels)
        head.forward(scores)
        return head.backward(labels)
    return run


def step_costs(name: str, net: Graph, x: np.ndarray, y: np.ndarray, rounds: int) -> StepCosts:
    """Time of a training step on the batch x (N, *shape), y (N,) by each contestant; the parameters stay as they are."""
    return StepCosts(name, len(x), _costs(step_seconds(net, SGD(RATE, momentum=0.9), x, y, rounds)))


def _costs(seconds: dict[str, np.ndarray]) -> list[Cost]:
    return [Cost(name, float(np.median(times)), paired_ratio(times, seconds["isbe"])) for name, times in seconds.items()]
