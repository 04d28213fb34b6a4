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
    return any(_is(folder, wanted) for found in _way(path) for folder in (found, *found.parents))


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
    """The links that the system follows to `path`, and the place where they end, each without a link above it."""
    path = Path.cwd() / path
    at, found = Path(path.anchor), list[Path]()
    rest = deque(path.parts[1:])
    while rest:
        part = rest.popleft()
        if part == os.pardir:
            at = at.parent
        elif (at / part).is_symlink() and len(found) < MOST_LINKS:
            found.append(at / part)
            target = Path(os.readlink(at / part))
            at = Path(target.anchor) if target.is_absolute() else at
            rest.extendleft(reversed(target.parts[1:] if target.is_absolute() else target.parts))
        else:
            at = at / part
    return [*found, at]
