"""What layers and heads take: any memory order, read-only and mapped memory, one example, odd sizes, parts of a batch."""

import numpy as np
import pytest

import isbe_np as isbe

LAYERS = {
    "dense": (isbe.Dense(7), (5,)), "conv2d": (isbe.Conv2D(3, 3, stride=2, padding=1), (3, 7, 5)),
    "conv2d without padding": (isbe.Conv2D(5, (2, 3)), (2, 5, 7)), "conv2d of one pixel": (isbe.Conv2D(2, 1), (3, 1, 1)),
    "maximum": (isbe.MaxPool2D(3, stride=2, padding=1), (3, 7, 5)), "average": (isbe.AveragePool2D(3, 1, 1), (3, 5, 3)),
    "flatten": (isbe.Flatten(), (3, 5, 1)), "dropout": (isbe.Dropout(0.3), (3, 5, 3)),
    "relu": (isbe.ReLU(), (5, 3, 3)), "leaky relu": (isbe.LeakyReLU(0.2), (7,)), "sigmoid": (isbe.Sigmoid(), (7,)),
    "tanh": (isbe.Tanh(), (3, 3, 3)), "hardsigmoid": (isbe.HardSigmoid(), (7,)), "hardtanh": (isbe.HardTanh(), (3, 5, 1)),
    "global average": (isbe.GlobalAveragePool(), (3, 5, 3)), "gelu": (isbe.GELU(), (7,)), "add": (None, (3, 5, 3)),
    # Of two numbers that ε leaves alone, batch norm's gradient all but cancels.
    "batch norm": (isbe.BatchNorm(eps=0.1), (5,)), "batch norm of images": (isbe.BatchNorm(eps=0.1), (3, 5, 3)),
    "layer norm": (isbe.LayerNorm(), (7,)), "layer norm of tokens": (isbe.LayerNorm(), (3, 5)),
    "dense of tokens": (isbe.Dense(7), (3, 5)), "attention": (isbe.MultiHeadSelfAttention(2), (3, 4)),
    "embedding": (isbe.Embedding(5, 3), (7,)), "positions": (isbe.PositionEmbedding(), (3, 5)),
    "patches": (isbe.Patches(2), (3, 4, 6)), "mean of tokens": (isbe.MeanTokens(), (3, 5)),
}
SUMS_OF_PRODUCTS = "dense", "conv2d", "attention"
every_layer = pytest.mark.parametrize("name", LAYERS)
every_normalizer = pytest.mark.parametrize("normalizer", isbe.NORMALIZERS)


def build(name, dtype):
    layer, shape = LAYERS[name]
    first = isbe.Input(shape)
    out = isbe.Add()(first, isbe.Tanh()(first)) if layer is None else layer(first)
    net = isbe.Graph(first, out, seed=1, dtype=dtype)
    for array in (*(parameter.value for parameter in net.parameters()), *net.state().values()):
        array += dtype.type(0.1)
    return net


def draw(random, net, N):
    """A batch for `net`, of whole numbers where it takes tokens, and an error, both of its dtype."""
    x, error = (random.normal(size=(N, *node.shape)) for node in (net.nodes[0], net.nodes[-1]))
    if isinstance(net.nodes[1].layer, isbe.Embedding):
        x = random.integers(0, 5, x.shape)
    return x.astype(net.dtype), error.astype(net.dtype)


def run(net, x, error):
    """The output and all gradients."""
    return [net.forward(x), net.backward(error, input_gradient=True), *(p.grad.copy() for p in net.parameters())]


def fortran(x, folder):
    return np.asfortranarray(x)


def every_other(x, folder):
    """A view into an array of twice the size along each axis."""
    wide = np.full([2 * n for n in x.shape], 77, x.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def backwards(x, folder):
    """A view with negative strides."""
    turn = tuple(slice(None, None, -1) for _ in x.shape)
    return x[turn].copy()[turn]


def read_only(x, folder):
    x = x.copy()
    x.flags.writeable = False
    return x


def repeated(x, folder):
    """A view without memory of its own: strides of 0 along the batch. All examples are the first."""
    return np.broadcast_to(x[:1], x.shape)


def misaligned(x, folder):
    """Numbers that start at an odd address."""
    memory = np.zeros(x.nbytes + 1, np.uint8)
    view = memory[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    assert not view.flags.aligned
    return view


def mapped(x, folder):
    """A file, mapped for reading alone."""
    path = folder / f"{x.dtype}-{'-'.join(map(str, x.shape))}.bin"
    x.tofile(path)
    return np.memmap(path, x.dtype, "r", shape=x.shape)


every_memory = pytest.mark.parametrize(
    "memory", [fortran, every_other, backwards, read_only, repeated, misaligned, mapped], ids=lambda f: f.__name__)


@pytest.mark.exhaustive
@every_layer
@every_memory
def test_layers_take_any_memory_with_the_same_bits_and_leave_it_alone(name, memory, dtype, random, tmp_path):
    net = build(name, dtype)
    x, error = (memory(array, tmp_path) for array in draw(random, net, 3))
    kept = np.array(x, order="C"), np.array(error, order="C")
    wanted = run(build(name, dtype), *kept)
    for got, same in zip(run(net, x, error), wanted, strict=True):
        assert got.tobytes() == same.tobytes()
    assert (x == kept[0]).all() and (error == kept[1]).all()


def head_run(normalizer, route, x, t):
    """Soft scores, error and loss, or None where the head refuses the route."""
    head = isbe.Head(normalizer, reduction="none")
    try:
        head.route = route
    except ValueError:
        return None
    return [head.forward(x), head.backward(t), head.loss(t)]


@pytest.mark.exhaustive
@every_normalizer
@every_memory
def test_heads_take_any_memory_with_the_same_bits_and_leave_it_alone(normalizer, memory, dtype, random, tmp_path):
    x = memory(random.normal(size=(3, 5)).astype(dtype), tmp_path)
    t = memory(random.dirichlet(np.ones(5), 3).astype(dtype), tmp_path)
    labels = memory(random.integers(0, 5, 3), tmp_path)
    kept = np.array(x, order="C"), np.array(t, order="C"), np.array(labels)
    for route in isbe.ROUTES:
        for targets, copied in ((t, kept[1]), (labels, kept[2])):
            got, wanted = head_run(normalizer, route, x, targets), head_run(normalizer, route, kept[0], copied)
            if wanted is not None:
                assert all(a.tobytes() == b.tobytes() for a, b in zip(got, wanted, strict=True))
    assert (x == kept[0]).all() and (t == kept[1]).all() and (labels == kept[2]).all()


@every_layer
def test_the_first_rows_of_a_batch_give_what_they_give_alone(name, dtype, random, assert_close):
    """Outputs and input gradients, to rounding; parameter gradients are sums over the batch, and so are their parts.

    Of batch norm that is so in evaluation alone, which this is: in training every example moves the batch's statistics.
    """
    net = build(name, dtype)
    x, error = draw(random, net, 11)
    whole = run(net, x, error)
    for k in (1, 2, 3, 4, 5, 7, 8, 10):
        first, rest = run(net, x[:k], error[:k]), run(net, x[k:], error[k:])
        for all_rows, rows in zip(whole[:2], first[:2], strict=True):
            assert_close(rows, all_rows[:k])
        for total, a, b in zip(whole[2:], first[2:], rest[2:], strict=True):
            assert_close(a + b, total, factor=3)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [name for name in LAYERS if not name.startswith(SUMS_OF_PRODUCTS)])
def test_layers_without_sums_of_products_give_the_same_bits_for_part_of_a_batch(name, dtype, random):
    """Dense and Conv2D sum in an order that may depend on the batch's size: for them it holds to rounding."""
    net = build(name, dtype)
    x, error = draw(random, net, 11)
    whole = run(net, x, error)
    for k in (1, 2, 3, 4, 5, 7, 8, 10):
        for all_rows, rows in zip(whole[:2], run(net, x[:k], error[:k])[:2], strict=True):
            assert rows.tobytes() == all_rows[:k].tobytes(), k


@every_normalizer
def test_heads_give_the_same_bits_for_part_of_a_batch(normalizer, dtype, random):
    x = random.normal(size=(11, 7)).astype(dtype)
    t = random.dirichlet(np.ones(7), 11).astype(dtype)
    for route in isbe.ROUTES:
        whole = head_run(normalizer, route, x, t)
        for k in range(1, 11) if whole else ():
            for all_rows, rows in zip(whole, head_run(normalizer, route, x[:k], t[:k]), strict=True):
                assert rows.tobytes() == all_rows[:k].tobytes(), (route, k)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [name for name in LAYERS if name != "embedding"])
@pytest.mark.parametrize("N", [1, 2, 3, 5, 6, 7, 9, 13])
def test_one_example_and_batches_that_are_no_multiple_of_four(name, N, random):
    """Gradients against central differences, of which there are none by a token."""
    net = build(name, np.dtype(np.float64))
    x, _ = draw(random, net, N)
    if (name, N) == ("batch norm", 1):
        with pytest.raises(ValueError, match="expects more than one number of each channel"):
            isbe.check_gradients(net, x)
    else:
        assert isbe.check_gradients(net, x).worst < 1e-6


@pytest.mark.parametrize("features, units, N", [(1, 1, 1), (3, 5, 7), (17, 9, 5), (33, 31, 3), (5, 66, 1), (127, 3, 6)])
def test_dense_of_odd_sizes(features, units, N, dtype, random, assert_close):
    net = isbe.Sequential((features,), isbe.Dense(units), dtype=dtype)
    x, error = random.normal(size=(N, features)).astype(dtype), random.normal(size=(N, units)).astype(dtype)
    y, dx, dw, db = run(net, x, error)
    weight, bias = (np.asarray(parameter.value, np.float64) for parameter in net.parameters())
    wide, wide_error = np.asarray(x, np.float64), np.asarray(error, np.float64)
    assert_close(y, wide @ weight.T + bias)
    assert_close(dx, wide_error @ weight)
    assert_close(dw, wide_error.T @ wide)
    assert_close(db, wide_error.sum(0))
