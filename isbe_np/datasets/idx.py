"""IDX files, the format of MNIST: a header of big-endian numbers, then one byte for each pixel or label.

The header is two zero bytes, a code for the type of the values, the number of dimensions, and each dimension in four
bytes (http://yann.lecun.com/exdb/mnist/). Whatever is wrong with a file, the answer is one ValueError, `DamagedFile`,
that names the file, the field, what was expected, what came and what to do; and no file can make the reader take more
memory than the expected size and a few buffers, nor read without end.
"""

import gzip
import hashlib
import io
import math
import os
import zlib

import numpy as np

from isbe_np.storage.files import DamagedFile, opened
from isbe_np.storage.folders import user_path

UNSIGNED_BYTE = 0x08
MOST_EXAMPLES = 100_000
REMEDY = "Get the file anew from where it came."
GZIP = b"\x1f\x8b"


class OtherContent(DamagedFile):
    """A file that may well be whole, but is not, or cannot be shown to be, the one that was published."""


class Bounded(io.RawIOBase):
    """What is read of `source`, or BadGzipFile after `most` bytes; `digest` is the SHA-256 of what was read."""

    def __init__(self, source, most: int):
        self._source, self._most, self._left, self.digest = source, most, most, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        size = self._source.readinto(buffer)
        self._left -= size
        if self._left < 0:
            raise gzip.BadGzipFile(f"more than {self._most:,} bytes")
        self.digest.update(memoryview(buffer)[:size])
        return size


def packed_size(content: int) -> int:
    """The most bytes that so many bytes may take compressed, with the names and comments that go with them."""
    return content + content // 100 + 65_536


def read_images(path: str | os.PathLike, count: int | None = None, *, remedy: str = REMEDY,
                gz: str | None = None, content: str | None = None) -> np.ndarray:
    """Images (N, 28, 28) uint8 of an IDX file, plain or compressed by gzip; `read` names the arguments and errors."""
    return read(path, (count, 28, 28), remedy=remedy, gz=gz, content=content)


def read_labels(path: str | os.PathLike, count: int | None = None, *, remedy: str = REMEDY,
                gz: str | None = None, content: str | None = None) -> np.ndarray:
    """Labels (N,) uint8, 0 to 9, of an IDX file; `read` names the arguments and errors."""
    labels = read(path, (count,), remedy=remedy, gz=gz, content=content)
    if labels.max(initial=0) > 9:
        at = int(labels.argmax())
        raise _fault(path, f"label {at}", "0 to 9", int(labels[at]), remedy)
    return labels


def read_pair(images: str | os.PathLike, labels: str | os.PathLike,
              remedy: str = REMEDY) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 28, 28) and labels (N,), both uint8, of two IDX files that must hold equally many."""
    x, y = read_images(images, remedy=remedy), read_labels(labels, remedy=remedy)
    if len(x) != len(y):
        raise _fault(labels, "number of labels", f"{len(x)}, one for each image of {images}", len(y), remedy)
    return x, y


def read(path: str | os.PathLike, shape: tuple[int | None, ...], *, remedy: str = REMEDY,
         gz: str | None = None, content: str | None = None) -> np.ndarray:
    """Array of unsigned bytes from an IDX file.

    Parameters
    ----------
    shape : the shape it must have; None stands for any length from 1 to 100,000.
    remedy : the last sentence of every error.
    gz, content : SHA-256 that the compressed file, or the data in it, must have, in hexadecimal.

    A ValueError reports the first fault found. An uncompressed file cannot be checked against `gz` and is refused.
    """
    path = user_path("read(path)", path)
    with opened(path, remedy) as raw:
        packed = raw.read(2) == GZIP
        raw.seek(0)
        if gz is not None and not packed:
            raise OtherContent(path, "compression", "the .gz file as published, the only form with a known SHA-256",
                               "an uncompressed copy", "Put the .gz it came from beside it, or else: " + remedy)
        source = Bounded(raw, packed_size(math.prod(length or MOST_EXAMPLES for length in shape)))
        try:
            with gzip.GzipFile(fileobj=io.BufferedReader(source), mode="rb") if packed else raw as stream:
                header, dimensions = _read_header(stream, path, shape, remedy)
                size = math.prod(dimensions)
                # One byte more than expected shows trailing bytes and makes gzip compare its own checksum.
                body = stream.read(size + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
            raise _fault(path, "gzip compression", "an undamaged file", str(fault), remedy) from fault
    if len(body) < size:
        raise _fault(path, "data", f"{size:,} bytes for the dimensions {dimensions}", f"{len(body):,} bytes", remedy)
    if len(body) > size:
        raise _fault(path, "data", f"the end of the file after {size:,} bytes", "trailing bytes", remedy)
    if gz is not None:
        _check_sum(path, "SHA-256 of the .gz file", gz, source.digest.hexdigest(), remedy)
    if content is not None:
        digest = hashlib.sha256(header)
        digest.update(body)
        _check_sum(path, "SHA-256 of the content", content, digest.hexdigest(), remedy)
    return np.frombuffer(body, np.uint8).reshape(dimensions)


def _read_header(stream, path, shape, remedy):
    length = 4 + 4 * len(shape)
    header = stream.read(length)
    fields = (("magic number", "00 00", header[:2].hex(" ")),
              ("type code", f"{UNSIGNED_BYTE:02x} (unsigned bytes)", header[2:3].hex()),
              ("number of dimensions", f"{len(shape):02x}", header[3:4].hex()),
              ("header", f"{length} bytes", f"{len(header)} bytes"))
    for field, expected, came in fields:
        if came != expected.partition(" (")[0]:
            raise _fault(path, field, expected, came or "the end of the file", remedy)
    dimensions = tuple(int(number) for number in np.frombuffer(header, ">u4", offset=4))
    for axis, (wanted, given) in enumerate(zip(shape, dimensions, strict=True)):
        if wanted is None and not 1 <= given <= MOST_EXAMPLES:
            raise _fault(path, f"dimension {axis}", f"1 to {MOST_EXAMPLES:,}", given, remedy)
        if wanted is not None and given != wanted:
            raise _fault(path, f"dimension {axis}", wanted, given, remedy)
    return header, dimensions


def _check_sum(path, field, expected, came, remedy):
    if came != expected:
        raise OtherContent(path, field, expected, came, remedy)


def _fault(path, field, expected, came, remedy):
    return DamagedFile(path, field, str(expected), str(came), remedy)
