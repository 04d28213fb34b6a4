import numpy as np
import pytest

from isbe_np.datasets import batches, order


def test_order_is_a_permutation_of_its_own_for_each_seed_and_epoch():
    orders = {(seed, epoch): order(50, seed, epoch) for seed in (0, 1) for epoch in (0, 1)}
    for some in orders.values():
        assert some.dtype == np.int64 and np.array_equal(np.sort(some), np.arange(50))
    assert len({some.tobytes() for some in orders.values()}) == 4
    assert np.array_equal(order(50, 0, 1), orders[0, 1])


@pytest.mark.parametrize(("n", "size", "sizes"), [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 10, [3]), (1, 1, [1])])
def test_every_example_comes_once_in_order(n, size, sizes):
    x, y = np.arange(n * 6, dtype=np.float32).reshape(n, 1, 2, 3), np.arange(n)
    pairs = list(batches(x, y, size, seed=3, epoch=2))
    assert [len(labels) for _, labels in pairs] == sizes
    assert np.array_equal(np.concatenate([labels for _, labels in pairs]), order(n, 3, 2))
    for images, labels in pairs:
        assert np.array_equal(images, x[labels]) and images.dtype == np.float32
        assert images.flags.c_contiguous and labels.flags.c_contiguous
        assert not np.shares_memory(images, x) and not np.shares_memory(labels, y)


def test_batches_of_a_strided_array_are_contiguous():
    x = np.zeros((6, 4, 4))[:, ::2, ::-1]
    assert all(images.flags.c_contiguous for images, _ in batches(x, np.zeros(6), 4, 0, 0))


@pytest.mark.parametrize(("arguments", "error", "part"), [
    ((np.zeros(3), np.zeros(4), 2, 0, 0), ValueError, "3 images and 4 labels"),
    ((np.zeros(3), np.zeros(3), 0, 0, 0), ValueError, "batch_size expects a whole number of at least 1; got 0"),
    ((np.zeros(3), np.zeros(3), 2.0, 0, 0), TypeError, "batch_size expects a whole number; got 2.0"),
    ((np.zeros(3), np.zeros(3), 2, -1, 0), ValueError, "seed expects a whole number of at least 0"),
    ((np.zeros(3), np.zeros(3), 2, 0, True), TypeError, "epoch expects a whole number; got True"),
    ((np.zeros(0), np.zeros(0), 2, 0, 0), ValueError, "at least 1; got 0"),
])
def test_refused_before_the_first_batch(arguments, error, part):
    with pytest.raises(error, match=part):
        batches(*arguments)
