import gzip
import hashlib
import os
import struct
import tracemalloc

import numpy as np
import pytest

from isbe_np.datasets import idx

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28)).astype(np.uint8)
LABELS = np.array([3, 0, 9, 1, 4], np.uint8)


@pytest.fixture
def write(tmp_path):
    def to_file(data, name="file"):
        path = tmp_path / name
        path.write_bytes(data)
        return path
    return to_file


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("count", [5, None])
def test_round_trip(write, idx_bytes, pack, count):
    # Compression is told by the content, not by the name: some browsers unpack what they download.
    images = write(pack(idx_bytes(IMAGES)), "images.gz")
    labels = write(pack(idx_bytes(LABELS)), "labels")
    assert np.array_equal(idx.read_images(images, count), IMAGES)
    assert np.array_equal(idx.read_labels(labels, count), LABELS)
    x, y = idx.read_pair(images, labels)
    assert np.array_equal(x, IMAGES) and np.array_equal(y, LABELS)


def header(*dimensions, magic=b"\0\0", code=8, axes=None):
    return magic + struct.pack(f">BB{len(dimensions)}I", code, axes or len(dimensions), *dimensions)


BODY = IMAGES.tobytes()
GOOD = header(5, 28, 28) + BODY
DAMAGED = {
    "empty": (b"", "magic number: expected 00 00; got the end of the file"),
    "cut in the header": (GOOD[:9], "header: expected 16 bytes; got 9 bytes"),
    "not IDX": (b"<html><body>404 Not Found</body></html>", "magic number: expected 00 00; got 3c 68"),
    "floats": (header(5, 28, 28, code=0x0D) + BODY, "type code: expected 08 (unsigned bytes); got 0d"),
    "labels for images": (header(5) + LABELS.tobytes() + b"\0" * 9, "number of dimensions: expected 03; got 01"),
    "other count": (header(6, 28, 28) + BODY, "dimension 0: expected 5; got 6"),
    "other height": (header(5, 27, 28) + BODY, "dimension 1: expected 28; got 27"),
    "other width": (header(5, 28, 29) + BODY, "dimension 2: expected 28; got 29"),
    "huge count": (header(2**32 - 1, 28, 28), "dimension 0: expected 5; got 4294967295"),
    "cut in the data": (GOOD[:-1], "data: expected 3,920 bytes for the dimensions (5, 28, 28); got 3,919 bytes"),
    "trailing byte": (GOOD + b"\0", "data: expected the end of the file after 3,920 bytes; got trailing bytes"),
    "cut gzip": (gzip.compress(GOOD)[:-20], "gzip compression: expected an undamaged file; got Compressed file ended"),
    "gzip without its sum": (gzip.compress(GOOD)[:-8], "gzip compression: expected an undamaged file; got Compressed"),
    "gzip with a wrong sum": (gzip.compress(GOOD)[:-8] + b"\1" * 8, "an undamaged file; got CRC check failed"),
    "gzip damaged": (gzip.compress(GOOD)[:600] + b"\xff" * 40 + gzip.compress(GOOD)[640:], "gzip compression:"),
    "gzip, impossible block": (gzip.compress(GOOD)[:10] + b"\xff" * 40, "an undamaged file; got Error -3 while"),
    "gzip, then rubbish": (gzip.compress(GOOD) + b"rubbish", "gzip compression: expected an undamaged file; got Not a"),
    "gzip header only": (b"\x1f\x8b\x08", "gzip compression: expected an undamaged file; got Compressed file ended"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_named_with_its_field(write, name):
    data, part = DAMAGED[name]
    path = write(data)
    with pytest.raises(ValueError) as caught:
        idx.read_images(path, 5, remedy="Delete it.")
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ") and part in sentence and sentence.endswith(" Delete it.")


@pytest.mark.parametrize("count", [0, 100_001, 2**32 - 1])
def test_an_unknown_count_has_a_limit(write, count):
    with pytest.raises(ValueError, match=f"dimension 0: expected 1 to 100,000; got {count}"):
        idx.read_images(write(header(count, 28, 28)))


def test_labels_above_nine_are_refused(write, idx_bytes):
    with pytest.raises(ValueError, match="label 2: expected 0 to 9; got 10"):
        idx.read_labels(write(idx_bytes(np.array([1, 9, 10, 2]))))


def test_images_and_labels_must_be_equally_many(write, idx_bytes):
    images, labels = write(idx_bytes(IMAGES), "images"), write(idx_bytes(LABELS[:4]), "labels")
    with pytest.raises(ValueError, match=r"labels: number of labels: expected 5, one for each image of .*; got 4\."):
        idx.read_pair(images, labels)


def test_one_flipped_bit_is_found_by_the_sum(write, idx_bytes):
    data = bytearray(idx_bytes(IMAGES))
    sum_of_content = hashlib.sha256(data).hexdigest()
    assert np.array_equal(idx.read_images(write(data), 5, content=sum_of_content), IMAGES)
    assert np.array_equal(idx.read_images(write(gzip.compress(data, 1)), 5, content=sum_of_content), IMAGES)
    data[1000] ^= 1
    with pytest.raises(idx.DamagedFile, match=f"SHA-256 of the content: expected {sum_of_content}; got ") as caught:
        idx.read_images(write(data), 5, content=sum_of_content)
    assert caught.value.expected == sum_of_content and caught.value.got == hashlib.sha256(data).hexdigest()


def test_a_sum_of_the_packed_file_needs_the_packed_file(write, idx_bytes):
    packed = gzip.compress(idx_bytes(IMAGES), mtime=0)
    known = hashlib.sha256(packed).hexdigest()
    assert np.array_equal(idx.read_images(write(packed), 5, gz=known), IMAGES)
    with pytest.raises(ValueError, match=rf"SHA-256 of the \.gz file: expected {known}; got "):
        idx.read_images(write(gzip.compress(idx_bytes(IMAGES), 1, mtime=0)), 5, gz=known)
    with pytest.raises(ValueError, match=r"uncompressed copy\. Put the \.gz it came from beside it"):
        idx.read_images(write(idx_bytes(IMAGES)), 5, gz=known)


@pytest.mark.parametrize("count", [5, None])
def test_a_gzip_bomb_does_not_fill_memory(write, count):
    bomb = write(gzip.compress(header(5, 28, 28) + bytes(30_000_000), 6))
    assert os.path.getsize(bomb) < 60_000
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="trailing bytes"):
            idx.read_images(bomb, count)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("filler", ["zeros after it", "empty members", "its name", "a hole"])
def test_a_compressed_file_far_too_long_is_not_read_to_its_end(write, filler):
    """What unpacks to nothing has an end too: packed, the file may be no longer than its content and a little."""
    empty = gzip.compress(b"")
    path = write({"zeros after it": gzip.compress(GOOD), "empty members": gzip.compress(GOOD) + empty * 10_000,
                  "its name": b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 200_000, "a hole": gzip.compress(GOOD)}[filler])
    if filler in ("zeros after it", "a hole"):
        os.truncate(path, 200_000 if filler == "zeros after it" else 2**40)
    with pytest.raises(ValueError, match=r"gzip compression: expected an undamaged file; got more than 69,495 bytes"):
        idx.read_images(path, 5)


def test_members_and_zeros_that_belong_together(write):
    """As bgzip and tapes make them."""
    data = b"".join(gzip.compress(GOOD[at:at + 500]) for at in range(0, len(GOOD), 500)) + gzip.compress(b"") + bytes(1000)
    for count in (5, None):
        assert np.array_equal(idx.read_images(write(data), count, gz=hashlib.sha256(data).hexdigest()), IMAGES)
    with pytest.raises(ValueError, match="trailing bytes"):
        idx.read_images(write(data + gzip.compress(b"\0")), 5)


def test_the_sum_of_the_packed_file_is_that_of_all_of_it(write):
    data = gzip.compress(GOOD, mtime=0)
    with pytest.raises(idx.OtherContent, match=r"SHA-256 of the \.gz file"):
        idx.read_images(write(data + bytes(10)), 5, gz=hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("name", ["pipe", "/dev/zero", "/dev/null"])
def test_what_is_no_file_is_not_read(tmp_path, name):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match=f"{name}: kind: expected a plain file; got a pipe or a device. Get the file anew"):
        idx.read_images(tmp_path / name)


@pytest.mark.parametrize(("name", "error", "words"), [
    ("none", FileNotFoundError, "No such file or directory"), ("folder", IsADirectoryError, "Is a directory"),
    ("loop", OSError, "Too many levels of symbolic links"), ("file/below", NotADirectoryError, "Not a directory"),
    ("n" * 300, OSError, "File name too long")])
def test_what_cannot_be_read_is_told_in_a_sentence(write, tmp_path, name, error, words):
    write(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(error, match=rf"{name} cannot be read: {words}\. Get the file anew"):
        idx.read_labels(tmp_path / name)


def test_a_disk_that_fails_while_it_is_read(write, monkeypatch):
    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(idx, "_read_header", fail)
    for data in (GOOD, gzip.compress(GOOD)):
        with pytest.raises(OSError, match=r"file cannot be read: Input/output error\. Get the file anew"):
            idx.read_images(write(data), 5)


def test_a_file_that_shrinks_while_it_is_read(write, monkeypatch):
    data = header(60, 28, 28) + BODY * 12
    read_header = idx._read_header

    def then_shrink(*given):
        os.truncate(path, len(data) - 20_000)
        return read_header(*given)

    monkeypatch.setattr(idx, "_read_header", then_shrink)
    path = write(data)
    with pytest.raises(ValueError, match="data: expected 47,040 bytes"):
        idx.read_images(path, 60)
