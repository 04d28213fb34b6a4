"""The second switch: do plain and fast kernels give a network the same gradients, and how long does a step with each take?"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from isbe_np.graph import Graph
from isbe_np.heads import Head
from isbe_np.networks import NETWORKS
from isbe_np.studies.measure import CompileClock, Ratio, paired_ratio, relative_difference, take_turns
from isbe_np.studies.steps import RATE, Step, plan, training_step, wake
from isbe_np.switch import KERNELS
from isbe_np.training import SGD

# By contestant, its kernels. "fast again" is the control, the fast kernels by another name.
CONTESTANTS = {"plain": "plain", "fast": "fast", "fast again": "fast"}
CONTROL = "fast again"
# What rounding may do to a relative difference (max |a - b| / max |b|), by dtype: the two sets add up in different orders.
TOLERANCE = {"float32": 5e-6, "float64": 1e-12}
# Seconds for a network's rounds, and the fewest of them: slow plain kernels take longer than that.
SECONDS, LEAST = 2.0, 6
# A gradient so much smaller than the network's largest is 0 but for rounding, as that of a bias straight before a batch norm.
ZERO = 1e-5


@dataclass
class KernelAgreement:
    """How far plain and fast kernels differ in a training step: in the scores, and in the parameter gradient that differs most.

    A parameter's gradient differs by max |plain - fast| / max |fast|; where it is 0 but for rounding (`ZERO`), by the first of
    these over the network's largest gradient. compiling: seconds that the compiler took for the plain kernels, 0 where they
    were compiled before.
    """

    network: str
    dtype: str
    scores: float
    gradient: float
    parameter: str
    compiling: float

    @property
    def within(self) -> bool:
        """True when both differences are within `TOLERANCE` (never when one is NaN)."""
        return self.scores <= TOLERANCE[self.dtype] and self.gradient <= TOLERANCE[self.dtype]


@dataclass
class KernelCost:
    """Median seconds of a training step by one of `CONTESTANTS`, and the ratio of its time to that of "fast"."""

    kernels: str
    seconds: float
    ratio: Ratio


@dataclass
class KernelCosts:
    """The costs of all contestants for a whole training step of one network, float32."""

    network: str
    batch: int
    costs: list[KernelCost]


@dataclass
class KernelComparison:
    """Agreement and costs of the plain and the fast kernels; both lists are empty without a compiler."""

    agreements: list[KernelAgreement]
    costs: list[KernelCosts]

    def conclusions(self) -> list[str]:
        """What the numbers support, one sentence each."""
        if not self.costs:
            return ["Without the compiler (NUMBA_DISABLE_JIT=1) plain kernels compute everything, so that there is nothing to "
                    "compare them with."]
        return [_agreement_words(self.agreements), *(_cost_words(costs) for costs in self.costs),
                *_compiling_words(self.agreements)]


def compare_kernels(names: Sequence[str], x: np.ndarray, y: np.ndarray, rounds: int, seed: int = 0,
                    executor: Executor | None = None) -> KernelComparison:
    """Plain against fast kernels, of network and head, for the networks `names` of `NETWORKS`.

    x, y : a batch (N, *shape), float32, with targets (N,).
    Agreement is measured on the first 32 examples in both dtypes, float64 in the executor where there is one. Times are taken
    in up to `rounds` rounds, in turns, after all is compiled.
    """
    nets = {name: NETWORKS[name](seed, image=x.shape[1:]) for name in names}
    if any(net.kernels != "fast" for net in nets.values()):
        return KernelComparison([], [])
    few = names, x[:32], y[:32], seed
    wide = None if executor is None else executor.submit(kernel_agreements, *few, "float64")
    found = kernel_agreements(*few, "float32")
    found += kernel_agreements(*few, "float64") if wide is None else wide.result()
    return KernelComparison(found, [kernel_costs(name, net, x, y, rounds) for name, net in nets.items()])


def kernel_agreements(names: Sequence[str], x: np.ndarray, y: np.ndarray, seed: int, dtype: str) -> list[KernelAgreement]:
    """`kernel_agreement` of each of the networks in one dtype."""
    return [kernel_agreement(name, NETWORKS[name](seed, dtype, image=x.shape[1:]), x.astype(dtype), y) for name in names]


def kernel_agreement(name: str, net: Graph, x: np.ndarray, y: np.ndarray) -> KernelAgreement:
    """One training step of `net` on a batch x (N, *shape) with targets y, by each set of kernels from the same state.

    The network itself is left as it was. ValueError where it has no parameters.
    """
    if not net.parameters():
        raise ValueError(f"kernel_agreement compares parameter gradients, and {net!r} has no parameters. Add a layer that has "
                         f"some.")
    scores, gradients, seconds = {}, {}, {}
    for kernels in KERNELS:
        twin = copy.deepcopy(net)  # with the same random numbers for dropout, and the same running statistics
        twin.kernels = kernels
        with CompileClock() as clock:
            scores[kernels] = twin.forward(x, training=True)
            twin.backward(Head("softmax", kernels=kernels).error(scores[kernels], y))
        gradients[kernels] = {parameter.name: parameter.grad for parameter in twin.parameters()}
        seconds[kernels] = clock.seconds
    plain, fast = (gradients[kernels] for kernels in ("plain", "fast"))
    largest = max(float(np.abs(gradient).max()) for gradient in fast.values())
    gaps = {key: gradient_difference(plain[key], fast[key], largest) for key in plain}
    worst = max(gaps, key=lambda key: (np.isnan(gaps[key]), gaps[key]))
    return KernelAgreement(name, net.dtype.name, relative_difference(scores["plain"], scores["fast"]), gaps[worst], worst,
                           seconds["plain"])


def gradient_difference(plain: np.ndarray, fast: np.ndarray, largest: float) -> float:
    """`relative_difference` of a parameter's gradients; `largest` is the network's largest gradient, see `KernelAgreement`."""
    if float(np.abs(fast).max()) < ZERO * largest:
        return float(np.abs(plain - fast).max()) / largest
    return relative_difference(plain, fast)


def kernel_costs(name: str, net: Graph, x: np.ndarray, y: np.ndarray, rounds: int) -> KernelCosts:
    """Time of a training step on the batch x (N, *shape), y (N,) by each contestant.

    A step is forward, head, backward and update. Parameters and the choice of kernels stay as they are.
    """
    before, optimizer = net.kernels, SGD(RATE, momentum=0.9)
    steps = {contestant: _switched(net, kernels, training_step("isbe", net, optimizer, x, y, kernels))
             for contestant, kernels in CONTESTANTS.items()}
    try:
        count, calls = plan(wake(steps, SECONDS / 10), SECONDS, min(LEAST, rounds), rounds)
        took = take_turns(steps, count, calls=calls)
    finally:
        net.kernels = before
    return KernelCosts(name, len(x), [KernelCost(contestant, float(np.median(times)), paired_ratio(times, took["fast"]))
                                      for contestant, times in took.items()])


def _switched(net: Graph, kernels: str, step: Step) -> Step:
    """`step` of `net` with its kernels switched to `kernels` before it."""
    def run():
        net.kernels = kernels
        return step()
    return run


def _agreement_words(agreements: list[KernelAgreement]) -> str:
    nets = ", ".join(dict.fromkeys(a.network for a in agreements))
    worst = {dtype: max((max(a.scores, a.gradient) if np.isfinite(a.scores + a.gradient) else np.nan
                         for a in agreements if a.dtype == dtype), key=lambda gap: (np.isnan(gap), gap)) for dtype in TOLERANCE}
    parts = " and ".join(f"{worst[dtype]:.1e} in {dtype} (tolerance {tolerance:.0e})" for dtype, tolerance in TOLERANCE.items())
    if all(a.within for a in agreements):
        return f"Plain and fast kernels agree: no score and no parameter gradient of {nets} differs by more than {parts}."
    wrong = ", ".join(f"{a.network} in {a.dtype} at {a.parameter}" for a in agreements if not a.within)
    return f"Plain and fast kernels do NOT agree: they differ by up to {parts}. Beyond rounding: {wrong}."


def _cost_words(costs: KernelCosts) -> str:
    ratios = {cost.kernels: cost.ratio for cost in costs.costs}
    control = ratios[CONTROL]
    return (f"In a whole training step of {costs.network} (batch {costs.batch}): {ratios['plain'].verdict('plain', 'fast')}. "
            f"The control, fast against itself: {control.value:.3f} ({control.low:.3f} to {control.high:.3f}).")


def _compiling_words(agreements: list[KernelAgreement]) -> list[str]:
    seconds = {dtype: sum(a.compiling for a in agreements if a.dtype == dtype) for dtype in TOLERANCE}
    if max(seconds.values()) < 0.05:
        return []
    told = " and ".join(f"{took:.1f} s in {dtype}" for dtype, took in seconds.items())
    return [f"Compiling the plain kernels took {told}, apart from all these times. They are kept for the next run."]
