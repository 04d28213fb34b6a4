"""Checkpoints: a network with all that goes on training it, or runs it, in one file that is checked before it is believed.

The file's form is that of `isbe_np.storage.archive`: an .npz. Of a file from somebody else nothing is run. Layers, heads and
optimizers are made of the classes in `description`, or of those you pass. Numbers go into them only after every name, shape
and size was found right. What its numbers are worth is another question: whoever wrote the file chose them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isbe_np.environment import describe
from isbe_np.graph import Graph
from isbe_np.graph_nodes import names_of, wanted_arrays
from isbe_np.heads import Head
from isbe_np.layers import Layer, Node
from isbe_np.storage import archive
from isbe_np.storage.files import DamagedFile, Misfit, one_line
from isbe_np.storage.folders import user_path
from isbe_np.storage.json_data import misfit, plain
from isbe_np.training import description
from isbe_np.training.history import History
from isbe_np.training.optimizers import Optimizer

FORMAT, VERSION = "isbe_np checkpoint", 1
HISTORY = {**{name: [float] for name in ("accuracy", "train_accuracy", "loss", "gradient_norm", "learning_rate", "seconds")},
           "steps": int, **{name: (None, str) for name in ("stopped", "diagnosis", "warning", "unsaved")}}
# Where a training is: at the batch `batch` of the epoch `epoch`, with what the epoch added up so far.
TRAINING = {"settings": dict, "data": str, "epoch": int, "batch": int, "early": int,
            "sums": {"seconds": float, "steps": int, "seen": int, "right": int, "loss": float, "norm": float}}
FACTS = {"format": str, "version": int, "network": description.NETWORK, "head": (None, description.HEAD),
         "optimizer": (None, description.OPTIMIZER), "history": (None, HISTORY), "training": (None, TRAINING), "note": object,
         "environment": dict}
EARLY = "early/scores"
MOST_SLOTS = 8


@dataclass
class Checkpoint:
    """What a file held. `head` and `optimizer` are None where it held none, or one of your own that was not passed.

    history: of the training so far, or None. note: what was given to be kept beside. environment: versions, machine and
    threads when it was saved. training: where in a training it was saved, plain data, or None; early: the scores of its
    first examples, (n, ..., C), or None.
    """

    net: Graph
    head: Head | None
    optimizer: Optimizer | None
    history: History | None
    note: Any
    environment: dict
    training: dict | None = None
    early: np.ndarray | None = None


def save_checkpoint(path: str | os.PathLike, net: Graph, head: Head | None = None, optimizer: Optimizer | None = None,
                    history: History | None = None, note: Any = None) -> None:
    """Save `net`, and what is given besides, to the file `path`, whole or not at all.

    Parameters
    ----------
    path : by custom it ends in .npz. A file there is replaced; it stays beside the new one with ".previous" in its name.
    note : anything of your own to keep with it, in dicts, lists, text and numbers, such as the classes' names.

    Saved of the network are its layers, parameters, running statistics and the state of its random numbers; of the
    optimizer its settings, steps and memory; of the head its settings. OSError where the file cannot be written: then `path`
    is as it was. TypeError for a note that is no plain data, ValueError for more than 2 GB.
    """
    refuse_others("save_checkpoint", net=net, **_given(head=head, optimizer=optimizer))
    with net.exclusive():
        write(user_path("save_checkpoint(path)", path), net, head, optimizer, history, note)


def refuse_others(who: str, **given) -> None:
    """TypeError for a `net`, `head` or `optimizer` that is none."""
    for name, kind in (("net", Graph), ("head", Head), ("optimizer", Optimizer)):
        if name in given and not isinstance(given[name], kind):
            raise TypeError(f"{who}({name}) expects an isbe_np {kind.__name__}; got {given[name]!r}.")


def _given(**options) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def write(path: Path, net: Graph, head: Head | None, optimizer: Optimizer | None, history: History | None, note: Any,
          training: dict | None = None, early: np.ndarray | None = None, environment: dict | None = None) -> int:
    """`save_checkpoint` with a training's place in it; returns the number of bytes."""
    facts = {"format": FORMAT, "version": VERSION, "network": description.network(net),
             "head": None if head is None else description.head(head),
             "optimizer": None if optimizer is None else description.optimizer(optimizer),
             "history": None if history is None else plain(asdict(history)), "training": training, "note": plain(note),
             "environment": plain(environment or describe(paths=False))}
    arrays = {f"parameters/{parameter.name}": parameter.value for parameter in net.parameters()}
    arrays |= {f"state/{name}": array for name, array in net.state().items()}
    for n, slot in enumerate([] if optimizer is None else optimizer.memory):
        arrays |= {f"optimizer/{n}/{name}": array for name, array in net.parts(slot).items()}
    if early is not None:
        arrays[EARLY] = early
    # A training chose the file's name itself, in a folder where somebody may have put a link of that name.
    return archive.write(path, facts, arrays, previous_of(path), training is None)


def previous_of(path: Path) -> Path:
    """Where the file that was at `path` before is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def load_network(path: str | os.PathLike, layers: Iterable[type[Layer]] = ()) -> Graph:
    """The network of a checkpoint, made from the file alone; see `load_checkpoint`."""
    return load_checkpoint(path, layers=layers).net


def load_checkpoint(path: str | os.PathLike, net: Graph | None = None, head: Head | None = None,
                    optimizer: Optimizer | None = None, layers: Iterable[type[Layer]] = ()) -> Checkpoint:
    """What `save_checkpoint`, or a training, saved in the file `path`.

    Parameters
    ----------
    net, head, optimizer : to be filled and returned instead of new ones: a network of the same layers, the others of the same
        settings. An object with a class of your own is only loaded this way.
    layers : classes of layers of your own that may be made besides those of isbe_np.

    ValueError says what is wrong with a damaged or foreign file, or what does not fit what you passed, before anything in those
    is changed; OSError that it cannot be read. Nothing in the file is executed, and loading it takes memory by its length
    alone; running a network takes what its layers need, which `Graph.memory` tells beforehand.
    """
    return read(path, net, head, optimizer, layers)


def read(path: str | os.PathLike, net: Graph | None = None, head: Head | None = None, optimizer: Optimizer | None = None,
         layers: Iterable[type[Layer]] = (), check: Callable[[dict], None] | None = None) -> Checkpoint:
    """`load_checkpoint`, with a `check` of the facts that may refuse them before anything is filled."""
    refuse_others("load_checkpoint", **_given(net=net, head=head, optimizer=optimizer))
    # Before anything is blamed on the file.
    passed = {"network": net and description.network(net), "head": head and description.head(head),
              "optimizer": optimizer and description.optimizer(optimizer)}
    with archive.Archive(user_path("load_checkpoint(path)", path)) as file:
        facts = _checked(file)
        if check is not None:
            check(facts)
        told = facts["network"]
        try:
            nodes = description.nodes_of(told, layers) if net is None else net.nodes
            _refuse_misfits(file, facts, passed)
            made_head = head or (facts["head"] and description.make_head(facts["head"])) or None
            made_optimizer = _made_optimizer(file, facts["optimizer"], optimizer)
            kinds = _arrays(nodes, facts)
            for name in ("note", "environment"):
                plain(facts[name])  # TypeError where it lies so deep that it could not be saved again
            random = np.random.default_rng(0)
            description.set_random(random, told["random"])
        except Misfit as fault:
            raise Misfit(str(fault) if str(file.path) in str(fault) else f"{file.path}: {fault}") from None
        except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as fault:
            if isinstance(fault, DamagedFile):
                raise
            raise file.fault("facts", "those of a network that can be made", fault) from None
        file.expect(kinds)
        arrays = {name: file.array(name) for name in kinds}
    if net is None:
        net = Graph(nodes[0], nodes[-1], seed=told["seed"], dtype=description.DTYPES[told["dtype"]], fuse=told["fuse"])
    with net.exclusive():
        _fill(net, made_optimizer, facts, arrays)
        net.random.bit_generator.state = random.bit_generator.state
    history = None if facts["history"] is None else _history(facts["history"])
    return Checkpoint(net, made_head, made_optimizer, history, facts["note"], facts["environment"], facts["training"],
                      arrays.get(EARLY))


def _history(told: dict[str, Any]) -> History:
    """A history out of a file, with text that may be shown."""
    shown: dict[str, Any] = {name: one_line(value) if isinstance(value, str) else value for name, value in told.items()}
    return History(**shown)


def _checked(file: archive.Archive) -> dict[str, Any]:
    """The facts of a file, once all their names and types are right."""
    facts = file.facts
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise file.fault("format", f"{FORMAT!r}", repr(facts.get("format") if isinstance(facts, dict) else facts))
    if facts.get("version") != VERSION:
        raise Misfit(f"{file.path} is of version {facts.get('version')!r}; this isbe_np reads {VERSION}. Use the one that "
                     f"wrote it.")
    fault = misfit(facts, FACTS)
    if fault is not None:
        raise file.fault(*fault)
    _refuse_negative(file, facts)
    return facts


def _refuse_negative(file: archive.Archive, facts: dict) -> None:
    """DamagedFile where something that is counted is no count."""
    counted = [facts["optimizer"] and facts["optimizer"]["steps"], facts["history"] and facts["history"]["steps"]]
    if facts["training"] is not None:
        training = facts["training"]
        counted += [training[name] for name in ("epoch", "batch", "early")]
        counted += [training["sums"][name] for name in ("steps", "seen", "right", "seconds")]
    if any(count is not None and not 0 <= count < 2**53 for count in counted):
        raise file.fault("counts", "numbers from 0 on", counted)


def _refuse_misfits(file: archive.Archive, facts: dict, passed: dict) -> None:
    """Misfit where what was passed, as plain data, is not as the file tells."""
    gap = passed["network"] and description.same_network(passed["network"], facts["network"])
    if gap:
        raise Misfit(f"load_checkpoint expects the network that {file.path} was saved from; the file has {gap}. Pass such a "
                     f"network, or none.")
    for name in ("head", "optimizer"):
        here, told = passed[name], facts[name]
        if here is None:
            continue
        if told is None:
            raise Misfit(f"load_checkpoint was passed a {name}, and {file.path} holds none. Leave it out.")
        pairs = [(key, told[key], here[key]) for key in here if key not in ("steps", "slots", "settings")]
        then, now = told.get("settings", {}), here.get("settings", {})
        pairs += [(key, then.get(key), now.get(key)) for key in then | now]
        for key, then, now in pairs:
            if then != now:
                raise Misfit(f"load_checkpoint expects the {name} that {file.path} was saved with, {key} {then}; got {now}. "
                             f"Pass one of the same settings, or none.")


def _made_optimizer(file: archive.Archive, told: dict | None, passed: Optimizer | None) -> Optimizer | None:
    made = passed or (told and description.make_optimizer(told)) or None
    if made is not None and told is not None and told["slots"] != made.slots and (told["slots"] or told["steps"]):
        raise file.fault("optimizer", f"{made.slots} arrays beside the parameters", told["slots"])
    return made


def _arrays(nodes: list[Node], facts: dict) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Name, shape and dtype of every array that there must be in the file; none is made."""
    dtype, names = description.DTYPES[facts["network"]["dtype"]], names_of(nodes)
    shapes = {kind: {name: weights.shape for name, weights in wanted_arrays(nodes, names, kind).values()}
              for kind in ("weights", "state")}
    kinds = {f"parameters/{name}": shape for name, shape in shapes["weights"].items()}
    kinds |= {f"state/{name}": shape for name, shape in shapes["state"].items()}
    slots = 0 if facts["optimizer"] is None else facts["optimizer"]["slots"]
    if not 0 <= slots <= MOST_SLOTS:
        raise ValueError(f"its optimizer should keep up to {MOST_SLOTS} arrays; it keeps {slots}")
    for n in range(slots):
        kinds |= {f"optimizer/{n}/{name}": shape for name, shape in shapes["weights"].items()}
    if facts["training"] is not None and facts["training"]["early"]:
        kinds[EARLY] = facts["training"]["early"], *nodes[-1].shape
    if sum(map(math.prod, kinds.values())) > archive.MOST_BYTES:
        raise ValueError("its arrays should be no larger than a file can be")
    return {name: (shape, dtype) for name, shape in kinds.items()}


def _fill(net: Graph, optimizer: Optimizer | None, facts: dict, arrays: dict[str, np.ndarray]) -> None:
    """Put the arrays where they belong."""
    for parameter in net.parameters():
        parameter.value[...] = arrays[f"parameters/{parameter.name}"]
    for name, array in net.state().items():
        array[...] = arrays[f"state/{name}"]
    if optimizer is not None:
        told = facts["optimizer"]
        optimizer.adopt(net, told["steps"])
        for n, slot in enumerate(optimizer.memory[:told["slots"]]):
            for name, part in net.parts(slot).items():
                part[...] = arrays[f"optimizer/{n}/{name}"]
