"""Moving images between layouts: batch first (N, C, H, W) as users see them, batch last (C, H, W, N) as kernels want them."""

from isbe_np.kernels.jit import jit, prange

# A square block of this size is read and written while both sides are in the nearest cache.
BLOCK = 16


@jit(parallel=True)
def transpose(a, b):
    """b[j, i] = a[i, j];  a (R, S), b (S, R). Both layouts of a batch of images are one matrix and its transpose."""
    R, S = a.shape
    for task in prange((S + BLOCK - 1) // BLOCK):
        j0 = BLOCK * task
        for i0 in range(0, R, BLOCK):
            for j in range(j0, min(S, j0 + BLOCK)):
                for i in range(i0, min(R, i0 + BLOCK)):
                    b[j, i] = a[i, j]

