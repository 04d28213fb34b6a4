"""The plan of a run: which arrays there are for one batch size, and which step fills which, forward and backward.

Everything is laid out once, when a batch size is first seen: no step of training makes a buffer again. A node's value is
stored in the layout its layer's kernels want, images with the batch last; where a reader wants the other layout, a step in
between turns it, once for all such readers.

Plain kernels run layer by layer. For fast ones the engine's layers take the place of the package's, some of them of several
(see `engine.replace`): the values between these are not stored, and are computed when somebody asks for them.

In a backward pass, the first of a value's readers to run writes the value's gradient and the others add to it; parameters of
a layer that stands in several places are summed in the same way.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from isbe_np.engine.layout import lay, transpose
from isbe_np.engine.replace import fast_layer, replace
from isbe_np.kernels.finite import all_finite
from isbe_np.layers.base import Layer, Mode, Node, Step, zeros


def chains(nodes: list[Node], output: Node) -> list[list[Node]]:
    """`nodes` in their order, cut into chains: each node but the first of a chain is the only reader of the one before."""
    readers: dict[Node, list[Node]] = {node: [] for node in nodes}
    for node in nodes:
        for parent in set(node.inputs) & readers.keys():
            readers[parent].append(node)
    result: list[list[Node]] = []
    for node in nodes:
        before = result[-1][-1] if result else None
        if before is not None and node.inputs == (before,) and len(readers[before]) == 1 and before is not output:
            result[-1].append(node)
        else:
            result.append([node])
    return result


class Turn(Layer):
    """Stores a value in the other layout: the step that a plan puts between two layers that differ.

    With a single example both layouts are the same numbers in the same order: the other one is then a view.
    `transpose` writes the transpose of its first argument, a matrix, into its second.
    """

    def __init__(self, batch_last: bool, N: int, transpose):
        super().__init__()
        self.to_last, self.view, self.transpose = batch_last, N == 1, transpose

    def forward(self, step: Step) -> None:
        turn(step.x, step.y, self.to_last, self.transpose)

    def backward(self, step: Step) -> None:
        if step.dx is not None:
            turn(step.dy, step.dx, not self.to_last, self.transpose)


def turn(source, target, to_last, transpose):
    """Both layouts of a batch are matrices with one row or one column an example; each is the other's transpose."""
    batch = source.shape[0] if to_last else source.shape[-1]
    a, b = (batch, source.size // batch), (source.size // batch, batch)
    transpose(source.reshape(a if to_last else b), target.reshape(b if to_last else a))


def copy_transposed(a, b):
    """b = aᵀ, as NumPy copies it: `transpose` for plain kernels."""
    np.copyto(b, a.T)


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

    def __init__(self, nodes: list[Node], N: int, dtype, views: dict, states: dict, random: np.random.Generator,
                 kernels: str = "fast", fuse: bool = True):
        self.fast, self.fuse = kernels == "fast", fuse
        self.transpose = transpose if self.fast else copy_transposed
        self.N, self.dtype, self.views, self.states = N, dtype, dict(views), states
        self.mode = Mode(False, random)
        self.slots: dict[tuple[Node, bool], Slot] = {}
        self.home: dict[Node, bool] = {}
        self.steps: list[tuple[Layer, Step, list[Slot], Slot]] = []
        self.inner: dict[Node, list[Node]] = {}
        first = nodes[0]
        self.home[first] = any(reader.layer.batch_last for reader in nodes if first in reader.inputs)
        self._store(first, self.home[first])
        for chain in chains(nodes[1:], nodes[-1]):
            while chain:
                layer, count = replace([node.layer for node in chain], fuse) if self.fast else (chain[0].layer, 1)
                self._add(layer, chain[:count])
                chain = chain[count:]
        self.input = self.slots[nodes[0], self.home[nodes[0]]]
        self.rows = np.arange(N) * (self.input.value.size // N)
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
            source, turn = self.slots[node, not batch_last], Turn(batch_last, self.N, self.transpose)
            target = self._store(node, batch_last, source.value if turn.view else None)
            step = Step([source.value], target.value, SimpleNamespace(), self.mode)
            self.steps.append((turn, step, [source], target))
        return self.slots[node, batch_last]

    def _add(self, layer: Layer, chain: list[Node]) -> None:
        """Add the step by which `layer` does the work of `chain`, nodes each of which reads the one before."""
        first, node = chain[0], chain[-1]
        last = self.home[first.inputs[0]] if layer.batch_last is None else layer.batch_last
        sources = [self._slot(parent, last) for parent in first.inputs]
        target = self._store(node, last, sources[0].value if layer.view else None)
        for inner in chain:
            self.home[inner] = last
            if inner is not node:
                self.inner[inner] = chain
        self.views[layer] = self.views[first.layer]
        values = {name: parameter.value for name, parameter in self.views[layer].items()}
        step = Step([slot.value for slot in sources], target.value, SimpleNamespace(**values), self.mode,
                    state=SimpleNamespace(**self.states[first.layer]), batch_last=last)
        layer.prepare(step)
        self.steps.append((layer, step, sources, target))

    def take(self, batch: np.ndarray) -> bool:
        """Copy `batch` (N, ...) to where the first steps read it; False, and no copy to be used, if it is not all finite."""
        if self.fast and (self.N == 1 or not self.input.batch_last):
            rows = batch.reshape(self.N, -1)
            return lay(rows, self.rows, self.input.value.reshape(-1), rows.shape[1], 0)
        if finite := all_finite(batch.reshape(-1)):
            if self.input.batch_last:
                turn(batch, self.input.value, True, self.transpose)
            else:
                np.copyto(self.input.value, batch)
        return finite

    def forward(self, training: bool) -> np.ndarray:
        """Run every step on the batch that was taken; the output's own buffer is returned."""
        self.mode.training = training
        for layer, step, _, _ in self.steps:
            if not layer.view:
                layer.forward(step)
        return self.output.value

    def backward(self, error: np.ndarray, to_input: bool) -> None:
        """Run the steps in reverse from `error`, the gradient by the output."""
        self.prepare_backward(to_input)
        np.copyto(self.output.grad, error)
        for layer, step, additions in self.backward_steps:
            layer.backward(step)
            for scratch, total in additions:
                total += scratch

    def prepare_backward(self, to_input: bool) -> list[np.ndarray]:
        """Lay out the backward pass, unless it is; the arrays in which sums wait to be added are returned."""
        if to_input != self.to_input:
            # Planned anew, not kept beside the other: both would lead through the same steps. Whatever stops the planning, a
            # lack of memory or Ctrl-C, the next backward pass begins it again: half a plan is never run.
            self.backward_steps, self.to_input = [], None
            for slot in self.slots.values():
                slot.grad = None
            self.backward_steps, self.to_input = self._plan_backward(to_input), to_input
        return [scratch for _, _, additions in self.backward_steps for scratch, _ in additions]

    def read(self, node: Node, gradient: bool) -> np.ndarray | None:
        """The value of `node`, or the gradient by it, with the batch first; None where no gradient was computed."""
        if node in self.inner:
            slot = self._between(node, gradient)
        else:
            slot = self.slots[node, self.home[node]]
        array = slot.grad if gradient else slot.value
        return None if array is None else slot.batch_first(array)

    def _between(self, node: Node, gradient: bool) -> Slot:
        """What a pass over several layers did not store, computed layer by layer from what it read and wrote."""
        chain, last = self.inner[node], self.home[node]
        x, result, steps, layers = self.slots[chain[0].inputs[0], last].value, self.slots[chain[-1], last], [], []
        for inner in chain:
            values = {name: parameter.value for name, parameter in self.views[inner.layer].items()}
            steps.append(Step([x], zeros(self._shape(inner, last), self.dtype), SimpleNamespace(**values), self.mode))
            layers.append(fast_layer(inner.layer))
            layers[-1].prepare(steps[-1])
            layers[-1].forward(steps[-1])
            x = steps[-1].y
        if not np.array_equal(x, result.value, equal_nan=True):
            raise RuntimeError("Graph: the parameters were changed since the last forward pass, so that the values inside a "
                               "fused step cannot be computed again. Read them before the optimizer's step, or build the "
                               "graph with fuse=False.")
        slot = Slot(node, last, steps[chain.index(node)].y)
        if gradient and result.grad is not None:
            slot.grad = result.grad
            for layer, step in list(zip(layers, steps, strict=True))[:chain.index(node):-1]:
                step.dy, step.dxs = slot.grad, [zeros(step.x.shape, self.dtype)]
                layer.prepare_backward(step)
                layer.backward(step)
                slot.grad = step.dx
        return slot

    def _plan_backward(self, to_input: bool) -> list:
        """For each step that some gradient depends on, in reverse: where it writes, and what is added up after it."""
        needed = {self.input} if to_input else set()
        for layer, _, sources, target in self.steps:
            if self.views.get(layer) or needed.intersection(sources):
                needed.add(target)
        self.output.grad = self._gradient(self.output)
        written: set[int] = set()
        plan = []
        readers = [slot for _, _, sources, _ in self.steps for slot in sources]
        for layer, step, sources, target in reversed(self.steps):
            if target not in needed:
                continue
            if layer.view and sources[0] in needed and readers.count(sources[0]) == 1:
                # The same numbers under another shape, and nobody adds to them.
                sources[0].grad = target.grad.reshape(sources[0].value.shape)
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
