"""The plan of a run: which arrays there are for one batch size, and which step fills which, forward and backward.

Everything is laid out once, when a batch size is first seen: no step of training makes a buffer again. A node's value is
stored in the layout its layer's kernels want, images with the batch last; where a reader wants the other layout, a step in
between turns it, once for all such readers. In a backward pass, the first of a value's readers to run writes the value's
gradient and the others add to it; parameters of a layer that stands in several places are summed in the same way.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from isbe_np.kernels.layout import transpose
from isbe_np.layers.base import Layer, Mode, Node, Step, zeros


class Turn(Layer):
    """Stores a value in the other layout: the step that a plan puts between two layers that differ."""

    def __init__(self, batch_last: bool):
        super().__init__()
        self.to_last = batch_last

    def forward(self, step: Step) -> None:
        self.turn(step.x, step.y, self.to_last)

    def backward(self, step: Step) -> None:
        if step.dx is not None:
            self.turn(step.dy, step.dx, not self.to_last)

    @staticmethod
    def turn(source, target, to_last):
        """Both layouts of a batch are matrices with one row or one column an example; each is the other's transpose."""
        batch = source.shape[0] if to_last else source.shape[-1]
        a, b = (batch, source.size // batch), (source.size // batch, batch)
        transpose(source.reshape(a if to_last else b), target.reshape(b if to_last else a))


class Slot:
    """One stored value of a node in one layout, and its gradient where one is needed."""

    def __init__(self, node: Node, batch_last: bool, value: np.ndarray):
        self.node, self.batch_last, self.value = node, batch_last, value
        self.grad: Any = None

    def batch_first(self, array: np.ndarray) -> np.ndarray:
        """A copy of `array`, stored as this slot's value is, with the batch as its first axis."""
        return np.moveaxis(array, -1, 0).copy() if self.batch_last else array.copy()


class Plan:
    """All buffers and steps of one graph for batches of N."""

    def __init__(self, nodes: list[Node], N: int, dtype, views: dict, random: np.random.Generator):
        self.N, self.dtype, self.views = N, dtype, views
        self.mode = Mode(False, random)
        self.slots: dict[tuple[Node, bool], Slot] = {}
        self.home: dict[Node, bool] = {}
        self.steps: list[tuple[Layer, Step, list[Slot], Slot]] = []
        for node in nodes:
            if node.inputs:
                self._add_node(node)
            else:
                self.home[node] = any(reader.layer.batch_last for reader in nodes if node in reader.inputs)
                self._store(node, self.home[node])
        self.input = self.slots[nodes[0], self.home[nodes[0]]]
        self.output = self._slot(nodes[-1], False)
        self.backward_steps: list = []
        self.to_input: bool | None = None

    def _shape(self, node: Node, batch_last: bool):
        return (*node.shape, self.N) if batch_last else (self.N, *node.shape)

    def _store(self, node: Node, batch_last: bool, value: np.ndarray | None = None) -> Slot:
        shape = self._shape(node, batch_last)
        slot = Slot(node, batch_last, zeros(shape, self.dtype) if value is None else value.reshape(shape))
        self.slots[node, batch_last] = slot
        return slot

    def _slot(self, node: Node, batch_last: bool) -> Slot:
        """Where `node` is stored in this layout; a step that turns it is added at the first call."""
        if (node, batch_last) not in self.slots:
            source, target = self.slots[node, not batch_last], self._store(node, batch_last)
            step = Step([source.value], target.value, SimpleNamespace(), self.mode)
            self.steps.append((Turn(batch_last), step, [source], target))
        return self.slots[node, batch_last]

    def _add_node(self, node: Node) -> None:
        layer = node.layer
        last = self.home[node.inputs[0]] if layer.batch_last is None else layer.batch_last
        sources = [self._slot(parent, last) for parent in node.inputs]
        target = self._store(node, last, sources[0].value if layer.view else None)
        self.home[node] = last
        values = {name: parameter.value for name, parameter in self.views[layer].items()}
        step = Step([slot.value for slot in sources], target.value, SimpleNamespace(**values), self.mode)
        layer.prepare(step)
        self.steps.append((layer, step, sources, target))

    def forward(self, batch: np.ndarray, training: bool) -> np.ndarray:
        """Run every step on `batch` (N, ...); the output's own buffer is returned."""
        self.mode.training = training
        if self.input.batch_last:
            Turn.turn(batch, self.input.value, True)
        else:
            np.copyto(self.input.value, batch)
        for layer, step, _, _ in self.steps:
            if not layer.view:
                layer.forward(step)
        return self.output.value

    def backward(self, error: np.ndarray, to_input: bool) -> None:
        """Run the steps in reverse from `error`, the gradient by the output."""
        if to_input != self.to_input:
            # Planned anew, not kept beside the other: both would lead through the same steps.
            for slot in self.slots.values():
                slot.grad = None
            self.backward_steps, self.to_input = self._plan_backward(to_input), to_input
        np.copyto(self.output.grad, error)
        for layer, step, additions in self.backward_steps:
            layer.backward(step)
            for scratch, total in additions:
                total += scratch

    def _plan_backward(self, to_input: bool) -> list:
        """For each step that some gradient depends on, in reverse: where it writes, and what is added up after it."""
        needed = {self.input} if to_input else set()
        for layer, _, sources, target in self.steps:
            if self.views.get(layer) or needed.intersection(sources):
                needed.add(target)
        self.output.grad = self._gradient(self.output)
        written: set[int] = set()
        plan = []
        for layer, step, sources, target in reversed(self.steps):
            if target not in needed:
                continue
            additions: list[tuple[np.ndarray, np.ndarray]] = []
            step.dy = target.grad
            step.dxs = [self._destination(self._gradient(slot), written, additions) if slot in needed else None
                        for slot in sources]
            grads = {name: self._destination(parameter.grad, written, additions)
                     for name, parameter in self.views.get(layer, {}).items()}
            step.dw = SimpleNamespace(**grads)
            layer.prepare_backward(step)
            plan.append((layer, step, additions))
        return plan

    def _gradient(self, slot: Slot) -> np.ndarray:
        if slot.grad is None:
            slot.grad = zeros(slot.value.shape, self.dtype)
        return slot.grad

    def _destination(self, total: np.ndarray, written: set, additions: list) -> np.ndarray:
        """`total` for the first that writes it; for a later one, a scratch array that is then added to it."""
        place = total.ctypes.data
        if place not in written:
            written.add(place)
            return total
        scratch = zeros(total.shape, self.dtype)
        additions.append((scratch, total))
        return scratch
