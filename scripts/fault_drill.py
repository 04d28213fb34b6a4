"""Kill trainings, fill disks, damage thousands of files, and count what was lost or loaded wrong.

    python scripts/fault_drill.py [--seed N] [--short] [--only SECTION ...] [--workers 2] [--json FILE]

Each fault must end well: a training goes on to the same bits, a file is loaded as it was saved or refused by one clear error in
bounded memory and time, a wrong model never comes of it. The same seed makes the same damaged files, and the same moments
within a saving; signals and kills at random moments of time hit another step on each run. The exit code is 0 if all of it was
survived, and 1 otherwise. The long form takes some ten minutes, the short one about one and a half.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from drill.rows import Drill, Row, text

from isbe_np.cli.options import file_path
from isbe_np.environment import describe
from isbe_np.reports.summary import environment_text
from isbe_np.storage.files import write_json

SECTIONS = ("checkpoints", "kills", "signals", "folders", "data", "downloads", "caches")


def main(arguments=None) -> int:
    """Run the drill and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="decides which faults are tried (%(default)s)")
    parser.add_argument("--short", action="store_true", help="a few faults of every kind")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION", help=f"some of {', '.join(SECTIONS)}")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes side by side (%(default)s)")
    parser.add_argument("--json", type=file_path, metavar="FILE", help="the same for a program")
    given = parser.parse_args(arguments)
    here = describe(paths=False)
    print(environment_text(here))
    form = "short" if given.short else "long"
    print(f"\nFault drill, {form} form, seed {given.seed}, {given.workers} workers\n", flush=True)
    folder, begun = Path(tempfile.mkdtemp(prefix="fault_drill_")), time.perf_counter()
    rows: list[Row] = []
    try:
        for name in given.only or SECTIONS:
            drill = Drill(folder, given.seed, given.short, given.workers)
            start = time.perf_counter()
            rows += (found := importlib.import_module(f"drill.{name}").section(drill))
            print(f"{name}: {sum(row.tried for row in found):,} faults in {time.perf_counter() - start:.0f} s", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{text(rows)}\n\n{sum(row.tried for row in rows):,} faults, {sum(row.survived for row in rows):,} survived, "
          f"{sum(row.wrong for row in rows)} wrong loads, {time.perf_counter() - begun:.0f} s")
    if given.json is not None:
        write_json(given.json, {"environment": here, "seed": given.seed, "form": form, "rows": [row.as_dict() for row in rows]})
    return 0 if rows and all(row.passed for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
