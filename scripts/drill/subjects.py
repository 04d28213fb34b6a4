"""Small networks of every kind of layer, trained a little, and their checkpoints: what the drill damages."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import isbe_np as isbe

CLASSES = 3


def dataset(dtype=np.float32) -> isbe.datasets.Dataset:
    """24 and 12 images (1, 4, 4) in three heaps."""
    random = np.random.default_rng(5)
    labels = np.arange(36) % CLASSES
    images = (0.9 * np.eye(CLASSES, 16).reshape(CLASSES, 1, 4, 4)[labels] + random.normal(0, 0.05, (36, 1, 4, 4))).astype(dtype)
    return isbe.datasets.Dataset("heaps", images[:24], labels[:24], images[24:], labels[24:], ("a", "b", "c"), "Three heaps.")


def dense(seed=0) -> isbe.Graph:
    return isbe.Sequential((1, 4, 4), isbe.Flatten(), isbe.Dense(8), isbe.ReLU(), isbe.Dense(CLASSES), seed=seed)


def images(seed=0) -> isbe.Graph:
    """What has running statistics and random numbers too."""
    return isbe.Sequential((1, 4, 4), isbe.Conv2D(4, 3, padding=1), isbe.BatchNorm(), isbe.ReLU(), isbe.MaxPool2D(2),
                           isbe.Flatten(), isbe.Dense(10), isbe.LeakyReLU(), isbe.Dropout(0.3), isbe.Dense(CLASSES), seed=seed)


def tokens(seed=0) -> isbe.Graph:
    return isbe.networks.transformer(seed=seed, dtype=np.float64, image=(1, 4, 4), patch=2, features=8, heads=2, blocks=1)


def shared(seed=0) -> isbe.Graph:
    """One layer in two places, a shortcut, and names of one's own."""
    first = isbe.Input((1, 4, 4))
    both = isbe.Dense(16, name="both")
    x = isbe.Sigmoid()(both(isbe.Flatten()(first)))
    return isbe.Graph(first, isbe.Dense(CLASSES, name="scores")(isbe.Add()(x, isbe.Tanh()(both(x)))), seed=seed, fuse=False)


@dataclass
class Subject:
    """How a checkpoint came about, so that all of it can be made anew; `epochs` 0 for one saved without a training."""

    net: Any
    head: Any
    optimizer: Any
    epochs: int = 2
    options: Any = None

    def fresh(self):
        """A network of another seed, a head and an optimizer, to be filled."""
        return self.net(seed=1), self.head(), self.optimizer()

    def train(self, folder: Path, net, head, optimizer, resume: bool = False) -> isbe.History:
        """The training whose checkpoint is damaged."""
        return isbe.train(net, head, dataset(net.dtype), self.epochs, 5, optimizer, 4, progress=False, checkpoint=folder,
                          resume=resume, note={"classes": ["a", "b", "c"]}, on_interrupt="return", **(self.options or {}))


SUBJECTS = {
    "dense": Subject(dense, isbe.Head, lambda: isbe.SGD(0.1, momentum=0.9), options={"loss": True}),
    "images": Subject(images, lambda: isbe.Head(route="fused"), lambda: isbe.Adam(0.01),
                      options={"augment": isbe.RandomAffine(shift=1), "schedule": "warm_up_and_decay"}),
    "tokens": Subject(tokens, lambda: isbe.Head(dilation=0.5), lambda: isbe.AdamW(0.01)),
    "shared": Subject(shared, lambda: isbe.Head("sigmoid"), lambda: isbe.SGD(0.1), epochs=0),
}


def make(folder: Path) -> None:
    """Train all of them and put each one's last checkpoint, and the one before it, in a folder of its name."""
    for name, subject in SUBJECTS.items():
        net, head, optimizer = subject.net(), subject.head(), subject.optimizer()
        place = folder / name
        if subject.epochs:
            subject.train(place, net, head, optimizer)
        else:
            place.mkdir(parents=True)
            isbe.save_checkpoint(place / "checkpoint.npz", net, head, optimizer, note=["saved", 1, None])


def state_of(net: isbe.Graph, optimizer: isbe.Optimizer | None) -> dict[str, bytes]:
    """All that a network and an optimizer hold, by the names of a checkpoint's arrays."""
    found = {f"parameters/{parameter.name}": parameter.value.tobytes() for parameter in net.parameters()}
    found |= {f"state/{name}": array.tobytes() for name, array in net.state().items()}
    for n, slot in enumerate(optimizer.memory if optimizer else ()):
        found |= {f"optimizer/{n}/{name}": part.tobytes() for name, part in net.parts(slot).items()}
    found["random"] = json.dumps(net.random.bit_generator.state).encode()
    found["steps"] = str(optimizer.steps if optimizer else None).encode()
    return found


def said(path: Path) -> tuple[dict, dict[str, bytes]]:
    """Facts and arrays of a checkpoint as another reader sees them, NumPy and `zipfile`; an error where it sees none."""
    with zipfile.ZipFile(path) as packed:
        facts = json.loads(packed.read("facts.json"))
    with np.load(path, allow_pickle=False) as arrays:
        from urllib.parse import unquote
        return facts, {unquote(name): arrays[name].tobytes() for name in arrays.files if name != "facts.json"}
