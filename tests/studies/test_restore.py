"""A result comes back from JSON as it was, with its types."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field

import pytest

from isbe_np.studies.from_json import restore


@dataclass
class Part:
    value: float
    ends: tuple[float, float] = (0.0, 0.0)
    many: tuple[int, ...] = ()


@dataclass
class Whole:
    name: str
    parts: list[Part]
    by_size: dict[int, Part]
    best: Part | None
    curves: list[list[float | None]] = field(default_factory=list)


def test_parts_names_and_numbers_come_back():
    whole = Whole("a", [Part(1.5, (1.0, 2.0), (1, 2, 3))], {10: Part(math.inf), 7: Part(2.0)}, None, [[0.5, None], []])
    told = json.loads(json.dumps(asdict(whole)))
    assert "10" in told["by_size"] and restore(Whole, told) == whole
    assert restore(Whole, told | {"parts": [], "best": told["parts"][0], "follows": 3}).best == whole.parts[0]


def test_what_is_not_finite_comes_back_from_text():
    told = {"value": "inf", "ends": ["-inf", "nan"]}
    part = restore(Part, told)
    assert part.value == math.inf and part.ends[0] == -math.inf and math.isnan(part.ends[1])


def test_what_is_missing_is_told():
    with pytest.raises(ValueError, match=r"Part cannot be made of what is stored: .*'value'.* another version"):
        restore(Part, {"ends": [1, 2]})
    with pytest.raises(ValueError, match=r"Part expects an object with its parts by name; got list"):
        restore(Whole, {"name": "a", "parts": [[1]], "by_size": {}, "best": None})
