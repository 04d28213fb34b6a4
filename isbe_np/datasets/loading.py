"""`load`: a data set by its name, as arrays ready for a network."""

import os
from dataclasses import dataclass, field

import numpy as np

from isbe_np import checks
from isbe_np.datasets import catalogue, digits, places
from isbe_np.datasets.idx import OtherContent


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels of a training and a test set.

    `x_train` and `x_test` are (N, 1, 28, 28), from 0 (paper) to 1 (ink), or for cifar10 (N, 3, 32, 32), red, green and
    blue from 0 to 1; C-contiguous, float32 or float64. `y_train` and `y_test` are (N,) int64 and index `classes`.
    `source` says where the data came from, and whether they were verified as the official ones.
    """

    name: str
    x_train: np.ndarray = field(repr=False)
    y_train: np.ndarray = field(repr=False)
    x_test: np.ndarray = field(repr=False)
    y_test: np.ndarray = field(repr=False)
    classes: tuple[str, ...]
    source: str


def load(name: str, data_dir: str | os.PathLike | None = None, dtype=np.float32, *, seed: int = 0,
         train: int | None = None, test: int | None = None, verify: bool = True) -> Dataset:
    """The data set `name`, one of `NAMES`. Nothing is ever downloaded.

    Parameters
    ----------
    data_dir : folder to look in first; then come ``ISBE_DATA_DIR`` and the user's cache folder. Digits need none.
    dtype : of the images, float32 or float64.
    seed : of the digits, which are drawn; the other sets are what they are.
    train, test : take only so many images, the first ones. Without them digits are 10,000 and 2,000, the others whole.
    verify : False accepts files that are not the official ones, as long as their format is right; `source` names them.

    Every file is verified at every load, by the SHA-256 of its content, or for kmnist by that of the published .gz (no
    sum of the content is known: an uncompressed copy is refused). A FileNotFoundError says what to do about missing
    files, a ValueError what is wrong with a damaged or unofficial one, an unknown name or a number that is too large.
    """
    name = checks.nearest("load", name, catalogue.NAMES)
    if np.dtype(dtype) not in checks.FLOATS:
        raise TypeError(f"load expects dtype float32 or float64; got {np.dtype(dtype)}. Leave it out for float32.")
    seed = checks.whole("load: seed", seed, least=0)
    for which, number in (("train", train), ("test", test)):
        if number is not None:
            checks.whole(f"load: {which}", number)
    if name == "digits":
        return _digits(np.dtype(dtype), seed, 10_000 if train is None else train, 2_000 if test is None else test)
    return _files(name, data_dir, np.dtype(dtype), {"train": train, "test": test}, verify)


def _digits(dtype, seed, train, test):
    x_train, y_train = digits.draw(train, seed, "train")
    x_test, y_test = digits.draw(test, seed, "test")
    return Dataset("digits", _images(x_train, dtype), y_train, _images(x_test, dtype), y_test, catalogue.DIGITS,
                   f"Drawn by isbe_np from its own pen strokes with seed {seed}; the same seed gives the same bits.")


def _files(name, data_dir, dtype, wanted, verify):
    folder = places.find(name, data_dir)
    if folder is None:
        raise places.missing(name, data_dir)
    entry, unofficial, arrays = catalogue.ENTRIES[name], [], {}
    parts = {"train": entry.train, "test": entry.test}
    shapes = {which: catalogue.shape(part) for which, part in parts.items()}
    for which, (has, *image) in shapes.items():
        if (wanted[which] or 0) > has:
            raise ValueError(f"load: {which} expects at most {has}, all that {name} has; got {wanted[which]}.")
        shapes[which] = (wanted[which] or has, *image)

    def read(file):
        path = places.copy_of(file, folder)
        try:
            return file.read(path, catalogue.remedy(name))
        except OtherContent as fault:
            if verify:
                raise ValueError(f"{fault} {catalogue.WAIVER}") from None
        unofficial.append(path.name)
        return file.read(path, catalogue.remedy(name), verify=False)

    for which, part in parts.items():
        arrays[f"x_{which}"], arrays[f"y_{which}"] = _joined(catalogue.pieces(part, read), shapes[which], dtype)
    return Dataset(name, **arrays, classes=entry.classes,
                   source=f"{entry.description}, {entry.home}, from {folder}; {_standing(entry, unofficial)}")


def _joined(pieces, shape, dtype):
    """The first images, as many as `shape` says, and labels, scaled straight to their places: no second copy is made."""
    x, y, at = np.empty(shape, dtype), np.empty(shape[0], np.int64), 0
    for images, labels in pieces:
        end = min(len(y), at + len(labels))
        np.divide(images[:end - at], 255, out=x[at:end], dtype=dtype)
        y[at:end] = labels[:end - at]
        at = end
    return x, y


def _standing(entry, unofficial):
    if unofficial:
        return f"NOT the official files, by their SHA-256, but taken as they are, unverified: {', '.join(unofficial)}."
    return f"the SHA-256 of each file's {'content' if entry.files[0].content else 'published .gz'} was verified."


def _images(grey, dtype):
    return np.divide(grey, 255, dtype=dtype)[:, None]
