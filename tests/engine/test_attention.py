"""The engine's attention against the plain kernels in float64, at sizes that leave every kind of remainder."""

import numba
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.engine.attention import BAND
from isbe_np.layers.attention import Attention

CASES = [  # N, T, heads, d
    (2, 5, 2, 3), (1, 1, 1, 1), (3, 1, 2, 2), (1, 2, 1, 4), (2, BAND, 1, 5), (1, BAND + 2, 2, 8), (2, 17, 4, 4), (1, 70, 2, 20),
    (1, 16, 2, 64), (5, 3, 8, 1),
]
both = pytest.mark.parametrize("causal", [False, True], ids=["all", "causal"])
compiled = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes minutes without the compiler")


def run(qkv, do, heads, causal):
    """Weights, outputs and gradient, in buffers full of what must not be read."""
    net = isbe.Sequential(qkv.shape[1:], Attention(heads, causal), dtype=qkv.dtype)
    plan = net._plan(len(qkv))
    plan.prepare_backward(to_input=True)
    (_, step, _, _), = plan.steps
    for array in (step.y, step.dxs[0], step.work.weights, step.work.room, step.work.room_backward):
        array[...] = np.nan
    o = net.forward(qkv)
    return step.work.weights, o, net.backward(do, input_gradient=True)


def plain(qkv, do, heads, causal):
    """The same three by the plain kernels, in float64."""
    net = isbe.Sequential(qkv.shape[1:], Attention(heads, causal), dtype=np.float64, kernels="plain")
    o, (_, step, _, _) = net.forward(qkv.astype(np.float64)), *net._plan(len(qkv)).steps
    return step.work.weights, o, net.backward(do.astype(np.float64), input_gradient=True)


def draw(random, N, T, heads, d, dtype, scale=1.0):
    return [(scale * random.normal(size=(N, T, k * heads * d))).astype(dtype) for k in (3, 1)]


@both
@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward_and_backward(case, causal, random, dtype, assert_close):
    qkv, do = draw(random, *case, dtype)
    a, o, dqkv = run(qkv, do, case[2], causal)
    wanted_a, wanted_o, wanted_dqkv = plain(qkv, do, case[2], causal)
    assert_close(a, wanted_a)
    assert_close(o, wanted_o)
    assert_close(dqkv, wanted_dqkv, factor=2)


@both
def test_weights_are_a_softmax_over_what_a_token_may_see(causal, random, dtype):
    qkv, do = draw(random, 2, 30, 2, 4, dtype)
    a, _, _ = run(qkv, do, 2, causal)
    np.testing.assert_allclose(a.sum(3), 1, rtol=1e-6)
    hidden = np.triu(np.ones((30, 30), bool), 1)
    assert (a[:, :, ~hidden] > 0).all() and ((a[:, :, hidden] == 0).all() if causal else (a[:, :, hidden] > 0).all())


def test_causal_nothing_reaches_earlier_tokens(random, dtype):
    """Neither a later token's numbers, forward, nor an earlier token's error, backward: to the bit."""
    qkv, do = draw(random, 1, 40, 2, 4, dtype)
    changed, other = qkv.copy(), do.copy()
    changed[:, 29:] = 3
    other[:, :29] = 3
    assert run(qkv, do, 2, True)[1][:, :29].tobytes() == run(changed, do, 2, True)[1][:, :29].tobytes()
    k_and_v = np.s_[:, 29:, 8:]
    assert run(qkv, do, 2, True)[2][k_and_v].tobytes() == run(qkv, other, 2, True)[2][k_and_v].tobytes()


@both
def test_equal_tokens_are_weighed_equally(causal, dtype):
    """Constant input: a_ij = 1 / (tokens seen), whatever the numbers; nothing is sent to q and k."""
    qkv = np.full((2, 7, 12), 1e4, dtype)
    a, o, dqkv = run(qkv, np.ones((2, 7, 4), dtype), 2, causal)
    seen = np.arange(1, 8) if causal else np.full(7, 7)
    np.testing.assert_allclose(a[0, 0, range(7), 0], 1 / seen, rtol=1e-6)
    np.testing.assert_allclose(o, 1e4, rtol=1e-6)
    assert (np.abs(dqkv[:, :, :4]) <= 1e4 * 7 * 1e4 * np.finfo(dtype).eps).all()


@both
def test_large_numbers_choose_one_token(causal, random, dtype):
    """Scores of 1e8 and more: a softmax of ones and zeros, and no NaN."""
    qkv, do = draw(random, 2, 9, 1, 3, dtype, scale=1e4)
    a, o, dqkv = run(qkv, do, 1, causal)
    assert np.isfinite(a).all() and np.isfinite(o).all() and np.isfinite(dqkv).all()
    assert (np.sort(a, axis=3)[..., -1] > 0.99).all()


@both
def test_every_example_and_head_is_for_itself(causal, random, dtype):
    """Part of a batch gives the same bits; so does a head alone."""
    qkv, do = draw(random, 5, 10, 3, 4, dtype)
    a, o, dqkv = run(qkv, do, 3, causal)
    for some in (slice(0, 1), slice(1, 4)):
        for part, all_of_it in zip(run(qkv[some], do[some], 3, causal), (a, o, dqkv), strict=True):
            assert part.tobytes() == all_of_it[some].tobytes()
    one = np.ascontiguousarray(np.concatenate([qkv[:, :, 4:8], qkv[:, :, 16:20], qkv[:, :, 28:32]], axis=2))
    assert run(one, np.ascontiguousarray(do[:, :, 4:8]), 1, causal)[1].tobytes() == o[:, :, 4:8].tobytes()


def test_nan_stays_in_its_example(random, dtype):
    net = isbe.Sequential((4, 12), Attention(2), dtype=dtype)
    (_, step, _, _), = net._plan(3).steps
    step.x[...] = random.normal(size=step.x.shape)
    step.x[1, 2, 3] = np.nan
    net._plan(3).steps[0][0].forward(step)
    assert np.isnan(step.y[1]).any() and np.isfinite(step.y[[0, 2]]).all()


@compiled
@both
def test_one_thread_and_several_give_the_same_bits(causal, random, dtype):
    qkv, do = draw(random, 16, 33, 4, 8, dtype)
    results = []
    try:
        for n in (1, numba.config.NUMBA_NUM_THREADS):
            isbe.set_threads(n)
            results.append([array.tobytes() for array in run(qkv, do, 4, causal)])
    finally:
        isbe.set_threads(numba.config.NUMBA_NUM_THREADS)
    assert results[0] == results[1]
