"""IDX and CIFAR files of ten images, what is wrong with them, and what another reader sees in them."""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from drill.mutations import Random, mutated
from drill.zips import MEGABYTE
from isbe_np.datasets.catalogue import ENTRIES, File, Records

COUNTS = {"train": 6, "t10k": 4}
HEADERS = (b"\x1f\x8b\x08\x08\0\0\0\0\0\3" + b"n" * 200_000 + b"\0", b"\x1f\x8b\x08\x04\0\0\0\0\0\3\xff\xff" + b"e" * 65_535,
           b"\x1f\x8b\x08\x10\0\0\0\0\0\3" + b"c" * 50 + b"\0", b"\x1f\x8b\x08\xe0\0\0\0\0\0\3", b"\x1f\x8b\x07\0\0\0\0\0\0\3")


def idx(array: np.ndarray) -> bytes:
    """The bytes of an IDX file."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def arrays() -> dict[str, np.ndarray]:
    """Images and labels by the names of MNIST's files; the records of CIFAR-10's."""
    random = np.random.default_rng(11)
    found = {}
    for file in ENTRIES["mnist"].files:
        count = COUNTS[file.name.split("-")[0]]
        found[file.name] = random.integers(0, 256, (count, 28, 28), np.uint8) if "images" in file.name else \
            random.integers(0, 10, count).astype(np.uint8)
    for records in ENTRIES["cifar10"].files:
        found[records.name] = np.hstack([random.integers(0, 10, (3, 1)), random.integers(0, 256, (3, 3072))]).astype(np.uint8)
    return found


def shrunk() -> dict[str, bytes]:
    """Have this process know MNIST and CIFAR-10 as sets of ten images and of three records a file; their files by name."""
    content = {name: array.tobytes() if name.endswith(".bin") else idx(array) for name, array in arrays().items()}
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    packed = {name + ".gz": gzip.compress(data, mtime=0) for name, data in content.items() if not name.endswith(".bin")}
    published = {name: hashlib.sha256(data).hexdigest() for name, data in packed.items()}
    files = tuple(File(file.name, (COUNTS[file.name.split("-")[0]], *file.shape[1:]), published[file.name + ".gz"],
                       sums[file.name]) for file in ENTRIES["mnist"].files)
    records = tuple(Records(file.name, (3, 3, 32, 32), sums[file.name]) for file in ENTRIES["cifar10"].files)
    ENTRIES["mnist"] = replace(ENTRIES["mnist"], train=files[:2], test=files[2:])
    ENTRIES["kmnist"] = replace(ENTRIES["kmnist"], train=tuple(replace(file, content=None) for file in files[:2]),
                                test=tuple(replace(file, content=None) for file in files[2:]))
    ENTRIES["cifar10"] = replace(ENTRIES["cifar10"], train=records[:5], test=records[5:])
    return content | packed


def header(data: bytes, random: Random) -> bytes:
    """An IDX header that lies: another magic number, type, number of dimensions, or a dimension."""
    found = bytearray(data)
    place = int(random.integers(0, 4 + 4 * data[3]))
    if place < 4 or random.integers(2):
        found[place] = int(random.integers(256))
    else:
        start = place // 4 * 4
        found[start:start + 4] = struct.pack(">I", int(random.choice([0, 1, 5, 7, 99_999, 100_000, 100_001, 2**31, 2**32 - 1])))
    return bytes(found)


def longer(data: bytes, random: Random) -> bytes:
    """As many images as it says, which are too many, or all that are allowed and far fewer bytes."""
    count = int(random.choice([7, 100, 100_000]))
    return data[:4] + struct.pack(">I", count) + data[8:] + bytes(count if random.integers(2) else 0)


def packed_again(data: bytes, random: Random) -> bytes:
    """The content changed and compressed rightly."""
    content = gzip.decompress(data)
    content = (header, longer, lambda d, r: mutated(str(r.choice(["flip_bits", "truncate", "extend", "drop"])), d, r))[
        random.integers(3)](content, random)
    return gzip.compress(content, int(random.integers(1, 10)), mtime=0)


def members(data: bytes, random: Random) -> bytes:
    """Several gzip members: the content in two, empty ones before or behind, one too many, something else behind."""
    content = gzip.decompress(data)
    cut, many = int(random.integers(len(content))), int(random.choice([1, 100, 3000]))
    empty = gzip.compress(b"", mtime=0)
    return (gzip.compress(content[:cut]) + gzip.compress(content[cut:]), empty * many + data, data + empty * many, data + data,
            data + bytes(1 + many), data + b"x" * many, data + data[:9], gzip.compress(data))[random.integers(8)]


def bombs(data: bytes, random: Random) -> bytes:
    """Gigabytes of zeros behind a right header, or as the whole of it, in a few megabytes."""
    content = gzip.decompress(data)
    start = content[:4 + 4 * content[3]] if random.integers(2) else content[:4] + struct.pack(">I", 100_000) + content[8:16]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    begin = packer.compress(start if random.integers(3) else b"") + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\2\3" + begin + block * int(random.choice([20, 200, 4000])) + b"\3\0" + random.bytes(8)


def gzip_fields(data: bytes, random: Random) -> bytes:
    """Names, comments and more fields of any length, wrong sums and lengths."""
    if random.integers(2):
        return HEADERS[random.integers(len(HEADERS))] + data[10:]
    place = int(random.integers(1, 9))
    return data[:-place] + bytes([data[-place] ^ int(random.integers(1, 256))]) + data[len(data) - place + 1:]


def records(data: bytes, random: Random) -> bytes:
    """A record more or less, labels that are none, or records of CIFAR-100."""
    size = 3073
    return (data[:-size], data + data[:size], bytes([int(random.integers(10, 256))]) + data[1:], data[:size],
            b"".join(b"\1" + data[at:at + size] for at in range(0, len(data), size)), data * 100)[random.integers(6)]


OWN: dict[str, dict[str, Callable[[bytes, Random], bytes]]] = {
    "idx": {"header": header, "longer": longer},
    "gz": {"packed_again": packed_again, "members": members, "bombs": bombs, "gzip_fields": gzip_fields},
    "cifar": {"records": records}}


class Unreadable(ValueError):
    """Another reader sees nothing in a file."""


def unpacked(data: bytes, most: int) -> bytes:
    """The content of a file that may be compressed, by zlib alone, member by member."""
    if data[:2] != b"\x1f\x8b":
        return data
    found = b""
    while data.lstrip(b"\0"):
        data = data[:3] + bytes([data[3] & 0x1f]) + data[4:]  # flags of no meaning, which Python's gzip does not mind
        reader = zlib.decompressobj(31)
        try:
            found += reader.decompress(data, most - len(found))
        except zlib.error as fault:
            raise Unreadable(str(fault)) from None
        if not reader.eof:
            raise Unreadable("it has no end, or is too long")
        data = reader.unused_data
    return found


def seen(data: bytes, most: int = 10**6) -> np.ndarray:
    """The array in an IDX file, as the format's description has it."""
    content = unpacked(data, most)
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise Unreadable("no IDX file of bytes")
    shape = struct.unpack_from(f">{content[3]}I", content, 4)
    numbers = content[4 + 4 * content[3]:]
    if len(numbers) != int(np.prod(shape, dtype=object)):
        raise Unreadable("another length than its dimensions say")
    return np.frombuffer(numbers, np.uint8).reshape(shape)
