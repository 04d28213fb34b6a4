import gzip
import os

import numpy as np
import pytest

from isbe_np import datasets
from isbe_np.datasets import places
from isbe_np.datasets.catalogue import ENTRIES, shape

REAL = pytest.mark.skipif(not os.environ.get("ISBE_DATA_DIR"), reason="ISBE_DATA_DIR is not set: no real MNIST")


@REAL
def test_the_real_mnist():
    data = datasets.load("mnist", train=1000)
    assert data.x_train.shape == (1000, 1, 28, 28) and data.x_test.shape == (10_000, 1, 28, 28)
    assert data.x_train.dtype == np.float32 and data.y_train.dtype == np.int64
    assert data.y_train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(data.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.x_test.min() == 0 and data.x_test.max() == 1
    assert all(report.ok for report in datasets.verify("mnist"))


def test_arrays_of_a_set_in_files(nowhere, shrink, put):
    tiny = shrink("mnist")
    put(nowhere / "mnist", tiny.packed)
    for dtype in (np.float32, np.float64):
        data = datasets.load("mnist", nowhere, dtype)
        for x, y, images, labels in ((data.x_train, data.y_train, *tiny.arrays[:2]),
                                     (data.x_test, data.y_test, *tiny.arrays[2:])):
            assert x.dtype == dtype and y.dtype == np.int64 and x.flags.c_contiguous and x.flags.writeable
            assert np.array_equal(x, (images / np.array(255, dtype)).astype(dtype)[:, None])
            assert np.array_equal(y, labels)
    assert data.classes == tuple("0123456789") and str(nowhere / "mnist") in data.source and "verified" in data.source
    assert "x_train" not in repr(data)


def test_a_prefix_on_request(nowhere, shrink, put):
    put(nowhere / "mnist", shrink("mnist").packed)
    whole, part = datasets.load("mnist", nowhere), datasets.load("mnist", nowhere, train=2, test=3)
    assert np.array_equal(part.x_train, whole.x_train[:2]) and np.array_equal(part.y_train, whole.y_train[:2])
    assert np.array_equal(part.x_test, whole.x_test[:3]) and np.array_equal(part.y_test, whole.y_test[:3])
    with pytest.raises(ValueError, match="load: test expects at most 4, all that mnist has; got 5"):
        datasets.load("mnist", nowhere, test=5)


def test_places_are_tried_in_order(nowhere, shrink, put, monkeypatch):
    tiny = shrink("mnist")
    at = []
    for folder in (nowhere / "cache" / "data", nowhere / "cache" / "data" / "mnist", nowhere / "env",
                   nowhere / "env" / "mnist", nowhere / "arg", nowhere / "arg" / "mnist"):
        put(folder, tiny.packed)
        monkeypatch.setenv("ISBE_DATA_DIR", str(nowhere / "env"))
        at.append(places.find("mnist", nowhere / "arg") == folder)
        datasets.load("mnist", str(nowhere / "arg"))
    assert all(at)


def test_a_folder_that_lacks_a_file_is_passed_over(nowhere, shrink, put):
    tiny = shrink("mnist")
    put(nowhere / "mnist", dict(list(tiny.packed.items())[:3]))
    with pytest.raises(FileNotFoundError, match=r"mnist were not found: no t10k-labels-idx1-ubyte\.gz; looked in "):
        datasets.load("mnist", nowhere)
    put(nowhere / "cache" / "data" / "mnist", tiny.packed)
    assert places.find("mnist", nowhere) == nowhere / "cache" / "data" / "mnist"


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "dangling link"])
def test_what_is_no_file_is_not_found(nowhere, shrink, put, kind):
    tiny = shrink("mnist")
    path = put(nowhere / "mnist", tiny.packed) / "t10k-images-idx3-ubyte.gz"
    path.unlink()
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "loop": lambda: path.symlink_to(path.name),
     "dangling link": lambda: path.symlink_to("nothing")}[kind]()
    with pytest.raises(FileNotFoundError, match=r"no t10k-images-idx3-ubyte\.gz; looked in "):
        datasets.load("mnist", nowhere)
    put(nowhere / "mnist", {"t10k-images-idx3-ubyte": tiny.plain["t10k-images-idx3-ubyte"]}, suffix="")
    assert len(datasets.load("mnist", nowhere).x_test) == 4


def test_a_folder_that_cannot_be_looked_into_is_passed_over(nowhere, shrink, put):
    tiny = shrink("mnist")
    with pytest.raises(FileNotFoundError, match=r"looked in .*nnnn"):
        datasets.load("mnist", "n" * 300)
    put(nowhere / "cache" / "data" / "mnist", tiny.packed)
    assert len(datasets.load("mnist", "n" * 300).x_test) == 4


def test_uncompressed_and_recompressed_copies_will_do_where_the_content_is_known(nowhere, shrink, put):
    tiny = shrink("mnist")
    put(nowhere / "mnist", tiny.plain, suffix="")
    assert len(datasets.load("mnist", nowhere).x_train) == 6
    put(nowhere / "mnist", {name: gzip.compress(data, 1) for name, data in tiny.plain.items()})
    assert len(datasets.load("mnist", nowhere).x_train) == 6


def test_only_the_published_gz_will_do_where_the_content_is_not_known(nowhere, shrink, put):
    tiny = shrink("kmnist", content=False)
    put(nowhere / "kmnist", tiny.plain, suffix="")
    with pytest.raises(ValueError, match=r"an uncompressed copy\. Put the \.gz .*`isbe data fetch kmnist`"):
        datasets.load("kmnist", nowhere)
    put(nowhere / "kmnist", tiny.packed)
    data = datasets.load("kmnist", nowhere)
    assert "published .gz was verified" in data.source and data.classes[1] == "ki"
    put(nowhere / "kmnist", {name: gzip.compress(data, 1) for name, data in tiny.plain.items()})
    with pytest.raises(ValueError, match=r"SHA-256 of the \.gz file"):
        datasets.load("kmnist", nowhere)


def test_files_of_another_set_are_not_taken_for_this_one(nowhere, shrink, put):
    mnist, fashion = shrink("mnist", seed=0), shrink("fashion_mnist", seed=1)
    put(nowhere, mnist.packed)
    assert places.find("mnist", nowhere) == nowhere
    with pytest.raises(FileNotFoundError, match="fashion_mnist were not found"):
        datasets.load("fashion_mnist", nowhere)
    put(nowhere / "cache" / "data", fashion.packed)
    assert datasets.load("fashion_mnist", nowhere).classes[0] == "T-shirt/top"
    put(nowhere / "fashion_mnist", mnist.packed)
    with pytest.raises(ValueError, match="SHA-256 of the content"):
        datasets.load("fashion_mnist", nowhere)


@pytest.mark.parametrize("which", range(4))
def test_damage_in_any_file_is_found(nowhere, shrink, put, which):
    tiny = shrink("mnist")
    name = list(tiny.plain)[which]
    damaged = bytearray(tiny.plain[name])
    damaged[-1] = (damaged[-1] + 1) % 10
    put(nowhere / "mnist", tiny.packed | {name: gzip.compress(damaged)})
    with pytest.raises(ValueError, match=r"SHA-256 of the content: .* Delete it and run `isbe data fetch mnist`\."):
        datasets.load("mnist", nowhere)
    assert [report.ok for report in datasets.verify("mnist", nowhere)] == [at != which for at in range(4)]


def test_missing_files_and_what_to_do(nowhere, monkeypatch):
    monkeypatch.setenv("ISBE_DATA_DIR", str(nowhere / "env"))
    with pytest.raises(FileNotFoundError) as caught:
        datasets.load("kmnist", nowhere / "arg")
    sentence = str(caught.value)
    for part in ("kmnist", "train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", str(nowhere / "arg" / "kmnist"),
                 str(nowhere / "env"), str(nowhere / "cache" / "data"), "`isbe data fetch kmnist`", "--data-dir",
                 "ISBE_DATA_DIR"):
        assert part in sentence


def test_the_catalogue_is_whole():
    assert ("digits", *ENTRIES) == datasets.NAMES
    files = [file for entry in ENTRIES.values() for file in entry.files]
    sums = [each for file in files for each in (getattr(file, "gz", None), file.content) if each]
    sums += [entry.archive.sha256 for entry in ENTRIES.values() if entry.archive]
    assert len(set(sums)) == len(sums) == 27 and all(len(bytes.fromhex(each)) == 32 for each in sums)
    idx, records = [(60000, 28, 28), (60000,), (10000, 28, 28), (10000,)], [(10000, 3, 32, 32)] * 6
    for name, entry in ENTRIES.items():
        assert len(set(entry.classes)) == 10
        assert [file.shape for file in entry.files] == (records if name == "cifar10" else idx)
        image = (3, 32, 32) if name == "cifar10" else (1, 28, 28)
        assert shape(entry.train) == (50000 if name == "cifar10" else 60000, *image) and shape(entry.test) == (10000, *image)
        assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in entry.mirrors)


def test_what_is_not_the_official_file_can_be_accepted_on_request(nowhere, shrink, put):
    tiny = shrink("kmnist", content=False)
    put(nowhere / "kmnist", tiny.plain, suffix="")
    with pytest.raises(ValueError, match=r"not the official file; .* pass verify=False or --unverified"):
        datasets.load("kmnist", nowhere)
    data = datasets.load("kmnist", nowhere, verify=False)
    assert np.array_equal(data.y_train, tiny.arrays[1])
    assert "NOT the official files" in data.source and data.source.endswith(", t10k-labels-idx1-ubyte.")
    put(nowhere / "kmnist", tiny.packed)
    assert datasets.load("kmnist", nowhere, verify=False).source.endswith("published .gz was verified.")
    put(nowhere / "kmnist", {"t10k-labels-idx1-ubyte": b"damaged"})
    with pytest.raises(ValueError, match="magic number"):
        datasets.load("kmnist", nowhere, verify=False)


def test_the_cache_folder_of_each_system(monkeypatch, tmp_path):
    from isbe_np.storage import folders
    for name in ("ISBE_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(folders.Path, "home", lambda: tmp_path)
    for system, parts in (("linux", (".cache",)), ("darwin", ("Library", "Caches")), ("win32", ("AppData", "Local"))):
        monkeypatch.setattr(folders.sys, "platform", system)
        assert folders.cache_root() == tmp_path.joinpath(*parts, "isbe_np")
    monkeypatch.setenv("ISBE_CACHE_DIR", str(tmp_path / "moved"))
    assert folders.cache_root() == tmp_path / "moved"
