"""What optimizers remember: arrays of their own, and settings that are read at every step."""

import numpy as np
import pytest

import isbe_np as isbe


def network():
    """Three weights and a bias, with gradients of 1."""
    net = isbe.Sequential((3,), isbe.Dense(1), dtype=np.float64)
    net.grads[...] = 1
    return net


@pytest.mark.parametrize("make", [lambda: isbe.SGD(0.1, momentum=0.9), lambda: isbe.SGD(0.1, momentum=0.9, nesterov=True),
                                  isbe.Adam, isbe.AdamW], ids=["momentum", "nesterov", "adam", "adamw"])
def test_memory_is_apart_from_everything(make):
    """No array of the memory is another, the parameters or the gradients; and gradients are left as they are."""
    net, optimizer = network(), make()
    optimizer.step(net)
    arrays = [*optimizer.memory, net.values, net.grads]
    assert len(optimizer.memory) == optimizer.slots >= 1
    for k, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[:k])
    assert (net.grads == 1).all()


@pytest.mark.parametrize("make", [isbe.SGD, isbe.Adam, isbe.AdamW], ids=["sgd", "adam", "adamw"])
def test_the_learning_rate_may_change_between_steps(make):
    """As a schedule does: at a learning rate of 0 nothing moves, at the old one it does."""
    net, optimizer = network(), make(0.1)
    optimizer.step(net)
    moved = net.values.copy()
    optimizer.learning_rate = 0.0
    optimizer.step(net)
    assert (net.values == moved).all()
    optimizer.learning_rate = 0.1
    optimizer.step(net)
    assert (net.values != moved).all()
