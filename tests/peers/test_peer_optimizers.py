"""Every optimizer against PyTorch's: its steps along the same random gradients."""

import peer
import pytest

import isbe_np as isbe

pytestmark = pytest.mark.peers


def compare(torch, same, random, dtype, kind):
    """Parameters after each of twelve steps; the learning rate changes halfway, and some parameters start at zero."""
    net = isbe.Sequential((int(random.integers(1, 24)),), isbe.Dense(int(random.integers(1, 24))), dtype=dtype)
    weight, bias = peer.copy_parameters(torch, net, random)
    net.parameters()[1].value[...] = 0
    bias.data.zero_()
    ours, theirs = peer.optimizers(torch, random, [weight, bias], kind)
    for step in range(12):
        if step == 6:
            ours.learning_rate = theirs.param_groups[0]["lr"] = 0.37 * ours.learning_rate
        for parameter, its in zip(net.parameters(), (weight, bias), strict=True):
            parameter.grad[...] = random.normal(0, 10.0 ** random.integers(-3, 2), parameter.grad.shape)
            its.grad = torch.tensor(parameter.grad)
        ours.step(net)
        theirs.step()
        for parameter, its in zip(net.parameters(), (weight, bias), strict=True):
            same(f"{parameter.name} after step {step + 1}", parameter.value, its, optimizer=ours)


@pytest.mark.parametrize("kind", ["SGD", "momentum", "Nesterov", "Adam", "AdamW"])
def test_every_optimizer_takes_pytorchs_steps(kind, dtype, torch):
    for random, same in peer.configurations(kind, dtype):
        compare(torch, same, random, dtype, kind)


def test_adam_with_a_beta_near_one_in_float32(torch):
    """A first step from zero along a gradient of 1 is the learning rate, whatever the betas."""
    net, their = isbe.Sequential((1,), isbe.Dense(1)), torch.zeros(1, requires_grad=True)
    net.values[...], net.grads[...], their.grad = 0, 1, torch.ones(1)
    isbe.Adam(0.1, betas=(0.9, 0.9999)).step(net)
    torch.optim.Adam([their], 0.1, betas=(0.9, 0.9999)).step()
    assert abs(their.item() + 0.1) < 1e-7
    assert abs(net.values[0] - their.item()) <= 1e-5 * 0.1
