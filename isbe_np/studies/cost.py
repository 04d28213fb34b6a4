"""What does each route cost? The head alone at several numbers of classes, and a whole training step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isbe_np.graph import Graph
from isbe_np.heads import ROUTES, Head
from isbe_np.studies.measure import Ratio, interleaved, peak_memory, ratio_of_medians
from isbe_np.training import SGD


@dataclass
class Cost:
    """Median seconds of one route, the ratio of its time to that of route `isbe`, and bytes where they were measured."""

    route: str
    seconds: float
    ratio: Ratio
    memory: int | None = None


@dataclass
class HeadCosts:
    """The costs of all routes for scores (batch, classes): forward and backward of the head, nothing else."""

    batch: int
    classes: int
    costs: list[Cost]


@dataclass
class StepCosts:
    """The costs of all routes for a whole training step: network and head forward and backward, and the update."""

    network: str
    batch: int
    costs: list[Cost]


def head_costs(batch: int, classes: int, rounds: int, seed: int = 0) -> HeadCosts:
    """Time and memory of the softmax head by each route, float32, normal scores, labels drawn evenly."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(batch, classes)).astype(np.float32)
    labels = random.integers(0, classes, batch)
    runs = {route: _head_run(Head("softmax", route), scores, labels) for route in ROUTES}
    costs = _costs(interleaved(runs, rounds))
    for cost in costs:
        cost.memory = peak_memory(runs[cost.route])
    return HeadCosts(batch, classes, costs)


def _head_run(head: Head, scores: np.ndarray, labels: np.ndarray) -> Callable[[], object]:
    def run():
        head.forward(scores)
        return head.backward(labels)
    return run


def step_costs(name: str, net: Graph, x: np.ndarray, y: np.ndarray, rounds: int) -> StepCosts:
    """Time of a training step on the batch x (N, *shape), y (N,) by each route; the parameters of `net` move on."""
    optimizer = SGD(0.01, momentum=0.9)

    def step_by(route: str) -> Callable[[], object]:
        head = Head("softmax", route)

        def run():
            head.forward(net.forward(x, training=True))
            net.backward(head.backward(y))
            optimizer.step(net)
        return run

    return StepCosts(name, len(x), _costs(interleaved({route: step_by(route) for route in ROUTES}, rounds)))


def _costs(seconds: dict[str, np.ndarray]) -> list[Cost]:
    return [Cost(route, float(np.median(times)), ratio_of_medians(times, seconds["isbe"]))
            for route, times in seconds.items()]
