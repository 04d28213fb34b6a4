"""Section: the cache of compiled kernels, damaged, half-written, read-only, or filled by eight processes at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from drill import commands, mutations
from drill.rows import Drill, Outcome, Row, number

# Runs kernels of the package on the same numbers and prints what came of them; a kernel is compiled unless the cache holds it.
PROGRAM = """
import hashlib, json, logging, sys
import numpy as np
from numba.core import event
logging.basicConfig(format="%(message)s", level=logging.WARNING)
from isbe_np.compiler import cache
from isbe_np.kernels import activations, dropout, finite, optimizers
with event.install_recorder("numba:compile") as compiled:
    found = hashlib.sha256()
    for dtype in (np.float32, np.float64):
        x, u = np.linspace(-3, 3, 501).astype(dtype), np.linspace(0, 1, 501).astype(dtype)
        y, dx = np.zeros_like(x), np.zeros_like(x)
        activations.relu(x, y); found.update(y)
        activations.relu_backward(x, y, u, dx); found.update(dx)
        activations.sigmoid(x, y); found.update(y)
        dropout.dropout(x, u, dtype(0.3), y); found.update(y)
        optimizers.sgd(y, u, dtype(0.1), dtype(0.01)); found.update(y)
        optimizers.momentum(y, u, dx, dtype(0.1), dtype(0.9), dtype(0.01)); found.update(y); found.update(dx)
        found.update(repr((finite.all_finite(x), finite.squared_norm(x))).encode())
folder = cache.cache_folder()
print(json.dumps({"sum": found.hexdigest(), "compiled": len(compiled.buffer) // 2, "kept": cache.kept_kernels(folder)}))
"""
KERNELS = 16


def started(cache: Path, before=(), **settings) -> subprocess.Popen:
    """A process that runs them with this cache."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "ISBE_"))}
    return subprocess.Popen([*before, sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=kept | {"ISBE_CACHE_DIR": str(cache), "NUMBA_NUM_THREADS": "1"} | settings)


class Fault(Exception):
    """What was not survived."""


def ended(process: subprocess.Popen, right: str, most_lines: int = 1) -> dict:
    """What a process prints; Fault unless its results are right and it says at most so many lines."""
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    if process.returncode:
        raise Fault(f"exit code {process.returncode}: {err[-300:]}")
    found = json.loads(out)
    if found["sum"] != right:
        raise Fault("WRONG: the kernels compute something else")
    if err.count("\n") > most_lines or "Traceback" in err:
        raise Fault(f"{err.count(chr(10))} lines were said, not {most_lines} at most: {err[:300]!r}")
    return found


def entries(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.nbc"))


def damage(paths: list[Path], random: np.random.Generator) -> list[str]:
    """Damage each entry in a way of its own, of which another entry in its place is one."""
    kinds, whole = [], {path: path.read_bytes() for path in paths}
    for n, path in enumerate(paths):
        kind = str(random.choice([*mutations.MUTATIONS, "another's place", "a folder", "a pipe", "a link", "written by others",
                                  "unreadable"]))
        kinds.append(kind)
        if kind in mutations.MUTATIONS:
            path.write_bytes(mutations.mutated(kind, whole[path], random))
        elif kind == "another's place":
            path.write_bytes(whole[paths[n - 1]])
        elif kind == "written by others":
            path.chmod(0o666)
        elif kind == "unreadable":
            path.chmod(0)
        else:
            path.unlink()
            path.mkdir() if kind == "a folder" else os.mkfifo(path) if kind == "a pipe" else path.symlink_to("/dev/zero")
    return kinds


def half_written(cache: Path) -> None:
    """What processes leave that are killed as they write."""
    for path in entries(cache):
        path.with_suffix(".0123456789abcdef.part").write_bytes(path.read_bytes()[:1000])


class Caches:
    """Folders of caches in `place`, made of one that is right."""

    def __init__(self, place: Path):
        self.place, self.whole, self.turns = place, place / "whole", 0
        self.right = json.loads(started(place / "none", ISBE_JIT_CACHE="0").communicate(timeout=300)[0])["sum"]
        ended(started(self.whole), self.right)
        if len(entries(self.whole)) < KERNELS:
            raise RuntimeError(f"only {len(entries(self.whole))} kernels are kept where {KERNELS} are used")

    def copy(self) -> Path:
        self.turns += 1
        return Path(shutil.copytree(self.whole, self.place / f"cache{self.turns}"))

    def damaged(self, row: Row, random: np.random.Generator) -> None:
        """As many faults as entries: results are right, one line is said, and what can be mended is."""
        cache = self.copy()
        kinds = damage(entries(cache), random)
        fault, start = "", time.perf_counter()
        try:
            ended(started(cache), self.right)
            again = ended(started(cache), self.right)
            stay = kinds.count("a folder")
            if again["compiled"] > 2 * stay and not stay:
                raise Fault(f"{again['compiled']} kernels were compiled once more, after {', '.join(kinds)}")
        except Fault as came:
            fault = str(came)
        seconds = time.perf_counter() - start
        for kind in kinds:
            row.add(Outcome(fault, "WRONG" in fault, seconds=seconds), kind)

    def leftovers(self, row: Row) -> None:
        cache = self.copy()
        half_written(cache)
        self._one(row, "half-written parts", lambda: self._nothing_compiled(ended(started(cache), self.right, 0)))

    def eight(self, row: Row, count: int = 8) -> None:
        """All at once on an empty cache; then nothing is compiled any more."""
        self.turns += 1
        cache = self.place / f"cache{self.turns}"

        def run():
            for process in [started(cache) for _ in range(count)]:
                ended(process, self.right, 0)
            self._nothing_compiled(ended(started(cache), self.right, 0))
            if odd := [path.name for path in cache.rglob("*") if path.is_file() and path.suffix != ".nbc"]:
                raise Fault(f"left in the cache: {odd}")

        self._one(row, f"{count} processes at once", run)

    def read_only(self, row: Row, filled: bool) -> None:
        cache = self.copy()
        if not filled:
            shutil.rmtree(cache / "jit")
        folders = [path for path in (cache, *cache.rglob("*")) if path.is_dir()]
        try:
            before = commands.without_roots_rights()
        except commands.NotHere as here:
            row.notes.append(f"SKIPPED {here}")
            return

        def run():
            found = ended(started(cache, before), self.right, 0)
            if filled:
                self._nothing_compiled(found)

        for path in folders:
            path.chmod(0o555)
        self._one(row, f"a read-only folder, {'filled' if filled else 'empty'}", run)
        for path in folders:
            path.chmod(0o755)

    def no_room(self, row: Row) -> None:
        """Files may not become long enough for any kernel."""
        limited = "import resource, os, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)); " \
                  "os.execv(sys.argv[1], sys.argv[1:])"
        cache = self.place / "full"
        self._one(row, "no room", lambda: ended(started(cache, (sys.executable, "-c", limited)), self.right, 0))

    def _nothing_compiled(self, found: dict) -> None:
        if found["compiled"]:
            raise Fault(f"{found['compiled']} kernels were compiled that were there")

    def _one(self, row: Row, what: str, run) -> None:
        fault, start = "", time.perf_counter()
        try:
            run()
        except Fault as came:
            fault = str(came)
        row.add(Outcome(fault, "WRONG" in fault, seconds=time.perf_counter() - start), what)


def section(drill: Drill) -> list[Row]:
    """Damage caches, share them, and take away what they need."""
    caches = Caches(drill.place("caches"))
    damaged, others = Row("caches, damaged entries"), Row("caches, shared, read-only, half-written, full")
    turns = drill.of(1, 14)
    with drill.bar(turns, "caches") as bar:
        for n in range(turns):
            caches.damaged(damaged, np.random.default_rng(number(drill.seed, "caches", n)))
            bar.update()
    caches.leftovers(others)
    for _ in range(drill.of(1, 3)):
        caches.eight(others, drill.of(4, 8))
    for filled in (True, False):
        caches.read_only(others, filled)
    caches.no_room(others)
    return [damaged, others]
