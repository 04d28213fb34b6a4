"""Attention of the T tokens of a sequence to one another (Vaswani et al. 2017, eq. 1), for each head by itself.

A head has a query q_i, a key k_i and a value v_i of d numbers for each token i.

    s_ij = q_i · k_j / √d            how much token i asks for token j
    a_i  = softmax(s_i)              weights of the tokens j; causal: of those with j ≤ i only, the others weigh 0
    o_i  = Σ_j a_ij v_j              the weighted sum of the values

Backward, from do = ∂loss/∂o, in the opposite order:

    da_ij = do_i · v_j               dv_j = Σ_i a_ij do_i
    ds_i  = Jᵀ da_i                  J = diag(a_i) − a_i a_iᵀ, the Jacobian of softmax: J_lj = ∂a_il / ∂s_ij
    dq_i  = Σ_j ds_ij k_j / √d       dk_j = Σ_i ds_ij q_i / √d

`softmax_backward` multiplies by J, entry by entry. Multiplied out this is ds_i = a_i ⊙ (da_i − ⟨a_i, da_i⟩), with T products in
place of T². No cross-entropy follows this softmax, so that J does not cancel as it does in a classifier's last layer. Where a
weight is 0, so are its row and column of J: backward is the same for causal attention.
"""

import numpy as np

from isbe_np.compiler.jit import jit, prange


@jit(inline=True)
def weights(q, k, causal, a):
    """a_i = softmax over j of q_i · k_j / √d. Shapes: q and k (T, d), a (T, T)."""
    T, d = q.shape
    root = q.dtype.type(np.sqrt(d))
    for i in range(T):
        seen = i + 1 if causal else T
        for j in range(T):
            score = q.dtype.type(0)
            for f in range(d):
                score += q[i, f] * k[j, f]
            a[i, j] = score / root
        largest = a[i, :seen].max()  # e^(s − max s) cannot overflow, and the quotients are the same
        for j in range(T):
            a[i, j] = np.exp(a[i, j] - largest) if j < seen else 0
        total = a[i].sum()
        for j in range(T):
            a[i, j] /= total


@jit(inline=True)
def softmax_backward(a, da, ds):
    """ds_i = Jᵀ da_i, J_lj = a_il (δ_lj − a_ij). Shapes: all (T, T)."""
    T = len(a)
    for i in range(T):
        for j in range(T):
            total = a.dtype.type(0)
            for l in range(T):
                J = a[i, l] - a[i, l] * a[i, j] if l == j else -a[i, l] * a[i, j]
                total += J * da[i, l]
            ds[i, j] = total


@jit(inline=True)
def scores_backward(ds, q, k, dq, dk):
    """dq_i = Σ_j ds_ij k_j / √d, dk_j = Σ_i ds_ij q_i / √d. Shapes: ds (T, T), the others (T, d)."""
    T, d = q.shape
    root = q.dtype.type(np.sqrt(d))
    dq[:], dk[:] = 0, 0
    for i in range(T):
        for j in range(T):
            for f in range(d):
                dq[i, f] += ds[i, j] * k[j, f] / root
                dk[j, f] += ds[i, j] * q[i, f] / root


@jit(inline=True)
def weighted_sum(a, v, o):
    """o_i = Σ_j a_ij v_j. Shapes: a (T, T), v and o (T, d)."""
    T, d = v.shape
    o[:] = 0
    for i in range(T):
        for j in range(T):
            for f in range(d):
                o[i, f] += a[i, j] * v[j, f]


@jit(inline=True)
def weighted_sum_backward(do, a, v, da, dv):
    """da_ij = do_i · v_j, dv_j = Σ_i a_ij do_i. Shapes: a and da (T, T), the others (T, d)."""
    T, d = v.shape
    dv[:] = 0
    for i in range(T):
        for j in range(T):
            total = a.dtype.type(0)
            for f in range(d):
                total += do[i, f] * v[j, f]
                dv[j, f] += a[i, j] * do[i, f]
            da[i, j] = total


@jit(parallel=True, exact=True)
def attention(qkv, causal, a, o):
    """a and o of all heads: qkv (N, T, 3, H, d) with q, k and v of N examples, a (N, H, T, T), o (N, T, H, d)."""
    N, H = a.shape[:2]
    for task in prange(N * H):
        n, h = task // H, task % H
        q, k, v = qkv[n, :, 0, h], qkv[n, :, 1, h], qkv[n, :, 2, h]
        weights(q, k, causal, a[n, h])
        weighted_sum(a[n, h], v, o[n, :, h])


@jit(parallel=True, exact=True)
def attention_backward(do, qkv, a, dqkv):
    """dqkv, from do and from a as `attention` left it. Shapes: do (N, T, H, d), qkv and dqkv (N, T, 3, H, d)."""
    N, H = a.shape[:2]
    for task in prange(N * H):
        n, h = task // H, task % H
        q, k, v = qkv[n, :, 0, h], qkv[n, :, 1, h], qkv[n, :, 2, h]
        da, ds = np.empty_like(a[n, h]), np.empty_like(a[n, h])
        weighted_sum_backward(do[n, :, h], a[n, h], v, da, dqkv[n, :, 2, h])
        softmax_backward(a[n, h], da, ds)
        scores_backward(ds, q, k, dqkv[n, :, 0, h], dqkv[n, :, 1, h])
