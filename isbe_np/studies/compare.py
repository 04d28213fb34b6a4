"""The main question: do the four routes send the same gradient, what does each cost, and do two train alike?

Beside it the second one: do plain and fast kernels agree, and what does each cost?
"""

from __future__ import annotations

import time
from concurrent.futures import Executor
from functools import partial
from itertools import combinations

import numpy as np

from isbe_np.checks import nearest, whole
from isbe_np.datasets import Dataset
from isbe_np.environment import describe
from isbe_np.graph import Graph
from isbe_np.heads import ROUTES, Head
from isbe_np.networks import NETWORKS
from isbe_np.studies.comparison import Agreement, Comparison, Twin
from isbe_np.studies.cost import head_costs, step_costs
from isbe_np.studies.kernels import compare_kernels
from isbe_np.studies.measure import CompileClock, relative_difference
from isbe_np.switch import read_kernels
from isbe_np.training import SGD, train
from isbe_np.training.progress import Stages

STAGES = {"agreement": "do the routes agree", "head": "what does the head cost", "step": "what does a step cost",
          "kernels": "do plain and fast kernels agree, and what does each cost", "training": "do two of them train alike"}
# Networks whose gradients are compared: enough to see it, and soon compiled.
AGREE = ("n0", "n1", "lenet5")
# Networks of which plain kernels are compared with fast ones, besides the one that is timed: a few soon compiled kernels.
SWITCHED = ("n0",)
# (batch, classes, rounds) of the head's table: the explicit Jacobian of the last row takes 4 · 32 · 1000² bytes = 128 MB.
HEADS = ((128, 10, 60), (128, 100, 30), (32, 1000, 18))


def compare(data: Dataset, net: str = "lenet5", routes: tuple[str, str] = ("isbe", "fused"), epochs: int = 2,
            batch_size: int = 128, seed: int = 0, rounds: int = 40, *, progress: bool = True,
            executor: Executor | None = None, kernels: str = "fast") -> Comparison:
    """Compare all routes on the networks of `AGREE` (agreement), on the head and in a step of `net` (cost), and train by two.

    All this with one set of `kernels`. Then plain and fast kernels are compared on `net` and on the networks of `SWITCHED`.
    Agreement is measured on 32 training images in both dtypes. Times are taken in turns, each after an untimed call, so that
    compiling is in none of them (see `measure.take_turns`). With an `executor` of processes, float64 kernels are compiled
    and compared there while float32 is compared here; nothing else runs while times are taken.
    """
    kernels = read_kernels("compare: kernels", kernels)
    make = partial(NETWORKS[nearest("compare: net", net, tuple(NETWORKS))], image=data.x_train.shape[1:], kernels=kernels)
    for route in routes:
        nearest("compare: routes", route, ROUTES)
    whole("compare: epochs", epochs), whole("compare: rounds", rounds, least=2)
    batch = min(whole("compare: batch_size", batch_size), len(data.x_train))
    x, y = data.x_train, data.y_train
    clock = CompileClock()
    seconds: dict[str, float] = {}

    def timed(part: str, measure):
        stages.begin(STAGES[part])
        if part == "training":  # it has a bar of its own
            stages.clear()
        start = time.perf_counter()
        result = measure()
        seconds[part] = time.perf_counter() - start
        return result

    with clock, Stages("compare", progress, len(STAGES)) as stages:
        agreed = timed("agreement", lambda: both_agreements(x[:32], y[:32], seed, executor, kernels))
        heads = timed("head", lambda: [head_costs(*sizes, seed=seed, kernels=kernels) for sizes in HEADS])
        steps = timed("step", lambda: step_costs(net, make(seed), x[:batch], y[:batch], rounds))
        switched = timed("kernels", lambda: compare_kernels(tuple(dict.fromkeys((*SWITCHED, net))), x[:batch], y[:batch],
                                                            rounds, seed, executor))
        twins = timed("training", lambda: train_twins(make, routes, data, epochs, batch, seed, progress))
    return Comparison(describe(), f"{data.name}: {len(x)} training and {len(data.x_test)} test images", seed, kernels, agreed,
                      heads, steps, switched, twins, seconds, clock.seconds)


def both_agreements(x: np.ndarray, y: np.ndarray, seed: int, executor: Executor | None,
                    kernels: str = "fast") -> list[Agreement]:
    """`agreements` in both dtypes, the second of them in the executor where there is one."""
    if executor is None:
        return agreements(x, y, seed, "float32", kernels) + agreements(x, y, seed, "float64", kernels)
    wide = executor.submit(agreements, x, y, seed, "float64", kernels)
    return agreements(x, y, seed, "float32", kernels) + wide.result()


def agreements(x: np.ndarray, y: np.ndarray, seed: int, dtype: str, kernels: str = "fast") -> list[Agreement]:
    """`agreement` of the networks of `AGREE` in one dtype, for one batch."""
    return [found for name in AGREE for found in agreement(
        name, NETWORKS[name](seed, dtype, image=x.shape[1:], kernels=kernels),
        Head("softmax", kernels=kernels), x.astype(dtype), y)]


def agreement(name: str, net: Graph, head: Head, x: np.ndarray, y: np.ndarray,
              routes: tuple[str, ...] = ROUTES) -> list[Agreement]:
    """One `Agreement` for each pair of routes, for a batch x (N, *shape) with targets y; `head.route` is left as it was."""
    if not net.parameters():
        raise ValueError(f"agreement compares parameter gradients, and {net!r} has no parameters. Add a layer that has some.")
    before = head.route
    head.forward(net.forward(x))
    errors, gradients = {}, {}
    try:
        for head.route in routes:
            errors[head.route] = head.backward(y)
            net.backward(errors[head.route])
            gradients[head.route] = {parameter.name: parameter.grad.copy() for parameter in net.parameters()}
    finally:
        head.route = before
    found = []
    for a, b in combinations(routes, 2):
        gaps = {key: relative_difference(gradients[a][key], gradients[b][key]) for key in gradients[a]}
        worst = max(gaps, key=lambda key: (np.isnan(gaps[key]), gaps[key]))
        found.append(Agreement(name, net.dtype.name, (a, b), relative_difference(errors[a], errors[b]), gaps[worst], worst))
    return found


def train_twins(make, routes: tuple[str, ...], data: Dataset, epochs: int, batch_size: int, seed: int,
                progress: bool) -> list[Twin]:
    """Train one network by each route from the same seed on the same batches."""
    twins: list[Twin] = []
    first: Graph | None = None
    for route in routes:
        net = make(seed)
        head = Head("softmax", route, kernels=net.kernels)
        history = train(net, head, data, epochs, batch_size, SGD(0.05, momentum=0.9), seed,
                        schedule="warm_up_and_decay", progress=progress, on_interrupt="return")
        first = first or net
        twins.append(Twin(route, history, relative_difference(net.values, first.values)))
        if history.stopped == "interrupted":
            break
    return twins
