"""Damage to a file's bytes: each function takes them and random numbers, and returns others, the same for the same numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

SUM = 64  # bytes of a checkpoint's SHA-256, at its end
Random = np.random.Generator


def reach(data: bytes, random: Random, most: int = 4096) -> tuple[int, int]:
    """Where a piece of `data` begins and ends, of at least a byte: short ones as often as long ones."""
    length = min(len(data), 1 + int(most ** random.random()))
    start = int(random.integers(0, len(data) - length + 1))
    return start, start + length


def flip_bits(data: bytes, random: Random) -> bytes:
    """One to eight bits turned over."""
    found = bytearray(data)
    for place in set(random.integers(0, 8 * len(data), random.integers(1, 9)).tolist()):
        found[place // 8] ^= 1 << place % 8
    return bytes(found)


def overwrite(data: bytes, random: Random) -> bytes:
    """A piece that holds other bytes: random ones, zeros or ones."""
    start, end = reach(data, random)
    piece = (random.bytes(end - start), bytes(end - start), b"\xff" * (end - start))[random.integers(3)]
    return data[:start] + piece + data[end:]


def truncate(data: bytes, random: Random) -> bytes:
    """Its beginning alone, which may be all but a byte."""
    return data[:-1 - int(len(data) ** random.random() - 1)]


def cut_front(data: bytes, random: Random) -> bytes:
    """Its end alone."""
    return data[1 + int(len(data) ** random.random() - 1):]


def extend(data: bytes, random: Random) -> bytes:
    """More at its end: random bytes, zeros, or itself once more."""
    count = 1 + int(100_000 ** random.random())
    return data + (random.bytes(count), bytes(count), data)[random.integers(3)]


def prepend(data: bytes, random: Random) -> bytes:
    """More before it."""
    count = 1 + int(10_000 ** random.random())
    return (random.bytes(count), b"#!/bin/sh\n", data)[random.integers(3)] + data


def drop(data: bytes, random: Random) -> bytes:
    """A piece missing."""
    start, end = reach(data, random)
    return data[:start] + data[end:]


def double(data: bytes, random: Random) -> bytes:
    """A piece twice, the second time elsewhere."""
    start, end = reach(data, random)
    at = int(random.integers(0, len(data) + 1))
    return data[:at] + data[start:end] + data[at:]


def swap(data: bytes, random: Random) -> bytes:
    """Two pieces in each other's place."""
    cuts = sorted(random.integers(0, len(data) + 1, 4).tolist())
    a, b, c, d = cuts
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def move(data: bytes, random: Random) -> bytes:
    """A piece copied over another, the length the same."""
    start, end = reach(data, random)
    at = int(random.integers(0, len(data) - (end - start) + 1))
    return data[:at] + data[start:end] + data[at + end - start:]


def garbage(data: bytes, random: Random) -> bytes:
    """Random bytes in place of all of it."""
    return random.bytes(int(random.integers(0, 2 * len(data))))


def blank(data: bytes, random: Random) -> bytes:
    """What a disk may give back after a crash: nothing, zeros in full length, or a beginning and then zeros."""
    start = int(random.integers(0, len(data)))
    return (b"", bytes(len(data)), data[:start] + bytes(len(data) - start))[random.integers(3)]


MUTATIONS: dict[str, Callable[[bytes, Random], bytes]] = {
    function.__name__: function for function in (flip_bits, overwrite, truncate, cut_front, extend, prepend, drop, double, swap,
                                                 move, garbage, blank)}


def mutated(name: str, data: bytes, random: Random) -> bytes:
    """`data` with the damage called `name`, and certainly other than before."""
    for _ in range(100):
        found = MUTATIONS[name](data, random)
        if found != data:
            return found
    raise ValueError(f"{name} left {len(data)} bytes as they were a hundred times")


def sealed(content: bytes) -> bytes:
    """The bytes of a checkpoint but for its sum, with a right one."""
    return content + hashlib.sha256(content).hexdigest().encode()


def resealed(data: bytes) -> bytes:
    """`data` with a right sum in place of its last bytes."""
    return sealed(data[:-SUM])
