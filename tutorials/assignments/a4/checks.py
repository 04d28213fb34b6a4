"""The checks of assignment 4. Cases are drawn anew for every grading; the solution in a4.py says what is expected."""

import numpy as np

from isbe_np.classroom import Assignment, Check, Limits, Race, Task

# The first call compiles, and so does a later one with other dtypes: hence the seconds of `call`. LARGE and FAST take compiled
# loops a tenth or two of a second, and plain Python half a minute.
COMPILED = Limits(start=20, first=20, call=10, memory=2 * 2**30, reply=2**24)
SLOW = "Plain Python takes 0.3 µs or more for each product, a compiled loop 1 ns: keep @njit, and loop over numbers inside it."
# N, C, H, W, O, K, stride, padding: all that is small, and the edges of each.
SIMPLE = ((2, 3, 6, 5, 4, 3, 1, 0), (1, 1, 4, 7, 2, 2, 1, 0))
MOVED = ((2, 2, 7, 6, 3, 3, 1, 1), (2, 3, 8, 9, 2, 3, 2, 0), (3, 2, 6, 7, 2, 3, 2, 1), (1, 2, 5, 7, 2, 2, 3, 2))
EDGES = ((2, 3, 4, 5, 2, 1, 1, 0), (2, 2, 5, 4, 3, 1, 2, 0), (1, 1, 3, 3, 1, 3, 1, 0), (1, 2, 2, 3, 2, 3, 1, 1),
         (1, 1, 1, 1, 1, 1, 1, 0), (2, 1, 3, 4, 2, 5, 2, 3))
LARGE = ((8, 8, 58, 66, 64, 3, 1, 0),)
FAST = ((16, 16, 32, 32, 16, 5, 1, 2),)


def outputs(n, K, stride, padding):
    """How many windows of K fit along an axis of n."""
    return (n + 2 * padding - K) // stride + 1


def images(random, sizes, dtype=np.float64):
    """dy, x, w and b of a convolution."""
    N, C, H, W, O, K, stride, padding = sizes
    shapes = ((N, O, outputs(H, K, stride, padding), outputs(W, K, stride, padding)), (N, C, H, W), (O, C, K, K), (O,))
    return [random.normal(0, 1, shape).astype(dtype) for shape in shapes]


def forward(several, dtype=np.float64):
    """Cases of conv2d."""
    def cases(random):
        return [(*images(random, sizes, dtype)[1:], *sizes[6:]) for sizes in several]
    return cases


def by_input(several):
    """Cases of conv2d_backward_input."""
    def cases(random):
        told = [(images(random, sizes), sizes) for sizes in several]
        return [(dy, w, *sizes[2:4], *sizes[6:]) for (dy, _, w, _), sizes in told]
    return cases


def by_weights(several, dtype=np.float64, scale=1):
    """Cases of conv2d_backward_weights; scale 0 makes images of 0."""
    def cases(random):
        told = [(images(random, sizes, dtype), sizes) for sizes in several]
        return [(dy, x * dtype(scale), sizes[5], *sizes[6:]) for (dy, x, _, _), sizes in told]
    return cases


def dilated(several):
    """Cases of conv2d_dilated, from (H, W, K, padding, dilation)."""
    def cases(random):
        return [(*(random.normal(0, 1, shape) for shape in ((2, 3, H, W), (4, 3, K, K), (4,))), padding, dilation)
                for H, W, K, padding, dilation in several]
    return cases


def pooled(several, ties=False):
    """Cases of max_pool2d_backward, from (N, C, H, W, size, stride); with ties pixels are 0, 1 or 2."""
    def cases(random):
        told = []
        for N, C, H, W, size, stride in several:
            x = random.integers(0, 3, (N, C, H, W)).astype(float) if ties else random.normal(-1, 1, (N, C, H, W))
            shape = (N, C, outputs(H, size, stride, 0), outputs(W, size, stride, 0))
            told.append((random.normal(0, 1, shape), x, size, stride))
        return told
    return cases


ASSIGNMENT = Assignment("conv2d, forward and backward, as Numba kernels", modules=("numpy", "numba"), tasks=(
    Task("4.1", "conv2d", "Convolution", returns=("y",), limits=COMPILED, checks=(
        Check("values", 1, forward(SIMPLE), "Output (i, j) sees the pixels (i + k, j + l): the filter is not turned around."),
        Check("stride and padding", 1, forward(MOVED), "Tap (k, l) of output (i, j) meets pixel (i·stride + k − padding, "
              "j·stride + l − padding), if there is one: an index of −1 reads the other end of the image."),
        Check("edges", 1, forward(EDGES), "K = 1 is a product at each pixel; a filter may be larger than an image that padding "
              "widens; one image, one channel, one pixel."),
        Check("float32", 1, forward(SIMPLE, np.float32), "Make the output of x's dtype: np.empty(shape, "
              "x.dtype).", tolerance=1e-5, same_dtype=True),
        Check("large", 2, forward(LARGE), SLOW, public=False)),
        race=Race("conv2d, 16 images of 16 × 32 × 32, 16 filters of 5 × 5", forward(FAST), rounds=10)),
    Task("4.2", "conv2d_backward_input", "The gradient by the images", returns=("dx",), limits=COMPILED, checks=(
        Check("values", 1, by_input(SIMPLE), "Where forward has y[n, o, i, j] += w[o, c, k, l] * x[…], backward has "
              "dx[…] += w[o, c, k, l] * dy[n, o, i, j], with the same indices."),
        Check("stride and padding", 1, by_input(MOVED), "dx has the images' own H and W; what falls on the padding is "
              "dropped, and pixels that no window reaches get 0."),
        Check("edges", 1, by_input(EDGES), "K = 1, filters larger than the image, one pixel. Does dx start at 0 everywhere?"),
        Check("large", 1, by_input(LARGE), SLOW, public=False)),
        race=Race("conv2d_backward_input, 16 images of 16 × 32 × 32, 16 filters of 5 × 5", by_input(FAST), rounds=10)),
    Task("4.3", "conv2d_backward_weights", "The gradients by filters and bias", returns=("dw", "db"), limits=COMPILED, checks=(
        Check("bias", 1, by_weights(SIMPLE, scale=0), "b_o is added to every pixel of every image: db_o sums dy over n, i and "
              "j. Here dw is 0."),
        Check("values", 1, by_weights(SIMPLE), "w_ockl serves every image at every output: dw[o, c, k, l] += "
              "dy[n, o, i, j] * x[…]."),
        Check("stride and padding", 1, by_weights((*MOVED, *EDGES)), "The same indices as forward; pixels of the padding are "
              "0 and add nothing."),
        Check("float32", 1, by_weights(SIMPLE, np.float32), "dw and db are of the dtype of dy and x.",
              tolerance=1e-5, same_dtype=True),
        Check("large", 1, by_weights(LARGE), SLOW, public=False))),
    Task("4.4", "conv2d_dilated", "Filters spread out", returns=("y",), limits=COMPILED, checks=(
        Check("values", 1, dilated(((7, 8, 3, 0, 2), (6, 5, 2, 0, 3), (5, 4, 3, 0, 1))), "K taps, `dilation` apart, span "
              "(K − 1)·dilation + 1 pixels: that leaves room for fewer windows."),
        Check("padding", 1, dilated(((5, 6, 3, 2, 2), (4, 7, 3, 1, 2), (4, 4, 1, 1, 5))), "Padding is not spread out: tap k "
              "meets pixel i + k·dilation − padding."))),
    Task("4.5", "max_pool2d_backward", "Max pooling's gradient", returns=("dx",), limits=COMPILED, checks=(
        Check("values", 1, pooled(((2, 3, 6, 4, 2, 2), (1, 2, 7, 5, 3, 3))), "Pixels can be negative: a largest that starts "
              "at 0 finds none. Rows and columns that no window reaches get 0."),
        Check("windows that overlap", 1, pooled(((2, 2, 5, 6, 3, 1), (1, 1, 7, 7, 3, 2))), "A pixel can be the largest of "
              "several windows: += and not =."),
        Check("ties", 1, pooled(((2, 2, 4, 6, 2, 2), (1, 2, 5, 5, 3, 1)), ties=True), "Count the pixels that equal the "
              "largest, and give each dy divided by that count."))),
))
