"""Whether a load that was given a damaged checkpoint came back with what the file says, or with one clear error."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drill.crew import Measured
from drill.rows import Outcome
from drill.subjects import Subject, said, state_of

SECONDS, MEGABYTES, PER_BYTE = 5.0, 32.0, 40.0  # what a load may take, and memory for each byte of the file besides
LETTERS = 2000  # of a clear error


class Loaded:
    """What a load gave: the network, head and optimizer, and where there are some, note, history and a training's place."""

    def __init__(self, net, head=None, optimizer=None, **rest):
        self.net, self.head, self.optimizer, self.rest = net, head, optimizer, rest


Load = Callable[[Path, Subject], Loaded]


def judged(load: Callable[[], Loaded], path: Path, original: dict[str, bytes] | None, canary: Path,
           passed: tuple | None = None) -> Outcome:
    """What became of a load of the file at `path`.

    original : the arrays and state that alone are right, or None where the file's own are, as an independent reader sees it.
    passed : the network and the optimizer that were passed and may not be changed by a load that fails.
    """
    before = state_of(*passed) if passed else None
    size = path.stat().st_size if path.is_file() else 0
    found = error = None
    with warnings.catch_warnings(record=True) as warned, Measured() as took:
        warnings.simplefilter("always")
        try:
            found = load()
        except Exception as fault:
            error = fault
    outcome = Outcome(loaded=error is None, seconds=took.seconds, megabytes=took.megabytes)
    if canary.exists():
        canary.rmdir()
        outcome.fault = "what was in the file has been run"
    elif warned:
        outcome.fault = f"a warning came of it: {warned[0].category.__name__}: {warned[0].message}"
    elif error is not None:
        outcome.fault = unclear(error, path)
        if before is not None and state_of(*passed) != before:  # type: ignore[misc]
            outcome.fault, outcome.wrong = f"what was passed has been changed, and yet an error came: {error}", True
    else:
        outcome.fault = other_than(found, path, original)
        outcome.wrong = bool(outcome.fault)
    if not outcome.fault and took.seconds > SECONDS:
        outcome.fault = f"it took {took.seconds:.1f} s"
    if not outcome.fault and took.megabytes > MEGABYTES + PER_BYTE * size / 2**20:
        outcome.fault = f"it took {took.megabytes:.0f} MB for a file of {size / 2**20:.1f} MB"
    return outcome


def unclear(error: Exception, path: Path) -> str:
    """What is wrong with an error: it should be one line that names the file; "" where nothing is."""
    told = str(error)
    if not isinstance(error, (ValueError, OSError)):
        return f"{type(error).__name__} came, not ValueError or OSError: {told[:300]!r}"
    if not told.isprintable() or len(told) > LETTERS or str(path) not in told:
        what = ("is no one line" if not told.isprintable() else f"has {len(told):,} letters" if len(told) > LETTERS
                else "does not name the file")
        return f"the error {what}: {type(error).__name__}: {told[:300]!r}"
    return ""


def other_than(found: Loaded, path: Path, original: dict[str, bytes] | None) -> str:
    """What is other in `found` than it should be; "" where nothing is."""
    if original is not None:
        return _gap(state_of(found.net, found.optimizer), original)
    try:
        facts, arrays = said(path)
    except Exception as fault:
        return f"it was loaded, and NumPy and zipfile cannot read it: {fault}"
    here = state_of(found.net, found.optimizer)
    if found.optimizer is None:
        arrays = {name: array for name, array in arrays.items() if not name.startswith("optimizer/")}
    wanted = {name: array for name, array in arrays.items() if not name.startswith("early/")}
    if gap := _gap({name: array for name, array in here.items() if name not in ("random", "steps")}, wanted):
        return gap
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20 * limit)  # facts may lie deep within each other
    try:
        return _facts_gap(found, facts)
    finally:
        sys.setrecursionlimit(limit)


def _gap(here: dict[str, Any], wanted: dict[str, Any]) -> str:
    if here.keys() != wanted.keys():
        return f"it has other arrays: {sorted(here.keys() ^ wanted.keys())[:4]}"
    return next((f"{name} is another" for name in here if here[name] != wanted[name]), "")


def _facts_gap(found: Loaded, facts: dict) -> str:
    """Where objects differ from what the facts tell of them."""
    net, told = found.net, facts["network"]
    nodes, places = told["nodes"], {node: n for n, node in enumerate(net.nodes)}
    pairs: list[tuple[str, Any, Any]] = [
        ("number of nodes", len(places), len(nodes)), ("dtype", net.dtype.name, told["dtype"]),
        ("reads", [[places[parent] for parent in node.inputs] for node in net.nodes], [node["reads"] for node in nodes]),
        ("random numbers", net.random.bit_generator.state, told["random"])]
    known: dict[Any, int] = {}
    for node, place in zip(net.nodes, nodes, strict=False):
        made = told["layers"][place["layer"]]
        pairs += [("place of a layer", known.setdefault(node.layer, place["layer"]), place["layer"]),
                  ("kind of a layer", type(node.layer).__name__.replace("InputLayer", "Input"), made["kind"])]
        pairs += [(f"setting {name} of {made['kind']}", getattr(node.layer, name, "missing"), value)
                  for name, value in made["settings"].items()]
    if found.optimizer is not None:
        optimizer = facts["optimizer"]
        pairs += [("optimizer", type(found.optimizer).__name__, optimizer["kind"]),
                  ("steps", found.optimizer.steps, optimizer["steps"])]
        pairs += [(f"optimizer's {name}", getattr(found.optimizer, name), value)
                  for name, value in optimizer["settings"].items()]
    if found.head is not None:
        pairs += [(f"head's {name}", getattr(found.head, name), facts["head"][name])
                  for name in ("route", "reduction", "strict")]
    pairs += [(name, value, facts[name]) for name, value in found.rest.items()]
    return next((f"{what} is {str(here)[:100]} where the file says {str(there)[:100]}" for what, here, there in pairs
                 if not alike(here, there)), "")


def alike(here: Any, there: Any) -> bool:
    """Whether an object's value is what JSON said: tuples are lists, a number may stand for a pair of it, NaN is NaN."""
    if isinstance(here, (tuple, list)):
        there = there if isinstance(there, list) else [there] * len(here)
        return len(here) == len(there) and all(map(alike, here, there))
    if isinstance(here, dict) and isinstance(there, dict):
        return here.keys() == there.keys() and all(alike(here[key], there[key]) for key in here)
    if isinstance(here, float) and math.isnan(here):
        return isinstance(there, float) and math.isnan(there)
    if isinstance(here, float) and isinstance(there, int) and not isinstance(there, bool):
        return here == float(there)
    return here == there and isinstance(here, bool) == isinstance(there, bool)
