"""Are the submissions apart from what the grader trusts and from where it writes? Links are followed one at a time."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

MOST_LINKS = 40


def passes_through(path: Path, place: Path) -> bool:
    """Whether `path` is `place`, lies in it, or is reached by a link in it; also where names differ, as by upper case."""
    try:
        wanted = os.stat(place)
    except OSError:
        return False  # there is no such place to pass through
    return any(_is(found, wanted) for found in _way(path))


def refuse_inside(out: Path, submissions: Path) -> None:
    """ValueError where the folder for results lies among the submissions, or is reached through them."""
    if submissions.is_dir() and passes_through(out, submissions):
        raise ValueError(f"--out expects a folder outside of the submissions, or it could be taken for one; got {out}. Name "
                         "another.")


def _is(path: Path, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.lstat(path), wanted)
    except OSError:
        return False


def _way(path: Path) -> list[Path]:
    """Each folder, link and file that the system meets on its way to `path`, as it reads ``..`` and links."""
    path = Path.cwd() / path
    at, found, links = Path(path.anchor), [Path(path.anchor)], 0
    rest = deque(path.parts[1:])
    while rest:
        part = rest.popleft()
        if part == os.pardir:
            at = at.parent
            continue
        at = at / part
        found.append(at)
        if at.is_symlink() and links < MOST_LINKS:
            links += 1
            target = Path(os.readlink(at))
            at = Path(target.anchor) if target.is_absolute() else at.parent
            rest.extendleft(reversed(target.parts[1:] if target.is_absolute() else target.parts))
    return found
