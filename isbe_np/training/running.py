"""Running a training: what is held while the loop runs, and what becomes of it whatever ends the loop."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable

from isbe_np.training.history import History
from isbe_np.training.keeping import Folder, Keeping, Stopped
from isbe_np.training.observer import Diverged, Observer
from isbe_np.training.stopping import Stopping, TrainingInterrupted
from isbe_np.training.task import Task

CALLER = 3  # for a warning, the frame that called `train`, as seen from `run`


def run(task: Task, loop: Callable[[Task, Observer], None]) -> History:
    """Run `loop` on the `task` and return the history. The network is trained by this call alone meanwhile.

    Whatever ends it, the learning rate, the handlers of signals and the folder are as before. TrainingInterrupted after Ctrl-C
    or SIGTERM, unless the task says "return".
    """
    history, stopping = History(), Stopping(task.checkpoint is not None)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(stopping)
            stack.enter_context(task.net.sharing.training())
            keeping = None if task.checkpoint is None else Keeping(
                stack.enter_context(Folder(task.checkpoint)), task.checkpoint_seconds, task.note, stopping)
            task.read_data()
            if task.scale_fault:
                warnings.warn(task.scale_fault, stacklevel=CALLER)
            watch = Observer(task, history, keeping)
            stack.callback(watch.close)
            found = None if keeping is None else keeping.begin(watch, task.data, task.settings(), task.resume)
            if found is not None:
                watch.go_on(found)
            loop(task, watch)
        except KeyboardInterrupt:
            history.stopped = stopping.asked or "interrupted"
        except Stopped as stopped:
            history.stopped = str(stopped)
        except Diverged as diverged:
            history.stopped, history.diagnosis, history.warning = "diverged", str(diverged), None
        finally:
            task.optimizer.learning_rate = task.base
    if task.on_interrupt == "raise" and (stopping.asked or history.stopped == "interrupted"):
        raise TrainingInterrupted(_interruption(task, history), history)
    if history.stopped is None and history.steps == task.factor_at.steps and (unchanged := task.factor_at.fault()):
        warnings.warn(unchanged, stacklevel=CALLER)
    return history


def _interruption(task: Task, history: History) -> str:
    """The sentences of a `TrainingInterrupted`."""
    done, epochs = len(history.accuracy), task.epochs
    place = "after its end" if done == epochs else f"in epoch {done + 1} of {epochs}, after {history.steps} steps"
    if history.unsaved:
        kept = f" {history.unsaved}"
    elif task.checkpoint is not None and Folder(task.checkpoint).holds_one():
        kept = f" Its checkpoint is in {Folder(task.checkpoint).path}: go on by resume=True."
    else:
        kept = ""
    how = "terminated" if history.stopped == "terminated" else "interrupted"
    return f"The training was {how} {place}.{kept} The history is in this exception's .history."
