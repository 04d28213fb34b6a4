"""The first values of parameters: He's variance of Dense and Conv2D, biases of zero, scales of one, one seed for all."""

import numpy as np
import pytest

import isbe_np as isbe


@pytest.mark.parametrize("shape, layer, inputs", [
    ((400,), isbe.Dense(300), 400), ((300,), isbe.Dense(400), 300), ((5, 400), isbe.Dense(300), 400),
    ((30, 6, 7), isbe.Conv2D(200, (3, 5)), 30 * 3 * 5), ((200, 6, 7), isbe.Conv2D(30, (5, 3)), 200 * 5 * 3),
], ids=str)
def test_the_variance_is_two_over_the_inputs(shape, layer, inputs, dtype):
    weight, bias = isbe.Sequential(shape, layer, dtype=dtype).parameters()
    assert weight.value.std() == pytest.approx((2 / inputs) ** 0.5, rel=0.02) and not bias.value.any()
    assert abs(weight.value.mean()) < 0.02 * weight.value.std()


@pytest.mark.parametrize("name", isbe.networks.NETWORKS)
def test_another_seed_draws_other_values(name):
    """All of them, in every layer, but for what starts at 0 or 1: biases and shifts, and the scales of norms."""
    one, other = (isbe.networks.NETWORKS[name](seed=seed).parameters() for seed in (0, 1))
    for a, b in zip(one, other, strict=True):
        part = a.name.rpartition(".")[2]
        if part == "weight":
            # Two float32 numbers of a million may be drawn alike.
            assert a.name == b.name and (a.value != b.value).mean() > 0.9999
        else:
            assert (a.value == (part == "scale")).all() and (b.value == a.value).all()


def test_layers_of_one_shape_draw_different_values():
    one, _, other, _ = (p.value for p in isbe.Sequential((9,), isbe.Dense(9), isbe.Dense(9)).parameters())
    assert (one != other).all() and not np.shares_memory(one, other)
