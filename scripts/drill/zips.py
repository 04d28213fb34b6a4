"""A zip written field by field, so that each of its numbers can lie, by a writer that is not the package's."""

from __future__ import annotations

import functools
import io
import struct
import zipfile
import zlib
from dataclasses import dataclass, field

from drill.mutations import sealed

LOCAL, CENTRAL, END = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s4H2LH")
MEGABYTE = 2**20


@dataclass
class Member:
    """A member: its name, its bytes as they are stored, and fields of its two headers that are to say something else."""

    name: bytes
    data: bytes
    content: bytes | None = None  # before it was compressed; None where that is `data`
    method: int = 0
    flags: int = 0
    local: dict = field(default_factory=dict)
    central: dict = field(default_factory=dict)
    extra: bytes = b""  # of both headers
    comment: bytes = b""
    before: bytes = b""  # between the member before it and its header

    def fields(self, lies: dict) -> dict:
        """What both headers say of it."""
        content = self.data if self.content is None else self.content
        return {"needed": 20, "flags": self.flags, "method": self.method, "time": 0, "date": 33, "crc": zlib.crc32(content),
                "packed": len(self.data), "size": len(content), "name": len(self.name), "extra": len(self.extra)} | lies


@dataclass
class Zip:
    """All members and what lies around them; `end` says something else in the last header."""

    members: list[Member]
    end: dict = field(default_factory=dict)
    prefix: bytes = b""
    between: bytes = b""  # the members and their list
    behind: bytes = b""  # the list, before the last header
    comment: int = 64

    def build(self) -> bytes:
        """The bytes of the file, with a right SHA-256."""
        body, listed, starts = bytearray(self.prefix), bytearray(), []
        for member in self.members:
            body += member.before
            starts.append(len(body))
            body += LOCAL.pack(b"PK\3\4", *(n % 2**32 if k > 4 and k < 8 else n % 2**16 for k, n in
                                            enumerate(member.fields(member.local).values()))) + member.name + member.extra
            body += member.data
        body += self.between
        for member, start in zip(self.members, starts, strict=True):
            f = member.fields({})
            rest = {"comment": len(member.comment), "disk": 0, "internal": 0, "external": 0o600 << 16, "start": start}
            f = f | rest | member.central
            wide = ("crc", "packed", "size", "external", "start")
            numbers = {name: n % 2**(32 if name in wide else 16) for name, n in f.items()}
            listed += CENTRAL.pack(b"PK\1\2", 20 | 3 << 8, *numbers.values()) + member.name + member.extra + member.comment
        start = len(body)
        count = len(self.members)
        end = {"disk": 0, "first": 0, "here": count, "count": count, "listed": len(listed), "start": start,
               "comment": self.comment} | self.end
        last = [n % 2**(32 if name in ("listed", "start") else 16) for name, n in end.items()]
        return sealed(bytes(body + listed + self.behind) + END.pack(b"PK\5\6", *last))


def taken_apart(data: bytes) -> Zip:
    """The members of a right checkpoint; `build` makes the same bytes of them."""
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        return Zip([Member(info.orig_filename.encode(), packed.read(info)) for info in packed.infolist()])


def npy(description: str, numbers: bytes, version: tuple[int, int] = (1, 0), length: int | None = None) -> bytes:
    """A .npy file whose header says whatever `description` is."""
    text = description.encode("utf-8")
    wide = 2 if version[0] == 1 else 4
    pad = -(8 + wide + len(text) + 1) % 64
    text += b" " * pad + b"\n"
    told = len(text) if length is None else length
    return b"\x93NUMPY" + bytes(version) + (told % 2**(8 * wide)).to_bytes(wide, "little") + text + numbers


def npy_parts(data: bytes) -> tuple[str, bytes]:
    """The description in a .npy file of version 1, and its numbers."""
    length = int.from_bytes(data[8:10], "little")
    return data[10:10 + length].decode("latin-1").strip(), data[10 + length:]


@functools.cache
def zeros_deflated(megabytes: int) -> bytes:
    """So many megabytes of zeros, as deflate makes a thousandth of them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * megabytes + b"\3\0"


def bomb(name: bytes, megabytes: int, told: int | None = None) -> Member:
    """A member of so many megabytes of zeros, which says of itself that it has `told` bytes."""
    size = (megabytes * MEGABYTE if told is None else told) % 2**32
    packed = zeros_deflated(megabytes)
    return Member(name, packed, b"", 8, local={"size": size}, central={"size": size})
