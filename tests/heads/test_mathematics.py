"""The theorems, on random scores: what each says must hold, and what it excludes must fail.

Derivatives of smooth maps are taken by the complex step, Im s(x + ih) / h, which subtracts nothing and so is exact to rounding.
"""

import naive_heads as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from isbe_np.heads import NORMALIZERS, REDUCTIONS, ROUTES, Head
from isbe_np.studies.normalizers import CONSTANTS, lipschitz_constant

SIMPLEX = ("softmax", "sparsemax", "entmax15")
some = settings(max_examples=40, deadline=None, derandomize=True)
few = settings(max_examples=15, deadline=None, derandomize=True)
every_normalizer = pytest.mark.parametrize("normalizer", NORMALIZERS)


def numbers(low, high, N=(1, 4), C=(2, 8)):
    shapes = st.tuples(st.integers(*N), st.integers(*C))
    return shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=st.floats(low, high, width=32)))


def after(x, normalizer="softmax", route="isbe", reduction="none", **options):
    head = Head(normalizer, route, reduction, **options)
    head.forward(x)
    return head


def targets_like(x, low, high, seed):
    return np.random.default_rng(seed).uniform(low, high, x.shape)


@some
@given(x=numbers(-30, 30), seed=st.integers(0, 99))
def test_routes_1_to_3_give_tau_y_minus_t_for_any_target(x, seed):
    t = targets_like(x, -2, 3, seed)
    head = after(x)
    y, tau = head.soft, t.sum(axis=1, keepdims=True)
    for head.route in ROUTES[:3]:
        np.testing.assert_allclose(head.backward(t), tau * y - t, rtol=0, atol=1e-13, err_msg=head.route)
    head.route = "isbe"
    np.testing.assert_array_equal(head.backward(t), y - t)


@some
@given(x=numbers(-30, 30), tau=st.sampled_from([0.0, 0.5, 1.0, 1 + 1e-6, 2.0]), seed=st.integers(0, 99))
def test_route_4_differs_by_tau_less_1_times_y_and_so_agrees_for_tau_1_alone(x, tau, seed):
    t = targets_like(x, 0.1, 1, seed)
    t *= tau / t.sum(axis=1, keepdims=True)
    head = after(x)
    isbe, y = head.backward(t), head.soft
    for head.route in ROUTES[:3]:
        gap = head.backward(t) - isbe
        np.testing.assert_allclose(gap, (tau - 1) * y, rtol=0, atol=1e-13)
        assert (np.abs(gap).max() < 1e-13) == (tau == 1)


@some
@given(x=numbers(-20, 20), smoothing=st.floats(0, 1), seed=st.integers(0, 99))
def test_smoothed_targets_are_as_good_as_labels(x, smoothing, seed):
    N, C = x.shape
    t = (1 - smoothing) * naive.one_hot(naive.labels(N, C, seed), C) + smoothing / C
    head = after(x)
    for head.route in ROUTES:
        np.testing.assert_allclose(head.backward(t), naive.softmax(x) - t, rtol=0, atol=1e-13)


def slopes(s, x):
    """J[i, j] = ∂s_i/∂x_j of an analytic map of one example x (C,)"""
    return np.array([np.imag(s(x + 1e-30j * move)) / 1e-30 for move in np.eye(x.size)]).T


def found_k(s, x):
    """k[i, j] = (Jᵀ(−t/y))_j / (y − t)_j for the one-hot t = e_i: what k must be at x for the trick to hold"""
    y, J = s(x), slopes(s, x)
    return np.array([J.T @ (-t / y) / (y - t) for t in np.eye(x.size)])


def dilated(k, b):
    return lambda x: np.exp(k * x + b) / np.exp(k * x + b).sum()


def dilation(C):
    k = st.floats(0.25, 3, width=32)
    return st.one_of(k, arrays(np.float64, C, elements=k))


@some
@given(data=st.data(), C=st.integers(2, 6), seed=st.integers(0, 99))
def test_a_dilated_and_relocated_softmax_has_the_trick_up_to_k(data, C, seed):
    k, (b, x) = data.draw(dilation(C)), np.random.default_rng(seed).uniform(-1, 1, (2, C))
    s = dilated(k, b)
    np.testing.assert_allclose(found_k(s, x), np.broadcast_to(k, (C, C)), rtol=1e-10)  # y − 1 costs digits
    head = after(x[None], dilation=k, relocation=b)
    np.testing.assert_allclose(head.soft[0], s(x), rtol=1e-13)
    for t in np.eye(C):
        exact, isbe = slopes(s, x).T @ (-t / s(x)), head.soft[0] - t
        for head.route in ROUTES[:3]:
            np.testing.assert_allclose(head.backward(t[None])[0], exact, rtol=0, atol=1e-13)
        np.testing.assert_allclose(exact, k * isbe, rtol=0, atol=1e-13)
        assert exact @ isbe >= 0.25 * isbe @ isbe - 1e-13  # ISBE's error still leads downhill


@few
@given(data=st.data(), C=st.integers(2, 6), seed=st.integers(0, 99))
def test_k_and_b_read_off_at_one_point_give_the_map_everywhere(data, C, seed):
    random = np.random.default_rng(seed)
    s, x = dilated(data.draw(dilation(C)), random.normal(size=C)), random.uniform(-1, 1, C)
    k = found_k(s, x)[0]
    b = np.log(s(x)) - k * x
    for other in random.normal(size=(5, C)):
        np.testing.assert_allclose(dilated(k, b)(other), s(other), rtol=1e-8)


def of_a_network(random, C):
    """softmax of a network with one hidden layer"""
    W, V = random.normal(size=(8, C)), random.normal(size=(C, 8))
    return lambda x: dilated(1, 0)(V @ np.tanh(W @ x))


def of_a_matrix(random, C):
    """softmax(Ax): linear inside, but no dilation"""
    A = np.eye(C) + random.normal(size=(C, C)) / 2
    return lambda x: dilated(1, 0)(A @ x)


def of_softplus(random, C):
    """log(1 + e^(kx)) / Σ"""
    k = random.uniform(0.5, 2, C)
    return lambda x: np.log(1 + np.exp(k * x)) / np.log(1 + np.exp(k * x)).sum()


def of_cubes(random, C):
    """softmax(kx + x³): each class alone inside, but not linear"""
    k = random.uniform(0.5, 2, C)
    return lambda x: dilated(1, 0)(k * x + x**3)


@pytest.mark.parametrize("family", [of_a_network, of_a_matrix, of_softplus, of_cubes])
@few
@given(C=st.integers(3, 6), seed=st.integers(0, 99))
def test_no_other_smooth_map_to_the_simplex_has_the_trick(family, C, seed):
    random = np.random.default_rng(seed)
    s = family(random, C)
    k = np.concatenate([found_k(s, x) for x in random.uniform(-1.5, 1.5, (8, C))])
    assert s(random.normal(size=C)).sum() == pytest.approx(1)
    assert np.ptp(k, axis=0).max() > 0.05 * np.abs(np.median(k))


@every_normalizer
@pytest.mark.parametrize("kind", ["labels", "soft"])
@few
@given(x=numbers(-8, 8, N=(1, 3), C=(1, 5)), seed=st.integers(0, 99))
def test_isbe_is_the_gradient_of_the_matching_loss(normalizer, kind, x, seed):
    t = naive.labels(*x.shape, seed)
    if kind == "soft":
        t = naive.targets("sparsemax" if normalizer == "softmax" else normalizer, *x.shape)
    head = Head(normalizer, reduction="none")

    def loss(x):
        head.forward(x)
        return head.loss(t)

    expected = naive.central(loss, x)  # off by a quarter of the step, 2.5e-7, where x straddles a corner
    head.forward(x)
    np.testing.assert_allclose(head.backward(t), expected, rtol=0, atol=1e-6)
    assert (head.loss(t) >= 0).all() or normalizer in ("softmax", "sigmoid")


@every_normalizer
@some
@given(x=numbers(-6, 6), seed=st.integers(0, 99))
def test_maps_are_monotone_with_symmetric_jacobians_and_no_steeper_than_the_table(normalizer, x, seed):
    head = Head(normalizer)
    soft, bound = head.forward(x), lipschitz_constant(normalizer, x.shape[1])
    J = head.normalizer.jacobian(x, soft)
    assert np.array_equal(J, J.swapaxes(1, 2))
    values = np.linalg.eigvalsh(J)
    assert -1e-14 < values.min() and values.max() <= bound + 1e-14
    step = np.random.default_rng(seed).normal(size=x.shape)
    change = head.forward(x + step) - soft
    assert ((change * step).sum(axis=1) >= 0).all()
    assert (np.linalg.norm(change, axis=1) <= (bound + 1e-14) * np.linalg.norm(step, axis=1)).all()


@every_normalizer
@pytest.mark.parametrize("C", [2, 3, 10, 47])
def test_lipschitz_constants_are_reached(normalizer, C):
    x = np.full((1, C), -50.0)
    x[0, :2] = 0
    head = after(x, normalizer)
    J = head.normalizer.jacobian(x, head.soft)
    assert np.linalg.norm(J[0], 2) == pytest.approx(lipschitz_constant(normalizer, C), rel=1e-14)


@pytest.mark.parametrize("C", [48, 100, 300])
def test_the_lipschitz_constant_of_entmax15_grows_with_many_classes(C):
    """One class against even others; with θ = 0 the scores are 2 √y."""
    root = (C - 1) ** (1 / 3)
    s = np.where(np.arange(C) == 0, root**2, 1)
    x = 2 * s[None] / np.linalg.norm(s)
    head = after(x, "entmax15")
    steepest = np.linalg.norm(head.normalizer.jacobian(x, head.soft)[0], 2)
    assert steepest == pytest.approx(lipschitz_constant("entmax15", C), rel=1e-12) and np.sqrt(0.5) < steepest < 1


def test_every_normalizer_but_entmax15_has_one_constant_for_any_number_of_classes():
    assert {*CONSTANTS, "entmax15"} == set(NORMALIZERS)
    assert lipschitz_constant("of my own", 5) is None


@some
@given(x=numbers(-8, 8))
def test_the_jacobian_of_softmax_has_rank_one_less_and_norm_at_most_a_half(x):
    y = after(x).soft
    J = Head().normalizer.jacobian(x, y)
    values = np.linalg.eigvalsh(J)
    assert np.abs(J.sum(axis=2)).max() < 1e-14 and np.abs(values[:, 0]).max() < 1e-14
    assert (values[:, 1] >= y.min(axis=1) - 1e-14).all()  # eigenvalues of diag(y) − y yᵀ interlace with y
    assert (values[:, -1] <= np.minimum(0.5, y.max(axis=1)) + 1e-14).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("normalizer", SIMPLEX)
@some
@given(shift=st.integers(-1000, 1000), seed=st.integers(0, 99))
def test_an_exact_shift_changes_no_bit(normalizer, dtype, shift, seed):
    x = np.random.default_rng(seed).integers(-40, 40, size=(3, 5)).astype(dtype) / 16
    assert np.array_equal(after(x, normalizer).soft, after(x + dtype(shift), normalizer).soft)


@every_normalizer
@some
@given(x=numbers(-9, 9), seed=st.integers(0, 99))
def test_permuted_scores_give_permuted_soft_scores_and_errors(normalizer, x, seed):
    p, t = np.random.default_rng(seed).permutation(x.shape[1]), naive.targets(normalizer, *x.shape)
    one, other = after(x, normalizer), after(x[:, p], normalizer)
    rounding = 1e-15 if normalizer == "softmax" else 0  # whose sum is taken in another order
    np.testing.assert_allclose(other.soft, one.soft[:, p], rtol=0, atol=rounding)
    np.testing.assert_allclose(other.backward(t[:, p]), one.backward(t)[:, p], rtol=0, atol=rounding)


@every_normalizer
@few
@given(x=numbers(-9, 9))
def test_reductions_only_rescale(normalizer, x):
    labels = naive.labels(*x.shape)
    none, total, mean = (after(x, normalizer, reduction=reduction) for reduction in REDUCTIONS)
    assert np.array_equal(none.backward(labels), total.backward(labels))
    assert np.array_equal(mean.backward(labels), total.backward(labels) / len(x))
    assert mean.loss(labels) * len(x) == pytest.approx(total.loss(labels), rel=1e-14, abs=1e-300)
