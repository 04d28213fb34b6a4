"""The order in which a network sees its examples."""

from collections.abc import Iterator

import numpy as np

from isbe_np import checks


def order(n: int, seed: int, epoch: int) -> np.ndarray:
    """The numbers 0 to n - 1 in an order of their own for each seed and epoch: (n,) int64."""
    n = checks.whole("order: n", n)
    seed = checks.whole("order: seed", seed, least=0)
    epoch = checks.whole("order: epoch", epoch, least=0)
    return np.random.default_rng([seed, epoch]).permutation(n)


def batches(x: np.ndarray, y: np.ndarray, batch_size: int, seed: int,
            epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of x (B, ...) and y (B, ...) that together hold every example once, in the order of `order`.

    They are C-contiguous copies. B is `batch_size`, save for the last pair, which holds what is left. ValueError and
    TypeError come at the call, before the first pair: for lengths that differ, no examples, or numbers out of range.
    """
    batch_size = checks.whole("batches: batch_size", batch_size)
    if len(x) != len(y):
        raise ValueError(f"batches expects one label for each image; got {len(x)} images and {len(y)} labels. "
                         "Cut x and y to the same length.")
    shuffled = order(len(x), seed, epoch)
    pieces = (shuffled[at:at + batch_size] for at in range(0, len(x), batch_size))
    return ((x[piece], y[piece]) for piece in pieces)
