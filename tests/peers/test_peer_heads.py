"""Every normalizer, loss, route and reduction against PyTorch's losses, or its autograd where it has no such loss."""

import numpy as np
import peer
import pytest

import isbe_np as isbe

pytestmark = pytest.mark.peers


def softplus(torch, x):
    return x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))


def potential(torch, name, x):
    """Φ of each number, as the book has it: its gradient is the normalizer."""
    if name == "tanh":
        return softplus(torch, 2 * x) - x - np.log(2)
    if name == "hardsigmoid":
        return torch.where(x < -3, 0 * x, torch.where(x > 3, x, (x + 3) ** 2 / 12))
    return torch.where(x.abs() < 1, x ** 2 / 2, x.abs() - 0.5)


def conjugate(torch, name, t):
    """Φ* of each target: what makes the least loss 0."""
    if name == "tanh":
        return (torch.xlogy(1 + t, 1 + t) + torch.xlogy(1 - t, 1 - t)) / 2
    return 3 * t ** 2 - 3 * t if name == "hardsigmoid" else t ** 2 / 2


def draw_scores(random, dtype, least=2):
    """Scores of N rows, N and C at least 1 and N·C at least 4, so that no array compared is one number near 0."""
    N, C = int(random.integers(1, 10)), int(random.integers(least, 24))
    return (random.uniform(0.3, 3) * random.normal(size=(max(N, -(-4 // C)), C))).astype(dtype)


def signs(random, x, low):
    """Targets of every score for itself: two values, or any between."""
    hot = np.where(random.random(x.shape) < 0.5, 1, low)
    return (hot if random.random() < 0.5 else random.uniform(low, 1, x.shape)).astype(x.dtype)


def rows_of(random, x):
    """Soft targets whose rows sum to 1."""
    drawn = random.dirichlet(np.ones(x.shape[1]), len(x))
    return drawn.astype(x.dtype)


def reduced(loss, reduction, N):
    """Losses (N,) as one number to differentiate; "none" and "sum" send the same error."""
    return loss.sum() / (N if reduction == "mean" else 1)


def compare(torch, same, head, x, targets, losses, soft, factor=1, error_factor=1):
    """Soft scores, errors of all routes that the head can take, and losses, for all reductions.

    losses and soft are PyTorch's, functions of its scores; losses returns (N,). Route "isbe" sends the gradient divided by
    `error_factor`, or is not that gradient at all where it is None.
    """
    same("soft scores", head.forward(x), soft(torch.tensor(x)), scores=x.shape)
    # PyTorch's losses in float32 lose the digits of small ones: ours, which do not, are compared with its losses of float64.
    exact = losses(torch.tensor(x, dtype=torch.float64))
    for head.reduction in isbe.REDUCTIONS:
        scores = peer.tensor(torch, x)
        reduced(losses(scores), head.reduction, len(x)).backward()
        wanted = scores.grad.numpy()
        for route in routes(head):
            if route == "isbe" and error_factor is None:
                continue
            head.route = route
            scale = error_factor if route == "isbe" else 1
            same(f"error by {route}", head.backward(targets) * np.asarray(scale, x.dtype), wanted, scores=x.shape,
                 reduction=head.reduction)
        value = exact if head.reduction == "none" else reduced(exact, head.reduction, len(x))
        same("loss", head.loss(targets), value, scores=x.shape, reduction=head.reduction)


def routes(head):
    """The routes that the head does not refuse."""
    kept = head.route
    for route in isbe.ROUTES:
        try:
            head.route = route
        except ValueError:
            continue
        yield route
    head.route = kept


def against(torch, targets, loss):
    """PyTorch's loss of scores and `targets` (N, C), summed over the classes, in the dtype of the scores."""
    t = torch.tensor(targets)
    return lambda x: loss(x, t.to(x.dtype)).sum(1)


def cross_entropy(torch, targets, **options):
    """PyTorch's cross-entropy (N,) of labels, or of targets (N, C) in the dtype of the scores."""
    given = torch.tensor(targets)
    return lambda x: torch.nn.functional.cross_entropy(
        x, given.to(x.dtype) if given.ndim == 2 else given, reduction="none", **options)


def softmax(torch):
    return lambda x: torch.softmax(x, dim=1)


def test_softmax_with_labels(dtype, torch):
    for random, same in peer.configurations("softmax, labels", dtype):
        x = draw_scores(random, dtype)
        labels = random.integers(0, x.shape[1], len(x))
        compare(torch, same, isbe.Head("softmax"), x, labels, cross_entropy(torch, labels), softmax(torch))


def test_softmax_with_soft_targets(dtype, torch):
    for random, same in peer.configurations("softmax, soft targets", dtype):
        x = draw_scores(random, dtype)
        t = rows_of(random, x)
        compare(torch, same, isbe.Head("softmax"), x, t, cross_entropy(torch, t), softmax(torch))


def test_softmax_with_label_smoothing(dtype, torch):
    for random, same in peer.configurations("softmax, label smoothing", dtype):
        x, share = draw_scores(random, dtype), random.uniform(0, 0.5)
        labels = random.integers(0, x.shape[1], len(x))
        t = (1 - share) * np.eye(x.shape[1])[labels] + share / x.shape[1]
        losses = cross_entropy(torch, labels, label_smoothing=share)
        compare(torch, same, isbe.Head("softmax"), x, t.astype(dtype), losses, softmax(torch))


def test_softmax_with_targets_that_do_not_sum_to_one(dtype, torch):
    """Routes 1 to 3 are PyTorch's gradient; isbe is not."""
    for random, same in peer.configurations("softmax, unnormalised targets", dtype):
        x = draw_scores(random, dtype)
        t = random.uniform(0, 2, x.shape).astype(dtype)
        compare(torch, same, isbe.Head("softmax"), x, t, cross_entropy(torch, t), softmax(torch), error_factor=None)


def test_softmax_with_dilation_and_relocation(dtype, torch):
    for random, same in peer.configurations("softmax, dilation and relocation", dtype):
        x = draw_scores(random, dtype)
        k, b = random.uniform(0.3, 2, x.shape[1]), random.normal(size=x.shape[1])
        k, b = (k if random.random() < 0.5 else k[:1]).astype(dtype), b.astype(dtype)
        labels = random.integers(0, x.shape[1], len(x))

        def shifted(scores, k=k, b=b):
            return torch.tensor(k).to(scores.dtype) * scores + torch.tensor(b).to(scores.dtype)
        losses = cross_entropy(torch, labels)
        compare(torch, same, isbe.Head("softmax", dilation=k if k.size > 1 else k[0], relocation=b), x, labels,
                lambda s, f=shifted, g=losses: g(f(s)), lambda s, f=shifted: torch.softmax(f(s), 1), error_factor=k)


def test_sigmoid_with_binary_cross_entropy(dtype, torch):
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    for random, same in peer.configurations("sigmoid", dtype):
        x = draw_scores(random, dtype, least=1)
        t = signs(random, x, 0)
        losses = against(torch, t, lambda s, t: bce(s, t, reduction="none"))
        compare(torch, same, isbe.Head("sigmoid"), x, t, losses, torch.sigmoid)


def test_identity_with_squared_error(dtype, torch):
    """Half of PyTorch's mse_loss, and divided by N where that divides by N·C."""
    mse = torch.nn.functional.mse_loss
    for random, same in peer.configurations("identity", dtype):
        x = draw_scores(random, dtype, least=1)
        t = random.normal(size=x.shape).astype(dtype)
        losses = against(torch, t, lambda s, t: mse(s, t, reduction="none") / 2)
        compare(torch, same, isbe.Head("identity"), x, t, losses, lambda s: s)
        head, scores = isbe.Head("identity"), peer.tensor(torch, x)
        mse(scores, torch.tensor(t)).backward()
        head.forward(x)
        same("error, times 2 / C", head.backward(t) * dtype.type(2 / x.shape[1]), scores.grad, scores=x.shape)


@pytest.mark.parametrize("name, low", [("tanh", -1), ("hardsigmoid", 0), ("hardtanh", -1)])
def test_matching_losses_by_autograd(name, low, dtype, torch):
    normalizer = torch.tanh if name == "tanh" else getattr(torch.nn.functional, name)
    for random, same in peer.configurations(name, dtype):
        x = draw_scores(random, dtype, least=1)
        t = signs(random, x, low) if name != "tanh" else 0.99 * signs(random, x, low)
        losses = against(torch, t, lambda s, t: potential(torch, name, s) - t * s + conjugate(torch, name, t))
        compare(torch, same, isbe.Head(name), x, t, losses, normalizer)


def test_squared_error_of_every_normalizer_by_autograd(dtype, torch):
    soft = {"softmax": softmax(torch), "sigmoid": torch.sigmoid, "tanh": torch.tanh,
            "hardsigmoid": lambda s: (s + 3).clip(0, 6) / 6, "hardtanh": torch.nn.functional.hardtanh, "identity": lambda s: s}
    for random, same in peer.configurations("squared error", dtype):
        name = str(random.choice(list(soft)))
        x = draw_scores(random, dtype)
        t = signs(random, x, 0)
        losses = against(torch, t, lambda s, t, f=soft[name]: (f(s) - t) ** 2 / 2)
        compare(torch, same, isbe.Head(name, "factored", loss="squared"), x, t, losses, soft[name],
                error_factor=1 if name == "identity" else None)
