"""Assignment 3: dense layers, backpropagation and a gradient checker. Read handout.md; try yours with `isbe check a3`."""

import numpy as np


def dense(x, W, b):
    """The dense layer's output (N, O): x W + b for inputs x (N, I), weights W (I, O) and bias b (O,)."""
    # BEGIN SOLUTION
    return x @ W + b
    # END SOLUTION


def dense_backward(dy, x, W):
    """(dx, dW, db), shaped as x (N, I), W (I, O) and b (O,): a loss's gradients, from its gradient dy (N, O) by y = x W + b."""
    # BEGIN SOLUTION
    return dy @ W.T, x.T @ dy, dy.sum(axis=0)
    # END SOLUTION


def rounded_relu(x, width):
    """(y, slope), both shaped as x: ReLU with its corner rounded over 0 < x < width, and dy/dx; plain ReLU where width is 0.

    y is 0 for x ≤ 0, x² / (2 width) for 0 < x < width, and x − width / 2 for x ≥ width. With width 0 the slope at x = 0 is 0.
    """
    # BEGIN SOLUTION
    if width == 0:
        return np.maximum(x, 0), (x > 0).astype(x.dtype)
    inside = np.clip(x, 0, width)
    return inside**2 / (2 * width) + np.maximum(x - width, 0), inside / width
    # END SOLUTION


def network_gradients(x, targets, W1, b1, W2, b2, width):
    """(dW1, db1, dW2, db2), the gradients by a two-layer network's parameters, for the ISBE error, mean over the batch.

    x (N, I) → dense, W1 (I, M) and b1 (M,) → rounded_relu → dense, W2 (M, C) and b2 (C,) → scores (N, C) → softmax → soft
    scores y. What goes back into the scores is (y − targets) / N, for targets (N, C) of any sum; finite for any finite scores.
    """
    # BEGIN SOLUTION
    hidden, slope = rounded_relu(dense(x, W1, b1), width)
    scores = dense(hidden, W2, b2)
    soft = np.exp(scores - scores.max(axis=1, keepdims=True))
    soft /= soft.sum(axis=1, keepdims=True)
    error = (soft - targets) / len(x)
    dhidden, dW2, db2 = dense_backward(error, hidden, W2)
    _, dW1, db1 = dense_backward(dhidden * slope, x, W1)
    return dW1, db1, dW2, db2
    # END SOLUTION


def numeric_gradient(f, x, h):
    """(f(x + h) − f(x − h)) / 2h for each element of x in turn, the others left as they are: an array shaped as x (any shape).

    f takes an array shaped as x and returns a number; x is float64, h a number above 0.
    """
    # BEGIN SOLUTION
    gradient = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[place] += h
        below[place] -= h
        gradient[place] = (f(above) - f(below)) / (2 * h)
    return gradient
    # END SOLUTION


def worst_gap(f, gradient, x):
    """(index, gap): where `gradient`, which claims to be ∂f/∂x, is most wrong, and how wrong it is there.

    With d the central difference of f at an element, and g what `gradient` says there, the gap is |g − d| / max(1, |g|, |d|).
    A g that is NaN or infinite has the gap inf. Where the difference to the right of x, (f(x + h) − f(x)) / h, and that to the
    left, (f(x) − f(x − h)) / h, differ by more than 0.01 · max(1, |d|), x is at a kink of f and the gap is 0 (for a finite g).
    `gradient` is shaped as x; the index is a tuple (or array) of as many whole numbers as x has axes, the first where gaps are
    equal. You choose the step h.
    """
    # BEGIN SOLUTION
    h = 6e-6
    middle = f(x)
    gaps = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.copy()
        moved[place] = x[place] + h
        right = (f(moved) - middle) / h
        moved[place] = x[place] - h
        left = (middle - f(moved)) / h
        d, g = (right + left) / 2, gradient[place]
        if not np.isfinite(g):
            gaps[place] = np.inf
        elif abs(right - left) <= 0.01 * max(1, abs(d)):
            gaps[place] = abs(g - d) / max(1, abs(g), abs(d))
    index = np.unravel_index(np.argmax(gaps), x.shape)
    return index, gaps[index]
    # END SOLUTION
