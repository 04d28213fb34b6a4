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


SCHEDULES: dict[str, Schedule] = {"constant": constant, "warm_up_and_decay": warm_up_and_decay}


def factor(schedule: str | Schedule) -> Schedule:
    """The schedule of a name, or a function; when called, ValueError for a factor that is no number from 0 up."""
    at = schedule if callable(schedule) else SCHEDULES[nearest("schedule", schedule, tuple(SCHEDULES))]

    def checked(done: float) -> float:
        given = at(done)
        if not isinstance(given, Real) or not 0 <= given < math.inf:
            raise ValueError(f"schedule expects a function whose values are numbers from 0 up; at {done:.4f} of "
                             f"training it gave {given!r}.")
        return float(given)
    return checked
