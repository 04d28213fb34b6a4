"""What the README promises, run."""

import re
from pathlib import Path

import numba
import pytest

import isbe_np as isbe

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="trains lenet5 on 10,000 images, which takes hours in plain Python")
def test_the_sample_does_what_it_says(capsys, monkeypatch):
    sample = re.search(r"```python\n(.*?)```", README, re.S).group(1)
    names = {}
    exec(sample, names)
    assert float(capsys.readouterr().out) < 1e-7
    assert names["history"].accuracy[-1] > 0.9


def test_every_place_it_names_is_there():
    root = Path(__file__).parent.parent
    places = re.findall(r"`((?:isbe_np|tests|tutorials|scripts)/[\w/]*(?:\.py)?)`", README)
    places += re.findall(r"\]\((\w[\w/]*\.png)\)", README)
    assert len(places) >= 8 and not [place for place in places if not (root / place).exists()]


def test_every_route_is_explained():
    assert all(f"| `{route}` |" in README for route in isbe.ROUTES)
