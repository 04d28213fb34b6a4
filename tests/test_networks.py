"""Residual networks, transformers and the model of characters: their shapes, what depends on what, and that they learn."""

import numba
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np import networks


def test_sizes():
    def count(net):
        return sum(parameter.value.size for parameter in net.parameters())

    def convolution(inputs, filters, size):
        return inputs * filters * size**2 + filters + 2 * filters  # weights, biases, and batch norm's scale and shift

    block = [convolution(16, 16, 3) * 2, convolution(16, 32, 3) + convolution(32, 32, 3) + convolution(16, 32, 1),
             convolution(32, 64, 3) + convolution(64, 64, 3) + convolution(32, 64, 1)]
    assert count(networks.resnet()) == convolution(1, 16, 3) + sum(block) + 650
    assert count(networks.n2()) == sum(map(convolution, (1, 24, 48), (24, 48, 64), (5, 5, 3))) + 576 * 256 + 256 + 2570


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_networks_take_images_of_either_kind(name):
    for image in ((1, 28, 28), (3, 32, 32)):
        net = networks.NETWORKS[name](image=image)
        assert net.nodes[0].shape == image and net.nodes[-1].shape == (10,)


def test_depth_is_that_of_the_longest_path():
    assert [sum(isinstance(node.layer, (isbe.Conv2D, isbe.Dense)) for node in networks.resnet(depth=depth).nodes) - 2
            for depth in (8, 14, 20)] == [8, 14, 20]  # less the two convolutions on shortcuts
    with pytest.raises(ValueError, match=r"resnet\(depth\) expects 6 b \+ 2 .* got 10"):
        networks.resnet(depth=10)


def small():
    """Each new network, so small that its gradients can be checked number by number."""
    return {"resnet": networks.resnet(image=(1, 8, 8), width=2, dtype=np.float64),
            "transformer": networks.transformer(image=(1, 4, 4), patch=2, features=4, heads=2, blocks=1, dtype=np.float64)}


@pytest.mark.parametrize("name", small())
def test_gradients_by_the_input_are_those_of_differences(name):
    net, random = small()[name], np.random.default_rng(3)
    x, error = random.normal(size=(3, *net.nodes[0].shape)), random.normal(size=(3, 10))

    def value(x):
        return float((net.forward(x, training=True) * error).sum())

    value(x)
    gradient = net.backward(error, input_gradient=True)
    for place in [tuple(random.integers(0, n) for n in x.shape) for _ in range(12)]:
        moved = [x.copy(), x.copy()]
        moved[0][place] += 1e-5
        moved[1][place] -= 1e-5
        difference = (value(moved[0]) - value(moved[1])) / 2e-5
        assert abs(difference - gradient[place]) <= 1e-6 * max(1, abs(gradient).max())


def test_no_character_hears_of_a_later_one():
    net = networks.characters(vocabulary=7, length=6, features=8, heads=2)
    tokens = np.random.default_rng(0).integers(0, 7, (2, 6)).astype(np.float32)
    before = net.forward(tokens)
    tokens[:, 4] = (tokens[:, 4] + 1) % 7
    after = net.forward(tokens)
    assert before.shape == (2, 6, 7) and (before[:, :4] == after[:, :4]).all() and (before[:, 4:] != after[:, 4:]).any()


def texts(count, random):
    """Texts in which each token is the one before plus 1, or in others plus 2, both modulo 10."""
    step = random.integers(1, 3, (count, 1))
    tokens = (random.integers(0, 10, (count, 1)) + np.arange(9) * step) % 10
    return tokens[:, :-1].astype(np.float32), tokens[:, 1:]


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="trains a transformer, which takes a minute in plain Python")
@pytest.mark.parametrize("route", isbe.ROUTES)
def test_characters_learn_by_every_route(route):
    random = np.random.default_rng(1)
    (x_train, y_train), (x_test, y_test) = texts(320, random), texts(64, random)
    data = isbe.datasets.Dataset("texts", x_train, y_train, x_test, y_test, tuple("0123456789"), "made up")
    net = networks.characters(vocabulary=10, length=8, features=16, heads=2, blocks=1)
    history = isbe.train(net, isbe.Head(route=route), data, 6, 32, isbe.AdamW(5e-3), progress=False)
    assert history.accuracy[-1] > 0.8 and isbe.predict(net, x_test).shape == y_test.shape
    assert isbe.accuracy(net, x_test, y_test) == pytest.approx(history.accuracy[-1])


def test_labels_of_texts_are_checked():
    x, y = texts(8, np.random.default_rng(0))
    net = networks.characters(vocabulary=10, length=8, features=8, heads=2, blocks=1)

    def train(labels):
        data = isbe.datasets.Dataset("texts", x, labels, x, labels, tuple("0123456789"), "made up")
        isbe.train(net, isbe.Head(), data, 1, 4, isbe.SGD(0.1), progress=False)

    with pytest.raises(ValueError, match=r"label for each of 8 examples and 8 positions, shape \(8, 8\); got shape \(8,\)"):
        train(y[:, 0])
    with pytest.raises(ValueError, match=r"labels from 0 to 9, one for each of the network's 10 scores; label \(0, 3\) is 10"):
        train(np.where(np.arange(64).reshape(8, 8) == 3, 10, y))
    with pytest.raises(ValueError, match=r"one label for each of 8 examples and 8 positions, shape \(8, 8\); got shape \(8,\)"):
        isbe.accuracy(net, x, y[:, 0])
