"""Where isbe_np keeps files of its own on this machine."""

import os
import sys
from pathlib import Path


def cache_root() -> Path:
    """The user's cache folder for isbe_np, which may not exist yet; ``ISBE_CACHE_DIR`` moves it.

    Without it: ``~/Library/Caches/isbe_np`` on macOS, ``%LOCALAPPDATA%\\isbe_np`` on Windows and elsewhere
    ``$XDG_CACHE_HOME/isbe_np`` or ``~/.cache/isbe_np``. A RuntimeError says that there is no home folder.
    """
    moved = os.environ.get("ISBE_CACHE_DIR")
    if moved:
        return Path(moved)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "isbe_np"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "isbe_np"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "isbe_np"
