"""Files written whole or not at all."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` to `path`, which never holds a part of it: a new file takes the place of the old one."""
    path = Path(path).resolve()  # a link stays, what it points to is replaced
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_json(path: str | os.PathLike, result: dict) -> None:
    """Write `result` to `path` whole or not at all; a number that is not finite is written as its name in quotes."""
    write_text(path, json.dumps(_plain(result), indent=1, allow_nan=False) + "\n")


def _umask() -> int:
    """What new files may not be; there is no way to ask but to set it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
