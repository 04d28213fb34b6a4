"""The checks of assignment 5. Cases are drawn anew for every grading; the solution in a5.py says what is expected."""

import numpy as np

from isbe_np.classroom import Assignment, Check, Formula, Limits, Task

QUICK = Limits(start=10, first=5, call=5, memory=2**30)
SHAPES = ((1, 1), (4, 3), (2, 5))
KINDS = (1, 2, 3, 4)
FLAT = {1: np.inf, 2: np.inf, 3: 3.0, 4: 1.0}  # |x / width| from which s is constant


def some_width(random):
    """A width, not near 1."""
    return float(random.choice([random.uniform(0.3, 0.7), random.uniform(1.5, 3)]))


def scores(random, shape, kind, width=1.0):
    """Scores of both signs, for the hard kinds about half of them in the flat zones and none near a corner."""
    if kind in (1, 2):
        return width * random.normal(0, 2, shape)
    size = np.where(random.uniform(0, 1, shape) < 0.5, random.uniform(0, 0.9, shape), random.uniform(1.1, 3, shape))
    return width * FLAT[kind] * size * random.choice([-1.0, 1.0], shape)


def labels(random, shape, kind):
    """One-hot targets, 0 and 1, or −1 and 1 for kinds 2 and 4."""
    hot = np.eye(shape[1])[random.integers(0, shape[1], shape[0])]
    return 2 * hot - 1 if kind in (2, 4) else hot


def between(random, shape, kind):
    """Soft targets within the normalizer's range."""
    return random.uniform(-0.9 if kind in (2, 4) else 0.1, 0.9, shape)


def values(*kinds):
    """Scores to normalize, some of them huge."""
    def cases(random):
        plain = [(scores(random, shape, kind, w), kind, w)
                 for shape in SHAPES for kind in kinds for w in (some_width(random), 1.0)]
        return plain + [(np.array([[0.0, 800, -800, 1e5, -1e5, 1e300, -1e300]]), kind, 1.0) for kind in kinds]
    return cases


def losses(kinds, width=lambda random: 1.0):
    """Scores and targets, labels and soft ones."""
    def cases(random):
        found = []
        for shape in SHAPES:
            for kind in kinds:
                for targets in (labels, between):
                    w = width(random)
                    found.append((scores(random, shape, kind, w), targets(random, shape, kind), kind, w))
        return found
    return cases


def far_apart(random):
    """Scores whose e^x overflows."""
    return [(random.choice([-1.0, 1.0], (2, 4)) * random.uniform(800, 5000, (2, 4)), labels(random, (2, 4), kind), kind, 1.0)
            for kind in (1, 2)]


def squared(targets):
    """The slope of the squared error."""
    return Formula("y", "y - t", t=targets)


def smooth(random):
    """The squared error, another loss, and the matching loss written in y, where y − t comes out."""
    found = []
    for shape in SHAPES:
        for kind, text in ((1, "w * (y - t) / (y * (1 - y))"), (2, "w * (y - t) / (1 - y**2)")):
            w, t = some_width(random), labels(random, shape, kind)
            for slope in (squared(t), Formula("y", "(y - t)**3 + c", t=t, c=0.5), Formula("y", text, t=t, w=w)):
                found.append((scores(random, shape, kind, w), slope, kind, w))
    return found


def hard(random):
    """The hard kinds with the squared error: about half of the units are dead."""
    found = []
    for shape in SHAPES:
        for kind in (3, 4):
            w = some_width(random)
            found.append((scores(random, shape, kind, w), squared(between(random, shape, kind)), kind, w))
    return found


def saturated(random):
    """Scores at which sigmoid and tanh are flat to the last digit."""
    found = []
    for kind in (1, 2):
        x = np.array([[-800.0, -1e5, 0.0, 50, 1e5, 800]])
        found.append((x, squared(between(random, x.shape, kind)), kind, 1.0))
    return found


def descents(route):
    """One step and many, of scores some of which start far out in a flat zone."""
    def cases(random):
        found = []
        for kind in KINDS:
            w = some_width(random)
            x = scores(random, (3, 4), kind, w)
            x[0, 0] = -w * min(20, 3 * FLAT[kind])
            for steps in (1, 30):
                found.append((x, labels(random, (3, 4), kind), kind, w, w * float(random.uniform(0.2, 0.8)), steps, route))
        return found
    return cases


def sparse(random):
    """Scores whose nearest point has zeros, and few classes."""
    return [(spread * random.normal(0, 1, shape), total) for spread in (0.3, 2)
            for shape, total in (((4, 5), 1.0), ((1, 2), 1.0), ((3, 8), float(random.uniform(1.5, 4))),
                                 ((3, 6), float(random.uniform(0.1, 0.6))))]


def equal(random):
    """Equal scores, one class, and two that share the first place."""
    total = float(random.uniform(0.5, 3))
    x = random.normal(0, 0.3, (2, 5))
    x[:, 3] = x[:, 1] = x.max(axis=1) + 0.1
    return [(np.full((2, 4), random.normal(0, 3)), total), (random.normal(0, 5, (3, 1)), total), (x, 1.0)]


def far_away(random):
    """Scores of one size far from 0, and scores far from each other."""
    x = random.normal(0, 1, (3, 5))
    return [(np.round(x, 3) + 1e9, 1.0), (x * 1e6, 1.5), (np.array([[1e300, 0.0, -1e300]]), 1.0)]


SOFTMAX = "np.exp(k * x) / np.exp(k * x).sum()"


def shuffled(cases):
    """The cases in another order each time, so that the place of a case tells nothing of its verdict."""
    def reordered(random):
        found = cases(random)
        return [found[k] for k in random.permutation(len(found))]
    return reordered


@shuffled
def one_by_one(random):
    """Each class alone: growing, falling, and growing here but not there."""
    def points(low, high, C=3):
        return random.uniform(low, high, (4, C))

    a = float(random.uniform(0.5, 2))
    ends = np.round(points(-2, 1)) + points(0.2, 0.8)  # never near −1 or 1
    return [(Formula("x", "1 / (1 + np.exp(-a * x))", a=a), points(-2, 2)),
            (Formula("x", "1 / (1 + np.exp(a * x))", a=a), points(-2, 2)),
            (Formula("x", "np.clip(x, -1, 1)"), ends), (Formula("x", "-np.clip(x, -1, 1) * a", a=a), ends),
            (Formula("x", "x / (1 + np.exp(-x))"), points(-0.8, 3)), (Formula("x", "x / (1 + np.exp(-x))"), points(-3, -2)),
            (Formula("x", "a * x**3", a=a), points(-1, 1, 1))]


def turned(random, C):
    """A symmetric matrix's eigenvectors, in columns."""
    return np.linalg.qr(random.normal(0, 1, (C, C)))[0]


@shuffled
def mirrored(random):
    """Symmetric Jacobians, and some that are not though their eigenvalues, or those of their symmetric half, are fine."""
    Q, x = turned(random, 3), random.normal(0, 0.5, (3, 3))
    skew = np.array([[0, 1, -1], [-1, 0, 1], [1, -1, 0]]) * random.uniform(0.3, 1)
    k = random.permutation([0.5, 1.5, 3.0])
    return [(Formula("x", f"x / 10 + {SOFTMAX}", k=1.0), x), (Formula("x", SOFTMAX, k=k), x),
            (Formula("x", "A @ x", A=Q @ np.diag([0.5, 1.0, 2.0]) @ Q.T), x), (Formula("x", "x + A @ x", A=skew), x),
            (Formula("x", "x / np.sqrt(1 + x @ x)"), x), (Formula("x", "x / x.sum()"), random.uniform(0.5, 1.5, (3, 3))),
            (Formula("x", "A @ x", A=np.array([[1.0, 0.5], [0.0, 1.0]])), x[:, :2])]


@shuffled
def definite(random):
    """Symmetric Jacobians with eigenvalues that are negative, positive, and 0."""
    Q, x, v = turned(random, 4), random.normal(0, 0.7, (3, 4)), random.normal(0, 1, 4)
    return [(Formula("x", SOFTMAX, k=1.0), x), (Formula("x", SOFTMAX, k=-1.0), x),
            (Formula("x", "A @ x", A=np.outer(v, v)), x), (Formula("x", "A @ x", A=0.5 * np.eye(4) + random.uniform(1, 2)), x),
            (Formula("x", "A @ x", A=2 * (np.ones((4, 4)) - np.eye(4)) + np.eye(4)), x),
            (Formula("x", "A @ x", A=Q @ np.diag([1.0, 1.0, -0.05, -0.05]) @ Q.T), x),
            (Formula("x", "A @ x", A=5 * np.eye(4) - np.ones((4, 4))), x)]


@shuffled
def everywhere(random):
    """Convex at all of the points, or at all but one that is not the first."""
    ring = random.normal(0, 1, (6, 3))
    ring *= random.uniform(2.2, 3, (6, 1)) / np.linalg.norm(ring, axis=1, keepdims=True)
    inside, small = ring.copy(), random.uniform(-1, 1, (6, 3))
    inside[random.integers(1, 6)] *= 0.3
    beyond = small.copy()
    beyond[random.integers(1, 6), random.integers(3)] = random.uniform(2, 3)
    well, sine = Formula("x", "x * (x @ x) / 3 - x"), Formula("x", "np.sin(x)")
    return [(well, ring), (well, inside), (sine, small), (sine, beyond)]


ASSIGNMENT = Assignment("Other normalizers and their matching losses", tasks=(
    Task("5.1", "normalize", "Four normalizers", returns=("the soft scores",), limits=QUICK, checks=(
        Check("sigmoid", 1, values(1), "e^z / (1 + e^z) is inf / inf for large z: write it with e^−|z|, which cannot overflow.",
              tolerance=1e-12),
        Check("tanh", 1, values(2), "np.tanh(z), with z = x / width; from e^z and e^−z it overflows.", tolerance=1e-12),
        Check("hard", 1, values(3, 4), "np.clip limits. hardsigmoid is 0 at z = −3, 1/2 at 0 and 1 at 3; hardtanh is z for "
              "|z| < 1.", tolerance=1e-12))),
    Task("5.2", "matching_loss", "Their matching losses", returns=("the losses",), limits=QUICK, checks=(
        Check("sigmoid", 1, losses([1]), "Σ over the classes of log(1 + e^x) − t x: one number for each example."),
        Check("tanh", 1, losses([2]), "Σ log cosh x − t x, with labels −1 and 1, and nothing added to make its minimum 0."),
        Check("hard", 1, losses([3, 4]), "Φ has three pieces, and each starts where the last one ended: x²/2 is 1/2 at x = 1, "
              "and so is |x| − 1/2."),
        Check("any width", 1, losses(KINDS, some_width), "The derivative of Φ(x / w) by x is s(x / w) / w, but s(x / w) is "
              "wanted. Which factor mends it? t x stays as it is."),
        Check("far apart", 1, far_apart, "log(1 + e^x) = max(x, 0) + log(1 + e^−|x|), and log cosh x = |x| + log(1 + e^−2|x|) "
              "− log 2."))),
    Task("5.3", "chain_error", "The chain rule through y", returns=("the error",), limits=QUICK, checks=(
        Check("smooth", 1, smooth, "s' is y (1 − y) for sigmoid and 1 − y² for tanh, divided by the width; then times "
              "slope(y)."),
        Check("hard", 1, hard, "The slope of a flat zone is 0, and a product with 0 is 0: a dead unit. Between, it is 1 / 6w "
              "and 1 / w."),
        Check("saturated", 1, saturated, "Take s' from y, which is 0 or 1 there, rather than from powers of e^x."))),
    Task("5.4", "descend", "The way back", returns=("the scores",), limits=QUICK, checks=(
        Check("by ISBE", 1, descents(4), "e = y − t with the y of the present scores: normalize anew in each step."),
        Check("by the chain rule", 1, descents(1), "e = chain_error with the slope y − t, anew in each step; the width is in "
              "it already."))),
    Task("5.5", "simplex_point", "The nearest point of a simplex", returns=("the points",), limits=QUICK, checks=(
        Check("values", 1, sparse, "p = max(x − θ, 0). If the k largest scores stay above θ, θ is (their sum − total) / k."),
        Check("equal scores", 1, equal, "Equal scores share equally, and one class gets the total."),
        Check("far away", 1, far_away, "Subtract the row's largest score first: p does not change, and sums keep their "
              "digits."))),
    Task("5.6", "is_convex_gradient", "Is it a gradient?", returns=("the verdict",), limits=QUICK, checks=(
        Check("class by class", 1, one_by_one, "If each soft score depends on its own score alone, J is diagonal: no element "
              "of it may be negative, and some may be 0."),
        Check("symmetry", 1, mirrored, "∂s_i/∂x_j must be ∂s_j/∂x_i. Build all of J by differences, a column for each score "
              "that moves. Its eigenvalues alone do not tell."),
        Check("eigenvalues", 1, definite, "Neither the diagonal nor the determinant tells: np.linalg.eigvalsh(J). Softmax has "
              "an eigenvalue 0, which rounding may make −1e-12."),
        Check("every point", 1, everywhere, "One point where it fails is enough for False. Look at all of them.",
              public=False))),
))
