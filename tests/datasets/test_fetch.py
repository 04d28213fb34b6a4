import hashlib
import re

import pytest

from isbe_np import datasets
from isbe_np.datasets import places
from isbe_np.datasets.catalogue import ENTRIES
from isbe_np.storage import files


def test_digits_need_no_files():
    assert datasets.fetch("digits") == [] and datasets.verify("digits") == []
    assert datasets.available()[0].name == "digits" and datasets.available()[0].found


@pytest.mark.parametrize("function", [datasets.fetch, datasets.verify])
def test_unknown_name(function):
    with pytest.raises(ValueError, match="Did you mean 'fashion_mnist'"):
        function("fashionmnist")


def test_fetched_files_load(nowhere, server, shrink, put):
    web, address, log = server
    put(web / "second", (tiny := shrink("mnist", mirrors=(address + "first/", address + "second/"))).packed)
    paths = datasets.fetch("mnist", nowhere / "data")
    assert [path.read_bytes() for path in paths] == list(tiny.packed.values())
    assert {path.parent for path in paths} == {nowhere / "data" / "mnist"}
    assert len(datasets.load("mnist", nowhere / "data").x_test) == 4
    assert any("first" in line and "404" in line for line in log)
    log.clear()
    assert datasets.fetch("mnist", nowhere / "data") == paths and log == []
    paths[1].write_bytes(b"damaged")
    assert datasets.fetch("mnist", nowhere / "data") == paths
    assert paths[1].read_bytes() == list(tiny.packed.values())[1] and "train-labels" in "".join(log)


@pytest.mark.parametrize("wrong", [b"<html>wrong bytes</html>", b""])
def test_wrong_bytes_are_refused_and_nothing_is_left(nowhere, server, shrink, put, wrong):
    web, address, _ = server
    tiny = shrink("mnist", mirrors=(address,))
    put(web, tiny.packed | {"t10k-images-idx3-ubyte": wrong})
    with pytest.raises(OSError) as caught:
        datasets.fetch("mnist", nowhere / "data")
    sentence = str(caught.value)
    for part in ("could not get t10k-images-idx3-ubyte.gz", address, "by hand", str(nowhere / "data"), "SHA-256"):
        assert part in sentence
    left = sorted(path.name for path in (nowhere / "data").rglob("*") if path.is_file())
    assert left == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
    with pytest.raises(FileNotFoundError):
        datasets.load("mnist", nowhere / "data")


def test_files_put_there_by_hand_are_kept(nowhere, shrink, put):
    put(nowhere, shrink("mnist").plain, suffix="")
    assert [path.parent for path in datasets.fetch("mnist", nowhere)] == [nowhere] * 4


def test_without_a_mirror_that_answers(nowhere, shrink, impatience):
    shrink("mnist", mirrors=("http://127.0.0.1:9/a/", "http://127.0.0.1:9/b/"))
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9/a/train-images.*127\.0\.0\.1:9/b/train-images.*by hand"):
        datasets.fetch("mnist")
    assert not [path for path in (nowhere / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "kmnist", "cifar10"])
def test_the_way_by_hand_is_told_and_leads_there(nowhere, shrink, shrink_cifar10, put, impatience, name):
    mirrors = ("http://127.0.0.1:9/a/", "http://127.0.0.1:9/b/")
    tiny = shrink_cifar10(mirrors) if name == "cifar10" else shrink(name, mirrors=mirrors)
    entry = ENTRIES[name]
    packed = {entry.archive.name: tiny.archive} if name == "cifar10" else {file: tiny.packed[file[:-3]] for file in
                                                                           (f.forms[0] for f in entry.files)}
    there = []
    for file, data in packed.items():
        with pytest.raises(OSError) as caught:
            datasets.fetch(name, nowhere / "data")
        sentence = str(caught.value)
        folder = re.search(r"put it in (.+); its SHA-256 must be ([0-9a-f]{64})\.", sentence)
        assert folder[2] == hashlib.sha256(data).hexdigest() and sentence.startswith(f"fetch could not get {file} (")
        assert all(f"{mirror}{file}: " in sentence for mirror in mirrors)
        if name != "cifar10":
            absent = [each for each in packed if each not in there]
            assert sentence.endswith(f" Not there yet: {', '.join(absent)}.")
        else:
            assert sentence.endswith(" Then run `isbe data fetch cifar10` again, which unpacks it.")
        put(nowhere / folder[1], {file: data}, suffix="")
        there.append(file)
    assert [path.read_bytes() for path in datasets.fetch(name, nowhere / "data")]
    assert len(datasets.load(name, nowhere / "data").classes) == 10


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_folder_that_cannot_be_written_to(nowhere, shrink, shrink_cifar10, name):
    shrink("mnist"), shrink_cifar10()
    (nowhere / "file").write_bytes(b"")
    with pytest.raises(OSError, match=rf"fetch could not write to {nowhere}/file/x/{name}: Not a directory\. .*--data-dir"):
        datasets.fetch(name, nowhere / "file" / "x")


def test_a_folder_in_the_place_of_a_file(nowhere, server, shrink, put):
    web, address, _ = server
    put(web, shrink("mnist", mirrors=(address,)).packed)
    (nowhere / "data" / "mnist" / "train-labels-idx1-ubyte.gz").mkdir(parents=True)
    with pytest.raises(OSError, match=r"fetch could not write to .*mnist: .*folder.*--data-dir"):
        datasets.fetch("mnist", nowhere / "data")


def test_downloads_go_to_the_first_place(nowhere, monkeypatch):
    assert places.home("mnist") == nowhere / "cache" / "data" / "mnist"
    monkeypatch.setenv("ISBE_DATA_DIR", str(nowhere / "env"))
    assert places.home("mnist") == nowhere / "env" / "mnist"
    assert places.home("mnist", nowhere / "arg") == nowhere / "arg" / "mnist"


def test_reports_of_right_damaged_and_missing_files(nowhere, shrink, put):
    tiny = shrink("mnist")
    right, damaged, *_ = tiny.packed
    put(nowhere / "mnist", {right: tiny.packed[right], damaged: tiny.packed[damaged][:-9]})
    reports = datasets.verify("mnist", nowhere)
    assert [report.found for report in reports] == [True, True, False, False]
    assert [report.ok for report in reports] == [True, False, False, False]
    assert reports[0].expected == reports[0].got and "is right" in reports[0].sentence
    assert reports[1].sentence.endswith("Delete it and run `isbe data fetch mnist`.")
    assert reports[2].got == "no file" and "is missing" in reports[2].sentence
    assert all(report.path.parent == nowhere / "mnist" and str(report.path) in report.sentence for report in reports)


def test_an_unreadable_file_is_reported(nowhere, shrink, put, monkeypatch):
    tiny = shrink("mnist")
    put(nowhere / "mnist", tiny.packed)

    def refuse(path, *rest):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(files.os, "open", refuse)
    reports = datasets.verify("mnist", nowhere)
    assert not any(report.ok for report in reports) and all(report.found for report in reports)
    assert all(f"{report.path} cannot be read: Permission denied." in report.sentence for report in reports)
    with pytest.raises(PermissionError, match=r"ubyte\.gz cannot be read: Permission denied\. .*`isbe data fetch mnist`"):
        datasets.load("mnist", nowhere)


def test_available_says_where(nowhere, shrink, put):
    put(nowhere / "kmnist", shrink("kmnist").packed)
    rows = datasets.available(nowhere)
    assert [row.name for row in rows] == list(datasets.NAMES)
    assert [row.found for row in rows[1:]] == [None, None, str(nowhere / "kmnist"), None]
    assert all(row.description for row in rows)
