"""isbe_np: softmax Jacobian times cross-entropy gradient is softmax minus target, to see, to test and to train with.

    import isbe_np as isbe

    data = isbe.datasets.load("digits")
    net = isbe.networks.lenet5(seed=0)
    head = isbe.Head("softmax", route="isbe")
    history = isbe.train(net, head, data, epochs=3)
"""

from isbe_np import search_path  # noqa: F401  before anything is imported that the working folder could replace

# isort: split
import logging

from isbe_np import datasets, networks
from isbe_np.compiler.jit import set_threads
from isbe_np.gradient_check import GradientError, check_gradients
from isbe_np.graph import Graph, Sequential
from isbe_np.heads import LOSSES, NORMALIZERS, REDUCTIONS, ROUTES, Head, Normalizer, softmax_jacobian
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
    Affine,
    Checkpoint,
    FlipShift,
    History,
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
    "GELU", "KERNELS", "LOSSES", "NORMALIZERS", "REDUCTIONS", "ROUTES", "SGD", "Adam", "AdamW", "Add", "Affine",
    "AveragePool2D", "BatchNorm", "Checkpoint", "Conv2D", "Dense", "Dropout", "Embedding", "Flatten", "FlipShift",
    "GlobalAveragePool", "GradientError", "Graph", "HardSigmoid", "HardTanh", "Head", "History", "Input", "Layer", "LayerNorm",
    "LeakyReLU", "MaxPool2D", "MeanTokens", "MultiHeadSelfAttention", "Normalizer", "Patches", "PositionEmbedding", "ReLU",
    "Sequential", "Sigmoid", "Tanh", "TrainingInterrupted", "accuracy", "check_gradients", "datasets", "load_checkpoint",
    "load_network", "load_safetensors", "networks", "predict", "save_checkpoint", "save_safetensors", "set_threads",
    "softmax_jacobian", "train",
]

logging.getLogger("isbe_np").addHandler(logging.NullHandler())  # quiet, unless a program asks to hear
