"""What a training that should go on has otherwise than its checkpoint, and what to pass instead."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from isbe_np.storage.files import Misfit
from isbe_np.training import description
from isbe_np.training.augmentation import RENAMED
from isbe_np.training.optimizers import SGD, Optimizer
from isbe_np.training.schedules import SCHEDULES

DATA = "SHA-256 of the data"
ELSE = "or train in another folder."


def default_optimizer() -> Optimizer:
    """The optimizer of `train` where none is passed."""
    return SGD(0.05, momentum=0.9)


def refuse_another(file: Path, facts: dict[str, Any], run, settings: dict[str, Any]) -> None:
    """Misfit where network, data, settings, head or optimizer of `run` are not those of the checkpoint `file`."""
    who = f"train(resume) expects the training of {file}"
    gap = description.same_network(description.network(run.net), facts["network"])
    if gap:
        raise Misfit(f"{who}; that network has {gap}. Pass a network built like that one, {ELSE}")
    then = {"drop_last": False} | facts["training"]["settings"] | {DATA: facts["training"]["data"]}  # older ones dropped none
    for old, new in RENAMED.items():  # as the last release wrote it
        if (then.get("augment") or "").startswith(f"{old}("):
            then["augment"] = then["augment"].replace(old, new, 1)
    parts = [_setting(name, then.get(name), here) for name, here in settings.items()
             if here != then.get(name) and name not in (DATA, "batches")]
    parts += _head(facts["head"], description.head(run.head)) + _optimizer(facts["optimizer"], run.optimizer)
    if parts:
        raise Misfit(f"{who}. There {'; '.join(f'{there}, here {here}' for there, here, _ in parts)}. "
                     f"Pass {', '.join(remedy for _, _, remedy in parts)}, {ELSE}")
    if settings[DATA] != then[DATA] or settings["batches"] != then.get("batches"):
        raise Misfit(f"{who}; its data are others ({DATA} {then[DATA]:.12} there, {settings[DATA]:.12} here). Pass arrays of "
                     f"the same numbers, order, shape and dtype, {ELSE}")


def _setting(name: str, then: Any, now: Any) -> tuple[str, str, str]:
    """A setting of `train` there, here, and as it is to be passed."""
    from isbe_np.training.train import train
    default = " (the default)" if inspect.signature(train).parameters[name].default == now else ""
    value = repr(then) if not isinstance(then, str) or then in SCHEDULES else then  # others are named by their code
    return f"{name} is {then}", f"{now}{default}", f"{name}={value}"


def _head(then: dict[str, Any] | None, now: dict[str, Any]) -> list[tuple[str, str, str]]:
    others = [name for name in now if then is not None and then[name] != now[name] and name != "built_in"]
    if then is None or not others:
        return []
    there, here = (", ".join(f"{name}={told[name]!r}" for name in others) for told in (then, now))
    return [(f"the head has {there}", here, f"a head with {there}")]


def _optimizer(then: dict[str, Any], given: Optimizer) -> list[tuple[str, str, str]]:
    now = description.optimizer(given)
    if all(then[name] == now[name] for name in ("kind", "built_in", "settings")):
        return []
    default = description.optimizer(default_optimizer())
    named = all(now[name] == default[name] for name in ("kind", "built_in", "settings"))
    there, here = (f"{told['kind']}({', '.join(f'{name}={value!r}' for name, value in told['settings'].items())})"
                   for told in (then, now))
    return [(f"the optimizer is {there}", here + (" (the default)" if named else ""), f"optimizer={there}")]
