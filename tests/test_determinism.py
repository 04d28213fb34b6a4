"""The same seed gives the same bits: again, in another process, with another number of threads, beside another network.

Run as a program, it trains one of its networks and prints the hash of its parameters:
`python tests/test_determinism.py large fast`.
"""

import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.compiler import jit
from isbe_np.kernels import activations, optimizers

pytestmark = pytest.mark.exhaustive

COMPILED = not numba.config.DISABLE_JIT
# The kernels that `network` computes with: a test's, by the fixture `alone`, or those asked for on the command line.
KERNELS = sys.argv[2] if __name__ == "__main__" else "fast"
# Without the compiler a step of the small network takes half a second.
STEPS = 200 if COMPILED else 2
# Examples in a batch, units in the hidden layer. A kernel of the large one gets more than jit.SMALL numbers and so, where there
# are several threads, shares them; one of the small network never does.
SIZES = {"small": (6, 10), "large": (160, 300)}
large_only_compiled = pytest.mark.skipif(not COMPILED, reason="the large network takes minutes without the compiler")
every_size = pytest.mark.parametrize("size", ["small", pytest.param("large", marks=large_only_compiled)])
several_threads = pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one core: there is one thread only")


def network(size, seed=0):
    """Every kind of kernel that shares work: convolution, pooling, layouts, dense, activations, norms, attention."""
    image, hidden = isbe.Input((2, 8, 8)), SIZES[size][1]
    x = isbe.ReLU()(isbe.BatchNorm()(isbe.Conv2D(4, 3, padding=1)(image)))
    means = isbe.Dense(hidden)(isbe.GlobalAveragePool()(x))
    x = isbe.Add()(isbe.MaxPool2D(2)(x), isbe.AveragePool2D(2)(x))
    tokens = isbe.PositionEmbedding()(isbe.Dense(8)(isbe.Patches(2)(image)))
    tokens = isbe.Add()(tokens, isbe.MultiHeadSelfAttention(2)(isbe.LayerNorm()(tokens)))
    x = isbe.Add()(isbe.Dense(hidden)(isbe.Flatten()(x)), means, isbe.Dense(hidden)(isbe.MeanTokens()(tokens)))
    x = isbe.Dropout(0.2)(isbe.GELU()(isbe.BatchNorm()(x)))
    return isbe.Graph(image, isbe.Dense(5)(x), seed=seed, kernels=KERNELS)


def trained(size, seed=0):
    """Hash of the parameters, and of what batch norm remembers, after `STEPS` steps on random images."""
    net, head, optimizer = network(size, seed), isbe.Head("softmax"), isbe.SGD(0.05, momentum=0.9)
    random = np.random.default_rng(seed)
    images = random.random((4, SIZES[size][0], 2, 8, 8), np.float32)
    labels = random.integers(0, 5, images.shape[:2])
    for step in range(STEPS):
        head.forward(net.forward(images[step % 4], training=True))
        net.backward(head.backward(labels[step % 4]))
        optimizer.step(net)
    assert np.isfinite(net.values).all()
    return hashlib.sha256(b"".join(array.tobytes() for array in (net.values, *net.state().values()))).hexdigest()


def in_a_process(size, **settings):
    """The hash that a new process prints."""
    root = str(Path(isbe.__file__).resolve().parent.parent)
    done = subprocess.run([sys.executable, __file__, size, KERNELS], env=os.environ | {"PYTHONPATH": root} | settings,
                          check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module", params=isbe.KERNELS if COMPILED else ["plain"])
def alone(request):
    """Hash of each training by one set of kernels, run alone in this process."""
    global KERNELS
    KERNELS = request.param
    return {size: trained(size) for size in SIZES if COMPILED or size == "small"}


def test_the_large_network_is_large_and_the_small_one_small():
    """By the largest and the smallest array that a kernel of theirs is given."""
    for size, (batch, hidden) in SIZES.items():
        images, weights = 4 * 8 * 8 * batch, 64 * hidden
        assert (images >= jit.SMALL) == (2 * weights >= jit.SMALL) == (size == "large")


@every_size
def test_twice_in_one_process(size, alone):
    assert trained(size) == alone[size]


@every_size
def test_another_seed_gives_other_bits(size, alone):
    assert trained(size, seed=1) != alone[size]


@every_size
def test_in_two_processes(size, alone):
    assert in_a_process(size) == in_a_process(size) == alone[size]


@several_threads
@every_size
def test_with_one_thread_or_two(size, alone):
    """Each task owns what it writes, so that no sum is split between threads."""
    before = jit.threads()
    try:
        for n in (1, 2):
            jit.set_threads(n)
            assert trained(size) == alone[size]
    finally:
        jit.set_threads(before)


@several_threads
@every_size
def test_in_a_process_of_one_thread(size, alone):
    assert in_a_process(size, NUMBA_NUM_THREADS="1") == alone[size]


@large_only_compiled
def test_another_threading_layer(alone):
    """Numba's own, which is what runs where neither OpenMP nor TBB is found."""
    assert in_a_process("large", NUMBA_THREADING_LAYER="workqueue") == alone["large"]


@pytest.mark.parametrize("sizes", [("small", "small"), pytest.param(("large", "large"), marks=large_only_compiled),
                                   pytest.param(("small", "large"), marks=large_only_compiled)], ids="-".join)
def test_two_python_threads_at_once(sizes, alone):
    """Two networks of their own, trained side by side, do not see each other."""
    with ThreadPoolExecutor(2, initializer=threading.Barrier(2).wait) as pool:
        assert list(pool.map(trained, sizes)) == [alone[size] for size in sizes]
    assert trained(sizes[0]) == alone[sizes[0]] and jit.threads() == numba.get_num_threads()


# Each prints the bits that differ between one thread and two. Compiled for this target, loops of vectors and what they leave
# over did round differently.
SHARED = """
import numpy as np
import isbe_np as isbe
from isbe_np.kernels import activations, optimizers

def results(n, x, y, dy):
    isbe.set_threads(n)
    found = [np.empty_like(x) for _ in range(3)]
    activations.sigmoid_backward(x, y, dy, found[0])
    activations.hardsigmoid(x, found[1])
    activations.hardsigmoid_backward(x, y, dy, found[2])
    for update, remembered, given in ((optimizers.nesterov, [y], (0.1, 0.9, 0.01)), (optimizers.adam, [dy, y * y], (
            (0.9, 0.1, 0.99, 0.01), (0.1, 1e-8, 0.1, 0.01, 0.01, 0.1)))):
        arrays = [x.copy(), dy, *(array.copy() for array in remembered)]
        scalars = [tuple(map(np.float32, g)) if isinstance(g, tuple) else np.float32(g) for g in given]
        update(*arrays, *scalars)
        found += arrays
    return found

for size in (65543, 77077):
    x, y, dy = np.random.default_rng(0).normal(size=(3, size)).astype(np.float32) * np.float32(3)
    print(*((a != b).sum() for a, b in zip(results(1, x, y, dy), results(2, x, y, dy), strict=True)))
"""


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_no_bit_depends_on_where_a_thread_s_loop_ends():
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_NUM_THREADS": "2"}
    environment.pop("NUMBA_CPU_FEATURES", None)
    done = subprocess.run([sys.executable, "-c", SHARED], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0"] * 2 * 10


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
@pytest.mark.parametrize("kernel", [kernel for module in (activations, optimizers) for kernel in vars(module).values()
                                    if hasattr(kernel, "kernel")], ids=lambda kernel: kernel.__name__)
def test_kernels_that_share_out_single_numbers_are_exact(kernel):
    """And what calls a library function, which may have another version for vectors, shares out spans of a fixed length."""
    names = kernel.kernel.py_func.__code__.co_names
    assert not kernel.kernel.targetoptions["fastmath"]
    assert ("SPAN" in names) == bool({"exp", "log", "tanh", "erf", "erfc"} & {*names})


# What is summed up in parallel kernels, and in kernels that other kernels call, must not depend on which copy of it runs. Fast
# kernels keep to that in float32. In float64 those of batch norm reorder sums, and the copies differ by their last bits.
STEP = """
import hashlib
import sys
import numpy as np
import isbe_np as isbe
for dtype in (np.float32, np.float64)[:2 if sys.argv[1] == "plain" else 1]:
    image = isbe.Input((1, 12, 12))
    x = isbe.ReLU()(isbe.BatchNorm()(isbe.Conv2D(6, 3, padding=1)(isbe.MaxPool2D(2)(isbe.ReLU()(isbe.Conv2D(5, 3)(image))))))
    x = isbe.ReLU()(isbe.Dense(30)(isbe.LayerNorm()(isbe.Flatten()(x))))
    tokens = isbe.PositionEmbedding()(isbe.Dense(8)(isbe.Patches(4)(image)))
    tokens = isbe.MeanTokens()(isbe.Add()(tokens, isbe.MultiHeadSelfAttention(2)(isbe.LayerNorm()(tokens))))
    scores = isbe.Add()(isbe.Dense(10)(x), isbe.Dense(10)(tokens))
    net = isbe.Graph(image, scores, seed=3, dtype=dtype, kernels=sys.argv[1])
    for N in (3, 24, 130):
        x, head = np.random.default_rng(N).random((N, 1, 12, 12)).astype(dtype), isbe.Head(kernels=sys.argv[1])
        net.backward(head.error(net.forward(x, training=True), np.arange(N) % 10))
        print(hashlib.sha256(net.grads.tobytes()).hexdigest())
"""


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
@pytest.mark.parametrize("kernels", isbe.KERNELS)
def test_the_same_bits_just_compiled_and_from_the_cache(kernels, tmp_path):
    environment = {**os.environ, "ISBE_CACHE_DIR": str(tmp_path)}
    runs = [subprocess.run([sys.executable, "-c", STEP, kernels], env=environment, capture_output=True, text=True,
                           check=True).stdout for _ in range(2)]
    assert runs[0] == runs[1] and len(runs[0].split()) == {"plain": 6, "fast": 3}[kernels]


if __name__ == "__main__":
    print(trained(sys.argv[1]))
