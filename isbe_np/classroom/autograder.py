"""A zip file for Gradescope: this package, one assignment, and the two scripts that Gradescope runs.

Gradescope unpacks it as ``source/`` in /autograder, runs ``setup.sh`` once to build its image, and ``run_autograder`` for every
submission. The scripts find their folders from where they lie, so that they can be tried in any folder of that layout.
"""

from __future__ import annotations

import importlib.metadata
import zipfile
from pathlib import Path

from isbe_np.classroom.assignment import Assignment
from isbe_np.classroom.release import prove

PACKAGE = Path(__file__).resolve().parents[1]
SETUP = """#!/usr/bin/env bash
# Builds the image: a Python of 3.11 or newer, and what isbe_np needs, in source/venv.
set -euo pipefail
cd "$(dirname "$0")"

newest() {
    for python in python3.14 python3.13 python3.12 python3.11 python3; do
        if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
}

python=$(newest)
if [ -z "$python" ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update
    apt-get install -y python3 python3-venv
    python=$(newest)
    if [ -z "$python" ]; then  # Ubuntu 22.04 calls 3.10 python3, and has a newer one beside it
        apt-get install -y python3.11 python3.11-venv
        python=$(newest)
    fi
fi
"$python" -m venv venv
venv/bin/python -m pip install --quiet {requirements}
"""
RUN = """#!/usr/bin/env bash
# Grades the submission in submission/ and writes results/results.json, first with 0 points, so that there always is one.
set -euo pipefail
root=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$root/results"
chmod 700 "$root/results"
chmod -R go-rwx "$root/source/isbe_np" "$root/source/assignments" "$root/submission"  # where there is no Landlock
cd "$root/results"
echo '{"score": 0, "output": "The grader did not start. Tell your instructor."}' >results.json
rm -rf feedback grading.json
ISBE_CACHE_DIR="$root/source/cache" PYTHONPATH="$root/source" "$root/source/venv/bin/python" -P -B -m isbe_np grade \\
    "$root/source/assignments/{name}" "$root/submission" --out . --workers 1 --gradescope \\
    || echo "isbe grade ended with exit code $?."
"""


def autograder(assignment: Assignment, out: Path) -> Path:
    """Prove the assignment and write the zip file `out`; returns it. ValueError where it exists or has another ending."""
    if out.suffix != ".zip" or out.exists():
        why = "is there already" if out.exists() else "does not end in .zip"
        raise ValueError(f"autograder expects the name of a new zip file, such as {assignment.name}.zip; {out} {why}.")
    prove(assignment)
    files = {f"isbe_np/{path.relative_to(PACKAGE)}": path.read_bytes() for path in sorted(PACKAGE.rglob("*"))
             if path.is_file() and "__pycache__" not in path.parts}
    files |= {f"assignments/{assignment.name}/{name}": text.encode() for name, text in assignment.files.items()}
    files |= {"setup.sh": SETUP.replace("{requirements}", " ".join(f"'{need}'" for need in _requirements())).encode(),
              "run_autograder": RUN.replace("{name}", assignment.name).encode()}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)  # one fixed date, so that equal contents are equal files
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if name in ("setup.sh", "run_autograder") else 0o644) << 16
            archive.writestr(entry, data)
    return out


def _requirements() -> list[str]:
    """What the installed isbe_np needs to run, without its extras."""
    needs = importlib.metadata.requires("isbe_np") or []
    return [need.replace(" ", "") for need in needs if "extra ==" not in need]
