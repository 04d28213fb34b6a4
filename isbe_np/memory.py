"""How much memory a network's training step takes, counted on the plan that would run it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from isbe_np.plan import Plan

# Plans are laid out for counting up to this batch size; from half of it on their memory grows by the same for each example, but
# for what rounds up a little (`kernels.conv2d.PIECE`, `kernels.layout.pitch`).
COUNTED = 512


@dataclass
class Memory:
    """Bytes that a training step holds at its peak, by what they are for; none is allocated again in later steps.

    parameters and their gradients; slots, what the optimizer remembers of each parameter; values of the nodes, with the batch;
    errors, the gradients by them; work, what layers keep for themselves (bordered images, argmax indices, taps, running means).
    """

    parameters: int
    slots: int
    values: int
    errors: int
    work: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(astuple(self))

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {_megabytes(count)}" for name, count in vars(self).items())
        return f"{_megabytes(self.total)}: {parts}"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.{0 if count >= 1e8 else 1}f} MB"


def count(make, batch_size: int, parameters: int, slots: int) -> Memory:
    """The memory of `make(N)`, a plan for batches of N; parameters and slots in bytes."""
    if batch_size <= COUNTED:
        return Memory(parameters, slots, *_buffers(make(batch_size)))
    half, full = (_buffers(make(N)) for N in (COUNTED // 2, COUNTED))
    beyond = (batch_size - COUNTED) / (COUNTED // 2)
    return Memory(parameters, slots, *(b + round((b - a) * beyond) for a, b in zip(half, full, strict=True)))


def _buffers(plan: Plan) -> tuple[int, int, int]:
    """Bytes of a plan's values, errors and work. An array that several views share counts where it is met first."""
    scratch = plan.prepare_backward(to_input=False)
    seen: set[int] = set()
    slots = list(plan.slots.values())
    values = _bytes([slot.value for slot in slots], seen)
    errors = _bytes([[slot.grad for slot in slots], scratch], seen)
    return values, errors, _bytes([(step.work, step.state) for _, step, _, _ in plan.steps], seen)


def _bytes(things: Any, seen: set[int]) -> int:
    total = 0
    for array in _arrays(things):
        while isinstance(array.base, np.ndarray):
            array = array.base
        if id(array) not in seen:
            seen.add(id(array))
            total += array.nbytes
    return total


def _arrays(things: Any) -> Iterator[np.ndarray]:
    """All arrays in lists, dictionaries and namespaces."""
    if isinstance(things, np.ndarray):
        yield things
    elif isinstance(things, dict | SimpleNamespace | list | tuple):
        inside = things if isinstance(things, list | tuple) else (vars(things) if isinstance(things, SimpleNamespace)
                                                                  else things).values()
        for thing in inside:
            yield from _arrays(thing)
