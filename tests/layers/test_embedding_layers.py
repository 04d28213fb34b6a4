"""Embeddings of tokens and of positions as layers; a causal model of characters, whole."""

import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.layers.attention import MultiHeadSelfAttention
from isbe_np.layers.embedding import MOST, Embedding, PositionEmbedding


def by_parameters(net, tokens):
    """`net` at fixed tokens as a function of all its parameters, for `check_gradients`: tokens cannot be varied a little."""
    def function(values):
        net.values[...] = values

        def backward(dy):
            net.backward(dy)
            return net.grads.copy()
        return net.forward(tokens), backward
    return function


def test_embedding(random, dtype, assert_close):
    net = isbe.Sequential((6,), Embedding(9, 5), dtype=dtype)
    tokens, dy = random.integers(0, 9, (4, 6)), random.normal(size=(4, 6, 5)).astype(dtype)
    table, = net.parameters()
    assert table.name == "embedding_1.weight" and (net.forward(tokens.astype(dtype)) == table.value[tokens]).all()
    dx = net.backward(dy, input_gradient=True)
    wanted = np.zeros((9, 5))
    np.add.at(wanted, tokens, dy)
    assert_close(table.grad, wanted)
    assert dx.shape == (4, 6) and not dx.any()
    net._ran.input.grad[...] = 7
    assert not net.backward(dy, input_gradient=True).any()


def test_a_second_batch_forgets_the_first(random):
    net = isbe.Sequential((6,), Embedding(9, 5), dtype=np.float64)
    dy = random.normal(size=(2, 6, 5))
    for token in (8.0, 0.0, 3.0):
        net.forward(np.full((2, 6), token))
        net.backward(dy)
        rows = net.parameters()[0].grad.any(axis=1)
        assert rows[int(token)] and rows.sum() == 1


@pytest.mark.parametrize("layers", [[Embedding(1, 1), PositionEmbedding()], [Embedding(1, 1)]], ids=["positions", "tokens"])
def test_long_sums_are_added_up_in_float64(layers):
    """2^25 + 1 + 1 + ...: in float32 every 1 would be lost. One position of many examples, one token of a whole batch."""
    net = isbe.Sequential((1,), *layers)
    dy = np.ones((3000, 1, 1), np.float32)
    dy[0] = 2 ** 25
    net.forward(np.zeros((3000, 1), np.float32))
    net.backward(dy)
    assert [parameter.grad.item() for parameter in net.parameters()] == [2 ** 25 + 3000] * len(layers)


@pytest.mark.parametrize("bad, shown", [(9, "9"), (-1, "-1"), (2.5, "2.5"), (1e30, "1e[+]30")])
def test_what_is_no_token_is_refused_and_the_network_goes_on(bad, shown, dtype):
    net = isbe.Sequential((3,), Embedding(9, 2, name="letters"), dtype=dtype)
    x = np.zeros((4, 3), dtype)
    x[2, 1] = bad
    with pytest.raises(ValueError, match=rf"Embedding\(9, 2, name='letters'\) expects tokens, whole numbers from 0 to 8; "
                                         rf"got {shown} as token 1 of example 2"):
        net.forward(x)
    with pytest.raises(RuntimeError, match="call forward first"):
        net.backward(np.zeros((4, 3, 2), dtype))
    x[2, 1] = 8
    assert (net.forward(x)[2, 1] == net.parameters()[0].value[8]).all()


@pytest.mark.parametrize("make, kind, message", [
    (lambda: Embedding(0, 3), ValueError, r"Embedding\(vocabulary\) expects a whole number of at least 1; got 0"),
    (lambda: Embedding(3, 1.5), TypeError, r"Embedding\(features\) expects a whole number; got 1.5"),
    (lambda: Embedding(MOST + 1, 3), ValueError, r"Embedding\(vocabulary\) expects at most 16777216 tokens.*got 16777217"),
    (lambda: Embedding(4, 3)(isbe.Input((2, 5))), ValueError, r"Embedding\(4, 3\) expects tokens \(T,\).*got shape \(2, 5\)"),
    (lambda: PositionEmbedding()(isbe.Input(5)), ValueError, r"PositionEmbedding\(\) expects tokens \(T, features\).*\(5,\)"),
])
def test_refusals(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_positions(random, dtype, assert_close):
    net = isbe.Sequential((4, 3), PositionEmbedding(), dtype=dtype)
    table, = net.parameters()
    x, dy = random.normal(size=(2, 5, 4, 3)).astype(dtype)
    assert_close(net.forward(x), np.float64(x) + table.value)
    assert (net.backward(dy, input_gradient=True) == dy).all()
    assert_close(table.grad, np.float64(dy).sum(0))


def test_first_values():
    table = isbe.Sequential((2,), Embedding(300, 100)).parameters()[0]
    positions = isbe.Sequential((300, 100), PositionEmbedding()).parameters()[0]
    assert table.value.std() == pytest.approx(1, rel=0.02) and positions.value.std() == pytest.approx(0.02, rel=0.02)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 4, 2)], ids=str)
def test_gradients_of_positions(shape, random):
    assert isbe.check_gradients(PositionEmbedding(), random.normal(size=shape)).worst < 1e-6


def test_gradients_of_an_embedding_that_stands_in_two_places(random):
    """Its table's gradients are added up."""
    first, embedding = isbe.Input((4,)), Embedding(3, 2)
    net = isbe.Graph(first, isbe.Add()(embedding(first), isbe.Tanh()(embedding(first))), dtype=np.float64)
    tokens = random.integers(0, 3, (2, 4)).astype(np.float64)
    assert isbe.check_gradients(by_parameters(net, tokens), net.values.copy()).worst < 1e-6


def test_gradients_of_a_causal_model(random):
    """Scores for each position, (N, T, V)."""
    first = isbe.Input((5,))
    x = PositionEmbedding()(Embedding(4, 6)(first))
    x = isbe.Add()(x, MultiHeadSelfAttention(2, causal=True)(x))
    x = isbe.Add()(x, isbe.Dense(6)(isbe.GELU()(isbe.Dense(3)(x))))
    net = isbe.Graph(first, isbe.Dense(4)(x), dtype=np.float64)
    tokens = random.integers(0, 4, (2, 5)).astype(np.float64)
    assert net.forward(tokens).shape == (2, 5, 4)
    assert isbe.check_gradients(by_parameters(net, tokens), net.values.copy()).worst < 1e-6
    changed = tokens.copy()
    changed[:, 3:] = 3 - changed[:, 3:]
    assert np.allclose(net.forward(tokens)[:, :3], net.forward(changed)[:, :3], rtol=0, atol=1e-13)
