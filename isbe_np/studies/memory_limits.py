"""Does a head fit in memory? What each route needs, by prediction, and what may still be taken on this machine."""

from __future__ import annotations

import math
import os
from pathlib import Path

from isbe_np.heads import ROUTES

RUNS = (*ROUTES, "one pass")  # the last is route isbe by `Head.error`, which stores no soft scores
# Arrays (N, C) that each holds at its peak, besides J: soft scores, targets and error, but for the last, which holds the error
# alone; the two that need g also g; the factored one its product too.
ARRAYS = {"jacobian": 4, "factored": 5, "fused": 3, "isbe": 3, "one pass": 1}
BESIDE = 2  # arrays (N, C) that the study holds beside any: the scores, and the soft scores that one needs not
ITEM = 4  # bytes of a float32
# Of the memory that is available. As J grows with C², the cells of all powers of two together take 4/3 of the largest, so that
# even if each ran on a worker of its own, on one machine, they would fit.
SHARE = 1 / 2
UNKNOWN = 2**30  # bytes that are taken to be available where the system tells nothing
# Of a control group, by version: where its folders are, and its files of the most memory, of what is used, and the line of
# memory.stat that holds what of it is but a file's copy, which the system gives up when memory is asked for.
GROUPS = {2: ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
          1: ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")}


def predicted_bytes(run: str, batch: int, classes: int) -> int:
    """What a run holds at its peak beyond its scores, float32."""
    return ITEM * batch * classes * (ARRAYS[run] + (classes if run == "jacobian" else 0))


def refusal(run: str, batch: int, classes: int, available: int, limit: int) -> str:
    """Why a run must not be tried where so many bytes are available and J may have `limit`; empty where it may."""
    need = predicted_bytes(run, batch, classes)
    if run == "jacobian" and ITEM * batch * classes**2 > limit:
        return f"predicted {size(need)}, and J is beyond the package's limit of {size(limit)}"
    if need + ITEM * batch * classes * BESIDE > SHARE * available:
        return f"predicted {size(need)}, beyond {SHARE:.0%} of the {size(available)} available"
    return ""


def most_classes(batch: int, available: int, limit: int) -> tuple[int, int]:
    """Most classes for which route jacobian is within the package's limit, and within the share of what is available."""
    side = int(SHARE * available) // (ITEM * batch)  # C² + 2 half C ≤ side
    half = (ARRAYS["jacobian"] + BESIDE) // 2
    return math.isqrt(limit // (ITEM * batch)), math.isqrt(side + half**2) - half


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that may still be taken: what Linux says is available, within what the control groups of a container allow.

    Elsewhere half of the machine's memory, and `UNKNOWN` where not even that is told. `root` is where proc and sys are.
    """
    free = _linux(root)
    if free is None:
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
        except (AttributeError, OSError, ValueError):
            return UNKNOWN
    return max(0, min([free, *_groups(root)]))


def _linux(root: Path) -> int | None:
    numbers = _numbers(root / "proc/meminfo")
    return 1024 * numbers["MemAvailable:"] if "MemAvailable:" in numbers else None


def _groups(root: Path) -> list[int]:
    """What each group that this process is in, and each that holds one of those, has left."""
    left = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        version = 2 if number == "0" else 1
        if version == 1 and "memory" not in controllers.split(","):
            continue
        folder, most, used, spare = GROUPS[version]
        base = root / folder
        group = base / path.strip("/")
        for place in [group, *(parent for parent in group.parents if parent.is_relative_to(base))]:
            # in a container the path may be the host's, and the only folder there is the base
            try:
                limit, taken = int(_text(place / most)), int(_text(place / used))
            except ValueError:  # "max", or no such file
                continue
            left.append(limit - taken + _numbers(place / "memory.stat").get(spare, 0))
    return left


def _numbers(path: Path) -> dict[str, int]:
    """The second word of every line by the first, where it is a number."""
    lines = [line.split() for line in _text(path).splitlines()]
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def size(count: float) -> str:
    """Bytes to three digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
