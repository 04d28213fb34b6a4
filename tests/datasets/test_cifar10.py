"""CIFAR-10: records, the archive they come in, and files that are not the official ones."""

import hashlib
import io
import os
import tarfile
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from isbe_np import cli, datasets
from isbe_np.datasets import catalogue, cifar, places

SIZE = 3 * 3073


@pytest.fixture
def tiny(nowhere, shrink_cifar10):
    return shrink_cifar10()


def reencoded(plain, name="data_batch_2.bin"):
    """The same files, but for one pixel of one of them."""
    data = bytearray(plain[name])
    data[1000] ^= 1
    return plain | {name: bytes(data)}


def test_records_are_a_label_and_three_planes(nowhere, tiny, put, dtype):
    put(nowhere / "cifar10", tiny.plain, suffix="")
    data = datasets.load("cifar10", nowhere, dtype)
    records = np.concatenate(list(tiny.records.values()))
    for x, y, part in ((data.x_train, data.y_train, records[:15]), (data.x_test, data.y_test, records[15:])):
        assert x.shape == (len(part), 3, 32, 32) and x.dtype == dtype and x.flags.c_contiguous and x.flags.writeable
        assert np.array_equal(y, part[:, 0]) and y.dtype == np.int64
        for place in ((0, 0, 0), (0, 0, 31), (0, 31, 0), (1, 5, 7), (2, 31, 31)):
            grey = part[:, 1 + (place[0] * 32 + place[1]) * 32 + place[2]]
            assert np.array_equal(x[(slice(None), *place)], grey.astype(dtype) / dtype.type(255))
    assert data.classes[0] == "airplane" and "was verified" in data.source and str(nowhere / "cifar10") in data.source


def test_a_prefix_may_end_within_a_file(nowhere, tiny, put):
    put(nowhere / "cifar10", tiny.plain, suffix="")
    whole = datasets.load("cifar10", nowhere)
    for train, test in ((1, 2), (3, 3), (7, 1)):
        part = datasets.load("cifar10", nowhere, train=train, test=test)
        assert np.array_equal(part.x_train, whole.x_train[:train]) and np.array_equal(part.y_train, whole.y_train[:train])
        assert np.array_equal(part.x_test, whole.x_test[:test]) and len(part.y_test) == test
    with pytest.raises(ValueError, match="load: train expects at most 15, all that cifar10 has; got 16"):
        datasets.load("cifar10", nowhere, train=16)


@pytest.mark.parametrize("below", ["cifar10", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", "."])
def test_folders_it_may_lie_in(nowhere, tiny, put, below):
    put(nowhere / "here" / below, tiny.plain, suffix="")
    assert places.find("cifar10", nowhere / "here") == nowhere / "here" / below
    assert len(datasets.load("cifar10", nowhere / "here").x_train) == 15


def test_beside_the_files_of_another_set(nowhere, tiny, put, shrink):
    put(nowhere, tiny.plain, suffix="")
    put(nowhere, shrink("mnist").packed)
    assert places.find("cifar10", nowhere) == places.find("mnist", nowhere) == nowhere


def test_files_that_are_not_the_official_ones_are_refused_unless_accepted(nowhere, tiny, put):
    put(nowhere / "cifar10", reencoded(tiny.plain), suffix="")
    with pytest.raises(ValueError) as caught:
        datasets.load("cifar10", nowhere)
    for part in ("data_batch_2.bin: SHA-256 of the content: expected ", "not the official file", "verify=False",
                 "--unverified", "`isbe data fetch cifar10`"):
        assert part in str(caught.value)
    data = datasets.load("cifar10", nowhere, verify=False)
    assert data.source.endswith("; NOT the official files, by their SHA-256, but taken as they are, unverified: "
                                "data_batch_2.bin.") and len(data.x_train) == 15
    reports = datasets.verify("cifar10", nowhere)
    assert [report.ok for report in reports] == [True, False, True, True, True, True]
    assert "not the official file" in reports[1].sentence and reports[1].expected != reports[1].got


def test_official_files_are_verified_even_when_others_would_be_accepted(nowhere, tiny, put):
    put(nowhere / "cifar10", tiny.plain, suffix="")
    assert datasets.load("cifar10", nowhere, verify=False).source.endswith("content was verified.")


LENGTH = "length: expected 9,219 bytes, 3 records of 3,073;"
DAMAGED = {
    "empty": (b"", f"{LENGTH} got 0 bytes, 0 records"),
    "cut": (bytes(SIZE - 1), f"{LENGTH} got 9,218 bytes, no multiple of 3,073"),
    "trailing byte": (bytes(SIZE + 1), f"{LENGTH} got 9,220 bytes, no multiple of 3,073"),
    "a record too few": (bytes(SIZE - 3073), f"{LENGTH} got 6,146 bytes, 2 records"),
    "a record too many": (bytes(SIZE + 3073), f"{LENGTH} got 12,292 bytes, 4 records"),
    "a label of ten": (bytes(3073) + b"\n" + bytes(SIZE - 3074), "label of record 1: expected 0 to 9; got 10"),
    "a label of 255": (bytes(SIZE - 3073) + b"\xff" + bytes(3072), "label of record 2: expected 0 to 9; got 255"),
}


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("name", DAMAGED)
def test_the_format_is_checked_either_way(nowhere, tiny, put, name, verify):
    data, words = DAMAGED[name]
    put(nowhere / "cifar10", tiny.plain | {"test_batch.bin": data}, suffix="")
    with pytest.raises(ValueError) as caught:
        datasets.load("cifar10", nowhere, verify=verify)
    assert f"test_batch.bin: {words}" in str(caught.value) and "--unverified" not in str(caught.value)


def test_what_is_no_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="pipe: kind: expected a plain file; got a pipe or a device"):
        cifar.read(tmp_path / "pipe", 3)
    for name, words in (("loop", "Too many levels"), ("folder", "Is a directory"), ("none", "No such file")):
        with pytest.raises(OSError, match=f"{name} cannot be read: {words}.* Get the file anew"):
            cifar.read(tmp_path / name, 3)


@pytest.mark.parametrize(("change", "words"), [(-1, "got 9,218 bytes"), (1, "got trailing bytes")])
def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch, change, words):
    path = tmp_path / "file"
    path.write_bytes(bytes(SIZE))
    fstat = os.fstat

    def then_change(descriptor):
        found = fstat(descriptor)
        os.truncate(path, SIZE + change)
        return found

    monkeypatch.setattr(cifar.os, "fstat", then_change)
    monkeypatch.setattr(cifar, "opened", lambda path, _: open(path, "rb", buffering=0))
    with pytest.raises(ValueError, match=f"length: expected 9,219 bytes; {words}"):
        cifar.read(path, 3)


def test_a_file_far_too_large_is_not_read(tmp_path):
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(100_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="got 100,000,000 bytes"):
            cifar.read(tmp_path / "huge", 3)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_images_are_scaled_in_place(nowhere, tiny, put):
    """Nothing but one file's bytes is in memory besides the result."""
    put(nowhere / "cifar10", tiny.plain, suffix="")
    datasets.load("cifar10", nowhere)
    tracemalloc.start()
    try:
        data = datasets.load("cifar10", nowhere)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # NumPy casts in a buffer of 8,192 numbers and of as many bytes; the result is 18 images of 12 KB.
    assert peak < data.x_train.nbytes + data.x_test.nbytes + 3 * SIZE + 100_000


def test_missing_files(nowhere, tiny, put):
    put(nowhere / "cifar10", dict(list(tiny.plain.items())[1:]), suffix="")
    with pytest.raises(FileNotFoundError, match=r"no data_batch_1\.bin; looked in .*cifar-10-batches-bin"):
        datasets.load("cifar10", nowhere)


# Fetching


def test_the_archive_is_fetched_unpacked_and_deleted(nowhere, server, shrink_cifar10):
    web, address, log = server
    tiny = shrink_cifar10((address + "none/", address))
    (web / "cifar-10-binary.tar.gz").write_bytes(tiny.archive)
    paths = datasets.fetch("cifar10", nowhere / "data")
    assert [path.read_bytes() for path in paths] == list(tiny.plain.values())
    assert sorted(os.listdir(nowhere / "data" / "cifar10")) == sorted(tiny.plain)
    log.clear()
    assert datasets.fetch("cifar10", nowhere / "data") == paths and log == []
    paths[3].write_bytes(b"damaged")
    assert datasets.fetch("cifar10", nowhere / "data") == paths and len(log) > 0
    assert all(report.ok for report in datasets.verify("cifar10", nowhere / "data"))


def test_an_archive_put_there_by_hand_is_used(nowhere, tiny, put):
    put(nowhere / "cifar10", {"cifar-10-binary.tar.gz": tiny.archive}, suffix="")
    assert [path.name for path in datasets.fetch("cifar10", nowhere)] == list(tiny.plain)


def test_unpacked_files_are_left_alone(nowhere, tiny, put):
    folder = put(nowhere / "cifar-10-batches-bin", tiny.plain, suffix="")
    assert {path.parent for path in datasets.fetch("cifar10", nowhere)} == {folder}


def test_another_archive_is_not_unpacked(nowhere, server, shrink_cifar10):
    web, address, _ = server
    tiny = shrink_cifar10((address,))
    (web / "cifar-10-binary.tar.gz").write_bytes(tiny.archive + b"more")
    with pytest.raises(OSError, match=r"could not get cifar-10-binary\.tar\.gz .*by hand"):
        datasets.fetch("cifar10", nowhere)
    assert not [path for path in (nowhere / "cifar10").rglob("*") if path.is_file()]


def test_an_archive_that_does_not_hold_the_files_leaves_none(nowhere, tiny, put, monkeypatch):
    entry = catalogue.ENTRIES["cifar10"]
    wrong = (entry.train[0], catalogue.Records(entry.train[1].name, (3, 3, 32, 32), "0" * 64))
    absent = (entry.train[0], catalogue.Records("data_batch_9.bin", (3, 3, 32, 32), "0" * 64))
    for train, words in ((wrong, "SHA-256 of the content"), (absent, "data_batch_9.bin")):
        monkeypatch.setitem(catalogue.ENTRIES, "cifar10", replace(entry, train=train))
        put(nowhere / "cifar10", {"cifar-10-binary.tar.gz": tiny.archive}, suffix="")
        with pytest.raises(OSError, match=f"could not unpack .*{words}"):
            datasets.fetch("cifar10", nowhere)
        there = {path.name: path.read_bytes() for path in (nowhere / "cifar10").iterdir()}
        assert there.pop("cifar-10-binary.tar.gz") == tiny.archive and "data_batch_1.bin" in there
        assert there.items() <= tiny.plain.items()


def packed(*members):
    """A .tar.gz of members, each a name, its bytes and what else its header says."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", format=tarfile.USTAR_FORMAT) as tar:
        for name, data, header in members:
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(data) or SIZE
            for field, value in header.items():
                setattr(member, field, value)
            tar.addfile(member, io.BytesIO(data) if data else None)
    return stream.getvalue()


def whole(tiny, **other):
    return [(name, *other.get(name[:-4], (data, {}))) for name, data in tiny.plain.items()]


LINK, NONE = {"linkname": "../../secret"}, r"test_batch\.bin in it is no regular file of 9,219 bytes"
HOSTILE = {
    "symbolic link": (lambda tiny: whole(tiny, test_batch=(b"", {"type": tarfile.SYMTYPE, **LINK})), NONE),
    "hard link": (lambda tiny: whole(tiny, test_batch=(b"", {"type": tarfile.LNKTYPE, **LINK})), NONE),
    "device": (lambda tiny: whole(tiny, test_batch=(b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5})), NONE),
    "pipe": (lambda tiny: whole(tiny, test_batch=(b"", {"type": tarfile.FIFOTYPE})), NONE),
    "folder": (lambda tiny: whole(tiny, test_batch=(b"", {"type": tarfile.DIRTYPE})), NONE),
    "too long": (lambda tiny: whole(tiny, test_batch=(bytes(SIZE + 1), {})), NONE),
    "too short": (lambda tiny: whole(tiny, test_batch=(bytes(SIZE - 1), {})), NONE),
    "other content": (lambda tiny: whole(tiny, test_batch=(bytes(SIZE), {})), "the SHA-256 of the content of .*test_batch"),
    "twice, then otherwise": (lambda tiny: [*whole(tiny), ("test_batch.bin", bytes(SIZE), {})], "the SHA-256 of the content"),
    "bomb": (lambda tiny: [("bomb", bytes(40_000_000), {}), *whole(tiny)], "more than 121,"),
    "long name": (lambda tiny: [("x", bytes(40_000_000), {"type": tarfile.GNUTYPE_LONGNAME}), *whole(tiny)], "more than 121,"),
    "other folder": (lambda tiny: [(f"../{name}", data, {}) for name, data in tiny.plain.items()], "there is no .*test_batch"),
    "nothing": (lambda tiny: [], "there is no .*test_batch"),
}


def pin(monkeypatch, archive):
    """Have the catalogue expect this archive, whatever it holds."""
    entry = catalogue.ENTRIES["cifar10"]
    sha256 = hashlib.sha256(archive).hexdigest()
    monkeypatch.setitem(catalogue.ENTRIES, "cifar10", replace(entry, archive=entry.archive._replace(sha256=sha256)))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_of_the_right_sum(nowhere, tiny, put, monkeypatch, name):
    members, words = HOSTILE[name]
    archive = packed(*members(tiny))
    pin(monkeypatch, archive)
    (nowhere / "secret").write_bytes(tiny.plain["test_batch.bin"])
    put(nowhere / "cifar10", {"cifar-10-binary.tar.gz": archive}, suffix="")
    tracemalloc.start()
    try:
        with pytest.raises(OSError, match=f"could not unpack cifar-10-binary.tar.gz in .*{words}"):
            datasets.fetch("cifar10", nowhere)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
    there = {path.name: path.read_bytes() for path in (nowhere / "cifar10").iterdir()}
    assert there.pop("cifar-10-binary.tar.gz") == archive and there.items() <= tiny.plain.items()
    assert sorted(path.name for path in nowhere.iterdir()) == ["cifar10", "secret"]


@pytest.mark.parametrize("cut", [0, 1, 5, 300, 600, 5000, -2000])
def test_a_cut_archive_of_the_right_sum(nowhere, tiny, put, monkeypatch, cut):
    pin(monkeypatch, archive := tiny.archive[:cut])
    put(nowhere / "cifar10", {"cifar-10-binary.tar.gz": archive}, suffix="")
    with pytest.raises(OSError, match="could not unpack"):
        datasets.fetch("cifar10", nowhere)
    there = {path.name: path.read_bytes() for path in (nowhere / "cifar10").iterdir()}
    assert there.pop("cifar-10-binary.tar.gz") == archive and there.items() <= tiny.plain.items()


@pytest.mark.parametrize("size", [5000, 2**40])
def test_a_wrong_archive_that_lies_there_is_not_used(nowhere, server, shrink_cifar10, put, size):
    web, address, _ = server
    tiny = shrink_cifar10((address,))
    os.truncate(put(nowhere / "cifar10", {"cifar-10-binary.tar.gz": tiny.archive}, suffix="") / "cifar-10-binary.tar.gz", size)
    put(web, {"cifar-10-binary.tar.gz": tiny.archive}, suffix="")
    assert len(datasets.fetch("cifar10", nowhere)) == 6
    assert sorted(os.listdir(nowhere / "cifar10")) == sorted(tiny.plain)


# The command line


def test_the_command_line_takes_unofficial_files_only_when_told(nowhere, tiny, put, capsys):
    put(nowhere / "cifar10", reencoded(tiny.plain), suffix="")
    command = ["train", "--net", "lenet5", "--data", "cifar10", "--data-dir", str(nowhere)]
    assert cli.main(command) == 2
    assert "--unverified" in capsys.readouterr().err
    assert cli.main([*command, "--unverified", "--epochs", "1"]) == 0
    out = " ".join(capsys.readouterr().out.split())  # where a line breaks depends on the folder's name
    assert "NOT the official files" in out and "test accuracy" in out
    assert cli.main(["data", "verify", "cifar10", "--data-dir", str(nowhere)]) == 1
    assert "not the official file" in capsys.readouterr().out
