"""Layers: objects with shapes and parameters that call the kernels."""

from isbe_np.layers.activations import GELU, HardSigmoid, HardTanh, LeakyReLU, ReLU, Sigmoid, Tanh
from isbe_np.layers.base import Input, Layer, Node, Parameter, Step, Weights
from isbe_np.layers.conv2d import Conv2D
from isbe_np.layers.dense import Dense
from isbe_np.layers.dropout import Dropout
from isbe_np.layers.joining import Add, Flatten
from isbe_np.layers.pooling import AveragePool2D, MaxPool2D

__all__ = ["GELU", "Add", "AveragePool2D", "Conv2D", "Dense", "Dropout", "Flatten", "HardSigmoid", "HardTanh", "Input",
           "Layer", "LeakyReLU", "MaxPool2D", "Node", "Parameter", "ReLU", "Sigmoid", "Step", "Tanh", "Weights"]
