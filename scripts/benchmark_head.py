"""Time of the softmax head from scores to the error sent back, by every route, beside PyTorch's cross_entropy where installed.

    python scripts/benchmark_head.py [--classes 10 100 1000 10000 32768 131072] [--rounds 15] [--json FILE]

128 examples, 256 at 32,768 classes; float32 normal scores, class indices as targets. Contestants:

- jacobian, factored, fused, isbe: `Head.forward` and `Head.backward` by that route, with all their checks, into kept arrays;
  jacobian where its J is below the head's limit;
- Head.error: both in one call by route isbe, in one pass over each row;
- PyTorch: cross_entropy, forward and backward, eager; its gradient is a new array each time, as in training;
- copy, parallel copy: the scores into another array, by NumPy in one thread and in all: what memory allows.

What makes it fair: all errors are compared with one in float64 first, and the table says how far off each is, of the largest
element; as many threads for all; PyTorch is imported before isbe_np, so that its OpenMP keeps its default (isbe_np sets
GOMP_SPINCOUNT, which each runtime reads when it is loaded); contestants take turns, A B C, B C A, …, each of which begins when
no thread of the process uses a core, with untimed calls that wake its own. Medians; a ratio is a contestant's median over that
of Head.error, with a 95 % interval from drawing whole turns again. GB/s counts the scores read and the error written once,
whatever the contestant does.
"""

import argparse
import os

# Both libraries read theirs when they are loaded.
if "NUMBA_NUM_THREADS" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", os.environ["NUMBA_NUM_THREADS"])
try:
    import torch  # before isbe_np: see above
except ImportError:
    torch = None
import numpy as np

from isbe_np.cli.options import file_path
from isbe_np.compiler.jit import jit, prange, threads
from isbe_np.environment import describe
from isbe_np.heads import ROUTES, Head
from isbe_np.reports.summary import settings_line, table
from isbe_np.storage.files import write_json
from isbe_np.studies.measure import APART, CompileClock, paired_ratio, relative_difference, take_turns

BATCH = {32768: 256}  # 128 elsewhere
CLASSES = (10, 100, 1000, 10_000, 32_768, 131_072)
US = "Head.error"
OFF = 1e-6  # at most this far from the error in float64: largest |a - b| / largest |b|
OFF_PYTORCH = 1e-4  # its float32 sums over many classes lose more


@jit(parallel=True)
def parallel_copy(x, y):
    """y = x, by rows"""
    for n in prange(x.shape[0]):
        y[n] = x[n]


def by_route(route, x, labels):
    """Forward and backward by one route, as a function without arguments that returns the error."""
    head, soft, error = Head("softmax", route), np.empty_like(x), np.empty_like(x)

    def run():
        head.forward(x, out=soft)
        return head.backward(labels, out=error)
    return run


def in_one_call(x, labels):
    """`Head.error` as a function without arguments."""
    head, error = Head("softmax"), np.empty_like(x)
    return lambda: head.error(x, labels, out=error)


def pytorch(x, labels):
    """The same from PyTorch, whose gradient of the mean loss is the error."""
    torch.set_num_threads(threads())
    scores, targets = torch.from_numpy(x.copy()).requires_grad_(), torch.from_numpy(labels)

    def run():
        scores.grad = None
        torch.nn.functional.cross_entropy(scores, targets).backward()
        return scores.grad.numpy()
    return run


def contestants(x, labels):
    """Functions by name, and how far the error of each is from the one in float64; RuntimeError where too far."""
    runs = {US: in_one_call(x, labels)} | {route: by_route(route, x, labels) for route in ROUTES}
    if torch:
        runs["PyTorch"] = pytorch(x, labels)
    exact, off = Head("softmax").error(x.astype(np.float64), labels), {}
    for name, run in list(runs.items()):
        try:
            off[name] = relative_difference(run(), exact)
        except MemoryError:  # J above the head's limit
            del runs[name]
            continue
        if not off[name] <= (OFF_PYTORCH if name == "PyTorch" else OFF):
            raise RuntimeError(f"{name} is {off[name]:.1e} from the error in float64, for scores {x.shape}: not the same.")
    to = np.empty_like(x)
    return runs | {"copy": lambda: np.copyto(to, x), "parallel copy": lambda: parallel_copy(x, to)}, off


def measure(classes, rounds, random):
    """One case: a result for each contestant, as a dictionary."""
    batch = BATCH.get(classes, 128)
    x = (3 * random.standard_normal((batch, classes), np.float32)).astype(np.float32)
    runs, off = contestants(x, random.integers(0, classes, batch))
    seconds = take_turns(runs, rounds, patience=60, **APART)
    results = []
    for name, times in seconds.items():
        median = float(np.median(times))
        results.append({"batch": batch, "classes": classes, "contestant": name, "median_seconds": median, "turns": len(times),
                        "off": off.get(name),
                        "bytes_per_second": 2 * x.nbytes / median, "ratio": vars(paired_ratio(times, seconds[US]))})
    return results


def text(results):
    """The table."""
    rows = []
    for r in results:
        ratio = r["ratio"]
        ours = r["contestant"] == US
        rows.append((f"{r['batch']} x {r['classes']:,}", r["contestant"], f"{r['median_seconds'] * 1e6:,.1f}",
                     "1" if ours else f"{ratio['value']:.3g}", "" if ours else f"{ratio['low']:.3g} to {ratio['high']:.3g}",
                     f"{r['bytes_per_second'] / 1e9:.3g}", "" if r["off"] is None else f"{r['off']:.0e}"))
    return table(("scores", "contestant", "median µs", f"x {US}", "95 % interval", "GB/s", "off float64"), rows, left=2)


def main():
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", nargs="+", type=int, default=list(CLASSES))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=file_path)
    given = parser.parse_args()
    random = np.random.default_rng(0)
    with CompileClock() as clock:
        results = [result for classes in given.classes for result in measure(classes, given.rounds, random)]
    print(settings_line(describe()) + (f", PyTorch {torch.__version__}" if torch else "; no PyTorch"))
    print(text(results))
    print(f"Medians of {given.rounds} turns, or fewer after 60 s; {clock.seconds:.1f} s of compiling apart.")
    if given.json:
        write_json(given.json, {"environment": describe(), "pytorch": torch and str(torch.__version__), "head": results})


if __name__ == "__main__":
    main()
