"""Data sets of 28 x 28 images in ten classes: digits drawn here, and MNIST and two of its kind from files."""

from isbe_np.datasets.batches import batches, order
from isbe_np.datasets.catalogue import NAMES
from isbe_np.datasets.fetch import Available, FileReport, available, fetch, verify
from isbe_np.datasets.loading import Dataset, load

__all__ = ["NAMES", "Available", "Dataset", "FileReport", "available", "batches", "fetch", "load", "order", "verify"]
