"""Small IDX files, and data sets of ten images in place of the real ones."""

import gzip
import hashlib
import http.server
import io
import struct
import tarfile
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from isbe_np.datasets import download
from isbe_np.datasets.catalogue import ENTRIES, File, Records

NAMES = [file.name for file in ENTRIES["mnist"].files]


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A machine without data: the cache folder is empty and ISBE_DATA_DIR is not set."""
    monkeypatch.setenv("ISBE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ISBE_DATA_DIR", raising=False)
    return tmp_path


@pytest.fixture
def idx_bytes():
    """A function from an array to the bytes of its IDX file."""
    return _idx_bytes


def _idx_bytes(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


@pytest.fixture
def shrink(monkeypatch):
    """A function that shrinks a data set to ten images, in place of its 70,000, until the end of the test."""

    def install(name, seed=0, content=True, mirrors=("https://nowhere.invalid/",)):
        random = np.random.default_rng(seed)
        arrays = [random.integers(0, 256, (6, 28, 28)), random.integers(0, 10, 6),
                  random.integers(0, 256, (4, 28, 28)), random.integers(0, 10, 4)]
        plain = dict(zip(NAMES, map(_idx_bytes, arrays), strict=True))
        packed = {file: gzip.compress(data, mtime=0) for file, data in plain.items()}
        files = tuple(File(file, array.shape, hashlib.sha256(packed[file]).hexdigest(),
                           hashlib.sha256(plain[file]).hexdigest() if content else None)
                      for file, array in zip(NAMES, arrays, strict=True))
        monkeypatch.setitem(ENTRIES, name, replace(ENTRIES[name], train=files[:2], test=files[2:], mirrors=mirrors))
        return SimpleNamespace(arrays=arrays, plain=plain, packed=packed)

    return install


@pytest.fixture
def shrink_cifar10(monkeypatch):
    """A function that shrinks CIFAR-10 to three records a file, and its archive with it, until the end of the test."""

    def install(mirrors=("https://nowhere.invalid/",)):
        random = np.random.default_rng(7)
        entry = ENTRIES["cifar10"]
        records = {file.name: np.hstack([random.integers(0, 10, (3, 1)), random.integers(0, 256, (3, 3072))]).astype(np.uint8)
                   for file in entry.files}
        plain = {name: array.tobytes() for name, array in records.items()}
        files = tuple(Records(name, (3, 3, 32, 32), hashlib.sha256(data).hexdigest()) for name, data in plain.items())
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name, data in {**plain, "readme.html": b"<html>", "batches.meta.txt": b"airplane"}.items():
                member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        archive = entry.archive._replace(sha256=hashlib.sha256(packed.getvalue()).hexdigest())
        monkeypatch.setitem(ENTRIES, "cifar10", replace(entry, train=files[:5], test=files[5:], mirrors=mirrors,
                                                        archive=archive))
        return SimpleNamespace(records=records, plain=plain, archive=packed.getvalue())

    return install


@pytest.fixture
def put():
    """A function that writes files, given as bytes by their names, to a folder, with a suffix to the names."""

    def write(folder: Path, files, suffix=".gz"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / (name + suffix)).write_bytes(data)
        return folder

    return write


@pytest.fixture
def impatience(monkeypatch):
    """No proxy for this machine, and no pause before a second round."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setattr(download, "PAUSE", 0)


@pytest.fixture
def server(tmp_path, impatience):
    """A web server on this machine for the files in the folder `web`; returns the folder, the address and the log."""
    web, log = tmp_path / "web", []
    web.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=web)

        def log_message(self, form, *values):
            log.append(form % values)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield web, f"http://127.0.0.1:{running.server_port}/", log
        running.shutdown()
