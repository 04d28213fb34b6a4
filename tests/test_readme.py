"""What the README promises, run."""

import inspect
import itertools
import re
from pathlib import Path

import numba
import numpy as np
import pytest
import tiny

import isbe_np as isbe
from isbe_np.heads import routes
from isbe_np.studies.compare import compare

PACKAGE = Path(isbe.__file__).parent
README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="trains lenet5 on 10,000 images, which takes hours in plain Python")
def test_the_sample_does_what_it_says(capsys, monkeypatch):
    sample = re.search(r"```python\n(.*?)```", README, re.S).group(1)
    names = {}
    exec(sample, names)
    assert float(capsys.readouterr().out) < 1e-7
    assert names["history"].accuracy[-1] > 0.9
    error = re.search(r"error = head.backward.*# (\(softmax - target\) / 5)", README)[1]
    values = {"softmax": names["soft"], "target": np.eye(10)[names["data"].y_test[:5]]}
    np.testing.assert_allclose(names["error"], eval(error, values), atol=1e-7)


def test_the_way_from_compare_to_the_difference_is_the_one_taken(monkeypatch):
    told = re.search(r"From `isbe compare` to the line.*?`(\w+)`\.", README, re.S)
    files, kernel, taken = re.findall(r"`(\w+/\w+\.py)`", told[0]), told[1], []
    subtract = getattr(routes.kernels, kernel)

    def noting(*given):
        taken.append([Path(frame.filename).relative_to(PACKAGE).as_posix() for frame in reversed(inspect.stack()[1:])
                      if PACKAGE in Path(frame.filename).parents])
        return subtract(*given)

    monkeypatch.setattr(routes.kernels, kernel, noting)
    tiny.study(monkeypatch)
    compare(tiny.dataset(), "tiny", epochs=1, batch_size=6, rounds=2, progress=False)
    way = [name for name, _ in itertools.groupby(taken[0])]
    code = inspect.unwrap(subtract).__code__
    assert way == files[:-1] and code.co_filename.endswith(files[-1]) and len(files) <= 4
    assert "e[n, j] = y[n, j] - t[n, j]" in inspect.getsource(code)


def test_every_place_it_names_is_there():
    root = Path(__file__).parent.parent
    places = re.findall(r"`((?:isbe_np|tests|tutorials|scripts)/[\w/]*(?:\.py)?)`", README)
    places += re.findall(r"\]\((\w[\w/]*\.png)\)", README)
    assert len(places) >= 8 and not [place for place in places if not (root / place).exists()]


def test_every_route_is_explained():
    assert all(f"| `{route}` |" in README for route in isbe.ROUTES)
