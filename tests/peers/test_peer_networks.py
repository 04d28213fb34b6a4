"""Every network against PyTorch's functions with the same parameters: scores, all gradients, five steps of training.

A network of maxima has places without a gradient: where the two largest pixels of a window are nearer than rounding, or a
unit is that near 0, each side may send the error another way, and both are right. Among the 10,000 windows that n1 has for
each image, most draws of float32 meet one in five steps. Such draws are recognised in float64 and drawn again.
"""

import peer
import pytest

import isbe_np as isbe

pytestmark = pytest.mark.peers


# Maxima and zeros nearer than this, relative to the largest number of the layer, are left undecided.
NEAR = {"float32": 1e-6, "float64": 1e-14}


def forward(torch, name, x, p, margins=None):
    """Scores by torch.nn.functional, written after the papers and not after networks.py; p parameters in order.

    To `margins`, if it is a list, how clearly each layer's maxima and signs are decided is added.
    """
    F = torch.nn.functional
    weights = iter(p)

    def convolved(x, padding):
        y = F.conv2d(x, next(weights), next(weights), padding=padding)
        if margins is not None:
            margins.append(margin(torch, y.unfold(2, 2, 2).unfold(3, 2, 2).reshape(-1, 4)))
        return F.max_pool2d(F.relu(y), 2)

    if name == "n1":
        x = convolved(convolved(x, 2), 2)
    if name == "lenet5":
        x = convolved(convolved(x, 2), 0)
    x = x.flatten(1)
    hidden = 1 if name == "n1" else 2
    for _ in range(hidden):
        y = F.linear(x, next(weights), next(weights))
        if margins is not None:
            margins.append(margin(torch, y.reshape(-1, 1)))
        x = F.relu(y)
    return F.linear(x, next(weights), next(weights))


def margin(torch, windows):
    """How far, at least, the largest of each row of numbers is from 0 and from the next, relative to the largest of all."""
    largest, following = windows.max(1).values, windows.sort(1).values[:, -2:][:, 0]
    gap = largest.abs()
    if windows.shape[1] > 1:
        gap = torch.where(largest > 0, torch.minimum(gap, largest - following), gap)
    return float(gap.min() / windows.abs().max())


def undecided(torch, name, x, parameters):
    """Whether float64 finds a maximum or a sign that rounding could turn."""
    margins = []
    with torch.no_grad():
        forward(torch, name, torch.tensor(x).double(), [p.double() for p in parameters], margins)
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


@pytest.mark.parametrize("name", isbe.networks.NETWORKS)
def test_networks_give_and_learn_what_pytorchs_do(name, dtype, torch):
    for random, same in peer.configurations(name, dtype):
        N = int(random.integers(1, 6))
        net = isbe.networks.NETWORKS[name](dtype=dtype)
        x = random.random((N, 1, 28, 28)).astype(dtype)
        parameters = peer.copy_parameters(torch, net, random)
        head, targets, loss = head_and_loss(torch, random, N)
        ours, theirs = peer.optimizers(torch, random, parameters, rates=(-4, -2.5), epsilons=(0.1, 1))
        options = {"batch": N, "head": head, "optimizer": ours}
        theirs_x = peer.tensor(torch, x)
        for step in range(1, 6):
            same.undecided = undecided(torch, name, x, parameters)
            if same.undecided:
                break
            theirs.zero_grad()
            theirs_x.grad = None
            scores = net.forward(x)
            their_scores = forward(torch, name, theirs_x, parameters)
            same(f"scores before step {step}", scores, their_scores, **options)
            loss(their_scores).backward()
            head.forward(scores)
            dx = net.backward(head.backward(targets), input_gradient=True)
            if step == 1:
                same("gradient by the input", dx, theirs_x.grad, **options)
                for parameter, its in zip(net.parameters(), parameters, strict=True):
                    same(f"gradient by {parameter.name}", parameter.grad, its.grad, **options)
            ours.step(net)
            theirs.step()
            for parameter, its in zip(net.parameters(), parameters, strict=True):
                same(f"{parameter.name} after step {step}", parameter.value, its, **options)
