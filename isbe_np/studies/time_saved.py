"""A share of time that is saved: its interval, and what may be said of it when a control shows the noise of the machine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from isbe_np.studies.measure import Ratio

CLAIM = 0.03  # "up to 3 %", the paper's words
VERDICTS = ("confirmed", "refuted", "cannot be told")


@dataclass(frozen=True)
class Saving:
    """The share of another's time that is saved, 1 - ours / theirs, with its 95 % interval; below 0 where ours is longer."""

    value: float
    low: float
    high: float

    def of_whole(self, share: float) -> Saving:
        """The same of a longer time of theirs, of which this one is a `share`."""
        return Saving(self.value * share, self.low * share, self.high * share)

    def verdict(self, floor: float = 0.0) -> str:
        """Whether the interval is without 0 and the value beyond the noise `floor`: "faster", "slower", or "" for neither."""
        if self.low > 0 and self.value > floor:
            return "faster"
        return "slower" if self.high < 0 and self.value < -floor else ""

    def words(self, floor: float = 0.0) -> str:
        """The verdict, or how small a difference must be that was not seen: by interval and noise, rounded up to 0.1 %."""
        most = math.ceil(round(1000 * max(-self.low, self.high, floor), 6)) / 10
        return self.verdict(floor) or f"no difference above {most:.1f} %"

    def text(self) -> str:
        """Value and interval in per cent."""
        return f"{percent(self.value)} [{percent(self.low)}, {percent(self.high)}]"


def saving(ratio: Ratio) -> Saving:
    """What is saved, of the ratio of their time to ours."""
    return Saving(1 - 1 / ratio.value, 1 - 1 / ratio.low, 1 - 1 / ratio.high)


def mean(savings: Iterable[Saving]) -> Saving:
    """The mean of independent savings: the squares of the intervals' arms add up (Zou & Donner 2008)."""
    found = list(savings)
    value = sum(s.value for s in found) / len(found)
    below = math.hypot(*(s.value - s.low for s in found)) / len(found)
    above = math.hypot(*(s.high - s.value for s in found)) / len(found)
    return Saving(value, value - below, value + above)


def reached(savings: Mapping[int, Saving], floor: float) -> list[int]:
    """Keys at which `CLAIM` or more is saved, by the whole interval and beyond the noise."""
    return [key for key, s in savings.items() if s.low >= CLAIM and s.value > floor]


def claim(savings: Mapping[int, Saving], floor: float) -> str:
    """Is as much as `CLAIM` saved somewhere, as "up to 3 %" says? One of `VERDICTS`.

    Confirmed if it is `reached` somewhere; refuted if so much is outside every interval, and more than the noise; where some
    interval holds 3 %, or the noise alone shows as much, it cannot be told.
    """
    if reached(savings, floor):
        return "confirmed"
    return "refuted" if max(floor, *(s.high for s in savings.values())) < CLAIM else "cannot be told"


def chance_of(count: int, of: int, probability: float = 0.05) -> float:
    """The probability that `count` or more `of` independent intervals miss the truth, each with the same `probability`."""
    return sum(math.comb(of, k) * probability**k * (1 - probability) ** (of - k) for k in range(count, of + 1))


def percent(value: float) -> str:
    """With its sign and one decimal; no -0.0."""
    return f"{round(100 * value, 1) + 0.0:+.1f}"
