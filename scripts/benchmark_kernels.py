"""Speed of single kernels on the sizes of the networks n0, lenet5 and n1, beside the machine's peaks and PyTorch's operators.

    python scripts/benchmark_kernels.py [--rounds 7] [--json FILE]

Batch 128, float32, random numbers, all threads; some minutes, of which one or two compile. The columns:

- kernel, sizes: what is timed, on what, without the batch. Kernels of layers come with the copies that their layer makes around
  them: padding, and turning a dense batch around. That images are stored with the batch last is not among them: a network
  turns them once, which is the row `transpose`.
- median ms: of all timed calls.
- speed: GF/s, 1e9 multiplications and additions a second, where arithmetic decides: those that the formula asks for, not those
  that are done on padding. GB/s elsewhere: bytes that have to be read and written, each counted once.
- of peak: the speed over the most that this machine reached in this run, with all threads. For arithmetic that is the inner
  loop of all products, on numbers that stay in registers and the nearest cache; for memory, a parallel copy of 256 MB; the
  fastest call of each. More than 100 % of memory's means arrays in a cache; kernels with few numbers run on one thread.
- vectors: bits of the widest register in which the compiled kernel computes (of `transpose`: moves) several numbers at once;
  "no" where it goes number by number.
- x isbe_np: PyTorch's median over ours for the same result from batch-first arrays, eager, without autograd; above 1, we are
  faster. Its 95 % interval comes from drawing whole turns again. Blank where PyTorch is not installed.

What makes it fair: results are compared first; as many threads for both; PyTorch is imported before isbe_np, so that its OpenMP
keeps its default (isbe_np sets GOMP_SPINCOUNT, which each runtime reads when it is loaded); the two take turns, each of which
begins when no thread of the process uses a core, with untimed calls that wake its own.
"""

import argparse
import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

# Numba shows no machine code of kernels that it has loaded instead of compiled.
os.environ["ISBE_JIT_CACHE"] = "0"
try:
    import torch  # before isbe_np: see above
except ImportError:
    torch = None
import numpy as np

import isbe_np as isbe
from isbe_np.cli.options import file_path
from isbe_np.compiler.jit import SMALL, jit, prange, threads
from isbe_np.engine import conv2d, conv2d_max_pool, dense, layout, microkernels, softmax
from isbe_np.engine.layers.base import no_limits
from isbe_np.environment import describe
from isbe_np.kernels import finite, optimizers, pooling
from isbe_np.kernels.activations import relu, relu_backward
from isbe_np.layers.base import zeros
from isbe_np.networks import NETWORKS
from isbe_np.plan import Turn
from isbe_np.reports.summary import settings_line, table
from isbe_np.storage.files import write_json
from isbe_np.studies.measure import CompileClock, paired_ratio, relative_difference, take_turns

NETS, BATCH, RATE, FLOAT = ("n0", "lenet5", "n1"), 128, 1e-3, np.dtype(np.float32)
SAME = 1e-4  # largest |a - b| / largest |b| of two results
TURN = 0.05  # seconds of timed calls, and of untimed ones before them
COPIED = 1 << 26  # numbers that measure memory: more than caches hold
TERMS, ROWS, COLUMNS, TIMES = 400, 6, 64, 200  # of the products that measure arithmetic
# Instructions on several numbers at once, as x86's and ARM's assemblers write them: those that compute, those that move.
COMPUTE = r"^\s*(?:v?(?:fn?m(?:add|sub)\w*|add|sub|mul|div|max|min|cmp\w*)p[sd]\s|f(?:ml|add|sub|mul|div|max|min|cm)\w*\s+v).*"
MOVE = r"^\s*(?:v?(?:mov[ua]|unpck[lh]|shuf|perm\w*)p[sd]\s|(?:trn|zip)\d\s+v).*"
BITS = {"x": 128, "y": 256, "z": 512}  # of the registers xmm, ymm and zmm; ARM's have 128
random = np.random.default_rng(0)


@dataclass
class Case:
    """One row: `run` calls the kernel `code`, which fills `out`, batch first; `theirs` returns the same from PyTorch."""

    name: str
    sizes: str
    code: Callable
    run: Callable[[], object]
    flops: float = 0
    bytes: float = 0
    out: np.ndarray | None = None
    theirs: Callable | None = None
    pattern: str = COMPUTE


# --- what the machine can do ---

@jit(parallel=True)
def multiply_and_add(x, offsets, w, start, limits, y, times):
    """Each thread takes the same small product again and again; all its terms take the same numbers of x."""
    for task in prange(x.shape[0]):
        for _ in range(times):
            microkernels.run(x[task], 0, offsets, w, (offsets.size, 1), start, (0, 0, 0), (0, ROWS), y[task],
                             0, COLUMNS, limits, COLUMNS)


@jit(parallel=True)
def copy(a, b):
    """b = a"""
    for i in prange(a.size):
        b[i] = a[i]


def peaks(rounds):
    """Floating-point operations and bytes a second of the fastest call."""
    x, y = zeros((threads(), SMALL), FLOAT), zeros((threads(), ROWS * COLUMNS), FLOAT)  # so many numbers that all threads run
    w, start, offsets = np.ones(ROWS * TERMS, FLOAT), zeros((COLUMNS,), FLOAT), np.zeros(TERMS, np.int64)
    a, c = np.ones(COPIED, FLOAT), np.ones(COPIED, FLOAT)  # ones: memory never written may be a single page of zeros
    seconds = take_turns({"flops": lambda: multiply_and_add(x, offsets, w, start, no_limits(FLOAT), y, TIMES),
                          "bytes": lambda: copy(a, c)}, rounds, turn=TURN, waking=TURN, quiet=True)
    done = {"flops": 2 * TERMS * ROWS * COLUMNS * TIMES * threads(), "bytes": 2 * a.nbytes}
    return {unit: done[unit] / float(times.min()) for unit, times in seconds.items()}


def vector_bits(code, pattern):
    """Bits of the widest vector register that the compiled kernel's instructions of `pattern` use; 0 for none."""
    texts = getattr(code, "kernel", code).inspect_asm().values()  # of a parallel kernel, the compiled one is its `kernel`
    lines = [line for text in texts for line in re.findall(pattern, text, re.MULTILINE)]
    return max((BITS[letter] for line in lines for letter in re.findall("%([xyz])mm", line) or "x"), default=0)


# --- the kernels, on arrays of a layer's own plan ---

def normal(*shape):
    """Random numbers."""
    return random.standard_normal(shape, FLOAT)


def peer(function, *arrays):
    """PyTorch's `function` of copies of `arrays`, to be called without arguments; None where PyTorch is not installed."""
    return torch and functools.partial(function, *(torch.from_numpy(array.copy()) for array in arrays))


def planned(shape, *layers, to_input=True):
    """The layer that does the work of `layers`, and its step, which has run once, forward and backward."""
    net = isbe.Sequential(shape, *layers)
    scores = net.forward(normal(BATCH, *shape), training=True)
    net.backward(normal(*scores.shape), input_gradient=to_input)
    return next((layer, step) for layer, step, *_ in net._plan(BATCH).steps if not isinstance(layer, Turn))


def first(array):
    """Images with the batch first, the same memory."""
    return np.moveaxis(array, -1, 0)


def dense_cases(layer, shape):
    """A dense layer forward, and its gradients."""
    (fast, step), (_, part), at = planned(shape, layer), planned(shape, layer, to_input=False), f"{layer} of {shape}"
    w, flops = step.w.weight, 2 * BATCH * step.w.weight.size
    yield Case("dense_by_blocks", at, dense.product, lambda: fast.forward(step), flops, out=step.y,
               theirs=peer(lambda x, w, b: torch.nn.functional.linear(x, w, b), step.x, w, step.w.bias))
    yield Case("dense_backward_weight", at, dense.product, lambda: fast.backward(part), flops,
               out=part.dw.weight, theirs=peer(lambda dy, x: (dy.T @ x, dy.sum(0))[0], part.dy, part.x))
    yield Case("dense_backward_input", at, dense.product, lambda: fast.backward_input(step, step.dy), flops,
               out=step.dx, theirs=peer(lambda dy, w: dy @ w, step.dy, w))


def conv_cases(layer, shape):
    """A convolution forward, alone and with ReLU and pooling, and its gradients."""
    (fast, step), (_, part), at = planned(shape, layer), planned(shape, layer, to_input=False), f"{layer} of {shape}"
    fused, whole = planned(shape, layer, isbe.ReLU(), isbe.MaxPool2D(2))
    w, flops, moves = step.w.weight, 2 * step.w.weight.size * step.y[0].size, (layer.stride, layer.padding)

    def forward(x, w, b):
        return torch.nn.functional.conv2d(x, w, b, *moves)

    def backward(mask, dy, x, w):
        return torch.ops.aten.convolution_backward(dy, x, w, [len(w)], *moves, (1, 1), False, (0, 0), 1, mask)

    yield Case("conv2d", at, conv2d.conv2d, lambda: fast.forward(step), flops, out=first(step.y),
               theirs=peer(forward, first(step.x), w, step.w.bias))
    yield Case("conv2d_max_pool", at, conv2d_max_pool.conv2d_max_pool, lambda: fused.forward(whole), flops, out=first(whole.y),
               theirs=peer(lambda *given: torch.nn.functional.max_pool2d(torch.relu(forward(*given)), 2),
                           first(whole.x), whole.w.weight, whole.w.bias))
    yield Case("conv2d_backward_weight", at, conv2d.conv2d_backward_weight, lambda: fast.backward(part), flops,
               out=part.dw.weight, theirs=peer(lambda *given: backward((False, True, True), *given)[1],
                                               first(part.dy), first(part.x), part.w.weight))
    if shape[0] > 1:  # nobody needs the gradient by the images
        yield Case("conv2d of the error", at, conv2d.conv2d, lambda: fast.backward_input(step), flops, out=first(step.dx),
                   theirs=peer(lambda *given: backward((True, False, False), *given)[0], first(step.dy), first(step.x), w))


def pool_cases(layer, shape):
    """Max pooling, forward and backward."""
    (_, step), at, window = planned(shape, layer), f"{layer} of {shape}", (layer.size, layer.stride, layer.padding, (1, 1))
    moved, operators = step.x.nbytes + step.y.nbytes + step.work.argmax.nbytes, torch and torch.ops.aten
    places = torch and operators.max_pool2d_with_indices(torch.from_numpy(first(step.x).copy()), *window)[1].numpy()
    yield Case("max_pool2d", at, pooling.max_pool2d, lambda: layer.forward(step), bytes=moved, out=first(step.y),
               theirs=peer(lambda x: operators.max_pool2d_with_indices(x, *window)[0], first(step.x)))
    yield Case("max_pool2d_backward", at, pooling.max_pool2d_backward, lambda: layer.backward(step), bytes=moved,
               out=first(step.dx), theirs=torch and peer(lambda dy, x, i: operators.max_pool2d_with_indices_backward(
                   dy, x, *window, False, i), first(step.dy), first(step.x), places))


def relu_cases(layer, shape):
    """ReLU, forward and backward."""
    _, step = planned(shape, layer)
    yield Case("relu", str(shape), relu, lambda: layer.forward(step), bytes=2 * step.y.nbytes, out=step.y,
               theirs=peer(lambda x: torch.nn.functional.relu(x), step.x))
    yield Case("relu_backward", str(shape), relu_backward, lambda: layer.backward(step), bytes=3 * step.y.nbytes, out=step.dx,
               theirs=peer(lambda dy, x: torch.ops.aten.threshold_backward(dy, x, 0), step.dy, step.x))


def batch_cases():
    """What happens to a batch of images before the first layer, and to its scores."""
    x, scores = normal(BATCH, 784), normal(BATCH, 10)
    turned, soft = zeros((784, BATCH), FLOAT), zeros(scores.shape, FLOAT)
    yield Case("transpose", "(784,)", layout.transpose, lambda: layout.transpose(x, turned), bytes=2 * x.nbytes, out=turned,
               theirs=peer(lambda x: x.T.contiguous(), x), pattern=MOVE)
    yield Case("all_finite", "(784,)", finite.all_finite, lambda: finite.all_finite(x.reshape(-1)), bytes=x.nbytes,
               theirs=peer(lambda x: bool(torch.isfinite(x).all()), x))
    yield Case("softmax", "(10,)", softmax.softmax, lambda: softmax.softmax(scores, soft), bytes=2 * soft.nbytes, out=soft,
               theirs=peer(lambda x: torch.nn.functional.softmax(x, 1), scores))


def update_cases(name):
    """An optimizer's step over all parameters of a network, which PyTorch has in one array each; the gradient's norm."""
    net = NETWORKS[name]()
    at, size = f"{name}, {net.values.size:,} parameters", net.values.nbytes
    net.grads[...] = normal(net.grads.size)
    yield Case("squared_norm", at, finite.squared_norm, lambda: finite.squared_norm(net.grads), bytes=size,
               theirs=peer(lambda g: torch.linalg.vector_norm(g), net.grads))
    for code, passes, more in ((optimizers.sgd, 3, {}), (optimizers.momentum, 5, {"momentum": 0.9})):
        yield Case(code.__name__, at, code, functools.partial(isbe.SGD(RATE, **more).step, net), bytes=passes * size,
                   theirs=torch_sgd(net, more))


def torch_sgd(net, more):
    """The step of PyTorch's optimizer on copies of the network's parameters."""
    if not torch:
        return None
    copies = [torch.nn.Parameter(torch.from_numpy(p.value.copy())) for p in net.parameters()]
    for theirs, p in zip(copies, net.parameters(), strict=True):
        theirs.grad = torch.from_numpy(p.grad.copy())
    return torch.optim.SGD(copies, RATE, foreach=True, **more).step


def all_cases():
    """Each kind and size of the networks' layers once, and the rest."""
    makers = {isbe.Conv2D: conv_cases, isbe.MaxPool2D: pool_cases, isbe.ReLU: relu_cases, isbe.Dense: dense_cases}
    layers = {(repr(node.layer), node.inputs[0].shape): node.layer for name in NETS for node in NETWORKS[name]().nodes[1:]}
    for kind, maker in makers.items():
        for (_, shape), layer in layers.items():
            if type(layer) is kind:
                yield from maker(layer, shape)
    yield from batch_cases()
    for name in NETS:
        yield from update_cases(name)


# --- measuring ---

def measure(case, most, rounds):
    """One row's figures, as a dictionary for JSON. RuntimeError where PyTorch computes something else."""
    case.run()
    if case.theirs and case.out is not None:
        gap = relative_difference(case.out, case.theirs().numpy().reshape(case.out.shape))
        if not gap <= SAME:
            raise RuntimeError(f"{case.name}, {case.sizes}: PyTorch's result differs by {gap:.1e}.")
    rivals = {"ours": case.run} | ({"theirs": case.theirs} if case.theirs else {})
    seconds = take_turns(rivals, rounds, turn=TURN, waking=TURN, quiet=True)
    median, unit = float(np.median(seconds["ours"])), "flops" if case.flops else "bytes"
    speed = getattr(case, unit) / median
    return {"kernel": case.name, "sizes": case.sizes, "median_seconds": median, "unit": unit, "per_second": speed,
            "share_of_peak": speed / most[unit], "vector_bits": vector_bits(case.code, case.pattern),
            "ratio": vars(paired_ratio(seconds["theirs"], seconds["ours"])) if case.theirs else None}


def row(found):
    """One line of the table."""
    unit, ratio = {"flops": "GF/s", "bytes": "GB/s"}[found["unit"]], found["ratio"]
    cells = (f"{ratio['value']:.3g}", f"{ratio['low']:.3g} to {ratio['high']:.3g}") if ratio else ("", "")
    return (found["kernel"], found["sizes"], f"{found['median_seconds'] * 1e3:.4f}", f"{found['per_second'] / 1e9:.1f} {unit}",
            f"{found['share_of_peak']:.0%}", found["vector_bits"] or "no", *cells)


def main():
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=file_path)
    given = parser.parse_args()
    if torch:
        torch.set_num_threads(threads())
        torch.set_grad_enabled(False)
    with CompileClock() as clock:
        most = peaks(given.rounds)
        results = [measure(case, most, given.rounds) for case in all_cases()]
    print(settings_line(describe()) + (f", PyTorch {torch.__version__}" if torch else "; no PyTorch") + "\n")
    print(f"Peaks: {most['flops'] / 1e9:.1f} GF/s, {most['bytes'] / 1e9:.1f} GB/s.\n")
    header = ("kernel", "sizes", "median ms", "speed", "of peak", "vectors", "x isbe_np", "95 % interval")
    print(table(header, list(map(row, results)), left=2))
    print(f"Medians of {given.rounds} turns; {clock.seconds:.1f} s of compiling apart.")
    if given.json:
        write_json(given.json, {"environment": describe(), "pytorch": torch and str(torch.__version__),
                                "peaks_per_second": most, "kernels": results})


if __name__ == "__main__":
    main()
