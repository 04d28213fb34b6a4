"""The pen strokes of the embedded digits: a table, and the distance from every point of a fine grid to the ink.

Each handwriting is a line of text. Numbers are points ``x,y`` in per cent of the digit's box (x to the right, y down);
a smooth curve runs through the points of a stroke, and `/` lifts the pen, which is also how a sharp corner is made.
"""

from functools import lru_cache

import numpy as np

HANDWRITINGS = (
    ("50,0 25,14 17,50 26,87 50,100 75,86 83,50 74,13 50,0",
     "60,0 36,20 27,55 33,90 50,100 66,82 73,46 69,12 56,2",
     "64,10 42,0 20,22 14,60 32,95 58,98 82,70 84,35 66,6 44,8"),
    ("50,0 50,100",
     "30,24 42,14 54,0 / 54,0 51,100",
     "34,20 52,0 / 52,0 52,100 / 28,100 76,100",
     "62,0 54,50 40,100"),
    ("22,24 34,4 56,0 75,14 73,36 50,66 19,98 / 19,98 83,98",
     "22,20 40,2 66,4 77,24 64,54 38,86 22,97 16,87 30,80 52,93 86,97",
     "24,14 46,0 70,8 75,30 55,62 22,96 / 22,96 46,90 66,97 84,93"),
    ("21,14 42,0 68,5 73,26 60,42 38,47 / 38,47 66,52 81,72 69,94 42,100 17,87",
     "22,2 76,2 / 76,2 44,40 / 44,40 70,47 81,70 67,94 40,100 17,88",
     "26,8 52,0 72,14 66,36 48,46 44,50 50,54 74,64 78,84 58,100 22,94"),
    ("30,0 18,58 / 18,58 84,54 / 68,12 60,100",
     "62,0 14,68 / 14,68 88,68 / 62,0 62,100",
     "26,2 20,34 32,54 54,54 74,44 / 78,0 70,50 66,100",
     "56,0 20,60 / 20,60 50,58 84,62 / 64,32 58,100"),
    ("76,2 31,2 / 31,2 26,43 / 26,43 52,35 77,50 78,78 56,100 18,91",
     "74,3 52,6 34,4 / 34,4 28,44 / 28,44 58,42 77,64 65,92 38,100 16,90",
     "32,4 28,46 / 28,46 54,38 76,56 74,84 52,100 20,92 / 32,4 80,0"),
    ("68,2 42,22 24,56 28,88 50,100 73,88 76,68 57,52 35,60 25,78",
     "50,0 32,40 24,76 42,100 68,93 75,72 58,57 34,66 25,80",
     "76,10 58,0 36,14 22,50 24,84 48,100 74,86 72,62 50,52 26,68"),
    ("18,4 82,4 / 82,4 58,46 44,100",
     "18,6 50,8 82,3 / 82,3 60,48 42,100 / 34,52 78,47",
     "22,22 24,5 / 24,5 78,5 / 78,5 70,40 56,66 50,100"),
    ("71,14 49,0 28,14 35,36 54,48 75,66 73,91 48,100 25,90 26,68 48,50 67,34 71,14",
     "50,0 29,10 29,35 50,46 71,35 71,10 50,0 / 50,46 24,58 21,88 50,100 79,88 76,58 50,46",
     "74,8 58,0 36,12 42,38 58,52 68,74 56,98 34,96 28,76 48,52 68,34 76,12"),
    ("74,22 60,2 35,5 24,28 38,48 62,43 74,22 / 74,22 71,60 60,100",
     "76,10 48,0 25,18 31,45 56,48 76,26 / 77,4 74,50 72,100",
     "74,20 51,0 27,15 28,42 52,49 72,32 / 74,20 78,60 62,94 36,99 22,88"),
)
BOX = 20.0  # pixels of the 28 x 28 image along each side of a digit's box, whose strokes are about 60 % as wide as high
STEP = 0.5  # pixels between grid points
SIDE = 72  # grid points along each side: 36 pixels, so that a shifted image never looks far outside


def curve(points: np.ndarray, pieces: int = 6) -> np.ndarray:
    """Points (P, 2) on the Catmull-Rom curve through `points` (K, 2): each span is cut into `pieces` straight pieces.

    Between p1 and p2, with t from 0 to 1, the curve is half of
    ``2 p1 + (p2 - p0) t + (2 p0 - 5 p1 + 4 p2 - p3) t^2 + (3 p1 - p0 - 3 p2 + p3) t^3``;
    the first and the last point stand in for their missing neighbours (Catmull and Rom, 1974).
    """
    if len(points) == 2:
        return points
    p0, p1, p2, p3 = (np.concatenate([points[:1], points, points[-1:]])[i:len(points) - 1 + i, None] for i in range(4))
    t = (np.arange(pieces) / pieces)[:, None]
    spans = (2 * p1 + t * ((p2 - p0) + t * ((2 * p0 - 5 * p1 + 4 * p2 - p3) + t * (3 * p1 - p0 - 3 * p2 + p3)))) / 2
    return np.concatenate([spans.reshape(-1, 2), points[-1:]])


def segments(handwriting: str) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends (S, 2) of the straight pieces of a handwriting, in pixels from the centre of the image."""
    starts, ends = [], []
    for stroke in handwriting.split("/"):
        percent = np.array([point.split(",") for point in stroke.split()], dtype=np.float64)
        path = curve((percent / 100 - 0.5) * BOX)
        starts.append(path[:-1])
        ends.append(path[1:])
    return np.concatenate(starts), np.concatenate(ends)


def distances(handwriting: str) -> np.ndarray:
    """Distance in pixels from each grid point to the pen's path: (SIDE, SIDE) float32.

    From a point q to the piece from a to b it is ``|q - a - t (b - a)|`` with ``t = (q - a).(b - a) / |b - a|^2``, or
    with 0 or 1 if t lies beyond.
    """
    axis = (np.arange(SIDE) - (SIDE - 1) / 2) * STEP
    nearest = np.full((SIDE, SIDE), np.inf)
    for (ax, ay), (bx, by) in zip(*segments(handwriting), strict=True):
        dx, dy = bx - ax, by - ay
        qx, qy = axis[None, :] - ax, axis[:, None] - ay
        t = np.clip((qx * dx + qy * dy) / (dx * dx + dy * dy), 0, 1)
        np.minimum(nearest, (qx - t * dx) ** 2 + (qy - t * dy) ** 2, out=nearest)
    return np.sqrt(nearest).astype(np.float32)


@lru_cache(maxsize=1)
def tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances of all handwritings (V, SIDE, SIDE), the row of each digit's first (10,) and how many it has (10,)."""
    counts = np.array([len(digit) for digit in HANDWRITINGS])
    grids = np.stack([distances(text) for digit in HANDWRITINGS for text in digit])
    grids.flags.writeable = False
    return grids, np.cumsum(counts) - counts, counts
