"""CIFAR's binary files: records of one label byte and 3,072 pixel bytes, the red, green and blue planes of 32 x 32 pixels.

A file is nothing but records (https://www.cs.toronto.edu/~kriz/cifar.html): no header says what it is, so that its length,
its labels and its SHA-256 are all there is to check. Whatever is wrong is one ValueError, as in `idx`.
"""

import hashlib
import os

import numpy as np

from isbe_np.datasets.idx import REMEDY, OtherContent
from isbe_np.storage.files import DamagedFile, opened
from isbe_np.storage.folders import user_path

IMAGE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32  # bytes


def read(path: str | os.PathLike, count: int, *, remedy: str = REMEDY,
         content: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Images (count, 3, 32, 32) and labels (count,), both uint8, of a file of `count` records; views of what was read.

    remedy : the last sentence of every error. content : SHA-256 that the file must have, in hexadecimal.
    """
    path = user_path("read(path)", path)
    with opened(path, remedy) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size != count * RECORD:
            records = f"{size // RECORD:,} records" if size % RECORD == 0 else f"no multiple of {RECORD:,}"
            raise DamagedFile(path, "length", f"{count * RECORD:,} bytes, {count:,} records of {RECORD:,}",
                              f"{size:,} bytes, {records}", remedy)
        # The size above belongs to a file that may still change, so that it is not relied upon.
        body = stream.read(count * RECORD + 1)
    if len(body) != count * RECORD:
        got = f"{len(body):,} bytes" if len(body) < count * RECORD else "trailing bytes"
        raise DamagedFile(path, "length", f"{count * RECORD:,} bytes", got, remedy)
    labels = np.frombuffer(body, np.uint8).reshape(count, RECORD)[:, 0]
    if labels.max(initial=0) > 9:
        at = int(np.argmax(labels > 9))
        raise DamagedFile(path, f"label of record {at}", "0 to 9", str(labels[at]), remedy)
    if content is not None and (came := hashlib.sha256(body).hexdigest()) != content:
        raise OtherContent(path, "SHA-256 of the content", content, came, remedy)
    return np.frombuffer(body, np.uint8).reshape(count, RECORD)[:, 1:].reshape(count, *IMAGE), labels
