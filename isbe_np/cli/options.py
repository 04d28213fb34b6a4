"""What several commands have in common: kinds of arguments, where results go, a second process to compile in."""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from pathlib import Path

from isbe_np import datasets, executors
from isbe_np.checks import whole
from isbe_np.storage import files
from isbe_np.storage.folders import user_path
from isbe_np.switch import KERNELS
from isbe_np.training.progress import Stages

DONE, WENT_WRONG, REFUSED, INTERRUPTED, PIPE, TERMINATED = 0, 1, 2, 130, 141, 143  # exit codes


def count(text: str) -> int:
    """An argument that counts something, at least 1."""
    try:
        return whole("this option", int(text))
    except ValueError as fault:
        raise argparse.ArgumentTypeError(f"expects a whole number of at least 1; got {text}") from fault


def numbers(text: str) -> list[float]:
    """An argument of numbers with commas between them."""
    try:
        return [float(part) for part in text.removesuffix(",").split(",")]
    except ValueError as fault:
        raise argparse.ArgumentTypeError(f"expects numbers with commas between them, such as 2,1,0.1; got {text!r}") from fault


def file_path(text: str) -> Path:
    """An argument that names a file."""
    return _path(text, "file")


def folder_path(text: str) -> Path:
    """An argument that names a folder."""
    return _path(text, "folder")


def name_or_folder(text: str) -> str:
    """An argument that is a name, or the path of a folder."""
    return str(folder_path(text)) if text.startswith("~") else text


def _path(text: str, kind: str) -> Path:
    try:
        return user_path("this option", text, kind)
    except (TypeError, ValueError) as fault:
        raise argparse.ArgumentTypeError(files.one_line(str(fault)).rstrip(".")) from fault


def add_data(parser, default: str | None) -> None:
    """Options that choose a data set."""
    own = default or "the study's own"
    parser.add_argument("--data", default=default, help=f"{', '.join(datasets.NAMES)} ({own})")
    parser.add_argument("--data-dir", type=folder_path, metavar="DIR", help="folder of the data sets (or set ISBE_DATA_DIR)")
    parser.add_argument("--unverified", action="store_true", help="take files that are not the official ones, such as a "
                                                                  "re-encoding, if their format is right")


def add_kernels(parser, default: str | None) -> None:
    """The second switch."""
    parser.add_argument("--kernels", default=default, help=f"{', '.join(KERNELS)}: loops as in the formula, or the engine's "
                                                           "(fast)")


def add_common(parser, run) -> None:
    """A seed, what `add_json` adds, and the function that runs the command."""
    parser.add_argument("--seed", type=int, default=0, help="of the parameters and the batches (%(default)s)")
    add_json(parser, run)


def add_json(parser, run) -> None:
    """A file for the results, what is said meanwhile, and the function that runs the command."""
    parser.add_argument("--json", type=file_path, metavar="FILE", help="also write the results there")
    parser.add_argument("--verbose", "-v", action="store_true", help="say on standard error what is being done")
    parser.set_defaults(run=run)


def check_outputs(given) -> None:
    """Refuse, before anything runs, a folder or file that could not be written at the end."""
    out, file = getattr(given, "out", None), given.json
    if hasattr(given, "check"):
        given.check(given)
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise OSError(f"--out expects a folder that can be written; {out} cannot be made ({fault.strerror}). "
                          f"Name another.") from fault
    for option, folder in (("--out", out), ("--json", file.resolve().parent if file else None)):
        try:
            if folder is not None:
                tempfile.TemporaryFile(dir=folder).close()  # permissions alone do not tell, of /proc for example
        except OSError as fault:
            raise OSError(f"{option} expects a folder that can be written; {folder} is none ({fault.strerror}). "
                          f"Make it, or name another.") from fault
    if file is not None and file.exists() and not file.is_file():
        raise OSError(f"--json expects the name of a file; {file} is a {'folder' if file.is_dir() else 'device'}. Name "
                      f"another.")


def write_json(given, result: dict) -> None:
    """Write the results where --json asks for them."""
    if given.json is not None:
        files.write_json(given.json, result)
        print(f"Results are in {given.json}")


def load_data(given, name: str, **options) -> datasets.Dataset:
    """The data set called `name`; a terminal shows that it is being read or drawn."""
    with Stages(f"isbe {given.command}") as stages:
        stages.begin(f"reading {name}")
        return datasets.load(name, given.data_dir, **options)


def second_process() -> AbstractContextManager[Executor]:
    """A process to compile in besides this one, which says what happened where both are stopped."""
    return executors.local(1)()
