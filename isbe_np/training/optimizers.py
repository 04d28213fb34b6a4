"""Optimizers: what is remembered between steps, and one kernel pass over all parameters for each step."""

from __future__ import annotations

import math

import numpy as np

from isbe_np.graph import Graph
from isbe_np.kernels import optimizers as kernels


class Optimizer:
    """Base of all optimizers. One optimizer serves one network; `learning_rate` may be changed between steps."""

    slots = 0
    settings: tuple[str, ...] = ("learning_rate", "weight_decay")

    def __init__(self, learning_rate: float, weight_decay: float):
        self.learning_rate = _number(self, "learning_rate", learning_rate, 0, math.inf)
        self.weight_decay = _number(self, "weight_decay", weight_decay, 0, math.inf)
        self.steps = 0
        self.memory: list[np.ndarray] = []
        self._values: np.ndarray | None = None

    def step(self, net: Graph) -> None:
        """Change the parameters of `net` by one step along their gradients."""
        with net.exclusive():
            net.sharing.refuse_replaced(f"{type(self).__name__}.step", "backward")
            if self._values is None:
                self.adopt(net)
            elif self._values is not net.values:
                raise ValueError(f"{self!r} remembers the steps of another network; make a new optimizer for each network.")
            self.steps += 1
            try:
                self.update(net.values, net.grads, net.dtype.type)
            except Exception:  # such as a MemoryError: it was no step, and Adam's next one is not the second
                self.steps -= 1
                raise

    def adopt(self, net: Graph, steps: int = 0) -> None:
        """Belong to `net`, whatever was before: `steps` were taken, with an empty memory of them."""
        memory = [np.zeros_like(net.values) for _ in range(self.slots)]  # first: without memory for it, nothing is changed
        self.steps, self._values, self.memory = steps, net.values, memory

    def update(self, w: np.ndarray, g: np.ndarray, number) -> None:
        """Change w in place by its gradient g; `number` makes a scalar of their dtype."""
        raise NotImplementedError(f"{type(self).__name__} has no update.")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in self.settings)})"


def _number(optimizer, name, given, least, below) -> float:
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = math.nan
    if not least <= number < below:
        raise ValueError(f"{type(optimizer).__name__}({name}) expects a number from {least} to below {below}; "
                         f"got {given!r}.")
    return number


class SGD(Optimizer):
    """Stochastic gradient descent: v ← μ v + g + λ w, w ← w - η v; with `nesterov`, w ← w - η (g + λ w + μ v).

    learning_rate η, momentum μ (0 for none), weight_decay λ: PyTorch's conventions.
    """

    settings = ("learning_rate", "momentum", "nesterov", "weight_decay")

    def __init__(self, learning_rate: float, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0):
        super().__init__(learning_rate, weight_decay)
        self.momentum, self.nesterov = _number(self, "momentum", momentum, 0, 1), bool(nesterov)
        if self.nesterov and not self.momentum:
            raise ValueError("SGD(nesterov=True) expects a momentum above 0; got momentum=0. Try momentum=0.9.")
        self.slots = 1 if self.momentum else 0

    def update(self, w: np.ndarray, g: np.ndarray, number) -> None:
        eta, mu, decay = number(self.learning_rate), number(self.momentum), number(self.weight_decay)
        if not self.momentum:
            kernels.sgd(w, g, eta, decay)
        elif self.nesterov:
            kernels.nesterov(w, g, self.memory[0], eta, mu, decay)
        else:
            kernels.momentum(w, g, self.memory[0], eta, mu, decay)


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1); weight decay is added to the gradient."""

    slots = 2
    settings = ("learning_rate", "betas", "epsilon", "weight_decay")
    decoupled = False

    def __init__(self, learning_rate: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8,
                 weight_decay: float = 0.0):
        super().__init__(learning_rate, weight_decay)
        self.betas = (_number(self, "betas[0]", betas[0], 0, 1), _number(self, "betas[1]", betas[1], 0, 1))
        self.epsilon = _number(self, "epsilon", epsilon, math.ulp(0.0), math.inf)

    def update(self, w: np.ndarray, g: np.ndarray, number) -> None:
        b1, b2 = self.betas
        decays = (0.0, self.weight_decay) if self.decoupled else (self.weight_decay, 0.0)
        rates = (self.learning_rate, self.epsilon, 1 - b1 ** self.steps, 1 - b2 ** self.steps, *decays)
        kernels.adam(w, g, *self.memory, tuple(map(number, (b1, 1 - b1, b2, 1 - b2))), tuple(map(number, rates)))


class AdamW(Adam):
    """Adam with weight decay apart from the gradient (Loshchilov & Hutter 2019, algorithm 2)."""

    decoupled = True

    def __init__(self, learning_rate: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8,
                 weight_decay: float = 0.01):
        super().__init__(learning_rate, betas, epsilon, weight_decay)
