"""Augmentation's kernels against plain references, and their random numbers against SplitMix64's."""

import math

import numba
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.kernels import augmentation as kernels

COMPILED = not numba.config.DISABLE_JIT
SHAPES = [(1, 1, 1), (1, 5, 4), (3, 4, 7), (2, 9, 9)]
ONES = 2**64 - 1


def splitmix(first, k):
    """The k-th number in [0, 1) of SplitMix64 from `first`, in Python's whole numbers."""
    return (python_mix((first + (k + 1) * 0x9E3779B97F4A7C15) & ONES) >> 11) / 2**53


def python_mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & ONES
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & ONES
    return z ^ (z >> 31)


def python_start(*parts):
    z = 0
    for part in parts:
        z = python_mix((z + part + 0x9E3779B97F4A7C15) & ONES)
    return z


def run(kernel, images, indices, most, seed=3, epoch=2):
    out = np.full((len(indices), *images.shape[1:]), np.nan, images.dtype)
    kernel(images, np.asarray(indices, np.int64), np.uint64(seed), np.uint64(epoch), most, out)
    return out


def test_the_random_numbers_are_those_of_splitmix64():
    """The first five whole numbers from 1234567, as the generator's other implementations give them."""
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    for k, number in enumerate(known):
        assert kernels.uniform(np.uint64(1234567), np.uint64(k)) == (number >> 11) / 2**53
        assert splitmix(1234567, k) == (number >> 11) / 2**53


@pytest.mark.parametrize("parts", [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2**63, 5, 59999), (ONES, ONES, ONES)])
def test_where_an_images_numbers_start(parts):
    assert int(kernels.start(*(np.uint64(part) for part in parts))) == python_start(*parts)


def test_images_epochs_and_seeds_have_numbers_of_their_own():
    """Small whole numbers in any place: all starts differ, and the first draws are spread evenly and not alike."""
    starts = [python_start(seed, epoch, index) for seed in range(5) for epoch in range(10) for index in range(200)]
    assert len(set(starts)) == len(starts) == 10_000
    drawn = np.array([[splitmix(first, k) for k in range(5)] for first in starts])
    assert np.abs(drawn.mean(0) - 0.5).max() < 4 / math.sqrt(12 * 10_000)
    assert np.abs(np.corrcoef(drawn.T) - np.eye(5)).max() < 0.04
    # One image in one epoch after another, and one image after another.
    for shift in (1, 200, 2000):
        assert abs(np.corrcoef(drawn[:-shift, 0], drawn[shift:, 0])[0, 1]) < 0.04
    assert np.histogram(drawn, 10, (0, 1))[0].min() > 4600


def reference(image, turn, size, lean, right, down):
    """The affine map, pixel by pixel: the inverse of M by NumPy, weights of all pixels of the image."""
    H, W = image.shape[1:]
    turned = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    inverse = np.linalg.inv(size * turned @ np.array([[1, math.tan(lean)], [0, 1]]))
    middle = np.array([(W - 1) / 2, (H - 1) / 2])
    out = np.zeros(image.shape)
    for i in range(H):
        for j in range(W):
            x, y = middle + inverse @ (np.array([j, i]) - middle - (right, down))
            weights = (np.clip(1 - np.abs(y - np.arange(H)), 0, 1)[:, None] * np.clip(1 - np.abs(x - np.arange(W)), 0, 1))
            out[:, i, j] = (image * weights).sum((1, 2))
    return out


@pytest.mark.parametrize("most", [(0.5, 0.3, 0.4, 2.0), (math.pi, 0.0, 0.0, 0.0), (0.0, 0.5, 0.0, 0.0),
                                  (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 5.0), (0.0, 0.0, 0.0, 1e6)], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_affine(shape, most, random, dtype, assert_close):
    images, indices = random.random((6, *shape)).astype(dtype), [4, 0, 5, 1]
    out = run(kernels.affine, images, indices, most)
    for n, index in enumerate(indices):
        draws = [2 * splitmix(python_start(3, 2, index), k) - 1 for k in range(5)]
        turn, size, lean = most[0] * draws[0], 1 + most[1] * draws[1], most[2] * draws[2]
        wanted = reference(images[index].astype(np.float64), turn, size, lean, most[3] * draws[3], most[3] * draws[4])
        assert np.abs(out[n] - wanted).max() < 10 * np.finfo(dtype).eps * (1 + most[3])


def test_no_change_changes_nothing(random, dtype):
    images = random.random((5, 2, 6, 7)).astype(dtype)
    assert np.array_equal(run(kernels.affine, images, range(5), (0.0, 0.0, 0.0, 0.0)), images)
    assert np.array_equal(run(kernels.flip_shift, images, range(5), (0, 0.0)), images)
    assert np.array_equal(run(kernels.flip_shift, images, range(5), (0, 1.0)), images[..., ::-1])


@pytest.mark.parametrize("shift", [0, 1, 3])
def test_flip_shift(shift, random, dtype):
    """NumPy's padding by reflection, of which a part is cut out; flipped after that."""
    images, indices = random.random((9, 2, 4, 6)).astype(dtype), [7, 1, 8, 3, 0, 2]
    out, flips, shifts = run(kernels.flip_shift, images, indices, (shift, 0.5)), set(), set()
    for n, index in enumerate(indices):
        draws = [splitmix(python_start(3, 2, index), k) for k in range(3)]
        down, right = (math.floor(draw * (2 * shift + 1)) - shift for draw in draws[:2])
        padded = np.pad(images[index], ((0, 0), (shift, shift), (shift, shift)), mode="reflect")
        wanted = padded[:, shift - down:shift - down + 4, shift - right:shift - right + 6]
        assert np.array_equal(out[n], wanted[..., ::-1] if draws[2] < 0.5 else wanted)
        flips.add(draws[2] < 0.5)
        shifts |= {down, right}
    assert flips == {True, False} and (len(shifts) > 2 or not shift)


def test_shifts_are_even_over_all_whole_numbers():
    draws = [int(kernels.whole(np.uint64(python_start(0, 0, index)), np.uint64(0), 2)) for index in range(5000)]
    assert np.bincount(np.array(draws) + 2).min() > 900 and set(draws) == {-2, -1, 0, 1, 2}


@pytest.mark.parametrize(("kernel", "most"), [(kernels.affine, (0.3, 0.1, 0.1, 2.0)), (kernels.flip_shift, (2, 0.5))])
@pytest.mark.skipif(not COMPILED or numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
def test_one_thread_and_two_give_the_same_bits(kernel, most, random):
    images, found = random.random((60, 3, 32, 32), np.float32), []
    for threads in (1, 2):
        isbe.set_threads(threads)
        try:
            found.append(run(kernel, images, range(60), most).tobytes())
        finally:
            isbe.set_threads(numba.config.NUMBA_NUM_THREADS)
    assert found[0] == found[1]
