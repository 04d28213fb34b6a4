"""Training: optimizers, schedules, the loop, and what it reports."""

from isbe_np.training.augmentation import Affine, FlipShift
from isbe_np.training.history import History
from isbe_np.training.metrics import accuracy, predict
from isbe_np.training.optimizers import SGD, Adam, AdamW, Optimizer
from isbe_np.training.schedules import SCHEDULES
from isbe_np.training.train import train

__all__ = ["SCHEDULES", "SGD", "Adam", "AdamW", "Affine", "FlipShift", "History", "Optimizer", "accuracy", "predict", "train"]
