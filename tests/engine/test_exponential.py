import numpy as np
import pytest

from isbe_np.compiler.jit import SETTINGS, jit
from isbe_np.engine import exponential

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
WIDER = {np.float32: np.float64, np.float64: np.longdouble}
LEAST = {np.float32: -104.5, np.float64: -746.0}  # below, half the smallest number is not reached
SLOW = bool(SETTINGS.DISABLE_JIT)


@jit
def run(x, y):
    for i in range(x.size):
        y[i] = exponential.exp(x[i])


@jit
def maxima(x, y):
    for n in range(x.shape[0]):
        y[n] = exponential.largest(x, n)


def exp(x):
    y = np.full_like(x, 7)
    with np.errstate(all="ignore"):
        run(x, y)
    return y


def largest(x):
    y = np.full(len(x), 7, x.dtype)
    maxima(x, y)
    return y


def units(x):
    """How far exp(x) is from e^x, in units in the last place of e^x."""
    exact = np.exp(WIDER[x.dtype.type](x))
    return np.abs(exp(x) - exact) / np.spacing(exact.astype(x.dtype))


@every_dtype
def test_within_two_units_in_the_last_place(dtype):
    random = np.random.default_rng(0)
    n = 2000 if SLOW else 1_000_000
    everywhere = LEAST[dtype] * random.random(n)
    near_0 = -np.exp2(random.uniform(-60, 3, n))
    middles = -np.log(2) * (np.arange(150) + 0.5)  # where k changes, r is largest
    for x in (everywhere, near_0, middles, middles * (1 + 1e-7), middles * (1 - 1e-7)):
        y = units(x.astype(dtype))
        assert y.max() < 1.5
        assert (exp(x.astype(dtype)) <= 1).all()


def test_one_float32_in_a_hundred():
    first, last = (int(np.float32(x).view(np.uint32)) for x in (-1e-8, LEAST[np.float32]))
    x = np.arange(first, last, 100_003 if SLOW else 97, dtype=np.uint32).view(np.float32)
    assert units(x).max() < 1.5


@every_dtype
def test_ends(dtype):
    most = np.finfo(dtype).max
    x = np.array([0, -0.0, -np.inf, -most, LEAST[dtype], 2 * LEAST[dtype], np.nan], dtype)
    assert np.array_equal(exp(x), np.array([1, 1, 0, 0, 0, 0, np.nan], dtype), equal_nan=True)
    tiny = np.log(np.finfo(dtype).tiny)
    assert (exp(np.array([tiny - 0.1, tiny - 10], dtype)) > 0).all()  # subnormal numbers are not cut off


@every_dtype
def test_a_number_alone_is_as_in_a_run(dtype):
    x = (-20 * np.random.default_rng(1).random(203)).astype(dtype)
    assert np.array_equal(exp(x), np.concatenate([exp(x[i:i + 1]) for i in range(x.size)]))


@every_dtype
@pytest.mark.parametrize("C", [1, 2, 7, 64, 1000])
def test_largest(C, dtype):
    x = np.random.default_rng(C).normal(size=(5, C)).astype(dtype)
    x[1] = -np.abs(x[1])
    x[2] *= dtype(np.finfo(dtype).max / 10)
    assert np.array_equal(largest(x), x.max(axis=1))


@every_dtype
def test_largest_of_what_is_not_finite(dtype):
    inf, nan, most = np.inf, np.nan, np.finfo(dtype).max
    rows = np.array([[0, inf, 1], [-inf, -inf, -most], [-inf, -inf, -inf], [0, nan, inf], [-0.0, -1, -2]], dtype)
    assert np.array_equal(largest(rows), np.array([inf, -most, -inf, nan, 0], dtype), equal_nan=True)


@pytest.mark.skipif(SLOW, reason="nothing is compiled")
def test_loops_over_it_vectorise():
    exp(np.zeros(3, np.float32))
    largest(np.zeros((2, 3), np.float32))
    for kernel, instruction in ((run, "mulps"), (maxima, "pmaxsd")):
        asm = next(iter(kernel.inspect_asm().values()))
        if "xmm" not in asm:
            pytest.skip("another processor")
        assert instruction in asm
