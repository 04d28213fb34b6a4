"""Head.error, forward and backward in one call, beside these two."""

import naive_heads as naive
import numpy as np
import pytest

from isbe_np.compiler.jit import SETTINGS
from isbe_np.engine import softmax as engine
from isbe_np.heads import NORMALIZERS, REDUCTIONS, ROUTES, Head

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
KINDS = naive.kinds_of_targets(6, 10)


def two_calls(head, x, t):
    head.forward(x)
    return head.backward(t)


@every_dtype
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_softmax_by_isbe_equals_backward_but_for_rounding(kind, reduction, dtype, kernels):
    x, t, eps = naive.scores(6, 10, dtype), KINDS[kind], np.finfo(dtype).eps
    head = Head("softmax", "isbe", reduction)
    e, expected = head.error(x, t), two_calls(Head("softmax", "isbe", reduction), x, t)
    assert e.dtype == dtype and e.shape == (6, 10)
    np.testing.assert_allclose(e, expected, rtol=0, atol=2 * eps / (6 if reduction == "mean" else 1))
    hot = KINDS["one-hot" if kind == "labels" else kind]
    exact = (naive.softmax(np.asarray(x, np.float64)) - hot) / (6 if reduction == "mean" else 1)
    np.testing.assert_allclose(e, exact, rtol=0, atol=8 * eps)


@every_dtype
def test_softmax_at_many_classes(dtype, monkeypatch):
    """By the kernels for large batches, whose rows threads share."""
    monkeypatch.setattr(engine, "ALONE", 0)
    C = 40 if SETTINGS.DISABLE_JIT else 4000
    x, t = naive.scores(9, C, dtype), naive.labels(9, C)
    head = Head(reduction="sum")
    np.testing.assert_allclose(head.error(x, t), two_calls(Head(reduction="sum"), x, t), rtol=0, atol=2 * np.finfo(dtype).eps)
    for route in ROUTES[1:3]:
        assert naive.difference(head.error(x, t), two_calls(Head(route=route, reduction="sum"), x, t)) <= 2e-6


@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("route", ROUTES)
def test_all_else_is_what_forward_and_backward_do(normalizer, route):
    try:
        head, other = Head(normalizer, route), Head(normalizer, route)
    except ValueError:
        return
    x = naive.scores()
    for t in (naive.labels(), naive.kinds_of_targets()["soft"]):
        e, expected = head.error(x, t), two_calls(other, x, t)
        if (normalizer, route) == ("softmax", "isbe"):
            np.testing.assert_allclose(e, expected, atol=1e-16)
        else:
            assert np.array_equal(e, expected)


@pytest.mark.parametrize("loss", naive.LOSSES_OF["softmax"])
@pytest.mark.parametrize("options", [{}, {"dilation": 2, "relocation": [0, 1, 0, -1]}], ids=str)
def test_what_the_head_knows_afterwards(loss, options, kernels):
    x, t = naive.scores(), naive.kinds_of_targets()["smoothed"]
    head, other = Head(loss=loss, **options), Head(loss=loss, **options)
    head.error(x, t)
    expected = two_calls(other, x, t)
    assert head.scores is x and head.loss(t) == other.loss(t)
    assert np.array_equal(head.soft, other.soft) and head.soft is head.soft
    assert np.array_equal(head.backward(t), expected)
    head.forward(naive.scores(seed=3))
    assert not np.array_equal(head.soft, other.soft)
    head.error(x, t)
    assert np.array_equal(head.soft, other.soft)


def test_dilation_and_relocation():
    x, k, b = naive.scores(), np.array([0.5, 1, 2, 3]), np.array([0.3, 0, -2, 1])
    e = Head(dilation=k, relocation=b, reduction="none").error(x, naive.labels())
    np.testing.assert_allclose(e, naive.softmax(k * x + b) - naive.one_hot(naive.labels(), 4), atol=1e-15)


@pytest.mark.parametrize("route", ["isbe", "fused"])
def test_out(route):
    x, t, head = naive.scores(), naive.kinds_of_targets()["soft"], Head(route=route)
    expected = head.error(x, t)
    out = np.full_like(x, 7)
    assert head.error(x, t, out) is out and np.array_equal(out, expected)
    assert not np.shares_memory(expected, head.error(x, t))
    for bad, why in ((np.empty((5, 3)), "out must be an array"), (np.empty((5, 4), np.float32), "out must be an array"),
                     (np.empty((4, 5)).T, "C-contiguous"), (x, "apart")):
        with pytest.raises(ValueError, match=f"Head.backward: .*{why}"):
            head.error(x, t, bad)


@pytest.mark.parametrize("route", ROUTES)
def test_out_may_be_the_targets_or_lie_in_their_memory(route, kernels):
    x, t, head = naive.scores(), naive.kinds_of_targets()["soft"], Head(route=route)
    expected, room = head.error(x, t), np.empty(t.size + 1)
    for send in (lambda t, e: head.error(x, t, out=e), lambda t, e: head.backward(t, out=e)):
        for start in (0, 1):
            given = room[:-1].reshape(t.shape)
            given[...] = t
            np.testing.assert_allclose(send(given, room[start:start + t.size].reshape(t.shape)), expected, rtol=0, atol=1e-16)


@pytest.mark.parametrize("make", [np.asfortranarray, lambda x: np.repeat(x, 2, axis=1)[:, ::2], lambda x: x.tolist()])
def test_any_memory_layout(make):
    x, t = naive.scores(), naive.kinds_of_targets()["soft"]
    assert np.array_equal(Head().error(make(x), make(t)), Head().error(x, t))


@pytest.mark.parametrize("route", ["isbe", "fused"])
@pytest.mark.parametrize(("x", "t", "error", "why"), [
    (np.zeros((2, 0)), [0, 0], ValueError, r"scores of shape \(N, C\)"),
    (np.zeros(3), [0], ValueError, r"scores of shape \(N, C\)"),
    (np.zeros((2, 3), int), [0, 0], TypeError, "float32 or float64"),
    ([[0.0, 1], [0, np.nan]], [0, 0], ValueError, "row 1 of the scores has no softmax: class 1 is nan"),
    ([[0.0, 1], [np.inf, 0]], [0, 0], ValueError, "row 1 of the scores has no softmax: class 0 is inf"),
    ([[-np.inf, -np.inf], [0, 1]], [[0, 1], [1, 0]], ValueError, "row 0 of the scores has no softmax: every class is -inf"),
    (np.zeros((2, 3)), [0, 3], ValueError, "from 0 to 2, .*; label 1 is 3"),
    (np.zeros((2, 3)), [-1, 0], ValueError, "from 0 to 2, .*; label 0 is -1"),
    (np.zeros((2, 3)), [0, 0.5], ValueError, "whole-number labels; label 1 is 0.5"),
    (np.zeros((2, 3)), [[0, 1, 0], [0, np.nan, 0]], ValueError, "row 1, class 1 is nan"),
    (np.zeros((2, 3)), np.zeros((3, 2)), ValueError, r"got shape \(3, 2\)"),
    (np.zeros((2, 3)), ["a", "b"], TypeError, r"whole-number labels \(N,\) or numbers \(N, C\); got text"),
    (np.zeros((0, 3)), [], ValueError, "empty batch"),
])
def test_refusals(x, t, error, why, route, kernels):
    head = Head(route=route)
    for use in (head.error, lambda x, t: two_calls(head, x, t)):
        with pytest.raises(error, match=why):
            use(x, t)


def test_after_a_refusal_nothing_is_known():
    head = Head()
    head.error(naive.scores(), naive.labels())
    with pytest.raises(ValueError, match="no softmax"):
        head.error(np.array([[np.nan, 0]]), [0])
    for use in (lambda: head.soft, lambda: head.scores, lambda: head.loss([0]), lambda: head.backward([0])):
        with pytest.raises(RuntimeError, match="forward"):
            use()


@every_dtype
def test_extremes(dtype, kernels):
    far, head = 1e38 if dtype == np.float32 else 1e300, Head(reduction="none")
    x = np.array([[far, -far, 0], [0, -1000, -np.inf], [-far, -far, -far]], dtype)
    y = np.array([[1, 0, 0], [1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])
    for label in range(3):
        np.testing.assert_allclose(head.error(x, [label] * 3), y - np.eye(3)[[label] * 3], atol=np.finfo(dtype).eps)
    most = np.finfo(dtype).max
    assert np.isfinite(head.error(x, np.full((3, 3), -most))).all()


@every_dtype
def test_no_rows_and_one_class(dtype):
    head = Head(reduction="sum")
    for nothing in ([], np.empty((0, 3))):
        assert head.error(np.empty((0, 3), dtype), nothing).shape == (0, 3)
    assert np.array_equal(head.error(np.array([[3], [-2]], dtype), [0, 0]), [[0], [0]])


def test_a_normalizer_of_ones_own():
    class Half:
        def forward(self, scores):
            return scores / 2

    x = naive.scores()
    assert np.array_equal(Head(Half(), reduction="none").error(x, naive.labels()), x / 2 - naive.one_hot(naive.labels(), 4))
