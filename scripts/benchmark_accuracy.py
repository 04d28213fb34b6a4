"""How long from starting Python to 99 % on MNIST's test images, kernels already compiled: one command, several seeds.

    python scripts/benchmark_accuracy.py [--net lenet5] [--epochs 4] [--seeds 3] [--data-dir DIR] [--json FILE]

The command is `isbe train --data mnist --net lenet5 --epochs 4 --seed SEED`, by route isbe. Its time is that of the whole
process: starting Python, reading and verifying the data, training, testing after each epoch. A first run that is not counted
compiles.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from isbe_np.cli.options import file_path
from isbe_np.environment import describe
from isbe_np.reports.summary import settings_line, table
from isbe_np.storage.files import write_json


def trained(options, epochs, seed, folder):
    """Seconds of the whole process, and its results."""
    written = Path(folder) / f"{seed}.json"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "isbe_np", "train", *options, "--epochs", str(epochs), "--seed", str(seed), "--json",
                    str(written)], check=True, capture_output=True)
    return time.perf_counter() - start, json.loads(written.read_text(encoding="utf-8"))


def main():
    """Train from every seed, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", default="lenet5")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data-dir")
    parser.add_argument("--json", type=file_path)
    given = parser.parse_args()
    options = ["--data", given.data, "--net", given.net]
    options += ["--data-dir", given.data_dir] if given.data_dir else []
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        trained(options, 1, 0, folder)
        for seed in range(given.seeds):
            seconds, told = trained(options, given.epochs, seed, folder)
            history = told["history"]
            runs.append({"seed": seed, "seconds": seconds, "training": sum(history["seconds"]),
                         "accuracy": history["accuracy"][-1], "curve": history["accuracy"]})
    environment = describe(paths=False) | {"threads": told["environment"]["threads"]}
    print(settings_line(environment))
    print(f"isbe train --data {given.data} --net {given.net} --epochs {given.epochs}, each a process of its own, "
          "kernels compiled before")
    print(table(("seed", "test accuracy", "seconds in all", "of which training"), [
        (run["seed"], f"{run['accuracy']:.2%}", f"{run['seconds']:.1f}", f"{run['training']:.1f}") for run in runs]))
    if given.json:
        write_json(given.json, {"environment": environment, "network": given.net, "data": given.data, "epochs": given.epochs,
                                "runs": runs})


if __name__ == "__main__":
    main()
