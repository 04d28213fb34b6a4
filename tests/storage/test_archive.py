"""An archive: what was written comes back, the same content gives the same bytes, and no other file is believed."""

import errno
import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from isbe_np.storage import archive
from isbe_np.storage.files import DamagedFile

FACTS = {"who": "ü", "numbers": [1, 2.5, None, True]}
ARRAYS = {"first": np.arange(6, dtype=np.float32).reshape(2, 3), "second/part.of it": np.arange(4, dtype=np.float64)}
KINDS = {name: (array.shape, array.dtype) for name, array in ARRAYS.items()}
MEMBERS = ("facts.json", "first.npy", "second/part.of%20it.npy")


@pytest.fixture
def path(tmp_path):
    """A right file, written by `write`."""
    archive.write(tmp_path / "a.npz", FACTS, ARRAYS)
    return tmp_path / "a.npz"


def read(path, kinds=KINDS):
    """All that a file holds."""
    with archive.Archive(path) as file:
        file.expect(kinds)
        return file.facts, {name: file.array(name) for name in kinds}


def sealed(path, data):
    """`data`, with a right sum in place of its last 64 bytes, as the file at `path`: written on purpose."""
    path.write_bytes(data[:-64] + hashlib.sha256(data[:-64]).hexdigest().encode())


def refused(path, sentence, kinds=KINDS):
    """That reading is refused by one line with the path and `sentence`, and nothing else."""
    with pytest.raises(DamagedFile, match=sentence) as caught:
        read(path, kinds)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def npy(array, **options):
    """The bytes of a .npy file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **{"version": (1, 0), "allow_pickle": False, **options})
    return file.getvalue()


def content():
    """The members of the right file and their bytes."""
    return dict(zip(MEMBERS, (json.dumps(FACTS, indent=1).encode(), *map(npy, ARRAYS.values())), strict=True))


def zipped(path, members, before=b"", after=None, **changes):
    """A zip of (name, bytes) with a right sum; `before` comes before it, `after(packed, n)` runs after member n.

    changes : what is set of the ZipInfo of the first array.
    """
    file = io.BytesIO()
    file.write(before)
    with zipfile.ZipFile(file, "w") as packed:
        packed.comment = b"0" * 64
        for n, (name, data) in enumerate(members):
            info = zipfile.ZipInfo(name)
            if n == 1:
                for attribute, value in changes.items():
                    setattr(info, attribute, value)
            packed.writestr(info, data, info.compress_type)
            if after is not None:
                after(packed, n)
    sealed(path, file.getvalue())


def test_what_was_written_comes_back_and_the_number_of_bytes_is_told(tmp_path):
    size = archive.write(tmp_path / "a.npz", FACTS, ARRAYS)
    facts, arrays = read(tmp_path / "a.npz")
    assert facts == FACTS and size == (tmp_path / "a.npz").stat().st_size
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype and np.array_equal(arrays[name], array)
        assert arrays[name].flags.writeable


def test_the_same_content_gives_the_same_bytes(path, tmp_path):
    archive.write(tmp_path / "b.npz", dict(FACTS), {name: array.copy() for name, array in ARRAYS.items()})
    assert path.read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(path) as packed:
        assert {info.date_time for info in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}, "no time of day"


def test_the_last_64_bytes_are_the_sum_of_the_rest(path):
    data = path.read_bytes()
    assert data[-64:].decode() == hashlib.sha256(data[:-64]).hexdigest()


def test_numpy_and_zipfile_read_it(path):
    with np.load(path, allow_pickle=False) as arrays:
        assert np.array_equal(arrays["first"], ARRAYS["first"])
    with zipfile.ZipFile(path) as packed:
        assert packed.testzip() is None and tuple(packed.namelist()) == MEMBERS
        assert json.loads(packed.read("facts.json")) == FACTS


def test_the_helpers_of_this_file_make_a_right_one(path):
    """Else what follows would be refused for another reason than the one that each test is about."""
    zipped(path, content().items())
    assert read(path)[0] == FACTS


@pytest.mark.parametrize("array", [
    np.arange(6, dtype=">f4").reshape(2, 3), np.float64(2.5).reshape(()), np.zeros((0, 3), np.float32),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(12.0).reshape(3, 4)[::2, ::-1], np.array([True, False]),
    np.arange(3, dtype=np.uint8), np.array([np.nan, -np.inf, -0.0, 5e-324])],
    ids=["big-endian", "0-d", "empty", "Fortran", "view", "bool", "bytes", "odd numbers"])
def test_arrays_of_all_layouts_come_back_to_the_bit(array, tmp_path):
    archive.write(tmp_path / "a.npz", {}, {"a": array})
    found = read(tmp_path / "a.npz", {"a": (array.shape, array.dtype)})[1]["a"]
    assert found.dtype == array.dtype and found.shape == array.shape and found.tobytes() == array.tobytes()


def test_every_flipped_bit_is_refused(path):
    """Each bit of a file of some 450 bytes, were it in a number, a header, or the sum."""
    archive.write(path, {}, {"a": np.arange(3, dtype=np.uint8)})
    kinds, data = {"a": ((3,), np.dtype(np.uint8))}, path.read_bytes()
    read(path, kinds)
    with open(path, "r+b", buffering=0) as file:  # in place, as to write it anew takes a disk many times as long
        for place, right in enumerate(data):
            for wrong in (right ^ 1 << bit for bit in range(8)):
                file.seek(place)
                file.write(bytes([wrong]))
                with pytest.raises(DamagedFile):
                    read(path, kinds)
            file.seek(place)
            file.write(bytes([right]))
    read(path, kinds)


def test_every_truncated_file_is_refused(path):
    for length in reversed(range(path.stat().st_size)):
        os.truncate(path, length)
        with pytest.raises(DamagedFile):
            read(path)


@pytest.mark.parametrize("kinds, sentence", [
    ({"first": KINDS["first"]}, r"arrays: expected 1, .*; got also \['second/part.of%20it.npy'\]"),
    ({**KINDS, "third": ((2,), np.dtype("f4"))}, r"arrays: expected 3, .*; got 2, without \['third.npy'\]"),
    ({**KINDS, "first": ((3, 2), np.dtype("f4"))}, "header of array 'first': expected"),
    ({**KINDS, "first": ((2, 3), np.dtype("i4"))}, "header of array 'first': expected"),
    ({**KINDS, "first": ((2, 3), np.dtype("f8"))}, "header of array 'first': expected|array 'first': expected 48 bytes"),
    ({**KINDS, "first": ((10**9, 10**9), np.dtype("f4"))}, r"array 'first': expected 4,000,000,000,000,000,000 bytes"),
], ids=["one more", "one less", "shape", "dtype", "size", "huge"])
def test_arrays_must_be_exactly_those_expected(kinds, sentence, path):
    refused(path, sentence, kinds)


def test_no_array_is_had_before_it_was_expected(path):
    with archive.Archive(path) as file, pytest.raises(AttributeError):
        file.array("first")


@pytest.mark.parametrize("member", [
    npy(np.asfortranarray(ARRAYS["first"])), npy(ARRAYS["first"], version=(2, 0)), npy(ARRAYS["first"].astype(">f4")),
    npy(ARRAYS["first"].view("V4")), npy(ARRAYS["first"])[:-1], npy(ARRAYS["first"]) + b"\0", b"", b"\x93NUMPY\1\0",
    npy(ARRAYS["first"]).replace(b"(2, 3)", b"(3, 2)"), npy(ARRAYS["first"]).replace(b"(2, 3), ", b"(2,3 ), "),
], ids=["Fortran", "version 2", "big-endian", "void", "short", "long", "none", "mark alone", "turned", "spaced otherwise"])
def test_an_array_that_is_written_otherwise_is_refused(member, path):
    """All of it is what this package writes, so that NumPy is never asked to read another description."""
    zipped(path, {**content(), "first.npy": member}.items())
    refused(path, "(header of )?(array|member) 'first(.npy)?': expected")


class Canary:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_no_pickle_is_run(path, tmp_path):
    canary = tmp_path / "canary"
    objects = npy(np.array([Canary(str(canary))] * 3, dtype=object), allow_pickle=True)
    zipped(path, {**content(), "first.npy": objects}.items())
    # Whatever the caller expects, were it this very array of objects.
    for kind in (KINDS["first"], ((3,), np.dtype(object)), ((), np.dtype(f"V{len(objects) - 128}"))):
        refused(path, "(header of )?(array|member) 'first(.npy)?': expected", {**KINDS, "first": kind})
    assert not canary.exists()
    np.lib.format.read_array(io.BytesIO(objects), allow_pickle=True)
    assert canary.exists(), "it would have run"


class Anything:
    """Equal to whatever it is held against."""

    def __ne__(self, other):
        return False


def test_no_pickle_is_run_even_where_a_header_was_believed(path, tmp_path, monkeypatch):
    """NumPy is told so too."""
    objects = npy(np.array([Canary(str(tmp_path / "canary"))], dtype=object), allow_pickle=True)
    zipped(path, {**content(), "first.npy": objects}.items())
    monkeypatch.setattr(archive, "_header", lambda *_: Anything())
    refused(path, "member 'first.npy': expected an undamaged one; got Object arrays cannot be loaded")
    assert not (tmp_path / "canary").exists()


def test_facts_that_are_a_pickle_are_no_json(path, tmp_path):
    zipped(path, {**content(), "facts.json": pickle.dumps(Canary(str(tmp_path / "canary")))}.items())
    refused(path, "facts.json: expected JSON")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("facts, sentence", [
    (b"", "facts.json: expected JSON"),
    (b"{'a': 1}", "facts.json: expected JSON"),
    (b'{"a": 1} ]', "facts.json: expected JSON"),
    (b'{"a": "\xff"}', "facts.json: expected JSON"),
    (b'{"a": 1, "b": 2, "a": 3}', "facts.json: expected JSON; got a name stands twice in one object"),
    (b'[{"b": {"a": 1, "a": 1}}]', "a name stands twice"),
    (100_000 * b"[" + 100_000 * b"]", "facts.json: expected JSON; got more than 200 lists and objects lie within each other"),
    (202 * b"[" + 202 * b"]", "facts.json: expected JSON; got more than 200 lists and objects"),
    (b"9" * 5000, "facts.json: expected JSON"),
    (b" " * 2**22 + b"1", "facts.json: expected a member of at most 4,194,304 bytes; got 4194305"),
], ids=["none", "quotes", "more", "no UTF-8", "twice", "twice within", "deep", "too deep", "digits", "long"])
def test_facts_must_be_json(facts, sentence, path):
    zipped(path, {**content(), "facts.json": facts}.items())
    refused(path, sentence)


def test_a_zip_without_facts_is_refused(path):
    zipped(path, list(content().items())[1:])
    refused(path, "facts.json: expected a member of at most 4,194,304 bytes; got none")


@pytest.mark.parametrize("changes, sentence", [
    ({"compress_type": zipfile.ZIP_DEFLATED}, "member 'first.npy': expected one of this name, not compressed"),
    ({"compress_type": zipfile.ZIP_LZMA}, "member 'first.npy': expected one of this name, not compressed"),
    ({"extra": b"\xca\xfe\1\0x"}, "member 'first.npy': expected one of this name, not compressed"),
    ({"comment": b"x"}, "member 'first.npy': expected one of this name, not compressed"),
    ({"filename": "FIRST.npy"}, r"arrays: expected 2, one for each of the model's; got 2, without \['first.npy'\]"),
], ids=["deflated", "lzma", "extra field", "comment", "another name"])
def test_a_member_of_another_kind_is_refused(changes, sentence, path):
    zipped(path, content().items(), **changes)
    refused(path, sentence)


def test_a_second_member_of_a_name_is_refused(path):
    members = [*content().items(), ("first.npy", npy(ARRAYS["first"] + 1))]
    with pytest.warns(UserWarning, match="Duplicate name"):
        zipped(path, members)
    refused(path, "member 'first.npy': .* a second one")


@pytest.mark.parametrize("flag", [1, 2, 8, 0x20, 0x800], ids=["encrypted", "unused", "sizes behind", "patched", "UTF-8"])
def test_a_member_with_a_flag_is_refused(flag, path):
    """Set at its place and in the list."""
    data = bytearray(path.read_bytes())
    for mark, length, at in ((b"PK\3\4", 30, 6), (b"PK\1\2", 46, 8)):
        start = data.find(b"first.npy", data.find(mark)) - length
        data[start + at:start + at + 2] = flag.to_bytes(2, "little")
    sealed(path, bytes(data))
    refused(path, "member 'first.npy': expected")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_bytes_between_members_are_refused(place, path):
    def leave(packed, n):
        if n == place:
            packed.fp.write(b"gap")
            packed.start_dir = packed.fp.tell()

    zipped(path, content().items(), after=leave)
    refused(path, "member '.*': expected one of this name, not compressed, at byte|zip: expected 3 members in")


def test_bytes_before_and_after_are_refused(path):
    data = path.read_bytes()
    for changed in (b"before" + data, data + b"after", data[:-64] + b"after" + data[-64:]):
        sealed(path, changed)
        refused(path, "end of the zip: expected")
    zipped(path, content().items(), before=b"before")  # and all numbers are right for it
    refused(path, "member 'facts.json': expected one of this name, not compressed, at byte 0")


def test_bytes_before_the_end_of_the_zip_are_refused(path):
    data = path.read_bytes()
    sealed(path, data[:-86] + b"between" + data[-86:])
    refused(path, "end of the zip: expected")


def test_a_second_end_of_the_zip_within_the_sum_is_refused(path):
    """zipfile takes an end without a comment for the right one; here it would stand where the sum is."""
    data = path.read_bytes()
    path.write_bytes(data[:-22] + b"PK\5\6" + bytes(18))
    refused(path, "zip: expected")


def test_two_files_one_after_the_other_are_refused(path):
    sealed(path, path.read_bytes() * 2)
    refused(path, "end of the zip: expected")


def test_another_name_in_the_local_header_is_refused(path):
    data = path.read_bytes()
    sealed(path, data.replace(b"first.npy", b"worst.npy", 1))
    refused(path, "member 'first.npy': expected")


def test_a_sum_that_is_right_does_not_excuse_a_wrong_crc(path):
    data = bytearray(path.read_bytes())
    data[data.find(b"PK\3\4", 4) + 30 + len("first.npy") + 128] ^= 1  # the array's first number
    sealed(path, bytes(data))
    refused(path, "member 'first.npy': expected an undamaged one; got Bad CRC-32")


def test_a_wrong_sum_is_told(path):
    data = path.read_bytes()
    path.write_bytes(data[:-64] + b"0" * 64)
    refused(path, f"SHA-256 of the content: expected {'0' * 64}; got {data[-64:].decode()}")


def test_more_members_than_there_can_be_are_refused(path, monkeypatch):
    monkeypatch.setattr(archive, "MOST_ARRAYS", 1)
    refused(path, "end of the zip: expected .* at most 2 members; got .* and 3")


def test_a_name_with_a_zero_is_refused(path):
    """zipfile ends it there, and would take it for another one's."""
    data = path.read_bytes()
    sealed(path, data.replace(b"first.npy", b"first\0npy"))
    refused(path, "zip: expected|member '.*': expected")


@pytest.mark.parametrize("told", [0, 1, 3, 4], ids=str)
def test_a_list_with_more_members_than_it_is_told_of_makes_no_objects(told, path, monkeypatch):
    """zipfile makes an object of each, which takes many times the room of its entry."""
    data = path.read_bytes()
    start, end = data.find(b"PK\1\2"), data.find(b"PK\5\6")
    entry = data[start:data.find(b"PK\1\2", start + 4)]
    tail = bytearray(data[end:])
    tail[8:12] = 2 * told.to_bytes(2, "little")
    tail[12:16] = (1000 * len(entry)).to_bytes(4, "little")
    sealed(path, data[:start] + 1000 * entry + bytes(tail))
    monkeypatch.setattr(archive.zipfile, "ZipFile", lambda *_: pytest.fail("it was read"))
    refused(path, "list of the zip: expected|end of the zip: expected")


def test_a_local_header_that_says_something_else_is_refused(path):
    """zipfile goes by the list at the end; another program may go by these, and would see another file."""
    data = path.read_bytes()
    place = data.find(b"PK\3\4", 4)
    for field in (4, 6, 8, 10, 12, 14, 18, 22, 28):  # version, flags, method, time, date, CRC, sizes, extra field
        changed = bytearray(data)
        changed[place + field] ^= 2
        sealed(path, bytes(changed))
        refused(path, "member 'first.npy': expected")


def test_odd_names_come_back(tmp_path):
    names = ["x" * 700, "ü" * 100, "a/b c%20.npy", "\0\n", "\ud800", "\\ud800", "..", "%2E%2E", "", "a", "A",
             "facts.json", "/", "./a"]
    arrays = {name: np.arange(n, n + 3.0) for n, name in enumerate(names)}
    archive.write(tmp_path / "a.npz", {}, arrays)
    found = read(tmp_path / "a.npz", {name: ((3,), np.dtype(np.float64)) for name in names})[1]
    assert all(np.array_equal(found[name], arrays[name]) for name in names)


@pytest.mark.parametrize("size", [0, 1, 86, 2**31, 2**33], ids=str)
def test_a_file_of_another_length_is_refused_unread(size, tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    with open(path, "wb") as file:
        file.truncate(size)  # without taking the room
    monkeypatch.setattr(archive.zipfile, "ZipFile", lambda *_: pytest.fail("it was read"))
    refused(path, "length: expected 87 to 2,147,483,647 bytes; got ")


def test_a_file_without_a_zip_is_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(bytes(200))
    refused(tmp_path / "a.npz", "end of the zip: expected")


def test_an_npz_of_numpy_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", first=ARRAYS["first"])
    refused(tmp_path / "a.npz", "end of the zip: expected")


def test_long_text_from_a_file_is_cut(path):
    with archive.Archive(path) as file:
        assert len(str(file.fault("facts", "a word", "x" * 10**6))) < 1100


def test_text_from_a_file_stays_in_one_line_and_moves_no_cursor(path):
    """A message goes to a terminal and to logs; what a file says must not look like more lines of them."""
    with archive.Archive(path) as file:
        told = str(file.fault("facts", "a word", "a\nb\r\x1b[2Jc"))
    assert told.isprintable() and "b" in told


def test_the_file_is_closed_after_a_refusal_too(path):
    path.write_bytes(b"no zip")
    with pytest.raises(DamagedFile) as caught:
        archive.Archive(path)
    frames = [frame.frame for frame in caught.traceback if "self" in frame.frame.f_locals]
    assert frames[0].f_locals["self"]._file.closed


def test_a_folder_and_no_file_are_oserrors(tmp_path):
    with pytest.raises(FileNotFoundError):
        archive.Archive(tmp_path / "none.npz")
    with pytest.raises(OSError):
        archive.Archive(tmp_path)


@pytest.mark.parametrize("name, value, sentence", [
    ("MOST_BYTES", 2**23 + 50, "can hold 50 bytes in 65,000 arrays .*; got 56 in 2 .*Save less"),
    ("MOST_ARRAYS", 1, "can hold .* bytes in 1 arrays .*; got 56 in 2 "),
    ("MOST_FACTS", 20, "and 20 bytes of facts; got 56 in 2 and "),
])
def test_what_is_too_much_is_refused_before_it_is_written(name, value, sentence, path, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr(archive, name, value)
    with pytest.raises(ValueError, match=sentence):
        archive.write(path, FACTS, ARRAYS, path.with_name("previous.npz"))
    assert path.read_bytes() == before and os.listdir(path.parent) == ["a.npz"]


def test_no_file_is_written_that_is_too_long_to_be_read(path, monkeypatch):
    """Headers count too: with many arrays they may be what is too much."""
    before = path.read_bytes()
    monkeypatch.setattr(archive, "MOST_BYTES", 20_000)
    monkeypatch.setattr(archive, "MOST_FACTS", 1000)
    with pytest.raises(ValueError, match="Save less"):
        archive.write(path, {}, {f"array {n}": np.zeros(290, np.uint8) for n in range(60)}, path.with_name("previous.npz"))
    assert path.read_bytes() == before and os.listdir(path.parent) == ["a.npz"]


@pytest.mark.parametrize("facts, arrays, kind", [
    ({"a": object()}, ARRAYS, TypeError), (FACTS, {**ARRAYS, "objects": np.array([{}, None])}, ValueError),
    (FACTS, {**ARRAYS, "x" * 3000: np.zeros(3)}, ValueError), (FACTS, {**ARRAYS, "ü" * 12_000: np.zeros(3)}, ValueError)],
    ids=["no JSON", "objects", "a long name", "a name no zip can hold"])
def test_what_cannot_be_written_leaves_the_file_as_it_was(facts, arrays, kind, path):
    before = path.read_bytes()
    with pytest.raises(kind):
        archive.write(path, facts, arrays, path.with_name("previous.npz"))
    assert path.read_bytes() == before and os.listdir(path.parent) == ["a.npz"]


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_full_disk_leaves_the_file_as_it_was(path):
    """A limit on the length of files stands for it."""
    before = path.read_bytes()
    program = ("import resource, sys, numpy as np; from isbe_np.storage import archive; "
               "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
               "try: archive.write(sys.argv[1], {}, {'a': np.zeros(10**5)}, 'previous.npz')\n"
               "except OSError as fault: print(type(fault).__name__, fault.strerror)")
    run = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True,
                         env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    assert run.stdout == f"OSError {os.strerror(errno.EFBIG)}\n"
    assert path.read_bytes() == before and os.listdir(path.parent) == ["a.npz"]
