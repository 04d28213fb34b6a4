"""The checks of assignment 3. Cases are drawn anew for every grading; the solution in a3.py says what is expected."""

import numpy as np

from isbe_np.classroom import Assignment, Check, Formula, Limits, Task

QUICK = Limits(start=10, first=5, call=5, memory=2**30)


def layers(random):
    """Inputs, weights and biases, among them as many examples as units, one of each, and more units than inputs."""
    return [tuple(random.normal(0, 1, shape) for shape in ((N, I), (I, O), (O,)))
            for N, I, O in ((5, 3, 4), (4, 3, 4), (1, 1, 1), (1, 4, 2), (3, 1, 6))]


def backward(random, N=5, I=3, O=4):
    """An error, inputs and weights."""
    return tuple(random.normal(0, 1, shape) for shape in ((N, O), (N, I), (I, O)))


def balanced(random):
    """A square layer and an error whose sum over the batch is 0."""
    dy, x, W = backward(random, 5, 4, 4)
    return dy - dy.mean(axis=0), x, W


def by_input(random):
    """Inputs of 0 and a balanced error: dW and db are 0, so that dx alone is asked for."""
    dy, x, W = balanced(random)
    return [(dy, 0 * x, W)]


def by_weight(random):
    """Weights of 0 and a balanced error: dx and db are 0."""
    dy, x, W = balanced(random)
    return [(dy, x, 0 * W)]


def by_bias(random):
    """Inputs and weights of 0: dx and dW are 0."""
    dy, x, W = backward(random, 5, 4, 4)
    return [(dy, 0 * x, 0 * W)]


def any_layer(random):
    """Layers of several shapes, N = 1 and a single unit among them."""
    return [backward(random, *sizes) for sizes in ((5, 3, 4), (1, 4, 2), (4, 2, 1), (1, 1, 1))]


def straight(random):
    """Numbers left and right of the corner."""
    width = float(random.uniform(0.5, 2))
    return [(random.choice([-1.0, 1.0], (3, 4)) * (width + random.exponential(1, (3, 4))), width)]


def corner(random):
    """Numbers in the corner, its ends included, in an array of one axis and one of two."""
    width = float(random.uniform(0.5, 2))
    return [(np.array([0.0, width / 4, width / 2, width]), width), (random.uniform(0, width, (3, 4)), width)]


def sharp(random):
    """Plain ReLU, at 0 as well."""
    return [(np.array([[-1.0, 0.0, 2.0]]), 0.0), (random.normal(0, 1, (4, 3)), 0.0)]


def distributions(random, N, C):
    """Targets that are positive and sum to 1."""
    e = np.exp(random.normal(0, 1, (N, C)))
    return e / e.sum(axis=1, keepdims=True)


def network(random, N=6, I=3, M=5, C=4, width=0.5):
    """A batch with targets, and the parameters of a network."""
    return [random.normal(0, 1, (N, I)), distributions(random, N, C), *(random.normal(0, 1, shape) for shape in
            ((I, M), (M,), (M, C), (C,))), width]


def networks(random):
    """Networks with rounded and with plain ReLU, the targets distributions and labels."""
    plain = network(random, 7, 4, 6, 2, width=0.0)
    plain[1] = np.eye(2)[random.integers(0, 2, 7)]
    return [tuple(network(random)), tuple(plain)]


def upper(random):
    """W2 of 0: nothing comes back to the lower layer, whose gradients are 0."""
    case = network(random)
    case[4] = 0 * case[4]
    return [tuple(case)]


def far_apart(random):
    """Scores in the thousands, and targets that do not sum to 1."""
    large, unnormalised = network(random), network(random, 4, 2, 3, 3)
    large[4] = 3000 * large[4]
    unnormalised[1] = random.uniform(0, 2, (4, 3))
    return [tuple(large), tuple(unnormalised)]


def cubes(a):
    """Σ a x³ + Σ sin x."""
    return Formula("x", "(a * x**3).sum() + np.sin(x).sum()", a=a)


def vectors(random):
    """Smooth functions of a vector, element by element."""
    return [(cubes(random.normal(0, 1, n)), random.normal(0, 1, n), 1e-5) for n in (5, 1)]


def large_steps(random):
    """Steps so large that the difference is no derivative, and no other kind of difference equals it."""
    return [(cubes(random.normal(1, 0.3, 4)), random.normal(0, 1, 4), h) for h in (0.1, 0.01)]


def together(random):
    """Functions in which the elements meet, of arrays with one, two and three axes."""
    text = "np.exp((a * x).sum()) + x.sum()**2"
    return [(Formula("x", text, a=random.normal(0, 0.3, shape)), random.normal(0, 0.5, shape), 1e-4)
            for shape in ((4,), (2, 3), (2, 1, 3))]


def damaged(gradient, place, by):
    """`gradient` with `by` added to one element."""
    gradient = gradient.copy()
    gradient[place] += by
    return gradient


def anywhere(random, shape):
    """An index of an array of that shape."""
    return tuple(int(random.integers(n)) for n in shape)


def small_elements(random):
    """Gradients within ±1: one element damaged; and cross-entropy's with softmax's Jacobian cut down to its diagonal."""
    cases = []
    for shape in ((6,), (3, 4), (2, 2, 3)):
        a, x = random.uniform(0.1, 0.6, shape), random.normal(0, 1, shape)
        cases.append((Formula("x", "np.sin(a * x).sum()", a=a), damaged(a * np.cos(a * x), anywhere(random, shape), -0.3), x))
    x, t = random.normal(0, 1, (3, 4)), np.eye(4)[random.integers(0, 4, 3)]
    y = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    return [*cases, (Formula("x", "np.log(np.exp(x).sum(axis=1)).sum() - (t * x).sum()", t=t), -t * (1 - y), x)]


def large_elements(random):
    """An element near 1000 that is off by 5, and one near 1 that is off by 0.4: the second is the worse one."""
    a = np.array([1000.0, 1.0, 0.5, 2.0]) * random.uniform(0.9, 1.1, 4)
    order, x = random.permutation(4), random.normal(0, 0.3, 4)
    gradient = (a + np.array([5, 0.4, 0, 0]))[order] + np.cos(x)
    return [(Formula("x", "(a * x + np.sin(x)).sum()", a=a[order]), gradient, x)]


def not_finite(random):
    """Gradients with a NaN, or an infinity, before or after an element that is wrong but finite."""
    cases = []
    for value, place in ((np.nan, (0, 1)), (np.nan, (2, 1)), (-np.inf, (2, 0)), (np.nan, (1, 2))):
        x = random.normal(0, 1, (3, 3))
        gradient = damaged(2 * x, (1, 1), 3.0)
        gradient[place] = value
        cases.append((Formula("x", "(x**2).sum()"), gradient, x))
    return cases


def small_fault(random):
    """A fault of a few in ten thousand, in a function that bends much and lies high: only a fit step finds it and its size."""
    cases = []
    for shape in ((8,), (3, 3)):
        x = random.uniform(-1, 1, shape)
        cases.append((Formula("x", "100 + np.sin(10 * x).sum() / 10"),
                      damaged(np.cos(10 * x), anywhere(random, shape), random.uniform(2e-4, 4e-4)), x))
    return cases


def kinks(random):
    """Elements at a kink, or a hair beside it, where any slope between two is as good; another element is a little wrong."""
    cases = []
    for text, jump in (("(a * np.abs(x)).sum() + (x**2).sum()", 2), ("(a * np.maximum(x, 0)).sum() + (x**2).sum()", 1)):
        a = random.uniform(0.5, 3, 7)
        x = random.choice([-1.0, 1.0], 7) * random.uniform(0.2, 1.5, 7)
        x[2], x[5] = 0.0, random.choice([-1e-9, 1e-9])
        slope = np.sign(x) if jump == 2 else x > 0
        cases.append((Formula("x", text, a=a), damaged(a * slope + 2 * x, 4, 0.1) + 0.3 * a * (np.abs(x) < 1e-6), x))
    return cases


ASSIGNMENT = Assignment("Dense layers, backpropagation and a gradient checker", tasks=(
    Task("3.1", "dense", "A dense layer", returns=("the output",), limits=QUICK, checks=(
        Check("values", 1, layers, "x W has one row an example; the bias, shape (O,), is added to every row."),)),
    Task("3.2", "dense_backward", "A dense layer's gradients", returns=("dx", "dW", "db"), limits=QUICK, checks=(
        Check("by the input", 1, by_input, "x_ni meets every output o of its row: dx_ni = Σ_o dy_no W_io. Here dW and db "
              "are 0."),
        Check("by the weights", 1, by_weight, "W_io is used by every example: dW_io = Σ_n x_ni dy_no, shaped as W. Here dx and "
              "db are 0."),
        Check("by the bias", 1, by_bias, "b_o is added in every row: its gradient is the sum of dy over the batch, axis 0. A "
              "mean, if there is one, is in dy already."),
        Check("any shape", 1, any_layer, "Three results (dx, dW, db), shaped as x, W and b, for N = 1 and one unit too."))),
    Task("3.3", "rounded_relu", "ReLU with a rounded corner", returns=("y", "slope"), limits=QUICK, checks=(
        Check("left and right", 1, straight, "Right of the corner y = x − width / 2: less than x, so that the pieces meet."),
        Check("in the corner", 1, corner, "x² / (2 width) has the slope x / width, which is 0 at 0 and 1 at the width."),
        Check("plain ReLU", 1, sharp, "With width 0 nothing may be divided by it; the slope is 1 where x > 0, else 0."))),
    Task("3.4", "network_gradients", "Backpropagation", returns=("dW1", "db1", "dW2", "db2"), limits=QUICK, checks=(
        Check("one example", 1, lambda random: [tuple(network(random, 1, width=2.0)) for _ in range(3)],
              "Layer by layer: the error, dense_backward of the upper layer, times the slope, dense_backward of the lower."),
        Check("upper layer", 1, upper, "The error (y − t) / N meets what the upper layer was given: the hidden numbers after "
              "the ReLU. Here the lower gradients are 0."),
        Check("a batch", 1, networks, "Divide the error by N once, at the top; the slope is that at x W1 + b1."),
        Check("far apart", 1, far_apart, "Subtract each row's largest score before e^x; and the error is y − t whatever t "
              "sums to.", public=False))),
    Task("3.5", "numeric_gradient", "Central differences", returns=("the gradient",), limits=QUICK, checks=(
        Check("values", 1, vectors, "Move one element by h, call f, and divide by how far apart the two points are.",
              tolerance=1e-3),
        Check("both sides", 1, large_steps, "f(x + h) − f(x) is one-sided; f(x + h) − f(x − h) over 2h is asked for, for any "
              "h."),
        Check("elements that meet", 1, together, "Put every element back before the next one moves, or move a copy; "
              "np.ndindex(x.shape) names the elements of any shape.", tolerance=1e-7))),
    Task("3.6", "worst_gap", "A gradient checker", returns=("the index", "the gap"), limits=QUICK, checks=(
        Check("small elements", 1, small_elements, "Find the largest |g − d|; np.unravel_index makes an index of its place.",
              tolerance=1e-3),
        Check("large elements", 1, large_elements, "Off by 5 in 1000 is less wrong than off by 0.4 in 1: divide by "
              "max(1, |g|, |d|).", tolerance=1e-3),
        Check("not a number", 1, not_finite, "nan > worst is False, so that a loop over gaps passes by a NaN: give what is not "
              "finite the gap inf."),
        Check("kinks", 1, kinks, "Compare the difference to the right with that to the left; where they disagree, leave the "
              "element out.", tolerance=1e-3),
        Check("a small fault", 1, small_fault, "Take central differences with h near 6e-6. Is h too large (its error grows as "
              "h²) or too small (rounding, 1e-16 |f| / h)?", tolerance=1e-6, public=False))),
))
