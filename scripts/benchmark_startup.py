"""How long a user waits at the start: importing, the first training step, `isbe compare` and `isbe warmup`, cold and warm.

    python scripts/benchmark_startup.py [--only import step compare warmup] [--repeats 5] [--json FILE]

Every figure is the time of a process of its own, its start included. Cold means an empty folder of compiled kernels, made for
that process, and is measured once; warm is the median of processes that find the kernels there.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from isbe_np.cli.options import file_path
from isbe_np.environment import describe
from isbe_np.reports.summary import settings_line, table
from isbe_np.storage.files import write_json

STEP = """
import numpy as np
import isbe_np as isbe
net, head, optimizer = isbe.networks.lenet5(), isbe.Head("softmax", route="isbe"), isbe.SGD(0.01, momentum=0.9)
head.forward(net.forward(np.random.default_rng(0).random((128, 1, 28, 28), np.float32), training=True))
net.backward(head.backward(np.arange(128) % 10))
optimizer.step(net)
"""
# name: the command, whether it compiles kernels, and how many seconds cold and warm are aimed at
PARTS = {
    "import": (["-c", "import isbe_np"], False, None, 0.6),
    "step": (["-c", STEP], True, 12, 1),
    "compare": (["-m", "isbe_np", "compare"], True, 40, 8),
    "warmup": (["-m", "isbe_np", "warmup"], True, None, None),
}
TITLES = {"import": "import isbe_np", "step": "first training step of lenet5, batch 128", "compare": "isbe compare",
          "warmup": "isbe warmup"}


def seconds(command, folder):
    """Time of one process that keeps compiled kernels in `folder`."""
    root = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"ISBE_CACHE_DIR": str(folder), "PYTHONPATH": path}
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def measure(name, repeats):
    """Seconds of one part: cold, None where nothing is compiled, and warm, a list."""
    command, compiles, _, _ = PARTS[name]
    with tempfile.TemporaryDirectory() as folder:
        first = seconds(command, folder)
        return first if compiles else None, [seconds(command, folder) for _ in range(repeats)]


def main():
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=file_path)
    given = parser.parse_args()
    rows, results = [], {}
    for name in given.only:
        cold, warm = measure(name, given.repeats)
        results[name] = {"cold_seconds": cold, "warm_seconds": warm}
        figures = cold, PARTS[name][2], statistics.median(warm), PARTS[name][3]
        rows.append((TITLES[name], *("" if figure is None else f"{figure:.3g}" for figure in figures)))
    print(settings_line(describe()))
    print(table(("from the start of the process", "cold s", "aim", "warm s", "aim"), rows))
    print(f"Cold: one process each. Warm: medians of {given.repeats} processes.")
    if given.json:
        write_json(given.json, {"environment": describe(), "seconds": results})


if __name__ == "__main__":
    main()
