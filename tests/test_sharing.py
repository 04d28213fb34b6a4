"""Several Python threads with one network or one head: right answers, or a sentence."""

import copy
import os
import pickle
import signal
import threading
import warnings

import numpy as np
import pytest
import tiny

import isbe_np as isbe
from isbe_np.compiler import threads

# So wide that all threads run a kernel; without the compiler so few numbers that it does not take minutes.
WIDE, CALLS = (9, 2) if threads.SETTINGS.DISABLE_JIT else (2000, 50)


class Pause(isbe.Layer):
    """The identity. Its first forward pass says that it has begun, and waits until it may go on."""

    def __init__(self):
        super().__init__()
        self.begun, self.go_on, self.calls = threading.Event(), threading.Event(), 0

    def forward(self, step):
        self.calls += 1
        if self.calls == 1:
            self.begun.set()
            assert self.go_on.wait(30)
        step.y[...] = step.x

    def backward(self, step):
        if step.dx is not None:
            step.dx[...] = step.dy

    def __deepcopy__(self, memo):
        return self  # a layer holds no numbers, and an event cannot be copied


def in_thread(function):
    """A thread that runs `function`, and a list that will hold what it returned or raised."""
    result = []

    def run():
        try:
            result.append(function())
        except Exception as fault:
            result.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, result


def elsewhere(function):
    """What `function` returns, or raises, in another thread."""
    thread, result = in_thread(function)
    thread.join(30)
    return result[0]


def refusal(fault, *words):
    assert isinstance(fault, RuntimeError), fault
    assert all(word in str(fault) for word in (*words, "another thread", "net.exclusive()", "copy.deepcopy(net)"))


@pytest.mark.parametrize("second", ["forward", "backward", "value", "copy", "checkpoint", "optimizer"])
def test_a_call_waits_for_the_call_of_another_thread(second, random, tmp_path):
    """Thread A stands in the middle of a forward pass. B's call begins only when A's has ended, and both are right."""
    pause = Pause()
    net = isbe.Sequential((4,), pause, isbe.Dense(3), dtype=np.float64)
    x, z = random.normal(size=(2, 5, 4))
    wanted = [batch @ net.parameters()[0].value.T for batch in (x, z)]
    calls = {"forward": lambda: net.forward(z), "backward": lambda: net.backward(np.ones((5, 3))),
             "value": lambda: net.value("dense_1"), "copy": lambda: copy.deepcopy(net).values,
             "checkpoint": lambda: isbe.save_checkpoint(tmp_path / "net.npz", net),
             "optimizer": lambda: isbe.SGD(0.1).step(net)}
    one, first = in_thread(lambda: net.forward(x))
    assert pause.begun.wait(30)
    two, other = in_thread(calls[second])
    two.join(0.1)
    assert two.is_alive() and not other
    pause.go_on.set()
    one.join(30)
    two.join(30)
    assert not isinstance(other[0], Exception), other[0]
    np.testing.assert_allclose(first[0], wanted[0], rtol=1e-12)
    if second in ("forward", "value"):
        np.testing.assert_allclose(other[0], wanted[second == "forward"], rtol=1e-12)


@pytest.mark.parametrize("width", [8, WIDE])
def test_forward_passes_of_four_threads_are_those_of_one(width, random):
    """Every kernel lets go of Python's lock, so that without another lock the threads really mix."""
    net = isbe.Sequential((width,), isbe.Dense(20), isbe.ReLU(), isbe.Dense(3))
    batches = random.normal(size=(4, 32, width)).astype(np.float32)
    wanted = [net.forward(batch) for batch in batches]

    def wrong(k):
        return sum(not np.array_equal(net.forward(batches[k]), wanted[k]) for _ in range(CALLS))

    running = [in_thread(lambda k=k: wrong(k)) for k in range(4)]
    for thread, _ in running:
        thread.join(60)
    assert [result for _, result in running] == [[0]] * 4


def test_what_another_thread_replaced_is_refused_and_not_mixed_up(random):
    net = tiny.net(dtype=np.float64)
    x, z, error = random.normal(size=(5, 1, 2, 2)), random.normal(size=(5, 1, 2, 2)), random.normal(size=(5, 3))
    net.forward(x)
    assert isinstance(elsewhere(lambda: net.forward(z)), np.ndarray)
    for call, name in ((lambda: net.backward(error), "Graph.backward"), (lambda: net.value("dense_1"), "Graph.value"),
                       (lambda: net.gradient("dense_1"), "Graph.gradient")):
        with pytest.raises(RuntimeError) as fault:
            call()
        refusal(fault.value, name, "forward pass")
    net.forward(x)
    net.backward(error)
    gradients = net.grads.copy()

    def whole_step():
        net.forward(z)
        net.backward(2 * error)

    assert elsewhere(whole_step) is None
    with pytest.raises(RuntimeError) as fault:
        isbe.SGD(0.1).step(net)
    refusal(fault.value, "SGD.step", "backward pass")
    net.forward(x)
    net.backward(error)
    assert np.array_equal(net.grads, gradients)
    # A forward pass alone touches no gradient: the step may be taken.
    elsewhere(lambda: net.forward(z))
    isbe.SGD(0.1).step(net)


def test_a_thread_may_go_on_where_another_stopped(random):
    net, x, error = tiny.net(dtype=np.float64), random.normal(size=(5, 1, 2, 2)), random.normal(size=(5, 3))
    elsewhere(lambda: net.forward(x))
    net.backward(error)
    wanted = net.grads.copy()
    net.forward(x)
    assert elsewhere(lambda: net.backward(error)) is None and np.array_equal(net.grads, wanted)


def test_a_refused_batch_of_another_thread_replaces_the_pass_too(random):
    net, x = tiny.net(dtype=np.float64), random.normal(size=(5, 1, 2, 2))
    net.forward(x)
    assert isinstance(elsewhere(lambda: net.forward(x * np.nan)), ValueError)
    with pytest.raises(RuntimeError) as fault:
        net.backward(np.ones((5, 3)))
    refusal(fault.value, "Graph.backward")


class Recording(isbe.SGD):
    """Plain SGD that remembers the parameters after each step, and lets one prediction come before the next."""

    def __init__(self, seen):
        super().__init__(0.1)
        self.seen = seen

    def update(self, w, g, number):
        super().update(w, g, number)
        self.seen.append(w.copy())


def test_predicting_beside_a_training_is_right_and_changes_nothing():
    """Parameters end as in a training that nobody disturbs; every prediction is by the parameters of one step."""
    data, alone, net, seen, found = tiny.dataset(), tiny.net(), tiny.net(), [], []
    x = data.x_train[:6]  # of the training's batch size: it uses the very buffers of the training
    isbe.train(alone, isbe.Head(), data, 20, 6, isbe.SGD(0.1), progress=False)
    seen.append(net.values.copy())
    done = threading.Event()

    def ask():
        while not done.is_set():
            found.append(net.forward(x))

    asking, _ = in_thread(ask)
    try:
        isbe.train(net, isbe.Head(), data, 20, 6, Recording(seen), progress=False)
    finally:
        done.set()
        asking.join(30)
    assert np.array_equal(net.values, alone.values) and len(seen) == 81
    possible, by = set(), tiny.net()
    for values in seen:
        by.values[...] = values
        possible.add(by.forward(x).tobytes())
    assert len(possible) == 81 and found and {scores.tobytes() for scores in found} <= possible


def test_all_batches_of_a_prediction_are_by_the_same_parameters(monkeypatch):
    """Between two batches no other thread gets in, which might change the parameters."""
    net, came = isbe.Sequential((3,), isbe.ReLU()), []

    def scores_of(batch, which=isbe.Graph.forward):
        scores = which(net, batch)
        thread, found = in_thread(lambda: net.forward(np.ones((2, 3), np.float32)))
        thread.join(0.02)
        came.append(bool(found))
        return scores

    monkeypatch.setattr(net, "forward", scores_of)
    assert isbe.predict(net, np.eye(3, dtype=np.float32), batch_size=1).tolist() == [0, 1, 2]
    assert came == [False] * 3


def test_a_network_is_trained_by_one_training_at_a_time():
    data, net = tiny.dataset(), tiny.net()
    with net.sharing.training():
        fault = elsewhere(lambda: isbe.train(net, isbe.Head(), data, progress=False))
    assert isinstance(fault, RuntimeError) and "is being trained already" in str(fault)
    assert elsewhere(lambda: isbe.train(net, isbe.Head(), data, progress=False)).steps == 1

    def nested(share):
        isbe.train(net, isbe.Head(), data, progress=False)
        return 1.0

    with pytest.raises(RuntimeError, match="is being trained already"):
        isbe.train(net, isbe.Head(), data, schedule=nested, progress=False)


@pytest.mark.parametrize("name", isbe.NORMALIZERS)
def test_each_thread_has_a_forward_pass_of_a_head_of_its_own(name, random):
    head, scores, targets = isbe.Head(name), random.normal(size=(2, 5, 3)), np.arange(5) % 3
    one, two = (isbe.Head(name).error(s, targets) for s in scores)
    head.forward(scores[0])

    def other():
        head.forward(scores[1])
        return head.backward(targets), head.soft

    error, soft = elsewhere(other)
    np.testing.assert_allclose(error, two, atol=1e-15)
    np.testing.assert_allclose(head.backward(targets), one, atol=1e-15)
    assert np.array_equal(soft, isbe.Head(name).forward(scores[1])) and np.array_equal(head.scores, scores[0])
    fault = elsewhere(lambda: head.backward(targets))
    assert isinstance(fault, RuntimeError) and "in the same thread" in str(fault)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
def test_copies_are_used_by_themselves(copied, random):
    net, head = tiny.net(dtype=np.float64), isbe.Head()
    x = random.normal(size=(5, 1, 2, 2))
    scores = net.forward(x)
    head.forward(scores)
    with net.exclusive():
        other, twin = copied(net), copied(head)
        assert np.array_equal(elsewhere(lambda: other.forward(x)), scores)
    assert np.array_equal(twin.backward([0] * 5), head.backward([0] * 5))
    net.backward(np.ones((5, 3)))  # the copy's pass replaced nothing here


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("used", ["a network", "a network in use", "a head"])
def test_a_forked_child_is_told_to_spawn(used, random):
    """GNU's OpenMP would end the child without a word. The lock of a network that was held while forking holds nobody up."""
    net, head = isbe.Sequential((WIDE,), isbe.Dense(20)), isbe.Head()
    x = random.normal(size=(32, WIDE)).astype(np.float32)
    run = (lambda: head.forward(x)) if used == "a head" else lambda: net.forward(x)
    scores = run()
    held, done = threading.Event(), threading.Event()

    def hold():
        with net.exclusive():
            held.set()
            done.wait(30)

    holder, _ = in_thread(hold if used == "a network in use" else held.set)
    assert held.wait(30)
    got, give = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        signal.alarm(20)  # ends a child that waits for ever
        try:
            said = "the same scores" if np.array_equal(run(), scores) else "other scores"
        except BaseException as fault:
            said = f"{type(fault).__name__}: {fault}"
        os.write(give, said.encode())
        os._exit(0)
    os.close(give)
    done.set()
    holder.join(30)
    said = os.read(got, 10_000).decode()
    os.close(got)
    ended = os.waitpid(child, 0)[1]
    if not threads.SETTINGS.DISABLE_JIT and threads.numba.threading_layer() == "omp":
        assert said.startswith("RuntimeError: isbe_np: this process was forked") and "get_context('spawn')" in said
    elif used != "a network in use":
        assert said == "the same scores"
    assert ended == 0 or used == "a network in use"
