"""The order in which a network sees its examples."""

from collections.abc import Callable, Iterator

import numpy as np

from isbe_np import checks


def order(n: int, seed: int, epoch: int) -> np.ndarray:
    """The numbers 0 to n - 1 in an order of their own for each seed and epoch: (n,) int64."""
    n = checks.whole("order: n", n)
    seed = checks.whole("order: seed", seed, least=0)
    epoch = checks.whole("order: epoch", epoch, least=0)
    return np.random.default_rng([seed, epoch]).permutation(n)


def batches(x: np.ndarray, y: np.ndarray, batch_size: int, seed: int, epoch: int, augment: Callable | None = None,
            first: int = 0, drop_last: bool = False) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of x (B, ...) and y (B, ...) that together hold every example once, in the order of `order`.

    x and y are read by position, whatever index a pandas table has. The pairs are C-contiguous copies. B is `batch_size`, save
    for the last pair, which holds what is left. ValueError and TypeError come at the call, before the first pair: for what is
    no array of numbers, masked entries, targets y that are not finite, lengths that differ, no examples, or numbers out of
    range.

    augment : such as `isbe_np.RandomAffine(rotation=10)`, called as augment(x, indices, epoch, out, seed): changes the copies,
        which then share one memory: the next pair overwrites the one before.
    first : leave out so many pairs, which are not made either; the rest are the same as without.
    drop_last : leave out the last pair where it holds fewer than `batch_size`; none is left of fewer examples than that.
    """
    batch_size = checks.whole("batches: batch_size", batch_size)
    first = checks.whole("batches: first", first, least=0)
    x, y = checks.numbers("batches(x)", x), checks.numbers("batches(y)", y, "labels or targets", names=True)
    if x.ndim == 0 or y.ndim == 0:
        raise ValueError(f"batches expects x (N, ...) and y (N, ...); got shapes {x.shape} and {y.shape}.")
    if len(x) != len(y):
        raise ValueError(f"batches expects one label for each image; got {len(x)} images and {len(y)} labels. "
                         "Cut x and y to the same length.")
    if not np.isfinite(y).all():
        n = np.argwhere(~np.isfinite(y))[0]
        raise ValueError(f"batches(y) expects finite labels or targets; {checks.place(n)} is {y[tuple(n)]}. Leave out the "
                         f"examples without a label.")
    shuffled = order(len(x), seed, epoch)
    end = len(x) - len(x) % batch_size if drop_last else len(x)
    pieces = (shuffled[at:at + batch_size] for at in range(first * batch_size, end, batch_size))
    if augment is None:
        return ((x[piece], y[piece]) for piece in pieces)
    out = np.empty((min(batch_size, len(x)), *x.shape[1:]), x.dtype)
    return ((augment(x, piece, epoch, out[:len(piece)], seed), y[piece]) for piece in pieces)
