"""Time of a training step of each network in isbe_np, beside other frameworks where they are installed.

    python scripts/benchmark_training.py [--nets n0 lenet5 n1] [--batches 1 32 128 512] [--rounds 30] [--compiled] [--json FILE]
    python scripts/benchmark_training.py --inference [--batches 1 1000]    scores alone, no gradients
    python scripts/benchmark_training.py --epoch [--images 60000]          one epoch of lenet5 through the training loops

A training step is forward, head (route isbe; the loss and its gradient elsewhere), backward and an SGD step with momentum 0.9,
in float32, on one batch of random images, from the same first weights. Contestants: PyTorch eager, PyTorch under torch.compile
(`--compiled`; it needs a C++ compiler), JAX with the whole step under jit, and, for scale, autograd and MyGrad, which run on
NumPy. What is not installed is left out and said so; who fails in one case has "failed" there, and the reason stands below.

What makes it fair:

- All compute the same: after the first step all gradients agree with isbe_np's to a thousandth, or the contestant has failed.
- All have as many threads as isbe_np (one a core, unless NUMBA_NUM_THREADS says otherwise).
- PyTorch is imported before isbe_np, which lets idle OpenMP threads sleep soon (GOMP_SPINCOUNT, unless that or OMP_WAIT_POLICY
  is set). Each library's runtime reads the setting when it is loaded; so PyTorch's keeps its default.
- Contestants take turns in one process, A B C, B C A, …, so that a slow spell of the machine falls on all. A turn begins when
  no thread of the process uses a core (those of some runtimes wait in a loop for a tenth of a second), with 0.1 s of untimed
  steps, at least one, which wake its own threads; then come as many timed steps as take 0.1 s, 1 to 200. (A core that
  slept, and its vector units, need some hundredths of a second to their full speed.)
- Medians are over all timed steps. A ratio is a contestant's median over isbe_np's in the same rounds: above 1, isbe_np is the
  faster. Its 95 % interval comes from drawing whole turns again.
- Compiling (Numba, torch.compile, XLA) happens in the first step, which is in no median; its seconds are told apart.
- The learning rate is 0: a step is computed in full, and the weights stay. Trained on one batch for thousands of steps, losses
  and momenta would fall to numbers below float32's normal range, which processors add many times more slowly.

A contestant that has used `--patience` seconds in one case takes part in no further round of it, and one whose step takes a
quarter of that in none: a single step then stands for it. The table tells how many turns each had.

An epoch of isbe_np is all of `isbe_np.train`, which checks the data, shuffles and copies batches, and at each step watches for
what is not finite, measures the gradient's norm and counts right answers; it evaluates on one image. PyTorch's is the plainest
loop: randperm, index, step. Images are MNIST's where ISBE_DATA_DIR or the cache folder has them, else random ones.
"""

import argparse
import functools
import importlib
import importlib.metadata
import importlib.util
import os
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

# Both libraries read theirs when they are loaded.
if "NUMBA_NUM_THREADS" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", os.environ["NUMBA_NUM_THREADS"])
try:
    import torch  # before isbe_np: see above
except ImportError:
    torch = None
import numpy as np

import isbe_np as isbe
from isbe_np.cli.options import file_path
from isbe_np.compiler.jit import threads
from isbe_np.environment import describe
from isbe_np.networks import IMAGE, NETWORKS
from isbe_np.reports.summary import settings_line, table
from isbe_np.storage.files import write_json
from isbe_np.studies.measure import APART, CompileClock, paired_ratio, take_turns

RATE, MOMENTUM = 0.0, 0.9
# An epoch trains: a rate that the networks learn with.
EPOCH_RATE, EPOCH_BATCH, EPOCH_NET = 0.01, 128, "lenet5"
# Largest |a - b| / largest |b| of any parameter's gradient: the frameworks sum in different orders.
SAME = 1e-3
TOO_FEW = 5  # turns from which an interval means something
US = "isbe_np"


@dataclass
class Contestant:
    """`step` runs once, `results` are then arrays that must equal isbe_np's: gradients by parameter, or scores."""

    step: Callable[[], object]
    results: Callable[[], list[np.ndarray]]


# --- training steps ---

def isbe_training(name, x, y):
    """One step through isbe_np's public functions."""
    net, head, optimizer = NETWORKS[name](), isbe.Head("softmax", route="isbe"), isbe.SGD(RATE, momentum=MOMENTUM)

    def error(scores):
        head.forward(scores)
        return head.backward(y)

    send = functools.partial(head.error, targets=y) if hasattr(head, "error") else error

    def step():
        net.backward(send(net.forward(x, training=True)))
        optimizer.step(net)
    return Contestant(step, lambda: [p.grad for p in net.parameters()])


def torch_training(name, x, y, compiled=False):
    """The step as PyTorch's users write it; with `compiled`, network and loss under torch.compile."""
    net = torch_network(name)
    optimizer = torch.optim.SGD(net.parameters(), RATE, MOMENTUM)
    images, labels = torch.from_numpy(x), torch.from_numpy(y)

    def loss(images, labels):
        return torch.nn.functional.cross_entropy(net(images), labels)

    loss = torch_compiled(loss) if compiled else loss

    def step():
        optimizer.zero_grad()
        loss(images, labels).backward()
        optimizer.step()
    return Contestant(step, lambda: [p.grad.numpy() for p in net.parameters()])


def jax_training(name, x, y):
    """The whole step, with SGD by hand, in one compiled function that may overwrite weights and momentum."""
    os.environ.setdefault("NPROC", str(threads()))  # the size of XLA's thread pool; read when its first array is made
    import jax
    from jax import numpy as jnp

    layers = described(name)
    state = {"w": list(map(jnp.asarray, first_weights(name)))}
    state["v"] = list(map(jnp.zeros_like, state["w"]))
    images, labels = jnp.asarray(x), jnp.asarray(y)

    def loss(w, images, labels):
        log_soft = jax.nn.log_softmax(scores(layers, w, images, jax_operations(jax)))
        return -jnp.take_along_axis(log_soft, labels[:, None], axis=1).mean()

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def update(w, v, images, labels):
        v = [MOMENTUM * old + g for old, g in zip(v, jax.grad(loss)(w, images, labels), strict=True)]
        return [old - RATE * change for old, change in zip(w, v, strict=True)], v

    def step():
        state["w"], state["v"] = jax.block_until_ready(update(state["w"], state["v"], images, labels))
    return Contestant(step, lambda: list(map(np.asarray, state["v"])))


def autograd_training(name, x, y):
    """Operations as in autograd's own example of a convolutional network."""
    import autograd
    import autograd.numpy as anp

    layers, w, rows = described(name), first_weights(name), np.arange(len(y))
    v = list(map(np.zeros_like, w))

    def loss(w):
        z = scores(layers, w, x, autograd_operations(anp))
        z = z - anp.max(z, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(z), axis=1)) - z[rows, y])

    def step():
        momentum_step(w, v, autograd.grad(loss)(w))
    return Contestant(step, lambda: v)


def mygrad_training(name, x, y):
    """Operations from mygrad.nnet."""
    import mygrad
    from mygrad.nnet.losses import softmax_crossentropy

    layers, w = described(name), list(map(mygrad.tensor, first_weights(name)))
    v = [np.zeros_like(weight.data) for weight in w]

    def step():
        softmax_crossentropy(scores(layers, w, x, mygrad_operations()), y).backward()
        momentum_step([weight.data for weight in w], v, [weight.grad for weight in w])
    return Contestant(step, lambda: v)


def momentum_step(w, v, gradients):
    """v = mu v + g, w = w - eta v, in place, in float32 whatever the gradients are in."""
    for weight, velocity, gradient in zip(w, v, gradients, strict=True):
        velocity *= np.float32(MOMENTUM)
        velocity += gradient
        weight -= np.float32(RATE) * velocity


# --- scores alone ---

def isbe_inference(name, x, y):
    """Scores from the public forward."""
    net = NETWORKS[name]()
    kept = {}

    def step():
        kept["scores"] = net.forward(x)
    return Contestant(step, lambda: [kept["scores"]])


def torch_inference(name, x, y, compiled=False):
    """Scores in torch.inference_mode()."""
    net, images, kept = torch_network(name).eval(), torch.from_numpy(x), {}
    forward = torch_compiled(net) if compiled else net

    def step():
        with torch.inference_mode():
            kept["scores"] = forward(images)
    return Contestant(step, lambda: [kept["scores"].numpy()])


# --- our networks in the terms of others ---

def described(name):
    """The network's layers, each with the shape of what it reads."""
    return [(node.layer, node.inputs[0].shape) for node in NETWORKS[name]().nodes[1:]]


def first_weights(name):
    """Copies of our first weights, in order: of each layer weights, then bias."""
    return [p.value.copy() for p in NETWORKS[name]().parameters()]


def torch_network(name):
    """Our network in PyTorch, with our first weights."""
    torch.set_num_threads(threads())
    net = torch.nn.Sequential(*(torch_layer(layer, shape[0]) for layer, shape in described(name)))
    with torch.no_grad():
        for theirs, ours in zip(net.parameters(), first_weights(name), strict=True):
            theirs.copy_(torch.from_numpy(ours))
    return net


def torch_layer(layer, channels):
    """Our layer as PyTorch's."""
    match layer:
        case isbe.Conv2D():
            return torch.nn.Conv2d(channels, layer.filters, layer.kernel, layer.stride, layer.padding)
        case isbe.Dense():
            return torch.nn.Linear(channels, layer.units)
        case isbe.MaxPool2D():
            return torch.nn.MaxPool2d(layer.size, layer.stride, layer.padding)
    return {"ReLU": torch.nn.ReLU, "Flatten": torch.nn.Flatten}[type(layer).__name__]()


def torch_compiled(function):
    """Compiled anew for the shapes of this case, as its first would be."""
    torch._dynamo.reset()
    return torch.compile(function, dynamic=False)


def scores(layers, weights, x, operations):
    """Scores of a batch by another framework's operations conv, pool and relu."""
    left = iter(weights)
    for layer, _ in layers:
        match layer:
            case isbe.Conv2D():
                x = operations.conv(x, next(left), next(left), layer)
            case isbe.Dense():
                x = x @ next(left).T + next(left)
            case isbe.MaxPool2D():
                x = operations.pool(x, layer)
            case isbe.ReLU():
                x = operations.relu(x)
            case isbe.Flatten():
                x = x.reshape(len(x), -1)
    return x


def jax_operations(jax):
    """XLA's convolution and window reduction."""
    lax = jax.lax

    def conv(x, w, b, layer):
        return lax.conv_general_dilated(x, w, layer.stride, [(p, p) for p in layer.padding]) + b[:, None, None]

    def pool(x, layer):
        return lax.reduce_window(x, -np.float32(np.inf), lax.max, (1, 1, *layer.size), (1, 1, *layer.stride), "VALID")
    return SimpleNamespace(conv=conv, pool=pool, relu=jax.nn.relu)


def autograd_operations(anp):
    """Its convolution, which turns filters over; pooling by a reshape, as windows do not overlap here."""
    def conv(x, w, b, layer):
        from autograd.scipy.signal import convolve
        x = anp.pad(x, ((0, 0), (0, 0), *((p, p) for p in layer.padding)), "constant")
        return convolve(x, w[:, :, ::-1, ::-1], axes=([2, 3], [2, 3]), dot_axes=([1], [1]), mode="valid") + b[:, None, None]

    def pool(x, layer):
        (n, c, h, w), (rows, columns) = x.shape, layer.size
        return anp.max(anp.max(x.reshape(n, c, h // rows, rows, w // columns, columns), axis=5), axis=3)
    return SimpleNamespace(conv=conv, pool=pool, relu=lambda x: x * (x > 0))  # its maximum's gradient would be float64


def mygrad_operations():
    """Its layers."""
    from mygrad.nnet.activations import relu
    from mygrad.nnet.layers import conv_nd, max_pool

    def conv(x, w, b, layer):
        return conv_nd(x, w, stride=layer.stride, padding=layer.padding) + b.reshape(-1, 1, 1)
    return SimpleNamespace(conv=conv, pool=lambda x, layer: max_pool(x, layer.size, layer.stride), relu=relu)


# --- measuring ---

# What each contestant needs, and how it makes a step.
TRAINING = {
    US: ("isbe_np", isbe_training),
    "PyTorch": ("torch", torch_training),
    "PyTorch compiled": ("torch", functools.partial(torch_training, compiled=True)),
    "JAX": ("jax", jax_training),
    "autograd": ("autograd", autograd_training),
    "MyGrad": ("mygrad", mygrad_training),
}
INFERENCE = {
    US: ("isbe_np", isbe_inference),
    "PyTorch": ("torch", torch_inference),
    "PyTorch compiled": ("torch", functools.partial(torch_inference, compiled=True)),
}


def entered(contestants, given):
    """Those that are installed and wanted, and a sentence on each that is not."""
    makers, absent = {}, []
    for name, (package, maker) in contestants.items():
        if name != US and given.peers is not None and name not in given.peers:
            continue
        if name == "PyTorch compiled" and not (given.compiled or given.peers):
            continue
        if importlib.util.find_spec(package) is None:
            absent.append(f"{name} is not installed and left out.")
        else:
            makers[name] = maker
    return makers, absent


def measure(makers, name, batch, given):
    """One case: a dictionary of its figures by contestant, for JSON."""
    random = np.random.default_rng(0)
    x, y = random.random((batch, *IMAGE), np.float32), random.integers(0, 10, batch)
    found, steps, slow, wanted = {}, {}, {}, None
    for who, maker in makers.items():
        try:
            contestant, first = started(maker, name, x, y)
            results = [np.array(result) for result in contestant.results()]
            wanted = results if wanted is None else wanted
            require_same(results, wanted)
        except Exception as reason:  # whatever another framework raises: the others go on
            if who == US:
                raise
            found[who] = {"failed": one_line(reason)}
        else:
            steps[who], found[who] = contestant.step, {"first_step_seconds": first}
            second = timeit.timeit(contestant.step, number=1)  # compiled by now
            if who != US and second > given.patience / 4:
                slow[who] = np.array([[second]])
                del steps[who]
    seconds = take_turns(steps, given.rounds, patience=given.patience, **APART) | slow
    for who, times in seconds.items():
        found[who] |= figures(times, seconds[US] if who != US else None)
    return {"network": name, "batch": batch, "contestants": found}


def started(maker, name, x, y):
    """A contestant that has made its first step, and the seconds that this took, compiling included."""
    start = time.perf_counter()
    contestant = maker(name, x, y)
    contestant.step()
    return contestant, time.perf_counter() - start


def require_same(results, wanted):
    """Refuse a contestant that computes something else."""
    for k, (a, b) in enumerate(zip(results, wanted, strict=True)):
        gap = np.abs(np.float64(a) - b).max() / np.abs(b).max()
        if not gap <= SAME:
            raise ValueError(f"result {k} differs from isbe_np's by {gap:.1e} of its largest number")


def one_line(reason):
    """What kind of failure, and its first line."""
    lines = [line.strip() for line in str(reason).splitlines() if line.strip()]
    return f"{type(reason).__name__}: {lines[0] if lines else 'no text'}"[:200]


def figures(times, ours):
    """Figures of (turns, steps) seconds, with the ratio to `ours` where given."""
    low, middle, high = np.percentile(times, [25, 50, 75])
    found = {"median_seconds": float(middle), "quartiles_seconds": [float(low), float(high)],
             "turns": len(times), "steps_a_turn": times.shape[1]}
    if ours is not None:
        ratio = vars(paired_ratio(times, ours))
        found["ratio"] = ratio if len(times) >= TOO_FEW else ratio | {"low": None, "high": None}
    return found


def rows_of(case):
    """Rows of the table."""
    for who, found in case["contestants"].items():
        at = (case["network"], f"{case['batch']:,}", who)
        if "failed" in found:
            yield *at, "failed", "", "", "", ""
            continue
        low, high = (f"{seconds * 1e3:.3g}" for seconds in found["quartiles_seconds"])
        yield (*at, f"{found['median_seconds'] * 1e3:.3g}", f"{low} to {high}", *ratio_cells(found),
               f"{found['turns']} x {found['steps_a_turn']}")


def ratio_cells(found):
    """The ratio and its interval; isbe_np's own is 1."""
    if "ratio" not in found:
        return "1", ""
    value, low, high = (found["ratio"][part] for part in ("value", "low", "high"))
    return f"{value:.3g}", "too few turns" if low is None else f"{low:.3g} to {high:.3g}"


def first_steps(cases):
    """Seconds of all first steps by contestant, in words."""
    total = {}
    for case in cases:
        for who, found in case["contestants"].items():
            total[who] = total.get(who, 0.0) + found.get("first_step_seconds", 0.0)
    return "First steps, compiling included, in none of the medians: " + ", ".join(
        f"{who} {seconds:.2g} s" for who, seconds in total.items()) + "."


def run_steps(given):
    """Measure and print training steps or inference; what to write as JSON."""
    makers, notes = entered(INFERENCE if given.inference else TRAINING, given)
    batches = given.batches or ([1, 1000] if given.inference else [1, 32, 128, 512])
    with CompileClock() as clock:
        cases = [measure(makers, name, batch, given) for name in given.nets for batch in batches]
    header = ("network", "batch", "contestant", "median ms", "quartiles", f"x {US}", "95 % interval", "turns x steps")
    print_result(table(header, [row for case in cases for row in rows_of(case)], left=3))
    notes += [f"{who}, {case['network']}, batch {case['batch']}: {found['failed']}"
              for case in cases for who, found in case["contestants"].items() if "failed" in found]
    print("\n".join([f"{first_steps(cases)} Numba compiled for {clock.seconds:.1f} s of that.", *notes]))
    return {"what": "inference" if given.inference else "training step", "cases": cases, "notes": notes,
            "numba_compile_seconds": clock.seconds}


# --- whole epochs ---

def images_of(given):
    """MNIST's training images where they are at hand, else random ones; and a sentence on which."""
    try:
        data = isbe.datasets.load("mnist", train=given.images, test=1)
        return data.x_train, data.y_train, f"MNIST, the first {given.images:,} training images."
    except FileNotFoundError:
        random = np.random.default_rng(0)
        x, y = random.random((given.images, *IMAGE), np.float32), random.integers(0, 10, given.images)
        return x, y, f"Random images, {given.images:,} of MNIST's size: its files were not found (see ISBE_DATA_DIR)."


def isbe_epoch(x, y):
    """One epoch through `isbe_np.train`, evaluated on one image."""
    net, head, optimizer = NETWORKS[EPOCH_NET](), isbe.Head("softmax"), isbe.SGD(EPOCH_RATE, momentum=MOMENTUM)
    data = SimpleNamespace(x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])

    def epoch():
        history = isbe.train(net, head, data, epochs=1, batch_size=EPOCH_BATCH, optimizer=optimizer, progress=False)
        if history.stopped:
            raise SystemExit(f"benchmark_training: training was {history.stopped}. {history.diagnosis or ''}")
    return epoch


def torch_epoch(x, y):
    """The plainest loop in PyTorch over tensors in memory."""
    net, images, labels = torch_network(EPOCH_NET), torch.from_numpy(x), torch.from_numpy(y)
    optimizer = torch.optim.SGD(net.parameters(), EPOCH_RATE, MOMENTUM)

    def epoch():
        for picked in torch.randperm(len(images)).split(EPOCH_BATCH):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(images[picked]), labels[picked]).backward()
            optimizer.step()
    return epoch


def run_epoch(given):
    """Measure and print whole epochs; what to write as JSON."""
    x, y, source = images_of(given)
    epochs = {US: isbe_epoch(x, y)} | ({"PyTorch": torch_epoch(x, y)} if torch else {})
    seconds = take_turns(epochs, given.rounds, quiet=True)
    found = {who: figures(times, seconds[US] if who != US else None) for who, times in seconds.items()}
    rows = [(EPOCH_NET, EPOCH_BATCH, who, f"{at['median_seconds']:.3g}", "{:.3g} to {:.3g}".format(*at["quartiles_seconds"]),
             *ratio_cells(at), at["turns"]) for who, at in found.items()]
    header = ("network", "batch", "contestant", "median s", "quartiles", f"x {US}", "95 % interval", "epochs")
    print_result(table(header, rows, left=3))
    notes = [source] + ([] if torch else ["PyTorch is not installed and left out."])
    print("\n".join(notes))
    case = {"network": EPOCH_NET, "batch": EPOCH_BATCH, "images": len(x), "contestants": found}
    return {"what": "epoch", "cases": [case], "notes": notes}


# --- the command line ---

def print_result(text):
    """The settings, known only once kernels have run, and a table."""
    print(f"{settings_line(describe())}; {', '.join(f'{name} {version}' for name, version in versions().items())}\n\n{text}")


def versions():
    """Versions of the other frameworks that are installed."""
    names = {"torch": "PyTorch", "jax": "JAX", "autograd": "autograd", "mygrad": "MyGrad"}
    return {name: importlib.metadata.version(package) for package, name in names.items() if importlib.util.find_spec(package)}


def arguments():
    """The command line's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--inference", action="store_true", help="time scores alone")
    kind.add_argument("--epoch", action="store_true", help="time a whole epoch of lenet5")
    parser.add_argument("--nets", nargs="+", default=["n0", "lenet5", "n1"], choices=list(NETWORKS))
    parser.add_argument("--batches", nargs="+", type=int, help="default: 1 32 128 512; for inference 1 1000")
    parser.add_argument("--rounds", type=int, help="turns of each contestant; default 30, for epochs 5")
    parser.add_argument("--compiled", action="store_true", help="also time torch.compile")
    parser.add_argument("--peers", nargs="*", choices=list(TRAINING)[1:], help="only these; default: all installed")
    parser.add_argument("--patience", type=float, default=20, help="seconds for one contestant in one case; default 20")
    parser.add_argument("--images", type=int, default=60_000, help="of an epoch; default 60000")
    parser.add_argument("--json", type=file_path)
    given = parser.parse_args()
    given.rounds = given.rounds or (5 if given.epoch else 30)
    return given


def main():
    """Measure, print a table, and write JSON where asked."""
    given = arguments()
    result = run_epoch(given) if given.epoch else run_steps(given)
    if given.json:
        settings = {name: value for name, value in vars(given).items() if name != "json"}
        write_json(given.json, {"environment": describe() | versions(), "settings": settings, **result})


if __name__ == "__main__":
    main()
