import naive_heads as naive
import numpy as np
import pytest

from isbe_np.heads import NORMALIZERS, ROUTES, Head


def ready(normalizer="softmax", dtype=np.float64, **options):
    head = Head(normalizer, reduction="none", **options)
    head.forward(naive.scores(dtype=dtype))
    return head


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.int64, np.uint8, np.uint64, np.float32, np.float64, list])
def test_labels_of_every_type(kind):
    labels = naive.labels().tolist() if kind is list else naive.labels().astype(kind)
    head = ready()
    for head.route in ROUTES:
        assert np.array_equal(head.backward(labels), head.backward(naive.labels()))
    assert np.array_equal(head.loss(labels), head.loss(naive.labels()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_labels_are_encoded_for_each_normalizer(normalizer, dtype):
    head = ready(normalizer, dtype)
    hot = naive.one_hot(naive.labels(), 4, naive.LOW.get(normalizer, 0), int)
    assert np.array_equal(head.backward(naive.labels()), head.backward(hot))
    assert np.array_equal(head.backward(hot), head.soft - hot.astype(dtype))
    assert np.array_equal(head.loss(naive.labels()), head.loss(hot))


@pytest.mark.parametrize("kind", [bool, int, np.float32, np.float64])
def test_dense_targets_of_every_type(kind):
    hot = np.eye(4)[naive.labels()]
    head = ready(dtype=np.float32)
    for head.route in ROUTES:
        error = head.backward(hot.astype(kind))
        assert error.dtype == np.float32 and np.array_equal(error, head.backward(naive.labels()))


@pytest.mark.parametrize(("targets", "why"), [
    ([0, 1, 2, 3, 4], "from 0 to 3, .*; label 4 is 4"),
    ([0, -1, 2, 3, 4], "from 0 to 3, .*; label 1 is -1"),
    (np.array([0, 2**64 - 1, 0, 0, 0], np.uint64), "label 1 is 18446744073709551615"),
    ([0, 1, 1.5, 0.5, 0], r"whole-number labels; label 2 is 1\.5"),
    ([0, 1, np.nan, 0, 0], "whole-number labels; label 2 is nan"),
    ([0, 1, np.inf, 0, 0], "label 2 is inf"),
    ([0, 1, 2], r"\(5,\) labels or \(5, 4\) numbers .*; got shape \(3,\)"),
    (np.zeros((5, 3)), r"got shape \(5, 3\)"),
    (np.zeros((4, 5)), r"got shape \(4, 5\)"),
    (np.zeros((5, 4, 1)), r"got shape \(5, 4, 1\)"),
    (3, r"got shape \(\)"),
    (np.where(np.arange(20) == 6, np.nan, 0).reshape(5, 4), "row 1, class 2 is nan"),
    (np.where(np.arange(20) == 19, -np.inf, 0).reshape(5, 4), "row 4, class 3 is -inf"),
])
def test_targets_that_are_refused(targets, why):
    head = ready()
    for head.route in ROUTES:
        with pytest.raises(ValueError, match=why):
            head.backward(targets)
    with pytest.raises(ValueError, match=why):
        head.loss(targets)


def test_targets_that_leave_the_range_of_float32():
    with pytest.raises(ValueError, match=r"finite in float32; row 0, class 0 is 1e\+300"):
        ready(dtype=np.float32).backward(np.full((5, 4), 1e300))


@pytest.mark.parametrize("targets", [["a"] * 5, [None] * 5, [1j] * 5])
def test_targets_that_are_no_numbers(targets):
    with pytest.raises(TypeError, match="Head\\(targets\\) expects whole-number labels \\(N,\\) or numbers \\(N, C\\); got"):
        ready().backward(targets)


def test_one_score_for_each_example():
    head = Head("sigmoid", reduction="none")
    head.forward(np.array([[0.0], [2.0]]))
    assert np.array_equal(head.backward([[0], [1]]), head.soft - [[0], [1]])
    with pytest.raises(ValueError, match=r"shape \(N, 1\)"):
        head.backward([0, 1])
