"""Layers: objects with shapes and parameters that call the kernels."""

from isbe_np.layers.activations import GELU, HardSigmoid, HardTanh, LeakyReLU, ReLU, Sigmoid, Tanh
from isbe_np.layers.attention import MultiHeadSelfAttention
from isbe_np.layers.base import Input, Layer, Node, Parameter, Step, Weights
from isbe_np.layers.conv2d import Conv2D
from isbe_np.layers.dense import Dense
from isbe_np.layers.dropout import Dropout
from isbe_np.layers.embedding import Embedding, PositionEmbedding
from isbe_np.layers.joining import Add, Flatten
from isbe_np.layers.normalization import BatchNorm, LayerNorm
from isbe_np.layers.pooling import AveragePool2D, GlobalAveragePool, MaxPool2D
from isbe_np.layers.tokens import MeanTokens, Patches

__all__ = [
    "GELU", "Add", "AveragePool2D", "BatchNorm", "Conv2D", "Dense", "Dropout", "Embedding", "Flatten",
    "GlobalAveragePool", "HardSigmoid", "HardTanh", "Input", "Layer", "LayerNorm", "LeakyReLU", "MaxPool2D", "MeanTokens",
    "MultiHeadSelfAttention", "Node", "Parameter", "Patches", "PositionEmbedding", "ReLU", "Sigmoid", "Step", "Tanh",
    "Weights",
]
