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
    pytest.param((sine(), np.ones(3), np.ones(3)), {}, ValueError, "one array x for the function sin; got 2", id="two arrays"),
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
    """A constant beside which the function is lost, and a value that does not depend on x: softmax adds up to 1."""
    x = random.normal(size=(3, 4))

    def total(x):
        y = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        return y.sum(axis=1), lambda dy: y * (dy[:, None] - (dy[:, None] * y).sum(axis=1, keepdims=True))
    with pytest.raises(ValueError, match="added its result to a much larger number"):
        isbe.check_gradients(lambda x: (1 + 3e-15 * np.sin(x), lambda dy: 1.5 * 3e-15 * np.cos(x) * dy), x)
    with pytest.raises(ValueError, match=r"total by x, at most .*, is too small beside its value 1.0e"):
        isbe.check_gradients(total, x)
    with pytest.raises(isbe.GradientError, match=r"everywhere 1.5 of the right gradient"):
        isbe.check_gradients(lambda x: (3e-9 * np.sin(x), lambda dy: 1.5 * 3e-9 * np.cos(x) * dy), x)


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


def softmax_in_place(x):
    x -= x.max(axis=1, keepdims=True)
    y = np.exp(x)
    y /= y.sum(axis=1, keepdims=True)
    return y, lambda dy: y * (dy - (dy * y).sum(axis=1, keepdims=True))


def square_over(which):
    """x² whose backward overwrites dy or x and returns it."""
    def square(x):
        def backward(dy):
            target = dy if which == "dy" else x
            target[...] = 2 * x * dy
            return target
        return x * x, backward
    return square


@pytest.mark.parametrize("function, words", [
    (softmax_in_place, "softmax_in_place modifies x in its forward pass.*On copies its gradients are right"),
    (square_over("dy"), "square modifies the error dy.*On copies its gradients are right"),
    (square_over("x"), "square modifies x in its backward pass.*On copies its gradients are right"),
])
def test_functions_that_overwrite_what_they_get_are_named(function, words, random):
    x = random.normal(size=(4, 5))
    kept = x.copy()
    with pytest.raises(isbe.GradientError, match=words):
        isbe.check_gradients(function, x)
    assert (x == kept).all()


class Overwrites(Wrong):
    def forward(self, step):
        np.square(step.x, out=step.y)
        step.x[...] = np.abs(step.x)


def test_a_layer_that_overwrites_what_it_reads_is_named_inside_a_graph_too(random):
    net = isbe.Sequential((3,), isbe.Dense(2), Overwrites(None), dtype=np.float64)
    with pytest.raises(isbe.GradientError, match=r"Overwrites\(\) modifies the value of node 'dense_1'"):
        isbe.check_gradients(net, random.normal(size=(4, 3)))


def uneven(largest, of_sum, right):
    """Elements of very different derivatives, apart or in one sum; the wrong gradient is 0 for all but the largest."""
    a = np.array([largest, 1.0, 2.0, 3.0])

    def linear(x):
        return (a * x).sum() if of_sum else a * x, lambda dy: a * dy * (1 if right else np.array([1, 0, 0, 0]))
    return linear


@pytest.mark.parametrize("of_sum", [False, True])
@pytest.mark.parametrize("largest", [1e8, 1e12])
def test_small_elements_beside_large_ones_are_judged_by_their_own_size(largest, of_sum):
    x = np.array([0.3, -0.2, 0.5, 0.1])
    assert isbe.check_gradients(uneven(largest, of_sum, True), x).checked[0].elements == 4
    with pytest.raises(isbe.GradientError, match=r"at \([123],\): backward gives 0, .*\(3 of 4 elements are wrong\)"):
        isbe.check_gradients(uneven(largest, of_sum, False), x)


def test_elements_that_differences_cannot_resolve_are_counted():
    """Beside 1e16 rounding hides derivatives of 1 to 3 in a sum, not in outputs of their own."""
    x = np.array([0.3, -0.2, 0.5, 0.1])
    report = isbe.check_gradients(uneven(1e16, True, True), x)
    assert report.checked[0].untold == 3 and "where differences can tell" in str(report) and "3 cannot be told" in str(report)
    with pytest.raises(isbe.GradientError, match=r"\(3 of 4 elements are wrong\)"):
        isbe.check_gradients(uneven(1e16, False, False), x)


class NoScale(isbe.LayerNorm):
    """The input's gradient forgets γ, which starts at 1."""

    def backward(self, step):
        kept = step.w.scale.copy()
        step.w.scale[...] = 1
        super().backward(step)
        step.w.scale[...] = kept


@pytest.mark.parametrize("seed", range(3))
def test_the_check_draws_numbers_of_its_own(seed):
    """For x from default_rng(0), as for any other."""
    x = np.random.default_rng(seed).normal(size=(8, 4))
    for layer in (isbe.BatchNorm(), isbe.LayerNorm()):
        assert isbe.check_gradients(layer, x).worst < 1e-8
    with pytest.raises(isbe.GradientError, match=r"by its input is wrong.*Right: by noscale_1.scale, noscale_1.shift"):
        isbe.check_gradients(NoScale(), x)


def single(factor=1.0, inside=False):
    """A dense layer in float32, for whatever x; with `inside` it returns float64."""
    w = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)

    def dense(x):
        y = x.astype(np.float32) @ w
        last = 1.1 if inside else 1
        return y.astype(np.float64) * last if inside else y, lambda dy: dy.astype(np.float32) @ w.T * last * factor
    return dense


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_float32_is_noticed_and_judged_by_its_own_precision(inside, kind):
    x = np.random.default_rng(1).normal(size=(5, 4)).astype(kind)
    report = isbe.check_gradients(single(inside=inside), x)
    assert report.precision == "float32" and report.checked[0].seen < 5e-3 and report.checked[0].untold == 0
    with pytest.raises(isbe.GradientError, match=r"everywhere 1\.0(1|0999\d*|1000\d*) of"):
        isbe.check_gradients(single(1.01, inside), x)


@pytest.mark.parametrize("factor, words", [
    (np.log(2), "everywhere 0.6931 of the right gradient[.]$"), (-1, "everywhere -1 of .*Its sign is wrong"),
    (3, "everywhere 3 of .*3 is the number of examples"),
    (0.25, "everywhere 0.25 of .*4 is the number of outputs of an example"),
    (0, "Backward gives 0 everywhere"),
])
def test_a_constant_factor_is_named(factor, words, random):
    with pytest.raises(isbe.GradientError, match=words):
        isbe.check_gradients(sine(factor), random.normal(size=(3, 4)))


def test_random_functions_and_functions_with_a_state_are_refused(random):
    draws, weights = np.random.default_rng(3), random.normal(size=(4, 2))

    def dropout(x):
        kept = draws.random(x.shape) < 0.5
        return x * kept, lambda dy: dy * kept

    def learns(x):
        def backward(dy):
            weights[...] -= 0.1 * x.T @ dy
            return dy @ weights.T
        return x @ weights, backward
    x = random.normal(size=(3, 4))
    with pytest.raises(ValueError, match=r"dropout gives two values at the same x in two calls.*draws random numbers"):
        isbe.check_gradients(dropout, x)
    with pytest.raises(isbe.GradientError, match=r"learns gives two values.*its backward pass.*writes into its parameters"):
        isbe.check_gradients(learns, x)


@pytest.mark.parametrize("made", [None, "text", [[1], [2, 3]], 1j * np.ones(3)], ids=str)
def test_what_is_no_gradient_is_refused(made):
    with pytest.raises(isbe.GradientError, match=r"must return the gradient by x, numbers of shape \(3,\)"):
        isbe.check_gradients(lambda x: (x * x, lambda dy: made), np.ones(3))


def test_large_subjects_are_sampled_and_a_single_wrong_element_is_found_all_the_same(random):
    def almost(fault):
        def sin(x):
            def backward(dy):
                dx = dy * np.cos(x)
                dx[71, 35] *= fault
                return dx
            return np.sin(x), backward
        return sin
    x = random.normal(size=(100, 60))
    report = isbe.check_gradients(almost(1), x)
    assert "50 of 6,000 elements and 2 directions through all" in str(report) and report.worst < 1e-8
    with pytest.raises(isbe.GradientError, match=r"wrong at \(71, 35\): .*1 of 51 elements"):
        isbe.check_gradients(almost(1.01), x)
    with pytest.raises(isbe.GradientError, match=r"wrong at \(71, 35\): .*1 of 6000 elements"):
        isbe.check_gradients(almost(1.01), x, elements="all")


def test_tokens_are_left_as_they_are(random):
    from isbe_np.layers.embedding import Embedding
    report = isbe.check_gradients(isbe.Sequential((3,), Embedding(9, 4), isbe.Dense(2), dtype=np.float64),
                                  random.integers(0, 9, (2, 3)))
    assert [row.name for row in report.checked] == ["embedding_1.weight", "dense_1.weight", "dense_1.bias"]
    assert "its input: tokens" in str(report)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_right_functions_of_every_scale_pass_and_wrong_ones_do_not(kind):
    """Softmax with x scaled by 1e-8 to 1e8, and with an element off by one hundredth."""
    def softmax(scale, fault):
        def function(x):
            z = x.astype(kind) / kind(scale)
            y = np.exp(z - z.max(axis=1, keepdims=True))
            y /= y.sum(axis=1, keepdims=True)

            def backward(dy):
                dx = y * (dy.astype(kind) - (dy.astype(kind) * y).sum(axis=1, keepdims=True)) / kind(scale)
                dx[0, 0] *= kind(fault)
                return dx
            return y, backward
        return function
    for k in range(-8, 9, 2):
        x = 10.0 ** k * np.random.default_rng(k + 8).normal(size=(2, 4))
        isbe.check_gradients(softmax(10.0 ** k, 1), x)
        with pytest.raises(isbe.GradientError, match=r"at \(0, 0\).*1 of 8"):
            isbe.check_gradients(softmax(10.0 ** k, 1.05), x)


@pytest.mark.parametrize("seed", range(3))
def test_the_weights_of_the_outputs_are_never_those_of_default_rng(seed):
    """x from the same seed would lie where BatchNorm's and LayerNorm's gradients vanish."""
    x, seen = np.random.default_rng(seed).normal(size=(8, 4)), []

    def same(x):
        return x, lambda dy: seen.append(dy.copy()) or dy
    isbe.check_gradients(same, x, seed=seed)
    assert len({dy.tobytes() for dy in seen}) >= 2, "one direction alone may be degenerate"
    assert max(abs(np.corrcoef(dy.ravel(), x.ravel())[0, 1]) for dy in seen) < 0.9
