"""Small IDX files, and data sets of ten images in place of the real ones."""

import gzip
import hashlib
import struct
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from isbe_np.datasets.catalogue import ENTRIES, File

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
        monkeypatch.setitem(ENTRIES, name, replace(ENTRIES[name], files=files, mirrors=mirrors))
        return SimpleNamespace(arrays=arrays, plain=plain, packed=packed)

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
