"""The checks of assignment 2. Cases are drawn anew for every grading; the solution in a2.py says what is expected."""

import numpy as np

from isbe_np.classroom import Assignment, Check, Formula, Limits, Task

QUICK = Limits(start=10, first=5, call=5, memory=2**30)
SHAPES = ((1, 2), (4, 3), (3, 7), (2, 1))


def scores(random, N, C):
    """Ordinary scores."""
    return random.normal(0, 2, (N, C))


def labels(random, N, C):
    """One-hot targets."""
    return np.eye(C)[random.integers(0, C, N)]


def distributions(random, N, C):
    """Rows that are positive and sum to 1: soft targets, or soft scores."""
    e = np.exp(random.normal(0, 1.5, (N, C)))
    return e / e.sum(axis=1, keepdims=True)


def unnormalised(random, N, C):
    """Targets of any sum: several labels an example, parts of one, and a row of zeros where there is room for it."""
    targets = random.uniform(0, 2, (N, C)) * (random.uniform(0, 1, (N, C)) < 0.7)
    targets[0] = random.uniform(0.2, 0.8)
    if N > 2:
        targets[-1] = 0
    return targets


KINDS = (labels, distributions, unnormalised)


def plain(random):
    """Losses without smoothing, where one class counts, where all do, and for targets that do not sum to 1."""
    return [(scores(random, N, C), kind(random, N, C), 0.0) for N, C in SHAPES for kind in KINDS]


def smoothed(random):
    """Losses with smoothing; 1 leaves nothing of the label."""
    return [(scores(random, N, C), labels(random, N, C), float(a)) for (N, C), a in
            zip(SHAPES, (*random.uniform(0.05, 0.5, 3), 1.0), strict=True)]


def far_apart(random):
    """Scores whose e^x overflows or vanishes: the loss is then about the score gap."""
    x = random.normal(0, 1, (3, 5))
    low = np.eye(5)[x.argmin(axis=1)]
    return [(x + 900, labels(random, 3, 5), 0.0), (x - 2000, labels(random, 3, 5), 0.0),
            (x * np.array([[1e2], [1e4], [1e6]]), low, 0.0),
            (np.array([[1e300, -1e300, 0.0]]), np.array([[0.0, 0.5, 0.5]]), 0.0)]


def quotients(random):
    """Soft scores and targets, none of the soft scores 0."""
    return [(distributions(random, N, C), kind(random, N, C)) for N, C in SHAPES for kind in KINDS]


def zeros(random):
    """Soft scores of 0, as large score gaps leave them, beside targets that are 0 and that are not."""
    missed, hit = np.zeros((2, 4)), np.zeros((2, 4))
    missed[[0, 1], random.permutation(4)[:2]] = 1
    hit[:] = missed
    miss = np.roll(missed, 1, axis=1)
    return [(missed, hit), (missed, miss), (missed, 0.5 * hit + 0.5 * miss)]


def routes(number, kinds):
    """Cases of one route: ordinary scores, and a target class whose soft score is small, but not 0."""
    def cases(random):
        plain = [(scores(random, N, C), kind(random, N, C), number) for N, C in SHAPES for kind in kinds]
        x, low = scores(random, 3, 4), np.eye(4)[random.integers(0, 4, 3)]
        return [*plain, (x - 40 * low, low, number)]
    return cases


def both_kinds(number):
    """Cases of routes 3 and 4: targets of any sum, and scores too far apart for the quotient."""
    def cases(random):
        x, low = scores(random, 3, 4), np.eye(4)[random.integers(0, 4, 3)]
        return [*routes(number, KINDS)(random), (x - 2000 * low, 1.5 * low, number)]
    return cases


def many_classes(random):
    """So many classes that the Jacobians would not fit."""
    return [(scores(random, 2, 30000), distributions(random, 2, 30000), 2)]


def parting(random):
    """float32: one row of ordinary scores, one whose label has the soft score 0, by every route."""
    x = random.normal(0, 1, (2, 4)).astype(np.float32)
    t = np.eye(4, dtype=np.float32)[random.integers(0, 4, 2)]
    x[1] -= np.float32(random.uniform(130, 300)) * t[1]
    return [(x, t, route) for route in (3, 4, 1, 2)]


def weights(random, C):
    """Class weights, positive and not near 1."""
    return random.uniform(0.2, 0.7, C) + 2 * (random.uniform(0, 1, C) < 0.5)


def weighted(number, kinds, weigh=weights):
    """Batches with class weights, to be reduced in one way."""
    def cases(random):
        return [(distributions(random, N, C), kind(random, N, C), weigh(random, C), number)
                for N, C in SHAPES for kind in kinds]
    return cases


def equal_weights(random):
    """One weight for all classes, targets that sum to 1: sum and mean, without the question of which weight is meant."""
    def one(random, C):
        return np.full(C, random.uniform(1.5, 3))
    return [case for number in (0, 1) for case in weighted(number, KINDS[:2], one)(random)]


def dilated(kinds, level=0.0):
    """Scores x with k ⊙ x + b near one level, targets, dilation k and relocation b."""
    def cases(random):
        found = []
        for N, C in SHAPES:
            for kind in kinds:
                k, b = random.uniform(0.3, 3, C), random.normal(0, 1, C)
                found.append(((level + scores(random, N, C) - b) / k, kind(random, N, C), k, b))
        return found
    return cases


def any_dilated(random):
    """Targets of any sum; and ordinary soft scores whose k ⊙ x + b are so large that e^x overflows."""
    return dilated(KINDS[2:])(random) + dilated(KINDS, 900)(random)


def box(k, b):
    """A normalizer that does not show its dilation k and relocation b."""
    return Formula("x", "np.exp(k * x + b - (k * x + b).max()) / np.exp(k * x + b - (k * x + b).max()).sum()", k=k, b=b), len(k)


def centred(random, C):
    """A relocation whose sum is 0."""
    b = random.normal(0, 1, C)
    return b - b.mean()


ASSIGNMENT = Assignment("Cross-entropy's gradient and the collapse", tasks=(
    Task("2.1", "cross_entropy", "Cross-entropy from scores", returns=("the losses",), limits=QUICK, checks=(
        Check("values", 1, plain, "One loss an example: −Σ over the classes, axis 1, of t log y, for targets as they are, of "
              "any sum; no mean over the batch."),
        Check("smoothing", 1, smoothed, "t' = (1 − a) t + a / C: every class gets a / C, the label's too."),
        Check("far apart", 1, far_apart, "log y = x − m − log Σ e^(x − m) with the row's largest score m: do not take the "
              "logarithm of a y that rounding made 0."))),
    Task("2.2", "gradient_by_soft", "Its gradient by the soft scores", returns=("g",), limits=QUICK, checks=(
        Check("values", 1, quotients, "The derivative of −t log y by y, class by class: −t / y, with nothing added to y. "
              "Softmax has no part in it yet.",
              tolerance=1e-12),
        Check("soft scores of 0", 1, zeros, "0 · log 0 counts as 0, and so does its derivative: divide only where t is not 0. "
              "Where t > 0 and y = 0, −inf is the honest answer."))),
    Task("2.3", "route_error", "Four routes", returns=("the error",), limits=QUICK, checks=(
        Check("route 1, the Jacobian", 1, routes(1, KINDS), "J = diag(y) − y yᵀ for each row, and Σ_i J_ij g_i. A small number "
              "added to y in t / y would be the whole of it where y is smaller.", tolerance=1e-11),
        Check("route 2, without J", 1, routes(2, KINDS), "Jᵀ g = y ⊙ (g − ⟨y, g⟩), as in assignment 1.", tolerance=1e-11),
        Check("route 3, cancelled", 1, both_kinds(3), "Put g = −t / y into y ⊙ (g − ⟨y, g⟩), cancel y, and keep Σ t: it is not "
              "1 for all targets.", tolerance=1e-12),
        Check("route 4, ISBE", 1, both_kinds(4), "y − t, whatever t sums to: it is this loss's gradient only where Σ t is 1.",
              tolerance=1e-12),
        Check("where they part", 1, parting, "All in float32. Where the label's y is 0, routes 1 and 2 meet −inf · 0, and NaN "
              "in that row is what comes out, unmended; 3 and 4 do not divide.", tolerance=2e-6, same_dtype=True),
        Check("many classes", 1, many_classes, "J of 30,000 classes takes 7 GB; route 2 needs none.", tolerance=1e-12,
              public=False))),
    Task("2.4", "weighted_error", "Class weights and reductions", returns=("the gradient",), limits=QUICK, checks=(
        Check("equal weights", 1, equal_weights, "With one weight w for all classes and targets that sum to 1 each row is "
              "w (y − t): as it is for reduction 0, divided by N (not N · C, nor by weights) for 1.", tolerance=1e-12),
        Check("labels", 1, weighted(0, [labels]), "A weighted target w ⊙ t is a target that does not sum to 1. What is route 3 "
              "for it?", tolerance=1e-12),
        Check("weighted mean", 1, weighted(2, [labels]), "Divide by the weight of all targets of the batch, one number, not "
              "by N.", tolerance=1e-12),
        Check("soft targets", 1, weighted(0, KINDS[1:]),
              "y_c is multiplied by Σ_k w_k t_nk, the row's total, t_c by its own weight w_c: w ⊙ (y − t) is neither.",
              tolerance=1e-12))),
    Task("2.5", "dilated_error", "A dilated softmax", returns=("the error", "the gradient"), limits=QUICK, checks=(
        Check("labels", 1, dilated(KINDS[:2]), "By the chain rule ∂z_j/∂x_j = k_j for z = k ⊙ x + b: the gradient is k ⊙ the "
              "error.", tolerance=1e-11),
        Check("any sum, any scores", 1, any_dilated, "The error is y − t, the gradient k ⊙ (Σt · y − t). Subtract the "
              "largest of k ⊙ x + b, not of x.", tolerance=1e-11))),
    Task("2.6", "find_dilation", "Look into the box", returns=("the dilation k", "the relocation b"), limits=QUICK, checks=(
        Check("dilation", 1, lambda random: [box(random.uniform(0.3, 3, C), np.zeros(C)) for C in (2, 5)],
              "log y_i − log y_l = k_i x_i − k_l x_l + b_i − b_l. Which x_j must move by 1 to show k_j?", tolerance=1e-6),
        Check("relocation", 1, lambda random: [box(np.ones(C), random.normal(0, 1, C)) for C in (2, 6)],
              "At x = 0, log y = b − log Σ e^b: b and a number. Subtract the mean, so that Σ b = 0.", tolerance=1e-6),
        Check("both", 1, lambda random: [box(random.uniform(0.3, 3, C), centred(random, C)) for C in (2, 3, 9)],
              "Compare s before and after the move: the b_i − b_l of both cancel.", tolerance=1e-6, public=False))),
))
