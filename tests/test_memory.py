"""`Graph.memory`: what it counts is what a training step takes."""

import subprocess
import sys

import numba
import numpy as np
import pytest

import isbe_np as isbe

# Peak memory of a step, in a process that has run one before, so that all code is loaded.
MEASURED = """
import gc, re
from pathlib import Path
import numpy as np
import isbe_np as isbe

def memory(name):
    return 1024 * int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

def step(N):
    net = isbe.networks.{net}()
    x, y = np.ones((N, 1, 28, 28), np.float32), np.zeros(N, int)
    head, optimizer = isbe.Head(), isbe.SGD(0.1, momentum=0.9)
    head.forward(net.forward(x, training=True))
    net.backward(head.backward(y))
    optimizer.step(net)
    return net, optimizer, x

kept = step(256)
before = memory("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
net, _, x = step({N})
print(memory("VmHWM") - before - x.nbytes, net.memory({N}).total)
"""


@pytest.mark.exhaustive
@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="takes hours without the compiler")
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process's memory is read from Linux's /proc")
@pytest.mark.parametrize("net, N", [("n1", 256), ("n1", 700), ("lenet5", 1000), ("n0", 4000), ("n2", 300), ("resnet", 300),
                                    ("transformer", 400)])
def test_the_prediction_is_the_peak(net, N):
    # The second process finds all kernels compiled: the compiler leaves behind memory that would count.
    for _ in range(2):
        run = subprocess.run([sys.executable, "-c", MEASURED.format(net=net, N=N)], capture_output=True, text=True, check=True)
    measured, predicted = map(int, run.stdout.split())
    assert measured == pytest.approx(predicted, rel=0.15)


def test_what_a_layer_remembers_is_counted_once(kernels):
    """Beside what batch norm keeps in each of its two places: three numbers a channel, and two for fast backward."""
    first, layer, C = isbe.Input((1000,)), isbe.BatchNorm(), 1000
    net = isbe.Graph(first, layer(isbe.Tanh()(layer(first))))
    state, kept = sum(array.nbytes for array in net.state().values()), {"plain": 3, "fast": 3 + 2}[kernels]
    assert state == 8 * C and net.memory(2).work == pytest.approx(2 * kept * 8 * C + state, abs=500)
    assert net.memory(2000).work == net.memory(1000).work


def test_beyond_what_is_counted_it_goes_on_growing_evenly():
    net = isbe.networks.lenet5()
    sizes = [net.memory(N).total for N in (256, 512, 768, 1024)]
    assert len(set(np.diff(sizes))) == 1
    assert net.memory(384).total - net.memory(320).total == pytest.approx((sizes[1] - sizes[0]) / 4, rel=0.01)


def test_what_it_is_for():
    net = isbe.Sequential((6,), isbe.Dense(4), isbe.Tanh(), isbe.Dense(2), dtype=np.float64)
    memory = net.memory(10, slots=2)
    assert memory.parameters == memory.slots == 2 * net.values.nbytes
    assert 8 * 10 * (6 + 4 + 4 + 2) <= memory.values <= 8 * 10 * 16 + 4 * 64
    assert memory.total == memory.parameters + memory.slots + memory.values + memory.errors + memory.work
    assert str(memory).startswith("0.0 MB: parameters")
    assert net._plans == {}


@pytest.mark.parametrize("bad", [0, -1, 2.5])
def test_bad_sizes(bad):
    with pytest.raises((TypeError, ValueError), match="batch_size"):
        isbe.networks.n0().memory(bad)
