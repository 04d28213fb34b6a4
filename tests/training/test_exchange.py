"""Weights in safetensors files: there and back to the bit, by PyTorch's names; what does not fit changes nothing."""

import json
import os
import struct

import numpy as np
import pytest
import tiny

import isbe_np as isbe
from isbe_np.layers.base import Weights

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


posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")


@posix
@pytest.mark.parametrize("kind, error, sentence", [
    ("a pipe", ValueError, "kind: expected a plain file; got a pipe or a device"),
    ("a device", ValueError, "kind: expected a plain file; got a pipe or a device"),
    ("a folder", OSError, "cannot be read: Is a directory"), ("a loop", OSError, "cannot be read: Too many levels"),
    ("nothing", FileNotFoundError, "cannot be read: No such file")])
def test_what_is_no_plain_file_is_a_sentence_and_not_waited_for(kind, error, sentence, tmp_path):
    path, other = tmp_path / "a.safetensors", network(3)
    {"a pipe": lambda: os.mkfifo(path), "a device": lambda: path.symlink_to("/dev/zero"), "a folder": path.mkdir,
     "a loop": lambda: path.symlink_to(path), "nothing": str}[kind]()
    with pytest.raises(error) as caught:
        isbe.load_safetensors(path, other)
    assert str(caught.value).startswith(str(path)) and sentence in str(caught.value) and same(other, network(3))


def written(path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)


ONE = {"dtype": "F32", "shape": [2, 1, 3, 3], "data_offsets": [0, 72]}


@pytest.mark.parametrize("header, length", [
    ({"a": ONE | {"shape": [3]}}, None), ({"a": ONE | {"shape": [10**400]}}, None), ({"a": ONE | {"shape": [-1]}}, None),
    ({"a": ONE | {"shape": [2**33, 2**33]}}, None), ({"a": ONE | {"data_offsets": [0, 10**400]}}, None),
    ({"a": ONE | {"data_offsets": [72, 0]}}, None), ({"a": ONE | {"dtype": "F33"}}, None),
    ({"a": ONE | {"dtype": "F8_E4M3"}}, None),
    ({"a": []}, None), ([], None), (None, None), (b"", None), (b"[" * 10**5, None), ({"a": ONE, "b": ONE}, None),
    (b'{"a": NaN}', None), ({"a": ONE}, 2**63), ({"a": ONE}, 2**64 - 1), ({"a": ONE}, 10**9), (b"\x1b[2J", None),
    ({"\x1b[2J\n": ONE}, None), (json.dumps({"a": ONE}).encode("utf-16"), None)], ids=str)
def test_a_header_that_lies_is_one_sentence(header, length, tmp_path):
    path, other = tmp_path / "a.safetensors", network(3)
    written(path, header, bytes(72), length)
    with pytest.raises(ValueError) as caught:
        isbe.load_safetensors(path, other)
    told = str(caught.value)
    assert told.startswith(f"{path}: ") and told.isprintable() and len(told) < 1100 and same(other, network(3))


class Two(isbe.layers.Layer):
    """A layer that calls a parameter and what it remembers by names of its own."""

    def __init__(self, weight, state, name=None):
        super().__init__(name)
        self.weight, self.state_name = weight, state

    def weights(self, shape):
        return {self.weight: Weights(shape, 1.0)}

    def state(self, shape):
        return {self.state_name: Weights(shape, 0.0, 2.0)}


def two(weight="b.c", state="d", seed=0):
    return isbe.Sequential((3,), Two(weight, state, name="a"), seed=seed)


def test_a_parameter_and_a_state_of_one_name_are_not_one_array(tmp_path):
    """One would be written for both."""
    with pytest.raises(ValueError, match=r"holds one array of a name; the network has two called a\.mean\. Give one"):
        isbe.save_safetensors(tmp_path / "a.safetensors", two("mean", "mean"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("names", [None, {"a": "x.y"}])
def test_parts_with_a_dot_in_their_names(names, tmp_path):
    net, other = two(), two(seed=5)
    isbe.save_safetensors(tmp_path / "a.safetensors", net, names)
    assert set(numpy_of.load_file(tmp_path / "a.safetensors")) == {f"{'x.y' if names else 'a'}.{part}" for part in ("b.c", "d")}
    isbe.load_safetensors(tmp_path / "a.safetensors", other, names)
    assert same(net, other)
