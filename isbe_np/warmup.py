"""Compiling beforehand: every kernel that networks, heads and optimizers use, so that no first step waits for the compiler."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from isbe_np.checks import nearest
from isbe_np.compiler.cache import SETTINGS, announced, cache_folder, kept_kernels
from isbe_np.datasets import Dataset
from isbe_np.engine.softmax import ALONE
from isbe_np.graph import Sequential
from isbe_np.heads import NORMALIZERS, ROUTES, Head
from isbe_np.layers import Dense
from isbe_np.networks import CLASSES, IMAGE, NETWORKS
from isbe_np.switch import KERNELS
from isbe_np.training import SGD, Adam, AdamW, train

DTYPES = ("float32", "float64")
# One batch for which dense layers use all their kernels, see `kernels.dense.LARGE_ERROR`.
BATCH = 256
OPTIMIZERS: tuple[Callable, ...] = (lambda: SGD(0.1), lambda: SGD(0.1, momentum=0.9),
                                    lambda: SGD(0.1, momentum=0.9, nesterov=True), Adam, AdamW)


@dataclass
class WarmUp:
    """What a warm-up did: kernels compiled by it, kernels that the folder holds now, seconds, and the folder."""

    compiled: int
    kept: int
    seconds: float
    folder: str

    def sentence(self) -> str:
        """In words."""
        if not self.compiled:
            return f"All kernels were there, {self.kept} in {self.folder}: nothing was compiled ({self.seconds:.1f} s)."
        return f"{self.compiled} kernels compiled in {self.seconds:.1f} s; {self.kept} are kept in {self.folder}."


def warm_up(nets: tuple[str, ...] = tuple(NETWORKS), dtypes: tuple[str, ...] = DTYPES, progress: bool = True,
            executor: Executor | None = None) -> WarmUp:
    """Compile, and keep, what training and evaluating `nets`, every head by every route and every optimizer use.

    Each is run for a moment, on random numbers. With an `executor` of processes about half of it is done there. A bar on a
    terminal shows how far it is. OSError where compiled kernels cannot be kept, ValueError where there is no compiler.
    """
    for name in nets:
        nearest("warmup: nets", name, tuple(NETWORKS))
    for dtype in dtypes:
        nearest("warmup: dtypes", dtype, DTYPES)
    folder = cache_folder()
    if SETTINGS.DISABLE_JIT:
        raise ValueError("warmup compiles kernels, and NUMBA_DISABLE_JIT=1 turns the compiler off. Leave it unset.")
    if folder is None or not os.access(folder, os.W_OK):
        raise OSError(f"warmup keeps compiled kernels, and {f'{folder} may only be read' if folder else 'has no folder'}. "
                      f"Set ISBE_CACHE_DIR to a folder that you may write, and do not set ISBE_JIT_CACHE=0.")
    before, start = kept_kernels(folder), time.perf_counter()
    here, there = _shares(nets, dtypes)
    announced()
    with tqdm(total=len(here + there), desc="compiling kernels", unit="part", leave=False, dynamic_ncols=True,
              disable=not (progress and sys.stderr.isatty())) as bar:
        later = [] if executor is None else [executor.submit(run, *given) for run, *given in there]
        for future in later:
            future.add_done_callback(lambda _: bar.update())
        for run, *given in here if later else here + there:
            bar.set_postfix_str(" ".join((run.__name__.removeprefix("warm_"), *given)))
            run(*given)
            bar.update()
        for future in later:
            future.result()
    kept = kept_kernels(folder)
    return WarmUp(kept - before, kept, time.perf_counter() - start, str(folder))


def _shares(nets, dtypes) -> tuple[list, list]:
    """The parts, in two lists that take about as long: by dtype, or networks apart from the rest if there is but one."""
    by_dtype = {dtype: ([(warm_network, name, dtype) for name in nets], [(warm_heads, dtype), (warm_optimizers, dtype)])
                for dtype in dtypes}
    if len(by_dtype) == 1:
        return next(iter(by_dtype.values()))
    first, second = (networks + rest for networks, rest in by_dtype.values())
    return first, second


def warm_network(name: str, dtype: str) -> None:
    """An epoch of two batches, a large one and one of a single image, and its evaluation: layers fused, and each by itself."""
    random = np.random.default_rng(0)
    images, labels = random.random((BATCH + 1, *IMAGE)).astype(dtype), random.integers(0, CLASSES, BATCH + 1)
    data = Dataset("noise", images, labels, images[:1].copy(), labels[:1], tuple(map(str, range(CLASSES))), "Random numbers.")
    for fuse in (True, False):
        train(NETWORKS[name](dtype=dtype, fuse=fuse), Head(), data, 1, BATCH, SGD(0.01, momentum=0.9), progress=False)


def warm_heads(dtype: str) -> None:
    """Forward, backward, loss and error of every normalizer by every route it has, for labels and for dense targets.

    Few scores and many: softmax has fast kernels for either. Its plain ones are compiled too, and others have no fast ones.
    """
    for normalizer, route, rows in itertools.product(NORMALIZERS, ROUTES, (2, ALONE)):
        scores, labels = np.random.default_rng(0).normal(size=(rows, 3)).astype(dtype), np.arange(rows) % 3
        with contextlib.suppress(ValueError):  # not every normalizer has every route
            head = Head(normalizer, route, strict=False)
            for head.kernels in KERNELS:
                head.forward(scores)
                for targets in (labels, np.eye(3, dtype=dtype)[labels]):
                    head.backward(targets)
                    head.loss(targets)
                    head.error(scores, targets)


def warm_optimizers(dtype: str) -> None:
    """A step of each."""
    for make in OPTIMIZERS:
        make().step(Sequential((2,), Dense(2), dtype=dtype))
