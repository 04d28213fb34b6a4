"""The plain functions `isbe_np.softmax`, `cross_entropy` and `isbe_error`, held to the formulas."""

import doctest
import importlib
from pathlib import Path

import naive_heads as naive
import numpy as np
import pytest

import isbe_np as isbe

ROOT = Path(isbe.__file__).parent
# Modules with an example in a docstring.
EXAMPLES = sorted(".".join(path.relative_to(ROOT.parent).with_suffix("").parts) for path in ROOT.rglob("*.py")
                  if ">>> " in path.read_text(encoding="utf-8"))


def test_they_are_the_formulas(dtype):
    x, labels = naive.scores(5, 4, dtype), naive.labels(5, 4)
    t, y = np.eye(4)[labels], naive.softmax(x.astype(np.float64))
    wanted = {"soft": y, "each": -np.log(y[np.arange(5), labels]), "error": y - t}
    found = {"soft": isbe.softmax(x), "each": isbe.cross_entropy(x, labels, "none"), "error": isbe.isbe_error(x, labels)}
    assert found["soft"].dtype == found["error"].dtype == dtype
    for name, array in found.items():
        np.testing.assert_allclose(array, wanted[name], rtol=0, atol=1e-6 if dtype == np.float32 else 1e-14)
    assert isbe.cross_entropy(x, t) == pytest.approx(wanted["each"].mean(), abs=1e-6)
    np.testing.assert_allclose(isbe.isbe_error(x, t, "mean") * 5, found["error"], rtol=0, atol=1e-6)


def test_the_error_is_the_losss_gradient():
    x, labels, step = naive.scores(3, 4), naive.labels(3, 4), 1e-6
    for n, j in ((0, 0), (1, 2), (2, 3)):
        up, down = x.copy(), x.copy()
        up[n, j] += step
        down[n, j] -= step
        slope = (isbe.cross_entropy(up, labels) - isbe.cross_entropy(down, labels)) / (2 * step)
        assert slope == pytest.approx(isbe.isbe_error(x, labels, "mean")[n, j], abs=1e-9)


@pytest.mark.parametrize("call, words", [
    (lambda: isbe.softmax([1.0, 2.0]), r"shape \(N, C\).*got \(2,\). For a single example, pass scores\[None\]"),
    (lambda: isbe.isbe_error([[1.0, 2.0]], [2]), "labels from 0 to 1"),
    (lambda: isbe.cross_entropy([[1.0, 2.0]], [0, 1]), r"\(1,\) labels"),
    (lambda: isbe.cross_entropy([[1.0, 2.0]], [0], "average"), "reduction"),
])
def test_bad_input_gets_a_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_in_docstrings_run(module):
    found = doctest.testmod(importlib.import_module(module), extraglobs={"np": np, "isbe": isbe})
    assert found.attempted and not found.failed
