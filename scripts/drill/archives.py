"""Checkpoints whose SHA-256 is right and whose zip or arrays lie: what somebody can write on purpose."""

from __future__ import annotations

import bz2
import io
import lzma
import os
import pickle
import zlib
from collections.abc import Callable

import numpy as np

from drill.mutations import Random, mutated
from drill.zips import Member, Zip, bomb, npy, npy_parts, taken_apart, zeros_deflated

HUGE = (2**31 - 1, 2**32 - 1, 2**31, 10**9)


class Payload:
    """A pickle that makes a file when it is read."""

    def __init__(self, canary: str):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (self.canary,)


def an_array(packed: Zip, random: Random) -> Member:
    """Any member but the facts."""
    return packed.members[int(random.integers(1, len(packed.members)))]


def any_member(packed: Zip, random: Random) -> Member:
    return packed.members[int(random.integers(len(packed.members)))]


def off(n: int, random: Random) -> int:
    """Another number than n, near it or huge."""
    return int(random.choice([n + 1, max(0, n - 1), n + int(random.integers(2, 5000)), 0, *HUGE]))


def lying_sizes(packed: Zip, random: Random, canary: str) -> None:
    member = any_member(packed, random)
    for header in ((member.local,), (member.central,), (member.local, member.central))[random.integers(3)]:
        for name in (("size",), ("packed",), ("size", "packed"))[random.integers(3)]:
            header[name] = off(len(member.data), random)


def lying_crc(packed: Zip, random: Random, canary: str) -> None:
    member, crc = any_member(packed, random), int(random.integers(2**32))
    member.central["crc"] = crc
    if random.integers(2):
        member.local["crc"] = crc


def lying_offsets(packed: Zip, random: Random, canary: str) -> None:
    """A member's place is told wrongly: between others, beyond the end, or that of another member."""
    size = sum(len(member.data) for member in packed.members)
    any_member(packed, random).central["start"] = int(random.choice([0, int(random.integers(size)), size * 2, *HUGE]))


def lying_end(packed: Zip, random: Random, canary: str) -> None:
    name = str(random.choice(["disk", "first", "here", "count", "listed", "start", "comment"]))
    count = len(packed.members)
    packed.end[name] = off({"here": count, "count": count, "comment": 64}.get(name, 1000), random)
    if name in ("here", "count") and random.integers(2):
        packed.end |= dict.fromkeys(("here", "count"), packed.end[name])


def lying_fields(packed: Zip, random: Random, canary: str) -> None:
    """Flags (encrypted, sizes afterwards, names in UTF-8), versions, times, disks, lengths of names and of more fields."""
    member = any_member(packed, random)
    name = str(random.choice(["flags", "needed", "time", "date", "name", "extra", "method", "disk", "internal", "comment"]))
    value = int(random.choice([1, 8, 2**11, 2**6, int(random.integers(2**16))]))
    member.central[name] = value
    if name not in ("disk", "internal", "comment") and random.integers(2):
        member.local[name] = value


def duplicate_member(packed: Zip, random: Random, canary: str) -> None:
    """A second member of a name, with other content, before or after the first."""
    member = any_member(packed, random)
    other = Member(member.name, mutated("flip_bits", member.data, random))
    packed.members.insert(int(random.choice([0, packed.members.index(member), len(packed.members)])), other)


def other_members(packed: Zip, random: Random, canary: str) -> None:
    """One more, one less, or one under another name, some of which would leave a folder."""
    name = (b"../../evil.npy", b"/etc/passwd", b"facts.json", b"a\0b.npy", "\u202eä.npy".encode(), b"x" * 5000, b"", b".npy",
            b"early/scores.npy", b"\xff\xfe.npy", b"__import__('os').npy", b"a\nb.npy")[random.integers(12)]
    what = random.integers(3)
    if what == 0:
        packed.members.append(Member(name, an_array(packed, random).data))
    elif what == 1:
        packed.members.remove(any_member(packed, random))
    else:
        any_member(packed, random).name = name


def other_order(packed: Zip, random: Random, canary: str) -> None:
    packed.members = [packed.members[n] for n in random.permutation(len(packed.members))]


def many_members(packed: Zip, random: Random, canary: str) -> None:
    """As many as a zip can count, and one of them."""
    count = int(random.choice([1000, 20_000, 65_000 - len(packed.members), 65_535 - len(packed.members)]))
    packed.members += [Member(b"m%d.npy" % n, b"") for n in range(count)]


def compressed(packed: Zip, random: Random, canary: str) -> None:
    """By deflate, bzip2 or LZMA, or by a method that nobody knows; all sizes are told rightly."""
    member = any_member(packed, random)
    member.content = member.data
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    method, data = ((8, raw.compress(member.data) + raw.flush()), (12, bz2.compress(member.data)),
                    (14, lzma.compress(member.data)), (99, member.data), (1, member.data))[random.integers(5)]
    member.method, member.data = method, data


def zip_bomb(packed: Zip, random: Random, canary: str) -> None:
    """A member that unpacks to gigabytes, whatever it says of itself; or one within another."""
    member, megabytes = any_member(packed, random), int(random.choice([64, 1024, 4000]))
    told = (None, len(member.data), len(zeros_deflated(megabytes)))[random.integers(3)]
    place = packed.members.index(member)
    if random.integers(4):
        packed.members[place] = bomb(member.name, megabytes, told)
    else:
        inner = Zip([bomb(b"facts.json", megabytes)]).build()
        packed.members[place] = Member(member.name, inner)


def pickled(packed: Zip, random: Random, canary: str) -> None:
    """A pickle that would make a folder, in an array of objects, in place of an array or of the facts."""
    member, data = an_array(packed, random), pickle.dumps(np.array([Payload(canary)], object), int(random.integers(6)))
    what = random.integers(5)
    if what == 0:
        file = io.BytesIO()
        np.lib.format.write_array(file, np.array([Payload(canary)], object), allow_pickle=True)
        member.data = file.getvalue()
    elif what == 1:
        description, _ = npy_parts(member.data)
        member.data = npy(description.replace("'<f4'", "'|O'").replace("'<f8'", "'|O'"), data)
    elif what == 2:  # of the length that there should be
        description, numbers = npy_parts(member.data)
        member.data = npy(description.replace("'<f4'", "'|O'").replace("'<f8'", "'|O'"), data.ljust(len(numbers), b"."))
    elif what == 3:
        member.data = data
    else:
        packed.members[0].data = data


def lying_header(packed: Zip, random: Random, canary: str) -> None:
    """A .npy file that tells of another array: order, type, byte order, shape, version; or that holds code."""
    member = an_array(packed, random)
    description, numbers = npy_parts(member.data)
    shape = description.partition("'shape': ")[2].partition("}")[0].strip().rstrip(",")
    dtype = "<f4" if "<f4" in description else "<f8"
    count = len(numbers) // int(dtype[2])
    shapes = [f"({count},)", f"(1, {count})", f"({count}, 1)", "()", f"({count + 1},)", f"({10**12},)", "(-1,)", f"({2**63},)",
              f"({count}.0,)", f"[{count}]", f"{count}", f"({'1, ' * 100}{count})", f"(True, {count})", f"({2**32}, {2**32})"]
    codes = [f"__import__('os').mkdir({canary!r})", "{}", "[]" * 100, "(" * 500, "{'descr': '<f4'}",
             f"{{'descr': [('a', '{dtype}')], 'fortran_order': False, 'shape': {shape}, }}", "\u0000", "1" * 400, "{'a': " * 90]
    dtypes = ["<f8" if dtype == "<f4" else "<f4", "<i4", "<c8", "|S4", "<U1", "|V4", "|O", dtype.replace("<", ">"), "<f2",
              "|b1", "<M8[ns]", "f", "float", "<f16", "<f4,<f4"]
    what = random.integers(6)
    if what == 0:
        member.data = npy(description.replace("False", "True"), numbers)
    elif what == 1:
        member.data = npy(description.replace(f"'{dtype}'", repr(str(random.choice(dtypes)))), numbers)
    elif what == 2:
        member.data = npy(description.replace(shape, str(random.choice(shapes))), numbers)
    elif what == 3:
        version = ((2, 0), (3, 0), (1, 1), (0, 0), (255, 255))[random.integers(5)]
        member.data = npy(description, numbers, version)
    elif what == 4:
        member.data = npy(str(random.choice(codes)), numbers)
    else:
        length = int(random.choice([0, 1, 117, 119, 65_535, int(random.integers(2**16))]))
        member.data = npy(description, numbers, length=length)


def other_length(packed: Zip, random: Random, canary: str) -> None:
    """Too many numbers, or too few; the zip is right."""
    member = an_array(packed, random)
    count = int(random.integers(1, 65))
    member.data = member.data + bytes(count) if random.integers(2) else member.data[:-count]


def around(packed: Zip, random: Random, canary: str) -> None:
    """Bytes where there should be none: before, between or behind members and list; more fields, comments; ZIP64's fields."""
    count = int(1 + 5000 ** random.random())
    extra = b"\1\0\x18\0" + random.bytes(24)  # sizes and place once more, by ZIP64
    member, what = any_member(packed, random), random.integers(8)
    if what < 3:
        setattr(packed, ("prefix", "between", "behind")[what], random.bytes(count))
    elif what == 3:
        member.before = random.bytes(count)
    elif what == 4:
        member.comment = random.bytes(count)
    elif what == 5:
        member.extra = extra
    elif what == 6:
        member.extra = extra
        for header in (member.local, member.central):
            header |= {"size": 2**32 - 1, "packed": 2**32 - 1}
    else:
        packed.behind = (b"PK\6\6" + (44).to_bytes(8, "little") + random.bytes(44)
                         + b"PK\6\7" + bytes(4) + random.bytes(8) + b"\1\0\0\0")


def other_numbers(packed: Zip, random: Random, canary: str) -> None:
    """Arrays of other numbers, some not finite: a right file."""
    member = an_array(packed, random)
    start = len(member.data) - len(npy_parts(member.data)[1])
    odd = np.array([np.nan, np.inf, -np.inf, 1e-45, -0.0, 3e38], "<f4").tobytes()
    member.data = member.data[:start] + (random.bytes(len(member.data)) + odd)[-(len(member.data) - start):]


def damaged_inside(packed: Zip, random: Random, canary: str) -> None:
    """Bytes of a member changed, and its CRC and the sum made anew."""
    member = any_member(packed, random)
    member.data = mutated(str(random.choice(["flip_bits", "overwrite", "swap", "move", "drop", "double"])), member.data, random)


LIES: dict[str, Callable[[Zip, Random, str], None]] = {function.__name__: function for function in (
    lying_sizes, lying_crc, lying_offsets, lying_end, lying_fields, duplicate_member, other_members, other_order, many_members,
    compressed, zip_bomb, pickled, lying_header, other_length, around, other_numbers, damaged_inside)}


def lying(name: str, data: bytes, random: Random, canary: str) -> bytes:
    """A checkpoint with the lie called `name` in it and a right SHA-256; `canary` is a file that nothing may make."""
    for _ in range(100):
        packed = taken_apart(data)
        LIES[name](packed, random, canary)
        found = packed.build()
        if found != data:
            return found
    raise ValueError(f"{name} left the file as it was a hundred times")
