"""How long a class takes to grade, and how much memory: `isbe grade a1` on a folder of submissions, in a process of its own.

    python scripts/benchmark_grader.py [--submissions 300] [--workers 2] [--json FILE]

Of every ten submissions six are right, two partly, one is the stub and one hangs in its first task. Memory is that of the
grader and of all its processes at a time, submissions included, looked at ten times a second: "proportional" counts a page
that k processes share as 1/k for each (Linux's PSS), "resident" counts it k times.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from isbe_np.classroom.assignment import find
from isbe_np.classroom.release import strip
from isbe_np.cli.options import file_path
from isbe_np.environment import describe
from isbe_np.reports.summary import settings_line, table
from isbe_np.storage.files import write_json

ROOT = Path(__file__).resolve().parent.parent
HANG = "\n\ndef softmax(scores):\n    while True:\n        pass\n"


def submissions(folder, count):
    """Write `count` of them, no two with the same text."""
    right = find(ROOT / "tutorials" / "assignments" / "a1").files["a1.py"]
    partly = right.replace("np.outer", "np.add.outer"), right.replace("- scores.max(axis=1, keepdims=True)", "")
    kinds = [right] * 6 + [*partly, strip(right), right + HANG]
    for k in range(count):
        (folder / f"student{k:04}.py").write_text(f"# {k}\n{kinds[k % 10]}", encoding="utf-8")


def family(first):
    """The number of the process and of all that descend from it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has ended
    found = [first]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


def megabytes(first):
    """(proportional, resident) of a process and all that descend from it."""
    totals = {"Pss": 0, "Rss": 0}
    for process in family(first):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, rest = line.partition(":")
            if name in totals:
                totals[name] += int(rest.split()[0])
    return tuple(total / 1024 for total in totals.values())


def main():
    """Measure once, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--submissions", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=file_path)
    given = parser.parse_args()
    peak = (0.0, 0.0)
    with tempfile.TemporaryDirectory() as name:
        handed_in, out = Path(name) / "in", Path(name) / "out"
        handed_in.mkdir()
        submissions(handed_in, given.submissions)
        command = [sys.executable, "-m", "isbe_np", "grade", "a1", str(handed_in), "--out", str(out), "--seed", "1",
                   "--workers", str(given.workers)]
        start = time.perf_counter()
        grading = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        while grading.poll() is None:
            peak = tuple(map(max, peak, megabytes(grading.pid)))
            time.sleep(0.1)
        seconds = time.perf_counter() - start
        print(grading.stdout.read().strip())
    print(settings_line(describe()))
    print(table(("submissions", "workers", "seconds", "aim", "MB proportional", "aim", "MB resident"),
                [(given.submissions, given.workers, f"{seconds:.1f}", 600, f"{peak[0]:.0f}", 300, f"{peak[1]:.0f}")], left=0))
    if given.json:
        write_json(given.json, {"environment": describe(), "submissions": given.submissions, "workers": given.workers,
                                "seconds": seconds, "proportional_mb": peak[0], "resident_mb": peak[1]})
    return grading.returncode


if __name__ == "__main__":
    sys.exit(main())
