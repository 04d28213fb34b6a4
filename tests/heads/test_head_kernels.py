"""The switch of a head between plain and fast kernels: what it changes, what it leaves, and how nearly both agree."""

import ast
import copy
import pickle
from pathlib import Path

import naive_heads as naive
import numba
import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.engine import softmax as engine
from isbe_np.heads import NORMALIZERS, REDUCTIONS, ROUTES, Head
from isbe_np.kernels import softmax as plain

needs_both = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="without the compiler there are only plain kernels")
BOUND = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 5e-6}


def counted(monkeypatch):
    """Names of the softmax kernels that run, plain and fast ones."""
    ran = []
    for module, kind in ((plain, "plain"), (engine, "fast")):
        for name in ("softmax", "fused_error", "softmax_isbe_error", "isbe_error"):
            if kernel := getattr(module, name, None):
                monkeypatch.setattr(module, name, lambda *given, k=kernel, n=f"{kind} {name}": (ran.append(n), k(*given))[1])
    return ran


@needs_both
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", naive.kinds_of_targets(40, 30))
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_both_agree_on_everything_a_head_computes(route, kind, reduction, dtype):
    x, t = naive.scores(40, 30, dtype), naive.kinds_of_targets(40, 30)[kind]
    found = {}
    for kernels in isbe.KERNELS:
        head = Head(route=route, reduction=reduction, kernels=kernels)
        assert head.kernels == kernels
        found[kernels] = [head.forward(x), head.backward(t), head.error(x, t), np.array(head.loss(t)), head.soft]
    for one, other in zip(found["plain"], found["fast"], strict=True):
        assert one.dtype == other.dtype and naive.difference(one, other) <= BOUND[dtype]


@needs_both
def test_each_set_runs_its_own_kernels_between_any_two_calls(monkeypatch):
    ran, head, x, t = counted(monkeypatch), Head(), naive.scores(), naive.labels()
    calls = {"forward": lambda: head.forward(x), "backward": lambda: head.backward(t), "error": lambda: head.error(x, t)}
    wanted = {("forward", "isbe"): {"plain": ["plain softmax"], "fast": ["fast softmax"]},
              ("backward", "isbe"): {"plain": ["plain isbe_error"], "fast": ["plain isbe_error"]},
              ("backward", "fused"): {"plain": ["plain fused_error"], "fast": ["fast fused_error"]},
              ("error", "isbe"): {"plain": ["plain softmax", "plain isbe_error"], "fast": ["fast softmax_isbe_error"]}}
    for kernels in ("plain", "fast", "plain"):
        for (call, head.route), names in wanted.items():
            head.kernels = kernels
            ran.clear()
            calls[call]()
            assert ran == names[kernels]


@needs_both
def test_forward_by_one_set_and_backward_by_the_other():
    for first, second in (isbe.KERNELS, isbe.KERNELS[::-1]):
        head = Head(kernels=first, reduction="none")
        y = head.forward(naive.scores())
        head.kernels = second
        for head.route in ROUTES:
            np.testing.assert_allclose(head.backward(naive.labels()), y - np.eye(4)[naive.labels()], rtol=0, atol=1e-15)


@pytest.mark.parametrize("normalizer", NORMALIZERS[1:])
def test_other_normalizers_have_only_plain_kernels(normalizer):
    found = [Head(normalizer, kernels=kernels).error(naive.scores(), naive.labels()) for kernels in isbe.KERNELS]
    assert np.array_equal(*found)


@needs_both
def test_copies_and_pickles_keep_the_kernels_and_older_pickles_are_fast():
    head = Head("softmax", route="fused", kernels="plain")
    head.forward(naive.scores())
    for again in (copy.deepcopy(head), copy.copy(head), pickle.loads(pickle.dumps(head))):
        assert again.kernels == "plain" and again.route == "fused" and repr(again) == repr(head)
        assert np.array_equal(again.backward(naive.labels()), head.backward(naive.labels()))
    older = Head.__new__(Head)
    older.__setstate__({name: value for name, value in vars(head).items() if name != "_kernels"})
    assert older.kernels == "fast"


@pytest.mark.parametrize("given", ["quick", None, 1])
def test_another_name_is_refused_and_changes_nothing(given):
    head = Head()
    before = head.kernels
    with pytest.raises((ValueError, TypeError), match="Head: kernels"):
        head.kernels = given
    assert head.kernels == before


def test_without_the_compiler_all_is_plain(monkeypatch):
    monkeypatch.setattr("isbe_np.switch.SETTINGS.DISABLE_JIT", 1)
    head = pickle.loads(pickle.dumps(Head(kernels="fast")))
    assert head.kernels == "plain"


def test_of_the_engine_the_heads_import_softmax_alone():
    imported = set()
    for path in (Path(isbe.__file__).parent / "heads").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [f"{node.module}.{alias.name}" for alias in node.names] if isinstance(node, ast.ImportFrom) else [
                alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported |= {(path.name, name) for name in names if name.startswith("isbe_np.engine")}
    assert imported == {("head.py", "isbe_np.engine.softmax"), ("normalizers.py", "isbe_np.engine.softmax")}
