"""Time of a whole training step of each network, beside PyTorch's where it is installed.

    python scripts/benchmark_training.py [--nets n0 lenet5 n1] [--batches 128] [--rounds 30] [--torch] [--json FILE]

A step is forward, head (route isbe; cross_entropy in PyTorch), backward and an SGD step with momentum, in float32, on random
images. Contestants take turns, A B A B, after two rounds of warm-up, so that compiling is in no figure and a slow spell of the
machine falls on both. PyTorch runs in eager mode with as many threads as isbe_np.
"""

import argparse
from pathlib import Path

import numpy as np

import isbe_np as isbe
from isbe_np.environment import describe
from isbe_np.kernels.jit import threads
from isbe_np.networks import NETWORKS
from isbe_np.report import settings_line, table, write_json
from isbe_np.studies.measure import CompileClock, interleaved, ratio_of_medians

RATE, MOMENTUM = 0.01, 0.9


def ours(name, x, y):
    """One step of our network as a function without arguments."""
    net, head, optimizer = NETWORKS[name](), isbe.Head("softmax", route="isbe"), isbe.SGD(RATE, momentum=MOMENTUM)

    def step():
        head.forward(net.forward(x, training=True))
        net.backward(head.backward(y))
        optimizer.step(net)
    return step


def theirs(name, x, y):
    """The same step in PyTorch."""
    import torch
    torch.set_num_threads(threads())
    net = torch.nn.Sequential(*torch_layers(name))
    optimizer = torch.optim.SGD(net.parameters(), RATE, MOMENTUM)
    images, labels = torch.from_numpy(x), torch.from_numpy(y)

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()
    return step


def torch_layers(name):
    """Our network's layers as PyTorch's."""
    import torch.nn as nn
    for node in NETWORKS[name]().nodes[1:]:
        match node.layer:
            case isbe.Conv2D() as layer:
                yield nn.Conv2d(node.inputs[0].shape[0], layer.filters, layer.kernel, layer.stride, layer.padding)
            case isbe.Dense() as layer:
                yield nn.Linear(node.inputs[0].shape[0], layer.units)
            case isbe.MaxPool2D() as layer:
                yield nn.MaxPool2d(layer.size, layer.stride, layer.padding)
            case layer:
                yield {"ReLU": nn.ReLU, "Flatten": nn.Flatten}[type(layer).__name__]()


def main():
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--batches", nargs="+", type=int, default=[128])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--torch", action="store_true", help="time PyTorch beside it")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    random = np.random.default_rng(0)
    rows, results = [], []
    with CompileClock() as clock:
        for name in given.nets:
            for batch in given.batches:
                x, y = random.random((batch, 1, 28, 28), np.float32), random.integers(0, 10, batch)
                contestants = {"isbe_np": ours(name, x, y)} | ({"PyTorch": theirs(name, x, y)} if given.torch else {})
                seconds = interleaved(contestants, given.rounds)
                medians = {who: float(np.median(times)) for who, times in seconds.items()}
                row = {"network": name, "batch": batch, "median_seconds": medians}
                cells = [name, batch, f"{medians['isbe_np'] * 1e3:.2f}"]
                if given.torch:
                    ratio = ratio_of_medians(seconds["PyTorch"], seconds["isbe_np"])
                    row["ratio"] = vars(ratio)
                    cells += [f"{medians['PyTorch'] * 1e3:.2f}", f"{ratio.value:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}"]
                rows.append(tuple(cells))
                results.append(row)
    print(settings_line(describe()))
    print(table(("network", "batch", "isbe_np ms", *(("PyTorch ms", "ratio", "95 % interval") if given.torch else ())), rows))
    print(f"Medians of {given.rounds} rounds; {clock.seconds:.1f} s of compiling apart.")
    if given.json:
        write_json(given.json, {"environment": describe(), "steps": results})


if __name__ == "__main__":
    main()
