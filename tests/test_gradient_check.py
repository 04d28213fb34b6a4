"""The gradient checker: what is right passes, each kind of fault is named, and what proves nothing is refused."""

import numpy as np
import pytest

import isbe_np as isbe

LAYERS = [
    (isbe.Dense(3), (4, 5)), (isbe.Conv2D(3, 2, stride=2, padding=1), (2, 2, 5, 4)), (isbe.MaxPool2D(2), (2, 2, 4, 4)),
    (isbe.AveragePool2D(3, stride=1, padding=1), (2, 1, 4, 5)), (isbe.ReLU(), (4, 6)), (isbe.LeakyReLU(0.2), (4, 6)),
    (isbe.Sigmoid(), (4, 6)), (isbe.Tanh(), (4, 6)), (isbe.HardSigmoid(), (4, 6)), (isbe.HardTanh(), (4, 6)),
    (isbe.GELU(), (4, 6)), (isbe.Flatten(), (2, 3, 2, 2)), (isbe.Dropout(0.5), (3, 4)),
]


@pytest.mark.parametrize("layer, shape", LAYERS, ids=str)
def test_every_layer(layer, shape, random):
    report = isbe.check_gradients(layer, random.normal(size=shape))
    assert report.worst < 1e-8 and report.checked[0].elements == np.prod(shape)


def test_a_layer_of_several_inputs(random):
    report = isbe.check_gradients(isbe.Add(), *random.normal(size=(3, 2, 4)))
    assert [row.name for row in report.checked] == ["input 1", "input 2", "input 3"]


@pytest.mark.parametrize("normalizer", isbe.NORMALIZERS)
def test_heads(normalizer, random):
    """By route isbe: the error y - t is the gradient of the normalizer's matching loss."""
    head = isbe.Head(normalizer, reduction="sum")
    assert isbe.check_gradients(head, random.normal(size=(4, 5)), targets=[0, 4, 2, 1]).worst < 1e-7


def test_a_graph_and_what_its_report_says(random):
    net = isbe.Sequential((1, 5, 5), isbe.Conv2D(2, 2), isbe.ReLU(), isbe.Flatten(), isbe.Dense(3), dtype=np.float64)
    kept = net.values.copy()
    report = isbe.check_gradients(net, random.normal(size=(2, 1, 5, 5)))
    assert (net.values == kept).all()
    assert [row.name for row in report.checked] == ["its input", *(p.name for p in net.parameters())]
    assert str(report).startswith("The gradients of <Sequential of 5 nodes") and "conv2d_1.weight: 8 elements" in str(report)


def sine(factor=1.0):
    """sin x with a gradient that is wrong by a factor."""
    def sin(x):
        return np.sin(x), lambda dy: factor * dy * np.cos(x)
    return sin


def test_functions(random):
    x = random.normal(size=(3, 4))
    assert isbe.check_gradients(sine(), x).worst < 1e-8
    assert isbe.check_gradients(lambda x: ((x ** 2).sum(), lambda dy: 2 * x * dy), x).worst < 1e-8


def test_a_wrong_gradient_is_named_with_place_values_and_error(random):
    with pytest.raises(isbe.GradientError, match=r"sin: the gradient by x is wrong at \(\d, \d\): backward gives -?[\d.]+, "
                       r"differences give -?[\d.]+, a relative error of 1.0e-04 \(\d+ of 12 elements are wrong\)"):
        isbe.check_gradients(sine(1.0001), random.normal(size=(3, 4)))


def test_one_wrong_element_in_a_thousand_is_found(random):
    def almost(x):
        def backward(dy):
            dx = dy * np.cos(x)
            dx[17, 3] += 1e-4
            return dx
        return np.sin(x), backward
    with pytest.raises(isbe.GradientError, match=r"at \(17, 3\).*1 of 1000 elements"):
        isbe.check_gradients(almost, random.normal(size=(100, 10)))


class Wrong(isbe.Layer):
    """x² with a backward that one fault spoils."""

    def __init__(self, fault):
        super().__init__()
        self.fault = fault

    def forward(self, step):
        np.square(step.x, out=step.y)

    def backward(self, step):
        if self.fault == "accumulates":
            step.dx += 2 * step.x * step.dy
        elif self.fault == "nan":
            step.dx[...] = np.nan
        elif self.fault == "zero":
            step.dx[...] = 0
        else:
            np.multiply(2 * step.x, step.dy, out=step.dx)


@pytest.mark.parametrize("fault, words", [
    ("accumulates", "backward run twice gives two gradients by its input.*Does it add"), ("nan", "is nan at"),
    ("zero", "backward gives 0, differences give"),
])
def test_faulty_layers(fault, words, random):
    assert isbe.check_gradients(Wrong(None), random.normal(size=(2, 3))).worst < 1e-8
    with pytest.raises(isbe.GradientError, match=words):
        isbe.check_gradients(Wrong(fault), random.normal(size=(2, 3)))


def test_an_input_that_is_modified_is_seen(random):
    def careless(x):
        y = x.sum()
        x += 1e-3
        return y, lambda dy: np.ones_like(x) * dy
    with pytest.raises(isbe.GradientError, match="careless modifies x"):
        isbe.check_gradients(careless, random.normal(size=(2, 3)))


def test_kinks_are_left_out_and_counted(random):
    x = random.normal(size=(5, 10))
    x[3, 3] = 1e-9
    report = isbe.check_gradients(isbe.ReLU(), x)
    assert report.checked[0].kinks == 1 and report.worst < 1e-8
    x[:, 0] = 1e-9
    with pytest.raises(ValueError, match=r"6 of 50 elements of its input straddle a kink of ReLU\(\).*Move x away"):
        isbe.check_gradients(isbe.ReLU(), x)


def test_what_proves_nothing_is_refused():
    with pytest.raises(ValueError, match=r"gradient of ReLU\(\) by its input is zero throughout"):
        isbe.check_gradients(isbe.ReLU(), np.full((2, 3), -1.0))


@pytest.mark.parametrize("arguments, options, kind, words", [
    ((isbe.ReLU(), np.ones((2, 3), np.float32)), {}, TypeError, "expects a float64 array; got float32"),
    ((isbe.ReLU(),), {}, ValueError, "at least one array x"), ((isbe.ReLU(), np.ones((0, 3))), {}, ValueError, "not empty"),
    ((isbe.networks.n0(), np.ones((1, 1, 28, 28))), {}, TypeError, "graph of dtype float64"),
    ((3, np.ones(3)), {}, TypeError, "a layer, a Graph, a Head or a function; got 3"),
    ((np.sin, np.ones(3)), {}, TypeError, r"sin\(x\) to return its value and a function backward"),
    ((isbe.Head(), np.ones((2, 3))), {}, ValueError, "targets="),
    ((isbe.Head(reduction="none"), np.ones((2, 3))), {"targets": [0, 1]}, ValueError, "Use reduction 'sum'"),
    ((isbe.ReLU(), np.ones((2, 3))), {"targets": [0, 1]}, ValueError, "targets for a Head alone"),
    ((sine(), np.ones(3), np.ones(3)), {}, ValueError, "one array x for the function sin; got 2"),
], ids=str)
def test_bad_input_is_refused(arguments, options, kind, words):
    with pytest.raises(kind, match=words):
        isbe.check_gradients(*arguments, **options)


def test_dropout_is_checked_as_it_trains(random, monkeypatch):
    monkeypatch.setattr("isbe_np.layers.dropout.dropout_backward", lambda dy, u, rate, dx: dx.fill(123))
    with pytest.raises(isbe.GradientError, match=r"Dropout\(0.5\): the gradient by its input is wrong"):
        isbe.check_gradients(isbe.Dropout(0.5), random.normal(size=(3, 4)))


@pytest.mark.parametrize("spoil, words", [("xs", "modifies the value of node 'input'"), ("dy", "modifies the error")])
def test_a_backward_that_spoils_what_it_reads_is_seen(spoil, words, random):
    class Spoils(Wrong):
        def backward(self, step):
            super().backward(step)
            (step.xs[0] if spoil == "xs" else step.dy)[...] = 0
    with pytest.raises(isbe.GradientError, match=words):
        isbe.check_gradients(Spoils(None), random.normal(size=(2, 3)))


def test_a_gradient_that_rounding_would_hide_is_refused(random):
    with pytest.raises(ValueError, match="too small beside its value"):
        isbe.check_gradients(lambda x: (1 + 3e-15 * np.sin(x), lambda dy: 1.5 * 3e-15 * np.cos(x) * dy), random.normal(size=(3, 4)))


def test_a_batch_without_a_batch_axis_is_refused():
    with pytest.raises(ValueError, match=r"the batch as its first axis for ReLU\(\), such as \(4, 10\); got shape \(3,\)"):
        isbe.check_gradients(isbe.ReLU(), np.ones(3))


def test_complex_steps_are_exact_to_rounding(random):
    x = random.normal(size=(3, 4))
    assert isbe.check_gradients(sine(), x, complex_step=True, tolerance=1e-13).worst < 1e-15
    with pytest.raises(isbe.GradientError, match="sin: the gradient by x is wrong"):
        isbe.check_gradients(sine(1 + 1e-9), x, complex_step=True, tolerance=1e-13)


def test_the_collapse_by_complex_steps(random):
    """Cross-entropy of softmax, written out: its gradient is softmax - target to 1e-15."""
    t = np.eye(5)[[0, 3, 2]]

    def cross_entropy(x):
        y = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        return -(t * np.log(y)).sum(), lambda dy: (y - t) * dy
    assert isbe.check_gradients(cross_entropy, random.normal(size=(3, 5)), complex_step=True, tolerance=1e-13).worst < 1e-14


def test_complex_steps_through_kernels_are_refused():
    with pytest.raises(TypeError, match=r"complex_step for a function of NumPy operations alone; got ReLU\(\)"):
        isbe.check_gradients(isbe.ReLU(), np.ones((2, 3)), complex_step=True)
