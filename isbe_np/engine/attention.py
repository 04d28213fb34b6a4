"""Multi-head attention of tokens to one another (Vaswani et al. 2017, eq. 1), between the two dense layers around it.

Sizes: N batch, T tokens of D numbers, H heads of d = D / H numbers each. For one example and one head, with the rows q_i, k_i,
v_i (d) of the T tokens:

    s_ij = q_i · k_j / √d            how much token i asks for token j
    a_i  = softmax(s_i)              weights over the tokens j; causal: over j ≤ i alone
    o_i  = Σ_j a_ij v_j              the weighted values

Backward, from the error do (T, d):

    da_ij = do_i · v_j               dv_j = Σ_i a_ij do_i
    ds_i  = Jᵀ da_i                  J = diag(a_i) − a_i a_iᵀ
          = a_i ⊙ (da_i − ⟨a_i, da_i⟩)
    dq_i  = Σ_j ds_ij k_j / √d       dk_j = Σ_i ds_ij q_i / √d

The softmax here stands inside the network, where no cross-entropy follows it: its Jacobian J finds no gradient to collapse
with, and each of the T of a head is multiplied by. It goes by `softmax_product`, the plain kernel of a head's route "factored".

A task owns one head of one example: what it writes, nobody else does, so that any number of threads gives the same bits. Its
matrices fit the nearest caches, and are multiplied by blocks (see `microkernels`), where a sum's terms are rows of the second
factor: for their dot products k and v are turned around, and take 1/√d along, ds by way of da. Causal, the rows go in bands of
BAND, each of which ends at its last row's own token.
"""

import numpy as np
from numba import get_thread_id

from isbe_np.compiler.jit import jit, prange
from isbe_np.engine.microkernels import run
from isbe_np.engine.softmax import softmax_block
from isbe_np.kernels.softmax import factored_error as softmax_product

# Four blocks of six rows: fewer would leave out more, but start more often.
BAND = 24


@jit
def multiply(a, b, c, rows, size, zeros):
    """c[i, n] = Σ_t a[i, t] b[t, n] for i from rows[0] to rows[1] - 1 and n below size.

    a (flat, (from row to row, from term to term)), b (flat, places of its rows), c (flat, from row to row): each flat array
    begins with the matrix's first number. zeros: a vector of them.
    """
    limits = zeros.dtype.type(-np.inf), zeros.dtype.type(np.inf)
    run(b[0], 0, b[1], a[0], a[1], zeros, (0, 0, 0), rows, c[0], 0, c[1], limits, size)


@jit
def turned(x, pitch, scale, y):
    """y[f, j] = scale · x[j, f];  x flat, its rows `pitch` apart, y (d, T)."""
    d, T = y.shape
    for j in range(T):
        for f in range(d):
            y[f, j] = scale * x[j * pitch + f]


@jit
def causal_softmax(s, a):
    """a[i, j] = softmax of s[i, 0 ... i], and 0 for all tokens j after i;  s and a (T, T)."""
    T, scores, weights = s.shape[0], s.reshape(-1), a.reshape(-1)
    for i in range(T):
        own = slice(i * T, i * T + i + 1)
        softmax_block(scores[own].reshape(1, i + 1), weights[own].reshape(1, i + 1))
    hide(a)


@jit
def hide(s):
    """s[i, j] = 0 for all tokens j after i;  s (T, T)."""
    for i in range(s.shape[0]):
        for j in range(i + 1, s.shape[1]):
            s[i, j] = s.dtype.type(0)


@jit(inline=True)
def heads_of(qkv, n, h, d):
    """q, k and v of example n and head h, each a flat array that begins with its first number;  qkv (N, T, 3 D)."""
    T, D = qkv.shape[1], qkv.shape[2] // 3
    flat, first = qkv.reshape(-1), n * T * 3 * D + h * d
    return flat[first:], flat[first + D:], flat[first + 2 * D:]


@jit
def attend(head, sizes, lines, mine, a, o):
    """`attention` of one head: head (q, k, v) and o flat, sizes (D, d, whether causal), mine (d T + T T), a (T, T)."""
    (q, k, v), (D, d, causal), (of_qkv, _, of_square, zeros), T = head, sizes, lines, len(a)
    k_turned, s, band = mine[:d * T], mine[d * T:], BAND if causal else T
    turned(k, 3 * D, s.dtype.type(1 / np.sqrt(d)), k_turned.reshape(d, T))
    for i in range(0, T, band):
        end = min(T, i + band)
        multiply((q, (3 * D, 1)), (k_turned, of_square[:d]), (s, T), (i, end), end if causal else T, zeros)
    if causal:
        causal_softmax(s.reshape(T, T), a)
    else:
        softmax_block(s.reshape(T, T), a)
    for i in range(0, T, band):
        end = min(T, i + band)
        seen = end if causal else T
        multiply((a.reshape(-1), (T, 1)), (v, of_qkv[:seen]), (o, D), (i, end), d, zeros)


@jit
def attend_backward(do, head, sizes, lines, mine, a, dhead):
    """`attention_backward` of one head: do, head (q, k, v) and dhead flat, mine (d T + 2 T T), a (T, T)."""
    (q, k, v), (dq, dk, dv), (D, d, causal), (of_qkv, of_o, of_square, zeros), T = head, dhead, sizes, lines, len(a)
    v_turned, da, ds, weights = mine[:d * T], mine[d * T:(d + T) * T], mine[(d + T) * T:], a.reshape(-1)
    band = BAND if causal else T
    turned(v, 3 * D, do.dtype.type(1 / np.sqrt(d)), v_turned.reshape(d, T))
    for i in range(0, T, band):
        end = min(T, i + band)
        multiply((do, (D, 1)), (v_turned, of_square[:d]), (da, T), (i, end), end if causal else T, zeros)
    if causal:
        hide(da.reshape(T, T))
    softmax_product(a, da.reshape(T, T), ds.reshape(T, T))
    for i in range(0, T, band):
        end = min(T, i + band)
        before, after = (end, i) if causal else (T, 0)
        multiply((ds, (T, 1)), (k, of_qkv[:before]), (dq, 3 * D), (i, end), d, zeros)
        multiply((ds[after * T:], (1, T)), (q[after * 3 * D:], of_qkv[:T - after]), (dk, 3 * D), (i, end), d, zeros)
        multiply((weights[after * T:], (1, T)), (do[after * D:], of_o[:T - after]), (dv, 3 * D), (i, end), d, zeros)


@jit(parallel=True)
def attention(qkv, causal, lines, room, a, o):
    """Weights a (N, H, T, T) and weighted values o (N, T, D) for qkv (N, T, 3 D): of each token all heads' q, then k, then v.

    lines: places of the rows of qkv, of o and of a square, (T, T) or (d, T); and a vector of zeros. room (threads, d T + T T).
    """
    (N, T, D), H = o.shape, a.shape[1]
    d, values = D // H, o.reshape(-1)
    for task in prange(N * H):
        n, h = task // H, task % H
        attend(heads_of(qkv, n, h, d), (D, d, causal), lines, room[get_thread_id()], a[n, h], values[n * T * D + h * d:])


@jit(parallel=True)
def attention_backward(do, qkv, a, causal, lines, room, dqkv):
    """dqkv (N, T, 3 D) of the error do (N, T, D) by o;  a as `attention` left it, room (threads, d T + 2 T T)."""
    (N, T, D), H = do.shape, a.shape[1]
    d, error = D // H, do.reshape(-1)
    for task in prange(N * H):
        n, h = task // H, task % H
        attend_backward(error[n * T * D + h * d:], heads_of(qkv, n, h, d), (D, d, causal), lines, room[get_thread_id()],
                        a[n, h], heads_of(dqkv, n, h, d))
