"""The main question: do the four routes send the same gradient, what does each cost, and do two train alike?

Beside it the second one: do plain and fast kernels agree, and what does each cost?
"""

from __future__ import annotations

import time
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from isbe_np.checks import nearest, whole
from isbe_np.datasets import Dataset
from isbe_np.environment import describe
from isbe_np.graph import Graph
from isbe_np.heads import ROUTES, Head
from isbe_np.networks import NETWORKS
from isbe_np.studies.agreement import TOLERANCE, Agreement, agreement
from isbe_np.studies.cost import HeadCosts, StepCosts, head_costs, step_costs
from isbe_np.studies.kernels import KernelComparison, compare_kernels
from isbe_np.studies.measure import CompileClock, relative_difference
from isbe_np.studies.steps import CONTROL
from isbe_np.switch import read_kernels
from isbe_np.training import SGD, History, train
from isbe_np.training.progress import Stages

STAGES = {"agreement": "do the routes agree", "head": "what does the head cost", "step": "what does a step cost",
          "kernels": "do plain and fast kernels agree, and what does each cost", "training": "do two of them train alike"}
# Networks whose gradients are compared: enough to see it, and soon compiled.
AGREE = ("n0", "n1", "lenet5")
# Networks of which plain kernels are compared with fast ones, besides the one that is timed: a few soon compiled kernels.
SWITCHED = ("n0",)
# (batch, classes, rounds) of the head's table: the explicit Jacobian of the last row takes 4 · 32 · 1000² bytes = 128 MB.
HEADS = ((128, 10, 60), (128, 100, 30), (32, 1000, 18))


@dataclass
class Twin:
    """A short training by one route, and how far its parameters end from those of the first route (max |a-b| / max |b|)."""

    route: str
    history: History
    distance: float


@dataclass
class Comparison:
    """All that `compare` measured. `seconds` holds what each part took; `compiling` of it went into the JIT compiler.

    kernels: those that computed all parts but `switched`, which compares both sets.
    """

    environment: dict
    data: str
    seed: int
    kernels: str
    agreements: list[Agreement]
    heads: list[HeadCosts]
    steps: StepCosts
    switched: KernelComparison
    twins: list[Twin]
    seconds: dict[str, float]
    compiling: float

    def as_dict(self) -> dict:
        """The same as plain lists and numbers, for JSON."""
        return asdict(self)

    def conclusions(self) -> list[str]:
        """What the numbers support, and what they do not, one sentence each."""
        return [_agreement_words(self.agreements), *_head_words(self.heads), *_step_words(self.steps),
                *self.switched.conclusions(), *_twin_words(self.twins),
                "All of this is one machine, one data set and short runs: it says nothing about other "
                "networks' speed, and the accuracy of a short training is not what a network can reach."]


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


def _agreement_words(agreements: list[Agreement]) -> str:
    parts = []
    for dtype, tolerance in TOLERANCE.items():
        gaps = [gap for a in agreements if a.dtype == dtype for gap in (a.head, a.gradient)]
        parts.append(f"{np.max(gaps):.1e} in {dtype} (tolerance {tolerance:.0e})")
    nets = ", ".join(dict.fromkeys(a.network for a in agreements))
    if all(a.within for a in agreements):
        return f"The routes agree: no error and no parameter gradient of {nets} differs by more than {' and '.join(parts)}."
    wrong = [f"{a.pair[0]} and {a.pair[1]} on {a.network} in {a.dtype} at {a.parameter}" for a in agreements if not a.within]
    return f"The routes do NOT agree: they differ by up to {' and '.join(parts)}; beyond rounding: {'; '.join(wrong)}."


def _head_words(heads: list[HeadCosts]) -> list[str]:
    by_route = [{cost.route: cost for cost in head.costs} for head in heads]
    growth = ", ".join(f"{costs['jacobian'].ratio.value:.3g} times at {head.classes} classes"
                       for head, costs in zip(heads, by_route, strict=True))
    return [f"The explicit Jacobian takes the head {growth} as long as ISBE. Nobody trains that way: it is the mathematics "
            f"written out, not a rival.",
            f"Against the fused route, which is what frameworks do, at {heads[0].classes} classes the head alone: "
            f"{by_route[0]['fused'].ratio.verdict('fused', 'isbe')}.",
            f"In one pass over the scores, `head.error`, at {heads[-1].classes} classes: "
            f"{by_route[-1]['one pass'].ratio.verdict('one pass', 'isbe')}."]


def _step_words(steps: StepCosts) -> list[str]:
    costs = {cost.route: cost for cost in steps.costs}
    return [f"In a whole training step of {steps.network} (batch {steps.batch}): "
            f"{costs['fused'].ratio.verdict('fused', 'isbe')}. The paper reports up to 3 % saved.",
            f"The control times isbe a second time, under another name: {costs[CONTROL].ratio.verdict(CONTROL, 'isbe')}."]


def _twin_words(twins: list[Twin]) -> list[str]:
    if len(twins) < 2 or any(twin.history.stopped or not twin.history.accuracy for twin in twins):
        return ["The two trainings were not finished, so that nothing can be said of them."]
    one, two = twins
    apart = ("" if two.distance < 1e-5 else
             " Each step agrees to rounding (above), but float32 rounding grows from step to step where ReLU and max pooling "
             "switch, as it would between two orders of summation.")
    return [f"Trained by {one.route} and by {two.route} from one seed, the network reaches {one.history.accuracy[-1]:.2%} and "
            f"{two.history.accuracy[-1]:.2%}; after {two.history.steps} steps its parameters differ by {two.distance:.1e} "
            f"of the largest.{apart}"]
