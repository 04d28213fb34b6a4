"""The engine's norms against the plain kernels in float64, and where numbers are awkward: constant, far from 0, not finite."""

import numba
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.compiler.jit import threads
from isbe_np.engine import normalization as kernels
from isbe_np.kernels import normalization as plain

COMPILED = not numba.config.DISABLE_JIT
EPS = 1e-5
# A, C, B: images with the batch last, images with it first, single channels and numbers, remainders of every vector.
CHANNELS = [(1, 3, 50), (1, 1, 2), (1, 70, 5), (4, 3, 7), (2, 1, 1), (1, 2, 133), (1, 2, 1)]
MATRICES = [(2, 1), (5, 3), (7, 66), (3, kernels.COLUMNS + 1), (33, 17), (1, 4)]
ROWS = [(1, 2), (3, 1), (5, 7), (6, 66), (2 * kernels.ROWS + 1, 3), (kernels.PARTS * kernels.ROWS + 5, 2)]


def reference(x, w, b, moments=None):
    """(y, dγ and dβ and dx as a function of dy) for the columns of x (M, C), by the plain kernels in float64."""
    x, C = np.asarray(x, np.float64).T.copy(), x.shape[1]
    w, b = (np.broadcast_to(np.asarray(number, np.float64), C).copy() for number in (w, b))
    mean, variance, r, y = *np.full((3, C), np.nan), np.full_like(x, np.nan)
    if moments is None:
        plain.row_statistics(x, mean, variance)
    else:
        mean[:], variance[:] = moments
    plain.inverse_deviation(variance, EPS, r)
    plain.batch_norm(x, mean, r, w, b, y)

    def backward(dy):
        dy, dw, db, dx = np.asarray(dy, np.float64).T.copy(), *np.full((2, C), np.nan), np.full_like(x, np.nan)
        plain.batch_norm_backward_parameters(dy, x, mean, r, dw, db)
        if moments is None:
            plain.batch_norm_backward_input(dy, x, mean, r, w, dx)
        else:
            dx[:] = dy * (r * w)[:, None]
        return dw, db, dx.T
    return y.T, backward


def flat(x):
    """x (A, C, B) or (N, C) as one column a channel."""
    return x if x.ndim == 2 else np.moveaxis(x, 1, 2).reshape(-1, x.shape[1])


def assert_difference(dx, wanted, terms):
    """dx is the difference of `terms` and means of them, and of their rounding: of two numbers nearly all of it cancels."""
    np.testing.assert_allclose(dx, wanted, rtol=0, atol=8 * np.finfo(dx.dtype).eps * np.abs(terms).max())


def drawn(random, shape, dtype, size):
    """x, dy of a shape, and γ, β."""
    x, dy = (random.normal(size=shape).astype(dtype) for _ in range(2))
    return 2 * x + 3, dy, random.normal(1, 0.5, size).astype(dtype), random.normal(size=size).astype(dtype)


def batch_norm(x, w, b, training=True, stats=None):
    """y and what the kernel leaves for backward."""
    y, stats = np.full_like(x, 7), np.full((3, w.size), 7.0) if stats is None else stats.copy()
    (kernels.batch_norm if x.ndim == 3 else kernels.batch_norm_columns)(x, w, b, EPS, training, stats, y)
    return y, stats


def batch_norm_backward(x, dy, w, stats, training=True, wanted=True):
    """dγ, dβ, dx."""
    sums, dx = np.full((2, w.size), 7.0), np.full_like(x if wanted else x[:0], 7)
    kernel = kernels.batch_norm_backward if x.ndim == 3 else kernels.batch_norm_columns_backward
    kernel(x, dy, w, stats, w.size / x.size if training else 0.0, sums, dx)
    return sums[0].astype(x.dtype), sums[1].astype(x.dtype), dx


@pytest.mark.parametrize("shape", CHANNELS + MATRICES, ids=str)
def test_batch_norm_in_training(shape, random, dtype, assert_close):
    x, dy, w, b = drawn(random, shape, dtype, shape[1])
    kept = x.copy(), dy.copy()
    y, stats = batch_norm(x, w, b)
    wanted, backward = reference(flat(x), w, b)
    assert_close(flat(y), wanted)
    np.testing.assert_allclose(stats[0], np.asarray(flat(x), np.float64).mean(0), rtol=1e-13)
    np.testing.assert_allclose(stats[1], np.asarray(flat(x), np.float64).var(0), rtol=1e-12, atol=1e-25)
    (dw, db, dx), (wanted_dw, wanted_db, wanted_dx) = batch_norm_backward(x, dy, w, stats), backward(flat(dy))
    assert_close(dw, wanted_dw, factor=2)
    assert_close(db, wanted_db)
    assert_difference(flat(dx), wanted_dx, stats[2] * flat(dy) * w)
    assert all((a == b).all() for a, b in zip((x, dy), kept, strict=True))


@pytest.mark.parametrize("shape", CHANNELS + MATRICES, ids=str)
def test_batch_norm_by_given_statistics(shape, random, dtype, assert_close):
    x, dy, w, b = drawn(random, shape, dtype, shape[1])
    given = np.stack([random.normal(size=shape[1]), random.uniform(0.5, 2, shape[1]), np.full(shape[1], 7.0)])
    y, stats = batch_norm(x, w, b, training=False, stats=given)
    wanted, backward = reference(flat(x), w, b, given[:2])
    assert_close(flat(y), wanted)
    assert (stats[:2] == given[:2]).all()
    for one, other in zip(batch_norm_backward(x, dy, w, stats, training=False), backward(flat(dy)), strict=True):
        assert_close(flat(one) if one.ndim > 1 else one, other, factor=2)


def layer_norm(x, w, b):
    y, stats = np.full_like(x, 7), np.full((len(x), 2), 7.0)
    kernels.layer_norm(x, w, b, EPS, stats, y)
    return y, stats


def layer_norm_backward(x, dy, w, stats, P, wanted=True):
    parts, dx = np.full((P, 2, w.size), 7.0), np.full_like(x if wanted else x[:0], 7)
    kernels.layer_norm_backward(x, dy, w, stats, parts, dx)
    return *parts[0].astype(x.dtype), dx


@pytest.mark.parametrize("shape", ROWS, ids=str)
def test_layer_norm(shape, random, dtype, assert_close):
    x, dy, w, b = drawn(random, shape, dtype, shape[1])
    y, stats = layer_norm(x, w, b)
    # A row here is a channel there, but for γ, which differs from number to number: it belongs to dy.
    x_hat, backward = reference(x.T, 1, 0)
    assert_close(y, x_hat.T * w + b)
    for P in {1, min(3, len(x))}:
        dw, db, dx = layer_norm_backward(x, dy, w, stats, P)
        assert_close(dw, (dy * x_hat.T).sum(0))
        assert_close(db, np.asarray(dy, np.float64).sum(0))
        assert_difference(dx, backward((np.asarray(dy, np.float64) * w).T)[2].T, stats[:, 1:] * dy * w)


def test_an_unwanted_gradient_by_x_changes_no_other(random, dtype):
    for shape in ((1, 3, 20), (6, 5)):
        x, dy, w, b = drawn(random, shape, dtype, shape[1])
        _, stats = batch_norm(x, w, b)
        with_dx, without = (batch_norm_backward(x, dy, w, stats, wanted=wanted) for wanted in (True, False))
        assert all((a == b).all() for a, b in zip(with_dx[:2], without[:2], strict=True))
    _, stats = layer_norm(x, w, b)
    with_dx, without = (layer_norm_backward(x, dy, w, stats, 1, wanted=wanted) for wanted in (True, False))
    assert all((a == b).all() for a, b in zip(with_dx[:2], without[:2], strict=True))


@pytest.mark.parametrize("value", [0.0, 0.1, -1e4, 1e30])
def test_constant_numbers_become_the_shift(value, dtype):
    """Their variance is exactly 0, so that ε alone divides; nothing is left of rounding the mean."""
    w, b = np.array([2, -1], dtype), np.array([0.5, 3], dtype)
    for shape in ((1, 2, 301), (301, 2)):
        x = np.full(shape, value, dtype)
        y, stats = batch_norm(x, w, b)
        assert (stats[0] == x.flat[0]).all() and (stats[1] == 0).all() and (flat(y) == b).all()
    x = np.full((3, 301), value, dtype)
    y, _ = layer_norm(x, np.full(301, 2, dtype), np.full(301, 0.5, dtype))
    assert (y == 0.5).all()


@pytest.mark.parametrize("center, spread", [(1e4, 1.0), (1e4, 1e-2), (-1e4, 1e4), (0, 1e-6), (1e30, 1e28), (0, 1e-30)])
def test_far_from_zero_or_narrow(center, spread, random, dtype, assert_close):
    """Of float32 numbers, as good as if x had been normal: the mean is more exact than they are. Of float64, it is not."""
    factor = 1 + abs(center) / max(spread, EPS ** 0.5) / 10 if dtype == np.float64 else 1
    w, b = np.array([2, -1], dtype), np.array([0.5, 3], dtype)
    for shape in ((1, 2, 200), (200, 2)):
        x = (center + spread * random.normal(size=shape)).astype(dtype)
        y, stats = batch_norm(x, w, b)
        wide = np.asarray(flat(x), np.longdouble)
        r = 1 / np.sqrt(wide.var(0) + EPS)
        assert_close(flat(y), (wide - wide.mean(0)) * r * w + b, factor)
        dx = batch_norm_backward(x, np.ones_like(x), w, stats)[2]
        assert (np.abs(dx) <= 1e-5 * stats[2].max()).all()
    y, _ = layer_norm(x.T.copy(), np.ones(200, dtype), np.zeros(200, dtype))
    assert_close(y.T, (wide - wide.mean(0)) * r, factor)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_channel(bad, random, dtype):
    for shape, place in (((1, 3, 20), (0, 1, 4)), ((20, 3), (4, 1))):
        x, dy, w, b = drawn(random, shape, dtype, 3)
        x[place] = bad
        y, stats = batch_norm(x, w, b)
        dw, _, dx = batch_norm_backward(x, dy, w, stats)
        for result in (flat(y), flat(dx), dw[None]):
            assert np.isfinite(result[:, [0, 2]]).all() and not np.isfinite(result[:, 1]).any()
    y, _ = layer_norm(x, w, b)
    assert np.isnan(y[4]).all() and np.isfinite(np.delete(y, 4, 0)).all()


def test_a_gradient_beyond_float32_is_infinite():
    dw, db = np.zeros((2, 1), np.float32)
    kernels.hand_over(np.array([[1e300], [2.0]]), dw, db)
    assert np.isposinf(dw) and db == 2


@pytest.mark.skipif(not COMPILED, reason="takes minutes without the compiler")
def test_a_million_numbers_in_float32(random):
    x = random.normal(1, 1, (1, 1, 1 << 20)).astype(np.float32)
    y, stats = batch_norm(x, np.ones(1, np.float32), np.zeros(1, np.float32))
    wide = np.asarray(x, np.float64)
    assert abs(stats[0, 0] - wide.mean()) < 1e-14 and abs(stats[1, 0] - wide.var()) < 1e-13
    assert abs(np.asarray(y, np.float64).mean()) < 1e-7 and abs(np.asarray(y, np.float64).std() - 1) < 1e-5
    dw, db, _ = batch_norm_backward(x, x, np.ones(1, np.float32), stats)
    assert db == np.float32(wide.sum()) and dw == np.float32((wide * (wide - wide.mean())).sum() * stats[2, 0])


@pytest.mark.skipif(not COMPILED or threads() < 2, reason="there is one thread only")
def test_two_threads_give_the_bits_of_one(random, dtype):
    def run():
        results = []
        for x, dy, w, b in data:
            y, stats = batch_norm(x, w, b)
            results += [y, stats, *batch_norm_backward(x, dy, w, stats)]
            if x.ndim == 2:
                y, stats = layer_norm(x, w, b)
                results += [y, stats, *layer_norm_backward(x, dy, w, stats, kernels.PARTS)]
        return results
    data = [drawn(random, shape, dtype, shape[1]) for shape in ((1, 5, 9001), (311, 3 * kernels.COLUMNS + 5))]
    all_threads = run()
    try:
        isbe.set_threads(1)
        one_thread = run()
    finally:
        isbe.set_threads(numba.config.NUMBA_NUM_THREADS)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(all_threads, one_thread, strict=True))
