"""Assignments 3 and 4: are the solutions right, and do answers get the credit they deserve?"""

from dataclasses import replace

import naive
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.classroom.assignment import find, generator
from isbe_np.classroom.grading import Settings, grade_source
from isbe_np.classroom.judge import compare
from isbe_np.classroom.release import strip
from isbe_np.compiler.jit import SETTINGS

pytestmark = pytest.mark.exhaustive

A3, A4 = find("a3"), find("a4")
needs_jit = pytest.mark.skipif(bool(SETTINGS.DISABLE_JIT), reason="only a compiled solution is within the limits of time")
# Convolutions as isbe_np's own tests have them, with square filters: N, C, H, W, O, K, stride, padding.
CONVOLUTIONS = [(2, 3, 6, 5, 4, 3, 1, 1), (1, 2, 7, 9, 3, 3, 2, 0), (3, 1, 8, 6, 2, 2, 3, 1), (2, 3, 4, 5, 2, 1, 2, 0),
                (1, 1, 2, 3, 1, 5, 1, 2), (1, 1, 1, 1, 1, 1, 1, 0)]


def of(assignment, number=None):
    """The assignment with one task alone, where a number is given, and without what only compiled loops do in time."""
    tasks = [replace(task, race=None, checks=[check for check in task.checks if check.name != "large"])
             for task in assignment.tasks if number in (None, task.number)]
    return replace(assignment, tasks=tuple(tasks))


def spoilt(assignment, number, *changes):
    """The solution's source with each (old, new) put in at its only place in the function of a task."""
    source = assignment.files[f"{assignment.name}.py"]
    before, name, rest = source.partition(f"def {assignment.task(number).function}(")
    function, end, rest = rest.partition("# END SOLUTION")
    for old, new in changes:
        assert function.count(old) == 1, (function.count(old), old)
        function = function.replace(old, new)
    return before + name + function + end + rest


def passed(report):
    """What was passed, by name."""
    return [check.name for task in report.tasks for check in task.checks if check.passed]


@pytest.fixture
def network(random):
    x, t = random.normal(size=(5, 3)), np.eye(4)[random.integers(0, 4, 5)] * 0.9 + 0.025
    return x, t, [random.normal(size=shape) for shape in ((3, 6), (6,), (6, 4), (4,))]


def put_in(net, parameters):
    """A network's parameters, whose weights are (units, features) there."""
    for parameter, value in zip(net.parameters(), parameters, strict=True):
        parameter.value[...] = value.T


def test_dense_is_the_packages_layer(random, assert_close):
    x, W, b, dy = (random.normal(size=shape) for shape in ((5, 3), (3, 4), (4,), (5, 4)))
    net = isbe.Sequential((3,), isbe.Dense(4), dtype=np.float64)
    put_in(net, (W, b))
    assert_close(A3.solution.dense(x, W, b), net.forward(x))
    dx = net.backward(dy, input_gradient=True)
    for got, want in zip(A3.solution.dense_backward(dy, x, W), (dx, *(p.grad.T for p in net.parameters())), strict=True):
        assert_close(got, want)


@pytest.mark.parametrize("width", [0.0, 0.3, 2.0])
def test_the_slope_is_the_derivative(width, random):
    x = random.normal(size=(4, 5))
    y, slope = A3.solution.rounded_relu(x, width)
    differences = naive.central_difference(lambda: A3.solution.rounded_relu(x, width)[0].sum(), x)
    assert np.abs(slope - differences).max() < 1e-8
    if width == 0:
        assert np.array_equal(y, isbe.Sequential((5,), isbe.ReLU(), dtype=np.float64).forward(x))


def test_the_pieces_of_the_rounded_corner_meet():
    y, slope = A3.solution.rounded_relu(np.array([0, 1e-12, 0.7 - 1e-12, 0.7]), 0.7)
    assert np.abs(y - [0, 0, 0.35, 0.35]).max() < 1e-11 and np.abs(slope - [0, 0, 1, 1]).max() < 1e-11


def test_the_gradients_are_the_packages(network, assert_close):
    x, t, parameters = network
    net = isbe.Sequential((3,), isbe.Dense(6), isbe.ReLU(), isbe.Dense(4), dtype=np.float64)
    put_in(net, parameters)
    head = isbe.Head("softmax", route="isbe", reduction="mean")
    head.forward(net.forward(x))
    net.backward(head.backward(t))
    for got, parameter in zip(A3.solution.network_gradients(x, t, *parameters, 0.0), net.parameters(), strict=True):
        assert_close(got, parameter.grad.T, factor=4)


def test_the_gradients_are_those_of_the_mean_cross_entropy(network):
    x, t, parameters = network

    def loss():
        W1, b1, W2, b2 = parameters
        u = x @ W1 + b1
        hidden = np.where(u < 0, 0, np.where(u < 0.5, u * u, u - 0.25))
        e = np.exp(hidden @ W2 + b2)
        return -(t * np.log(e / e.sum(axis=1, keepdims=True))).sum() / len(x)

    for got, parameter in zip(A3.solution.network_gradients(x, t, *parameters, 0.5), parameters, strict=True):
        assert np.abs(got - naive.central_difference(loss, parameter)).max() < 1e-9


def test_numeric_gradient_is_the_naive_one(random):
    x = random.normal(size=(2, 3))
    for h in (6e-6, 0.1):
        assert np.array_equal(A3.solution.numeric_gradient(lambda x: np.sin(x).sum(), x, h),
                              naive.central_difference(lambda: np.sin(x).sum(), x, h))


@pytest.mark.parametrize("seed", range(10))
def test_the_worst_element_is_the_one_that_was_damaged(seed):
    task = A3.task("3.6")
    for check in task.checks:
        for f, gradient, x in check.cases(generator(seed, task, check)):
            index, gap = A3.solution.worst_gap(f, gradient, x)
            d = naive.central_difference(lambda f=f, x=x: f(x), x)
            if check.name == "not a number":
                assert gap == np.inf and not np.isfinite(gradient[index])
            elif check.name == "kinks":
                assert index == (4,) and gap == pytest.approx(0.1 / max(1, abs(d[4]), abs(gradient[4])), abs=1e-6)
            else:
                gaps = np.abs(gradient - d) / np.maximum(1, np.maximum(np.abs(gradient), np.abs(d)))
                assert gap == pytest.approx(gaps.max(), abs=1e-8) and gaps[index] == gaps.max()
            if check.name == "large elements":
                assert abs(gradient[index] - d[index]) == pytest.approx(0.4, abs=1e-6)


@pytest.mark.parametrize("h", ["1e-7", "1e-5", "1e-4"])
def test_any_reasonable_step_finds_the_same(h):
    report = grade_source(of(A3, "3.6"), spoilt(A3, "3.6", ("h = 6e-6", f"h = {h}")), seed=3)
    assert report.score == report.points, report


@pytest.mark.parametrize("sizes", CONVOLUTIONS, ids=str)
def test_convolution_is_the_packages_layer(sizes, random, assert_close, dtype):
    N, C, H, W, O, K, stride, padding = sizes
    net = isbe.Sequential((C, H, W), isbe.Conv2D(O, K, stride, padding), dtype=dtype)
    w, b = (p.value for p in net.parameters())
    b[...] = random.normal(size=O)
    x = random.normal(size=(N, C, H, W)).astype(dtype)
    y = net.forward(x)
    assert_close(A4.solution.conv2d(x, w, b, stride, padding), y, factor=4)
    dy = random.normal(size=y.shape).astype(dtype)
    dx = net.backward(dy, input_gradient=True)
    got = (A4.solution.conv2d_backward_input(dy, w, H, W, stride, padding),
           *A4.solution.conv2d_backward_weights(dy, x, K, stride, padding))
    for mine, want in zip(got, (dx, *(p.grad for p in net.parameters())), strict=True):
        assert mine.dtype == dtype
        assert_close(mine, want, factor=4)


@pytest.mark.parametrize("dilation, padding, K", [(1, 1, 3), (2, 0, 3), (3, 2, 2), (4, 0, 1)])
def test_dilation_is_a_filter_with_zeros_in_between(dilation, padding, K, random, assert_close):
    x, w, b = random.normal(size=(2, 3, 7, 6)), random.normal(size=(4, 3, K, K)), random.normal(size=4)
    spread = np.zeros((4, 3, (K - 1) * dilation + 1, (K - 1) * dilation + 1))
    spread[:, :, ::dilation, ::dilation] = w
    assert_close(A4.solution.conv2d_dilated(x, w, b, padding, dilation), naive.conv2d(x, spread, b, (1, 1), (padding, padding)))


@pytest.mark.parametrize("size, stride", [(2, 2), (3, 1), (3, 2), (2, 3)])
def test_pooling_without_ties_is_the_naive_one(size, stride, random, assert_close):
    x = random.normal(size=(2, 3, 7, 8))
    dy = random.normal(size=(2, 3, (7 - size) // stride + 1, (8 - size) // stride + 1))
    assert_close(A4.solution.max_pool2d_backward(dy, x, size, stride),
                 naive.pool2d_backward(dy, x, (size, size), (stride, stride), (0, 0), "max"))


def test_equal_pixels_share(random, assert_close):
    """Of all constant images each window's error is the mean's."""
    dy = random.normal(size=(2, 1, 3, 2))
    assert_close(A4.solution.max_pool2d_backward(dy, np.full((2, 1, 7, 5), -2.0), 3, 2),
                 naive.pool2d_backward(dy, np.zeros((2, 1, 7, 5)), (3, 3), (2, 2), (0, 0), "mean"))
    one = A4.solution.max_pool2d_backward(np.full((1, 1, 1, 1), 6.0), np.array([[[[1.0, 5.0], [5.0, 5.0]]]]), 2, 2)
    assert one.tolist() == [[[[0, 2], [2, 2]]]]


@pytest.mark.parametrize("assignment", [A3, pytest.param(A4, marks=needs_jit)], ids=["a3", "a4"])
def test_all_points_for_the_solution(assignment):
    report = grade_source(assignment, assignment.files[f"{assignment.name}.py"], seed=11)
    assert report.score == report.points == 20 and not report.incidents, passed(report)
    assert [task.number for task in report.tasks if task.race] == [task.number for task in assignment.tasks if task.race]


@pytest.mark.parametrize("assignment", [A3, A4], ids=["a3", "a4"])
def test_no_points_for_the_stub(assignment):
    report = grade_source(assignment, strip(assignment.files[f"{assignment.name}.py"]))
    assert report.score == 0
    assert all("is not written yet" in check.message for task in report.tasks for check in task.checks)


def test_plain_loops_are_not_in_time():
    source = A4.files["a4.py"].replace("@njit", "")
    settings = Settings(limits=(("first", 1.5), ("call", 1.5)))
    report = grade_source(replace(A4, tasks=(A4.task("4.1"),)), source, settings=settings)
    assert report.score == 4 and report.tasks[0].race is None
    assert report.incidents == ["time limit"] and report.tasks[0].checks[-1].stopped == "time limit"


RIGHT_A3 = """
import numpy as np

def dense(x, W, b):
    return np.array([[sum(x[n, i] * W[i, o] for i in range(len(W))) + b[o] for o in range(len(b))] for n in range(len(x))])

def dense_backward(dy, x, W):
    return np.einsum("no,io->ni", dy, W), np.einsum("no,ni->io", dy, x), np.einsum("no->o", dy)

def rounded_relu(x, width):
    slope = 1.0 * (x > 0) if width == 0 else np.minimum(np.maximum(x / width, 0), 1)
    return np.where(slope < 1, slope * x / 2, x - width / 2), slope

def network_gradients(x, targets, W1, b1, W2, b2, width):
    hidden, slope = rounded_relu(x @ W1 + b1, width)
    z = hidden @ W2 + b2
    z = z - z.max(1)[:, None]
    z = np.exp(z - np.log(np.exp(z).sum(1))[:, None]) - targets
    N = len(x)
    lower = z @ W2.T * slope
    return x.T @ lower / N, lower.mean(0), hidden.T @ z / N, z.mean(0)

def numeric_gradient(f, x, h):
    g = np.empty_like(x)
    for k in range(x.size):
        e = np.zeros(x.size)
        e[k] = h
        e = e.reshape(x.shape)
        g.flat[k] = (f(x + e) - f(x - e)) / h / 2
    return g

def worst_gap(f, gradient, x):
    best, where = -1.0, None
    for place in np.ndindex(x.shape):
        e = np.zeros(x.shape)
        e[place] = 1e-5
        right, left, d = (f(x + e) - f(x)) / 1e-5, (f(x) - f(x - e)) / 1e-5, (f(x + e) - f(x - e)) / 2e-5
        g = gradient[place]
        gap = abs(g - d) / max(1, abs(g), abs(d))
        if abs(right - left) > 0.01 * max(1, abs(d)):
            gap = 0
        if not np.isfinite(g):
            gap = np.inf
        if gap > best:
            best, where = gap, place
    return np.array(where), best
"""
RIGHT_A4 = """
import numpy as np
from numba import njit

def windows(x, K, stride, padding, dilation=1):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    span = (K - 1) * dilation + 1
    views = np.lib.stride_tricks.sliding_window_view(x, (span, span), (2, 3))
    return views[:, :, ::stride, ::stride, ::dilation, ::dilation]

def conv2d(x, w, b, stride, padding):
    return np.einsum("ncijkl,ockl->noij", windows(x, w.shape[2], stride, padding), w) + b[:, None, None]

@njit
def conv2d_backward_input(dy, w, H, W, stride, padding):
    O, C, K, _ = w.shape
    dx = np.empty((len(dy), C, H, W))
    for n in range(len(dy)):
        for c in range(C):
            for h in range(H):
                for v in range(W):
                    t = 0.0
                    for i in range(dy.shape[2]):
                        for j in range(dy.shape[3]):
                            k, l = h + padding - i * stride, v + padding - j * stride
                            if 0 <= k < K and 0 <= l < K:
                                for o in range(O):
                                    t += w[o, c, k, l] * dy[n, o, i, j]
                    dx[n, c, h, v] = t
    return dx

def conv2d_backward_weights(dy, x, K, stride, padding):
    return np.einsum("ncijkl,noij->ockl", windows(x, K, stride, padding), dy), dy.sum((0, 2, 3))

def conv2d_dilated(x, w, b, padding, dilation):
    return np.einsum("ncijkl,ockl->noij", windows(x, w.shape[2], 1, padding, dilation), w) + b[:, None, None]

def max_pool2d_backward(dy, x, size, stride):
    dx = np.zeros(x.shape)
    for i in range(dy.shape[2]):
        for j in range(dy.shape[3]):
            part = np.s_[:, :, i * stride:i * stride + size, j * stride:j * stride + size]
            largest = x[part] == x[part].max((2, 3), keepdims=True)
            dx[part] += largest / largest.sum((2, 3), keepdims=True) * dy[:, :, i:i + 1, j:j + 1]
    return dx
"""


@pytest.mark.parametrize("assignment, source", [(A3, RIGHT_A3), (A4, RIGHT_A4)], ids=["a3", "a4"])
@pytest.mark.parametrize("seed", [0, 1])
def test_right_answers_written_another_way_get_all(assignment, source, seed):
    report = grade_source(of(assignment), source, seed=seed)
    assert report.score == report.points, [(check.name, check.message) for task in report.tasks for check in task.checks
                                           if not check.passed]


# Task, what is changed in its function of the solution, what is still passed, and words of the messages and hints.
WRONG_A3 = {
    "the bias added to the columns": ("3.1", [("x @ W + b", "(x @ W).T + b[:, None]")], [], "has shape"),
    "the weights' gradient turned": ("3.2", [("x.T @ dy,", "dy.T @ x,")], ["by the input", "by the bias"], "dW"),
    "the mean of the bias": ("3.2", [("dy.sum(axis=0)", "dy.mean(axis=0)")], ["by the input", "by the weights"], "db"),
    "the mean taken again": ("3.2", [("x.T @ dy, dy.sum", "x.T @ dy / len(x), dy.mean")], ["by the input"], "A mean, if"),
    "the sum over the units": ("3.2", [("dy.sum(axis=0)", "dy.sum(axis=1)")], [], "db has shape"),
    "plain ReLU beyond the corner": ("3.3", [("np.maximum(x - width, 0)", "np.where(x >= width, x - inside / 2, 0)")],
                                     ["plain ReLU"], "so that the pieces meet"),
    "divided by a width of 0": ("3.3", [("if width == 0:", "if False:")], ["left and right", "in the corner"], "got nan"),
    "the slope 1 at 0": ("3.3", [("(x > 0)", "(x >= 0)")], ["left and right", "in the corner"], "slope at [0, 1]"),
    "the sum over the batch": ("3.4", [(" / len(x)", "")], ["one example"], "Divide the error by N once"),
    "no slope": ("3.4", [("dhidden * slope", "dhidden")], ["upper layer"], "dW1 at"),
    "the slope of the hidden numbers": ("3.4", [("dhidden * slope", "dhidden * rounded_relu(hidden, width)[1]")],
                                        ["upper layer"], "the slope is that at x W1 + b1"),
    "the slope for the hidden numbers": ("3.4", [("error, hidden, W2", "error, slope, W2")], [], "dW2 at"),
    "e^x of large scores": ("3.4", [("scores - scores.max(axis=1, keepdims=True)", "scores")],
                            ["one example", "upper layer", "a batch"], "got nan"),
    "cross-entropy's gradient for any sum": ("3.4", [("(soft - targets)", "(soft * targets.sum(axis=1)[:, None] - targets)")],
                                             ["one example", "upper layer", "a batch"], "whatever t sums to"),
    "the squared error's gradient": ("3.4", [("(soft - targets)", "soft * (1 - soft) * (soft - targets)")], [], "dW"),
    "one-sided differences": ("3.5", [("(f(above) - f(below)) / (2 * h)", "(f(above) - f(x)) / h")], ["values"], "one-sided"),
    "h for 2h": ("3.5", [("/ (2 * h)", "/ h")], [], "the gradient at"),
    "vectors alone": ("3.5", [("np.ndindex(x.shape)", "range(len(x))")], ["values", "both sides"], "of any shape"),
    "x not put back": ("3.5", [("= x.copy(), x.copy()", "= x, x.copy()")], ["values", "both sides"], "Put every element back"),
    "absolute gaps": ("3.6", [("abs(g - d) / max(1, abs(g), abs(d))", "abs(g - d)")],
                      ["small elements", "not a number", "a small fault"], "divide by max(1"),
    "a NaN passed by": ("3.6", [("gaps[place] = np.inf", "continue")],
                        ["small elements", "large elements", "kinks", "a small fault"], "nan > worst"),
    "a NaN for a gap": ("3.6", [("gaps[place] = np.inf", "gaps[place] = np.nan")],
                        ["small elements", "large elements", "kinks", "a small fault"], "expected inf, got nan"),
    "kinks taken for faults": ("3.6", [("<= 0.01 *", "<= 1e9 *")],
                               ["small elements", "large elements", "not a number", "a small fault"], "where they disagree"),
    "too large a step": ("3.6", [("h = 6e-6", "h = 1e-3")],
                         ["small elements", "large elements", "not a number", "kinks"], "Is h too large"),
    "too small a step": ("3.6", [("h = 6e-6", "h = 1e-10")],
                         ["small elements", "large elements", "not a number"], "too small"),
    "the index in the flat array": ("3.6", [("return index, gaps", "return np.argmax(gaps), gaps")], [], "the index"),
}
WRONG_A4 = {
    "the filter turned around": ("4.1", [("w[o, c, k, l]", "w[o, c, K - 1 - k, K - 1 - l]")], [], "not turned around"),
    "no stride": ("4.1", [("    P, Q =", "    stride = 1\n    P, Q =")], ["values", "float32"], "has shape"),
    "no padding": ("4.1", [("widened(x, padding)", "x")], ["values", "float32"], "has shape"),
    "no bias": ("4.1", [("= b[o]", "= 0")], [], "y at"),
    "square images": ("4.1", [("(W - K) // stride + 1", "(H - K) // stride + 1")], [], "has shape"),
    "float64 always": ("4.1", [(", x.dtype", "")], ["values", "stride and padding", "edges"], "dtype float64"),
    "the padding kept": ("4.2", [("dxp[:, :, padding:padding + H, padding:padding + W]", "dxp")], ["values"], "has shape"),
    "the size guessed from the outputs": ("4.2", [("    dxp = ", "    H, W = (P - 1) * stride + K - 2 * padding, "
                                                   "(Q - 1) * stride + K - 2 * padding\n    dxp = ")], ["values"], "has shape"),
    "the mean of the bias": ("4.3", [("db[o] += dy[n, o, i, j]", "db[o] += dy[n, o, i, j] / N")], [], "sums dy over n"),
    "the last example alone": ("4.3", [("dw[o, c, k, l] += dy", "dw[o, c, k, l] += (n == N - 1) * dy")], ["bias"],
                               "serves every image"),
    "too few outputs": ("4.4", [("H - (K - 1) * dilation", "H - K * dilation")], [], "has shape"),
    "padding spread out": ("4.4", [("widened(x, padding)", "widened(x, padding * dilation)")], ["values"], "has shape"),
    "a largest that starts at 0": ("4.5", [("= window[0, 0], 0", "= 0.0, 0")], ["ties"], "Pixels can be negative"),
    "= for +=": ("4.5", [("+= dy", "= dy")], ["values"], "+= and not ="),
    "everything to each of the largest": ("4.5", [(" / count", "")], ["values", "windows that overlap"], "Count the pixels"),
}
WRONG = [pytest.param(assignment, *case, id=f"{assignment.name}: {name}")
         for assignment, cases in ((A3, WRONG_A3), (A4, WRONG_A4)) for name, case in cases.items()]


@pytest.mark.parametrize("assignment, number, changes, still, words", WRONG)
def test_wrong_answers_get_what_they_deserve(assignment, number, changes, still, words):
    report = grade_source(of(assignment, number), spoilt(assignment, number, *changes), seed=5)
    assert passed(report) == still
    failed = [f"{check.name}: {check.message} {check.hint}" for check in report.tasks[0].checks if not check.passed]
    assert words in " ".join(failed)
    assert not report.incidents


def test_no_tolerance_takes_a_wrong_number():
    """Every expected array with one element off by a thousandth of the largest is refused, in every check that has no kinks."""
    for assignment in (of(A3), of(A4)):
        for task in assignment.tasks:
            for check in task.checks:
                if check.tolerance >= 1e-3:
                    continue
                case = check.cases(generator(2, task, check))[0]
                expected = assignment.expected(task, check, case)
                for k, array in enumerate(np.asarray(e, dtype=float) for e in expected):
                    if not array.size or not np.isfinite(array).all():
                        continue
                    wrong = array.copy()
                    wrong.flat[-1] += 1e-3 * max(1, np.abs(array).max())
                    assert compare(expected, [*expected[:k], wrong, *expected[k + 1:]], check.tolerance)
