import math

import numpy as np
import pytest

from isbe_np.kernels import activations

SLOPE = 0.1
REFERENCE = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, SLOPE * x),
    "sigmoid": lambda x: (1 + np.tanh(x / 2)) / 2,
    "tanh": np.tanh,
    "hardsigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hardtanh": lambda x: np.clip(x, -1, 1),
    "gelu": lambda x: x / 2 * (1 + np.array([math.erf(v / math.sqrt(2)) for v in x])),
}
# Where s has a corner, and the derivative that PyTorch takes there.
CORNERS = {"relu": ([0.0, -0.0], 0), "leaky_relu": ([0.0, -0.0], SLOPE),
           "hardsigmoid": ([-3, 3], 0), "hardtanh": ([-1, 1], 0)}
DTYPES = [np.float32, np.float64]
every_activation = pytest.mark.parametrize("name", REFERENCE)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def forward(name, x):
    y = np.full_like(x, 7)
    getattr(activations, name)(x, y, *[SLOPE] * (name == "leaky_relu"))
    return y


def backward(name, x, dy):
    dx = np.full_like(x, 7)
    getattr(activations, name + "_backward")(x, forward(name, x), dy, dx, *[SLOPE] * (name == "leaky_relu"))
    return dx


def away_from_corners():
    x = np.linspace(-8, 8, 160)
    return x[np.min(np.abs(x[:, None] - [-3, -1, 0, 1, 3]), axis=1) > 0.01]


@every_dtype
@every_activation
def test_forward(name, dtype):
    x = np.linspace(-8, 8, 101).astype(dtype)
    np.testing.assert_allclose(forward(name, x), REFERENCE[name](x.astype(np.float64)), rtol=0, atol=8 * np.finfo(dtype).eps)


@every_dtype
@every_activation
def test_backward_is_the_slope_times_dy(name, dtype):
    x = away_from_corners()
    dy = np.random.default_rng(0).normal(size=x.size)
    slope = (REFERENCE[name](x + 1e-6) - REFERENCE[name](x - 1e-6)) / 2e-6
    dx = backward(name, x.astype(dtype), dy.astype(dtype))
    np.testing.assert_allclose(dx, slope * dy, rtol=0, atol=1e-8 if dtype == np.float64 else 2e-6)


@every_dtype
@every_activation
def test_a_number_has_the_same_bits_wherever_it_stands(name, dtype):
    """Behind the span that one task owns, too."""
    x = np.random.default_rng(0).normal(size=activations.SPAN + 37).astype(dtype)
    for run in (forward, lambda name, x: backward(name, x, x)):
        assert np.array_equal(run(name, x)[-37:], run(name, x[-37:].copy()))


@every_dtype
@pytest.mark.parametrize("name", CORNERS)
def test_derivative_at_a_corner(name, dtype):
    places, slope = CORNERS[name]
    x = np.array(places, dtype)
    assert np.array_equal(backward(name, x, np.full_like(x, 2)), np.full_like(x, 2 * dtype(slope)))


@every_dtype
@every_activation
def test_nan_passes_through_and_alone(name, dtype):
    x = np.array([np.nan, -2, np.nan, 0.5], dtype)
    assert np.array_equal(np.isnan(forward(name, x)), np.isnan(x))


@every_dtype
@every_activation
def test_the_largest_scores_stay_finite(name, dtype):
    most = np.finfo(dtype).max
    x = np.array([-most, -1e4, -90, 90, 1e4, most], dtype)
    limits = {"sigmoid": (0, 1), "hardsigmoid": (0, 1), "tanh": (-1, 1), "hardtanh": (-1, 1)}
    y, dx = forward(name, x), backward(name, x, np.ones_like(x))
    assert np.isfinite(y).all() and np.isfinite(dx).all()
    if name in limits:
        np.testing.assert_allclose(y, np.repeat(limits[name], 3), atol=1e-38)
        np.testing.assert_allclose(dx, 0, atol=1e-38)
    elif name != "leaky_relu":
        np.testing.assert_allclose(y, np.maximum(x, 0))


@every_dtype
def test_sigmoid_keeps_its_digits_far_left(dtype):
    x = np.array([-80.0, -40.0], dtype)
    np.testing.assert_allclose(forward("sigmoid", x), np.exp(x.astype(np.float64)), rtol=4 * np.finfo(dtype).eps)


@every_dtype
@pytest.mark.parametrize("name", CORNERS)
def test_backward_of_nan_is_as_in_pytorch(name, dtype):
    """Where x is NaN, no side is the flat one: dy passes. Where dy is NaN, it passes only where the slope is not 0."""
    nan = np.nan
    x, dy = np.array([nan, nan, 0.5, -4, 0.5], dtype), np.array([2, nan, nan, nan, 2], dtype)
    passed, closed = 2 / 6 if name == "hardsigmoid" else 2, nan if name == "leaky_relu" else 0
    np.testing.assert_allclose(backward(name, x, dy), [passed, nan, nan, closed, passed], rtol=1e-6)


@every_dtype
def test_tanh_s_slope_keeps_its_digits_where_y_is_nearly_1(dtype):
    """1 − y² would round y² first, whose distance from 1 is what counts."""
    eps = np.finfo(dtype).eps
    y = (1 - np.sqrt(eps) * np.linspace(0.3, 3, 40)).astype(dtype)
    y, dx = np.concatenate([y, -y]), np.empty(80, dtype)
    activations.tanh_backward(y, y, np.ones_like(y), dx)
    wide = y.astype(np.longdouble)
    np.testing.assert_allclose(dx, (1 - wide) * (1 + wide), rtol=4 * eps)
