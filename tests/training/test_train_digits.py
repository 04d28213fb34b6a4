"""Training on drawn digits: too slow without the compiler."""

import numba
import numpy as np
import pytest

import isbe_np as isbe

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes without the compiler")


@pytest.fixture(scope="module")
def digits():
    return isbe.datasets.load("digits", train=600, test=200)


def small(seed=0):
    return isbe.Sequential((1, 28, 28), isbe.Flatten(), isbe.Dense(64), isbe.ReLU(), isbe.Dense(10), seed=seed)


@pytest.mark.parametrize("normalizer", isbe.NORMALIZERS)
def test_digits_are_learnt_with_every_normalizer_by_route_isbe(digits, normalizer):
    history = isbe.train(small(), isbe.Head(normalizer, route="isbe"), digits, epochs=20, batch_size=50,
                         optimizer=isbe.SGD(0.05, momentum=0.9), progress=False)
    assert history.accuracy[-1] > 0.4 and history.train_accuracy[-1] > 0.8, history


def test_two_trainings_of_a_convolutional_network_give_the_same_bits(digits):
    nets = isbe.networks.lenet5(seed=1), isbe.networks.lenet5(seed=1)
    for net in nets:
        isbe.train(net, isbe.Head(), digits, batch_size=128, seed=2, progress=False)
    assert np.array_equal(nets[0].values, nets[1].values)


@pytest.mark.parametrize("route", isbe.ROUTES)
def test_every_route_of_softmax_trains_alike(digits, route):
    net, first = small(), small()
    history = isbe.train(net, isbe.Head(route=route), digits, epochs=2, progress=False)
    assert history.accuracy == pytest.approx(
        isbe.train(first, isbe.Head(route="isbe"), digits, epochs=2, progress=False).accuracy, abs=0.011)
    assert np.abs(net.values - first.values).max() < 1e-4
