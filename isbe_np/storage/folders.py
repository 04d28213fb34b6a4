"""Paths that a user passes, and where isbe_np keeps files of its own on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def user_path(who: str, given: str | os.PathLike[str], kind: str = "file") -> Path:
    """The path that a user passed as `who`, by which it is used: ``~`` or ``~user`` at its start becomes that home folder.

    Every path goes through here once it comes from a call, an option or the environment. The result never begins with ``~``,
    so that it may go through here again. As text, "./~name" is a file that is called so.

    TypeError for what is no path, an empty one too. ValueError for a home folder that is not known, and for the character NUL.
    """
    text = os.fspath(given) if isinstance(given, (str, bytes, os.PathLike)) else None
    if not text or isinstance(text, bytes):
        mend = "Decode it with os.fsdecode." if text else f"Name a {kind}."
        raise TypeError(f"{who} expects the path of a {kind}; got {given!r}. {mend}")
    if "\0" in text:
        raise ValueError(f"{who} expects the path of a {kind}; got {text!r}, with the character NUL in it. Leave that out.")
    path = Path(os.path.expanduser(text))
    of_this_user = text[1:2] in ("", os.sep)
    if text.startswith("~") and (not path.is_absolute() or (of_this_user and _home_is_empty())):
        user = text[1:].replace(os.altsep or os.sep, os.sep).partition(os.sep)[0]
        why = f"no user {user!r} is known here" if user else "the home folder is not known"
        raise ValueError(f"{who} expects the path of a {kind}; got {text!r}, and {why}. Write the path in full.")
    return Path.cwd() / path if str(path).startswith("~") else path


def cache_root() -> Path:
    """The user's cache folder for isbe_np, which may not exist yet; ``ISBE_CACHE_DIR`` moves it.

    Without it: ``~/Library/Caches/isbe_np`` on macOS, ``%LOCALAPPDATA%\\isbe_np`` on Windows and elsewhere
    ``$XDG_CACHE_HOME/isbe_np`` or ``~/.cache/isbe_np``. A RuntimeError says that the home folder is not known.
    """
    try:
        if moved := os.environ.get("ISBE_CACHE_DIR"):
            return user_path("ISBE_CACHE_DIR", moved, "folder")
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "isbe_np"
        if sys.platform == "darwin":
            return _home() / "Library" / "Caches" / "isbe_np"
        if caches := os.environ.get("XDG_CACHE_HOME"):
            return user_path("XDG_CACHE_HOME", caches, "folder") / "isbe_np"
        return _home() / ".cache" / "isbe_np"
    except ValueError as fault:
        raise RuntimeError(str(fault)) from None


def _home() -> Path:
    home = Path.home()
    if not home.is_absolute() or _home_is_empty():
        raise RuntimeError("The home folder is not known. Set HOME, or ISBE_CACHE_DIR for the files of isbe_np.")
    return home


def _home_is_empty() -> bool:
    """Whether HOME is set to nothing, by which ``~/a`` would be ``/a``."""
    return os.name == "posix" and os.environ.get("HOME") == ""
