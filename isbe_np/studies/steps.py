"""Whole training steps by several contestants, taken in turns on one network and one batch, with the time of each part."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isbe_np.graph import Graph
from isbe_np.heads import Head
from isbe_np.networks import NETWORKS
from isbe_np.studies.measure import take_turns
from isbe_np.training import Optimizer
from isbe_np.training.recipes import RECIPES

# By contestant, its route. "one pass" is route isbe by `Head.error`; "isbe again" is the control, isbe by another name.
CONTESTANTS = {"jacobian": "jacobian", "factored": "factored", "fused": "fused", "isbe": "isbe", "one pass": "isbe",
               "isbe again": "isbe"}
CONTROL = "isbe again"
RIVALS = tuple(name for name in CONTESTANTS if name != "isbe")
PARTS = ("forward", "backward", "head", "step")
RATE = 0.0  # the update is computed and written as at any other rate, and the thousandth step is as the first

Step = Callable[[], tuple[float, ...]]


@dataclass
class Timed:
    """One network with one batch size: by part and contestant the seconds of each round, medians of its `turns`."""

    network: str
    batch: int
    turns: int
    seconds: dict[str, dict[str, list[float]]]

    def median(self, part: str, name: str) -> float:
        """Seconds of a part by a contestant, over all rounds."""
        return float(np.median(self.seconds[part][name]))


def timing_cell(net: str, batch: int, image: Sequence[int], rounds: Sequence[int], seconds: float, seed: int) -> dict:
    """By part and contestant, the seconds of each round: medians of the `turns` of a round, as many for all contestants.

    `net` is of `NETWORKS`, with the optimizer of its recipe; the batch is random numbers, float32. What is timed begins after
    turns that are not counted, in which all is compiled and which show how many rounds fit into `seconds`.
    """
    random, recipe = np.random.default_rng(seed), RECIPES[net]
    network = NETWORKS[net](seed=seed, image=tuple(image))
    x = random.random((batch, *image), np.float32)
    y = random.integers(0, network.nodes[-1].shape[-1], batch)
    optimizer = recipe.optimizer(RATE, recipe.weight_decay)
    steps = {name: training_step(name, network, optimizer, x, y) for name in CONTESTANTS}
    count, turns = plan(wake(steps, seconds / 10), seconds, *rounds)
    took = take_turns(steps, count, calls=turns, clock=of_parts, seed=seed)
    return {"turns": turns, "seconds": {part: {name: np.round(np.median(times[..., p], axis=1), 9).tolist()
                                               for name, times in took.items()} for p, part in enumerate(PARTS)}}


def training_step(name: str, net: Graph, optimizer: Optimizer, x: np.ndarray, y: np.ndarray,
                  kernels: str | None = None) -> Step:
    """A step of `net` by a contestant on the batch x (N, *shape), y (N,); it returns the seconds of each of `PARTS`.

    kernels : those of the head; by default those of the network.

    forward: network, then head. backward: head, then network. head: its two halves. step: these and the update, without the
    checks of `train`. To "one pass" the head is one call, which counts as backward.
    """
    head, now = Head("softmax", CONTESTANTS[name], kernels=kernels or net.kernels), time.perf_counter
    once = name == "one pass"

    def soften(scores):
        return None if once else head.forward(scores)

    def send(scores):
        return head.error(scores, y) if once else head.backward(y)

    def step() -> tuple[float, ...]:
        start = now()
        scores = net.forward(x, training=True)
        scored = now()
        soften(scores)
        ahead = now()
        error = send(scores)
        sent = now()
        net.backward(error)
        back = now()
        optimizer.step(net)
        return ahead - start, back - ahead, sent - scored, now() - start
    return step


def step_seconds(net: Graph, optimizer: Optimizer, x: np.ndarray, y: np.ndarray, rounds: int) -> dict[str, np.ndarray]:
    """Seconds (rounds, 1) of whole training steps by each contestant on one batch."""
    steps = {name: training_step(name, net, optimizer, x, y) for name in CONTESTANTS}
    return {name: took[..., PARTS.index("step")] for name, took in take_turns(steps, rounds, calls=1, clock=of_parts).items()}


def of_parts(step: Step) -> tuple[float, ...]:
    """The seconds of each part, which a step tells itself."""
    return step()


def wake(steps: Mapping[str, Step], seconds: float) -> float:
    """Let all compile, then let each take a step in turn until `seconds` have passed; the shortest turn, in seconds."""
    for step in steps.values():
        step()
    took: list[float] = []
    while not took or sum(took) < seconds:
        start = time.perf_counter()
        for step in steps.values():
            step()
        took.append(time.perf_counter() - start)
    return min(took)


def plan(turn: float, seconds: float, least: int, most: int) -> tuple[int, int]:
    """Rounds, and timed steps of each contestant in a round, that fit into `seconds` where a step of each takes `turn`.

    A round has one step of each more, which is not timed. There are `least` to `most` rounds, in whole blocks of orders. Where
    more would fit, rounds are longer, so that short steps use the time as well, and little is stored.
    """
    fit = int(seconds / turn)
    if fit >= 2 * most:
        return most, fit // most - 1
    return max(least, fit // 2 - fit // 2 % len(CONTESTANTS)), 1
