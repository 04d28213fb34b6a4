"""The study must find a wrong route, not only pass right ones."""

import numpy as np
import pytest
import tiny

import isbe_np as isbe
from isbe_np.heads import routes
from isbe_np.studies.compare import agreement, both_agreements
from isbe_np.studies.comparison import TOLERANCE, Agreement, _agreement_words


def study(dtype=np.float64, head=None, **options):
    data = tiny.dataset(dtype=dtype)
    return agreement("tiny", tiny.net(dtype=dtype), head or isbe.Head(), data.x_train, data.y_train, **options)


def wrong(route, monkeypatch, amount=1e-3):
    """Let `route` send an error that is off by a thousandth."""
    send = routes.SEND[route]

    def off(head, y, t, e):
        send(head, y, t, e)
        e *= e.dtype.type(1 + amount)

    monkeypatch.setitem(routes.SEND, route, off)


def test_every_pair_of_routes_agrees_in_every_dtype(dtype):
    found = study(dtype)
    assert [a.pair for a in found] == [(a, b) for k, a in enumerate(isbe.ROUTES) for b in isbe.ROUTES[k + 1:]]
    assert all(a.within and a.dtype == dtype.name and a.network == "tiny" for a in found)


@pytest.mark.parametrize("route", isbe.ROUTES)
@pytest.mark.parametrize("amount", [1e-3, 1e-5])
def test_a_wrong_route_is_found(route, amount, dtype, monkeypatch):
    wrong(route, monkeypatch, amount)
    found = study(dtype)
    assert [a.within for a in found] == [route not in a.pair for a in found]
    for a in found:
        if route in a.pair:
            assert a.head == pytest.approx(amount, rel=0.2) and a.gradient == pytest.approx(amount, rel=0.2)


def test_one_wrong_gradient_is_found_and_its_parameter_named(monkeypatch):
    """The error of the head is right: only the network's own backward pass differs between two routes."""
    net, calls = tiny.net(dtype=np.float64), []
    backward = net.backward

    def off(error, input_gradient=False):
        backward(error, input_gradient)
        calls.append(error)
        if len(calls) == 2:
            net.parameters()[1].grad[...] *= 1.5

    monkeypatch.setattr(net, "backward", off)
    data = tiny.dataset(dtype=np.float64)
    found, = agreement("tiny", net, isbe.Head(), data.x_train, data.y_train, ("fused", "isbe"))
    assert found.head < 1e-14 and found.parameter == net.parameters()[1].name and not found.within


def test_nan_never_agrees(monkeypatch):
    wrong("fused", monkeypatch, np.nan)
    found = study(head=isbe.Head(strict=False))
    assert [a.within for a in found] == ["fused" not in a.pair for a in found]


def test_the_head_is_left_as_it_was():
    head = isbe.Head(route="factored")
    study(head=head)
    assert head.route == "factored"


def test_some_routes_alone():
    found, = study(routes=("isbe", "fused"))
    assert found.pair == ("isbe", "fused")


def test_other_normalizers_with_their_matching_loss():
    for normalizer in ("sigmoid", "tanh"):
        assert all(a.within for a in study(head=isbe.Head(normalizer), routes=("jacobian", "isbe")))


def test_another_loss_than_the_matching_one_is_told_apart():
    found = study(head=isbe.Head("softmax", "jacobian", loss="squared"), routes=("jacobian", "factored"))
    assert all(a.within for a in found)


def test_the_conclusion_says_that_they_agree(monkeypatch):
    tiny.study(monkeypatch)
    data = tiny.dataset()
    agreements = both_agreements(data.x_train, data.y_train, 0, None)
    assert len(agreements) == 2 * 2 * 6 and {a.network for a in agreements} == {"tiny", "linear"}
    words = _agreement_words(agreements)
    assert words.startswith("The routes agree: no error and no parameter gradient of tiny, linear differs")


def test_the_conclusion_says_that_they_do_not_and_where(monkeypatch):
    tiny.study(monkeypatch)
    wrong("factored", monkeypatch)
    data = tiny.dataset()
    words = _agreement_words(both_agreements(data.x_train, data.y_train, 0, None))
    assert words.startswith("The routes do NOT agree: ") and "1.0e-03 in float32" in words
    assert "factored and fused on linear in float64 at dense_1." in words and "fused and isbe" not in words


@pytest.mark.parametrize(("head", "gradient", "within"), [
    (0, 0, True), (1, 0, False), (0, 1, False), (np.nan, 0, False), (0, np.nan, False), (np.inf, 0, False)])
def test_within(head, gradient, within):
    for dtype in TOLERANCE:
        assert Agreement("n", dtype, ("a", "b"), head, gradient, "p").within is within
