"""The dense layer: y = x Wᵀ + b, for a batch of row vectors.

Sizes: N batch, K inputs, O outputs. A small batch goes forward by dots of rows of x with rows of W. All else is one product of
blocks (see `microkernels`), whose terms are rows of a matrix: of x for the weights' gradient, of W for the gradient by the
input, and forward, for a larger batch, of W turned around. Blocks read those rows in strips as wide as a vector; a task copies
its strip to one place before, or turns it around into there, as it reads it once for every six rows of the result.

Each task of a ``prange`` owns what it writes, so that no sum is split between threads and the result is the same, to the bit,
for any number of them.
"""

from numba import get_thread_id

from isbe_np.compiler.jit import jit, prange
from isbe_np.engine.microkernels import dots35, fill, run
from isbe_np.engine.vectors import lanes, load, narrow, part, store, turn, wide

# From these batch sizes on it pays to turn W around, and to turn the error around for the weights' gradient: of a small one the
# nearest cache holds a few whole columns.
LARGE, LARGE_ERROR = 32, 256
# So many rows of x stay in the second-level cache while every task of the dots passes over them.
ROWS = 128
# Dots are taken over so many inputs at a time: five rows of weights of that length stay in the nearest cache.
DEPTH = 1024
# A product's rows are taken in bands, so that there are so many tasks, or half as many where strips are turned around, which is
# done once more for each band. A band of fewer than BAND rows would not be worth its strip.
TASKS, BAND = 16, 48
# A product of so few terms is mostly writing: a task takes six whole rows, which memory likes better than many short pieces.
FEW = 8


@jit(parallel=True)
def dense(x, w, b, limits, y):
    """y[n, o] = clip(b[o] + Σ_k x[n, k] w[o, k]);  x (N, K), w (O, K), b (O,), limits (low, high), y (N, O)."""
    N, O = y.shape
    K = x.shape[1]
    a, c = x.reshape(-1), w.reshape(-1)
    fives = (O + 4) // 5
    for task in prange(fives * ((N + ROWS - 1) // ROWS)):
        first, o = ROWS * (task // fives), 5 * (task % fives)
        o1, o2, o3, o4 = min(O - 1, o + 1), min(O - 1, o + 2), min(O - 1, o + 3), min(O - 1, o + 4)
        end = min(N, first + ROWS)
        for k in range(0, K, DEPTH):
            q, size = (o * K + k, o1 * K + k, o2 * K + k, o3 * K + k, o4 * K + k), min(DEPTH, K - k)
            for n in range(first, end, 3):
                n1, n2 = min(end - 1, n + 1), min(end - 1, n + 2)
                s = dots35(a, (n * K + k, n1 * K + k, n2 * K + k), c, q, 1, (0, 0), size)
                begin, finish = k == 0, k + DEPTH >= K
                put5(y, n, (o, o1, o2, o3, o4), b, s[:5], begin, finish, limits)
                if n1 > n:
                    put5(y, n1, (o, o1, o2, o3, o4), b, s[5:10], begin, finish, limits)
                if n2 > n1:
                    put5(y, n2, (o, o1, o2, o3, o4), b, s[10:], begin, finish, limits)


@jit(ordered=True)
def put5(y, n, o, b, sums, begin, finish, limits):
    """y[n, o[s]] += sums[s] for s in 0..4; to begin with it is b[o[s]], and it is limited at the finish."""
    o0, o1, o2, o3, o4 = o
    if begin:
        t0, t1, t2, t3, t4 = b[o0], b[o1], b[o2], b[o3], b[o4]
    else:
        t0, t1, t2, t3, t4 = y[n, o0], y[n, o1], y[n, o2], y[n, o3], y[n, o4]
    t0, t1, t2, t3, t4 = t0 + sums[0], t1 + sums[1], t2 + sums[2], t3 + sums[3], t4 + sums[4]
    if finish:
        t0, t1, t2, t3, t4 = clip(t0, limits), clip(t1, limits), clip(t2, limits), clip(t3, limits), clip(t4, limits)
    y[n, o0], y[n, o1], y[n, o2], y[n, o3], y[n, o4] = t0, t1, t2, t3, t4


@jit(inline=True)
def clip(v, limits):
    """v limited to (low, high); NaN stays NaN."""
    return limits[0] if v < limits[0] else limits[1] if v > limits[1] else v


@jit(parallel=True)
def product(w, steps, x, places, turned, start, origin, limits, room, y):
    """y[r, k] = clip(start[r, k] + Σ_t w[r, t] x[t, k]): what the next three functions are, compiled once for all.

    w flat, `steps` from row to row and from term to term; x flat, its rows at places[0], or, if `turned`, the columns of x one
    after another; start flat, `origin` as in `microkernels`; limits (low, high); y (R, K). A task owns a band of rows for one
    wide vector of columns; room holds a strip of x for each thread, with the rows at places[1].
    """
    (R, K), T = y.shape, places.shape[1]
    strip, few = lanes(wide(x)), T <= FEW and not turned
    width = K if few else strip
    columns = (K + width - 1) // width
    wanted = max(1 if turned and R <= K else 2, (TASKS // 2 if turned else TASKS) // columns)
    height = 6 if few else max(BAND, 6 * ((R + 6 * wanted - 1) // (6 * wanted)))
    bands = (R + height - 1) // height
    for task in prange(columns * bands):
        # Neighbouring tasks share a part of the larger matrix, so that it is fetched once.
        band, column = (task // columns, task % columns) if R > K else (task % bands, task // bands)
        first, k = height * band, width * column
        rows, size, mine = (first, min(R, first + height)), min(width, K - k), room[get_thread_id()]
        corner = (origin[0] + k * origin[2], origin[1], origin[2])
        if turned:
            turn_strip(x, k, size, T, mine, strip)
        elif rows[1] - rows[0] > 12 and not few:
            copy_strip(x, k, size, places[0], mine)
        else:
            run(x, k, places[0], w, steps, start, corner, rows, y.reshape(-1), k, K, limits, size)
            continue
        run(mine, 0, places[1], w, steps, start, corner, rows, y.reshape(-1), k, K, limits, size)


@jit
def copy_strip(x, k, size, rows, strip):
    """strip[t, c] = x[rows[t] + k + c] for c in 0..size-1;  strip (T, a wide vector) flat."""
    full, short = wide(x), lanes(narrow(x))
    for t in range(rows.size):
        if size == lanes(full):
            store(strip, t * size, load(x, rows[t] + k, full), full)
        else:
            for c in range(0, size, short):
                some = part(x, min(short, size - c))
                store(strip, t * lanes(full) + c, load(x, rows[t] + k + c, some), some)


@jit
def turn_strip(x, k, size, T, strip, across):
    """strip[t, c] = x[k + c, t] for c in 0..size-1;  x (K, T) and strip (T, across) flat. By squares, the rest one by one."""
    step = lanes(narrow(x))
    c_end, t_end = size - size % step, T - T % step
    for t in range(0, t_end, step):
        for c in range(0, c_end, step):
            turn(x, (k + c) * T + t, T, strip, t * across + c, across)
    for t in range(T):
        for c in range(c_end if t < t_end else 0, size):
            strip[t * across + c] = x[(k + c) * T + t]


def dense_by_blocks(x, w, b, places, limits, room, y):
    """The same as `dense`, for a larger batch;  places (2, K), of which the second row says where a strip's rows are."""
    product(x.reshape(-1), (x.shape[1], 1), w.reshape(-1), places, True, b, (0, 0, 1), limits, room, y)


def dense_backward_input(dy, w, places, zeros, limits, room, dx):
    """dx[n, k] = Σ_o dy[n, o] w[o, k];  dy (N, O), w (O, K), places (2, O) of its rows, zeros for a vector, dx (N, K)."""
    product(dy.reshape(-1), (w.shape[0], 1), w.reshape(-1), places, False, zeros, (0, 0, 0), limits, room, dx)


def dense_backward_weight(dy, steps, x, places, zeros, limits, room, dw):
    """dw[o, k] = Σ_n dy[n, o] x[n, k].

    dy flat, `steps` from output to output and from example to example; x (N, K), places (2, N) of its rows.
    """
    product(dy, steps, x.reshape(-1), places, False, zeros, (0, 0, 0), limits, room, dw)


@jit
def dense_backward_bias(dy, db):
    """db[o] = Σ_n dy[n, o];  dy (N, O), db (O,)."""
    fill(db, db.dtype.type(0))
    for n in range(dy.shape[0]):
        for o in range(db.size):
            db[o] += dy[n, o]
