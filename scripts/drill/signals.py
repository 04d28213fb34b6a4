"""Section: Ctrl-C and SIGTERM to `isbe train --checkpoint`, at random moments, once or twice."""

from __future__ import annotations

import multiprocessing
import os
import random as moments
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import isbe_np as isbe
from drill import training
from drill.rows import Drill, Outcome, Row, number
from isbe_np.storage.files import write_json
from isbe_np.training.keeping import FILE

COMMAND = ("train", "--net", "lenet5", "--epochs", "4", "--batch-size", "64", "--seed", "2", "--loss", "--augment")
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
STEPS = re.compile(r"(\d+) steps, .*?(interrupted|terminated)?$", re.MULTILINE)


def reference(path: Path) -> None:
    """Write what the uninterrupted command is at each step, and in the end, to `path`."""
    from isbe_np import cli
    digests: list[str] = []
    step = isbe.SGD.step

    def stepped(self, net):
        step(self, net)
        digests.append(training.digest(net, self))

    isbe.SGD.step = stepped  # type: ignore[method-assign]
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        code = cli.main([*COMMAND, "--json", str(path)])
    if code:
        raise RuntimeError("the command failed without any signal")
    write_json(path, {"digests": digests, "history": training.read_json(path)["history"]})


def begun(folder: Path, seconds: float) -> subprocess.Popen:
    """The command, training in `folder` or going on there."""
    return subprocess.Popen(
        [sys.executable, "-m", "isbe_np", *COMMAND, "--checkpoint", str(folder), "--resume",
         "--checkpoint-seconds", str(seconds)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
        preexec_fn=heeding)


def heeding() -> None:
    """Heed Ctrl-C, also where this process was told to ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Chain:
    """One training that gets a signal again and again until it is at its end."""

    def __init__(self, folder: Path, wanted: dict, seed: int):
        self.folder, self.wanted, self.random, self.steps = folder, wanted, moments.Random(seed), 0

    def life(self, numbers: list[int]) -> tuple[Outcome, bool]:
        """Start it, send it `numbers` at a random moment, and see; the second is whether it was at its end before that."""
        early, wait = self.random.random() < 0.2, self.random.uniform(0.0, 0.8)
        process = begun(self.folder, self.random.choice([0, 0.1, 30]))
        begin = "" if early else process.stdout.readline()
        time.sleep(wait * (4 if early else 1))
        start = time.perf_counter()
        for k, one in enumerate(numbers):
            if k:
                time.sleep(self.random.choice([0, 0.001, 0.01]))
            process.send_signal(one)
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return Outcome("there was no end 60 s after the signal", seconds=60), False
        outcome = self.judged(process.returncode, begin + out, err, numbers)
        outcome.seconds = time.perf_counter() - start
        return outcome, process.returncode == 0

    def judged(self, code: int, out: str, err: str, numbers: list[int]) -> Outcome:
        """Whether exit code, words and checkpoint fit each other and the training that got no signal."""
        told, path = STEPS.search(out), self.folder / FILE
        right = {CODES[n] for n in numbers}
        # Python itself ends of a signal, which a shell calls 130 or 143 too, before the command's code is there, and once it is
        # gone: after the training's end, or when a second signal comes while the command ends of the first.
        alone = told and told[2] and len(numbers) == 1
        if code not in right | {0} | (set() if alone else {-n for n in numbers}):
            return Outcome(f"exit code {code}, not {sorted(right)}: {err[-300:]}")
        if "Traceback" in err and code >= 0 and (alone or "Exception ignored in" not in err):
            return Outcome(f"a traceback was shown: {err[-300:]}")
        if code in CODES.values() and told and not told[2]:
            return Outcome(f"it does not say by what it ended: {out[-200:]}")
        reached = max(int(told[1]) if told else 0, self.steps)  # it counts none where it ends before it has read its checkpoint
        if not path.exists():
            return Outcome("" if not self.steps and not told else f"no checkpoint after {reached} steps", lost=reached)
        try:
            found = isbe.load_checkpoint(path)
        except (ValueError, OSError) as fault:
            return Outcome(str(fault), lost=reached)
        steps = found.history.steps
        if steps and training.digest(found.net, found.optimizer) != self.wanted["digests"][steps - 1]:
            return Outcome(f"the checkpoint of step {steps} is not what the training was there", wrong=True)
        lost, self.steps = reached - steps, steps
        if lost > 0 and len(numbers) == 1:
            return Outcome(f"{lost} of {reached} steps were lost to a single signal", lost=lost)
        return Outcome(lost=max(lost, 0))

    def end(self) -> Outcome:
        """Let it come to its end, and hold it against the training that got no signal."""
        process = begun(self.folder, 30)
        _, err = process.communicate(timeout=120)
        if process.returncode:
            return Outcome(f"exit code {process.returncode}: {err[-300:]}")
        found = isbe.load_checkpoint(self.folder / FILE)
        wanted = {name: value for name, value in self.wanted["history"].items() if name != "seconds"}
        if training.told(found.history) != wanted or training.digest(found.net, found.optimizer) != self.wanted["digests"][-1]:
            return Outcome("it ended otherwise than one that got no signal", wrong=True)
        return Outcome()


def section(drill: Drill) -> list[Row]:
    """Chains of signals side by side until there were enough of each kind."""
    place, context = drill.place("signals"), multiprocessing.get_context("spawn")
    kinds = {"Ctrl-C": [signal.SIGINT], "SIGTERM": [signal.SIGTERM], "Ctrl-C twice": [signal.SIGINT] * 2,
             "SIGTERM, Ctrl-C": [signal.SIGTERM, signal.SIGINT]}
    wanted = dict(zip(kinds, (drill.of(2, 24), drill.of(2, 24), drill.of(1, 8), drill.of(1, 8)), strict=True))
    rows, ends = {kind: Row(f"signals, {kind}") for kind in kinds}, Row("signals, ends of those trainings")
    lock = threading.Lock()
    todo = moments.Random(number(drill.seed, "signals")).sample([kind for kind in kinds for _ in range(wanted[kind])],
                                                                sum(wanted.values()))
    before = os.environ.get("NUMBA_NUM_THREADS")
    os.environ["NUMBA_NUM_THREADS"] = "1"
    try:
        process = context.Process(target=reference, args=(place / "reference.json",))
        process.start()
        process.join()
        whole = training.read_json(place / "reference.json")
        with drill.bar(len(todo), "signals") as bar, ThreadPoolExecutor(max(1, drill.workers)) as threads:
            def chain(n: int) -> None:
                one = Chain(place / f"run{n}", whole, number(drill.seed, "signals", n))
                if not todo:
                    return
                while True:
                    with lock:
                        if not todo:
                            break
                        kind = todo.pop()
                    outcome, ended = one.life(kinds[kind])
                    if ended:  # the signal came too late, and counts as none
                        with lock:
                            todo.append(kind)
                        break
                    with lock:
                        rows[kind].add(outcome, f"chain {n}, step {one.steps}")
                        bar.update()
                    if outcome.fault:
                        return
                outcome = one.end()
                with lock:
                    ends.add(outcome, f"chain {n}")

            list(threads.map(chain, range(200)))
    finally:
        if before is None:
            del os.environ["NUMBA_NUM_THREADS"]
        else:
            os.environ["NUMBA_NUM_THREADS"] = before
    return [*rows.values(), ends]
