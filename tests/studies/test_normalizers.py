"""Every cell by name, every property, and normalizers of one's own: right ones, wrong ones, incomplete ones."""

import json

import numpy as np
import pytest

import isbe_np as isbe
from isbe_np import cli
from isbe_np.reports import summary
from isbe_np.studies.normalizers import SLACK, normalizers

EQUAL, DIFFERENT, REFUSED = "equal", "different", "refused"
# matching, cross_entropy, binary_cross_entropy, squared
TABLE = {
    "softmax": (EQUAL, EQUAL, DIFFERENT, DIFFERENT),
    "sigmoid": (EQUAL, DIFFERENT, EQUAL, DIFFERENT),
    "tanh": (EQUAL, REFUSED, REFUSED, DIFFERENT),
    "hardsigmoid": (EQUAL, REFUSED, REFUSED, DIFFERENT),
    "hardtanh": (EQUAL, REFUSED, REFUSED, DIFFERENT),
    "identity": (EQUAL, REFUSED, REFUSED, EQUAL),
    "sparsemax": (EQUAL, REFUSED, REFUSED, DIFFERENT),
    "entmax15": (EQUAL, REFUSED, REFUSED, DIFFERENT),
}
FLAT = ("hardsigmoid", "hardtanh", "sparsemax", "entmax15")


class Softplus(isbe.Normalizer):
    """log(1 + e^x) / Σ: onto the simplex, but the gradient of nothing."""

    name = "softplus"

    def forward(self, scores):
        s = np.logaddexp(0, scores)
        return s / s.sum(axis=1, keepdims=True)


class Cube(isbe.Normalizer):
    """No name; a potential that is wrong by a factor."""

    positive = False

    def forward(self, scores):
        return scores**3

    def potential(self, scores):
        return (scores**4 / 5).sum(axis=1)


class Turning:
    """No base class: it turns pairs of scores by a right angle, and gives up far out."""

    positive = False

    def forward(self, scores):
        turned = np.empty_like(scores)
        turned[:, 0::2], turned[:, 1::2] = -scores[:, 1::2], scores[:, 0::2]
        return np.where(np.abs(scores) > 1000, np.nan, turned)


@pytest.fixture(scope="module")
def found():
    return normalizers(extra=[Softplus(), Cube(), Turning()])


def close(row, other):
    """The same but for rounding, which in linear algebra depends on where an array lies in memory."""
    return all(other[key] == (pytest.approx(value, rel=1e-6, abs=1e-9) if isinstance(value, float) else value)
               for key, value in row.items())


def rows(result):
    return [*result["cells"], *result["properties"]]


def properties(found, name):
    return next(p for p in found.properties if p.normalizer == name)


@pytest.mark.parametrize(("normalizer", "loss", "verdict"), [
    (name, loss, verdict) for name, row in TABLE.items() for loss, verdict in zip(isbe.LOSSES, row, strict=True)])
def test_every_cell(found, normalizer, loss, verdict):
    cell = found.cell(normalizer, loss)
    assert cell.verdict == verdict
    if verdict == REFUSED:
        assert cell.sentence.startswith(f"Head: loss {loss!r} takes the logarithm") and repr(normalizer) in cell.sentence
        assert cell.difference is cell.size is None and cell.by == ""
        return
    by_differences = loss == "matching" and normalizer in FLAT
    assert cell.by == ("differences" if by_differences else "chain rule")
    assert ("flat zone" in cell.sentence) == by_differences == bool(cell.sentence)
    if verdict == EQUAL:
        assert cell.difference <= (1e-8 if by_differences else 1e-15) and cell.size == pytest.approx(1, abs=1e-8)
    else:
        assert cell.difference > 0.5


def test_by_how_much_cells_differ(found):
    """The same numbers by the formulas: squared error's gradient is Jᵀ(y − t)."""
    random = np.random.default_rng(0)
    scores, labels = 3 * random.normal(size=(64, 10)), random.integers(0, 10, 64)
    error = 1 / (1 + np.exp(-scores)) - np.eye(10)[labels]
    for loss, factor in (("squared", np.exp(-scores) / (1 + np.exp(-scores)) ** 2), ("cross_entropy", None)):
        gradient = error * factor if factor is not None else np.where(np.eye(10)[labels] == 1, error, 0)
        cell = found.cell("sigmoid", loss)
        assert cell.difference == pytest.approx(np.abs(gradient - error).max() / np.abs(error).max(), rel=1e-9)
        assert cell.size == pytest.approx(np.linalg.norm(gradient) / np.linalg.norm(error), rel=1e-9)


def test_there_is_a_cell_for_every_pair_and_properties_for_every_normalizer(found):
    names = [*isbe.NORMALIZERS, "softplus", "Cube", "Turning"]
    assert [(c.normalizer, c.loss) for c in found.cells] == [(n, loss) for n in names for loss in isbe.LOSSES]
    assert [p.normalizer for p in found.properties] == names and set(TABLE) == set(isbe.NORMALIZERS)
    with pytest.raises(KeyError):
        found.cell("softmax", "hinge")


@pytest.mark.parametrize("normalizer", isbe.NORMALIZERS)
def test_every_normalizer_is_monotone_and_the_gradient_of_a_convex_function(found, normalizer):
    p = properties(found, normalizer)
    assert p.monotone and p.gradient_of_convex and p.symmetry < 1e-9 and p.smallest > -1e-9
    assert p.bounded == p.suits == (normalizer != "identity")
    assert p.lipschitz == pytest.approx(p.table, rel=1e-9)
    if p.bounded:
        assert p.low == (-1 if "tanh" in normalizer else 0) and p.high == 1


def test_a_map_to_the_simplex_that_is_the_gradient_of_nothing(found):
    p = properties(found, "softplus")
    assert p.bounded and p.symmetry > 1e3 * SLACK and not p.gradient_of_convex and not p.suits and p.table is None
    assert found.cell("softplus", "cross_entropy").verdict == DIFFERENT
    assert found.cell("softplus", "cross_entropy").by == "differences"
    assert "needs a method jacobian" in found.cell("softplus", "cross_entropy").sentence
    assert found.cell("softplus", "matching").verdict == REFUSED
    assert "needs a potential" in found.cell("softplus", "matching").sentence


def test_a_wrong_potential_is_found(found):
    cell = found.cell("Cube", "matching")
    assert cell.verdict == DIFFERENT and cell.by == "differences" and cell.difference == pytest.approx(0.2, abs=0.01)
    assert not properties(found, "Cube").bounded and properties(found, "Cube").monotone


def test_a_map_that_turns_and_has_no_soft_scores_far_out(found):
    p = properties(found, "Turning")
    assert p.symmetry == pytest.approx(2) and p.lipschitz == pytest.approx(1) and np.isfinite([p.low, p.high]).all()
    assert not p.bounded and not p.suits


def test_names_that_are_taken_are_numbered():
    class Other(isbe.Normalizer):
        name = "softmax"

        def forward(self, scores):
            return isbe.Head().forward(scores)

    names = [p.normalizer for p in normalizers(extra=[Other(), Other()]).properties]
    assert names[8:] == ["softmax 2", "softmax 3"]


def test_what_is_no_normalizer_is_refused():
    with pytest.raises(TypeError, match=r"Write Softplus\(\)"):
        normalizers(extra=[Softplus])


def test_one_seed_gives_the_same_numbers_and_another_the_same_verdicts(found):
    again, other = normalizers(), normalizers(seed=1)
    wanted = [*found.as_dict()["cells"][:32], *found.as_dict()["properties"][:8]]
    assert all(map(close, rows(again.as_dict()), wanted)) and len(rows(again.as_dict())) == len(wanted)
    assert [c.verdict for c in other.cells] == [c.verdict for c in again.cells] and other.cells != again.cells


def test_the_dictionary_is_json(found):
    read = json.loads(json.dumps(found.as_dict()))
    assert read.keys() == {"batch", "classes", "seed", "cells", "properties"} and (read["batch"], read["classes"]) == (64, 10)
    assert read["cells"][0].keys() == {"normalizer", "loss", "verdict", "difference", "size", "by", "sentence"}
    assert len(read["cells"]) == 44 and len(read["properties"]) == 11


def test_conclusions(found):
    equal, flat, suits, limits = found.conclusions()
    assert "matching loss of softmax, sigmoid, tanh, hardsigmoid, hardtanh, identity, sparsemax, entmax15;" in equal
    assert equal.endswith("softmax with cross_entropy, sigmoid with binary_cross_entropy, identity with squared.")
    assert flat.endswith("for hardsigmoid, hardtanh, sparsemax, entmax15.")
    assert "sparsemax, entmax15; not: identity, softplus, Cube, Turning." in suits and "not thereby proved" in limits


def test_the_text(found):
    text = summary.normalizers_text(found, 2000)
    assert "softmax      equal 2e-16" in text and "entmax15     equal" in text
    assert text.count("takes the logarithm") == 1 and text.count("flat zone") == 1 and "unbounded" in text
    assert all(sentence in text for sentence in found.conclusions())


def test_the_command(found, tmp_path, capsys):
    assert cli.main(["study", "normalizers", "--json", str(tmp_path / "a.json")]) == 0
    read, printed = json.loads((tmp_path / "a.json").read_text()), capsys.readouterr().out
    assert read.pop("environment")["numpy"] == np.__version__
    wanted = [*found.as_dict()["cells"][:32], *found.as_dict()["properties"][:8]]
    assert all(map(close, rows(read), wanted)) and (read["batch"], read["seed"]) == (64, 0)
    assert f"Results are in {tmp_path / 'a.json'}" in printed and "1. Is ISBE's error" in printed


@pytest.mark.parametrize(("arguments", "words"), [
    (["normaliser"], "isbe study: NAME expects one of 'normalizers', 'accuracy', 'timing', 'scaling', 'reductions', "
     "'failures', 'data'; got 'normaliser'. Did you mean 'normalizers'?\n"),
    ([], "isbe study: the following arguments are required: NAME. See isbe study --help.\n")])
def test_a_study_that_there_is_not(arguments, words, capsys):
    assert cli.main(["study", *arguments]) == 2 and capsys.readouterr().err == words


def test_the_command_has_help(capsys):
    assert cli.main(["study", "--help"]) == 0 and "normalizers: which of them" in capsys.readouterr().out
