"""Losses of a dilated and relocated softmax: each is computed from k ⊙ x + b, not from the scores as they came."""

import naive_heads as naive
import numpy as np
import pytest

from isbe_np.heads import Head


@pytest.mark.parametrize("loss", naive.LOSSES_OF["softmax"])
@pytest.mark.parametrize("k, b", [(2, None), (None, -1.0), ([0.5, 1, 2, 3], [0.3, 0, -2, 1])], ids=str)
def test_loss(loss, k, b):
    x, t = naive.scores(), np.random.default_rng(5).random((5, 4))
    y = naive.softmax(np.multiply(1 if k is None else k, x) + np.array(0 if b is None else b))
    head = Head("softmax", loss=loss, reduction="none", dilation=k, relocation=b)
    head.forward(x)
    np.testing.assert_allclose(head.loss(t), naive.LOSS[loss](y, t), rtol=1e-10)
