"""What is known of each data set: its files, their published checksums, where they can be had, its classes."""

import os
from dataclasses import dataclass

import numpy as np

from isbe_np.datasets import idx

NAMES = ("digits", "mnist", "fashion_mnist", "kmnist")
DIGITS = tuple("0123456789")


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

    def read(self, path: str | os.PathLike, remedy: str = idx.REMEDY) -> np.ndarray:
        """The images or labels at `path`, uint8, verified; a ValueError that ends in `remedy` if anything is wrong."""
        reader = idx.read_images if len(self.shape) == 3 else idx.read_labels
        gz = self.gz if self.content is None else None
        return reader(path, self.shape[0], remedy=remedy, gz=gz, content=self.content)


@dataclass(frozen=True)
class Entry:
    """One data set in files: a description, its classes, its home page, mirrors (each ends in /) and four files."""

    description: str
    classes: tuple[str, ...]
    home: str
    mirrors: tuple[str, ...]
    files: tuple[File, ...]


def remedy(name: str) -> str:
    """What to do with a damaged file of `name`."""
    return f"Delete it and run `isbe data fetch {name}`."


def _files(gz, content=(None,) * 4):
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    shapes: tuple[tuple[int, ...], ...] = ((60000, 28, 28), (60000,), (10000, 28, 28), (10000,))
    return tuple(File(*row) for row in zip(names, shapes, gz, content, strict=True))


# The sums of the .gz files are those that TensorFlow Datasets checks (its url_checksums folder); several other projects
# list the same. Sums of contents belong to files whose .gz had the published sum; those of Fashion-MNIST's images are
# as several independent projects list them. Nobody was found to list KMNIST's.
ENTRIES = {
    "mnist": Entry(
        "70,000 handwritten digits (LeCun, Cortes and Burges)", DIGITS, "https://yann.lecun.com/exdb/mnist/",
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        _files(("440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
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
        _files(("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
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
        ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        _files(("51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"))),
}
