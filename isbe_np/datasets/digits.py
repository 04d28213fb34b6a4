"""Ten digits drawn from pen strokes: a 28 x 28 data set that needs no download, in MNIST's format.

An image is one handwriting of `strokes.py`, looked at through a random affine map and a smooth random warp. A pixel
looks up its distance to the pen's path, and the distance becomes ink: a radius with a soft edge, and grain.

All arithmetic is +, -, *, / and square roots of single elements, which round alike on every machine, and the random
numbers are the raw bits of PCG64, whose stream NumPy promises to keep. The same seed gives the same bits everywhere.
"""

import numpy as np

from isbe_np import checks
from isbe_np.datasets import strokes

BLOCK = 200  # images drawn at once; their random numbers depend on (seed, split, block) alone
SPLITS = {"train": 0, "test": 1}
KNOTS = 5  # of the smooth random fields, along each side

# How far the drawing strays. Turn, lean, zoom and stretch are triangular around none, the rest is even.
TURN = 0.28  # tangent of half the angle: 31 degrees
LEAN = 0.60  # pixels to the side for each pixel up
SIZE = 1.08  # pixels looked at for each pixel of the image, so that most digits stay inside it
ZOOM, STRETCH = 0.16, 0.12  # relative to SIZE: of both axes, and of one against the other
SHIFT = 2.0  # pixels
WARP = 2.6  # pixels at a knot
RADIUS, PRESSURE = (0.75, 1.5), 0.35  # of the pen, in pixels; its change along the stroke
EDGE = (0.9, 1.8)  # pixels from full ink to none: the blur
INK, GRAIN = (0.75, 1.0), 0.12  # darkest grey, and the largest noise, of 1


def draw(count: int, seed: int = 0, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """The first `count` images (count, 28, 28) uint8, 0 to 255, and labels (count,) int64, 0 to 9, of one split.

    Each whole block of 200 images holds every digit 20 times. A smaller `count` gives the first images of a larger one.
    """
    count = checks.whole("digits.draw: count", count)
    seed = checks.whole("digits.draw: seed", seed, least=0)
    split = checks.nearest("digits.draw: split", split, tuple(SPLITS))
    images = np.empty((count, 28, 28), np.uint8)
    labels = np.empty(count, np.int64)
    for start in range(0, count, BLOCK):
        block_images, block_labels = _block(seed, split, start // BLOCK)
        images[start:start + BLOCK] = block_images[:count - start]
        labels[start:start + BLOCK] = block_labels[:count - start]
    return images, labels


def _block(seed, split, block):
    bits = np.random.PCG64([seed, SPLITS[split], block])
    labels = np.argsort(bits.random_raw(BLOCK), kind="stable") % 10
    distance = _look_up(_handwriting(bits, labels), *_warp(bits, *_affine(bits)))
    return _ink(bits, distance), labels.astype(np.int64)


def _random(bits, *shape, low=-1.0, high=1.0):
    """Numbers spread evenly over [low, high): the upper 24 of every 32 raw bits, exact in float32."""
    size = int(np.prod(shape))
    raw = bits.random_raw((size + 1) // 2)
    halves = np.stack([raw >> np.uint64(40), (raw >> np.uint64(8)) & np.uint64(0xFFFFFF)], axis=1).reshape(-1)[:size]
    unit = halves.astype(np.float32).reshape(shape) * np.float32(2.0 ** -24)
    return np.float32(low) + np.float32(high - low) * unit


def _handwriting(bits, labels):
    """A row of the distance tables for each label: one of its digit's handwritings, all equally likely."""
    _, first, counts = strokes.tables()
    return first[labels] + (_random(bits, BLOCK, low=0.0) * counts[labels]).astype(np.int64)


def _affine(bits):
    """Where each pixel looks, in pixels from the middle of the strokes: x and y, each (BLOCK, 28, 28).

    ``(x, y) = R diag(a, b) L (pixel - shift)``: L leans the digit, ``x + lean y``; a and b change its size; R turns it.
    With t the tangent of half the angle, R has the cosine ``(1 - t^2) / (1 + t^2)`` and the sine ``2 t / (1 + t^2)``.
    """
    t, lean, zoom, stretch = (most * (_random(bits, BLOCK, 1, 1) + _random(bits, BLOCK, 1, 1)) / 2
                              for most in (TURN, LEAN, ZOOM, STRETCH))
    axis = np.arange(28, dtype=np.float32) - np.float32(13.5)
    x = axis[None, None, :] - SHIFT * _random(bits, BLOCK, 1, 1)
    y = axis[None, :, None] - SHIFT * _random(bits, BLOCK, 1, 1)
    x = (x + lean * y) * (SIZE * (1 + zoom + stretch))
    y = y * (SIZE * (1 + zoom - stretch))
    cosine, sine = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    return cosine * x - sine * y, sine * x + cosine * y


def _smooth_field(bits, size):
    """A smooth random field (BLOCK, 28, 28): ``sum_ij B_i(row) B_j(column) value_ij``, each value within +-size."""
    values = _random(bits, BLOCK, KNOTS, KNOTS, low=-size, high=size)
    rows = sum(_BASIS[i][None, :, None] * values[:, i, None, :] for i in range(KNOTS))
    return sum(_BASIS[j] * rows[:, :, j, None] for j in range(KNOTS))


def _basis():
    """Quadratic B-splines at the 28 pixels: (KNOTS, 28).

    At a distance of u knots from its middle one is ``3/4 - u^2`` as far as 1/2, then ``(3/2 - u)^2 / 2`` as far as 3/2.
    """
    at = np.linspace(0.5, KNOTS - 1.5, 28)
    u = np.abs(at[None, :] - np.arange(KNOTS)[:, None])
    return np.where(u < 0.5, 0.75 - u * u, np.where(u < 1.5, (1.5 - u) ** 2 / 2, 0)).astype(np.float32)


_BASIS = _basis()


def _warp(bits, x, y):
    """Each pixel looks a little aside, much as its neighbours do: elastic distortion (Simard and others, 2003)."""
    return x + _smooth_field(bits, WARP), y + _smooth_field(bits, WARP)


def _look_up(handwriting, x, y):
    """Distance in pixels from (x, y) to the pen's path, interpolated linearly between the four grid points around."""
    grids, _, _ = strokes.tables()
    side, middle = strokes.SIDE, (strokes.SIDE - 1) / 2
    u, v = (np.clip(z / np.float32(strokes.STEP) + np.float32(middle), 0, np.float32(side - 1.001)) for z in (x, y))
    column, row = u.astype(np.int32), v.astype(np.int32)
    u, v = u - column.astype(np.float32), v - row.astype(np.float32)
    corner = (handwriting.astype(np.int32) * (side * side))[:, None, None] + row * side + column
    flat = grids.reshape(-1)
    top = flat[corner] + u * (flat[corner + 1] - flat[corner])
    bottom = flat[corner + side] + u * (flat[corner + side + 1] - flat[corner + side])
    return top + v * (bottom - top)


def _ink(bits, distance):
    """Grey levels (BLOCK, 28, 28) uint8: ``ink clip((radius - distance) / edge + 1/2, 0, 1) + grain``, in 255 steps."""
    low, high = RADIUS
    radius = _random(bits, BLOCK, 1, 1, low=low, high=high) + _smooth_field(bits, PRESSURE)
    edge = _random(bits, BLOCK, 1, 1, low=EDGE[0], high=EDGE[1])
    ink = _random(bits, BLOCK, 1, 1, low=INK[0], high=INK[1])
    grain = _random(bits, BLOCK, 1, 1, low=0, high=GRAIN) * _random(bits, BLOCK, 28, 28)
    grey = ink * np.clip((radius - distance) / edge + np.float32(0.5), 0, 1) + grain
    return (np.clip(grey, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
