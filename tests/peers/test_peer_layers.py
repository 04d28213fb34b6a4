"""Every layer against PyTorch: its output, its gradients, and five steps of an optimizer."""

import numpy as np
import peer
import pytest

import isbe_np as isbe
from isbe_np.layers.pooling import GlobalAveragePool

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("kernels")]


def whole(random, least, most):
    return int(random.integers(least, most + 1))


def pair(random, least, most):
    """One number for both axes, or two."""
    a, b = whole(random, least, most), whole(random, least, most)
    return (a, a) if random.random() < 0.4 else (a, b)


def vector(random):
    return (whole(random, 1, 19),)


def image(random, least=(1, 1)):
    return (whole(random, 1, 5), *(whole(random, n, n + 8) for n in least))


def any_shape(random):
    return vector(random) if random.random() < 0.5 else image(random)


def window(random, most):
    """Size, stride, padding of at most half the size, and an image that holds one window at least."""
    size, stride = pair(random, 1, most), pair(random, 1, most + 1)
    padding = tuple(whole(random, 0, k // 2) for k in size)
    return size, stride, padding, image(random, tuple(max(1, k - 2 * p) for k, p in zip(size, padding, strict=True)))


def dense(random, F):
    layer = isbe.Dense(whole(random, 1, 21))
    return vector(random), layer, lambda x, w, b: F.linear(x, w, b)


def conv2d(random, F):
    kernel, stride, padding = pair(random, 1, 5), pair(random, 1, 3), pair(random, 0, 3)
    shape = image(random, tuple(max(1, k - 2 * p) for k, p in zip(kernel, padding, strict=True)))
    layer = isbe.Conv2D(whole(random, 1, 9), kernel, stride=stride, padding=padding)
    return shape, layer, lambda x, w, b: F.conv2d(x, w, b, stride=stride, padding=padding)


def max_pool(random, F):
    size, stride, padding, shape = window(random, 4)
    return shape, isbe.MaxPool2D(size, stride, padding), lambda x: F.max_pool2d(x, size, stride, padding)


def average_pool(random, F):
    size, stride, padding, shape = window(random, 4)
    layer = isbe.AveragePool2D(size, stride, padding)
    return shape, layer, lambda x: F.avg_pool2d(x, size, stride, padding, count_include_pad=False)


def global_average_pool(random, F):
    return image(random), GlobalAveragePool(), lambda x: x.mean((2, 3))


def flatten(random, F):
    return image(random), isbe.Flatten(), lambda x: x.flatten(1)


def dropout(random, F):
    rate = random.uniform(0, 0.9)
    return any_shape(random), isbe.Dropout(rate), lambda x: F.dropout(x, rate, training=False)


def leaky_relu(random, F):
    slope = random.uniform(0, 0.9)
    return any_shape(random), isbe.LeakyReLU(slope), lambda x: F.leaky_relu(x, slope)


def hardsigmoid(random, F):
    """PyTorch's own in float64 rounds the 1/6 of its gradient to float32 (3e-8), so that its autograd has to do it there."""
    return any_shape(random), isbe.HardSigmoid(), lambda x: (
        F.hardsigmoid(x) if x.element_size() == 4 else (x + 3).clip(0, 6) / 6)


LAYERS = {
    "Dense": dense, "Conv2D": conv2d, "MaxPool2D": max_pool, "AveragePool2D": average_pool,
    "GlobalAveragePool": global_average_pool, "Flatten": flatten,
    "Dropout": dropout, "LeakyReLU": leaky_relu,
    "ReLU": lambda random, F: (any_shape(random), isbe.ReLU(), F.relu),
    "Sigmoid": lambda random, F: (any_shape(random), isbe.Sigmoid(), F.sigmoid),
    "Tanh": lambda random, F: (any_shape(random), isbe.Tanh(), F.tanh),
    "HardSigmoid": hardsigmoid,
    "HardTanh": lambda random, F: (any_shape(random), isbe.HardTanh(), F.hardtanh),
    "GELU": lambda random, F: (any_shape(random), isbe.GELU(), F.gelu),
}


def compare(torch, same, net, function, x, random):
    """Output and all gradients of `net` and of PyTorch's `function` of x and the parameters."""
    options = {"batch": x.shape, "layers": [node.layer for node in net.nodes[1:]]}
    parameters = peer.copy_parameters(torch, net, random)
    theirs_x = peer.tensor(torch, x)
    theirs = function(theirs_x, *parameters)
    same("output", net.forward(x), theirs, **options)
    error = peer.numbers(random, theirs.shape, x.dtype)
    theirs.backward(torch.tensor(error))
    same("gradient by the input", net.backward(error, input_gradient=True), theirs_x.grad, **options)
    for ours, its in zip(net.parameters(), parameters, strict=True):
        same(f"gradient by {ours.name}", ours.grad, its.grad, **options)


def compare_steps(torch, same, net, function, x, random):
    """Parameters after each of five steps that fit random targets by squared error, divided by the numbers in the output."""
    parameters = peer.copy_parameters(torch, net, random)
    our_optimizer, their_optimizer = peer.optimizers(torch, random, parameters, epsilons=(0.1, 1))
    targets = peer.numbers(random, net.forward(x).shape, x.dtype)
    for step in range(1, 6):
        net.backward((net.forward(x) - targets) / x.dtype.type(targets.size))
        our_optimizer.step(net)
        their_optimizer.zero_grad()
        error = function(torch.tensor(x), *parameters) - torch.tensor(targets)
        ((error ** 2).sum() / (2 * targets.size)).backward()
        their_optimizer.step()
        for ours, its in zip(net.parameters(), parameters, strict=True):
            same(f"{ours.name} after step {step}", ours.value, its, batch=x.shape, optimizer=our_optimizer,
                 layers=[node.layer for node in net.nodes[1:]])


def behind_parameters(torch, random, shape, layer, function, dtype):
    """The layer behind one that has parameters, so that there is something to train: a graph, and PyTorch's function."""
    F = torch.nn.functional
    if len(shape) == 1:
        first, start = isbe.Dense(shape[0]), F.linear
    else:
        first, start = isbe.Conv2D(shape[0], 1), F.conv2d
    return isbe.Sequential(shape, first, layer, dtype=dtype), lambda x, w, b: function(start(x, w, b))


@pytest.mark.parametrize("operation", LAYERS)
def test_every_layer_gives_and_learns_what_pytorchs_does(operation, dtype, torch):
    for random, same in peer.configurations(operation, dtype):
        shape, layer, function = LAYERS[operation](random, torch.nn.functional)
        x = peer.numbers(random, (whole(random, 1, 9), *shape), dtype)
        net = isbe.Sequential(shape, layer, dtype=dtype)
        compare(torch, same, net, function, x, random)
        if not net.parameters():
            net, function = behind_parameters(torch, random, shape, layer, function, dtype)
        compare_steps(torch, same, net, function, x, random)


def joint(random, dtype):
    """Two to four branches from one input, or from one Dense or Conv2D, that an Add joins; the input may be one of them."""
    shape, slopes = any_shape(random), random.uniform(0.1, 0.9, whole(random, 1, 3))
    first = isbe.Input(shape)
    node = (isbe.Dense(shape[0]) if len(shape) == 1 else isbe.Conv2D(shape[0], 1))(first)
    branches = [node, *(isbe.LeakyReLU(slope)(node) for slope in slopes)]
    return isbe.Graph(first, isbe.Add()(*branches), dtype=dtype), slopes


def test_add_gives_and_learns_what_pytorchs_sum_does(dtype, torch):
    F = torch.nn.functional
    for random, same in peer.configurations("Add", dtype):
        net, slopes = joint(random, dtype)
        shape = net.nodes[0].shape

        def function(x, w, b, slopes=slopes):
            y = F.linear(x, w, b) if x.ndim == 2 else F.conv2d(x, w, b)
            return y + sum(F.leaky_relu(y, slope) for slope in slopes)
        x = peer.numbers(random, (whole(random, 1, 9), *shape), dtype)
        compare(torch, same, net, function, x, random)
        compare_steps(torch, same, net, function, x, random)


def test_two_thousand_configurations_are_drawn():
    assert 2 * sum(peer.DRAWS.values()) >= 2000


def test_at_kinks_and_ties_the_gradient_is_pytorchs(dtype, torch):
    """Corners of the activations, and equal pixels in a window."""
    F = torch.nn.functional
    corners = np.array([[-3, -1, 0, -0.0, 1, 3, 2, 2]], dtype)
    for layer, function in ((isbe.ReLU(), F.relu), (isbe.LeakyReLU(0.1), lambda x: F.leaky_relu(x, 0.1)),
                            (isbe.HardSigmoid(), F.hardsigmoid), (isbe.HardTanh(), F.hardtanh)):
        same_bits_of_gradient(torch, isbe.Sequential((8,), layer, dtype=dtype), function, corners)
    ties = np.array([[[[0, 1, 1, 0], [1, 0, 1, 1], [2, 2, 0, 0], [2, 2, 0, 0]]]], dtype)
    for size, stride, padding in ((2, 2, 0), (3, 1, 1), (2, 1, 1), (4, 4, 0)):
        net = isbe.Sequential((1, 4, 4), isbe.MaxPool2D(size, stride, padding), dtype=dtype)
        same_bits_of_gradient(torch, net, lambda x, o=(size, stride, padding): F.max_pool2d(x, *o), ties)


def same_bits_of_gradient(torch, net, function, x):
    theirs_x = peer.tensor(torch, x)
    theirs = function(theirs_x)
    theirs.backward(torch.ones_like(theirs))
    net.forward(x)
    ours = net.backward(np.ones(theirs.shape, x.dtype), input_gradient=True)
    np.testing.assert_allclose(ours, theirs_x.grad.numpy(), rtol=1e-6)
