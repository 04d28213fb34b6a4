"""Schedules: the learning rate's factor as a function of the share of training done, from 0 to 1."""

import math
from collections.abc import Callable
from numbers import Real

from isbe_np.checks import nearest

Schedule = Callable[[float], float]


def constant(done: float) -> float:
    """Always 1."""
    return 1.0


def warm_up_and_decay(done: float, warm: float = 0.3) -> float:
    """Up in a straight line to 1 at `warm`, then down in one to 0 (Smith 2018's one cycle, without its tail)."""
    return done / warm if done < warm else (1 - done) / (1 - warm)


FEW, STILL = 4, 1.1  # steps too few to tell a schedule by; the ratio of factors that counts as no change
SCHEDULES: dict[str, Schedule] = {"constant": constant, "warm_up_and_decay": warm_up_and_decay}


class Factors:
    """A schedule's factor at each step, and whether it ever changed. ValueError for a name that is no schedule's."""

    def __init__(self, schedule: str | Schedule):
        self._at = schedule if callable(schedule) else SCHEDULES[nearest("schedule", schedule, tuple(SCHEDULES))]
        self._own = callable(schedule) and schedule not in SCHEDULES.values()
        self.least, self.largest, self.steps = math.inf, 0.0, 0

    def __call__(self, done: float) -> float:
        """The factor where the share `done` of the training is done; ValueError where it is no number from 0 up."""
        given = self._at(done)
        if not isinstance(given, Real) or not 0 <= given < math.inf:
            raise ValueError(f"schedule expects a function whose values are numbers from 0 up; at {done:.4f} of "
                             f"training it gave {given!r}.")
        given = float(given)
        self.least, self.largest, self.steps = min(self.least, given), max(self.largest, given), self.steps + 1
        return given

    def fault(self) -> str | None:
        """A sentence where a schedule of one's own was (nearly) the same at every step of a whole training."""
        if not self._own or self.steps < FEW or self.largest > STILL * self.least:
            return None
        given = f"{self.least:g}" if self.least == self.largest else f"{self.least:g} to {self.largest:g}"
        return (f"train(schedule) expects a function of the share of training done, from 0 to 1, not of the number of steps or "
                f"epochs; over all {self.steps} steps it gave the factor {given}. Write for example "
                f"schedule=lambda done: 1 if done < 0.5 else 0.1, or pass \"constant\".")
