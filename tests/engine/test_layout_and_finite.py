"""Small kernels: the transpose between layouts, copies into larger images, and the checks for NaN and infinity."""

import numpy as np
import pytest

from isbe_np.engine.layout import inside, lay, lay_inside, transpose
from isbe_np.kernels.finite import all_finite, squared_norm


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (17, 33), (1, 40), (40, 1), (5, 70)])
def test_transpose(shape, dtype, random):
    a = random.normal(size=shape).astype(dtype)
    b = np.empty(shape[::-1], dtype)
    transpose(a, b)
    assert (b == a.T).all()


def test_transpose_into_longer_rows(dtype, random):
    a = random.normal(size=(20, 37)).astype(dtype)
    b = np.full((37, 23), 7, dtype)
    transpose(a, b)
    assert (b[:, :20] == a.T).all() and (b[:, 20:] == 7).all()


@pytest.mark.parametrize("P", [5, 2, 1], ids=["rows", "pieces", "each"])
def test_images_are_laid_inside_larger_ones(P, dtype, random):
    """Whole rows where the batch is in one piece, else each pixel's in pieces, the last of them perhaps smaller."""
    x, images = random.normal(size=(2, 3, 4, 5)).astype(dtype), np.full((-(-5 // P), 2, 6, 9, P), 7, dtype)
    places = inside(x.shape, images.shape, (1, 2))
    assert places.size == (6 if P == 5 else 24)
    lay_inside(x, places, images)
    wanted = np.full_like(images, 7)
    for n in range(5):
        wanted[n // P, :, 1:4, 2:6, n % P] = x[..., n]
    assert (images == wanted).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_lay_tells_what_is_not_finite(bad, dtype):
    a, b = np.full((3, 50), np.finfo(dtype).max, dtype), np.zeros(150, dtype)
    assert lay(a, np.arange(3) * 50, b, 50, 0) and (b == a.ravel()).all()
    for place in (0, 49):
        spoiled = a.copy()
        spoiled[1, place] = bad
        assert not lay(spoiled, np.arange(3) * 50, b, 50, 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 7, 98])
def test_one_bad_number_is_seen(bad, place, dtype):
    x = np.full(99, np.finfo(dtype).max, dtype)
    assert all_finite(x)
    x[place] = bad
    assert not all_finite(x)
    assert not np.isfinite(squared_norm(x))


def test_squared_norm_of_large_float32():
    assert squared_norm(np.full(4, 1e30, np.float32)) == pytest.approx(4e60, rel=1e-6)


def test_nothing_is_finite_in_an_empty_array():
    assert all_finite(np.empty(0)) and squared_norm(np.empty(0)) == 0
