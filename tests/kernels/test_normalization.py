"""The plain kernels of batch and layer norm against NumPy's mean and variance, and central differences."""

import naive
import numpy as np
import pytest

from isbe_np.kernels import normalization as kernels

EPS = 0.1  # large, so that ε in the wrong place is seen
SHAPES = [(3, 7), (1, 2), (5, 3), (2, 33)]


def drawn(random, shape, dtype=np.float64):
    """x and dy of a shape, and γ and β for both of its axes."""
    x, dy = (random.normal(size=shape).astype(dtype) for _ in range(2))
    return 2 * x + 3, dy, *(random.normal(1, 0.5, size).astype(dtype) for size in (*shape, *shape))


def statistics(x):
    """μ and r of each row, by the kernels."""
    mean, variance, r = np.full((3, len(x)), np.nan)
    kernels.row_statistics(x, mean, variance)
    kernels.inverse_deviation(variance, EPS, r)
    return mean, r


def formula(x, w, b):
    """y of rows x, in NumPy; γ and β as they broadcast."""
    return w * (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + EPS) + b


@pytest.fixture(params=["batch", "layer"])
def norm(request):
    """Forward, both backward kernels, and how γ and β of rows and of columns are chosen and stand beside x."""
    forward, by_input, by_parameters = (getattr(kernels, f"{request.param}_norm{end}")
                                        for end in ("", "_backward_input", "_backward_parameters"))
    if request.param == "batch":
        return forward, by_input, by_parameters, lambda rows, columns: rows, lambda w: w[:, None]
    return forward, by_input, by_parameters, lambda rows, columns: columns, lambda w: w


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_statistics_and_forward(shape, norm, random, dtype, assert_close):
    forward, _, _, choose, beside = norm
    x, _, *parameters = drawn(random, shape, dtype)
    w, b = choose(*parameters[:2]), choose(*parameters[2:])
    wide, y = x.astype(np.float64), np.full_like(x, np.nan)
    mean, r = statistics(x)
    np.testing.assert_allclose(mean, wide.mean(1), rtol=1e-13)
    np.testing.assert_allclose(r, 1 / np.sqrt(wide.var(1) + EPS), rtol=1e-12)
    forward(x, mean, r, w, b, y)
    assert_close(y, formula(wide, beside(w), beside(b)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_backward_is_the_central_difference(shape, norm, random):
    _, by_input, by_parameters, choose, beside = norm
    x, dy, *parameters = drawn(random, shape)
    w, b = choose(*parameters[:2]), choose(*parameters[2:])
    mean, r = statistics(x)
    dx, dw, db = np.full_like(x, np.nan), np.full_like(w, np.nan), np.full_like(b, np.nan)
    by_input(dy, x, mean, r, w, dx)
    by_parameters(dy, x, mean, r, dw, db)
    for got, array in ((dx, x), (dw, w), (db, b)):
        wanted = naive.central_difference(lambda: (formula(x, beside(w), beside(b)) * dy).sum(), array)
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-8)


def test_sums_are_more_exact_than_float32(norm):
    """After 2^25 ones would be lost. μ of numbers far from 0 is not that of rounded sums, and equal ones differ by nothing."""
    dy, x = np.full((3, 40), 1, np.float32), np.full((3, 40), 1e6 + 0.5, np.float32)
    dy[0] = dy[:, 0] = 2**25
    mean, r = statistics(x)
    assert (mean == x[:, 0]).all() and (r == 1 / np.sqrt(EPS)).all()
    _, _, by_parameters, choose, _ = norm
    dw, db = np.full((2, choose(3, 40)), np.nan, np.float32)
    by_parameters(dy, x, mean, r, dw, db)
    assert (dw == 0).all() and (db == dy.sum(choose(1, 0), dtype=np.float64).astype(np.float32)).all()


def test_the_running_statistics(dtype):
    """The mean moves by a share, the variance towards v · M / (M − 1)."""
    running_mean, running_variance = np.array([1, 0], dtype), np.array([1, 5], dtype)
    kernels.remember(np.array([2.0, -4]), np.array([6.0, 3]), 4, 0.25, running_mean, running_variance)
    assert running_mean.tolist() == [1.25, -1] and running_variance.tolist() == [2.75, 4.75]


def test_the_variance_of_numbers_far_from_0_keeps_its_digits(random):
    """The mean of squares less the square of the mean would cancel."""
    x = 1e8 + random.normal(size=(2, 50))
    mean, variance = np.empty((2, 2))
    kernels.row_statistics(x, mean, variance)
    np.testing.assert_allclose(variance, x.var(1), rtol=1e-6)
