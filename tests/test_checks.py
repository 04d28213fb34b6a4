"""What users pass as numbers and as labels: read by position wherever it comes in, or refused in a sentence that helps."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tiny

import isbe_np as isbe
from isbe_np import checks, plots
from isbe_np.explain import explain

LABELS = np.array([0, 1, 2, 2, 1, 0])
MIXED = np.array([4, 3, 5, 1, 0, 2])  # an index of pandas that is not the position
X = np.random.default_rng(0).random((6, 4)).astype(np.float32)


def net(classes=3):
    return isbe.Sequential((4,), isbe.Dense(classes), seed=1)


def head(scores):
    made = isbe.Head()
    made.forward(scores)
    return made


def trained(x, y, classes=3):
    """The parameters after a step on these arrays."""
    one = net(classes)
    isbe.train(one, isbe.Head(), SimpleNamespace(x_train=x, y_train=y, x_test=x, y_test=y), progress=False)
    return one.values.copy()


SCORES = net().forward(X)
READ_LABELS = {
    "accuracy": lambda y: isbe.accuracy(net(), X, y),
    "train": lambda y: trained(X, y),
    "Head.backward": lambda y: head(SCORES).backward(y),
    "Head.error": lambda y: isbe.Head().error(SCORES, y),
    "Head.loss": lambda y: head(SCORES).loss(y),
    "batches": lambda y: np.concatenate([some for _, some in isbe.datasets.batches(X, y, 4, 0, 0)]),
    "confusion_figure": lambda y: plots.confusion_figure(y, LABELS).axes[0].images[0].get_array(),
}
KNOWS_NO_CLASSES = {"batches", "confusion_figure"}
READ_NUMBERS = {
    "predict": lambda x: isbe.predict(net(), x),
    "accuracy": lambda x: isbe.accuracy(net(), x, LABELS),
    "train": lambda x: trained(x, LABELS),
    "Graph.forward": lambda x: net().forward(x),
    "Graph.backward": lambda x: backward(x),
    "Head.forward": lambda x: isbe.Head().forward(x),
    "Head.error": lambda x: isbe.Head().error(x, LABELS),
    "Head targets": lambda x: isbe.Head().error(X, x),
    "softmax_jacobian": lambda x: isbe.softmax_jacobian(x),
    "batches": lambda x: np.concatenate([some for some, _ in isbe.datasets.batches(x, LABELS, 4, 0, 0)]),
    "batches of targets": lambda x: np.concatenate([some for _, some in isbe.datasets.batches(X, x, 4, 0, 0)]),
    "check_gradients": lambda x: isbe.check_gradients(isbe.Tanh(), x).worst,
}
ANY_DTYPE = {"Head targets", "batches", "batches of targets"}
BOTH_DTYPES = {"Head.forward", "Head.error", "softmax_jacobian", "check_gradients"}
# Of one example, or of a few numbers beside it.
READ_ROWS = {
    "explain": lambda row: explain(row, 0).soft,
    "explain target": lambda row: explain([1.0, 2, 3, 4], row).targets,
    "dilation": lambda row: isbe.Head(dilation=row).forward(np.float64(X)),
    "relocation": lambda row: isbe.Head(relocation=row).forward(np.float64(X)),
    "activations_figure": lambda row: len(plots.activations_figure(net(), row, most=1).axes),
    "collapse_figure": lambda row: len(plots.collapse_figure(row, 0).axes),
    "a normalizer of one's own": lambda row: isbe.Head(SimpleNamespace(forward=lambda scores: row)).forward(np.zeros((1, 4)))
}


def backward(error):
    one = net(4)
    one.forward(X)
    return one.backward(error, input_gradient=True)


def masked(array, *place):
    some = np.ma.array(array)
    some[place or 2] = np.ma.masked
    return some


# Labels


@pytest.mark.parametrize("same", [
    LABELS.tolist(), tuple(LABELS.tolist()), LABELS.astype(np.uint8), LABELS.astype(">i4"), LABELS.astype(np.uint64),
    LABELS.astype(np.float32), LABELS.astype(">f8"), LABELS.astype(np.float16), LABELS.astype(np.longdouble),
    np.repeat(LABELS, 2)[::2], pd.Series(LABELS, index=MIXED), pd.Series(LABELS, dtype="Int64"), pd.Categorical(LABELS),
    np.ma.array(LABELS), [np.int8(label) for label in LABELS],
], ids=lambda y: f"{type(y).__name__} {getattr(y, 'dtype', '')}")
def test_whole_labels_of_every_kind_are_the_same_labels_everywhere(same):
    for reader, read in READ_LABELS.items():
        assert np.array_equal(read(same), read(LABELS)), reader


NUMBER_THEM = r"np\.unique\(y, return_inverse=True\)"
UNLIKE = {
    "text": (np.array(list("abccba")), TypeError, f"got text, such as 'a'.*{NUMBER_THEM}"),
    "a series of text": (pd.Series(list("abccba")), TypeError, f"got text, such as 'a'.*{NUMBER_THEM}"),
    "numbers as text": (LABELS.astype(str), TypeError, r"got text, such as '0'\. Convert it with np\.asarray\(y, np\.int64\)"),
    "bytes": (LABELS.astype(bytes), TypeError, r"got text, such as b'0'\. Convert"),
    "text among objects": (np.array([0, "b", 2, 2, 1, 0], object), TypeError, "got text, such as 'b'"),
    "None": ([0, None, 2, 2, 1, 0], TypeError, "got None at 1. Leave out the examples"),
    "pandas' NA": (np.array([0, 1, pd.NA, 2, 1, 0], object), TypeError, "got <NA> at 2"),
    "objects": (LABELS.astype(object), TypeError, r"an array of objects.*np\.asarray\(y, np\.int64\)"),
    "a dictionary": ({0: 1}, TypeError, "got a dict"),
    "complex": (LABELS + 0j, TypeError, r"complex numbers \(complex128\)"),
    "dates": (np.zeros(6, "M8[D]"), TypeError, f"got dates.*{NUMBER_THEM}"),
    "records": (np.zeros(6, [("a", "i4")]), TypeError, "records of several fields"),
    "ragged": ([[0], [1, 2]], ValueError, "differ in length"),
    "masked": (masked(LABELS), ValueError, r"1 of 6 entries are masked\. .*keep = ~np\.ma\.getmaskarray\(y\)"),
    "masked in a list": ([0, 1, 2, 2, 1, np.ma.masked], ValueError, "entries are masked"),
    "a missing value": (pd.Series([0, None, 2, 2, 1, 0]), ValueError, r"1 is nan\. Leave out the examples"),
    "one number": (2, ValueError, r"got shapes? (\(6, 4\) and )?\(\)"),
}
NO_CLASS = {
    "counted from 1": (LABELS + 1, "label 2 is 3. They seem to count from 1: pass y - 1"),
    "counted from 1, as real numbers": (LABELS + 1.0, r"label 2 is 3\.0. They seem to count from 1: pass y - 1"),
    "counted from -1": (LABELS - 1, r"label 0 is -1\. .*keep = y >= 0.*If classes count from -1, pass y \+ 1"),
    "-1.0": (LABELS - 1.0, r"label 0 is -1\.0\."),
    "PyTorch's -100": (np.where(LABELS == 2, -100, LABELS), r"label 2 is -100\. If -100 marks examples without a label"),
    "a gap": (LABELS * 5, rf"label 1 is 5\. Number the classes from 0 without gaps, .*{NUMBER_THEM}"),
    "the number of classes": (np.where(LABELS == 2, 3.0, 0.0), r"label 2 is 3\.0"),
    "too large": (np.full(6, 2.0**63), r"label 0 is 9\.223372036854776e\+18"),
    "too large without a sign": (np.full(6, 2**64 - 1, np.uint64), "label 0 is 18446744073709551615"),
    "infinity": (np.where(LABELS == 2, -np.inf, LABELS), r"label 2 is -inf\. Leave out"),
    "a half": (LABELS + 0.5, r"whole-number labels; label 0 is 0\.5\. For soft targets"),
    "almost whole": (LABELS + np.where(LABELS == 1, 1e-12, 0), "whole-number labels; label 1 is 1.000000000001"),
    "booleans": (LABELS == 1, "booleans, which name two classes"),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_what_holds_no_labels_is_refused_everywhere_with_what_to_do(case):
    given, kind, words = UNLIKE[case]
    for read in READ_LABELS.values():
        with pytest.raises(kind, match=words) as refusal:
            read(given)
        assert re.match(r"(accuracy|train\(data.y_train\)|Head\(targets\)|batches(\(y\))?|confusion_figure) expects",
                        str(refusal.value))


@pytest.mark.parametrize("case", NO_CLASS)
def test_a_label_of_no_class_is_refused_everywhere_with_what_to_do(case):
    given, words = NO_CLASS[case]
    for reader in READ_LABELS.keys() - KNOWS_NO_CLASSES:
        with pytest.raises(ValueError, match=words):
            READ_LABELS[reader](given)


@pytest.mark.parametrize(("given", "words"), [
    (np.eye(3)[LABELS], r"shape \(6, 3\)\. If they are one-hot, pass np\.asarray\(y\)\.argmax\(axis=-1\)"),
    (pd.DataFrame({"y": LABELS}), r"shape \(6, 1\)\. Pass a flat array, np\.ravel\(y\)"),
    (LABELS[None], r"shape \(1, 6\)\. Pass a flat array"), (LABELS[:5], r"shape \(5,\)\.$"), ([], r"shape \(0,\)\.$"),
])
def test_labels_of_another_shape_are_refused_and_the_usual_mistakes_known(given, words):
    for reader in ("accuracy", "train"):
        with pytest.raises(ValueError, match=rf"expects one label for each of 6 examples, shape \(6,\); got {words}"):
            READ_LABELS[reader](given)


def test_booleans_are_the_two_classes_where_there_are_two():
    two = LABELS == 2
    assert isbe.accuracy(net(2), X, two) == isbe.accuracy(net(2), X, two.astype(int))
    assert np.array_equal(trained(X, two, 2), trained(X, two.astype(int), 2))
    assert np.array_equal(isbe.Head().error(X[:, :2], two), isbe.Head().error(X[:, :2], two.astype(int)))
    with pytest.raises(ValueError, match=r"Of labels -1 and 1, make 0 and 1 with \(y > 0\)\.astype\(np\.int64\)"):
        isbe.accuracy(net(2), X, np.where(two, 1, -1))


# Numbers


@pytest.mark.parametrize("same", [
    lambda x: x.tolist(), list, np.asfortranarray, lambda x: x.astype(x.dtype.newbyteorder()), np.ma.array,
    lambda x: pd.DataFrame(x, index=MIXED, columns=list("dbca")), lambda x: np.broadcast_to(x, x.shape),
], ids=["list", "list of rows", "Fortran order", "other byte order", "nothing masked", "DataFrame", "read-only"])
def test_numbers_are_read_by_position_everywhere(same):
    for reader, read in READ_NUMBERS.items():
        x = np.float64(X) if reader == "check_gradients" else X
        got, wanted = read(same(x)), read(x)
        assert np.shape(got) == np.shape(wanted), reader
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6)  # a list is read in float64 where no dtype is wanted


NO_NUMBERS = {
    "masked": (lambda x: masked(x, 3, 1), ValueError, r"1 of 24 entries are masked\. Leave those .* out[:,]"),
    "masked rows in a list": (lambda x: list(masked(x, 3, 1)), ValueError, "1 of 4 entries are masked"),
    "text": (lambda x: x.astype(str), TypeError, r"got text, such as '0\.6369617'"),
    "a column of text": (lambda x: pd.DataFrame(x).assign(name="Ada"), TypeError, "got text, such as 'Ada'"),
    "None": (lambda x: [[None, 1.0, 2.0, 3.0]] * 6, TypeError, r"got None at \(0, 0\)"),
    "objects": (lambda x: x.astype(object), TypeError, "an array of objects"),
    "complex": (lambda x: x + 0j, TypeError, r"complex numbers \(complex64\)\. Take their real part"),
    "dates": (lambda x: np.zeros(x.shape, "M8[s]"), TypeError, "got dates"),
    "time differences": (lambda x: np.zeros(x.shape, "m8[s]"), TypeError, "got time differences"),
    "records": (lambda x: np.zeros(x.shape, [("a", "f4")]), TypeError, "records of several fields"),
    "ragged": (lambda x: [[1.0, 2.0], [3.0]], ValueError, "differ in length"),
    "None alone": (lambda x: None, TypeError, "got None"),
    "a generator": (iter, TypeError, "got a"),
}


@pytest.mark.parametrize("case", NO_NUMBERS)
def test_what_holds_no_numbers_is_refused_everywhere_with_what_to_do(case):
    make, kind, words = NO_NUMBERS[case]
    for read in READ_NUMBERS.values():
        with pytest.raises(kind, match=words) as refusal:
            read(make(X))
        assert re.match(r"[\w.]+(\([\w.]+\))? expects", str(refusal.value))


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.longdouble, np.int64, np.uint8, np.bool])
def test_arrays_of_another_dtype_are_never_converted_in_silence(dtype):
    x = X.astype(dtype)
    for reader in READ_NUMBERS.keys() - ANY_DTYPE - (BOTH_DTYPES if dtype == np.float64 else set()):
        for given in (x, list(x), pd.DataFrame(x)):
            with pytest.raises(TypeError, match=rf"expects a float.* array; got {x.dtype}\. Convert it with "):
                READ_NUMBERS[reader](given)


@pytest.mark.parametrize("reader", READ_ROWS)
def test_single_rows_lose_no_mask_either(reader):
    row, read = ([[1.0, 2, 3, 4]] if "normalizer" in reader else [1.0, 2, 3, 4]), READ_ROWS[reader]
    assert np.isfinite(read(row)).all()
    for given, kind, words in ((masked(row, ..., 3), ValueError, "1 of 4 entries are masked"), ("text", TypeError, "got text"),
                               (np.array(row) + 0j, TypeError, "complex numbers")):
        with pytest.raises(kind, match=words):
            read(given)


def test_numbers_of_python_take_the_dtype_that_is_wanted_and_must_fit_it():
    wide, narrow = checks.float_array("f", [[1, 2.5]]), checks.float_array("f", [[1, 2.5]], np.float32)
    assert (wide.dtype, narrow.dtype) == (np.float64, np.float32) and wide.tolist() == narrow.tolist() == [[1, 2.5]]
    with pytest.raises(ValueError, match=r"Graph\.forward\(batch\) expects numbers that float32 can hold; got 1e\+300"):
        net().forward([[0.0, 1e300, 0, 0]])
    with pytest.raises(TypeError, match="expects a float32 array; got float64"):
        net().forward([[np.float64(1)] * 4])
    assert checks.float_array("f", X, np.float32) is X


def test_batches_pairs_by_position_whatever_the_index():
    x, y = np.arange(12.0)[:, None], pd.Series(np.arange(12), index=np.random.default_rng(0).permutation(12))
    table = pd.DataFrame(x, index=np.roll(np.arange(12), 5))
    for images, labels in isbe.datasets.batches(table, y, 5, seed=0, epoch=0):
        assert images[:, 0].tolist() == labels.tolist()


@pytest.mark.parametrize("write", [
    lambda out: net(4).forward(X, out=out), lambda out: isbe.Head().forward(X, out=out),
    lambda out: isbe.Head().error(X, [0] * 6, out=out),
    lambda out: isbe.RandomFlipCrop(1)(X.reshape(6, 1, 2, 2), range(6), 0, out.reshape(6, 1, 2, 2))])
def test_no_result_is_written_under_a_mask(write):
    with pytest.raises(ValueError, match=r"out"):
        write(masked(np.zeros_like(X)))


def test_an_object_that_will_not_be_read_is_named_with_its_reason():
    class Sealed:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("detach it first")

    with pytest.raises(TypeError, match=r"predict.* got a Sealed, which cannot be read as an array: detach it first"):
        isbe.predict(net(), Sealed())
    sparse = SimpleNamespace(toarray=lambda: X)
    with pytest.raises(TypeError, match=r"Make it dense with \.toarray\(\)"):
        isbe.predict(net(), sparse)


def test_augmentation_takes_no_masked_indices():
    with pytest.raises(ValueError, match=r"RandomFlipCrop\(indices\) expects numbers; 1 of 3 entries are masked"):
        isbe.RandomFlipCrop(1)(tiny.dataset().x_train, masked([0, 1, 2]), 0)
