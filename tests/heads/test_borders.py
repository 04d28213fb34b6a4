"""Targets and normalizers at their borders: what lies on the border is taken, and what lies beyond is refused or said."""

import naive_heads as naive
import numpy as np
import pytest

from isbe_np.explain import explain
from isbe_np.heads import NORMALIZERS, ROUTES, Head

every_normalizer = pytest.mark.parametrize("normalizer", NORMALIZERS)


def after(scores, normalizer="softmax", **options):
    head = Head(normalizer, reduction="none", **options)
    head.forward(scores)
    return head


@every_normalizer
def test_a_label_is_the_border_of_its_normalizer_exactly(normalizer):
    """For a label the error is y − 1, and y − 0 or y + 1 elsewhere, to the bit."""
    low = {"tanh": -1.0, "hardtanh": -1.0}.get(normalizer, 0.0)
    head = after(naive.scores(), normalizer)
    wanted = head.soft - np.where(np.arange(4) == naive.labels()[:, None], 1.0, low)
    assert head.encoding == (low, 1.0) and np.array_equal(head.backward(naive.labels()), wanted)
    assert np.array_equal(head.backward(naive.labels() * 1.0 - 0.0), wanted)


@pytest.mark.parametrize("label", [-1.0, -1e-300, 4.0, np.nextafter(3, 4), np.nextafter(0, 1)])
def test_a_label_just_beyond_the_classes_is_refused_by_every_route(label):
    for use in (after(naive.scores(1)).loss, *(after(naive.scores(1), route=route).backward for route in ROUTES),
                lambda t: Head().error(naive.scores(1), t)):
        with pytest.raises(ValueError, match="label 0 is"):
            use([label])


@pytest.mark.parametrize("edge", [-1.0, 1.0])
def test_tanh_has_a_loss_up_to_targets_of_one(edge):
    head = after(np.array([[0.7]]), "tanh")
    np.testing.assert_allclose(head.loss([[edge]]), [np.log(np.cosh(0.7)) - 0.7 * edge + np.log(2)], rtol=1e-14)
    with pytest.raises(ValueError, match=r"infinite for targets outside \[-1, 1\]"):
        head.loss([[np.nextafter(edge, 2 * edge)]])
    assert head.backward([[1.5 * edge]])[0, 0] == pytest.approx(np.tanh(0.7) - 1.5 * edge)


@pytest.mark.parametrize("normalizer", ["sparsemax", "entmax15"])
@pytest.mark.parametrize("total", [0.95, 1 - 2e-4, 1 + 2e-4, 1.05])
def test_rows_that_do_not_sum_to_1_have_no_loss_of_a_sparse_normalizer(normalizer, total):
    head = after(np.array([[1.0, 0.5, 0.0]]), normalizer)
    with pytest.raises(ValueError, match=f"row 0 sums to {total:.6g}"):
        head.loss([[total / 2, total / 2, 0]])
    within = 1 + np.sign(total - 1) * 5e-5
    assert head.loss([[within / 2, within / 2, 0]]) == pytest.approx(head.loss([[0.5, 0.5, 0]]), abs=1e-4)
    with pytest.raises(ValueError, match="row 0 holds -1e-12"):
        head.loss([[0.5 + 1e-12, 0.5, -1e-12]])
    assert np.isfinite(head.loss([[0.5, 0.5, -0.0]])).all()


@pytest.mark.parametrize("total", [0.95, 0.999, 1.001])
def test_rows_that_nearly_sum_to_1_are_not_taken_for_it(total):
    """The gradient is τ y − t and the loss −Σ t log y; only route "isbe" sends y − t, and an explanation says so."""
    x, t = naive.scores(3), total * naive.kinds_of_targets(3)["soft"]
    y = naive.softmax(x)
    for route in ROUTES:
        wanted = (1 if route == "isbe" else total) * y - t
        np.testing.assert_allclose(after(x, route=route).backward(t), wanted, rtol=0, atol=1e-14)
    np.testing.assert_allclose(after(x).loss(t), -(t * np.log(y)).sum(axis=1), rtol=1e-13)
    assert f"The targets sum to tau = {total:.6g}, not to 1" in " ".join(explain(x[0], t[0]).sentences)


# The smallest number above 0 in float32 is 1.4e-45, the largest 3.4e38.
@pytest.mark.parametrize(("options", "words"), [
    ({"dilation": 1e-46}, "dilation 1e-46 is 0 in float32. Use a larger one, or float64"),
    ({"dilation": [1, 1, 1e-50, 1]}, "dilation 1e-50 is 0 in float32"),
    ({"dilation": 1e39}, "dilation 1e.39 is infinite in float32. Use a smaller one, or float64"),
    ({"dilation": [1, 1e300, 1, 1]}, "dilation 1e.300 is infinite in float32"),
    ({"relocation": 1e39}, "relocation 1e.39 is infinite in float32"),
    ({"relocation": [0, 0, -1e39, 0]}, "relocation -1e.39 is infinite in float32"),
], ids=str)
def test_a_dilation_or_relocation_that_float32_cannot_hold_is_refused_there_alone(options, words):
    x, labels = naive.scores(), naive.labels()
    for use in (lambda head, x: head.forward(x), lambda head, x: head.error(x, labels)):
        with pytest.raises(ValueError, match=f"^Head: {words}"):
            use(Head(**options), x.astype(np.float32))
        assert np.isfinite(use(Head(**options), x / 1e10)).all()


def test_the_smallest_dilation_of_float32_is_taken():
    x = np.array([[3e38, 0, -3e38]], np.float32)
    np.testing.assert_allclose(after(x, dilation=1e-38).soft, naive.softmax(np.array([[3.0, 0, -3]])), rtol=1e-5)
    np.testing.assert_allclose(after(x, dilation=2e-45).soft, np.full((1, 3), 1 / 3), rtol=1e-6)


@every_normalizer
@pytest.mark.parametrize("loss", [None, "squared"])
def test_losses_of_float32_scores_are_added_up_in_float64(normalizer, loss):
    """The loss of the same scores, or of the same soft scores, as float64 numbers."""
    x = np.random.default_rng(0).normal(size=(7, 3000)).astype(np.float32)
    t = np.random.default_rng(1).dirichlet(np.ones(3000), 7).astype(np.float32)
    head = after(x, normalizer, loss=loss)
    if loss is None:
        t = np.asarray(t, np.float64) / np.asarray(t, np.float64).sum(axis=1, keepdims=True)
        t = t.astype(np.float32)
        wanted = after(np.asarray(x, np.float64), normalizer).loss(t)
    else:
        wanted = ((np.asarray(head.soft, np.float64) - t) ** 2 / 2).sum(axis=1)
    got = head.loss(t)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, wanted, rtol=1e-12)
    head.reduction = "sum"
    assert head.loss(t) == pytest.approx(wanted.sum(), rel=1e-12)


def test_the_loss_of_a_potential_of_ones_own_is_added_up_in_float64():
    class Mine:
        def forward(self, scores):
            return scores

        def potential(self, scores):
            return (np.asarray(scores, np.float64) ** 2 / 2).sum(axis=1)

    x, t = (np.random.default_rng(k).normal(size=(5, 3000)).astype(np.float32) for k in (0, 1))
    wanted = (np.asarray(x, np.float64) ** 2 / 2 - np.asarray(t, np.float64) * np.asarray(x, np.float64)).sum(axis=1)
    np.testing.assert_allclose(after(x, Mine()).loss(t), wanted, rtol=1e-11)
