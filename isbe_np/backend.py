"""Imports matplotlib, also where MPLBACKEND names a backend that is not installed, as a child of a notebook may find it."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys

logger = logging.getLogger(__name__)
VARIABLE = "MPLBACKEND"


def import_matplotlib() -> None:
    """Import matplotlib; where MPLBACKEND names no backend that is here, by Agg, which a warning says. Figures are files.

    Does nothing where matplotlib is imported already: then its backend is the program's own choice.
    """
    given = wanted = os.environ.get(VARIABLE)
    if not given or "matplotlib" in sys.modules:
        return
    del os.environ[VARIABLE]  # or the import itself would fail
    import matplotlib
    try:
        if given.startswith("module://") and not _is_here(given.removeprefix("module://")):
            raise ValueError
        matplotlib.rcParams["backend"] = given
    except ValueError:
        matplotlib.rcParams["backend"] = given = "agg"
        logger.warning("MPLBACKEND is %r, and matplotlib finds no such backend here. Figures are drawn by Agg. Unset "
                       "MPLBACKEND, or install that backend.", wanted)
    os.environ[VARIABLE] = given  # processes started from here find one that works


def _is_here(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


import_matplotlib()
