"""What all comparisons with PyTorch share: random configurations, the bound, and a ledger of how many and how far apart.

A configuration is one random draw of sizes, options and numbers for one operation in one dtype. It is named by operation,
dtype and number, which also seed it, so that one that fails can be drawn again.
"""

import numpy as np

import isbe_np as isbe

# Largest |a − b| / largest |b| of any array.
BOUND = {"float32": 1e-5, "float64": 1e-10}
# Configurations drawn of each operation, in each dtype.
DRAWS = {
    "Dense": 80, "Conv2D": 150, "MaxPool2D": 100, "AveragePool2D": 100, "GlobalAveragePool": 30, "Flatten": 25, "Add": 40,
    "Dropout": 25,
    "ReLU": 30, "LeakyReLU": 30, "Sigmoid": 30, "Tanh": 30, "HardSigmoid": 30, "HardTanh": 30, "GELU": 30,
    "BatchNorm": 60, "LayerNorm": 60, "MultiHeadSelfAttention": 40, "Dense of tokens": 20, "Embedding": 30, "Patches": 20,
    "MeanTokens": 20, "patch transformer": 8, "causal model": 8,
    "softmax, labels": 60, "softmax, soft targets": 60, "softmax, label smoothing": 40, "softmax, unnormalised targets": 40,
    "softmax, dilation and relocation": 40, "sigmoid": 60, "tanh": 50, "hardsigmoid": 50, "hardtanh": 50, "identity": 50,
    "squared error": 60,
    "SGD": 30, "momentum": 30, "Nesterov": 30, "Adam": 40, "AdamW": 40,
    "n0": 8, "n1": 6, "lenet5": 12, "n2": 8, "resnet": 8, "transformer": 8,
}
# (operation, dtype, kernels) -> [configurations, largest difference]
LEDGER: dict[tuple[str, str, str], list] = {}
# The kernels that the networks of the running test compute with.
KERNELS = "fast"


def configurations(operation, dtype):
    """All random generators of an operation in a dtype, each with the `Comparison` that it is for.

    One that is `undecided` at the end is not counted, and another is drawn in its place.
    """
    row, k = LEDGER.setdefault((operation, dtype.name, KERNELS), [0, 0.0]), 0
    while row[0] < DRAWS[operation]:
        same = Comparison(f"{operation} #{k}", dtype, row)
        yield np.random.default_rng([*operation.encode(), dtype.itemsize, k]), same
        row[0] += not same.undecided
        k += 1


class Comparison:
    """Compares arrays of one configuration; what fails names it."""

    def __init__(self, name, dtype, row):
        self.name, self.dtype, self.row = name, dtype, row
        self.undecided = False

    def __call__(self, what, ours, theirs, **options):
        """Assert that `ours` is PyTorch's, which may be a tensor, within the bound; `options` go into the message."""
        theirs = theirs.detach().numpy() if hasattr(theirs, "detach") else np.asarray(theirs)
        where = f"{what} of {self.name} in {self.dtype}, {', '.join(f'{k} {v}' for k, v in options.items())}"
        assert np.shape(ours) == theirs.shape, f"{where}: shape {np.shape(ours)}, PyTorch's {theirs.shape}"
        gap, scale = np.abs(np.float64(ours) - theirs).max(), np.abs(np.float64(theirs)).max()
        error = gap / scale if gap else 0.0
        self.row[1] = max(self.row[1], error)
        assert error <= BOUND[self.dtype.name], f"{where}: differs by {error:.1e} of the largest, {scale:.3g}"


def numbers(random, shape, dtype):
    """Normal numbers; a few alone are eighths, so that their sums are exact and cannot cancel to rounding alone."""
    drawn = random.normal(size=shape)
    return (np.round(drawn * 8) / 8 if drawn.size < 3 else drawn).astype(dtype)


def tensor(torch, array):
    """A PyTorch tensor of its own memory, with a gradient."""
    return torch.tensor(np.array(array), requires_grad=True)


def copy_parameters(torch, net, random):
    """Draw all parameters of `net` anew, biases too, and hand them to PyTorch: a list of tensors in our order.

    One or two numbers alone are drawn away from 0, lest a step ends near there and rounding is all that is left to compare.
    """
    for parameter in net.parameters():
        shape = parameter.value.shape
        spread = (2 / np.prod(shape[1:])) ** 0.5 if len(shape) > 1 else 0.5
        drawn = random.normal(0, spread, shape)
        parameter.value[...] = drawn if drawn.size > 2 else drawn + np.copysign(1, drawn)
    return [tensor(torch, parameter.value) for parameter in net.parameters()]


def optimizers(torch, random, parameters, kind=None, rates=(-3, -1.5), epsilons=(1e-8, 1e-4)):
    """One optimizer with random options, ours and PyTorch's over `parameters`.

    A first step of Adam is g / (|g| + ε): of a gradient that is nearly 0, rounding decides the sign. So where the gradients
    were computed on both sides, in training, its ε is chosen large.
    """
    kind = kind or random.choice(["SGD", "momentum", "Nesterov", "Adam", "AdamW"])
    rate, decay = float(10 ** random.uniform(*rates)), float(random.choice([0, 0.01, 0.3]))
    if kind in ("SGD", "momentum", "Nesterov"):
        options = {"momentum": 0.0 if kind == "SGD" else float(random.choice([0.5, 0.9, 0.99])),
                   "nesterov": kind == "Nesterov", "weight_decay": decay}
        return isbe.SGD(rate, **options), torch.optim.SGD(parameters, rate, **options)
    betas, epsilon = (float(random.choice([0.5, 0.9])), float(random.choice([0.9, 0.99, 0.999]))), random.choice(epsilons)
    ours = getattr(isbe, kind)(rate, betas, float(epsilon), decay)
    return ours, getattr(torch.optim, kind)(parameters, rate, betas, float(epsilon), decay)


def table():
    """The ledger as text."""
    rows = [f"{'operation':34}{'dtype':10}{'kernels':9}{'configurations':>14}{'largest difference':>20}"]
    rows += [f"{operation:34}{dtype:10}{kernels:9}{count:14}{worst:20.1e}"
             for (operation, dtype, kernels), (count, worst) in LEDGER.items()]
    return "\n".join([*rows, f"{sum(count for count, _ in LEDGER.values()):67} in all"])
