"""Section: downloads from mirrors that stall, break off, lie, redirect, never stop, or are not there."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import isbe_np as isbe
from drill import crew, datafiles, servers
from drill.crew import Measured
from drill.judge import LETTERS
from drill.rows import Drill, Outcome, Row, number
from isbe_np.datasets import download, web
from isbe_np.datasets.catalogue import ENTRIES

TIMEOUT, SPAN, LEAST, ROUNDS = 0.4, 0.8, 2000, 2  # patience with one server: little, so that the drill has an end
SECONDS, MEGABYTES = 60.0, 64.0
ARCHIVE = "cifar-10-binary.tar.gz"


@dataclass(frozen=True)
class Case:
    """What is fetched from which mirrors in which order, and what lies in the folder before: nothing, a part, a wrong file."""

    folder: Path
    name: str
    mirrors: tuple[str, ...]
    before: str
    seed: int

    @property
    def what(self) -> str:
        return f"{self.name} from {', '.join(self.mirrors)}, {self.before} there before"


def archive(content: dict[str, bytes]) -> bytes:
    """CIFAR-10's archive of the files in `content`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def attempt(case: Case) -> Outcome:
    """Fetch, with little patience, and see what is in the folder then."""
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    os.environ.pop("ISBE_DATA_DIR", None)
    web.TIMEOUT, web.SPAN, web.LEAST, download.ROUNDS, download.PAUSE = TIMEOUT, SPAN, LEAST, ROUNDS, 0.01
    files = datafiles.shrunk()
    files[ARCHIVE] = archive({name: data for name, data in files.items() if name.endswith(".bin")})
    sent = [name for name in files if (name.endswith("ubyte.gz") if case.name == "mnist" else name == ARCHIVE)]
    wanted = {name for name in files if (name.endswith("ubyte.gz") if case.name == "mnist" else name.endswith(".bin"))}
    place, random = case.folder / f"try{os.getpid()}", np.random.default_rng(case.seed)
    folder = place / case.name
    folder.mkdir(parents=True)
    try:
        prepare(folder, case.before, {name: files[name] for name in sent}, random)
        with servers.running(files) as address:
            mirrors = tuple("http://127.0.0.1:9/" if mirror == "nobody" else f"{address}{mirror}/" for mirror in case.mirrors)
            sha256 = hashlib.sha256(files[ARCHIVE]).hexdigest()
            packed = ENTRIES["cifar10"].archive
            ENTRIES["cifar10"] = replace(ENTRIES["cifar10"], archive=packed._replace(sha256=sha256), mirrors=mirrors)
            ENTRIES["mnist"] = replace(ENTRIES["mnist"], mirrors=mirrors)
            with Measured() as took:
                error = None
                try:
                    isbe.datasets.fetch(case.name, place)
                except Exception as fault:
                    error = fault
        outcome = Outcome(loaded=error is None, seconds=took.seconds, megabytes=took.megabytes)
        outcome.fault, outcome.wrong = judged(case, folder, error, {name: files[name] for name in wanted})
        if not outcome.fault and (took.seconds > SECONDS or took.megabytes > MEGABYTES):
            outcome.fault = f"it took {took.seconds:.1f} s and {took.megabytes:.0f} MB"
        return outcome
    finally:
        shutil.rmtree(place, ignore_errors=True)


def prepare(folder: Path, before: str, files: dict[str, bytes], random: np.random.Generator) -> None:
    """What is in the folder when the download begins."""
    for name, data in files.items():
        half = data[:int(random.integers(1, len(data)))]
        if before == "a right part":
            (folder / (name + ".part")).write_bytes(half)
        elif before == "a wrong part":
            (folder / (name + ".part")).write_bytes(half[::-1])
        elif before == "a part that is too long":
            (folder / (name + ".part")).write_bytes(data + bytes(10))
        elif before == "a wrong file":
            (folder / name).write_bytes(half)
        elif before == "a pipe":
            os.mkfifo(folder / (name + ".part"))


def judged(case: Case, folder: Path, error: Exception | None, wanted: dict[str, bytes]) -> tuple[str, bool]:
    """What is wrong, and whether a wrong file would be used."""
    there = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    wrong = [name for name, data in wanted.items() if name in there and there[name] != data]
    if wrong and case.before != "a wrong file":
        return f"{wrong[0]} is there and is not right", True
    if error is None:
        lacks = [name for name, data in wanted.items() if there.get(name) != data]
        odd = [name for name in there if name not in wanted]
        return (f"it ended well, without {lacks[0]}" if lacks else f"it ended well and left {odd}" if odd else ""), bool(lacks)
    told = str(error)
    if not isinstance(error, OSError):
        return f"{type(error).__name__} came, not OSError: {told[:300]}", False
    if not told.isprintable() or len(told) > LETTERS + 500 * len(case.mirrors):
        return f"this is no clear error: {told[:300]!r}", False
    if str(folder) not in told or "by hand" not in told:
        return f"it does not say where to put the file: {told[:300]}", False
    if set(case.mirrors) & set(servers.GOOD):
        return f"a good mirror was there, and yet: {told[:500]}", False
    return "", False


def cases(drill: Drill, folder: Path) -> list[Case]:
    """Each bad mirror alone, then with others in any order; the same for the same seed but for `folder`."""
    random = np.random.default_rng(number(drill.seed, "downloads"))
    parts = ("nothing", "nothing", "a right part", "a wrong part", "a part that is too long", "a wrong file", "a pipe")
    quick = [mirror for mirror in servers.BAD if mirror not in ("silent", "trickles", "trickles_headers", "stalls")]
    found = []
    for n in range(drill.of(24, 300)):
        bad = [str(random.choice(quick if drill.short and n % 4 else servers.BAD)) for _ in range(random.integers(1, 3))]
        if n < len(servers.BAD) and not drill.short:
            bad = [servers.BAD[n]]
        mirrors = [*bad, str(random.choice(servers.GOOD))] if n % 3 else bad
        found.append(Case(folder, "cifar10" if n % 5 == 4 else "mnist", tuple(mirrors), str(random.choice(parts)),
                          int(random.integers(2**32))))
    return found


def section(drill: Drill) -> list[Row]:
    """Fetch from each choice of mirrors."""
    todo, row = cases(drill, drill.place("downloads")), Row("downloads, mirrors that misbehave")
    with drill.bar(len(todo), "downloads") as bar, suppress(KeyboardInterrupt):
        for case, outcome in zip(todo, crew.tried(attempt, todo, 2 * drill.workers, 120, bar), strict=True):
            row.add(outcome, case.what)
    return [row]
