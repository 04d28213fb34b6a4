"""Checkpoints: what was saved is loaded, to the bit, from the file alone or into objects of one's own; nothing else is."""

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import asdict

import numpy as np
import pytest
import tiny
from tiny import changed

import isbe_np as isbe
from isbe_np.networks import NETWORKS
from isbe_np.training import checkpoint as module
from isbe_np.training.optimizers import Optimizer


def stepped(net, optimizer):
    """`net` and `optimizer` after a step along gradients that are drawn at random."""
    random = np.random.default_rng(3)
    for parameter in net.parameters():
        parameter.grad[...] = random.normal(0, 0.1, parameter.grad.shape)
    optimizer.step(net)
    for array in net.state().values():
        array[...] = random.random(array.shape)
    net.random.random(5)
    return net, optimizer


def same(one, other):
    """Whether two networks hold the same bits: parameters, running statistics, and the random numbers to come."""
    return (one.values.tobytes() == other.values.tobytes() and one.state().keys() == other.state().keys()
            and all(one.state()[name].tobytes() == array.tobytes() for name, array in other.state().items())
            and one.random.bit_generator.state == other.random.bit_generator.state)


def small(dtype=np.float32, seed=0):
    """A graph of a branch, a batch norm, a layer in two places and dropout."""
    image = isbe.Input((2, 6, 6))
    conv = isbe.Conv2D(2, 3, padding=1, name="twice")
    x = isbe.BatchNorm(momentum=0.25)(conv(image))
    y = isbe.Dropout(0.5)(isbe.LeakyReLU(0.2)(conv(x)))
    return isbe.Graph(image, isbe.Dense(3)(isbe.Flatten()(isbe.MaxPool2D(2, padding=1)(isbe.Add()(x, y)))), seed=seed,
                      dtype=dtype, fuse=False)


@pytest.mark.parametrize("name", [*NETWORKS, "characters"])
def test_every_network_comes_back_from_its_file(name, tmp_path):
    net, optimizer = stepped(getattr(isbe.networks, name)(seed=2), isbe.AdamW(1e-3))
    isbe.save_checkpoint(tmp_path / "a.npz", net, isbe.Head(), optimizer)
    found = isbe.load_checkpoint(tmp_path / "a.npz")
    assert same(found.net, net) and found.net.summary() == net.summary()
    assert repr(found.optimizer) == repr(optimizer) and found.optimizer.steps == 1
    assert all(a.tobytes() == b.tobytes() for a, b in zip(found.optimizer.memory, optimizer.memory, strict=True))


def test_the_scores_of_a_loaded_network_are_the_same(tmp_path, dtype):
    net, _ = stepped(small(dtype), isbe.SGD(0.1))
    batch = np.random.default_rng(0).random((5, 2, 6, 6)).astype(dtype)
    wanted = net.forward(batch)
    isbe.save_checkpoint(tmp_path / "a.npz", net)
    found = isbe.load_network(tmp_path / "a.npz")
    assert found.forward(batch).tobytes() == wanted.tobytes()
    assert (found.fuse, found.seed, found.dtype) == (False, 0, dtype)
    # Dropout goes on where it was.
    assert found.forward(batch, training=True).tobytes() == net.forward(batch, training=True).tobytes()


def test_another_process_needs_the_file_alone(tmp_path):
    net = tiny.net(seed=9)
    isbe.save_checkpoint(tmp_path / "a.npz", net)
    np.save(tmp_path / "x.npy", tiny.dataset().x_test)
    program = ("import sys, numpy as np, isbe_np as isbe; net = isbe.load_network('a.npz'); "
               "sys.stdout.buffer.write(net.forward(np.load('x.npy')).tobytes())")
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True,
                         env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    assert run.stdout == net.forward(tiny.dataset().x_test).tobytes()


def test_all_that_was_given_comes_back(tmp_path):
    net, optimizer = stepped(tiny.net(), isbe.SGD(0.25, momentum=0.5, nesterov=True, weight_decay=1e-3))
    head = isbe.Head("softmax", "fused", "sum", dilation=[1, 2, 3], relocation=0.5, strict=False)
    history = isbe.History([0.1 + 0.2], [1 / 3], [float("inf")], [1e-300], [0.1], [2.5], 7, None, None, "Nothing was learnt.")
    note = {"classes": ["a", "ü"], "tuple": (1, 2.5, None, True), "array": np.arange(3)}
    isbe.save_checkpoint(tmp_path / "a.npz", net, head, optimizer, history, note)
    found = isbe.load_checkpoint(tmp_path / "a.npz")
    assert found.history == history and found.note == {**note, "tuple": [1, 2.5, None, True], "array": [0, 1, 2]}
    assert repr(found.head) == repr(head) and found.head.normalizer.dilation.tolist() == [1, 2, 3]
    assert not found.head.strict and repr(found.optimizer) == repr(optimizer)
    assert found.environment["numpy"] == np.__version__ and found.training is None
    assert repr(os.getcwd())[1:-1] not in json.dumps(found.environment), "no paths of this machine"


def test_what_was_not_given_is_none(tmp_path):
    isbe.save_checkpoint(tmp_path / "a.npz", tiny.net())
    found = isbe.load_checkpoint(tmp_path / "a.npz")
    assert (found.head, found.optimizer, found.history, found.note) == (None,) * 4


def test_an_optimizer_that_took_no_step(tmp_path):
    isbe.save_checkpoint(tmp_path / "a.npz", tiny.net(), optimizer=isbe.Adam())
    found = isbe.load_checkpoint(tmp_path / "a.npz")
    assert found.optimizer.steps == 0 and not any(slot.any() for slot in found.optimizer.memory)
    stepped(found.net, found.optimizer)  # it belongs to that network


def test_numpy_reads_the_arrays_by_their_names(tmp_path):
    net = tiny.net()
    isbe.save_checkpoint(tmp_path / "a.npz", net)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert np.array_equal(arrays["parameters/dense_1.weight"], net.parameters()[0].value)


def test_objects_that_are_passed_are_filled_in_place(tmp_path):
    net, optimizer = stepped(small(), isbe.SGD(0.1, momentum=0.9))
    isbe.save_checkpoint(tmp_path / "a.npz", net, isbe.Head(), optimizer)
    other, head, fresh = small(seed=8), isbe.Head(), isbe.SGD(0.1, momentum=0.9)
    values, random = other.values, other.random
    found = isbe.load_checkpoint(tmp_path / "a.npz", other, head, fresh)
    assert found.net is other and found.head is head and found.optimizer is fresh
    assert other.values is values and other.random is random and same(other, net)
    stepped(net, optimizer), stepped(other, fresh)
    assert same(net, other)


def test_an_optimizer_that_served_another_network_may_be_filled(tmp_path):
    net, optimizer = stepped(tiny.net(), isbe.SGD(0.1, momentum=0.9))
    isbe.save_checkpoint(tmp_path / "a.npz", net, optimizer=optimizer)
    _, used = stepped(tiny.linear(), isbe.SGD(0.1, momentum=0.9))
    found = isbe.load_checkpoint(tmp_path / "a.npz", optimizer=used)
    assert used.memory[0].tobytes() == optimizer.memory[0].tobytes()
    used.step(found.net)


class Scaled(isbe.Layer):
    """A layer of one's own that keeps its argument."""

    def __init__(self, factor, name=None):
        super().__init__(name)
        self.factor = factor

    def forward(self, step):
        np.multiply(step.x, self.factor, out=step.y)

    def backward(self, step):
        np.multiply(step.dy, self.factor, out=step.dx)


class Hidden(Scaled):
    """One that does not."""

    def __init__(self, amount):
        super().__init__(2 * amount)


class MyNormalizer(isbe.Normalizer):
    """A normalizer of one's own."""

    def forward(self, scores):
        return scores


class Halving(Optimizer):
    """An optimizer of one's own with a slot."""

    slots = 1

    def update(self, w, g, number):
        self.memory[0] += g
        w -= number(self.learning_rate) * self.memory[0]


def test_a_layer_of_ones_own_called_as_one_of_ours_is_not_taken_for_it(tmp_path):
    ReLU = type("ReLU", (Scaled,), {})
    net = isbe.Sequential((4,), isbe.Dense(3), ReLU(0.5), isbe.ReLU())
    isbe.save_checkpoint(tmp_path / "a.npz", net)
    with pytest.raises(ValueError, match="a network with a layer 'ReLU' of somebody's own"):
        isbe.load_network(tmp_path / "a.npz")
    found = isbe.load_network(tmp_path / "a.npz", layers=[ReLU])
    assert [type(node.layer) for node in found.nodes[2:]] == [ReLU, isbe.ReLU]


def test_an_optimizer_of_ones_own_called_as_one_of_ours_is_not_taken_for_it(tmp_path):
    SGD = type("SGD", (isbe.SGD,), {})
    isbe.save_checkpoint(tmp_path / "a.npz", tiny.net(), optimizer=SGD(0.1))
    assert isbe.load_checkpoint(tmp_path / "a.npz").optimizer is None


def test_a_layer_that_changes_its_argument_is_noticed(tmp_path):
    class Doubled(Scaled):
        def __init__(self, factor):
            super().__init__(2 * factor)

    isbe.save_checkpoint(tmp_path / "a.npz", isbe.Sequential((4,), isbe.Dense(3), Doubled(1)))
    with pytest.raises(ValueError, match="'Doubled' does not keep its arguments under their names"):
        isbe.load_network(tmp_path / "a.npz", layers=[Doubled])


def test_layers_of_ones_own_are_made_only_when_they_are_passed(tmp_path):
    net = isbe.Sequential((4,), isbe.Dense(3), Scaled(0.5), seed=4)
    isbe.save_checkpoint(tmp_path / "a.npz", net)
    with pytest.raises(ValueError, match=r"a.npz: .* only where its class is passed, as in layers=\[Scaled\]"):
        isbe.load_network(tmp_path / "a.npz")
    found = isbe.load_network(tmp_path / "a.npz", layers=[Scaled])
    assert same(found, net) and found.nodes[-1].layer.factor == 0.5
    assert same(isbe.load_checkpoint(tmp_path / "a.npz", isbe.Sequential((4,), isbe.Dense(3), Scaled(0.5))).net, net)


def test_a_layer_that_hides_its_arguments_needs_the_network(tmp_path):
    net = isbe.Sequential((4,), isbe.Dense(3), Hidden(1))
    isbe.save_checkpoint(tmp_path / "a.npz", net)
    with pytest.raises(ValueError, match="'Hidden' does not keep its arguments under their names"):
        isbe.load_network(tmp_path / "a.npz", layers=[Hidden])
    assert same(isbe.load_checkpoint(tmp_path / "a.npz", isbe.Sequential((4,), isbe.Dense(3), Hidden(1), seed=3)).net, net)


def test_heads_and_optimizers_of_ones_own_must_be_passed(tmp_path):
    net, optimizer = stepped(tiny.net(), Halving(0.1, 0.0))
    isbe.save_checkpoint(tmp_path / "a.npz", net, isbe.Head(MyNormalizer()), optimizer)
    found = isbe.load_checkpoint(tmp_path / "a.npz")
    assert found.head is None and found.optimizer is None and same(found.net, net)
    head, other = isbe.Head(MyNormalizer()), Halving(0.1, 0.0)
    found = isbe.load_checkpoint(tmp_path / "a.npz", head=head, optimizer=other)
    assert found.head is head and other.memory[0].tobytes() == optimizer.memory[0].tobytes() and other.steps == 1


@pytest.mark.parametrize("passed, sentence", [
    ({"net": tiny.linear()}, "the file has the layers Input, Flatten, Dense, ReLU, Dense, where this network has Input,"),
    ({"net": tiny.net(dtype=np.float64)}, "the file has numbers of float32, where this network's are float64"),
    ({"net": isbe.Sequential((1, 2, 2), isbe.Flatten(), isbe.Dense(9), isbe.ReLU(), isbe.Dense(3))},
     "a layer Dense with {'units': 8"),
    ({"net": tiny.net(image=(1, 4, 1))}, r"a layer Input with {'shape': \[1, 2, 2\]"),
    ({"head": isbe.Head(route="fused")}, "expects the head that .* was saved with, route isbe; got fused"),
    ({"optimizer": isbe.SGD(0.2, momentum=0.9)}, "the optimizer .* saved with, learning_rate 0.1; got 0.2"),
    ({"optimizer": isbe.Adam(0.1)}, "the optimizer .* saved with, kind SGD; got Adam"),
], ids=str)
def test_what_does_not_fit_is_refused_and_left_alone(passed, sentence, tmp_path):
    net, optimizer = stepped(tiny.net(), isbe.SGD(0.1, momentum=0.9))
    isbe.save_checkpoint(tmp_path / "a.npz", net, isbe.Head(), optimizer)
    before = passed["net"].values.copy() if "net" in passed else None
    with pytest.raises(ValueError, match=sentence):
        isbe.load_checkpoint(tmp_path / "a.npz", **passed)
    assert before is None or np.array_equal(passed["net"].values, before)


@pytest.mark.parametrize("passed", [{"head": isbe.Head()}, {"optimizer": isbe.SGD(0.1)}], ids=["head", "optimizer"])
def test_what_the_file_does_not_hold_cannot_be_filled(passed, tmp_path):
    isbe.save_checkpoint(tmp_path / "a.npz", tiny.net())
    with pytest.raises(ValueError, match="holds none"):
        isbe.load_checkpoint(tmp_path / "a.npz", **passed)


def test_a_damaged_array_changes_nothing(tmp_path):
    """Even where the damage is at the end, after all that was right."""
    net, optimizer = stepped(tiny.net(), isbe.SGD(0.1, momentum=0.9))
    isbe.save_checkpoint(tmp_path / "a.npz", net, optimizer=optimizer)
    data = bytearray((tmp_path / "a.npz").read_bytes())
    with zipfile.ZipFile(tmp_path / "a.npz") as packed:
        last = packed.infolist()[-1]
    data[last.header_offset + 30 + len(last.filename) + last.file_size - 1] ^= 1
    (tmp_path / "a.npz").write_bytes(data)
    other, fresh = tiny.net(seed=5), isbe.SGD(0.1, momentum=0.9)
    before = other.values.copy()
    with pytest.raises(ValueError, match=r"a\.npz: (SHA-256 of the content|member .*: expected an undamaged one)"):
        isbe.load_checkpoint(tmp_path / "a.npz", other, optimizer=fresh)
    assert np.array_equal(other.values, before) and fresh.steps == 0 and not fresh.memory


def test_the_file_before_is_kept(tmp_path):
    first, second = tiny.net(seed=1), tiny.net(seed=2)
    isbe.save_checkpoint(tmp_path / "a.npz", first)
    assert os.listdir(tmp_path) == ["a.npz"]
    isbe.save_checkpoint(tmp_path / "a.npz", second)
    assert sorted(os.listdir(tmp_path)) == ["a.npz", "a.previous.npz"]
    assert same(isbe.load_network(tmp_path / "a.npz"), second) and same(isbe.load_network(tmp_path / "a.previous.npz"), first)


@pytest.mark.parametrize("change, sentence", [
    (lambda f: f.update(format="torch"), "format: expected 'isbe_np checkpoint'; got 'torch'"),
    (lambda f: f.update(version=2), "is of version 2; this isbe_np reads 1"),
    (lambda f: f.pop("note"), "facts: expected the names format, version"),
    (lambda f: f["network"]["layers"][1].update(kind="os.system"), "its layers should be of isbe_np; one is a 'os.system'"),
    (lambda f: f["network"]["layers"][1].update(kind="x\n\x1b[31m"), r"one is a 'x\\n\\x1b\[31m'"),
    (lambda f: f["network"].update(dtype="a\n\x1b[31m"), r"it is 'a\\n\\x1b"),
    (lambda f: f["network"]["layers"][2].update(settings={"units": 8, "name": "\ud800"}), "arrays"),
    (lambda f: f["optimizer"].update(kind="Adam", settings={"learning_rate": 1, "betas": [], "epsilon": 1, "weight_decay": 0}),
     "facts: expected those of a network that can be made"),
    (lambda f: f["network"]["layers"][1].update(kind="Layer"), "its layers should be of isbe_np; one is a 'Layer'"),
    (lambda f: f["network"]["layers"][2]["settings"].update(units=10**12), "its values should have up to 134,217,728 numbers"),
    (lambda f: f["network"]["layers"][2]["settings"].update(units=10**8), "array 'parameters/dense_1.weight': expected"),
    (lambda f: f["network"]["layers"][2]["settings"].update(units=9), "array 'parameters/dense_1.weight': expected"),
    (lambda f: f["network"]["layers"][2]["settings"].update(units="8"), "Dense.units. expects a whole number"),
    (lambda f: f["network"]["layers"][2]["settings"].update(color="red"), "unexpected keyword argument 'color'"),
    (lambda f: f["network"]["nodes"][1].update(reads=[3]), "node 1 should read nodes before it"),
    (lambda f: f["network"]["layers"].append(f["network"]["layers"][-1]), "nodes and layers should be in the order of"),
    (lambda f: f.update(note=json.loads("[" * 150 + "]" * 150)), "up to 100 lists and dicts within each other"),
    (lambda f: f["network"]["nodes"].reverse(), "node 0 should read nodes before it"),
    (lambda f: f["network"].update(dtype="float16"), "its dtype should be one of float32, float64; it is 'float16'"),
    (lambda f: f["network"].update(seed=-1), "its seed should be a number from 0 on"),
    (lambda f: f["network"]["random"]["state"].update(state=-1), "random numbers"),
    (lambda f: f["network"]["random"].update(bit_generator="MT19937"), "random numbers"),
    (lambda f: f["optimizer"].update(slots=0), "optimizer: expected 1 arrays beside the parameters; got 0"),
    (lambda f: f["optimizer"].update(steps=-1), "counts: expected numbers from 0 on"),
    (lambda f: f["optimizer"]["settings"].update(momentum=2), "SGD.momentum. expects a number from 0 to below 1"),
    (lambda f: f["head"].update(normalizer="sofmax"), "Did you mean 'softmax'"),
    (lambda f: f["head"].update(route="isbe2"), "Head: route expects"),
    (lambda f: f["head"].update(dilation=[-1.0]), "dilation must be positive"),
    (lambda f: f["history"].update(accuracy=["high"]), r"facts.history.accuracy\[0\]: expected float; got high"),
])
def test_facts_that_are_no_network_are_one_sentence(change, sentence, tmp_path):
    net, optimizer = stepped(tiny.net(), isbe.SGD(0.1, momentum=0.9))
    isbe.save_checkpoint(tmp_path / "a.npz", net, isbe.Head(), optimizer, isbe.History())
    changed(tmp_path / "a.npz", change)
    with pytest.raises(ValueError, match=sentence) as caught:
        isbe.load_checkpoint(tmp_path / "a.npz")
    assert str(tmp_path / "a.npz") in str(caught.value) and "\n" not in str(caught.value)


def test_an_optimizer_with_a_setting_too_many_is_another(tmp_path):
    isbe.save_checkpoint(tmp_path / "a.npz", tiny.net(), optimizer=isbe.SGD(0.1))
    changed(tmp_path / "a.npz", lambda facts: facts["optimizer"]["settings"].update(more=1))
    with pytest.raises(ValueError, match="was saved with, more 1; got None"):
        isbe.load_checkpoint(tmp_path / "a.npz", optimizer=isbe.SGD(0.1))


@pytest.mark.parametrize("name, given", [("net", "net"), ("head", "softmax"), ("optimizer", 0.1)])
def test_what_is_no_network_is_not_the_files_fault(name, given, tmp_path):
    isbe.save_checkpoint(tmp_path / "a.npz", tiny.net())
    with pytest.raises(TypeError, match=rf"load_checkpoint\({name}\) expects an isbe_np .*; got {given!r}"):
        isbe.load_checkpoint(tmp_path / "a.npz", **{name: given})
    with pytest.raises(TypeError, match=rf"save_checkpoint\({name}\) expects an isbe_np"):
        isbe.save_checkpoint(tmp_path / "b.npz", **{"net": tiny.net(), name: given})


def test_a_message_has_an_end(tmp_path):
    isbe.save_checkpoint(tmp_path / "a.npz", tiny.net())
    changed(tmp_path / "a.npz", lambda facts: facts["network"]["layers"][1].update(kind="x" * 100_000))
    for passed in (None, tiny.net()):
        with pytest.raises(ValueError) as caught:
            isbe.load_checkpoint(tmp_path / "a.npz", passed)
        assert len(str(caught.value)) < 1100 and str(caught.value).endswith(("anew.", "or none."))


def test_names_of_members_lead_down(tmp_path):
    net = isbe.Sequential((4,), isbe.Dense(3, name="../../x"))
    isbe.save_checkpoint(tmp_path / "a.npz", net)
    with zipfile.ZipFile(tmp_path / "a.npz") as packed:
        assert not any(".." in name or name.startswith("/") for name in packed.namelist())
    assert same(isbe.load_network(tmp_path / "a.npz"), net)


def test_an_unknown_optimizer_is_not_made(tmp_path):
    """Its class is a word in the file, and no more."""
    net, optimizer = stepped(tiny.net(), isbe.SGD(0.1, momentum=0.9))
    isbe.save_checkpoint(tmp_path / "a.npz", net, optimizer=optimizer)
    changed(tmp_path / "a.npz", lambda facts: facts["optimizer"].update(kind="eval"))
    with pytest.raises(ValueError, match="its optimizer should be one of SGD, Adam, AdamW; it is a 'eval'"):
        isbe.load_checkpoint(tmp_path / "a.npz")
    changed(tmp_path / "a.npz", lambda facts: facts["optimizer"].update(built_in=False))
    assert isbe.load_checkpoint(tmp_path / "a.npz").optimizer is None


def test_a_network_of_huge_values_is_refused_before_it_is_made(tmp_path):
    """A few parameters may make values that fill any memory."""
    net = isbe.Sequential((1, 2, 2), isbe.Conv2D(1, 1))
    isbe.save_checkpoint(tmp_path / "a.npz", net)
    changed(tmp_path / "a.npz", lambda f: f["network"]["layers"][1]["settings"].update(padding=10**9))
    with pytest.raises(ValueError, match="its values should have up to 134,217,728 numbers for an example"):
        isbe.load_network(tmp_path / "a.npz")


def test_no_file_and_no_plain_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        isbe.load_network(tmp_path / "none.npz")
    with pytest.raises(OSError, match="cannot be read: "):
        isbe.load_network(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.npz")
        for path in (tmp_path / "pipe.npz", "/dev/zero"):
            with pytest.raises(ValueError, match="kind: expected a plain file; got a pipe or a device"):
                isbe.load_network(path)


def test_a_note_that_is_no_plain_data(tmp_path):
    with pytest.raises(TypeError, match="plain data is expected"):
        isbe.save_checkpoint(tmp_path / "a.npz", tiny.net(), note={"net": tiny.net()})
    assert os.listdir(tmp_path) == []


def test_history_and_its_pattern_hold_the_same():
    """A field that is added to History must be added to what a file may hold."""
    assert asdict(isbe.History()).keys() == module.HISTORY.keys()


def joined(how):
    """Six layers with the same parameters, of the same names and shapes, joined in one of several ways."""
    image = isbe.Input((4,))
    first, second, act, add, out = isbe.Dense(4), isbe.Dense(4), isbe.ReLU(), isbe.Add(), isbe.Dense(3)
    a = first(image)
    b = second(act(a))
    c = {"from the image": lambda: add(b, image), "from the first": lambda: add(b, a), "the other way": lambda: add(a, b),
         "twice": lambda: add(b, b), "three": lambda: add(b, a, image)}[how]()
    return isbe.Graph(image, out(c), seed=1)


@pytest.mark.parametrize("how", ["from the image", "the other way", "twice", "three"])
def test_the_same_layers_joined_otherwise_are_another_network(how, tmp_path):
    net, other = joined("from the first"), joined(how)
    parameters = {parameter.name: parameter.value.shape for parameter in other.parameters()}
    assert parameters == {parameter.name: parameter.value.shape for parameter in net.parameters()}
    isbe.save_checkpoint(tmp_path / "a.npz", net)
    before = other.values.copy()
    with pytest.raises(ValueError, match="the file has the same layers, joined in another way"):
        isbe.load_checkpoint(tmp_path / "a.npz", other)
    assert np.array_equal(other.values, before)
    assert same(isbe.load_checkpoint(tmp_path / "a.npz", joined("from the first")).net, net)


def test_a_layer_in_two_places_is_not_two_layers(tmp_path):
    """Nor one in the places of another."""
    def net(second, third):
        image = isbe.Input((4,))
        layers = [isbe.Tanh(), isbe.ReLU()]
        x = layers[1](layers[0](isbe.Dense(4)(image)))
        return isbe.Graph(image, isbe.Dense(4)(layers[third](layers[second](x))))

    isbe.save_checkpoint(tmp_path / "a.npz", net(0, 1))
    with pytest.raises(ValueError, match="the same layers, joined in another way"):
        isbe.load_checkpoint(tmp_path / "a.npz", net(1, 0))


HUGE = 10**400
WHERE = "expected a number of at most 1.8e\\+308; got 1000"


@pytest.mark.parametrize("change, sentence", [
    (lambda f: f["history"].update(accuracy=[HUGE]), r"facts.history.accuracy\[0\]: " + WHERE),
    (lambda f: f["history"].update(seconds=[0.5, -HUGE]), r"facts.history.seconds\[1\]: .*; got -1000"),
    (lambda f: f["history"].update(steps=HUGE), "counts: expected numbers from 0 on"),
    (lambda f: f["optimizer"].update(steps=HUGE), "counts: expected numbers from 0 on"),
    (lambda f: f["optimizer"].update(slots=HUGE), "optimizer: expected 1 arrays beside the parameters; got 1000"),
    (lambda f: f["optimizer"]["settings"].update(learning_rate=HUGE), "facts: expected those of a network that can be made"),
    (lambda f: f["head"].update(dilation=HUGE), "facts.head.dilation"),
    (lambda f: f["head"].update(relocation=[0.0, 0.0, HUGE]), "facts.head.relocation"),
    (lambda f: f["network"]["random"]["state"].update(state=HUGE), "the state of its random numbers is none"),
    (lambda f: f["network"]["layers"][2]["settings"].update(units=HUGE), "values should have up to 134,217,728 numbers"),
    (lambda f: f["network"]["layers"][0]["settings"].update(shape=[HUGE]), "expected those of a network that can be made"),
    (lambda f: f["network"]["nodes"][1].update(reads=[HUGE]), "node 1 should read nodes before it"),
    (lambda f: f.update(version=HUGE), "is of version 1000"),
])
def test_a_whole_number_of_400_digits_is_one_sentence(change, sentence, tmp_path):
    net, optimizer = stepped(tiny.net(), isbe.SGD(0.1, momentum=0.9))
    isbe.save_checkpoint(tmp_path / "a.npz", net, isbe.Head(), optimizer, isbe.History())
    changed(tmp_path / "a.npz", change)
    with pytest.raises(ValueError, match=sentence) as caught:
        isbe.load_checkpoint(tmp_path / "a.npz")
    told = str(caught.value)
    assert told.startswith(f"{tmp_path / 'a.npz'}") and told.isprintable() and len(told) < 1100


def test_a_note_and_a_seed_may_be_of_any_size(tmp_path):
    isbe.save_checkpoint(tmp_path / "a.npz", tiny.net(seed=HUGE), note={"prime": HUGE})
    found = isbe.load_checkpoint(tmp_path / "a.npz")
    assert found.note == {"prime": HUGE} and found.net.seed == HUGE


def test_facts_of_any_depth_that_is_read(tmp_path):
    """Where they are compared, shown and copied, depth must have an end."""
    net, optimizer = stepped(tiny.net(), isbe.SGD(0.1, momentum=0.9))
    isbe.save_checkpoint(tmp_path / "a.npz", net, isbe.Head(), optimizer)
    deep = json.loads("[" * 190 + "]" * 190)
    for place in (lambda f: f["optimizer"]["settings"], lambda f: f["network"]["layers"][2]["settings"], lambda f: f,
                  lambda f: f["environment"], lambda f: f["head"]):
        isbe.save_checkpoint(tmp_path / "a.npz", net, isbe.Head(), optimizer)
        changed(tmp_path / "a.npz", lambda f, place=place: place(f).update(units=deep, format=deep, route=deep))
        with pytest.raises(ValueError, match=r"a\.npz") as caught:
            isbe.load_checkpoint(tmp_path / "a.npz", net, isbe.Head(), optimizer)
        assert len(str(caught.value)) < 1100


STEERS = "so\x1b[2J\x07urce\n\u202e\x9b1m"
SHOWN = r"so\x1b[2J\x07urce\n\u202e\x9b1m"


def test_text_of_a_history_steers_no_terminal(tmp_path):
    """It is printed by whoever goes on with a training."""
    isbe.save_checkpoint(tmp_path / "a.npz", tiny.net(), history=isbe.History())
    changed(tmp_path / "a.npz", lambda f: f["history"].update(
        dict.fromkeys(("stopped", "diagnosis", "warning", "unsaved"), STEERS)))
    found = isbe.load_checkpoint(tmp_path / "a.npz").history
    assert found.stopped == found.diagnosis == found.warning == found.unsaved == SHOWN


@pytest.mark.parametrize("change", [
    lambda f: f.update(format=STEERS), lambda f: f.update(version=STEERS), lambda f: f.update({STEERS: 1}),
    lambda f: f["network"]["layers"][2].update(kind=STEERS),
    lambda f: f["network"]["layers"][2]["settings"].update({STEERS: 1}),
    lambda f: f["network"]["layers"][2].update(kind=STEERS, built_in=False), lambda f: f["network"].update(dtype=STEERS),
    lambda f: f["network"]["layers"][2]["settings"].update(name=STEERS), lambda f: f["head"].update(normalizer=STEERS),
    lambda f: f["head"].update(route=STEERS), lambda f: f["optimizer"].update(kind=STEERS),
    lambda f: f["optimizer"]["settings"].update({STEERS: 1}), lambda f: f["network"]["random"].update(bit_generator=STEERS)])
def test_text_in_an_error_steers_no_terminal(change, tmp_path):
    net, optimizer = stepped(tiny.net(), isbe.SGD(0.1, momentum=0.9))
    for passed in ({}, {"net": net, "head": isbe.Head(), "optimizer": optimizer}):
        isbe.save_checkpoint(tmp_path / "a.npz", net, isbe.Head(), optimizer)
        changed(tmp_path / "a.npz", change)
        with pytest.raises(ValueError) as caught:
            isbe.load_checkpoint(tmp_path / "a.npz", **passed)
        assert str(caught.value).isprintable() and len(str(caught.value)) < 1100


def test_layers_whose_names_differ_by_a_surrogate_alone(tmp_path):
    net = isbe.Sequential((3,), isbe.Dense(3, name="\ud800"), isbe.Dense(3, name="\\ud800"), isbe.Dense(2, name="%5Cud800"))
    isbe.save_checkpoint(tmp_path / "a.npz", net)
    assert same(isbe.load_network(tmp_path / "a.npz"), net)


def test_a_file_with_two_arrays_of_one_name_is_no_network(tmp_path):
    net = isbe.Sequential((3,), isbe.Dense(3, name="a"), isbe.BatchNorm(name="b"))
    isbe.save_checkpoint(tmp_path / "a.npz", net)
    changed(tmp_path / "a.npz", lambda f: [made["settings"].update(name="a") for made in f["network"]["layers"][1:]])
    with pytest.raises(ValueError, match=r"a\.npz: facts: .* got Graph has two layers called 'a'"):
        isbe.load_network(tmp_path / "a.npz")
