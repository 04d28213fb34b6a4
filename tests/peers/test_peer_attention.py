"""What a transformer is made of, and a small one whole, against PyTorch: outputs, gradients, five steps of an optimizer."""

import numpy as np
import peer
import pytest
from test_peer_layers import compare, compare_steps, whole

import isbe_np as isbe
from isbe_np.layers.attention import MultiHeadSelfAttention
from isbe_np.layers.embedding import Embedding, PositionEmbedding
from isbe_np.layers.tokens import MeanTokens, Patches

pytestmark = [pytest.mark.peers, pytest.mark.usefixtures("kernels")]


def attend(torch, x, heads, causal, w, b, w_out, b_out):
    """PyTorch's own attention, between two of its linear maps."""
    F, (N, T, D) = torch.nn.functional, x.shape
    q, k, v = F.linear(x, w, b).reshape(N, T, 3, heads, D // heads).permute(2, 0, 3, 1, 4)
    o = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    return F.linear(o.transpose(1, 2).reshape(N, T, D), w_out, b_out)


def drawn(random, least=2):
    """N, T, D and heads."""
    heads, causal = whole(random, 1, 4), bool(random.random() < 0.5)
    return whole(random, 1, 5), whole(random, least, 40), heads * whole(random, 1, 9), heads, causal


def test_attention(dtype, torch):
    for random, same in peer.configurations("MultiHeadSelfAttention", dtype):
        N, T, D, heads, causal = drawn(random)
        net = isbe.Sequential((T, D), MultiHeadSelfAttention(heads, causal), dtype=dtype)
        x = peer.numbers(random, (N, T, D), dtype)

        def function(x, *parameters, heads=heads, causal=causal):
            return attend(torch, x, heads, causal, *parameters)
        compare(torch, same, net, function, x, random)
        compare_steps(torch, same, net, function, x, random)


def test_attention_is_that_of_pytorchs_module(dtype, torch):
    """The same order of q, k, v and of heads as `torch.nn.MultiheadAttention`, whose weights can be copied as they are."""
    random = np.random.default_rng(3)
    module = torch.nn.MultiheadAttention(8, 2, batch_first=True, dtype=getattr(torch, dtype.name))
    net = isbe.Sequential((5, 8), MultiHeadSelfAttention(2), dtype=dtype)
    theirs = (module.in_proj_weight, module.in_proj_bias, module.out_proj.weight, module.out_proj.bias)
    for ours, its in zip(net.parameters(), theirs, strict=True):
        ours.value[...] = its.detach().numpy()
    x = random.normal(size=(3, 5, 8)).astype(dtype)
    wanted, weights = module(*3 * [torch.tensor(x)], average_attn_weights=False)
    np.testing.assert_allclose(net.forward(x), wanted.detach().numpy(), atol=peer.BOUND[dtype.name])
    step = next(step for layer, step, _, _ in net._plan(3).steps if hasattr(step.work, "weights"))
    np.testing.assert_allclose(step.work.weights, weights.detach().numpy(), atol=peer.BOUND[dtype.name])


def test_dense_of_tokens(dtype, torch):
    for random, same in peer.configurations("Dense of tokens", dtype):
        N, T, D, _, _ = drawn(random)
        net = isbe.Sequential((T, D), isbe.Dense(whole(random, 1, 21)), dtype=dtype)
        function, x = torch.nn.functional.linear, peer.numbers(random, (N, T, D), dtype)
        compare(torch, same, net, function, x, random)
        compare_steps(torch, same, net, function, x, random)


def test_patches_and_their_mean(dtype, torch):
    F = torch.nn.functional
    for random, same in peer.configurations("Patches", dtype):
        size, shape = whole(random, 1, 4), [whole(random, 1, 3) for _ in range(3)]
        net = isbe.Sequential((shape[0], size * shape[1], size * shape[2]), Patches(size), dtype=dtype)
        x = peer.numbers(random, (whole(random, 1, 5), *net.nodes[0].shape), dtype)
        compare(torch, same, net, lambda x, k=size: F.unfold(x, k, stride=k).transpose(1, 2), x, random)
    for random, same in peer.configurations("MeanTokens", dtype):
        N, T, D, _, _ = drawn(random)
        net = isbe.Sequential((T, D), MeanTokens(), dtype=dtype)
        compare(torch, same, net, lambda x: x.mean(1), peer.numbers(random, (N, T, D), dtype), random)


def compare_tokens(torch, same, net, function, tokens, random):
    """`compare` for a network of tokens, which have no gradient: output, all parameters' gradients, five steps."""
    parameters, dtype = peer.copy_parameters(torch, net, random), net.dtype
    x, options = tokens.astype(dtype), {"tokens": tokens.shape}
    theirs = function(torch.tensor(tokens), *parameters)
    same("output", net.forward(x), theirs, **options)
    error = peer.numbers(random, theirs.shape, dtype)
    theirs.backward(torch.tensor(error))
    net.backward(error)
    for ours, its in zip(net.parameters(), parameters, strict=True):
        same(f"gradient by {ours.name}", ours.grad, its.grad, **options)
    optimizer, its_optimizer = peer.optimizers(torch, random, parameters, epsilons=(0.1, 1))
    for step in range(1, 6):
        net.backward((net.forward(x) - error) / dtype.type(error.size))
        optimizer.step(net)
        its_optimizer.zero_grad()
        ((function(torch.tensor(tokens), *parameters) - torch.tensor(error)) ** 2).sum().div(2 * error.size).backward()
        its_optimizer.step()
        for ours, its in zip(net.parameters(), parameters, strict=True):
            same(f"{ours.name} after step {step}", ours.value, its, optimizer=optimizer, **options)


def test_embedding_of_tokens_and_positions(dtype, torch):
    F = torch.nn.functional
    for random, same in peer.configurations("Embedding", dtype):
        N, T, D, _, _ = drawn(random)
        V = whole(random, 1, 12)
        net = isbe.Sequential((T,), Embedding(V, D), PositionEmbedding(), dtype=dtype)
        compare_tokens(torch, same, net, lambda t, w, p: F.embedding(t, w) + p, random.integers(0, V, (N, T)), random)


def block(x, D, heads, causal):
    """x + attention(x), then x + dense(gelu(dense(x)))."""
    x = isbe.Add()(x, MultiHeadSelfAttention(heads, causal)(x))
    return isbe.Add()(x, isbe.Dense(D)(isbe.GELU()(isbe.Dense(2 * D)(x))))


def their_block(torch, x, heads, causal, parameters):
    F = torch.nn.functional
    x = x + attend(torch, x, heads, causal, *parameters[:4])
    return x + F.linear(F.gelu(F.linear(x, *parameters[4:6])), *parameters[6:8])


def test_a_patch_transformer(dtype, torch):
    F = torch.nn.functional
    for random, same in peer.configurations("patch transformer", dtype):
        N, _, D, heads, _ = drawn(random)
        image = isbe.Input((2, 6, 9))
        x = PositionEmbedding()(isbe.Dense(D)(Patches(3)(image)))
        net = isbe.Graph(image, isbe.Dense(5)(MeanTokens()(block(x, D, heads, False))), dtype=dtype)

        def function(x, w, b, p, *parameters, heads=heads):
            x = F.linear(F.unfold(x, 3, stride=3).transpose(1, 2), w, b) + p
            return F.linear(their_block(torch, x, heads, False, parameters).mean(1), *parameters[8:])
        x = peer.numbers(random, (N, 2, 6, 9), dtype)
        compare(torch, same, net, function, x, random)
        compare_steps(torch, same, net, function, x, random)


def test_a_causal_model_of_characters(dtype, torch):
    """Its scores are (N, T, V)."""
    F = torch.nn.functional
    for random, same in peer.configurations("causal model", dtype):
        N, T, D, heads, _ = drawn(random)
        first = isbe.Input((T,))
        x = block(PositionEmbedding()(Embedding(7, D)(first)), D, heads, True)
        net = isbe.Graph(first, isbe.Dense(7)(x), dtype=dtype)

        def function(tokens, w, p, *parameters, heads=heads):
            return F.linear(their_block(torch, F.embedding(tokens, w) + p, heads, True, parameters), *parameters[8:])
        compare_tokens(torch, same, net, function, random.integers(0, 7, (N, T)), random)
