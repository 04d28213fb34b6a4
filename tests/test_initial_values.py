"""The first values of parameters: He's variance of each layer that has weights, biases of zero, one seed for all."""

import numpy as np
import pytest

import isbe_np as isbe


@pytest.mark.parametrize("shape, layer, inputs", [
    ((400,), isbe.Dense(300), 400), ((300,), isbe.Dense(400), 300),
    ((30, 6, 7), isbe.Conv2D(200, (3, 5)), 30 * 3 * 5), ((200, 6, 7), isbe.Conv2D(30, (5, 3)), 200 * 5 * 3),
], ids=str)
def test_the_variance_is_two_over_the_inputs(shape, layer, inputs, dtype):
    weight, bias = isbe.Sequential(shape, layer, dtype=dtype).parameters()
    assert weight.value.std() == pytest.approx((2 / inputs) ** 0.5, rel=0.02) and not bias.value.any()
    assert abs(weight.value.mean()) < 0.02 * weight.value.std()


def test_another_seed_draws_other_values():
    """All of them, in every layer."""
    one, other = (isbe.networks.lenet5(seed=seed).parameters() for seed in (0, 1))
    for a, b in zip(one, other, strict=True):
        assert a.name == b.name and ((not a.value.any() and not b.value.any()) or (a.value != b.value).all())


def test_layers_of_one_shape_draw_different_values():
    one, _, other, _ = (p.value for p in isbe.Sequential((9,), isbe.Dense(9), isbe.Dense(9)).parameters())
    assert (one != other).all() and not np.shares_memory(one, other)
