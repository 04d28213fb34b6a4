"""A file of named arrays and facts about them, which is believed only after it was checked.

It is an .npz, as np.savez writes it: a zip, uncompressed, of a .npy file for each array; np.load opens it. The facts are JSON
in its first member. Its last 64 bytes, the zip's comment, are the SHA-256 in hexadecimal of all bytes before them:

    head -c -64 checkpoint.npz | sha256sum; tail -c 64 checkpoint.npz

A sum shows damage, not intent: whoever writes a file can write its sum. Therefore `Archive` relies on no number in the file
before it has held it against others: every byte has its place, so that there is no room for a second member of a name, for
compressed ones or for anything else, and no array is made before the caller has said which ones, of which shapes, there must
be. Nothing in it is ever unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import numpy as np

from isbe_np.storage.files import DamagedFile, json_of, opened, replacing

FACTS = "facts.json"
SUM = 64  # characters of a SHA-256
MOST_BYTES = 2**31 - 1  # beyond it a zip needs other fields
MOST_FACTS = 2**22  # bytes
MOST_ARRAYS = 65_000
REMEDY = "Use another copy of the file, or make it anew."

LOCAL, CENTRAL, END = 30, 46, struct.Struct("<4s4H2LH")  # a zip's headers, the first two in bytes without the names in them
LONGEST_ENTRY = 1000  # bytes of a member's entry in the zip's list
PLAIN, LONGEST = 10, 1000  # bytes of a .npy file before the description of its array, and before its numbers

Kinds = Mapping[str, tuple[tuple[int, ...], np.dtype]]


def write(path: str | os.PathLike, facts: dict, arrays: Mapping[str, np.ndarray],
          previous: str | os.PathLike | None = None, follow: bool = True) -> int:
    """Write `facts`, plain data, and `arrays` by name to `path`, and return the number of bytes; see `files.replacing`.

    The same facts and arrays always give the same bytes. ValueError for more than 2 GB, 65,000 arrays, 4 MB of facts, or very
    long names.
    """
    text, size, most = json.dumps(facts, indent=1), sum(array.nbytes for array in arrays.values()), MOST_BYTES - 2 * MOST_FACTS
    if size > most or len(arrays) > MOST_ARRAYS or len(text) > MOST_FACTS:
        raise ValueError(f"{path} can hold {most:,} bytes in {MOST_ARRAYS:,} arrays and {MOST_FACTS:,} bytes of facts; "
                         f"got {size:,} in {len(arrays):,} and {len(text):,}. Save less.")
    if any(len(_file_of(name)) > LONGEST_ENTRY - CENTRAL for name in arrays):
        raise ValueError(f"{path} can hold arrays with names of some hundred letters; got one of {max(map(len, arrays)):,}. "
                         f"Give its layer a shorter name.")
    with replacing(path, previous, follow) as file:
        with zipfile.ZipFile(file, "w") as packed:
            packed.comment = b"0" * SUM
            packed.writestr(_member(FACTS), text)
            for name, array in arrays.items():
                with packed.open(_member(_file_of(name)), "w") as member:
                    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
                    np.lib.format.write_array(member, np.asarray(little, order="C"), (1, 0), allow_pickle=False)
        length = file.seek(-SUM, os.SEEK_END)
        if length + SUM > MOST_BYTES:
            raise ValueError(f"{path} can hold {MOST_BYTES:,} bytes; got {length + SUM:,}. Save less.")
        file.seek(0)
        digest = _sha256(file, length)
        file.seek(length)
        file.write(digest.encode())
    return length + SUM


class Archive:
    """A file that `write` wrote, open to be read: a context manager. `facts` can be read at once, arrays after `expect`.

    Whatever is wrong with a file is a `DamagedFile`, which is a ValueError; OSError where it cannot be read at all.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        with contextlib.ExitStack() as stack:
            self._file = stack.enter_context(opened(path, REMEDY))
            self._size = os.fstat(self._file.fileno()).st_size
            self._packed, self._members = self._open()
            self.facts = self._read_facts()
            self._stack = stack.pop_all()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()

    def fault(self, field: str, expected, got) -> DamagedFile:
        """The error to raise about this file."""
        return DamagedFile(self.path, field, str(expected), str(got), REMEDY)

    def _open(self) -> tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]:
        """The zip and its members by name, once the numbers in its headers agree with each other and with the file's length."""
        tail = END.size + SUM
        if not tail < self._size <= MOST_BYTES:
            raise self.fault("length", f"{tail + 1} to {MOST_BYTES:,} bytes", f"{self._size:,}")
        self._file.seek(self._size - tail)
        mark, disk, first, here, count, listed, start, comment = END.unpack(self._file.read(END.size))
        right = (b"PK\5\6", 0, 0, count, self._size - tail, SUM)
        came = (mark, disk, first, here, start + listed, comment)
        if came != right or not 0 < count <= MOST_ARRAYS + 1:
            raise self.fault("end of the zip", f"{right} and at most {MOST_ARRAYS + 1:,} members", f"{came} and {count:,}")
        self._file.seek(start)
        # zipfile makes an object of every entry that it finds there, however many it was told of. (An entry's mark may stand in
        # some number by chance.)
        if listed > count * LONGEST_ENTRY or not count <= self._file.read(listed).count(b"PK\1\2") <= 2 * count:
            raise self.fault("list of the zip", f"{count:,} members", f"{listed:,} bytes with others")
        try:
            packed = zipfile.ZipFile(self._file)
        except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError) as fault:
            raise self.fault("zip", "the headers of one", fault) from None
        members: dict[str, zipfile.ZipInfo] = {}
        place = 0
        for info in packed.infolist():
            plain = info.compress_type, info.flag_bits, info.file_size, info.header_offset, len(info.extra), len(info.comment)
            if info.filename in members or plain != (zipfile.ZIP_STORED, 0, info.compress_size, place, 0, 0):
                raise self.fault(f"member {info.filename!r}", f"one of this name, not compressed, at byte {place:,}",
                                 f"{plain}, {'a second one' if info.filename in members else 'the first'}")
            self._file.seek(place)
            if self._file.read(LOCAL + len(info.filename)) != info.FileHeader():
                raise self.fault(f"member {info.filename!r}", "the same header at its place as in the list", "another")
            members[info.filename] = info
            place += LOCAL + len(info.filename) + info.file_size
        names = sum(CENTRAL + len(name) for name in members)
        if (place, names, len(members)) != (start, listed, count):
            raise self.fault("zip", f"{count} members in {start:,} bytes and their list in {listed:,}",
                             f"{len(members)} members in {place:,} bytes and their list in {names:,}")
        return packed, members

    def _read_facts(self) -> Any:
        info = self._members.get(FACTS)
        if info is None or info.file_size > MOST_FACTS:
            raise self.fault(FACTS, f"a member of at most {MOST_FACTS:,} bytes", "none" if info is None else info.file_size)
        try:
            return json_of(self._read(info, info.file_size))
        except ValueError as fault:
            if isinstance(fault, DamagedFile):
                raise
            raise self.fault(FACTS, "JSON", fault) from None

    def expect(self, kinds: Kinds) -> None:
        """DamagedFile unless the file holds exactly these arrays, by name, of these shapes and dtypes, and its sum is right."""
        wanted = {FACTS, *map(_file_of, kinds)}
        if wanted != self._members.keys():
            lacks, odd = sorted(wanted - self._members.keys()), sorted(self._members.keys() - wanted)
            raise self.fault("arrays", f"{len(kinds)}, one for each of the model's",
                             f"{len(self._members) - 1}, without {lacks[:3]}" if lacks else f"also {odd[:3]}")
        for name, (shape, dtype) in kinds.items():
            info, size = self._members[_file_of(name)], math.prod(shape) * np.dtype(dtype).itemsize
            start = info.file_size - size  # of the numbers; before them it is told what they are
            if not PLAIN < start < LONGEST:
                raise self.fault(f"array {name!r}", f"{size:,} bytes and a header, for shape {shape} of {dtype}",
                                 f"{info.file_size:,} bytes")
            wanted_header, header = _header(shape, dtype, start), self._read(info, start)
            if header != wanted_header:
                raise self.fault(f"header of array {name!r}", wanted_header, header)
        self._file.seek(0)
        came, written = _sha256(self._file, self._size - SUM), self._file.read(SUM).decode("latin-1")
        if came != written:
            raise self.fault("SHA-256 of the content", written, came)
        self._kinds = dict(kinds)

    def array(self, name: str) -> np.ndarray:
        """The array of a name that was expected, a new one."""
        _, dtype = self._kinds[name]
        info = self._members[_file_of(name)]
        with self._reading(info), self._packed.open(info) as member:
            return np.lib.format.read_array(member, allow_pickle=False).astype(dtype, copy=False)

    @contextlib.contextmanager
    def _reading(self, info: zipfile.ZipInfo) -> Iterator[None]:
        """Whatever goes wrong with a member, its CRC included, is a fault of this file."""
        try:
            yield
        except (zipfile.BadZipFile, struct.error, EOFError, ValueError, NotImplementedError, RuntimeError) as fault:
            raise self.fault(f"member {info.filename!r}", "an undamaged one", fault) from None

    def _read(self, info: zipfile.ZipInfo, count: int) -> bytes:
        """The first `count` bytes of a member."""
        with self._reading(info), self._packed.open(info) as member:
            data = member.read(count)
        if len(data) != count:
            raise self.fault(f"member {info.filename!r}", f"{count:,} bytes", f"{len(data):,}")
        return data


def _member(name: str) -> zipfile.ZipInfo:
    """Without the time of day, which would give the same content other bytes, and may run backwards."""
    return zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))


def _file_of(name: str) -> str:
    """The member of an array, which leads nowhere but down, whoever unpacks it."""
    return quote(name, errors="surrogatepass").replace("..", "%2E%2E") + ".npy"


def _header(shape: tuple[int, ...], dtype, start: int) -> bytes:
    """What a .npy file of version 1.0 says before its numbers, which begin at `start`."""
    kind = f"{{'descr': {np.dtype(dtype).newbyteorder('<').str!r}, 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\1\0" + (start - PLAIN).to_bytes(2, "little") + kind.ljust(start - PLAIN - 1).encode() + b"\n"


def _sha256(file: IO[bytes], count: int) -> str:
    """Of the next `count` bytes, read piece by piece."""
    digest = hashlib.sha256()
    while count:
        piece = file.read(min(count, 2**20))
        if not piece:
            break
        digest.update(piece)
        count -= len(piece)
    return digest.hexdigest()
