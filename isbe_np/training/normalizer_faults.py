"""What is wrong with a normalizer, tried at scores made for it: is it finite, monotone, bounded, and does it take rows alone?

Each check takes a head, the batch's labels, the number of classes C and a dtype, as those of `head_faults` do, and yields
clauses with the numbers that show the fault.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from isbe_np.heads import Head, Normalizer

# Scores that one class is given while all others have 0: dense near 0, where normalizers turn.
LINE = 30 * np.linspace(-1, 1, 96) ** 3
DROP = 0.01  # of the range of soft scores, from which on a fall is none of rounding
GROWTH = 1.05  # of |y| between scores of 20 and 30, from which on it is not bounded as far as can be seen
SPREAD, MANY = 10, 1000  # so many classes are tried, and 1 where there are more than many
EQUAL = 1e-3  # relative difference of numbers that are equal but for rounding


def bound(head: Head) -> float:
    """The largest target of a label, by size."""
    return max(abs(number) for number in head.encoding)


def moderate(n: int, classes: int, dtype, seed: int) -> np.ndarray:
    """Moderate scores (n, C), always the same."""
    return np.random.default_rng(seed).normal(0, 1, (n, classes)).astype(dtype)


def some(classes: int) -> np.ndarray:
    """The classes that are tried."""
    return np.unique(np.linspace(0, classes - 1, SPREAD if classes <= MANY else 1).astype(int))


def line(normalizer: Normalizer, classes: int, dtype, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each class tried K the soft scores (K, P) as its own score goes through x (P,), and all rows' sums (K, P)."""
    tried = some(classes)
    scores = np.zeros((len(tried), len(x), classes), dtype)
    for row, c in zip(scores, tried, strict=True):
        row[:, c] = x
    soft = np.asarray(normalizer.forward(scores.reshape(-1, classes))).reshape(scores.shape)
    return np.stack([row[:, c] for row, c in zip(soft, tried, strict=True)]), soft.sum(axis=2)


def form(head: Head, labels, classes, dtype) -> Iterator[str]:
    """Soft scores that mix examples, are not finite, do not hang on the score, or fall where it rises."""
    s = head.normalizer
    x = moderate(4, classes, dtype, 1)
    y = np.array(s.forward(x))
    if not np.array_equal(y, s.forward(x), equal_nan=True):
        return  # it draws random numbers: one pass says nothing of the next
    if not np.allclose(y[:1], s.forward(x[:1].copy()), rtol=EQUAL, atol=1e-6, equal_nan=True):
        yield "normalizer: the soft scores of an example change with the other examples of its batch (axis 0 in place of 1?)"
        return
    own, _ = line(s, classes, dtype, LINE)
    if not np.isfinite(own).all():
        k, p = np.argwhere(~np.isfinite(own))[0]
        yield f"normalizer: y = {own[k, p]:.3g} at x = {LINE[p]:.3g}, which is not finite"
        return
    if np.ptp(y) == np.ptp(own) == 0 and classes > 1:
        yield f"normalizer: y = {own[0, 0]:.3g} whatever the score is"
    if head.route in ("isbe", "fused"):  # a chain rule knows of a slope that is negative
        yield from _falls(own)


def _falls(own: np.ndarray) -> Iterator[str]:
    """Where the largest fall below what was reached before is."""
    fall = np.maximum.accumulate(own, axis=1) - own
    k, p = np.unravel_index(np.argmax(fall), own.shape)
    near = DROP * np.ptp(own)
    if fall[k, p] > near:
        top = np.flatnonzero(own[k, :p] >= own[k, :p].max() - near)[-1]
        low = top + np.flatnonzero(own[k, top:] <= own[k, p] + near)[0]
        first, last = (f"{own[k, i]:.3g} at x = {LINE[i]:.3g}" for i in (top, low))
        yield (f"normalizer: y falls from {first} to {last}: not monotone, so that y − t may push the wrong way; take one "
               f"whose soft scores rise with the score")


def unbounded(head: Head, labels, classes, dtype) -> Iterator[str]:
    """Soft scores far beyond all targets that still grow where the line ends."""
    own, _ = line(head.normalizer, classes, dtype, LINE)
    size = np.abs(own)
    k, p = np.unravel_index(np.argmax(size), own.shape)
    least = max(2 * bound(head), GROWTH * size[:, np.abs(LINE) <= 20].max())
    if np.isfinite(size).all() and size[k, p] > least:
        yield (f"normalizer: y = {own[k, p]:.3g} at x = {LINE[p]:.3g} and still growing: not bounded, so that the error "
               f"grows with the scores; take a bounded one, or a learning rate that is small enough")


def jumps(head: Head, labels, classes, dtype) -> Iterator[str]:
    """Where half of the range is passed at once."""
    s = head.normalizer
    own, _ = line(s, classes, dtype, LINE)
    k, p = np.unravel_index(np.argmax(np.abs(np.diff(own, axis=1))), (len(own), len(LINE) - 1))
    low, high, one = LINE[p], LINE[p + 1], some(classes)[k]

    def at(x):
        row = np.zeros((1, classes), dtype)
        row[0, one] = x
        return float(np.asarray(s.forward(row))[0, one])

    while high - low > 1e-5:
        middle = (low + high) / 2
        low, high = (low, middle) if abs(at(middle) - at(low)) >= abs(at(high) - at(middle)) else (middle, high)
    if abs(at(high) - at(low)) > np.ptp(own) / 2 > 0:
        yield (f"normalizer: y jumps from {at(low):.3g} to {at(high):.3g} at x = {low:.3g}: its slope has no bound; take one "
               f"that is smooth")
