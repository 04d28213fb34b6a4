import hashlib

import numpy as np
import pytest

from isbe_np import datasets
from isbe_np.datasets import digits, strokes


def test_same_bits_everywhere():
    digest = hashlib.sha256()
    for images, labels in (digits.draw(210), digits.draw(20, seed=7, split="test")):
        digest.update(images.tobytes() + labels.astype("<i8").tobytes())
    assert digest.hexdigest() == "015a7bfc2584e7ebc79be0a129fc5947a5c53864564fcd5c1f63914ac5a88f72"


@pytest.mark.parametrize("few", [1, digits.BLOCK - 1, digits.BLOCK, digits.BLOCK + 1])
def test_the_first_images_do_not_depend_on_how_many_are_drawn(few):
    images, labels = digits.draw(digits.BLOCK + 50)
    some_images, some_labels = digits.draw(few)
    assert np.array_equal(some_images, images[:few]) and np.array_equal(some_labels, labels[:few])


def test_seed_and_split_and_block_change_the_images():
    zero, one, test = digits.draw(400)[0], digits.draw(200, seed=1)[0], digits.draw(200, split="test")[0]
    several = [zero[:200], zero[200:], one, test]
    assert len({part.tobytes() for part in several}) == 4
    assert len(np.unique(np.concatenate(several).reshape(800, -1), axis=0)) == 800


def test_each_block_holds_every_digit_equally_often_in_mixed_order():
    labels = digits.draw(2 * digits.BLOCK)[1]
    for block in labels.reshape(2, -1):
        assert np.bincount(block, minlength=10).tolist() == [digits.BLOCK // 10] * 10
    assert len(np.unique(labels[:20])) > 5


def test_images_are_dark_strokes_on_light_paper():
    images, labels = digits.draw(400)
    assert images.dtype == np.uint8 and images.shape == (400, 28, 28)
    assert labels.dtype == np.int64 and labels.shape == (400,)
    ink = (images > 100).mean(axis=(1, 2))
    assert 0.02 < ink.min() and ink.max() < 0.40
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    assert ((border > 120).sum(axis=1) > 3).mean() < 0.05


def test_nearest_clean_handwriting_finds_most_digits():
    grids, first, counts = strokes.tables()
    row = np.concatenate([np.full(count, digit) for digit, count in enumerate(counts)])
    middle = (strokes.SIDE - 56) // 2
    clean = np.clip(1.6 - grids[:, middle:middle + 56:2, middle:middle + 56:2], 0, 1).reshape(len(row), -1)
    images, labels = digits.draw(400)
    flat = images.reshape(400, -1) / 255
    likeness = (flat @ clean.T) / np.linalg.norm(clean, axis=1)
    assert (row[likeness.argmax(axis=1)] == labels).mean() > 0.5
    assert first.tolist() == [int(np.flatnonzero(row == digit)[0]) for digit in range(10)]


def test_the_distance_to_a_straight_stroke_is_measured_in_pixels():
    upright = strokes.distances("50,0 50,100")
    axis = (np.arange(strokes.SIDE) - (strokes.SIDE - 1) / 2) * strokes.STEP
    assert np.allclose(upright[strokes.SIDE // 2], np.abs(axis))
    assert np.isclose(upright[0].min(), np.hypot(axis[0] + strokes.BOX / 2, 0.25))


def test_a_curve_passes_through_its_points():
    points = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0], [4.0, 4.0]])
    path = strokes.curve(points, pieces=4)
    assert path.shape == (13, 2) and np.allclose(path[::4], points)


def test_a_block_looks_up_nothing_outside_the_tables():
    far = np.array([[[-1e6, 1e6]]], np.float32)
    for row in (0, len(strokes.tables()[0]) - 1):
        found = digits._look_up(np.array([row]), far, far)
        assert np.isfinite(found).all() and (found > 5).all()


def test_load_gives_network_ready_arrays():
    for dtype in (np.float32, np.float64):
        data = datasets.load("digits", dtype=dtype, train=30, test=20)
        assert data.x_train.shape == (30, 1, 28, 28) and data.x_test.shape == (20, 1, 28, 28)
        assert data.x_train.dtype == data.x_test.dtype == dtype
        assert data.x_train.flags.c_contiguous and data.x_test.flags.c_contiguous
        assert data.y_train.dtype == data.y_test.dtype == np.int64
        assert data.x_train.min() >= 0 and 0.9 < data.x_train.max() <= 1
        assert data.classes == tuple("0123456789") and "seed 0" in data.source
    assert np.array_equal(data.x_test[:, 0] * 255, digits.draw(20, split="test")[0])


@pytest.mark.parametrize(("arguments", "error", "part"), [
    ({"name": "digit"}, ValueError, "Did you mean 'digits'?"),
    ({"name": "digits", "train": 0}, ValueError, "load: train expects a whole number of at least 1; got 0"),
    ({"name": "digits", "test": 2.5}, TypeError, "load: test expects a whole number; got 2.5"),
    ({"name": "digits", "seed": -1}, ValueError, "load: seed expects a whole number of at least 0; got -1"),
    ({"name": "digits", "dtype": np.int64}, TypeError, "float32 or float64; got int64"),
])
def test_load_refuses(arguments, error, part):
    with pytest.raises(error, match=part.replace("?", r"\?")):
        datasets.load(**arguments)


def test_draw_refuses_an_unknown_split():
    with pytest.raises(ValueError, match="Did you mean 'train'"):
        digits.draw(1, split="training")
