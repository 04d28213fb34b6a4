"""What all tests share."""

import os
import signal
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import isbe_np as isbe

sys.path.insert(0, str(Path(__file__).parent))

# A shell lets what it starts in the background ignore Ctrl-C, which tests are about.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Texts are as wide as where they are piped, be there a narrow terminal outside, or processes that share the tests.
os.environ.pop("COLUMNS", None)

# Relative rounding that a sum of some hundreds of products may show, by dtype.
ROUNDING = {np.dtype(np.float32): 2e-6, np.dtype(np.float64): 5e-15}


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    """Each test that asks for a dtype runs in both."""
    return np.dtype(request.param)


# Without the compiler there are only plain kernels.
KERNELS = ("plain",) if numba.config.DISABLE_JIT else isbe.KERNELS


@pytest.fixture(params=KERNELS)
def kernels(request, monkeypatch):
    """Each test that asks for it runs with both sets of kernels: every network and head in it is made with this one."""
    for place in ("isbe_np.graph.read_kernels", "isbe_np.heads.head.read_kernels"):
        monkeypatch.setattr(place, lambda who, given: request.param)
    return request.param


@pytest.fixture
def engine(monkeypatch):
    """Every network of a test that asks for it computes with the engine, without the compiler too."""
    monkeypatch.setattr("isbe_np.graph.read_kernels", lambda who, given: "fast")


@pytest.fixture
def random():
    """The same random numbers in every run."""
    return np.random.default_rng(20231127)


@pytest.fixture
def assert_close():
    """assert_close(got, wanted): the same shape, no NaN, and within rounding of the largest number wanted."""
    def check(got, wanted, factor=1.0):
        got, wanted = np.asarray(got), np.asarray(wanted, np.float64)
        assert got.shape == wanted.shape
        gap, scale = np.abs(got - wanted), max(1e-30, float(np.max(np.abs(wanted), initial=0.0)))
        assert (gap <= factor * ROUNDING[got.dtype] * scale).all(), f"differs by {gap.max() / scale:.2e} of the largest"
    return check
