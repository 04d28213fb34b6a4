"""Where the command `isbe`, or ``python -m isbe_np``, looks for modules: never in the working folder.

Other people's files may lie there, such as a submission that is called ``numpy.py``. Imported by a program, the package leaves
the program's own search path alone. This module comes first, and imports only what Python has loaded before it looks anywhere.

``python -m`` itself looks in the working folder first, and finds an ``isbe_np`` there instead of this one. Nothing in here can
prevent that: in a folder of somebody else's, use `isbe` or ``python -P -m isbe_np``.
"""

import os
import sys

NAMES = ("isbe_np", "isbe_np.__main__")
SCRIPTS = ("isbe", "isbe.exe", "isbe-script.py")

def is_command() -> bool:
    """Whether this process was started as `isbe` or ``python -m isbe_np``, or is a worker of one."""
    given = getattr(sys, "argv", None) or [""]
    if given[0] == "-m":  # Python is looking for the module, whose name comes before its arguments, also as in -Bmisbe_np
        module = sys.orig_argv[-len(given)]
        return module in NAMES or (module.startswith("-") and module.endswith(tuple(f"m{name}" for name in NAMES)))
    folder, name = os.path.split(given[0])
    return name in SCRIPTS or (name == "__main__.py" and _same(folder, os.path.dirname(__file__)))


def leave_working_folder() -> None:
    """Take the working folder out of this process's search path and out of its children's, spawned workers included.

    A checkout that is run without being installed is found through the working folder, and comes last then.
    """
    try:
        here = os.getcwd()
    except OSError:  # a folder that was deleted holds no modules
        return
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    kept = [place for place in named if not _same(place, here)]
    by_environment = len(kept) < len(named) and not sys.flags.ignore_environment and named != [""]
    first = not sys.flags.safe_path and bool(sys.path) and _same(sys.path[0], here)
    if first:
        del sys.path[0]
    if by_environment:
        sys.path[:] = [place for place in sys.path if not _same(place, here)]
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if (first or by_environment) and _same(home, here) and home not in sys.path:
        sys.path.append(home)
    if any(kept):
        os.environ["PYTHONPATH"] = os.pathsep.join(kept)
    else:
        os.environ.pop("PYTHONPATH", None)
    os.environ["PYTHONSAFEPATH"] = "1"  # a spawned worker begins as `python -c`, which would look here too


def _same(place, here: str) -> bool:
    """Whether an entry of a search path is the folder `here`; an empty entry is the working folder."""
    try:
        return os.path.samefile(place or os.curdir, here)
    except (OSError, TypeError, ValueError):  # no such folder, or no path at all
        return False


if is_command():
    leave_working_folder()
