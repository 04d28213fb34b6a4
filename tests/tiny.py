"""Data and networks so small that a training takes milliseconds, and not much longer without the compiler."""

import dataclasses
import functools
import importlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.checks import nearest

CLASSES = 3
# Without the compiler a kernel is NumPy on single numbers, which warns of what a test lets overflow on purpose.
plain_python_warns = pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")


def dataset(train=24, test=12, dtype=np.float32):
    """Images (1, 2, 2) in three well separated heaps."""
    random = np.random.default_rng(5)
    middles = 0.9 * np.eye(CLASSES, 4).reshape(CLASSES, 1, 2, 2)
    labels = np.arange(train + test) % CLASSES
    images = (middles[labels] + random.normal(0, 0.02, (train + test, 1, 2, 2))).astype(dtype)
    return isbe.datasets.Dataset("heaps", images[:train], labels[:train], images[train:], labels[train:],
                                 ("a", "b", "c"), "Three heaps.")


def replaced(**parts):
    """`dataset` with some of its arrays exchanged."""
    return dataclasses.replace(dataset(), **parts)


def net(seed=0, dtype=np.float32, image=(1, 2, 2), kernels="fast"):
    """A perceptron 4-8-3."""
    return isbe.Sequential(image, isbe.Flatten(), isbe.Dense(8), isbe.ReLU(), isbe.Dense(CLASSES), seed=seed,
                           dtype=dtype, kernels=kernels)


def linear(seed=0, dtype=np.float32, image=(1, 2, 2), kernels="fast"):
    """One dense layer."""
    return isbe.Sequential(image, isbe.Flatten(), isbe.Dense(CLASSES), seed=seed, dtype=dtype, kernels=kernels)


def study(monkeypatch):
    """Let commands and studies know two tiny networks alone, and heads of few classes."""
    import isbe_np.studies.compare as compare
    import isbe_np.studies.kernels as kernels
    from isbe_np.networks import NETWORKS
    from isbe_np.training.recipes import RECIPES, Recipe

    for name in list(NETWORKS):
        monkeypatch.delitem(NETWORKS, name)
        monkeypatch.delitem(RECIPES, name)
    for name, make in (("tiny", net), ("linear", linear)):
        monkeypatch.setitem(NETWORKS, name, make)
        monkeypatch.setitem(RECIPES, name, Recipe(epochs=2, batch_size=6, learning_rate=0.1, weight_decay=0.0))
    monkeypatch.setattr(compare, "AGREE", ("tiny", "linear"))
    monkeypatch.setattr(compare, "SWITCHED", ("linear",))
    monkeypatch.setattr(kernels, "SECONDS", 0.01)
    monkeypatch.setattr(compare, "HEADS", ((4, 3, 2), (4, 6, 2)))


def both_sets(monkeypatch):
    """Let networks and heads run the fast kernels without the compiler too, as the Python they are written in."""
    for module in ("graph", "heads.head", "studies.compare"):
        monkeypatch.setattr(f"isbe_np.{module}.read_kernels", lambda who, given: nearest(who, given, isbe.KERNELS))


def wrong_bias(monkeypatch, factor=1.001):
    """Let plain dense layers send their biases a gradient that is `factor` times the right one."""
    from isbe_np.layers import dense
    right = dense.dense_backward_parameters

    def wrong(dy, x, dw, db):
        right(dy, x, dw, db)
        db *= db.dtype.type(factor)

    monkeypatch.setattr(dense, "dense_backward_parameters", wrong)


def watch(monkeypatch, module, name, used):
    """Note in used[name] which kernels the networks and heads have that are passed to this function of `module`."""
    function = getattr(importlib.import_module(module), name)

    def watched(*given, **options):
        used.setdefault(name, set()).update(part.kernels for part in given if isinstance(part, (isbe.Graph, isbe.Head)))
        return function(*given, **options)

    monkeypatch.setattr(f"{module}.{name}", watched)


def changed(path, change):
    """The file at `path` with other facts and a right sum: what somebody may have written on purpose."""
    from isbe_np.storage import archive
    with archive.Archive(path) as file:
        facts = file.facts
    with np.load(path, allow_pickle=False) as arrays:
        held = {name: arrays[name] for name in arrays.files if name != archive.FACTS}
    change(facts)
    archive.write(path, facts, held)


class Here:
    """Opens an executor that runs in this process, where what a test has patched is known."""

    def __enter__(self):
        self.pool = ThreadPoolExecutor(1)
        return self.pool

    def __exit__(self, *fault):
        self.pool.shutdown()


@functools.cache
def little(data, data_dir, train, test, dtype="float32"):
    """Digits of 4 x 4 pixels, each 7 times the mean of 7 x 7, so that an image is about as long as before."""
    full = isbe.datasets.load(data, data_dir, np.dtype(dtype), train=train, test=test)
    x_train, x_test = (7 * x.reshape(-1, 1, 4, 7, 4, 7).mean(axis=(3, 5)) for x in (full.x_train, full.x_test))
    return dataclasses.replace(full, x_train=x_train, x_test=x_test)


def few_units(image, seed, dtype="float32"):
    """The perceptron of quick studies, with 12 hidden units."""
    from isbe_np.studies.perceptron import perceptron

    return perceptron(image, seed, dtype, hidden=12)


def perceptrons(monkeypatch, study):
    """Let a study that trains perceptrons take little images and few units, so that it is short without the compiler too."""
    monkeypatch.setattr(study, "images", little)
    monkeypatch.setattr(study, "perceptron", few_units)
