"""Section: kill -9 at random moments of training and saving, and at each single call of a saving."""

from __future__ import annotations

import os
import random as moments
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import isbe_np as isbe
from drill import deaths, training
from drill.rows import Drill, Outcome, Row, number
from isbe_np.training.checkpoint import previous_of
from isbe_np.training.keeping import FILE

LEFT = {FILE, previous_of(Path(FILE)).name, "lock"}


class Chain:
    """One training, killed again and again until it is at its end."""

    def __init__(self, context, folder: Path, wanted: dict, epochs: int, seconds: float, seed: int):
        self.context, self.folder, self.wanted, self.epochs, self.seconds = context, folder, wanted, epochs, seconds
        self.random = moments.Random(seed)
        self.told_at = folder.with_suffix(".told")
        self.told = training.Told(self.told_at)

    def kill(self) -> Outcome | None:
        """Let it train a while, kill it and look at what is in the folder; None where it was at its end before."""
        early, wait = self.random.random() < 0.15, self.random.uniform(0.0, 0.5)
        process = self.start()
        end = time.monotonic() + 120
        while not early and not self.told.values[0] and process.is_alive() and time.monotonic() < end:
            time.sleep(0.002)
        process.join(wait)
        if not process.is_alive():
            return None if process.exitcode == 0 else Outcome(f"the training ended by itself, exit code {process.exitcode}")
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        if process.exitcode == 0:
            return None
        start = time.perf_counter()
        outcome = self.checked(process.exitcode)
        outcome.seconds = time.perf_counter() - start
        return outcome

    def start(self):
        self.told.set(0, self.told.values[1])
        process = self.context.Process(target=training.lived, args=(self.folder, self.told_at, self.epochs, self.seconds))
        process.start()
        return process

    def checked(self, code: int) -> Outcome:
        """Whether the newest checkpoint, and the one before it, are what the training was at their steps."""
        if code not in (-signal.SIGKILL, 255):  # 255: before the server of processes had written down that it was there
            return Outcome(f"it was killed, and its exit code is {code}")
        done, lost = self.told.values[1], None
        for path in (self.folder / FILE, previous_of(self.folder / FILE)):
            if not path.exists():
                if lost is None and done:
                    return Outcome(f"no {path.name} after {done} steps", lost=done)
                continue
            try:
                found = isbe.load_checkpoint(path)
            except (ValueError, OSError) as fault:
                return Outcome(f"after {done} steps: {fault}", lost=done)
            if fault := self.other(found):
                return Outcome(fault, wrong=True)
            if lost is None:
                lost = done - found.history.steps
        if lost is not None and (lost < 0 or (not self.seconds and lost > 1)):
            return Outcome(f"{lost} steps of {done} are lost, where each was to be saved", lost=lost)
        return Outcome(lost=lost)

    def other(self, found: isbe.Checkpoint) -> str:
        """What is other in a checkpoint than in the training that was never killed; "" where nothing is."""
        steps, whole = found.history.steps, self.wanted["history"]
        if training.digest(found.net, found.optimizer) != self.wanted["digests"][steps]:
            return f"the checkpoint of step {steps} is not what the training was there"
        here = training.told(found.history)
        lists = [name for name, value in here.items() if isinstance(value, list)]
        if any(here[name] != whole[name][:len(here[name])] for name in lists):
            return f"the history in the checkpoint of step {steps} is another"
        return ""

    def end(self) -> Outcome:
        """Let it come to its end."""
        start = time.perf_counter()
        result = self.folder.with_suffix(".json")
        if not result.exists():
            process = self.start()
            process.join(300)
            if process.exitcode != 0:
                process.kill()
                return Outcome(f"the last training ended with exit code {process.exitcode}")
        found = training.read_json(result)
        if found["end"] != self.wanted["end"] or found["history"] != self.wanted["history"]:
            return Outcome("it ended otherwise than one that was never killed", wrong=True)
        if odd := {path.name for path in self.folder.iterdir()} - LEFT:
            return Outcome(f"left in its folder: {sorted(odd)}")
        return Outcome(seconds=time.perf_counter() - start)


def section(drill: Drill) -> list[Row]:
    """Chains of kills side by side, until there were enough; then one saving, killed at each of its calls."""
    place = drill.place("kills")
    titles = {0.0: "kills, every step saved", 0.2: "kills, saved every 0.2 s"}
    rows = {seconds: Row(title) for seconds, title in titles.items()}
    ends, each = Row("kills, ends of those trainings"), Row("kills, at each call of a saving")
    epochs = drill.of(10, 40)
    wanted, lock = {seconds: drill.of(6, 150) for seconds in rows}, threading.Lock()
    with training.quick_processes() as context:
        fork = context.Process(target=training.reference, args=(place / "reference.json", epochs))
        fork.start()
        fork.join()
        reference = training.read_json(place / "reference.json")
        with drill.bar(sum(wanted.values()), "kills") as bar, ThreadPoolExecutor(max(1, drill.workers)) as threads:
            def chain(n: int) -> None:
                seconds = (0.0, 0.2)[n % 2]
                with lock:
                    if rows[seconds].tried >= wanted[seconds]:
                        return
                one = Chain(context, place / f"run{n}", reference, epochs, seconds, number(drill.seed, "kills", n))
                while rows[seconds].tried < wanted[seconds] and (outcome := one.kill()) is not None:
                    with lock:
                        rows[seconds].add(outcome, f"chain {n}, step {one.told.values[1]}")
                        bar.update()
                    if outcome.fault:
                        return
                outcome = one.end()
                with lock:
                    ends.add(outcome, f"chain {n}")

            list(threads.map(chain, range(200)))
        fork = context.Process(target=deaths.all_of_them, args=(place / "deaths", drill.short))
        fork.start()
        fork.join()
    for what, outcome in deaths.found(place / "deaths"):
        each.add(outcome, what)
    if fork.exitcode:
        each.add(Outcome(f"the drill failed, exit code {fork.exitcode}"))
    lost = [n for row in rows.values() for n in row.lost]
    kills, steps = sum(row.tried for row in rows.values()), epochs * training.PER_EPOCH
    ends.notes.append(f"{kills} kills in {ends.tried} trainings of {steps} steps; {sum(n > 0 for n in lost)} of them cost "
                      f"a step or more")
    return [*rows.values(), ends, each]
