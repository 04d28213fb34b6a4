import naive_heads as naive
import numpy as np
import pytest

from isbe_np.heads import LOSSES, NORMALIZERS, ROUTES, Head

FLAT = ("hardsigmoid", "hardtanh", "sparsemax", "entmax15")
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-12}
every_dtype = pytest.mark.parametrize("dtype", TOLERANCE)
every_normalizer = pytest.mark.parametrize("normalizer", NORMALIZERS)


def meaningful(normalizer, loss, route):
    losses = naive.LOSSES_OF[normalizer]
    if loss not in losses:
        return False
    if route == "fused":
        return loss == losses[0]
    return route == "isbe" or not (normalizer in FLAT and loss == "matching")


ALL = [(n, loss, route) for n in NORMALIZERS for loss in LOSSES[1:] for route in ROUTES]
ALL += [(n, "matching", route) for n in ("tanh", *FLAT) for route in ROUTES]
CELLS = [cell for cell in ALL if meaningful(*cell)]


def sent(x, targets, normalizer="softmax", route="isbe", **options):
    head = Head(normalizer, route=route, reduction="sum", **options)
    head.forward(x)
    return head.backward(targets)


@pytest.mark.parametrize(("normalizer", "loss", "route"), [cell for cell in CELLS if cell[2] != "isbe"])
def test_gradient_routes_give_the_gradient_of_the_loss(normalizer, loss, route):
    x = naive.scores()
    t = naive.targets(normalizer)
    expected = naive.central(lambda x: naive.loss(normalizer, loss, x, t), x)
    np.testing.assert_allclose(sent(x, t, normalizer, route, loss=loss), expected, atol=2e-8)


@pytest.mark.parametrize(("normalizer", "loss", "route"), [cell for cell in ALL if cell not in CELLS])
def test_cells_without_a_meaning_are_refused(normalizer, loss, route):
    with pytest.raises(ValueError, match=r"^Head: .*Use "):
        Head(normalizer, route=route, loss=loss)
    if loss in naive.LOSSES_OF[normalizer]:
        head = Head(normalizer, loss=loss)
        with pytest.raises(ValueError, match=r"^Head: .*Use "):
            head.route = route
        assert head.route == "isbe"


@every_normalizer
def test_isbe_is_the_gradient_of_the_matching_loss(normalizer):
    x, hot = naive.scores(), naive.one_hot(naive.labels(), 4, naive.LOW.get(normalizer, 0))
    head = Head(normalizer, loss="matching", reduction="sum")

    def loss(x):
        head.forward(x)
        return np.array(head.loss(hot))

    expected = naive.central(loss, x)
    head.forward(x)
    np.testing.assert_allclose(head.backward(hot), expected, atol=2e-8)
    np.testing.assert_allclose(head.backward(hot), naive.SOFT[normalizer](x) - hot, atol=1e-14)


@every_normalizer
def test_potential_has_the_normalizer_as_gradient_and_the_jacobian_as_hessian(normalizer):
    x = naive.scores()
    head = Head(normalizer)
    soft = head.forward(x)
    np.testing.assert_allclose(head.normalizer.potential(x), naive.POTENTIAL[normalizer](x), rtol=1e-12)
    np.testing.assert_allclose(naive.central(head.normalizer.potential, x), soft, atol=2e-8)
    J = head.normalizer.jacobian(x, soft)
    for j in range(4):
        move = 1e-6 * (np.arange(4) == j)
        slope = (naive.SOFT[normalizer](x + move) - naive.SOFT[normalizer](x - move)) / 2e-6
        np.testing.assert_allclose(J[:, :, j], slope, atol=2e-9)


@every_dtype
@pytest.mark.parametrize("kind", naive.kinds_of_targets())
def test_softmax_routes_agree_where_targets_sum_to_one(kind, dtype, kernels):
    x = naive.scores(64, 10, dtype)
    targets = naive.kinds_of_targets(64, 10)[kind]
    dense = naive.kinds_of_targets(64, 10)["one-hot" if kind == "labels" else kind]
    expected = naive.softmax(np.asarray(x, np.float64)) - dense
    for route in ROUTES:
        error = sent(x, targets, route=route)
        assert error.dtype == dtype
        assert naive.difference(error, expected) <= TOLERANCE[dtype], route


@every_dtype
@pytest.mark.parametrize("normalizer", ["sigmoid", "tanh"])
def test_elementwise_routes_agree_with_the_matching_loss(normalizer, dtype):
    x = naive.scores(dtype=dtype)
    errors = [sent(x, naive.labels(), normalizer, route) for route in ROUTES]
    for error in errors:
        assert naive.difference(error, np.asarray(errors[-1], np.float64)) <= TOLERANCE[dtype]


@every_dtype
def test_isbe_differs_where_targets_do_not_sum_to_one(dtype, kernels):
    x, t = naive.scores(dtype=dtype), np.random.default_rng(4).random((5, 4))
    tau, y = t.sum(axis=1, keepdims=True), naive.softmax(np.asarray(x, np.float64))
    for route in ROUTES[:3]:
        assert naive.difference(sent(x, t, route=route), tau * y - t) <= TOLERANCE[dtype]
    assert naive.difference(sent(x, t), y - t) <= TOLERANCE[dtype]
    assert naive.difference(sent(x, t), tau * y - t) > 0.1


@pytest.mark.parametrize("k", [0.5, [0.5, 1, 2, 3]])
@pytest.mark.parametrize("b", [None, -1.0, [0.3, 0, -2, 1]])
def test_dilation_and_relocation(k, b, kernels):
    x, t = naive.scores(), np.random.default_rng(5).random((5, 4))
    tau, y = t.sum(axis=1, keepdims=True), naive.softmax(np.multiply(k, x) + (0 if b is None else b))
    expected = k * (tau * y - t)
    head = Head("softmax", reduction="none", dilation=k, relocation=b)
    np.testing.assert_allclose(head.forward(x), y, rtol=1e-12)
    np.testing.assert_allclose(head.loss(t), -(t * np.log(y)).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(head.backward(t), y - t, atol=1e-12)
    for head.route in ROUTES[:3]:
        np.testing.assert_allclose(head.backward(t), expected, atol=1e-12)
        np.testing.assert_allclose(head.backward([0, 1, 2, 3, 0]), k * (y - np.eye(4)[[0, 1, 2, 3, 0]]), atol=1e-12)


def test_potential_of_a_dilated_softmax():
    x = naive.scores()
    head = Head("softmax", dilation=2, relocation=[0, 1, 2, 3])
    np.testing.assert_allclose(naive.central(head.normalizer.potential, x), head.forward(x), atol=2e-8)
    with pytest.raises(ValueError, match="no potential"):
        Head("softmax", dilation=[1, 2, 3, 4]).normalizer.potential(x)


@every_dtype
def test_explicit_jacobian_fails_aloud_where_the_soft_score_underflows(dtype, kernels):
    gap = 110 if dtype == np.float32 else 750
    x = np.array([[0, 1, 2], [0, gap, 1]], dtype)
    head = Head("softmax", reduction="none")
    assert head.forward(x)[1, 0] == 0
    for head.route in ("jacobian", "factored"):
        with pytest.raises(FloatingPointError, match=rf"'{head.route}'.*row 1.*class 0 has the soft score 0.*'fused'"):
            head.backward([2, 0])
        head.strict = False
        error = head.backward([2, 0])
        head.strict = True
        assert np.isnan(error[1]).any() and np.isfinite(error[0]).all()
        assert np.isfinite(head.backward([2, 1])).all()
    for head.route in ("fused", "isbe"):
        for targets in ([2, 0], np.eye(3)[[2, 0]]):
            assert np.array_equal(head.backward(targets)[1], [-1, 1, 0])
    np.testing.assert_allclose(head.loss([2, 0])[1], gap)


@pytest.mark.parametrize("normalizer", ["sigmoid", "tanh"])
def test_saturation_fails_aloud_only_on_the_wrong_side(normalizer):
    x = np.array([[50.0, -800.0]])
    for route in ("jacobian", "factored"):
        assert np.abs(sent(x, [0], normalizer, route)).max() < 1e-300
        with pytest.raises(FloatingPointError, match="row 0, class 0"):
            sent(x, [1], normalizer, route)
    low = naive.LOW.get(normalizer, 0)
    for route in ("fused", "isbe"):
        assert np.array_equal(sent(x, [1], normalizer, route), [[1 - low, low - 1]])


@every_dtype
def test_extreme_scores_stay_finite(dtype, kernels):
    far = 1e38 if dtype == np.float32 else 1e300
    x = np.array([[far, -far, 0], [-far, far, far], [-far, -far, -far]], dtype)
    for route in ("fused", "isbe"):
        head = Head("softmax", route=route, reduction="none")
        head.forward(x)
        np.testing.assert_allclose(head.backward([1, 0, 2]),
                                   [[1, -1, 0], [-1, 0.5, 0.5], [1 / 3, 1 / 3, -2 / 3]], rtol=1e-6)
        np.testing.assert_allclose(head.loss([1, 0, 2]), [2 * far, 2 * far, np.log(3)], rtol=1e-6)
        np.testing.assert_allclose(head.loss(np.eye(3)[[0, 1, 2]]), [0, np.log(2), np.log(3)], rtol=1e-12)


def test_impossible_classes(kernels):
    head = Head("softmax", reduction="none")
    x = np.array([[0.0, -np.inf, 0.0]])
    head.forward(x)
    for head.route in ROUTES:
        np.testing.assert_allclose(head.backward([2]), [[0.5, 0, -0.5]])
    np.testing.assert_allclose(head.loss([2]), np.log(2))
    with pytest.raises(FloatingPointError, match="row 0"):
        head.loss([1])


def test_one_class():
    for route in ROUTES:
        assert np.array_equal(sent(np.array([[3.0], [-2.0]]), [0, 0], route=route), [[0], [0]])


@pytest.mark.parametrize("normalizer", ["softmax", "tanh"])
def test_a_jacobian_beyond_the_limit_is_refused(normalizer, monkeypatch):
    monkeypatch.setattr("isbe_np.heads.normalizers.JACOBIAN_LIMIT", 5 * 4 * 4 * 8 - 1)
    with pytest.raises(MemoryError, match=r"5 examples of 4 classes.*GB.*factored"):
        sent(naive.scores(), naive.labels(), normalizer, "jacobian")
    assert sent(naive.scores(4), naive.labels(4), normalizer, "jacobian").shape == (4, 4)
