"""A network: layers in a directed acyclic graph, their parameters, and the passes forward and backward.

    image = Input((1, 28, 28))
    x = Conv2D(8, 3, padding=1)(image)
    y = ReLU()(x)
    net = Graph(image, Dense(10)(Flatten()(Add()(x, y))), seed=0)

All parameters lie in one flat array, `Graph.values`, and their gradients in another, `Graph.grads`, so that an optimizer's
step is a single pass; each `Parameter` is a view into both. What layers remember apart from that, such as the running means of
a BatchNorm, is in `Graph.state()`.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from contextlib import AbstractContextManager

import numpy as np

from isbe_np.checks import FLOATS, float_array, is_room, whole
from isbe_np.graph_nodes import in_order, names_of, table, wanted_arrays
from isbe_np.layers.base import Input, Layer, Node, Parameter, zeros
from isbe_np.layers.sentences import instead, refuse_no_shape
from isbe_np.memory import Memory, count
from isbe_np.plan import Plan
from isbe_np.sharing import Sharing
from isbe_np.storage.files import one_line
from isbe_np.switch import read_kernels

# Plans of so many batch sizes are kept: training, its last smaller batch, evaluation and its last smaller batch.
PLANS = 4


class Graph:
    """A network from the node `inputs` to the node `outputs`.

    Parameters
    ----------
    inputs, outputs : nodes; every path from outputs back must end at inputs.
    seed : decides the parameters' first values and what random layers draw.
    dtype : np.float32 or np.float64, of every array of the network.
    fuse : let fast kernels run layers together where one pass can do the work of several, such as Conv2D, ReLU and MaxPool2D.
        The results are the same; the values between such layers are not stored, but computed when asked for.
    kernels : one of `KERNELS`, which ``net.kernels`` switches between two passes. "plain" kernels are loops as in the formula,
        to be read and stepped through. "fast" ones compute the same several times faster. They agree to rounding.
    """

    def __init__(self, inputs: Node, outputs: Node, seed: int = 0, dtype=np.float32, fuse: bool = True,
                 kernels: str = "fast"):
        if np.dtype(dtype) not in FLOATS:
            raise TypeError(f"Graph expects dtype np.float32 or np.float64; got {dtype!r}.")
        self.seed, self.dtype, self.fuse = whole("Graph(seed)", seed, least=0), np.dtype(dtype), bool(fuse)
        self.nodes = in_order(inputs, outputs)
        self.names = names_of(self.nodes)
        self._by_name = {name: node for node, name in self.names.items()}
        self._make_parameters()
        self._make_state()
        self.random = np.random.default_rng([self.seed, 1])
        self._plans: OrderedDict[tuple[int, str], Plan] = OrderedDict()
        self._ran: Plan | None = None
        self._went_back = False
        self.sharing = Sharing()
        self.kernels = kernels

    @property
    def kernels(self) -> str:
        """Which kernels compute, one of `KERNELS`; "plain" always under NUMBA_DISABLE_JIT=1.

        Assigned between two passes: parameters and what layers remember stay, and backward needs a new forward pass.
        """
        return self._kernels

    @kernels.setter
    def kernels(self, kernels: str) -> None:
        kernels = read_kernels("Graph(kernels)", kernels)
        with self.sharing:
            if kernels != self.__dict__.get("_kernels"):
                self._kernels, self._ran, self._went_back = kernels, None, False

    def _make_parameters(self) -> None:
        """One flat buffer for values, one for gradients; each parameter starts at a multiple of 64 bytes."""
        wanted = wanted_arrays(self.nodes, self.names, "weights")
        unit = 64 // self.dtype.itemsize
        self._layout, total = [], 0
        for (layer, part), (name, weights) in wanted.items():
            self._layout.append((layer, part, name, weights.shape, total))
            total += -(-math.prod(weights.shape) // unit) * unit
        self.values, self.grads = zeros((total,), self.dtype), zeros((total,), self.dtype)
        self._cut_views()
        random = np.random.default_rng([self.seed, 0])
        for (layer, part), (_, weights) in wanted.items():
            drawn = random.normal(weights.start, weights.spread, weights.shape) if weights.spread else weights.start
            self._views[layer][part].value[...] = drawn

    def _make_state(self) -> None:
        """What each layer remembers, by part, and where an array is found by its name."""
        self._states: dict[Layer, dict[str, np.ndarray]] = {node.layer: {} for node in self.nodes}
        self._state_names: dict[str, tuple[Layer, str]] = {}
        for (layer, part), (name, wanted) in wanted_arrays(self.nodes, self.names, "state").items():
            self._states[layer][part] = np.full(wanted.shape, wanted.start, self.dtype)
            self._state_names[name] = layer, part

    def _cut_views(self) -> None:
        """Make each parameter a view into the flat buffers."""
        self._views: dict[Layer, dict[str, Parameter]] = {node.layer: {} for node in self.nodes}
        values, grads = self.parts(self.values), self.parts(self.grads)
        for layer, part, name, _, _ in self._layout:
            self._views[layer][part] = Parameter(name, values[name], grads[name])

    def __getstate__(self) -> dict:
        """For copies: without buffers and views, which would be copied apart from what they look into.

        Arrays are copied here, where no other thread can change them in the meantime.
        """
        with self.sharing:
            state = {name: value for name, value in self.__dict__.items() if name not in ("_plans", "_ran", "_views")}
            states = {layer: {part: array.copy() for part, array in parts.items()} for layer, parts in self._states.items()}
            return state | {"values": self.values.copy(), "grads": self.grads.copy(), "_states": states}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._plans, self._ran, self._went_back = OrderedDict(), None, False
        self._kernels = read_kernels("Graph(kernels)", state.get("_kernels", "fast"))  # here there may be no compiler
        self._cut_views()

    def forward(self, batch, training: bool = False, out: np.ndarray | None = None) -> np.ndarray:
        """Scores of a batch.

        batch (N, *input shape) of the graph's dtype -> (N, *output shape), a new array, or `out` where one is given.
        `training` switches on what acts in training only, such as dropout. ValueError for a batch that is empty, of another
        shape, not finite, or masked. TypeError for another dtype. Lists of Python's numbers are read in the graph's dtype.
        """
        batch = self._check_batch(batch)
        with self.sharing:
            plan = self._plan(batch.shape[0])
            self._ran, self._went_back = None, False
            self.sharing.passed("forward")
            if not plan.take(batch):
                place = tuple(int(i) for i in np.argwhere(~np.isfinite(batch))[0])
                raise ValueError(f"Graph.forward expects finite numbers; got {batch[place]} at {place} of the batch. "
                                 f"Clean the data, for example with np.nan_to_num.")
            scores = plan.forward(training)
            self._ran = plan
            if out is None:
                return scores.copy()
            if not is_room(out, scores.shape, scores.dtype):
                raise ValueError(f"Graph.forward expects out to be an array of shape {scores.shape} and {scores.dtype}; "
                                 f"got {getattr(out, 'shape', type(out).__name__)} of {getattr(out, 'dtype', 'no dtype')}.")
            np.copyto(out, scores)
            return out

    def __call__(self, batch, training: bool = False) -> np.ndarray:
        """`forward`: scores (N, *output shape) of a batch (N, *input shape).

        >>> import isbe_np as isbe
        >>> net = isbe.Sequential((4,), isbe.Dense(3))
        >>> net(np.ones((2, 4), np.float32)).shape
        (2, 3)
        """
        return self.forward(batch, training)

    def backward(self, error, input_gradient: bool = False) -> np.ndarray | None:
        """Fill every parameter's `grad` with the gradient for the last forward pass, given that of its scores.

        error (N, *output shape), the gradient of the loss by the scores. With `input_gradient`, the gradient by the batch is
        computed too and returned, (N, *input shape); otherwise None.
        """
        error = float_array("Graph.backward(error)", error, self.dtype)
        with self.sharing:
            self.sharing.refuse_replaced("Graph.backward", "forward")
            if self._ran is None:
                raise RuntimeError("Graph.backward needs the values of a forward pass: call forward first.")
            expected = self._ran.output.value.shape
            if error.shape != expected:
                raise ValueError(f"Graph.backward expects an error of the shape of its scores, {expected}; got {error.shape}.")
            self._went_back = False
            self.sharing.passed("backward")
            self._ran.backward(error, input_gradient)
            self._went_back = True
            return self._ran.input.batch_first(self._ran.input.grad) if input_gradient else None

    def exclusive(self) -> AbstractContextManager[None]:
        """A context in which no other Python thread uses this network: `with net.exclusive(): ...`.

        Each call waits for the others by itself. Calls that belong together need the context where another thread uses the
        same network in the meantime: forward, backward and the optimizer's step, or several batches of one prediction.
        """
        return self.sharing

    def _check_batch(self, batch) -> np.ndarray:
        if isinstance(batch, Node):
            raise TypeError(f"Graph expects a batch of numbers; got {batch!r}. To put layers before or behind a network, apply "
                            f"the layers themselves to nodes.")
        batch = float_array("Graph.forward(batch)", batch, self.dtype)
        shape = self.nodes[0].shape
        if batch.shape[1:] != shape or batch.ndim != len(shape) + 1:
            mend = " For a single example, pass example[None]." if batch.shape == shape else ""
            raise ValueError(f"Graph.forward expects a batch of shape (N, {', '.join(map(str, shape))}); "
                             f"got {batch.shape}.{mend}")
        if batch.shape[0] == 0:
            raise ValueError(f"Graph.forward expects at least one example; got an empty batch of shape {batch.shape}.")
        return batch

    def _plan(self, N: int) -> Plan:
        key = N, self._kernels
        if key not in self._plans:
            if len(self._plans) == PLANS:
                self._plans.popitem(last=False)
            self._plans[key] = self._lay_out(N)
        self._plans.move_to_end(key)
        return self._plans[key]

    def _lay_out(self, N: int) -> Plan:
        return Plan(self.nodes, N, self.dtype, self._views, self._states, self.random, self._kernels,
                    self.fuse)

    def memory(self, batch_size: int, slots: int = 1) -> Memory:
        """Bytes that a training step takes with batches of `batch_size`, and what for; nothing is run.

        slots : arrays that the optimizer keeps beside the parameters, 1 for SGD with momentum, 2 for Adam.
        """
        batch_size, slots = whole("Graph.memory(batch_size)", batch_size), whole("Graph.memory(slots)", slots, least=0)
        return count(self._lay_out, batch_size, self.values.nbytes + self.grads.nbytes, slots * self.values.nbytes)

    def parameters(self) -> list[Parameter]:
        """All parameters, in the order of `values` and `grads`."""
        return [parameter for views in self._views.values() for parameter in views.values()]

    def parts(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Views into an array laid out as `values` is, such as an optimizer's memory, by the names of the parameters."""
        return {name: flat[start:start + math.prod(shape)].reshape(shape) for _, _, name, shape, start in self._layout}

    def state(self) -> dict[str, np.ndarray]:
        """What layers remember that no gradient changes, by name: the arrays themselves, to be written in place.

        An example is "batchnorm_1.mean", which training moves and evaluation uses.
        """
        return {name: self._states[layer][part] for name, (layer, part) in self._state_names.items()}

    def value(self, name: str) -> np.ndarray:
        """The value of the node called `name` in the last forward pass, (N, *shape), a copy."""
        return self._read(name, "value")

    def gradient(self, name: str) -> np.ndarray:
        """The gradient by the node called `name` in the last backward pass, (N, *shape), a copy."""
        return self._read(name, "gradient")

    def _read(self, name: str, which: str) -> np.ndarray:
        with self.sharing:
            self.sharing.refuse_replaced(f"Graph.{which}", "forward")
            if which == "gradient" and not self._went_back:
                raise RuntimeError("Graph.gradient needs a backward pass since the last forward pass: call backward first.")
            if self._ran is None:
                raise RuntimeError(f"Graph has no {which} of {name!r} yet: call forward first.")
            if name not in self._by_name:
                raise ValueError(f"Graph has no node {name!r}; its nodes are {one_line(', '.join(self._by_name))}.")
            array = self._ran.read(self._by_name[name], gradient=which == "gradient")
        if array is None:
            raise ValueError(f"No gradient by {name!r} was computed, as it depends on no parameter; "
                             f"call backward(error, input_gradient=True).")
        return array

    def summary(self) -> str:
        """A table of the nodes in order: name, layer, output shape, parameters, and the nodes it reads."""
        return table(self.nodes, self.names, self._views, self.dtype)

    def _count(self) -> int:
        return sum(parameter.value.size for parameter in self.parameters())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.nodes)} nodes, {self._count():,} parameters>"


class Sequential(Graph):
    """Layers one after another: Sequential((784,), Dense(100), ReLU(), Dense(10), seed=0)."""

    def __init__(self, input_shape, *layers: Layer, seed: int = 0, dtype=np.float32, fuse: bool = True,
                 kernels: str = "fast"):
        refuse_no_shape(input_shape, layers)
        node = first = Input(input_shape)
        if not layers:
            raise ValueError("Sequential expects at least one layer after the input's shape; got none.")
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(f"Sequential expects layers after the input's shape; got {layer!r}.{instead(layer)}")
            node = layer(node)
        super().__init__(first, node, seed=seed, dtype=dtype, fuse=fuse, kernels=kernels)
