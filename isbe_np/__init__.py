"""isbe_np: softmax Jacobian times cross-entropy gradient is softmax minus target, to see, to test and to train with.

    import isbe_np as isbe

    data = isbe.datasets.load("digits")
    net = isbe.networks.lenet5(seed=0)
    head = isbe.Head("softmax", route="isbe")
    history = isbe.train(net, head, data, epochs=3)
"""

from isbe_np import search_path  # noqa: F401  before anything is imported that the working folder could replace

# isort: split
import importlib
import logging
import warnings

from isbe_np import datasets, networks
from isbe_np.compiler.jit import set_threads
from isbe_np.gradient_check import GradientError, check_gradients
from isbe_np.graph import Graph, Sequential
from isbe_np.heads import (
    LOSSES,
    NORMALIZERS,
    REDUCTIONS,
    ROUTES,
    Head,
    Normalizer,
    cross_entropy,
    isbe_error,
    softmax,
    softmax_jacobian,
)
from isbe_np.layers import (
    GELU,
    Add,
    AveragePool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool,
    HardSigmoid,
    HardTanh,
    Input,
    Layer,
    LayerNorm,
    LeakyReLU,
    MaxPool2D,
    MeanTokens,
    MultiHeadSelfAttention,
    Patches,
    PositionEmbedding,
    ReLU,
    Sigmoid,
    Tanh,
)
from isbe_np.switch import KERNELS
from isbe_np.training import (
    SGD,
    Adam,
    AdamW,
    Checkpoint,
    History,
    RandomAffine,
    RandomFlipCrop,
    TrainingInterrupted,
    accuracy,
    load_checkpoint,
    load_network,
    load_safetensors,
    predict,
    save_checkpoint,
    save_safetensors,
    train,
)

__all__ = [
    "GELU", "KERNELS", "LOSSES", "NORMALIZERS", "REDUCTIONS", "ROUTES", "SGD", "Adam", "AdamW", "Add", "AveragePool2D",
    "BatchNorm", "Checkpoint", "Conv2D", "Dense", "Dropout", "Embedding", "Flatten", "GlobalAveragePool", "GradientError",
    "Graph", "HardSigmoid", "HardTanh", "Head", "History", "Input", "Layer", "LayerNorm", "LeakyReLU", "MaxPool2D",
    "MeanTokens", "MultiHeadSelfAttention", "Normalizer", "Patches", "PositionEmbedding", "RandomAffine", "RandomFlipCrop",
    "ReLU", "Sequential", "Sigmoid", "Tanh", "TrainingInterrupted", "accuracy", "check_gradients", "cross_entropy",
    "datasets", "isbe_error", "load_checkpoint", "load_network", "load_safetensors", "networks", "predict",
    "save_checkpoint", "save_safetensors", "set_threads", "softmax", "softmax_jacobian", "train",
]

logging.getLogger("isbe_np").addHandler(logging.NullHandler())  # quiet, unless a program asks to hear


def __getattr__(name: str):
    """`plots`, imported when it is first used, as matplotlib takes its time; and names of the last release, which warn."""
    from isbe_np.training.augmentation import RENAMED
    if name == "plots":
        return importlib.import_module("isbe_np.plots")
    if name in RENAMED:
        warnings.warn(f"isbe_np.{name} is called isbe_np.{RENAMED[name]} now. The old name will go with the next release.",
                      DeprecationWarning, stacklevel=2)
        return globals()[RENAMED[name]]
    raise AttributeError(f"module 'isbe_np' has no attribute {name!r}")
