"""Augmentation: each epoch a network sees its images changed a little, at random.

`train(..., augment=RandomAffine(rotation=10, shift=2))` uses such an object, or any function of the same arguments. It has no
state. The training's seed, the epoch and the image's index alone decide how an image changes, whatever the size of the batches,
the order of the images or the number of threads. So a training may be taken up again at any batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isbe_np.checks import float_array, is_room, numbers, whole
from isbe_np.kernels import augmentation as kernels

# (images, indices, epoch, out, seed) -> out
Augment = Callable[[np.ndarray, np.ndarray, int, np.ndarray, int], np.ndarray]


class Augmentation:
    """What augmentations share: how they are called. A subclass names its kernel and that kernel's bounds."""

    kernel: Callable

    def bounds(self) -> tuple:
        """How far the kernel may go."""
        raise NotImplementedError(f"{type(self).__name__} has no bounds.")

    def __call__(self, images: np.ndarray, indices, epoch: int, out: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
        """Changed copies of images[indices], (N, C, H, W): a new array, or `out` where one is given.

        images (M, C, H, W), float32 or float64; indices (N,) whole numbers from 0 to M - 1, also of the random numbers: the
        same index in the same epoch under the same seed is changed in the same way. ValueError or TypeError for others.
        """
        kind = type(self).__name__
        images, indices = float_array(f"{kind}(images)", images), numbers(f"{kind}(indices)", indices)
        if images.ndim != 4:
            raise ValueError(f"{kind}(images) expects images of shape (M, C, H, W); got {images.shape}.")
        if indices.ndim != 1 or indices.dtype.kind not in "iu":
            raise TypeError(f"{kind}(indices) expects a list of whole numbers, which of the images to take; "
                            f"got shape {indices.shape} of {indices.dtype}.")
        if indices.size and not 0 <= indices.min() <= indices.max() < len(images):
            raise ValueError(f"{kind}(indices) expects numbers from 0 to {len(images) - 1}, one less than there are images; "
                             f"got {indices.min()} to {indices.max()}.")
        epoch, seed = whole(f"{kind}(epoch)", epoch, least=0), whole(f"{kind}(seed)", seed, least=0)
        shape = (len(indices), *images.shape[1:])
        if out is None:
            out = np.empty(shape, images.dtype)
        elif not is_room(out, shape, images.dtype) or not out.flags.c_contiguous:
            raise ValueError(f"{kind}(out) expects a C-contiguous array of shape {shape} and {images.dtype}; "
                             f"got {getattr(out, 'shape', type(out).__name__)} of {getattr(out, 'dtype', 'no dtype')}.")
        elif np.may_share_memory(images, out):
            raise ValueError(f"{kind}(out) expects memory of its own; got a part of the images. Make it with np.empty.")
        self.check(shape)
        type(self).kernel(images, np.ascontiguousarray(indices, np.int64), np.uint64(seed % 2**64), np.uint64(epoch % 2**64),
                          self.bounds(), out)
        return out

    def check(self, shape: tuple[int, ...]) -> None:
        """ValueError where images of this shape are too small."""


# By their names in the last release, which warn.
RENAMED = {"Affine": "RandomAffine", "FlipShift": "RandomFlipCrop"}


@dataclass(frozen=True)
class RandomAffine(Augmentation):
    """Turns, scales, leans and shifts each image; what was outside is 0, and pixels in between are bilinear.

    rotation, shear : at most so many degrees to either side. scale : at most this share larger or smaller. shift : at most so
    many pixels along either axis. All four are drawn evenly.
    """

    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0

    kernel = kernels.affine

    def __post_init__(self):
        limits = {"rotation": 180, "scale": 1, "shear": 90, "shift": math.inf}
        for name, limit in limits.items():
            given = getattr(self, name)
            if isinstance(given, bool) or not isinstance(given, (int, float, np.number)) or not (
                    0 <= given < limit or given == limit == 180):
                unit = {"scale": ", a share", "shift": ", pixels"}.get(name, ", degrees")
                to = "180" if limit == 180 else f"below {limit}"
                raise ValueError(f"RandomAffine({name}) expects a number from 0 to {to}{unit}; got {given!r}.")

    def bounds(self) -> tuple[float, ...]:
        return math.radians(self.rotation), float(self.scale), math.radians(self.shear), float(self.shift)


@dataclass(frozen=True)
class RandomFlipCrop(Augmentation):
    """Shifts each image by whole pixels, reflecting it at its edges, and mirrors some left to right.

    shift : at most so many pixels along either axis, evenly drawn; images must be larger. flip : the probability of mirroring.
    """

    shift: int = 4
    flip: float = 0.5

    kernel = kernels.flip_shift

    def __post_init__(self):
        whole("RandomFlipCrop(shift)", self.shift, least=0)
        if isinstance(self.flip, bool) or not isinstance(self.flip, (int, float, np.number)) or not 0 <= self.flip <= 1:
            raise ValueError(f"RandomFlipCrop(flip) expects a probability from 0 to 1; got {self.flip!r}.")

    def bounds(self) -> tuple[int, float]:
        return int(self.shift), float(self.flip)

    def check(self, shape: tuple[int, ...]) -> None:
        if self.shift >= min(shape[2:]):
            raise ValueError(f"RandomFlipCrop(shift={self.shift}) expects images of more than {self.shift} pixels a side, so "
                             f"that there is something to reflect; got {shape[2]} x {shape[3]}. Use a smaller shift.")
