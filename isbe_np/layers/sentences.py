"""What `Sequential` says where its arguments are written as another framework would have them."""

import numpy as np

from isbe_np.layers.base import Layer, Node


def refuse_no_shape(given, layers: tuple) -> None:
    """Raise the TypeError of a first argument that is a layer, a list of layers or a node where a shape is expected."""
    some = list(given) if isinstance(given, (list, tuple)) else [given]
    if any(map(_is_layer, some)):
        named = ", ".join(f"{one.__name__}(...)" if isinstance(one, type) else repr(one) for one in (*some, *layers))
        raise TypeError(f"Sequential expects the input's shape before its layers, without the batch; got {given!r} first. "
                        f"Write Sequential((784,), {named}) for vectors of 784 numbers, or begin with (1, 28, 28) for images.")
    if isinstance(given, Node):
        raise TypeError(f"Sequential expects the input's shape, not a node; got {given!r}. Write "
                        f"Sequential({given.shape}, ...).")


def instead(given) -> str:
    """What to write instead of `given`, which is no layer, as a sentence after a space; empty where that is not known."""
    if isinstance(given, type) and issubclass(given, Layer):
        return f" Write {given.__name__}(...), with brackets, to make a layer of this class."
    if isinstance(given, (list, tuple)) and given and all(map(_is_layer, given)):
        return f" Write the layers one after another, without the list: {', '.join(map(repr, given))}."
    if isinstance(given, (int, np.integer)):
        return " Put a shape of several numbers in brackets, such as (1, 28, 28)."
    return ""


def _is_layer(given) -> bool:
    return isinstance(given, Layer) or (isinstance(given, type) and issubclass(given, Layer))
