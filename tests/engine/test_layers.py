"""The engine's norms, attention and token layers in networks, beside the same networks of plain layers."""

import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.layers.attention import Attention, Projection
from isbe_np.layers.normalization import BatchNorm, LayerNorm

# Layers behind an input of a shape; 7 where it holds tokens of so many kinds.
NETS = {
    "batch norm of vectors": ((5,), 0, (BatchNorm(0.3, 0.1),)),
    "batch norm of images, batch first": ((3, 2, 4), 0, (BatchNorm(0.3, 0.1),)),
    "batch norm of images, batch last": ((2, 4, 4), 0, (isbe.Conv2D(3, 3), BatchNorm(0.3, 0.1), isbe.Conv2D(2, 1))),
    "batch norm of one pixel": ((3, 1, 1), 0, (isbe.Conv2D(4, 1), isbe.Tanh(), BatchNorm())),
    "layer norm of vectors": ((5,), 0, (LayerNorm(0.1),)),
    "layer norm of tokens": ((4, 6), 0, (LayerNorm(0.1), Projection(2))),
    "attention": ((5, 12), 0, (Attention(2),)),
    "causal attention": ((5, 12), 0, (Attention(4, causal=True),)),
    "heads wider than the text is long": ((2, 24), 0, (Attention(1),)),
    "embeddings": ((6,), 7, (isbe.Embedding(7, 4), isbe.PositionEmbedding(), isbe.Tanh(), isbe.MeanTokens())),
}


def passes(net, batches):
    """Outputs, all gradients and what layers remember, of batches in training and in evaluation by turns."""
    found = []
    for training, x, dy in batches:
        found += [net.forward(x, training), net.backward(dy, input_gradient=True), net.grads.copy()]
        found += [array.copy() for array in net.state().values()]
    return found


@pytest.mark.parametrize("name", NETS)
def test_the_engines_layers_agree_with_the_plain_ones(name, random, dtype):
    """Of three batches the last is smaller; each is followed by one in evaluation, by what was remembered of it."""
    shape, kinds, layers = NETS[name]
    plain, fast = (isbe.Sequential(shape, *layers, dtype=dtype, kernels=kernels) for kernels in isbe.KERNELS)
    plain.values += random.normal(0, 0.3, plain.values.size).astype(dtype)
    fast.values[...] = plain.values
    batches = []
    for training, N in ((True, 4), (False, 4), (True, 4), (True, 3), (False, 1)):
        x = random.integers(0, kinds, (N, *shape)) if kinds else random.normal(2, 1, (N, *shape))
        batches.append((training, x.astype(dtype), random.normal(size=(N, *fast.nodes[-1].shape)).astype(dtype)))
    for got, wanted in zip(passes(fast, batches), passes(plain, batches), strict=True):
        scale = max(1, np.abs(wanted).max(initial=0))
        np.testing.assert_allclose(got, wanted, rtol=0, atol=scale * {"float32": 5e-6, "float64": 1e-14}[dtype.name])
    if type(layers[0]) is not isbe.Conv2D:
        ran = [{type(layer).__module__.split(".")[1] for layer, *_ in net._ran.steps} for net in (plain, fast)]
        assert "engine" not in ran[0] and ran[1] <= {"engine", "layers"} and "engine" in ran[1]


def test_the_sums_of_a_frequent_token_are_float64():
    """1 + 2⁻²⁵ is 1 in float32. Of many such rows something must be left."""
    net = isbe.Sequential((1,), isbe.Embedding(2, 1))
    dy = np.full((1 + 2**12, 1, 1), 2.0**-25, np.float32)
    dy[0] = 1
    net.backward(dy * (net.forward(np.zeros((len(dy), 1), np.float32)) != np.inf))
    assert net.parameters()[0].grad.ravel().tolist() == [1 + 2.0**-13, 0]
