"""Sparsemax and entmax15 against the simplex projection by bisection, and what makes them special: exact zeros."""

import naive_heads as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import isbe_np as isbe
from isbe_np.heads import Head
from isbe_np.heads.sparse import Entmax15, Sparsemax

some = settings(max_examples=50, deadline=None, derandomize=True)
both = pytest.mark.parametrize("make", [Sparsemax, Entmax15])
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
rows = st.tuples(st.integers(1, 4), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(-6, 6, width=32) | st.sampled_from([0.0, 0.5, 1.0])))


def support(make, x):
    return make().forward(np.array([x], float))[0] > 0


@both
@every_dtype
@some
@given(x=rows)
def test_soft_scores_are_those_found_by_bisection(make, dtype, x):
    x = x.astype(dtype)
    y, tight = make().forward(x), 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(y, naive.SOFT[make.name](np.asarray(x, np.float64)), rtol=0, atol=tight)
    assert y.dtype == dtype and (y >= 0).all() and np.abs(np.asarray(y, np.float64).sum(axis=1) - 1).max() <= tight


@pytest.mark.parametrize("C", [1000, 10000])
@both
def test_many_classes(make, C):
    for spread in (1e-4, 1e-2, 1, 100):
        x = spread * np.random.default_rng(C).normal(size=(2, C))
        y = make().forward(x)
        np.testing.assert_allclose(y, naive.SOFT[make.name](x - x.max(axis=1, keepdims=True)), rtol=0, atol=1e-14)
        assert np.abs(y.sum(axis=1) - 1).max() < 1e-13


@pytest.mark.parametrize(("make", "scores", "wanted"), [
    (Sparsemax, [0.5, 0, -2], [0.75, 0.25, 0]), (Sparsemax, [1, 0, 0], [1, 0, 0]), (Sparsemax, [3, 3, 3], [1 / 3] * 3),
    (Sparsemax, [1.5, 1, 1, 0.5], [2 / 3, 1 / 6, 1 / 6, 0]), (Sparsemax, [0.25, 0.75], [0.25, 0.75]),
    (Entmax15, [2, 0, -9], [1, 0, 0]), (Entmax15, [3, 3, 3, 3], [0.25] * 4), (Entmax15, [1.6, 1.2, 0], [0.64, 0.36, 0]),
    (Entmax15, [5, 5, 2], [0.5, 0.5, 0])])
def test_soft_scores_known_by_hand(make, scores, wanted):
    np.testing.assert_allclose(make().forward(np.array([scores], float))[0], wanted, rtol=1e-14, atol=0)


@both
def test_soft_scores_of_a_distribution_are_at_rest(make):
    """Sparsemax leaves a point of the simplex where it is, entmax15 twice the root of one."""
    p = np.random.default_rng(0).dirichlet(np.ones(6), 5)
    np.testing.assert_allclose(make().forward(p if make is Sparsemax else 2 * np.sqrt(p)), p, rtol=0, atol=1e-15)


@pytest.mark.parametrize(("make", "gap"), [(Sparsemax, 1), (Entmax15, 2)])
def test_a_score_that_far_below_another_gets_exactly_0(make, gap):
    assert support(make, [0, -gap, -5]).tolist() == [True, False, False]
    assert support(make, [0, -gap * (1 - 1e-6), -5]).tolist() == [True, True, False]
    y = make().forward(np.array([[0.0, -gap]]))
    assert y.tolist() == [[1, 0]] and not np.signbit(y).any()


@both
def test_tied_scores_get_the_same_to_the_bit(make):
    y = make().forward(np.array([[0.3, 0.1, 0.3, 0.1, -0.2, 0.3]]))[0]
    assert y[0] == y[2] == y[5] and y[1] == y[3]


def test_entmax15_lies_between_softmax_and_sparsemax():
    x = naive.scores(200, 10, seed=4)
    counts = [(Head(name).forward(x) > 0).sum() for name in ("softmax", "entmax15", "sparsemax")]
    assert counts[0] == 2000 > counts[1] > counts[2] > 200


@both
@some
@given(x=rows, seed=st.integers(0, 99))
def test_the_product_is_that_of_the_jacobian_which_is_symmetric_and_sums_to_0(make, x, seed):
    g, one = np.random.default_rng(seed).normal(size=x.shape), make()
    y = one.forward(x)
    J = one.jacobian(x, y)
    np.testing.assert_allclose(one.product(x, y, g), np.einsum("nij,ni->nj", J, g), rtol=0, atol=1e-14)
    assert np.array_equal(J, J.swapaxes(1, 2)) and np.abs(J.sum(axis=2)).max() < 1e-14
    assert not J[np.broadcast_to((y == 0)[:, :, None], J.shape)].any()
    rank = (np.linalg.eigvalsh(J) > 1e-9).sum(axis=1)
    assert (rank <= (y > 0).sum(axis=1) - 1).all() and (make is Entmax15 or (rank == (y > 0).sum(axis=1) - 1).all())


@both
@every_dtype
def test_float32_derivatives_are_those_of_float64_but_for_rounding(make, dtype):
    x, one = naive.scores(6, 8, dtype) / 4, make()
    y, g = one.forward(x), np.random.default_rng(1).normal(size=(6, 8)).astype(dtype)
    J, dx = one.jacobian(x, y), one.product(x, y, g)
    assert J.dtype == dx.dtype == dtype
    exact = one.jacobian(np.asarray(x, np.float64), np.asarray(y, np.float64))
    np.testing.assert_allclose(J, exact, rtol=0, atol=4 * np.finfo(dtype).eps)
    product = np.einsum("nij,ni->nj", exact, np.asarray(g, np.float64))
    np.testing.assert_allclose(dx, product, rtol=0, atol=16 * np.finfo(dtype).eps)


@both
@pytest.mark.parametrize("route", ["jacobian", "factored"])
def test_squared_error_through_the_chain_rule(make, route, random):
    head = Head(make(), route, "sum", loss="squared")
    assert isbe.check_gradients(head, random.normal(size=(6, 7)), targets=np.arange(6)).worst < 1e-7


@both
@some
@given(x=rows, seed=st.integers(0, 99), near=st.sampled_from([0, 1e-9, 1e-3, 1]))
def test_the_matching_loss_is_fenchel_and_young_s(make, x, seed, near):
    """Φ(x) + Ω(t) − ⟨t, x⟩, never negative, and 0 for t = y alone."""
    one = make()
    y = one.forward(x)
    t = (1 - near) * y + near * np.random.default_rng(seed).dirichlet(np.ones(x.shape[1]), len(x))
    t /= t.sum(axis=1, keepdims=True)
    loss = one.matching_loss(x, t)
    wanted = naive.POTENTIAL[make.name](x) + naive.CONJUGATE[make.name](t) - (t * x).sum(axis=1)
    np.testing.assert_allclose(loss, wanted, rtol=0, atol=1e-13)
    assert (loss >= 0).all() and loss.dtype == np.float64
    distance = ((t - y) ** 2).sum(axis=1)
    assert (loss >= distance / 2 * (1 - 1e-9) - 1e-30).all()  # strongly convex: Ω'' ≥ 1 on the simplex, of both
    assert (loss[distance == 0] <= 1e-30).all()


@both
def test_targets_off_the_simplex_have_no_matching_loss_but_an_error(make):
    head = Head(make(), reduction="none")
    head.forward(np.array([[1.0, 0.5], [0, 0]]))
    for bad, why in (([[0, 1], [0.5, 0.7]], "row 1 sums to 1.2"), ([[-0.5, 1.5], [0, 1]], "row 0 holds -0.5")):
        with pytest.raises(ValueError, match=f"{make.name}.*{why}"):
            head.loss(np.array(bad))
        assert np.array_equal(head.backward(bad), head.soft - bad)
    assert np.isfinite(Head(make(), loss="squared").forward(np.zeros((1, 2)))).all()
    float32 = np.full((1, 1000), np.float32(0.001))
    assert np.isfinite(make().matching_loss(np.zeros((1, 1000), np.float32), float32)).all()


@both
@pytest.mark.parametrize("row", [[np.nan, 0, 1], [0, np.inf, np.inf]], ids=str)
def test_the_kernels_leave_no_row_without_soft_scores_unmarked(make, row):
    assert np.isnan(make().forward(np.array([row, [0, 1, 2]]))).tolist() == [[True] * 3, [False] * 3]
    assert make().forward(np.array([[0, -np.inf, -np.inf]])).tolist() == [[1, 0, 0]]


@both
@every_dtype
def test_rows_of_a_large_batch_are_as_alone(make, dtype):
    """Large enough for more than one thread."""
    x = np.random.default_rng(2).normal(size=(2000, 10)).astype(dtype)
    y = make().forward(x)
    assert all(np.array_equal(y[n], make().forward(x[n:n + 1])[0]) for n in range(0, 2000, 97))


@both
def test_both_can_be_named_and_their_limits_hold(make, monkeypatch):
    assert type(Head(make.name).normalizer) is make
    monkeypatch.setattr("isbe_np.heads.normalizers.JACOBIAN_LIMIT", 99)
    with pytest.raises(MemoryError, match="factored"):
        make().jacobian(np.zeros((2, 3)), np.full((2, 3), 1 / 3))
