"""Training: optimizers, schedules, the loop, and what it reports."""

from isbe_np.training.augmentation import RandomAffine, RandomFlipCrop
from isbe_np.training.checkpoint import Checkpoint, load_checkpoint, load_network, save_checkpoint
from isbe_np.training.exchange import load_safetensors, save_safetensors
from isbe_np.training.history import History
from isbe_np.training.metrics import accuracy, predict
from isbe_np.training.optimizers import SGD, Adam, AdamW, Optimizer
from isbe_np.training.schedules import SCHEDULES
from isbe_np.training.stopping import TrainingInterrupted
from isbe_np.training.train import train

__all__ = [
    "SCHEDULES",
    "SGD",
    "Adam",
    "AdamW",
    "Checkpoint",
    "History",
    "Optimizer",
    "RandomAffine",
    "RandomFlipCrop",
    "TrainingInterrupted",
    "accuracy",
    "load_checkpoint",
    "load_network",
    "load_safetensors",
    "predict",
    "save_checkpoint",
    "save_safetensors",
    "train",
]
