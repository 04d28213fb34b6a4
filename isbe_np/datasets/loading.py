"""`load`: a data set by its name, as arrays ready for a network."""

import os
from dataclasses import dataclass, field

import numpy as np

from isbe_np import checks
from isbe_np.datasets import catalogue, digits, places


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels of a training and a test set.

    `x_train` and `x_test` are (N, 1, 28, 28), C-contiguous, float32 or float64, from 0 (paper) to 1 (ink); `y_train`
    and `y_test` are (N,) int64 and index `classes`; `source` says where the data came from and how they were verified.
    """

    name: str
    x_train: np.ndarray = field(repr=False)
    y_train: np.ndarray = field(repr=False)
    x_test: np.ndarray = field(repr=False)
    y_test: np.ndarray = field(repr=False)
    classes: tuple[str, ...]
    source: str


def load(name: str, data_dir: str | os.PathLike | None = None, dtype=np.float32, *, seed: int = 0,
         train: int | None = None, test: int | None = None) -> Dataset:
    """The data set `name`, one of `NAMES`. Nothing is ever downloaded.

    Parameters
    ----------
    data_dir : folder to look in first; then come ``ISBE_DATA_DIR`` and the user's cache folder. Digits need none.
    dtype : of the images, float32 or float64.
    seed : of the digits, which are drawn; the other sets are what they are.
    train, test : take only so many images, the first ones. Without them digits are 10,000 and 2,000, the others whole.

    Every file is verified at every load, by the SHA-256 of its content, or for kmnist by that of the published .gz (no
    sum of the content is known: an uncompressed copy is refused). A FileNotFoundError says what to do about missing
    files, a ValueError what is wrong with a damaged one, an unknown name or a number that is too large.
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
    return _files(name, data_dir, np.dtype(dtype), train, test)


def _digits(dtype, seed, train, test):
    x_train, y_train = digits.draw(train, seed, "train")
    x_test, y_test = digits.draw(test, seed, "test")
    return Dataset("digits", _images(x_train, dtype), y_train, _images(x_test, dtype), y_test, catalogue.DIGITS,
                   f"Drawn by isbe_np from its own pen strokes with seed {seed}; the same seed gives the same bits.")


def _files(name, data_dir, dtype, train, test):
    folder = places.find(name, data_dir)
    if folder is None:
        raise places.missing(name, data_dir)
    entry = catalogue.ENTRIES[name]
    for which, number, file in (("train", train, entry.files[0]), ("test", test, entry.files[2])):
        if number is not None and number > file.shape[0]:
            raise ValueError(f"load: {which} expects at most {file.shape[0]}, all that {name} has; got {number}.")
    arrays = [file.read(places.copy_of(file, folder), catalogue.remedy(name)) for file in entry.files]
    x_train, y_train, x_test, y_test = (a[:most] for a, most in zip(arrays, (train, train, test, test), strict=True))
    what = "content" if entry.files[0].content else "published .gz"
    source = f"{entry.description}, {entry.home}, from {folder}; the SHA-256 of each file's {what} was verified."
    return Dataset(name, _images(x_train, dtype), y_train.astype(np.int64),
                   _images(x_test, dtype), y_test.astype(np.int64), entry.classes, source)


def _images(grey, dtype):
    return np.divide(grey, 255, dtype=dtype)[:, None]
