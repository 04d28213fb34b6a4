"""Weights in safetensors files: there and back to the bit, by PyTorch's names; what does not fit changes nothing."""

import struct

import numpy as np
import pytest
import tiny

import isbe_np as isbe

numpy_of = pytest.importorskip("safetensors.numpy")


def network(seed=0, dtype=np.float32):
    """Layers with every kind of name: weights, scales, running statistics."""
    image = isbe.Input((1, 4, 4))
    x = isbe.Flatten()(isbe.BatchNorm()(isbe.Conv2D(2, 3, name="stem")(image)))
    net = isbe.Graph(image, isbe.Dense(3)(isbe.LayerNorm()(x)), seed=seed, dtype=dtype)
    random = np.random.default_rng(seed)
    for parameter in net.parameters():
        parameter.value[...] = random.normal(size=parameter.value.shape)
    for array in net.state().values():
        array[...] = random.random(array.shape)
    return net


def same(one, other):
    return one.values.tobytes() == other.values.tobytes() and all(
        array.tobytes() == other.state()[name].tobytes() for name, array in one.state().items())


def test_there_and_back(tmp_path, dtype):
    net, other = network(1, dtype), network(2, dtype)
    isbe.save_safetensors(tmp_path / "a.safetensors", net)
    isbe.load_safetensors(tmp_path / "a.safetensors", other)
    assert same(net, other) and [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_names_are_those_of_pytorch(tmp_path):
    isbe.save_safetensors(tmp_path / "a.safetensors", network(), names={"stem": "features.0"})
    assert numpy_of.load_file(tmp_path / "a.safetensors").keys() == {
        "features.0.weight", "features.0.bias", "batchnorm_1.weight", "batchnorm_1.bias", "batchnorm_1.running_mean",
        "batchnorm_1.running_var", "layernorm_1.weight", "layernorm_1.bias", "dense_1.weight", "dense_1.bias"}
    other = network(3)
    isbe.load_safetensors(tmp_path / "a.safetensors", other, names={"stem": "features.0"})
    assert same(network(), other)


def test_what_pytorch_counts_besides_is_passed_over(tmp_path):
    isbe.save_safetensors(tmp_path / "a.safetensors", network())
    arrays = numpy_of.load_file(tmp_path / "a.safetensors") | {"batchnorm_1.num_batches_tracked": np.array(5)}
    numpy_of.save_file(arrays, tmp_path / "a.safetensors")
    other = network(3)
    isbe.load_safetensors(tmp_path / "a.safetensors", other)
    assert same(network(), other)


@pytest.mark.parametrize("change, sentence", [
    (lambda arrays: arrays.pop("dense_1.bias"), "got without dense_1.bias"),
    (lambda arrays: arrays.update({"other.weight": np.zeros(2, np.float32)}), "got also other.weight"),
    (lambda arrays: arrays.update({"dense_1.bias": np.zeros(4, np.float32)}), r"shape \(3,\) of F32; got \(4,\) of F32"),
    (lambda arrays: arrays.update({"dense_1.bias": np.zeros(3, np.float64)}), r"shape \(3,\) of F32; got \(3,\) of F64"),
    (lambda arrays: arrays.update({"dense_1.bias": np.zeros((3, 1), np.float32)}), r"got \(3, 1\) of F32"),
])
def test_what_does_not_fit_is_refused(change, sentence, tmp_path):
    isbe.save_safetensors(tmp_path / "a.safetensors", network())
    arrays = numpy_of.load_file(tmp_path / "a.safetensors")
    change(arrays)
    numpy_of.save_file(arrays, tmp_path / "a.safetensors")
    other = network(3)
    with pytest.raises(ValueError, match=sentence) as caught:
        isbe.load_safetensors(tmp_path / "a.safetensors", other)
    assert same(other, network(3)) and str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\x80\x04N.", struct.pack("<Q", 2**60) + b"{}", struct.pack("<Q", 5) + b"{\"a\":"])
def test_what_is_no_such_file(data, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.safetensors: format: expected a safetensors file"):
        isbe.load_safetensors(tmp_path / "a.safetensors", network())


def test_truncated_and_missing(tmp_path):
    isbe.save_safetensors(tmp_path / "a.safetensors", network())
    (tmp_path / "a.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:-1])
    other = network(3)
    with pytest.raises(ValueError, match="format"):
        isbe.load_safetensors(tmp_path / "a.safetensors", other)
    with pytest.raises(FileNotFoundError):
        isbe.load_safetensors(tmp_path / "none", other)
    assert same(other, network(3))


@pytest.mark.parametrize("names", [{"none": "x"}, {"stem": "dense_1"}])
def test_names_of_no_layer_or_twice(names, tmp_path):
    with pytest.raises(ValueError, match="names expects other names"):
        isbe.save_safetensors(tmp_path / "a.safetensors", network(), names)


def test_without_the_library(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    with pytest.raises(ImportError, match=r'pip install "isbe_np\[safetensors\]"'):
        isbe.save_safetensors(tmp_path / "a.safetensors", tiny.net())
