"""Write tests/README.md: what each file of tests is for, how many cases it has, and how exact each operation is.

    python scripts/count_tests.py [--check]

With --check nothing is written or measured: exit code 1, and the differences, where the counts are out of date.
Files of which nothing can be collected here, such as those that need PyTorch, are left out of the comparison.
"""

import argparse
import ast
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

import isbe_np as isbe

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "heads"), str(TESTS / "kernels")]

import naive  # noqa: E402  the references are those of the tests
import naive_heads  # noqa: E402
import test_activations  # noqa: E402
import test_optimizers  # noqa: E402

README = TESTS / "README.md"
DTYPES = (np.float64, np.float32)
NO = "–"
INTRO = """# Tests

Written by `python scripts/count_tests.py`; `--check` tells whether the counts are up to date.

`python -m pytest` runs what takes a few minutes. `python -m pytest -m exhaustive` runs what takes long, waits, kills, or looks
at every case. With `NUMBA_DISABLE_JIT=1` the kernels run as plain Python, and some files skip what would take minutes then.
`python scripts/inject_faults.py` puts faults into a copy of the package and requires that these tests fail.
The folders mirror those of the package.

"""
ERRORS = """
## How exact it is

Worst error of any element, relative to the largest element, on small random arrays with a fixed seed, to one digit.
*Differences*: the gradient against central differences in float64, whose own error is some 1e-10. *Result* and *gradient*:
against the plain references in `naive.py` and beside it; where there is none for a gradient, float32 is compared with
float64, whose gradient the differences have checked. For optimizers the result is the parameters after five steps.

| operation | differences | result float64 | result float32 | gradient float64 | gradient float32 |
|---|---|---|---|---|---|
"""
LINE = re.compile(r"^\| `([^`]+\.py)` \| (\d+) \|", re.MULTILINE)

# Shape, then filters, kernel, stride and padding of convolutions, and size, stride and padding of pools.
CONVOLUTIONS = [((2, 6, 5), 3, 3, (1, 1), (1, 1)), ((3, 7, 8), 5, (3, 2), (2, 1), (0, 1))]
POOLS = [((2, 6, 6), (2, 2), (2, 2), (0, 0)), ((2, 5, 6), (3, 3), (1, 2), (1, 1))]
ACTIVATIONS = {"relu": isbe.ReLU(), "leaky_relu": isbe.LeakyReLU(test_activations.SLOPE), "sigmoid": isbe.Sigmoid(),
               "tanh": isbe.Tanh(), "hardsigmoid": isbe.HardSigmoid(), "hardtanh": isbe.HardTanh(), "gelu": isbe.GELU()}
OPTIMIZERS = [("SGD", {}), ("SGD", {"momentum": 0.9}), ("SGD", {"momentum": 0.9, "nesterov": True}),
              ("Adam", {"weight_decay": 0.1}), ("AdamW", {"weight_decay": 0.1})]


def random_numbers(*shape):
    """The same at every call."""
    return np.random.default_rng(7).normal(size=shape)


def error(got, wanted):
    """max |got - wanted| / max |wanted|"""
    wanted = np.asarray(wanted, np.float64)
    return float(np.abs(np.float64(got) - wanted).max() / np.abs(wanted).max())


def rounded(array, dtype):
    """What a float64 array is in `dtype`, in float64 again: the reference is given the very numbers that the layer is given."""
    return array.astype(dtype).astype(np.float64)


def one_digit(number):
    """As 3e-16; 0 where there is no error at all, and a dash where nothing was measured."""
    return NO if number is None else "0" if number == 0 else f"{number:.0e}".replace("e-0", "e-")


def layer_row(name, layer, shape, reference, gradients=None):
    """A row of the table; reference(x, *weights) -> y, gradients(dy, x, *weights) -> (dx, *gradients by weights)."""
    runs, exact, x = {}, {}, random_numbers(4, *shape)
    for dtype in DTYPES:
        net = isbe.Sequential(shape, layer, dtype=dtype)
        y = net.forward(x.astype(dtype))
        dy = random_numbers(*y.shape)
        runs[dtype] = [y, net.backward(dy.astype(dtype), input_gradient=True), *(p.grad.copy() for p in net.parameters())]
        exact[dtype] = [p.value.astype(np.float64) for p in net.parameters()]
    results = [error(runs[d][0], reference(rounded(x, d), *exact[d])) for d in DTYPES]
    if gradients is None:
        by = [None, max(map(error, runs[np.float32][1:], runs[np.float64][1:]))]
    else:
        by = [max(map(error, runs[d][1:], gradients(rounded(dy, d), rounded(x, d), *exact[d]))) for d in DTYPES]
    return name, isbe.check_gradients(layer, x).worst, *results, *by


def layer_rows():
    """One row a layer."""
    yield layer_row("Dense(7)", isbe.Dense(7), (13,), lambda x, w, b: x @ w.T + b,
                    lambda dy, x, w, b: (dy @ w, dy.T @ x, dy.sum(0)))
    for shape, filters, kernel, stride, padding in CONVOLUTIONS:
        layer = isbe.Conv2D(filters, kernel, stride, padding)
        yield layer_row(repr(layer), layer, shape, lambda x, w, b, s=stride, p=padding: naive.conv2d(x, w, b, s, p),
                        lambda dy, x, w, b, s=stride, p=padding: naive.conv2d_backward(dy, x, w, s, p))
    for kind, make in (("max", isbe.MaxPool2D), ("mean", isbe.AveragePool2D)):
        for shape, *window in POOLS:
            layer = make(*window)
            yield layer_row(repr(layer), layer, shape, lambda x, w=window, k=kind: naive.pool2d(x, *w, k),
                            lambda dy, x, w=window, k=kind: [naive.pool2d_backward(dy, x, *w, k)])
    for name, layer in ACTIVATIONS.items():
        reference = test_activations.REFERENCE[name]
        yield layer_row(repr(layer), layer, (25,), lambda x, f=reference: f(x.ravel()).reshape(x.shape))
    yield layer_row("Flatten()", isbe.Flatten(), (2, 3, 4), lambda x: x.reshape(len(x), -1),
                    lambda dy, x: [dy.reshape(x.shape)])
    x, z = random_numbers(2, 4, 5)
    yield "Add()", isbe.check_gradients(isbe.Add(), x, z).worst, *[None] * 4


def head_rows():
    """One row for each normalizer and route of its matching loss, with one-hot targets."""
    x, labels = naive_heads.scores(16, 10), naive_heads.labels(16, 10)
    for normalizer in isbe.NORMALIZERS:
        if normalizer not in naive_heads.SOFT:
            continue
        hot = naive_heads.one_hot(labels, 10, naive_heads.LOW.get(normalizer, 0))
        for route in isbe.ROUTES:
            try:
                head = isbe.Head(normalizer, route, "sum")
            except ValueError:  # the route does not exist for this loss
                continue
            results, gradients = [], []
            for dtype in DTYPES:
                soft = naive_heads.SOFT[normalizer](x.astype(dtype).astype(np.float64))
                results.append(error(head.forward(x.astype(dtype)), soft))
                gradients.append(error(head.backward(hot.astype(dtype)), soft - hot))
            worst = isbe.check_gradients(head, x, targets=hot).worst
            yield f"Head({normalizer!r}, {route!r})", worst, *results, *gradients


def optimizer_rows():
    """One row an optimizer: five steps along random gradients."""
    for name, options in OPTIMIZERS:
        results = []
        for dtype in DTYPES:
            net, optimizer = isbe.Sequential((36,), isbe.Dense(1), dtype=dtype), getattr(isbe, name)(0.05, **options)
            net.values[...] = random_numbers(net.values.size)
            start, gradients = net.values.astype(np.float64), random_numbers(5, net.values.size).astype(dtype)
            for gradient in gradients:
                net.grads[...] = gradient
                optimizer.step(net)
            wanted = test_optimizers.reference(name, start, gradients.astype(np.float64), 0.05, options)
            results.append(error(net.values, wanted))
        settings = ", ".join(f"{key}={value}" for key, value in options.items())
        yield f"{name}({settings})", None, *results, None, None


def counted():
    """Number of cases of each file, by its path below tests/; every case counts, also those that are deselected by default."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-o", "addopts=", "-p", "no:cacheprovider", str(TESTS)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"count_tests: pytest cannot collect the tests:\n{done.stdout[-2000:]}{done.stderr[-1000:]}")
    return Counter(re.findall(r"^tests/([^:\n]+\.py)::", done.stdout, re.MULTILINE))


def purpose(path):
    """First sentence of the file's docstring, or whose tests it holds."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if text:
        return text.split("\n\n")[0].replace("\n", " ").replace("|", r"\|")
    place = path.relative_to(TESTS).with_name(path.name.removeprefix("test_"))
    return f"Tests of `isbe_np/{place.as_posix()}`." if (ROOT / "isbe_np" / place).exists() else ""


def files_table(counts):
    """A table for each folder; helpers, which have no cases, behind the tests."""
    parts = [f"{sum(counts.values()):,} cases in {len(counts)} files.\n"]
    paths = sorted(TESTS.rglob("*.py"), key=lambda path: (path.parent != TESTS, path.parent, not path.name.startswith("test_")))
    for folder in dict.fromkeys(path.parent for path in paths):
        parts.append(f"\n## {folder.relative_to(ROOT).as_posix()}\n\n| file | cases | what for |\n|---|---|---|\n")
        for path in (path for path in paths if path.parent == folder):
            name = path.relative_to(TESTS).as_posix()
            parts.append(f"| `{name}` | {counts.get(name, '')} | {purpose(path)} |\n")
    return "".join(parts)


def out_of_date(text, counts):
    """Sentences on what `text` tells wrongly."""
    told = {name: int(cases) for name, cases in LINE.findall(text)}
    missing = [f"{name} is not in it" for name in sorted(counts.keys() - told.keys())]
    gone = [f"{name} is gone" for name in sorted(told) if not (TESTS / name).exists()]
    return missing + gone + [f"{name}: {told[name]} cases told, {counts[name]} collected" for name in sorted(told)
                             if name in counts and counts[name] != told[name]]


def main():
    """Write the file, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where the counts are out of date")
    options = parser.parse_args()
    counts = counted()
    if options.check:
        wrong = out_of_date(README.read_text(encoding="utf-8") if README.exists() else "", counts)
        print("\n".join(["tests/README.md is out of date; run python scripts/count_tests.py", *wrong]) if wrong
              else f"tests/README.md is up to date: {sum(counts.values()):,} cases.")
        return 1 if wrong else 0
    rows = [*layer_rows(), *head_rows(), *optimizer_rows()]
    table = "".join(f"| `{name}` | {' | '.join(map(one_digit, numbers))} |\n" for name, *numbers in rows)
    README.write_text(INTRO + files_table(counts) + ERRORS + table, encoding="utf-8")
    print(f"tests/README.md: {sum(counts.values()):,} cases, {len(rows)} operations measured.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
