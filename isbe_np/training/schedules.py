"""Schedules: the learning rate's factor as a function of the share of training done, from 0 to 1."""

from collections.abc import Callable

from isbe_np.checks import nearest

Schedule = Callable[[float], float]


def constant(done: float) -> float:
    """Always 1."""
    return 1.0


def warm_up_and_decay(done: float, warm: float = 0.3) -> float:
    """Up in a straight line to 1 at `warm`, then down in a straight line to 0 (Smith 2018's one cycle, without its tail)."""
    return done / warm if done < warm else (1 - done) / (1 - warm)


SCHEDULES: dict[str, Schedule] = {"constant": constant, "warm_up_and_decay": warm_up_and_decay}


def factor(schedule: str | Schedule) -> Schedule:
    """The schedule of a name, or a function as it is."""
    return schedule if callable(schedule) else SCHEDULES[nearest("schedule", schedule, tuple(SCHEDULES))]
