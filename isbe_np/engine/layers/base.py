"""What the engine's layers share."""

import numpy as np

from isbe_np.layers.base import Layer


class Fast(Layer):
    """A layer that does the work of `core`, a layer of the package, by other kernels.

    The plan puts it in the place of `core`, whose shapes, parameters and settings it reads. It has none of its own. Values lie
    as `core` wants them, so that with both sets of kernels dropout's random numbers fall on the same ones.
    """

    def __init__(self, core: Layer):
        super().__init__()
        self.core, self.batch_last = core, core.batch_last

    def __repr__(self) -> str:
        return repr(self.core)


def no_limits(dtype) -> tuple:
    """The limits (low, high) that limit nothing, for kernels that take some."""
    return dtype.type(-np.inf), dtype.type(np.inf)
