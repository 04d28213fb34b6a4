"""Data sets of images in ten classes: digits drawn here; MNIST, two of its kind and CIFAR-10 from files."""

from isbe_np.datasets.batches import batches, order
from isbe_np.datasets.catalogue import NAMES
from isbe_np.datasets.fetch import Available, FileReport, available, fetch, verify
from isbe_np.datasets.loading import Dataset, load

__all__ = ["NAMES", "Available", "Dataset", "FileReport", "available", "batches", "fetch", "load", "order", "verify"]
