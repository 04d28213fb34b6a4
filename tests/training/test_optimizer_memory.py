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


@pytest.mark.parametrize("make", [lambda: isbe.SGD(0.1, momentum=0.9), isbe.Adam, isbe.AdamW], ids=["sgd", "adam", "adamw"])
@pytest.mark.parametrize("at", ["the first array", "the last array", "the update"])
def test_a_step_without_memory_is_no_step(make, at, monkeypatch):
    """Neither for the optimizer nor for the network: the next one is the first, to the bit."""
    net, optimizer, other, wanted = network(), make(), network(), make()
    start, left = net.values.copy(), [0 if at == "the first array" else optimizer.slots - 1]

    def full(*given, **named):
        if not left[0]:
            raise MemoryError("no memory")
        left[0] -= 1
        return np.zeros(net.values.shape)

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        if at == "the update":
            patch.setattr(optimizer, "update", lambda *_: full(left.__setitem__(0, 0)))
        else:
            patch.setattr("isbe_np.training.optimizers.np.zeros_like", full)
        optimizer.step(net)
    assert optimizer.steps == 0 and np.array_equal(net.values, start)
    for _ in range(2):
        optimizer.step(net)
        wanted.step(other)
    assert np.array_equal(net.values, other.values) and optimizer.steps == 2


def test_an_optimizer_that_found_no_memory_belongs_to_no_network(monkeypatch):
    optimizer = isbe.Adam()
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr("isbe_np.training.optimizers.np.zeros_like", lambda *_: (_ for _ in ()).throw(MemoryError))
        optimizer.step(network())
    optimizer.step(network())
