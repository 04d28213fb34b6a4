"""Scores at the end of the number line, no rows, one class, rows without a meaning: finite, or a sentence that says why not."""

import naive_heads as naive
import numpy as np
import pytest

from isbe_np.heads import NORMALIZERS, ROUTES, Head

FAR = {np.float32: 1e38, np.float64: 1e300}
every_dtype = pytest.mark.parametrize("dtype", FAR)
every_normalizer = pytest.mark.parametrize("normalizer", NORMALIZERS)


def heads(normalizer, **options):
    """One head for each route that the normalizer's matching loss has."""
    made = []
    for route in ROUTES:
        try:
            made.append(Head(normalizer, route, **options))
        except ValueError as refusal:
            assert "flat zone" in str(refusal) and normalizer in ("hardsigmoid", "hardtanh", "sparsemax", "entmax15")
    return made


@every_dtype
@every_normalizer
def test_far_scores_give_finite_errors_or_a_sentence(normalizer, dtype):
    far = FAR[dtype]
    x = np.array([[far, -far, 0], [-far, far, far], [-far, -far, -far], [far, far, far]], dtype)
    hot = naive.one_hot(np.array([1, 0, 2, 0]), 3, naive.LOW.get(normalizer, 0))
    for head in heads(normalizer, reduction="none"):
        soft = head.forward(x)
        assert np.isfinite(soft).all()
        try:
            error = head.backward([1, 0, 2, 0])
        except FloatingPointError as fault:
            assert head.route in ("jacobian", "factored") and "has the soft score" in str(fault)
            continue
        np.testing.assert_allclose(error, soft - hot, rtol=0, atol=1e-6)
        if normalizer != "identity":
            assert np.abs(error).max() <= 2


@every_dtype
@every_normalizer
def test_losses_of_far_scores_are_finite_or_refused(normalizer, dtype):
    far = FAR[dtype]
    head = Head(normalizer, reduction="none")
    head.forward(np.array([[far, -far]], dtype))
    if normalizer == "identity" and dtype == np.float64:
        with pytest.raises(FloatingPointError, match="'squared' has no finite value in float64: inf in row 0"):
            head.loss([1])
        return
    wrong, right = head.loss([1]), head.loss([0])
    assert np.isfinite(wrong) and wrong >= far * (1 - 1e-6)
    assert right == 0 or normalizer == "identity"


@every_dtype
@pytest.mark.parametrize("normalizer", ["softmax", "sparsemax", "entmax15"])
def test_the_largest_numbers_there_are(normalizer, dtype):
    most = np.finfo(dtype).max
    head = Head(normalizer, reduction="none")
    soft = head.forward(np.array([[most, -most], [most, most], [-most, -most]], dtype))
    np.testing.assert_allclose(soft, [[1, 0], [0.5, 0.5], [0.5, 0.5]], rtol=3e-16, atol=0)
    if dtype == np.float64:
        with pytest.raises(FloatingPointError, match="no finite value"):
            head.loss([1, 0, 0])  # twice the largest number
    assert np.isfinite(head.loss([0, 0, 0])).all()


@every_normalizer
def test_one_class(normalizer):
    x = np.array([[3.0], [-2.0], [0.25]])
    for head in heads(normalizer, reduction="none"):
        error = head.forward(x) - 1
        np.testing.assert_allclose(head.backward([0, 0, 0]), error, rtol=0, atol=1e-14)
        assert np.isfinite(head.loss([0, 0, 0])).all()
    if normalizer in ("softmax", "sparsemax", "entmax15"):
        assert not error.any()


@every_dtype
@every_normalizer
def test_no_rows(normalizer, dtype):
    for head in heads(normalizer, reduction="none"):
        assert head.forward(np.empty((0, 3), dtype)).shape == (0, 3)
        for nothing in ([], np.empty((0, 3))):
            assert head.backward(nothing).shape == (0, 3) and head.loss(nothing).shape == (0,)


@every_dtype
@every_normalizer
@pytest.mark.parametrize("row", [[0, np.nan, 1], [np.inf, 0, 1], [np.inf, np.inf, 0], [-np.inf] * 3], ids=str)
def test_rows_without_soft_scores_are_refused(normalizer, dtype, row):
    why = "row 1 of the scores has no softmax" if normalizer == "softmax" else "scores must be finite; row 1, class [01] is"
    for head in heads(normalizer):
        with pytest.raises(ValueError, match=f"^Head.forward: {why}"):
            head.forward(np.array([[1, 2, 3], row], dtype))
        with pytest.raises(RuntimeError, match="forward"):
            head.backward([0, 0])
