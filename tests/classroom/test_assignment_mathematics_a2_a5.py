"""Assignments 2 and 5: are the solutions right, and do answers get the credit they deserve?"""

from dataclasses import replace

import naive
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.classroom.assignment import find, generator
from isbe_np.classroom.grading import grade_source
from isbe_np.classroom.judge import compare
from isbe_np.classroom.release import prove

pytestmark = pytest.mark.exhaustive

A2, A5 = find("a2"), find("a5")
a2, a5 = A2.solution, A5.solution
KINDS = {1: "sigmoid", 2: "tanh", 3: "hardsigmoid", 4: "hardtanh"}


def distributions(random, N, C):
    e = np.exp(random.normal(size=(N, C)))
    return e / e.sum(axis=1, keepdims=True)


def targets_of(kind, random, N, C):
    return {"labels": np.eye(C)[random.integers(0, C, N)], "soft": distributions(random, N, C),
            "any sum": random.uniform(0, 2, (N, C))}[kind]


def log_softmax(x):
    return x - np.logaddexp.reduce(x, axis=1, keepdims=True)


kinds_of_targets = pytest.mark.parametrize("targets", ["labels", "soft", "any sum"])


@kinds_of_targets
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_is_the_heads(targets, smoothing, random, assert_close):
    x, t = 3 * random.normal(size=(6, 5)), targets_of(targets, random, 6, 5)
    head = isbe.Head("softmax", reduction="none")
    head.forward(x)
    assert_close(a2.cross_entropy(x, t, smoothing), head.loss((1 - smoothing) * t + smoothing / 5))


def test_the_gradient_by_the_soft_scores_is_a_derivative(random):
    y, t = distributions(random, 4, 5), targets_of("any sum", random, 4, 5)
    differences = naive.central_difference(lambda: -(t * np.log(y)).sum(), y)
    assert (np.abs(a2.gradient_by_soft(y, t) - differences) <= 1e-6 * np.maximum(1, np.abs(differences))).all()


@kinds_of_targets
def test_the_routes_are_the_heads(targets, dtype, random, assert_close):
    x, t = random.normal(size=(6, 5)).astype(dtype), targets_of(targets, random, 6, 5).astype(dtype)
    for number, route in enumerate(("jacobian", "factored", "fused", "isbe"), 1):
        head = isbe.Head("softmax", route=route, reduction="none")
        head.forward(x)
        got = a2.route_error(x, t, number)
        assert got.dtype == dtype
        assert_close(got, head.backward(t), 4)


@pytest.mark.parametrize("dtype, last, infinite, zero", [(np.float32, 88.6, 88.8, 104), (np.float64, 709.7, 709.8, 745.2)])
def test_the_quotient_breaks_where_the_handout_says(dtype, last, infinite, zero):
    t = np.array([[0, 1]], dtype)

    def routes(gap):
        x = np.array([[gap, 0]], dtype)
        found = [a2.route_error(x, t, route)[0] for route in (1, 2, 3, 4)]
        assert np.array_equal(found[2], [1, -1]) and np.array_equal(found[3], [1, -1])
        return found

    assert all(np.allclose(error, [1, -1]) for error in routes(last))
    assert np.array_equal(routes(infinite)[0], [np.inf, -np.inf])
    assert np.array_equal(routes(infinite)[1], [np.inf, np.nan], equal_nan=True)
    assert all(np.isnan(error).all() for error in routes(zero)[:2])


@kinds_of_targets
@pytest.mark.parametrize("reduction", [0, 1, 2])
def test_weighted_errors_are_derivatives(targets, reduction, random):
    x, t, w = random.normal(size=(4, 5)), targets_of(targets, random, 4, 5), random.uniform(0.2, 3, 5)
    by = (1, 4, (w * t).sum())[reduction]
    differences = naive.central_difference(lambda: -(w * t * log_softmax(x)).sum() / by, x)
    assert np.abs(a2.weighted_error(np.exp(log_softmax(x)), t, w, reduction) - differences).max() < 1e-8


@kinds_of_targets
def test_the_dilated_softmax_is_the_heads(targets, random, assert_close):
    x, t = random.normal(size=(6, 5)), targets_of(targets, random, 6, 5)
    k, b = random.uniform(0.3, 3, 5), random.normal(size=5)
    for got, route in zip(a2.dilated_error(x, t, k, b), ("isbe", "fused"), strict=True):
        head = isbe.Head("softmax", route=route, reduction="none", dilation=k, relocation=b)
        head.forward(x)
        assert_close(got, head.backward(t), 4)


@pytest.mark.parametrize("C", [2, 3, 8])
def test_dilation_and_relocation_of_a_head_are_found(C, random):
    k, b = random.uniform(0.3, 3, C), random.normal(size=C)
    head = isbe.Head("softmax", dilation=k, relocation=b)
    found = a2.find_dilation(lambda row: head.forward(row[None])[0], C)
    assert np.abs(found[0] - k).max() < 1e-13 and np.abs(found[1] - (b - b.mean())).max() < 1e-13


def scores_and_targets(random, kind, width=1.0, N=5, C=4):
    """Scores away from the corners of the hard kinds, some in their flat zones, and targets within the range."""
    flat = {3: 3.0, 4: 1.0}.get(kind, 2.0)
    x = width * flat * np.where(random.random((N, C)) < 0.5, 0.9 * random.random((N, C)), 1.1 + random.random((N, C)))
    return x * random.choice([-1, 1], (N, C)), random.uniform(0.1 if kind in (1, 3) else -0.9, 0.9, (N, C))


@pytest.mark.parametrize("kind", KINDS)
def test_normalizers_and_errors_are_the_heads(kind, random, assert_close):
    x, t = scores_and_targets(random, kind)
    head = isbe.Head(KINDS[kind], route="isbe", reduction="none")
    assert_close(a5.normalize(x, kind, 1.0), head.forward(x))
    assert_close(a5.normalize(x, kind, 0.4), isbe.Head(KINDS[kind]).forward(x / 0.4))
    assert_close(a5.descend(x, t, kind, 1.0, 0.5, 1, 4), x - 0.5 * head.backward(t))
    chain = isbe.Head(KINDS[kind], route="factored", loss="squared", reduction="none")
    chain.forward(x)
    assert_close(a5.chain_error(x, lambda y: y - t, kind, 1.0), chain.backward(t), 4)
    assert_close(a5.descend(x, t, kind, 1.0, 0.5, 1, 1), x - 0.5 * chain.backward(t))


@pytest.mark.parametrize("kind", KINDS)
def test_matching_losses_are_the_heads_but_for_a_number(kind, random):
    (x, t), (other, _) = scores_and_targets(random, kind), scores_and_targets(random, kind)
    head = isbe.Head(KINDS[kind], reduction="none", loss="matching")
    head.forward(x)
    there = head.loss(t)
    head.forward(other)
    gap = a5.matching_loss(x, t, kind, 1.0) - a5.matching_loss(other, t, kind, 1.0) - (there - head.loss(t))
    assert np.abs(gap).max() < 1e-13


@pytest.mark.parametrize("width", [1.0, 0.4, 2.5])
@pytest.mark.parametrize("kind", KINDS)
def test_the_isbe_error_is_the_gradient_of_the_matching_loss(kind, width, random):
    x, t = scores_and_targets(random, kind, width)
    differences = naive.central_difference(lambda: a5.matching_loss(x, t, kind, width).sum(), x)
    assert np.abs(a5.normalize(x, kind, width) - t - differences).max() < 1e-8
    zero = a5.matching_loss(np.zeros((1, 1)), np.zeros((1, 1)), kind, width)[0]  # Φ(0), width times that of the table
    assert abs(zero - width * {1: np.log(2), 2: 0.0, 3: 0.75, 4: 0.0}[kind]) < 1e-15


@pytest.mark.parametrize("width", [1.0, 0.4, 2.5])
@pytest.mark.parametrize("kind", KINDS)
def test_the_chain_rule_is_the_gradient_of_a_loss_of_the_soft_scores(kind, width, random):
    x, t = scores_and_targets(random, kind, width)
    for loss, slope in ((lambda y: (y - t) ** 2 / 2, lambda y: y - t), (lambda y: np.sin(3 * y), lambda y: 3 * np.cos(3 * y))):
        differences = naive.central_difference(lambda: loss(a5.normalize(x, kind, width)).sum(), x)  # noqa: B023
        assert np.abs(a5.chain_error(x, slope, kind, width) - differences).max() < 1e-7


@pytest.mark.parametrize("kind, x, by_isbe, by_chain", [(1, -2, 3, 16), (1, -10, 11, 22063), (2, -2, 2, 6), (2, -5, 3, 1383),
                                                        (3, -4, 5, None), (4, -2, 2, None)])
def test_the_way_back_is_as_long_as_the_handout_says(kind, x, by_isbe, by_chain):
    start, one = np.array([[float(x)]]), np.ones((1, 1))
    for route, steps in ((4, by_isbe), (1, by_chain)):
        if steps is None:
            assert a5.descend(start, one, kind, 1.0, 1.0, 100, route) == start
        else:
            assert a5.descend(start, one, kind, 1.0, 1.0, steps - 1, route) <= 0
            assert a5.descend(start, one, kind, 1.0, 1.0, steps, route) > 0


@pytest.mark.parametrize("total", [1.0, 0.3, 4.0])
def test_the_nearest_point_is_sparsemax(total, random):
    """The point nearest to x with the sum τ is τ times the one nearest to x / τ with the sum 1."""
    x = random.normal(size=(20, 7))
    p = a5.simplex_point(x, total)
    assert np.abs(p - total * isbe.Head("sparsemax").forward(x / total)).max() < 1e-14
    assert np.abs(p.sum(axis=1) - total).max() < 1e-14 and (p >= 0).all()
    nearest = ((p - x) ** 2).sum(axis=1)
    for other in total * random.dirichlet(np.ones(7), 50):
        assert (((other - x) ** 2).sum(axis=1) >= nearest).all()


@pytest.mark.parametrize("name", isbe.NORMALIZERS)
def test_the_packages_normalizers_are_gradients_of_convex_functions(name, random):
    points = random.normal(size=(5, 4))
    head = isbe.Head(name)
    assert a5.is_convex_gradient(lambda row: head.forward(row[None])[0], points)
    assert not a5.is_convex_gradient(lambda row: -head.forward(row[None])[0], points)


def test_a_dilation_for_each_class_has_no_potential(random):
    points = 0.5 * random.normal(size=(5, 3))
    for k, verdict in ((2.0, True), (np.array([0.5, 1, 3]), False)):
        head = isbe.Head("softmax", dilation=k)
        assert a5.is_convex_gradient(lambda row: head.forward(row[None])[0], points) is verdict  # noqa: B023


def alone(assignment, number):
    """The assignment with one task alone."""
    return replace(assignment, tasks=(assignment.task(number),))


def spoilt(assignment, number, *changes):
    """The solution's source with each (old, new) put in at its only place in the function of a task."""
    source = assignment.files[f"{assignment.name}.py"]
    before, name, rest = source.partition(f"def {assignment.task(number).function}(")
    doc, begin, rest = rest.partition("# BEGIN SOLUTION")
    function, end, rest = rest.partition("# END SOLUTION")
    for old, new in changes:
        assert function.count(old) == 1, (function.count(old), old)
        function = function.replace(old, new)
    return before + name + doc + begin + function + end + rest


@pytest.mark.parametrize("assignment", [A2, A5], ids=["a2", "a5"])
def test_all_points_for_the_solution_and_none_for_the_stub(assignment):
    reports = prove(assignment, seed=11)
    assert assignment.points == 20 == reports["solution, private cases"].score
    assert reports["stub, private cases"].score == 0


ANOTHER_WAY_A2 = '''
import math
import numpy as np

def rows(x):
    x = x - np.max(x, 1)[:, None]
    return np.exp(x - np.log(np.exp(x).sum(1))[:, None])

def cross_entropy(scores, targets, smoothing):
    losses = []
    C = scores.shape[1]
    for x, t in zip(scores, targets):
        top = max(x)
        lse = top + math.log(math.fsum(math.exp(v - top) for v in x))
        losses.append(sum(((1 - smoothing) * ti + smoothing / C) * (lse - xi) for ti, xi in zip(t, x)))
    return np.array(losses)

def gradient_by_soft(soft, targets):
    return np.where(targets == 0, 0, -targets / np.where(targets == 0, 1, soft))

def route_error(scores, targets, route):
    y = rows(scores)
    if route == 1:
        g = gradient_by_soft(y, targets)
        return np.stack([(np.diag(p) - np.outer(p, p)).T @ h for p, h in zip(y, g)])
    if route == 2:
        g = gradient_by_soft(y, targets)
        return y * g - y * np.einsum("nc,nc->n", y, g)[:, None]
    if route == 3:
        return np.einsum("nc,nk->nc", y, targets) - targets
    return y - targets

def weighted_error(soft, targets, weights, reduction):
    e = np.empty_like(soft)
    for n, (y, t) in enumerate(zip(soft, targets)):
        for c in range(len(y)):
            e[n, c] = y[c] * np.dot(weights, t) - weights[c] * t[c]
    return e / [1, len(e), np.sum(targets @ weights)][reduction]

def dilated_error(scores, targets, dilation, relocation):
    y = rows(np.add(scores * dilation[None], relocation))
    return [y - targets, dilation * np.einsum("nc,nk->nc", y, targets) - dilation * targets]

def find_dilation(s, C):
    h, zero = 1e-4, np.zeros(C)
    y = s(zero)
    k = []
    for j in range(C):
        up, down = zero.copy(), zero.copy()
        up[j], down[j] = h, -h
        k.append((np.log(s(up)[j]) - np.log(s(down)[j])) / (2 * h) / (1 - y[j]))
    return np.array(k), np.log(y) - np.log(y).sum() / C
'''
ANOTHER_WAY_A5 = '''
import math
import numpy as np

def normalize(scores, kind, width):
    z = scores / width
    with np.errstate(over="ignore"):
        return {1: 1 / (1 + np.exp(-z)), 2: 1 - 2 / (np.exp(2 * z) + 1), 3: np.minimum(np.maximum(z + 3, 0), 6) / 6,
                4: np.maximum(-1, np.minimum(1, z))}[kind]

def potential(z, kind):
    if kind == 1:
        return np.logaddexp(0, z)
    if kind == 2:
        return np.logaddexp(z, -z) - math.log(2)
    if kind == 3:
        return np.where(z < -3, 0, np.where(z > 3, z, (z + 3)**2 / 12))
    return np.where(np.abs(z) < 1, z**2 / 2, np.abs(z) - 0.5)

def matching_loss(scores, targets, kind, width):
    return np.array([sum(width * potential(x / width, kind) - t * x) for x, t in zip(scores, targets)])

def chain_error(scores, slope, kind, width):
    z = scores / width
    with np.errstate(over="ignore"):
        d = {1: 1 / (2 + np.exp(z) + np.exp(-z)), 2: np.cosh(z)**-2, 3: np.where((z > -3) & (z < 3), 1 / 6, 0),
             4: np.where((z > -1) & (z < 1), 1.0, 0)}[kind]
    return slope(normalize(scores, kind, width)) * d * (1 / width)

def descend(scores, targets, kind, width, rate, steps, route):
    if steps == 0:
        return scores
    e = chain_error(scores, lambda y: y - targets, kind, width) if route == 1 else normalize(scores, kind, width) - targets
    return descend(scores - rate * e, targets, kind, width, rate, steps - 1, route)

def simplex_point(scores, total):
    x = scores - scores.max(1, keepdims=True)
    low, high = np.full(len(x), -float(total)), np.zeros(len(x))
    for _ in range(100):
        middle = (low + high) / 2
        above = np.maximum(x - middle[:, None], 0).sum(1) > total
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.maximum(x - high[:, None], 0)

def is_convex_gradient(s, points):
    h = 1e-6
    for x in points:
        J = np.array([[(s(x + h * (np.arange(x.size) == j))[i] - s(x)[i]) / h for j in range(x.size)] for i in range(x.size)])
        if not np.allclose(J, J.T, atol=1e-4) or min(np.linalg.eigvals(J + J.T).real) < -1e-4:
            return 0
    return 1
'''


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("assignment, source", [(A2, ANOTHER_WAY_A2), (A5, ANOTHER_WAY_A5)], ids=["a2", "a5"])
def test_right_answers_written_another_way_get_all(assignment, source, seed):
    report = grade_source(assignment, source, seed)
    assert [(check.name, check.message) for task in report.tasks for check in task.checks if not check.passed] == []


# A task, what is changed in the solution, which checks it passes still, and words of what its author is told.
WRONG_A2 = {
    "the logarithm of soft scores": ("2.1", [("shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))", "np.log(np.exp("
                                              "shifted) / np.exp(shifted).sum(axis=1, keepdims=True))")],
                                     ["values", "smoothing"], "do not take the logarithm of a y"),
    "one largest for all rows": ("2.1", [("max(axis=1, keepdims=True)", "max()")], ["values", "smoothing"], "row's largest"),
    "the mean over the batch": ("2.1", [("sum(axis=1)\n", "sum(axis=1).mean()\n")], [], "has shape ()"),
    "smoothing for the other classes": ("2.1", [("+ smoothing / scores.shape[1]", "+ (1 - targets) * smoothing / max(1, scores."
                                                 "shape[1] - 1)")], ["values", "far apart"], "the label's too"),
    "no smoothing": ("2.1", [("- smoothing)", "- 0)"), ("+ smoothing", "+ 0")], ["values", "far apart"], "every class gets"),
    "the label alone": ("2.1", [("-(smoothed", "-(np.eye(scores.shape[1])[targets.argmax(1)]")], [], "targets as they are"),
    "targets over their sum": ("2.1", [("* targets", "* targets / np.maximum(targets.sum(1, keepdims=True), 1e-300)")],
                               ["smoothing", "far apart"], "of any sum"),
    "a small number in the quotient": ("2.2", [("soft, out", "soft + 1e-12, out")], [], "nothing added"),
    "a smaller one": ("2.2", [("soft, out", "soft + 1e-300, out")], ["values"], "expected -inf"),
    "0 / 0": ("2.2", [(", where=targets != 0", "")], ["values"], "expected 0, got nan"),
    "the sign": ("2.2", [("-targets", "targets")], [], "−t / y"),
    "the collapse too early": ("2.2", [("return g", "return soft - targets")], [], "no part in it"),
    "a small number in the routes": ("2.3", [("(soft, targets)\n", "(soft + np.float32(1e-12), targets)\n")],
                                     ["route 3, cancelled", "route 4, ISBE"], "A small number"),
    "the diagonal alone": ("2.3", [(" - soft[:, :, None] * soft[:, None, :]", " * (1 - soft[:, None, :])")],
                           ["route 2, without J", "route 3, cancelled", "route 4, ISBE", "many classes"], "y yᵀ"),
    "J for route 2": ("2.3", [("if route == 2:", "if route == 0:")],
                      ["route 1, the Jacobian", "route 2, without J", "route 3, cancelled", "route 4, ISBE", "where they part"],
                      "7 GB"),
    "one formula for three routes": ("2.3", [("if route == 3:", "if route < 4:")],
                                     ["route 1, the Jacobian", "route 2, without J", "route 3, cancelled", "route 4, ISBE",
                                      "many classes"], "got -1"),
    "Σ t is 1": ("2.3", [("targets.sum(axis=1, keepdims=True) * soft", "soft")],
                 ["route 1, the Jacobian", "route 2, without J", "route 4, ISBE", "where they part", "many classes"],
                 "keep Σ t"),
    "ISBE with Σ t": ("2.3", [("return soft - targets", "return targets.sum(axis=1, keepdims=True) * soft - targets")],
                      ["route 1, the Jacobian", "route 2, without J", "route 3, cancelled", "where they part", "many classes"],
                      "whatever t sums to"),
    "NaN mended": ("2.3", [("np.einsum(\"nij,ni->nj\", J, g)", "np.nan_to_num(np.einsum(\"nij,ni->nj\", J, g))")],
                   ["route 1, the Jacobian", "route 2, without J", "route 3, cancelled", "route 4, ISBE", "many classes"],
                   "expected nan, got 0"),
    "float64 always": ("2.3", [("scores.max", "np.float64(scores).max")],
                       ["route 1, the Jacobian", "route 2, without J", "route 3, cancelled", "route 4, ISBE", "many classes"],
                       "dtype float64"),
    "no largest": ("2.3", [(" - scores.max(axis=1, keepdims=True)", "")],
                   ["route 1, the Jacobian", "route 2, without J", "route 3, cancelled", "route 4, ISBE", "where they part",
                    "many classes"], ""),
    "weights times y − t": ("2.4", [("totals * soft - weighted", "weights * (soft - targets)")], ["equal weights"],
                            "w ⊙ (y − t) is neither"),
    "the label's weight": ("2.4", [("totals * soft - weighted", "weights[targets.argmax(1)][:, None] * (soft - targets)")],
                           ["equal weights", "labels", "weighted mean"], "w ⊙ (y − t) is neither"),
    "a mean over N · C": ("2.4", [("len(soft)", "soft.size")], ["labels", "weighted mean", "soft targets"], "not N · C"),
    "always the weighted mean": ("2.4", [("len(soft)", "totals.sum()")], ["labels", "weighted mean", "soft targets"],
                                 "nor by weights"),
    "the sum of the weights": ("2.4", [("totals.sum())", "weights.sum())")], ["equal weights", "labels", "soft targets"],
                               "weight of all targets"),
    "each row by its own weight": ("2.4", [("totals.sum())", "totals)")], ["equal weights", "labels", "soft targets"],
                                   "one number"),
    "no dilation in the gradient": ("2.5", [("dilation * (", "(")], [], "the gradient at"),
    "Σ t is 1 here too": ("2.5", [("targets.sum(axis=1, keepdims=True) * soft", "soft")], ["labels"], "Σt · y − t"),
    "no largest of k ⊙ x + b": ("2.5", [("x - x.max(axis=1, keepdims=True)", "x")], ["labels"], "Subtract the largest"),
    "the largest of x": ("2.5", [("x - x.max", "x - scores.max")], ["labels"], "not of x"),
    "relocated first": ("2.5", [("dilation * scores + relocation", "dilation * (scores + relocation)")], [], "the error at"),
    "the relocation left in k": ("2.6", [(" - (at_zero[j] - at_zero[other])", "")], ["dilation"], "cancel"),
    "no dilation": ("2.6", [("return k", "return np.ones(C)")], ["relocation"], "Which x_j"),
    "k as a derivative of log y": ("2.6", [("(moved[j] - moved[other]) - (at_zero[j] - at_zero[other])",
                                            "moved[j] - at_zero[j]")], [], "the dilation k"),
    "b with another sum": ("2.6", [("at_zero - at_zero.mean()", "at_zero - at_zero[0]")], ["dilation"], "Subtract the mean"),
}
WRONG_A5 = {
    "inf / inf": ("5.1", [("np.where(z >= 0, 1, e) / (1 + e)", "np.exp(z) / (1 + np.exp(z))")], ["tanh", "hard"], "e^−|z|"),
    "tanh from powers": ("5.1", [("np.tanh(z)", "(np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z))")], ["sigmoid", "hard"],
                         "it overflows"),
    "times the width": ("5.1", [("scores / width", "scores * width")], [], "z = x / width"),
    "another hardsigmoid": ("5.1", [("z / 6", "z / 4")], ["sigmoid", "tanh"], "0 at z = −3"),
    "no factor": ("5.2", [("width * potential", "potential")], ["sigmoid", "tanh", "hard", "far apart"], "Which factor"),
    "t z for t x": ("5.2", [("targets * scores", "targets * z")], ["sigmoid", "tanh", "hard", "far apart"], "t x stays"),
    "a plain logarithm": ("5.2", [("np.maximum(z, 0) + np.log1p(np.exp(-size))", "np.log(1 + np.exp(z))"),
                                  ("size + np.log1p(np.exp(-2 * size)) - np.log(2)", "np.log(np.cosh(z))")],
                          ["sigmoid", "tanh", "hard", "any width"], "max(x, 0)"),
    "a jump": ("5.2", [("np.minimum(size, 1) ** 2 / 2 + np.maximum(size - 1, 0)", "np.where(size < 1, z**2 / 2, size)")],
               ["sigmoid", "tanh", "far apart"], "where the last one ended"),
    "a constant": ("5.2", [(" - np.log(2)", "")], ["sigmoid", "hard"], "nothing added"),
    "the mean of the classes": ("5.2", [("sum(axis=1)", "mean(axis=1)")], [], "one number for each example"),
    "no width in the slope": ("5.3", [("derivative / width *", "derivative *")], ["saturated"], "divided by the width"),
    "units that do not die": ("5.3", [("np.where(np.abs(scores) < 3 * width, 1 / 6, 0)", "1 / 6")], ["smooth", "saturated"],
                              "a dead unit"),
    "the slope from powers": ("5.3", [("derivative = y * (1 - y)", "derivative = np.exp(-scores / width) / (1 + np.exp(-scores "
                                       "/ width))**2")], ["smooth", "hard"], "rather than from powers"),
    "no chain": ("5.3", [("derivative / width * ", "")], [], "divided by the width"),
    "the error of the start": ("5.4", [("normalize(x, ", "normalize(scores, ")],
                               ["by the chain rule"], "anew in each step"),
    "ISBE for both": ("5.4", [("if route == 1", "if route == 0")], ["by ISBE"], "chain_error"),
    "uphill": ("5.4", [("x -= ", "x += ")], [], "e = y − t"),
    "the width twice": ("5.4", [("error = chain_error", "error = width * chain_error")], ["by ISBE"], "in it already"),
    "cut off and divided": ("5.5", [("np.maximum(x - theta, 0)", "total * np.maximum(scores, 0) / np.maximum(scores, 0).sum("
                                     "axis=1, keepdims=True)")], [], "p = max(x − θ, 0)"),
    "far from 0": ("5.5", [("scores - scores.max(axis=1, keepdims=True)", "scores")], ["values", "equal scores"],
                   "keep their digits"),
    "sparsemax": ("5.5", [("(total + counts", "(1 + counts"), ("- total", "- 1")], [], "their sum − total"),
    "the support of sparsemax": ("5.5", [("(total + counts", "(1 + counts")], ["equal scores", "far away"],
                                 "the k largest"),
    "softmax": ("5.5", [("np.maximum(x - theta, 0)", "total * np.exp(x) / np.exp(x).sum(1, keepdims=True)")], [],
                "share equally"),
    "the diagonal": ("5.6", [("np.abs(J - J.T).max() > 1e-3 or np.linalg.eigvalsh((J + J.T) / 2).min()", "np.diag(J).min()")],
                     ["class by class", "every point"], "Its eigenvalues alone do not tell"),
    "eigenvalues alone": ("5.6", [("np.abs(J - J.T).max() > 1e-3 or ", "")], ["class by class", "eigenvalues", "every point"],
                          "∂s_j/∂x_i"),
    "symmetry alone": ("5.6", [(" or np.linalg.eigvalsh((J + J.T) / 2).min() < -1e-3", "")], ["symmetry"], "expected 0, got 1"),
    "no negative elements": ("5.6", [("np.linalg.eigvalsh((J + J.T) / 2)", "J")], ["class by class"], "eigvalsh"),
    "the determinant": ("5.6", [("np.linalg.eigvalsh((J + J.T) / 2).min()", "np.linalg.det(J)")], ["symmetry", "every point"],
                        "determinant"),
    "strictly above 0": ("5.6", [("< -1e-3", "<= 1e-9")], ["symmetry", "every point"], "some may be 0"),
    "no room for rounding": ("5.6", [("> 1e-3", "> 0")], ["class by class"], ""),
    "the first point": ("5.6", [("in points", "in points[:1]")], ["class by class", "symmetry", "eigenvalues"],
                        "One point where it fails"),
    "always": ("5.6", [("return False", "return True")], [], ""),
}
WRONG = [pytest.param(assignment, *case, id=f"{assignment.name}: {name}")
         for assignment, cases in ((A2, WRONG_A2), (A5, WRONG_A5)) for name, case in cases.items()]


@pytest.mark.parametrize("assignment, number, changes, still, words", WRONG)
def test_wrong_answers_get_what_they_deserve(assignment, number, changes, still, words):
    report = grade_source(alone(assignment, number), spoilt(assignment, number, *changes), seed=5)
    checks = report.tasks[0].checks
    assert [check.name for check in checks if check.passed] == still
    assert words in " ".join(f"{check.message} {check.hint}" for check in checks if not check.passed)
    assert all(check.message and check.hint for check in checks if not check.passed)
    assert not report.incidents


def test_no_tolerance_takes_a_wrong_number():
    """Every expected array with one element off by 1e-5 of the largest is refused, in every case of every check."""
    for assignment in (A2, A5):
        for task in assignment.tasks:
            for check in task.checks:
                for case in check.cases(generator(2, task, check)):
                    expected = [np.asarray(array, float) for array in assignment.expected(task, check, case)]
                    for k, array in enumerate(expected):
                        wrong = array.copy()
                        wrong.flat[0] += 1e-5 * max(1, np.abs(array, where=np.isfinite(array), out=np.zeros_like(array)).max())
                        if np.isfinite(array.flat[0]):
                            assert compare(expected, [*expected[:k], wrong, *expected[k + 1:]], check.tolerance)
