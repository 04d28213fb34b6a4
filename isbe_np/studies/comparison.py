"""What `compare` finds, as data and in sentences; how far two routes may differ, and still agree."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from isbe_np.studies.cost import HeadCosts, StepCosts
from isbe_np.studies.kernels import KernelComparison
from isbe_np.studies.steps import CONTROL
from isbe_np.training import History

# What rounding may do to a relative difference (max |a - b| / max |b|), by dtype.
TOLERANCE = {"float32": 2e-6, "float64": 1e-12}


@dataclass
class Agreement:
    """How far two routes differ: in the error that the head sends, and in the parameter gradient where they differ most."""

    network: str
    dtype: str
    pair: tuple[str, str]
    head: float
    gradient: float
    parameter: str

    @property
    def within(self) -> bool:
        """True when both differences are within `TOLERANCE` (never when one is NaN)."""
        return self.head <= TOLERANCE[self.dtype] and self.gradient <= TOLERANCE[self.dtype]


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
