"""Every network against PyTorch's functions with the same parameters: scores, all gradients, five steps of training.

A network of maxima has places without a gradient: where the two largest pixels of a window are nearer than rounding, or a
unit is that near 0, each side may send the error another way, and both are right. Among the 10,000 windows that n1 has for
each image, most draws of float32 meet one in five steps. Such draws are recognised in float64 and drawn again.

Training is switched on, so that batch norm goes by the batch; dropout draws numbers of its own on either side, and is set aside
by a rate of 0.
"""

import peer
import pytest
from test_peer_attention import attend

import isbe_np as isbe

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("kernels")]


# Maxima and zeros nearer than this, relative to the largest number of the layer, are left undecided.
NEAR = {"float32": 1e-6, "float64": 1e-14}
# Smaller networks where the full one has so many units that hardly a draw would be decided; images that are no squares.
OPTIONS = {"n2": {"image": (3, 20, 16)}, "resnet": {"image": (3, 14, 12), "width": 4},
           "transformer": {"image": (3, 8, 12), "features": 24}}


class Functions:
    """PyTorch's functions, which take parameters in order, each as it comes to need some.

    state : running means and variances of the batch norms, in order, which training moves; None, and nothing is remembered.
    margins : a list to which is added how clearly each layer's maxima and signs are decided, or None.
    """

    def __init__(self, torch, parameters, state=None, training=True, margins=None):
        self.torch, self.F, self.training, self.margins = torch, torch.nn.functional, training, margins
        self.parameters, self.state = iter(parameters), None if state is None else iter(state)

    def some(self, count):
        return [next(self.parameters) for _ in range(count)]

    def convolution(self, x, padding=0, stride=1):
        return self.F.conv2d(x, *self.some(2), padding=padding, stride=stride)

    def dense(self, x):
        return self.F.linear(x, *self.some(2))

    def batch_norm(self, x):
        running = (None, None) if self.state is None else (next(self.state), next(self.state))
        return self.F.batch_norm(x, *running, *self.some(2), training=self.training)

    def layer_norm(self, x):
        return self.F.layer_norm(x, x.shape[-1:], *self.some(2))

    def note(self, windows):
        if self.margins is not None:
            self.margins.append(margin(self.torch, windows))

    def relu(self, x):
        self.note(x.reshape(-1, 1))
        return self.F.relu(x)

    def pooled(self, x):
        """Maxima of 2 x 2 behind a ReLU."""
        self.note(x.unfold(2, 2, 2).unfold(3, 2, 2).reshape(-1, 4))
        return self.F.max_pool2d(self.F.relu(x), 2)

    # The networks, written after the papers and not after networks.py.

    def n0(self, x):
        return self.dense(self.relu(self.dense(self.relu(self.dense(x.flatten(1))))))

    def n1(self, x):
        x = self.pooled(self.convolution(self.pooled(self.convolution(x, 2)), 2))
        return self.dense(self.relu(self.dense(x.flatten(1))))

    def lenet5(self, x):
        return self.n0(self.pooled(self.convolution(self.pooled(self.convolution(x, 2)))))

    def n2(self, x):
        for padding in (2, 2, 1):
            x = self.pooled(self.batch_norm(self.convolution(x, padding)))
        return self.dense(self.relu(self.dense(x.flatten(1))))

    def resnet(self, x):
        """Of 8 layers: one block a stage."""
        x = self.relu(self.batch_norm(self.convolution(x, 1)))
        for stride in (1, 2, 2):
            shortcut = x if stride == 1 else self.batch_norm(self.convolution(x, stride=stride))
            x = self.relu(self.batch_norm(self.convolution(x, 1, stride)))
            x = self.relu(shortcut + self.batch_norm(self.convolution(x, 1)))
        return self.dense(x.mean((2, 3)))

    def transformer(self, x):
        """Of three blocks with four heads, for patches of 4 x 4."""
        x = self.dense(self.F.unfold(x, 4, stride=4).transpose(1, 2)) + next(self.parameters)
        for _ in range(3):
            x = x + attend(self.torch, self.layer_norm(x), 4, False, *self.some(4))
            x = x + self.dense(self.F.gelu(self.dense(self.layer_norm(x))))
        return self.dense(self.layer_norm(x).mean(1))


def forward(torch, name, x, parameters, state=None, training=True):
    """Scores by PyTorch; parameters and state in the order of the network's own."""
    functions = Functions(torch, parameters, state, training)
    scores = getattr(functions, name)(x)
    assert next(functions.parameters, None) is None
    return scores


def margin(torch, windows):
    """How far, at least, the largest of each row of numbers is from 0 and from the next, relative to the largest of all."""
    largest, following = windows.max(1).values, windows.sort(1).values[:, -2:][:, 0]
    gap = largest.abs()
    if windows.shape[1] > 1:
        gap = torch.where(largest > 0, torch.minimum(gap, largest - following), gap)
    return float(gap.min() / windows.abs().max())


def undecided(torch, name, x, parameters):
    """Whether float64 finds a maximum or a sign that rounding could turn."""
    margins = [1.0]
    with torch.no_grad():
        getattr(Functions(torch, [p.double() for p in parameters], margins=margins), name)(torch.tensor(x).double())
    return min(margins) < NEAR[x.dtype.name]


def head_and_loss(torch, random, N):
    """A head with a random reduction, targets, and PyTorch's loss of its scores."""
    F = torch.nn.functional
    reduction = str(random.choice(["sum", "mean"]))
    if random.random() < 0.7:
        labels = random.integers(0, 10, N)
        loss = F.cross_entropy, torch.tensor(labels)
        head = isbe.Head("softmax", str(random.choice(isbe.ROUTES)), reduction)
    else:
        labels = (random.random((N, 10)) < 0.5).astype(float)
        loss = F.binary_cross_entropy_with_logits, torch.tensor(labels)
        head = isbe.Head("sigmoid", str(random.choice(["fused", "isbe"])), reduction)
    function, t = loss
    return head, labels, lambda x: function(x, t if t.ndim == 1 else t.to(x.dtype), reduction="sum") / (
        N if reduction == "mean" else 1)


def made(name, dtype):
    """A network for small images, without dropout."""
    net = isbe.networks.NETWORKS[name](dtype=dtype, **OPTIONS.get(name, {}))
    for node in net.nodes:
        if isinstance(node.layer, isbe.Dropout):
            node.layer.rate = 0.0
    return net


def taken_off(net):
    """Names of the biases that a batch norm takes off again: their gradient is 0 but for rounding, on either side."""
    return {f"{net.names[node.inputs[0]]}.bias" for node in net.nodes if isinstance(node.layer, isbe.BatchNorm)}


@pytest.mark.parametrize("name", isbe.networks.NETWORKS)
def test_networks_give_and_learn_what_pytorchs_do(name, dtype, torch):
    for random, same in peer.configurations(name, dtype):
        N = int(random.integers(1, 6))
        net = made(name, dtype)
        x = random.random((N, *net.nodes[0].shape)).astype(dtype)
        parameters = peer.copy_parameters(torch, net, random)
        state = [torch.tensor(array) for array in net.state().values()]
        head, targets, loss = head_and_loss(torch, random, N)
        ours, theirs = peer.optimizers(torch, random, parameters, rates=(-4, -2.5), epsilons=(0.1, 1))
        options = {"batch": x.shape, "head": head, "optimizer": ours}
        theirs_x = peer.tensor(torch, x)
        for step in range(1, 6):
            same.undecided = undecided(torch, name, x, parameters)
            if same.undecided:
                break
            theirs.zero_grad()
            theirs_x.grad = None
            scores = net.forward(x, training=True)
            their_scores = forward(torch, name, theirs_x, parameters, state)
            same(f"scores before step {step}", scores, their_scores, **options)
            loss(their_scores).backward()
            head.forward(scores)
            dx = net.backward(head.backward(targets), input_gradient=True)
            if step == 1:
                same("gradient by the input", dx, theirs_x.grad, **options)
                compare_gradients(same, net, parameters, options)
            ours.step(net)
            theirs.step()
            for parameter, its in zip(net.parameters(), parameters, strict=True):
                same(f"{parameter.name} after step {step}", parameter.value, its, **options)
        else:
            for (part, array), its in zip(net.state().items(), state, strict=True):
                same(f"{part} after training", array, its, **options)
            same("scores in evaluation", net.forward(x), forward(torch, name, theirs_x, parameters, state, False), **options)


def compare_gradients(same, net, parameters, options):
    """Gradients by all parameters; those that are 0 but for rounding, beside the largest by the weights before them."""
    nothing, weights = taken_off(net), 0.0
    for parameter, its in zip(net.parameters(), parameters, strict=True):
        if parameter.name in nothing:
            assert max(abs(parameter.grad).max(), float(its.grad.abs().max())) <= peer.BOUND[net.dtype.name] * weights
        else:
            same(f"gradient by {parameter.name}", parameter.grad, its.grad, **options)
            weights = abs(parameter.grad).max()
