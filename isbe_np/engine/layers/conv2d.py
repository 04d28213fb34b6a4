"""The engine's convolutional layer: convolutions of bordered buffers, by register tiles (see `engine.conv2d`)."""

from types import SimpleNamespace

import numpy as np

from isbe_np.engine.conv2d import TOGETHER, conv2d, conv2d_backward_weight, gather, piece_size, pieces, tap_offsets
from isbe_np.engine.layers.base import Fast, no_limits
from isbe_np.engine.layout import inside, lay_inside
from isbe_np.engine.vectors import width
from isbe_np.layers.base import Step, zeros
from isbe_np.layers.conv2d import Conv2D


class FastConv2D(Fast):
    """`Conv2D`."""

    batch_last = True
    core: Conv2D

    def prepare(self, step: Step) -> None:
        work, (p, q), (C, H, W, N) = step.work, self.core.padding, step.x.shape
        work.shape, work.free = (*self.core.output_shape((C, H, W)), N), no_limits(step.y.dtype)
        work.images, work.inside = step.x[None], None
        if p or q or pieces(N) > 1:
            work.images = in_pieces(C, H + 2 * p, W + 2 * q, N, step.x.dtype)
            work.inside = inside(step.x.shape, work.images.shape, self.core.padding)
        work.taps = tap_offsets(C, *self.core.kernel, *work.images.shape[2:])
        work.start = zeros((self.core.filters, width(step.x.itemsize)), step.x.dtype)

    def steps(self, step: Step) -> tuple[int, int, int, int]:
        """How the taps of one output step through the padded images (see `engine.conv2d`)."""
        W, P = step.work.images.shape[3:]
        return 0, self.core.stride[0] * W * P, self.core.stride[1] * P, step.work.images[0].size

    def forward(self, step: Step) -> None:
        self.convolve(step, step.work.free)

    def convolve(self, step: Step, limits: tuple) -> None:
        """step.y = the convolution, each number limited to low..high."""
        work, (O, OH, OW, N) = step.work, step.work.shape
        self.pad(step)
        conv2d(work.images.reshape(-1), self.steps(step), work.taps, step.w.weight.reshape(-1), work.start.reshape(-1),
               limits, step.y.reshape(-1), OH * OW * N, (0, OW * N, N, piece_size(N)), (O, OH, OW, N))

    def pad(self, step: Step) -> None:
        """Copy the input into its bordered buffer, where there is one, and the bias into as many places as kernels want it."""
        if step.work.inside is not None:
            lay_inside(step.x, step.work.inside, step.work.images)
        step.work.start[...] = step.w.bias[:, None]

    def prepare_backward(self, step: Step) -> None:
        self.plan_backward(step, step.dy)

    def plan_backward(self, step: Step, given: np.ndarray | None) -> None:
        """Lay out the error's buffer and, for the gradient by the input, the convolution for each phase of the stride.

        With stride s the pixels p, p + s, p + 2 s ... of the padded input, a phase, see the weights k = p, p + s, ... alone:
        pixel s i + p has the gradient Σ_m w[s m + p] dy[i - m]. Each is a convolution of dy, with zeros around it, by a
        part of the filters turned around. `given` is where the error lies, if it exists before.
        """
        work, (O, OH, OW, N) = step.work, step.work.shape
        work.error_inside, work.first, work.phases = None, 0, []
        if step.dx is None:
            # Nothing needs zeros around the error, and if it is in one piece it may stay where it is `given`.
            work.errors = in_pieces(O, OH, OW, N, step.y.dtype) if given is None or pieces(N) > 1 else given[None]
            if pieces(N) > 1:
                work.error_inside = inside(work.shape, work.errors.shape, (0, 0))
            return
        C, H, W, _ = step.dx.shape
        core = self.core
        axes = [list(phases(*sizes)) for sizes in zip((H, W), core.kernel, core.stride, core.padding, strict=True)]
        (top, height), (left, across) = (border(axis, n) for axis, n in zip(axes, (OH, OW), strict=True))
        work.errors = in_pieces(O, height, across, N, step.dx.dtype)
        work.error_inside = inside(work.shape, work.errors.shape, (top, left))
        work.first = (top * across + left) * work.errors.shape[-1]
        work.phases = [self.phase(step, rows, columns, (top, left)) for rows in axes[0] for columns in axes[1]]
        work.zeros = zeros((C, width(step.dx.itemsize)), step.dx.dtype)

    def phase(self, step: Step, rows, columns, corner):
        """Everything that one phase's convolution takes, but for the numbers themselves."""
        (C, _, W, N), (_, O, height, width, P) = step.dx.shape, step.work.errors.shape
        o, k, l = np.meshgrid(np.arange(O), rows.weights, columns.weights, indexing="ij")
        _, m, r = np.meshgrid(np.arange(O), np.arange(len(rows.weights)), np.arange(len(columns.weights)), indexing="ij")
        (KH, KW), (s, t) = self.core.kernel, self.core.stride
        place = (((o * C) * KH + k) * KW + l).ravel()
        first = ((rows.first + corner[0]) * width + columns.first + corner[1]) * P
        return SimpleNamespace(
            taps=(((o * height - m) * width - r) * P).ravel(),
            index=(place + np.arange(C)[:, None] * KH * KW).ravel(),
            turned=zeros((C, place.size), step.dx.dtype),
            steps=(first, width * P, P, step.work.errors[0].size),
            to=((rows.pixel * W + columns.pixel) * N, s * W * N, t * N, piece_size(N)),
            sizes=(C, rows.count, columns.count, N))

    def backward(self, step: Step) -> None:
        work = step.work
        if work.error_inside is not None:
            lay_inside(step.dy, work.error_inside, work.errors)
        self.backward_from_error(step)

    def backward_from_error(self, step: Step) -> None:
        """Everything but filling `work.errors`, the error with zeros around it."""
        work, (O, OH, OW, N), (_, _, height, width, P) = step.work, step.work.shape, step.work.errors.shape
        _, row, pixel, piece = self.steps(step)
        for first in range(0, pieces(N), TOGETHER):
            conv2d_backward_weight(work.errors.reshape(-1), work.first, height * width * P, work.images.reshape(-1), work.taps,
                                   ((width * P, row), (P, pixel), (work.errors[0].size, piece)), (OH, OW, N),
                                   (first, min(pieces(N), first + TOGETHER)), step.dw.weight.reshape(O, -1), step.dw.bias)
        if step.dx is not None:
            self.backward_input(step)

    def backward_input(self, step: Step) -> None:
        """The gradient by x alone, from `work.errors`: a convolution for each phase of the stride."""
        work, (_, H, W, N) = step.work, step.dx.shape
        for phase in work.phases:
            gather(step.w.weight.reshape(-1), phase.index, phase.turned.reshape(-1))
            conv2d(work.errors.reshape(-1), phase.steps, phase.taps, phase.turned.reshape(-1),
                   work.zeros.reshape(-1), work.free, step.dx.reshape(-1), H * W * N, phase.to, phase.sizes)


def in_pieces(C: int, H: int, W: int, N: int, dtype) -> np.ndarray:
    """Zeros for images of a batch of N as convolutions read them: (pieces, C, H, W, numbers of a piece)."""
    return zeros((pieces(N), C, H, W, piece_size(N)), dtype)


def phases(H, K, s, p):
    """Along one axis: which pixels of the input see which weights, and the output that weight 0 of them leads to.

    Input pixel h, padded h + p = s i + a, is reached by the weights k = a, a + s, ... = a + s m from the outputs i - m.
    """
    for a in range(s):
        pixel = (a - p) % s
        if pixel < H:
            yield SimpleNamespace(pixel=pixel, count=(H - pixel + s - 1) // s, weights=np.arange(a, K, s),
                                  first=(pixel + p - a) // s)


def border(axis, n):
    """Zeros to put before n outputs, and the length with those after it, so that every phase finds what it asks for."""
    seen = [phase for phase in axis if phase.weights.size]
    before = max([0, *(phase.weights.size - 1 - phase.first for phase in seen)])
    return before, before + max([n, *(phase.first + phase.count for phase in seen)])
