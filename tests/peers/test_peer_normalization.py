"""Batch and layer norm against PyTorch: output, all gradients and running statistics, in training and in evaluation."""

import numpy as np
import peer
import pytest

import isbe_np as isbe
from isbe_np.layers.normalization import BatchNorm, LayerNorm

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("kernels")]


def whole(random, least, most):
    return int(random.integers(least, most + 1))


def norm_of(random):
    """ε, and numbers of a mean and deviation that need not be 0 and 1, but so near that float32 keeps their difference."""
    eps, center, spread = 10 ** random.uniform(-6, -1), random.normal(0, 2), 10 ** random.uniform(-0.5, 1)
    return float(eps), lambda shape, dtype: (center + spread * random.normal(size=shape)).astype(dtype)


def compare(torch, same, net, module, x, error, training):
    """One pass of both, and what they remember after it."""
    theirs_x = peer.tensor(torch, x)
    module.train(training)
    module.zero_grad()
    theirs = module(theirs_x)
    theirs.backward(torch.tensor(error))
    options = {"batch": x.shape, "layer": net.nodes[-1].layer, "training": training}
    same("output", net.forward(x, training), theirs, **options)
    same("gradient by the input", net.backward(error, input_gradient=True), theirs_x.grad, **options)
    for ours, its in zip(net.parameters(), (module.weight, module.bias), strict=True):
        same(f"gradient by {ours.name}", ours.grad, its.grad, **options)
    for (name, array), its in zip(net.state().items(), list(module.buffers())[:2], strict=True):
        same(name, array, its, **options)


def as_parameters(torch, net, module, random):
    """Draw the parameters of `net`, and give PyTorch's module the same."""
    for ours, its in zip(net.parameters(), (module.weight, module.bias), strict=True):
        ours.value[...] = random.normal(0.5, 1, ours.value.shape)
        with torch.no_grad():
            its.copy_(torch.tensor(ours.value))


def test_batch_norm_is_pytorchs(dtype, torch):
    """Three batches in training, of sizes of their own, each followed by one in evaluation."""
    for random, same in peer.configurations("BatchNorm", dtype):
        # The sum of a single channel may cancel to rounding, and there would be nothing to compare it with.
        C, momentum = whole(random, 3, 19), float(random.uniform(0.05, 1))
        pixels = () if random.random() < 0.5 else (whole(random, 1, 6), whole(random, 1, 6))
        eps, draw = norm_of(random)
        net = isbe.Sequential((C, *pixels), BatchNorm(momentum, eps), dtype=dtype)
        kind = torch.nn.BatchNorm2d if pixels else torch.nn.BatchNorm1d
        module = kind(C, eps, momentum, dtype=getattr(torch, dtype.name))
        as_parameters(torch, net, module, random)
        for _ in range(3):
            # Of two or three numbers nearly all of the gradient by the input cancels, and rounding is what would be compared.
            x = draw((whole(random, 4, 40), C, *pixels), dtype)
            compare(torch, same, net, module, x, peer.numbers(random, x.shape, dtype), training=True)
            x = draw((whole(random, 4, 9), C, *pixels), dtype)
            compare(torch, same, net, module, x, peer.numbers(random, x.shape, dtype), training=False)


def test_layer_norm_is_pytorchs(dtype, torch):
    for random, same in peer.configurations("LayerNorm", dtype):
        shape = (*(whole(random, 1, 7) for _ in range(whole(random, 0, 2))), whole(random, 4, 70))
        eps, draw = norm_of(random)
        net = isbe.Sequential(shape, LayerNorm(eps), dtype=dtype)
        module = torch.nn.LayerNorm(shape[-1], eps, dtype=getattr(torch, dtype.name))
        as_parameters(torch, net, module, random)
        x = draw((whole(random, 1, 40), *shape), dtype)
        compare(torch, same, net, module, x, peer.numbers(random, x.shape, dtype), training=bool(random.integers(2)))


def test_a_residual_block_learns_what_pytorchs_does(dtype, torch):
    """Five steps of SGD with weight decay through convolution, batch norm and a sum, then the scores in evaluation."""
    nn, number = torch.nn, {"dtype": getattr(torch, dtype.name)}
    random = np.random.default_rng(8)
    first = isbe.Input((3, 5, 4))
    inner = isbe.Conv2D(3, 3, padding=1)(isbe.Tanh()(BatchNorm()(isbe.Conv2D(3, 3, padding=1)(first))))
    out = isbe.Dense(4)(LayerNorm()(isbe.Flatten()(isbe.Tanh()(isbe.Add()(first, BatchNorm()(inner))))))
    net = isbe.Graph(first, out, dtype=dtype)
    one, two = (nn.Conv2d(3, 3, 3, padding=1, **number) for _ in range(2))
    norms = nn.BatchNorm2d(3, **number), nn.BatchNorm2d(3, **number)
    last, dense = nn.LayerNorm(60, **number), nn.Linear(60, 4, **number)
    modules = nn.ModuleList([one, norms[0], two, norms[1], last, dense])
    theirs = {name: p for name, p in modules.named_parameters()}
    for ours, its in zip(net.parameters(), theirs.values(), strict=True):
        with torch.no_grad():
            its.copy_(torch.tensor(ours.value))
    options = {"momentum": 0.9, "weight_decay": 0.01}
    optimizer, theirs_optimizer = isbe.SGD(0.1, **options), torch.optim.SGD(theirs.values(), 0.1, **options)

    def function(x):
        x = torch.tensor(x)
        return dense(last(torch.tanh(x + norms[1](two(torch.tanh(norms[0](one(x)))))).flatten(1)))
    bound = peer.BOUND[dtype.name]
    for _ in range(5):
        x, targets = random.normal(size=(6, 3, 5, 4)).astype(dtype), random.normal(size=(6, 4)).astype(dtype)
        net.backward((net.forward(x, training=True) - targets) / dtype.type(24))
        optimizer.step(net)
        theirs_optimizer.zero_grad()
        (((function(x) - torch.tensor(targets)) ** 2).sum() / 48).backward()
        theirs_optimizer.step()
    for ours, its in zip(net.parameters(), theirs.values(), strict=True):
        # Straight before a batch norm the gradient by a bias is 0, but for rounding.
        np.testing.assert_allclose(ours.value, its.detach().numpy(), rtol=0, atol=bound * max(1e-2, np.abs(ours.value).max()))
    modules.eval()
    wanted = function(x).detach().numpy()
    np.testing.assert_allclose(net.forward(x), wanted, rtol=0, atol=bound * np.abs(wanted).max())
