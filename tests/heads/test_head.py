import naive_heads as naive
import numpy as np
import pytest

from isbe_np.heads import LOSSES, NORMALIZERS, REDUCTIONS, ROUTES, Head, Normalizer, softmax_jacobian

every_normalizer = pytest.mark.parametrize("normalizer", NORMALIZERS)


def ready(normalizer="softmax", **options):
    head = Head(normalizer, **options)
    head.forward(naive.scores())
    return head


def test_names():
    assert NORMALIZERS == ("softmax", "sigmoid", "tanh", "hardsigmoid", "hardtanh", "identity", "sparsemax", "entmax15")
    assert ROUTES == ("jacobian", "factored", "fused", "isbe")
    assert REDUCTIONS == ("none", "sum", "mean")
    assert LOSSES == ("matching", "cross_entropy", "binary_cross_entropy", "squared")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_normalizer
def test_forward(normalizer, dtype):
    x = naive.scores(dtype=dtype)
    before = x.copy()
    head = Head(normalizer)
    soft = head.forward(x)
    np.testing.assert_allclose(soft, naive.SOFT[normalizer](np.asarray(x, np.float64)), rtol=20 * np.finfo(dtype).eps,
                               atol=4 * np.finfo(dtype).eps)
    assert soft.dtype == dtype and np.array_equal(head.soft, soft) and head.scores is x
    soft[...] = 7  # what forward returns is the caller's
    assert not (head.soft == 7).any()
    assert not np.shares_memory(soft, x) and np.array_equal(x, before)
    assert head.normalizer.name == normalizer


@pytest.mark.parametrize(("normalizer", "loss"), [(n, loss) for n in NORMALIZERS for loss in naive.LOSSES_OF[n]])
def test_loss(normalizer, loss):
    x = naive.scores()
    t = naive.targets(normalizer)
    head = ready(normalizer, loss=loss, reduction="none")
    np.testing.assert_allclose(head.loss(t), naive.loss(normalizer, loss, x, t), rtol=1e-10)
    hot = naive.one_hot(naive.labels(), 4, naive.LOW.get(normalizer, 0))
    np.testing.assert_allclose(head.loss(naive.labels()), naive.loss(normalizer, loss, x, hot), rtol=1e-10, atol=1e-15)
    np.testing.assert_array_equal(head.loss(naive.labels()), head.loss(hot))
    assert head.loss_name == loss


@every_normalizer
def test_matching_is_a_synonym_and_the_default(normalizer):
    assert Head(normalizer).loss_name == Head(normalizer, loss="matching").loss_name == naive.LOSSES_OF[normalizer][0]


@pytest.mark.parametrize("normalizer", ["tanh", "hardsigmoid", "hardtanh", "sparsemax", "entmax15"])
def test_matching_loss_is_never_negative_and_0_at_the_target(normalizer):
    head = ready(normalizer, reduction="none")
    assert (head.loss(naive.labels()) >= 0).all()
    np.testing.assert_allclose(head.loss(head.soft), 0, atol=1e-14)
    for far in (1e16, 1e300):
        head.forward(np.array([[far, -far]]))
        assert head.loss([0]) == 0 and head.loss([1]) > far


@pytest.mark.parametrize("route", ROUTES)
def test_reductions(route):
    head, t = ready(route=route, reduction="none"), naive.labels()
    error, losses = head.backward(t), head.loss(t)
    assert losses.shape == (5,) and losses.dtype == np.float64
    head.reduction = "sum"
    assert np.array_equal(head.backward(t), error) and isinstance(head.loss(t), float)
    np.testing.assert_allclose(head.loss(t), losses.sum(), rtol=1e-15)
    head.reduction = "mean"
    assert np.array_equal(head.backward(t), error / 5) and isinstance(head.loss(t), float)
    np.testing.assert_allclose(head.loss(t), losses.mean(), rtol=1e-15)


def test_an_empty_batch():
    for normalizer in NORMALIZERS:
        head = Head(normalizer, reduction="sum")
        assert head.forward(np.empty((0, 3), np.float32)).shape == (0, 3)
        assert head.backward(np.empty(0, int)).shape == (0, 3) and head.loss([]) == 0
    head.reduction = "mean"
    for method in (head.backward, head.loss):
        with pytest.raises(ValueError, match="empty batch"):
            method([])


def test_softmax_by_every_route_of_an_empty_batch():
    head = Head(reduction="none")
    head.forward(np.empty((0, 3)))
    for head.route in ROUTES:
        assert head.backward([]).shape == (0, 3)


def test_out_buffers():
    x, head = naive.scores(), Head()
    soft, error = np.empty_like(x), np.empty_like(x)
    assert head.forward(x, out=soft) is soft and head.soft is soft
    for head.route in ROUTES:
        assert head.backward(naive.labels(), out=error) is error
        np.testing.assert_array_equal(error, head.backward(naive.labels()))


@pytest.mark.parametrize("out", [np.empty((5, 3)), np.empty((5, 4), np.float32), np.empty((4, 5)).T, [[0.0]]])
def test_buffers_that_do_not_fit(out):
    head = ready()
    with pytest.raises(ValueError, match=r"Head.backward: out must"):
        head.backward(naive.labels(), out=out)
    with pytest.raises(ValueError, match=r"Head.forward: out must"):
        head.forward(naive.scores(), out=out)


def test_buffers_that_would_destroy_what_is_needed():
    x, head = naive.scores(), Head()
    with pytest.raises(ValueError, match="apart"):
        head.forward(x, out=x)
    head.forward(x)
    for out in (head.soft, x):
        with pytest.raises(ValueError, match="apart"):
            head.backward(naive.labels(), out=out)


def test_two_heads_are_independent():
    first, second = ready(), Head("sigmoid", route="factored", reduction="sum")
    before = first.backward(naive.labels())
    second.forward(naive.scores(3, 6, seed=9))
    second.backward([0, 1, 2])
    assert np.array_equal(first.backward(naive.labels()), before)


def test_repr():
    assert repr(Head("tanh", route="factored")) == "Head('tanh', route='factored', reduction='mean', loss='matching')"


@pytest.mark.parametrize("make", [np.asfortranarray, lambda x: np.repeat(x, 2, axis=1)[:, ::2], lambda x: x.tolist()])
def test_scores_of_any_memory_layout(make):
    head, x = Head(), naive.scores()
    assert np.array_equal(head.forward(make(x)), Head().forward(x))


def test_read_only_scores_and_targets():
    x, t = naive.scores(), naive.kinds_of_targets()["soft"]
    expected = ready("sigmoid").backward(t)
    x.flags.writeable = t.flags.writeable = False
    head = Head("sigmoid")
    head.forward(x)
    assert np.array_equal(head.backward(t), expected)


@pytest.mark.parametrize("shape", [(4,), (2, 3, 4), (3, 0), ()])
def test_scores_of_a_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"scores of shape \(N, C\)"):
        Head().forward(np.zeros(shape))


@pytest.mark.parametrize("dtype", [int, bool, np.float16, complex, object])
def test_scores_of_a_wrong_type(dtype):
    with pytest.raises(TypeError, match="float32 or float64"):
        Head().forward(np.zeros((2, 3), dtype))


@pytest.mark.parametrize(("row", "why"), [([0, np.nan, 1], "class 1 is nan"), ([0, 1, np.inf], "class 2 is inf"),
                                          ([-np.inf] * 3, "every class is -inf")])
def test_rows_without_a_softmax_are_refused(row, why, kernels):
    head = ready()
    with pytest.raises(ValueError, match=f"row 1 .*{why}"):
        head.forward(np.array([[1, 2, 3], row, row]))
    with pytest.raises(RuntimeError, match="forward"):
        head.backward([0, 0, 0])


def test_dilation_that_overflows_is_refused():
    with pytest.raises(ValueError, match=r"row 0 .*class 1 is inf"):
        Head(dilation=10).forward(np.array([[0, 1e38]], np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("normalizer", NORMALIZERS[1:])
def test_scores_that_are_not_finite_are_refused(normalizer, bad):
    with pytest.raises(ValueError, match="scores must be finite; row 1, class 0 is"):
        Head(normalizer).forward(np.array([[1, 2], [bad, 0]]))


@pytest.mark.parametrize("use", [lambda h: h.backward([0]), lambda h: h.loss([0]), lambda h: h.soft])
def test_before_forward(use):
    with pytest.raises(RuntimeError, match="forward"):
        use(Head())


@pytest.mark.parametrize(("options", "hint"), [({"normalizer": "sofmax"}, "'softmax'"), ({"route": "fuse"}, "'fused'"),
                                               ({"reduction": "average"}, "'mean'"), ({"loss": "square"}, "'squared'")])
def test_misspelled_names(options, hint):
    with pytest.raises(ValueError, match=hint):
        Head(**options)


@pytest.mark.parametrize("name", ["route", "reduction"])
def test_misspelled_assignment_changes_nothing(name):
    head = Head()
    before = repr(head)
    with pytest.raises(ValueError, match="expects one of"):
        setattr(head, name, "isbn")
    assert repr(head) == before


@pytest.mark.parametrize("options", [{"dilation": 0}, {"dilation": [1, -1]}, {"dilation": np.nan},
                                     {"relocation": np.inf}, {"relocation": [[1.0]]}])
def test_bad_dilation_and_relocation(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Head(**options)


@pytest.mark.parametrize("name", ["dilation", "relocation"])
def test_dilation_and_relocation_of_another_length_or_normalizer(name):
    with pytest.raises(ValueError, match=f"{name} has 2 numbers"):
        Head(**{name: [1, 2]}).forward(naive.scores())
    with pytest.raises(ValueError, match="belong to 'softmax'"):
        Head("sigmoid", **{name: 1})


def test_a_loss_too_large():
    head = Head("identity", reduction="none")
    head.forward(np.array([[1.0], [1e300]]))
    with pytest.raises(FloatingPointError, match="row 1"):
        head.loss([0, 0])
    with pytest.raises(ValueError, match="tanh"):
        ready("tanh").loss(np.full((5, 4), 1.5))


def test_softmax_jacobian(monkeypatch):
    y = naive.softmax(naive.scores())
    np.testing.assert_allclose(softmax_jacobian(y), [np.diag(r) - np.outer(r, r) for r in y], atol=1e-16)
    with pytest.raises(ValueError, match=r"\(N, C\)"):
        softmax_jacobian(y[0])
    monkeypatch.setattr("isbe_np.heads.normalizers.JACOBIAN_LIMIT", 5 * 4 * 4 * 8 - 1)
    with pytest.raises(MemoryError, match=r"5 examples of 4 classes.*GB.*factored"):
        softmax_jacobian(y)
    head = ready(Duck(), route="jacobian")
    with pytest.raises(MemoryError, match="factored"):
        head.backward(naive.labels())


class Duck:
    """Half-softmax, half-uniform soft scores: no base class, no name."""

    def forward(self, scores):
        return (naive.softmax(scores) + 1 / scores.shape[1]) / 2

    def jacobian(self, scores, soft):
        y = 2 * soft - 1 / scores.shape[1]
        return np.array([np.diag(row) - np.outer(row, row) for row in y]) / 2


class Cubic(Normalizer):
    name = "cubic"
    low = -1.0

    def forward(self, scores):
        return scores**3

    def jacobian(self, scores, soft):
        return np.einsum("nj,jk->njk", 3 * scores**2, np.eye(scores.shape[1]))

    def potential(self, scores):
        return (scores**4 / 4).sum(axis=1)


def test_a_normalizer_of_ones_own():
    x, t = naive.scores(), naive.kinds_of_targets()["soft"]
    head = Head(Duck(), reduction="sum")
    np.testing.assert_allclose(head.forward(x), Duck().forward(x))
    np.testing.assert_allclose(head.backward(t), head.soft - t)
    head.route = "jacobian"
    expected = naive.central(lambda x: -(t * np.log(Duck().forward(x))).sum(axis=1), x)
    np.testing.assert_allclose(head.backward(t), expected, atol=2e-8)
    np.testing.assert_allclose(head.loss(t), -(t * np.log(head.soft)).sum())
    assert "Duck" in repr(head) and isinstance(head.normalizer, Duck)
    with pytest.raises(ValueError, match="product"):
        head.route = "factored"
    with pytest.raises(ValueError, match=r"'fused' .*Use route"):
        head.route = "fused"
    with pytest.raises(ValueError, match="potential"):
        Head(Duck(), loss="matching")


def test_a_normalizer_of_ones_own_with_a_potential():
    x = naive.scores()
    hot = naive.one_hot(naive.labels(), 4, -1)
    head = Head(Cubic(), route="fused", reduction="sum")
    head.forward(x)
    np.testing.assert_allclose(head.backward(naive.labels()), x**3 - hot)
    np.testing.assert_allclose(head.loss(naive.labels()), (x**4 / 4 - hot * x).sum())
    with pytest.raises(ValueError, match="flat zone"):
        head.route = "jacobian"
    squared = Head(Cubic(), route="jacobian", loss="squared", reduction="sum")
    squared.forward(x)
    np.testing.assert_allclose(squared.backward(hot), 3 * x**2 * (x**3 - hot))


def test_a_normalizer_that_answers_wrongly():
    class Wrong(Normalizer):
        answer = np.zeros((5, 3))

        def forward(self, scores):
            return self.answer

        def jacobian(self, scores, soft):
            return np.zeros((5, 4))

    head = Head(Wrong())
    with pytest.raises(ValueError, match=r"shape \(5, 4\); got \(5, 3\)"):
        head.forward(naive.scores())
    head.normalizer.answer = np.full((5, 4), np.nan)
    with pytest.raises(FloatingPointError, match="finite soft scores; row 0, class 0"):
        head.forward(naive.scores())
    head.normalizer.answer = np.ones((5, 4))
    head.forward(naive.scores())
    head.route = "jacobian"
    with pytest.raises(ValueError, match=r"shape \(5, 4, 4\); got \(5, 4\)"):
        head.backward(naive.labels())
    with pytest.raises(TypeError, match=r"Wrong\(\)"):
        Head(Wrong)
    with pytest.raises(NotImplementedError, match="forward"):
        Head(Normalizer()).forward(naive.scores())
