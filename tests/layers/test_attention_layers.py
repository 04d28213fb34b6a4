"""Attention as a layer: alone, in residual blocks, shared; its first values; what it refuses."""

import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.layers.attention import Attention, MultiHeadSelfAttention, Projection

both = pytest.mark.parametrize("causal", [False, True], ids=["all", "causal"])


def shaken(net, random):
    """`net` with biases that are not zero."""
    for parameter in net.parameters():
        parameter.value[...] += 0.1 * random.normal(size=parameter.value.shape)
    return net


@both
@pytest.mark.parametrize("case", [(2, 5, 6, 3), (1, 1, 1, 1), (3, 9, 8, 2), (2, 30, 8, 8)], ids=str)
def test_the_whole_is_two_projections_around_attention(case, causal, random, dtype, assert_close):
    N, T, D, heads = case
    net = shaken(isbe.Sequential((T, D), MultiHeadSelfAttention(heads, causal), dtype=dtype), random)
    x, dy = random.normal(size=(2, N, T, D)).astype(dtype)
    w, b, w_out, b_out = (np.asarray(parameter.value, np.float64) for parameter in net.parameters())
    qkv = x @ w.T + b
    attend = isbe.Sequential((T, 3 * D), Attention(heads, causal), dtype=np.float64, kernels="plain")
    o = attend.forward(qkv)
    assert_close(net.forward(x), o @ w_out.T + b_out, factor=2)
    dqkv = attend.backward(dy @ w_out, input_gradient=True)
    assert_close(net.backward(dy, input_gradient=True), dqkv @ w, factor=4)
    wanted = (np.einsum("nto,ntd->od", dqkv, x), dqkv.sum((0, 1)), np.einsum("nto,ntd->od", np.asarray(dy, np.float64), o),
              np.asarray(dy, np.float64).sum((0, 1)))
    for parameter, gradient in zip(net.parameters(), wanted, strict=True):
        assert_close(parameter.grad, gradient, factor=4)


@both
@pytest.mark.parametrize("shape, heads", [((1, 1, 2), 1), ((2, 3, 4), 2), ((2, 4, 3), 3), ((1, 25, 1), 1)], ids=str)
def test_gradients_alone(shape, heads, causal, random):
    layer = MultiHeadSelfAttention(heads, causal)
    assert isbe.check_gradients(layer, random.normal(size=shape)).worst < 1e-6
    triple = random.normal(size=(*shape[:2], 3 * shape[2]))
    assert isbe.check_gradients(Attention(heads, causal), triple).worst < 1e-6


@both
def test_gradients_in_residual_blocks(causal, random):
    """x + attention(x) twice, by one layer: a value read twice, and parameters that stand in two places."""
    first, layer = isbe.Input((4, 4)), MultiHeadSelfAttention(2, causal)
    x = isbe.Add()(first, layer(isbe.Tanh()(first)))
    x = isbe.Add()(x, layer(x), isbe.Dense(4)(isbe.GELU()(isbe.Dense(5)(x))))
    net = shaken(isbe.Graph(first, isbe.Dense(3)(x), seed=1, dtype=np.float64), random)
    assert len(net.parameters()) == 4 + 4 + 2
    assert isbe.check_gradients(net, random.normal(size=(2, 4, 4))).worst < 1e-6


def test_the_order_of_tokens_does_not_matter(random, assert_close):
    """Without positions, and not causal, permuted tokens give permuted outputs."""
    net = isbe.Sequential((7, 6), MultiHeadSelfAttention(2), dtype=np.float64)
    x, order = random.normal(size=(2, 7, 6)), random.permutation(7)
    assert_close(net.forward(np.ascontiguousarray(x[:, order])), net.forward(x)[:, order])


@both
def test_a_pass_forgets_the_one_before(causal, random):
    """After a batch of large numbers, and in every order of calls, the bits are those of a fresh network; buffers stay."""
    x, large, dy = random.normal(size=(3, 2, 26, 4))
    used, fresh = (isbe.Sequential((26, 4), MultiHeadSelfAttention(2, causal), dtype=np.float64) for _ in range(2))
    used.forward(1e150 * large)
    used.backward(dy, input_gradient=True)
    before = [id(value) for _, step, _, _ in used._plan(2).steps for value in vars(step.work).values()]
    for _ in range(2):
        assert used.forward(x).tobytes() == fresh.forward(x).tobytes()
        assert used.backward(dy, input_gradient=True).tobytes() == fresh.backward(dy, input_gradient=True).tobytes()
        assert used.grads.tobytes() == fresh.grads.tobytes()
    assert before == [id(value) for _, step, _, _ in used._plan(2).steps for value in vars(step.work).values()]


def test_projections_keep_the_variance():
    """1 / D, and not He's 2 / D: no ReLU follows."""
    weight, bias, out, _ = isbe.Sequential((2, 300), MultiHeadSelfAttention(2)).parameters()
    assert weight.value.shape == (900, 300) and out.value.shape == (300, 300) and not bias.value.any()
    assert weight.value.std() == pytest.approx(300 ** -0.5, rel=0.02) == out.value.std()


def test_names():
    first = isbe.Input((3, 4))
    net = isbe.Graph(first, MultiHeadSelfAttention(1)(MultiHeadSelfAttention(2, name="attend")(first)))
    assert list(net.names.values()) == ["input", "attend_qkv", "attend", "attend_out", "projection_1", "attention_1",
                                        "projection_2"]
    assert [parameter.name for parameter in net.parameters()][:2] == ["attend_qkv.weight", "attend_qkv.bias"]
    assert repr(MultiHeadSelfAttention(2, causal=True)) == "MultiHeadSelfAttention(2, causal=True)"
    assert repr(Projection(3)) == "Projection(3)" and repr(Attention(2, name="a")) == "Attention(2, name='a')"


@pytest.mark.parametrize("make, kind, message", [
    (lambda: MultiHeadSelfAttention(0), ValueError, r"Attention\(heads\) expects a whole number of at least 1; got 0"),
    (lambda: MultiHeadSelfAttention(2.0), TypeError, r"Attention\(heads\) expects a whole number; got 2.0"),
    (lambda: MultiHeadSelfAttention(2, causal=1), TypeError, r"Attention\(causal\) expects True or False; got 1"),
    (lambda: MultiHeadSelfAttention(3)(isbe.Input((5, 4))), ValueError,
     r"MultiHeadSelfAttention\(3\) expects tokens \(T, D\) with D a multiple of its 3 heads; got shape \(5, 4\)"),
    (lambda: MultiHeadSelfAttention(1)(isbe.Input(4)), ValueError, r"expects tokens \(T, D\).*got shape \(4,\).*make tokens"),
    (lambda: Attention(2)(isbe.Input((5, 9))), ValueError, r"Attention\(2\) expects tokens \(T, 3 D\).*got shape \(5, 9\)"),
    (lambda: MultiHeadSelfAttention(2)(np.ones((2, 4))), TypeError, r"MultiHeadSelfAttention\(2\) is applied to nodes"),
    (lambda: Projection()(isbe.Input((1, 2, 3))), ValueError, r"Projection\(1\) expects vectors \(features,\)"),
    (lambda: Projection(0), ValueError, r"Projection\(times\) expects a whole number of at least 1; got 0"),
])
def test_refusals(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_one_layer_for_tokens_of_two_sizes_is_refused():
    first, layer = isbe.Input((3, 4)), MultiHeadSelfAttention(2)
    with pytest.raises(ValueError, match=r"stands in several places.*\(12, 4\) and \(18, 6\). Use a second layer"):
        isbe.Graph(first, layer(isbe.Dense(6)(layer(first))))
