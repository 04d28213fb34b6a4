"""What is known of each data set: its files, their published checksums, where they can be had, its classes."""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from isbe_np.datasets import cifar, idx

NAMES = ("digits", "mnist", "fashion_mnist", "kmnist", "cifar10")
DIGITS = tuple("0123456789")
# What else can be done about a file that is not the published one.
WAIVER = "It is not the official file; if you trust it all the same, as a re-encoding say, pass verify=False or --unverified."


@dataclass(frozen=True)
class File:
    """One IDX file: its name without .gz, its shape, and SHA-256 sums of the .gz as published and of the content.

    The content is what counts: a recompressed .gz holds the same data under another sum. `content` is None where no
    sum of the content is known; then only the .gz as published can be verified, and an uncompressed copy cannot.
    """

    name: str
    shape: tuple[int, ...]
    gz: str
    content: str | None

    @property
    def forms(self) -> tuple[str, ...]:
        """The names it may have in a folder, the published one first."""
        return self.name + ".gz", self.name

    @property
    def size(self) -> int:
        """Bytes of its content."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)

    def read(self, path: str | os.PathLike, remedy: str = idx.REMEDY, verify: bool = True) -> np.ndarray:
        """The images or labels at `path`, uint8; a ValueError that ends in `remedy` if anything is wrong.

        Without `verify` the SHA-256 may be any, as long as the format is right.
        """
        reader = idx.read_images if len(self.shape) == 3 else idx.read_labels
        gz, content = (self.gz if self.content is None else None, self.content) if verify else (None, None)
        return reader(path, self.shape[0], remedy=remedy, gz=gz, content=content)


@dataclass(frozen=True)
class Records:
    """One file of CIFAR's records: its name, the shape of its images, and the SHA-256 of its content."""

    name: str
    shape: tuple[int, ...]
    content: str

    @property
    def forms(self) -> tuple[str, ...]:
        """The one name it may have in a folder."""
        return (self.name,)

    @property
    def size(self) -> int:
        """Bytes of its content."""
        return self.shape[0] * cifar.RECORD

    def read(self, path: str | os.PathLike, remedy: str = idx.REMEDY,
             verify: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """The images and labels at `path`, uint8; a ValueError as from `File.read`."""
        return cifar.read(path, self.shape[0], remedy=remedy, content=self.content if verify else None)


class Archive(NamedTuple):
    """A .tar.gz that holds all the files: its name, its SHA-256, and the folder of the files in it."""

    name: str
    sha256: str
    folder: str


@dataclass(frozen=True)
class Entry:
    """One data set in files: a description, its classes, its home page, mirrors (each ends in /) and its files.

    `train` and `test` are pairs of IDX files, images and labels, or any number of `Records`. `archive` is what is
    downloaded where the files do not lie on the mirrors one by one.
    """

    description: str
    classes: tuple[str, ...]
    home: str
    mirrors: tuple[str, ...]
    train: tuple[File, ...] | tuple[Records, ...]
    test: tuple[File, ...] | tuple[Records, ...]
    archive: Archive | None = None

    @property
    def files(self) -> tuple[File | Records, ...]:
        """All files, those of the training set first."""
        return *self.train, *self.test


def shape(part: tuple) -> tuple[int, ...]:
    """(N, C, H, W) of the images in `train` or `test` of an entry."""
    if isinstance(part[0], Records):
        return sum(file.shape[0] for file in part), *part[0].shape[1:]
    return part[0].shape[0], 1, *part[0].shape[1:]


def pieces(part: tuple, read: Callable) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images (n, C, H, W) and labels (n,), uint8, piece by piece; `read` gives what is in a file.

    No two pieces are in memory at once, unless the caller keeps them.
    """
    if isinstance(part[0], Records):
        yield from map(read, part)
    else:
        images, labels = map(read, part)
        yield images[:, None], labels


def remedy(name: str) -> str:
    """What to do with a damaged file of `name`."""
    return f"Delete it and run `isbe data fetch {name}`."


def _idx(gz, content=(None,) * 4):
    """The two files of a training set and the two of a test set."""
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    shapes: tuple[tuple[int, ...], ...] = ((60000, 28, 28), (60000,), (10000, 28, 28), (10000,))
    files = tuple(File(*row) for row in zip(names, shapes, gz, content, strict=True))
    return {"train": files[:2], "test": files[2:]}


def _records(**content):
    return tuple(Records(f"{name}.bin", (10000, *cifar.IMAGE), sum_of_it) for name, sum_of_it in content.items())


# The sums of the .gz files are those that TensorFlow Datasets checks (its url_checksums folder); several other projects
# list the same. Sums of contents belong to files whose .gz had the published sum; those of Fashion-MNIST's images are
# as several independent projects list them. Nobody was found to list KMNIST's. The sum of CIFAR-10's archive is that of
# TensorFlow Datasets, GoMLX and torchvision-ruby; those of the files in it are torchvision-ruby's, of which others were
# found to list that of test_batch.bin only. KMNIST's second mirror is the copy that TensorFlow's swift-models made when the
# first was away (its pull request 450).
ENTRIES = {
    "mnist": Entry(
        "70,000 handwritten digits (LeCun, Cortes and Burges)", DIGITS, "https://yann.lecun.com/exdb/mnist/",
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        **_idx(("440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
               ("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"))),
    "fashion_mnist": Entry(
        "70,000 articles of clothing (Xiao, Rasul and Vollgraf, 2017)",
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        "https://github.com/zalandoresearch/fashion-mnist",
        ("https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
         "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"),
        **_idx(("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
               ("c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"))),
    "kmnist": Entry(
        "70,000 cursive Japanese characters (Clanuwat and others, 2018)",
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"), "https://github.com/rois-codh/kmnist",
        ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
         "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/KMNIST/"),
        **_idx(("51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"))),
    "cifar10": Entry(
        "60,000 colour photographs of animals and vehicles (Krizhevsky, 2009)",
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/"),
        train=_records(data_batch_1="cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
                       data_batch_2="a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
                       data_batch_3="bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
                       data_batch_4="014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
                       data_batch_5="755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
        test=_records(test_batch="8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
        archive=Archive("cifar-10-binary.tar.gz", "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                        "cifar-10-batches-bin")),
}
