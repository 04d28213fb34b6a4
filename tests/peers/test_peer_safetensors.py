"""Weights that go to PyTorch and back by a safetensors file: both networks then compute the same."""

import numpy as np
import pytest

import isbe_np as isbe

pytestmark = pytest.mark.peers


def ours(seed, dtype):
    """A network with a convolution, both norms and dense layers."""
    image = isbe.Input((2, 6, 6))
    x = isbe.ReLU()(isbe.BatchNorm()(isbe.Conv2D(4, 3, padding=1)(image)))
    x = isbe.LayerNorm()(isbe.Dense(7)(isbe.Flatten()(x)))
    return isbe.Graph(image, isbe.Dense(3)(x), seed=seed, dtype=dtype)


def theirs(torch, dtype):
    """The same in PyTorch, its parts called as our layers are."""
    nn = torch.nn

    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv2d_1, self.batchnorm_1 = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
            self.dense_1, self.layernorm_1, self.dense_2 = nn.Linear(144, 7), nn.LayerNorm(7), nn.Linear(7, 3)

        def forward(self, x):
            x = torch.relu(self.batchnorm_1(self.conv2d_1(x)))
            return self.dense_2(self.layernorm_1(self.dense_1(x.flatten(1))))

    return Module().to(getattr(torch, dtype.name)).eval()


def close(torch, net, module, dtype):
    x = np.random.default_rng(1).normal(size=(5, 2, 6, 6)).astype(dtype)
    with torch.no_grad():
        wanted = module(torch.tensor(x)).numpy()
    assert np.abs(net.forward(x) - wanted).max() <= (1e-5 if dtype == np.float32 else 1e-13) * np.abs(wanted).max()


def test_pytorch_takes_our_weights_along(torch, dtype, tmp_path):
    load = pytest.importorskip("safetensors.torch").load_file
    net, module = ours(1, dtype), theirs(torch, dtype)
    for name, array in net.state().items():
        array[...] = np.random.default_rng(len(name)).uniform(0.5, 2, array.shape)
    isbe.save_safetensors(tmp_path / "a.safetensors", net)
    module.load_state_dict(load(tmp_path / "a.safetensors"))
    close(torch, net, module, dtype)


def test_we_take_pytorchs(torch, dtype, tmp_path):
    save = pytest.importorskip("safetensors.torch").save_file
    torch.manual_seed(0)
    module = theirs(torch, dtype)
    module.train()(torch.randn(8, 2, 6, 6, dtype=getattr(torch, dtype.name)))  # moves the running statistics
    save(module.eval().state_dict(), tmp_path / "a.safetensors")
    net = ours(2, dtype)
    isbe.load_safetensors(tmp_path / "a.safetensors", net)
    close(torch, net, module, dtype)
