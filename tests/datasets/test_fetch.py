import sys

import pytest

from isbe_np import datasets
from isbe_np.datasets import places


def test_digits_need_no_files():
    assert datasets.fetch("digits") == [] and datasets.verify("digits") == []
    assert datasets.available()[0].name == "digits" and datasets.available()[0].found


@pytest.mark.parametrize("function", [datasets.fetch, datasets.verify])
def test_unknown_name(function):
    with pytest.raises(ValueError, match="Did you mean 'fashion_mnist'"):
        function("fashionmnist")


def test_fetched_files_load(nowhere, server, shrink, put):
    pytest.importorskip("pooch")
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
    pytest.importorskip("pooch")
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
    pytest.importorskip("pooch")
    put(nowhere, shrink("mnist").plain, suffix="")
    assert [path.parent for path in datasets.fetch("mnist", nowhere)] == [nowhere] * 4


def test_without_a_mirror_that_answers(nowhere, shrink):
    pytest.importorskip("pooch")
    shrink("mnist", mirrors=("http://127.0.0.1:9/a/", "http://127.0.0.1:9/b/"))
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9/a/train-images.*127\.0\.0\.1:9/b/train-images.*by hand"):
        datasets.fetch("mnist")
    assert not [path for path in (nowhere / "cache").rglob("*") if path.is_file()]


def test_without_pooch(nowhere, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r'pip install "isbe_np\[data\]"'):
        datasets.fetch("mnist")


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


def test_available_says_where(nowhere, shrink, put):
    put(nowhere / "kmnist", shrink("kmnist").packed)
    rows = datasets.available(nowhere)
    assert [row.name for row in rows] == list(datasets.NAMES)
    assert [row.found for row in rows[1:]] == [None, None, str(nowhere / "kmnist"), None]
    assert all(row.description for row in rows)
