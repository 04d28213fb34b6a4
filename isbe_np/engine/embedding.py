"""Embedding: each token of a sequence becomes a row of a table; and its backward, sums of rows that belong together.

    y[m] = W[v_m]                                            M tokens v_m, table W (V, D)
    dW[v] = Σ dy[m] over all m with v_m = v                  what each row of the table is sent

In matrices: Y = S W with S[m, v] = 1 where v = v_m, else 0, so that dW = Sᵀ dY. Nobody multiplies by so many zeros: forward,
rows are copied; backward, tokens are sorted by counting, and then each row of dW is one task's, which adds up its errors in the
order of the batch. A task that took a share of the batch instead would add to rows that others add to. Sums are float64: a
frequent token, such as a space in a text, comes thousands of times a batch.
"""

from numba import get_thread_id

from isbe_np.compiler.jit import jit, prange
from isbe_np.engine.microkernels import fill


@jit
def sort_tokens(tokens, first, order):
    """order[first[v]], ..., order[first[v + 1] - 1] = the places m of token v, in their order;  tokens and order (M,).

    first (V + 1,). While places are handed out, first[v + 1] is where the next one of v goes: at the end, where v + 1 begins.
    """
    fill(first, 0)
    for m in range(tokens.size):
        if tokens[m] + 2 < first.size:
            first[tokens[m] + 2] += 1
    for v in range(2, first.size):
        first[v] += first[v - 1]
    for m in range(tokens.size):
        v = tokens[m]
        order[first[v + 1]] = m
        first[v + 1] += 1


@jit(parallel=True)
def sums_of_rows(dy, first, order, room, dw):
    """dw[v] = Σ dy[order[k]] over k from first[v] to first[v + 1] - 1;  dy (M, D), dw (V, D).

    room (threads, D) float64: where a thread adds up.
    """
    for v in prange(dw.shape[0]):
        total = room[get_thread_id()]
        fill(total, 0.0)
        for k in range(first[v], first[v + 1]):
            row = dy[order[k]]
            for d in range(row.size):
                total[d] += row[d]
        for d in range(total.size):
            dw[v, d] = total[d]
