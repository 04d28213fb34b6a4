"""What is wrong with a head, as far as it can be asked: its normalizer, the targets it compares with, the error that it sends.

All is tried on a copy, at scores made here, so that what is found does not hang on how far a network has gone astray, and the
training goes on as if nothing had been asked. A head that cannot be copied or asked has no known fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import numpy as np

from isbe_np.heads import Head, Normalizer
from isbe_np.heads.reading import one_hot
from isbe_np.training.normalizer_faults import DROP, EQUAL, LINE, form, jumps, line, moderate, some, unbounded

FAR = np.concatenate([[-1e5, -1e3], LINE, [1e3, 1e5]])
DEAD = 1e-3  # of y − t, below which an error teaches nothing


def faults(head: Head, labels: np.ndarray, classes: int, dtype: np.dtype, grown: bool = True) -> list[str]:
    """What was found wrong with `head` for such labels (N,), the surest first: clauses, each with the number that shows it.

    grown : scores have grown so far that it matters whether the normalizer has a bound.
    """
    found: list[str] = []
    for check in (_product, _sent, form, *((unbounded,) if grown else ()), jumps):
        try:
            with np.errstate(all="ignore"):
                found += check(deepcopy(head), labels, classes, dtype)
        except Exception:  # a head of the user's own may refuse anything: then this check knows nothing
            continue
    return found


def distance(head: Head, scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean of |y − t|² of scores (N, ..., C) and labels (N, ...), in float64; NaN where the head does not tell."""
    rows = np.asarray(scores.reshape(-1, scores.shape[-1]), np.float64)
    try:
        soft = np.asarray(deepcopy(head.normalizer).forward(rows), np.float64)
        return float(np.square(soft - one_hot(labels.reshape(-1), soft, *head.encoding)).sum(axis=1).mean())
    except Exception:
        return np.nan


def silenced(head: Head, labels: np.ndarray, error: np.ndarray) -> list[str]:
    """Whether the error (N, C), the head's last, vanishes for half or more of the examples that are far from their targets.

    Examples that get none at moderate scores either, such as those that are masked, are left out.
    """
    other = deepcopy(head)
    other.strict = False
    size, share = _sent_of(head, labels, error)
    other.forward(moderate(len(error), error.shape[1], error.dtype, 1))
    far = (size > 0.5 * (head.encoding[1] - head.encoding[0])) & (_sent_of(other, labels, other.backward(labels))[1] > DEAD)
    share = share[far]
    if not far.any() or np.mean(share < DEAD) < 0.5:
        return []
    middle = float(np.median(share))
    where = "lie in a flat zone" if middle == 0 else "are saturated"
    return [f"soft scores {where}: the error sent by route {head.route!r} is {middle:.1g} of y − t; use route 'isbe', which "
            f"sends y − t, or first scores nearer to 0"]


def _sent_of(head: Head, labels: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Size of y − t (N,), and what share of it the error (N, C) has."""
    size = np.linalg.norm(head.soft - one_hot(labels, head.soft, *head.encoding), axis=1)
    sent = np.linalg.norm(error, axis=1) * (len(error) if head.reduction == "mean" else 1)
    return size, sent / np.maximum(size, np.finfo(size.dtype).tiny)


def _sent(head: Head, labels: np.ndarray, classes: int, dtype) -> Iterator[str]:
    """Faults of the error that is sent at moderate scores: targets out of reach, or no y − t where that is what is said."""
    head.strict = False
    tried = []
    for seed in (1, 2):
        y = head.forward(moderate(len(labels), classes, dtype, seed))
        e = head.backward(labels) * (len(labels) if head.reduction == "mean" else 1)
        tried.append((y, e, y - e))
    (y, e, t), (*_, again) = tried
    if np.abs(t - again).max() <= EQUAL * max(1.0, np.abs(t).max()):
        yield from _unreached(head, t, classes, dtype)
        return
    difference = y - one_hot(labels, y, *head.encoding)
    along = _cosine(e, difference)
    if head.route not in ("isbe", "fused"):
        return
    if np.median(along) < 0:
        yield f"the error that is sent points away from y − t (cosine {np.median(along):.2f}): its sign is wrong"
        return
    x = moderate(3, classes, np.float64, 1)
    y = head.forward(x)
    e, difference = head.backward(labels[:3]), y - one_hot(labels[:3], y, *head.encoding)
    once_more, _ = _chain(head.normalizer, x, difference)
    columns = some(classes)
    if len(labels) > 2 and (_cosine(e[:, columns], once_more) > 0.999).all() and (along < 0.999).any():
        yield "the error that is sent is y − t through the normalizer's Jacobian once more: the slope counts twice; send y − t"


def _unreached(head: Head, t: np.ndarray, classes: int, dtype) -> Iterator[str]:
    """Targets (N, C), the same whatever the scores are, that soft scores cannot be: y − t then never vanishes."""
    _, sums = line(head.normalizer, classes, dtype, LINE)
    own, _ = line(head.normalizer, classes, dtype, FAR)
    wanted, given = float(np.mean(sums)), t.sum(axis=1)
    worst = given[np.argmax(np.abs(given - wanted))]
    if np.ptp(sums) <= EQUAL * abs(wanted) and abs(worst - wanted) > DROP * abs(wanted):
        yield (f"targets: a row of them sums to {worst:.3g} and soft scores to {wanted:.3g}, so that y − t never vanishes and "
               f"scores drift for ever; divide targets by their sum, or use route 'fused'")
        return
    low, high = float(own.min()), float(own.max())
    if not np.isfinite(own).all() or low == high:  # no bounds, or scores that count beside others alone
        return
    for number in (float(t.min()), float(t.max())):
        if not low - DROP * (high - low) <= number <= high + DROP * (high - low):
            yield (f"targets: {number:.3g} is none that soft scores reach, which lie from {low:.3g} to {high:.3g}, so that "
                   f"y − t never vanishes and scores drift for ever")
            return


def _product(head: Head, labels, classes, dtype) -> Iterator[str]:
    """Jᵀ g of the head's route against differences of its normalizer."""
    s = head.normalizer
    if head.route not in ("jacobian", "factored"):
        return
    x, g = (moderate(3, classes, np.float64, seed) for seed in (1, 2))
    y = np.asarray(s.forward(x))
    given = s.product(x, y, g) if head.route == "factored" else np.einsum("nij,ni->nj", s.jacobian(x, y), g)
    given = given[:, some(classes)]
    wanted, diagonal = _chain(s, x, g)
    off = np.abs(given - wanted).max() / max(np.abs(wanted).max(), 1e-30)
    if np.abs(wanted).max() > 0 and off > 10 * EQUAL:
        method = "product" if head.route == "factored" else "jacobian"
        what = "is that of J's diagonal alone" if np.allclose(given, diagonal, rtol=EQUAL, atol=1e-6) else "is wrong"
        yield (f"normalizer: its {method} {what}, off by {off:.2g} of differences of its forward; mend it, or use route "
               f"'isbe'")


def _chain(s: Normalizer, x: np.ndarray, g: np.ndarray, h: float = 1e-5) -> tuple[np.ndarray, np.ndarray]:
    """Jᵀ g at x (N, C), of the classes tried (N, K), by differences, and the same of J's diagonal alone."""
    tried = some(x.shape[1])
    product, diagonal = np.empty((len(x), len(tried))), np.empty((len(x), len(tried)))
    for k, j in enumerate(tried):
        step = np.zeros(x.shape[1])
        step[j] = h
        slope = (np.array(s.forward(x + step)) - s.forward(x - step)) / (2 * h)
        product[:, k], diagonal[:, k] = (slope * g).sum(axis=1), slope[:, j] * g[:, j]
    return product, diagonal


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of the angle between rows."""
    return (a * b).sum(axis=1) / np.maximum(np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1)), 1e-30)
