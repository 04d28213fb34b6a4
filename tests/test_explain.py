"""Every number of an explanation is the head's; what does not exist is said in words; the table is aligned and fits."""

import json
import re

import numpy as np
import pytest

import isbe_np as isbe
from isbe_np import cli
from isbe_np.explain import MOST, explain
from isbe_np.reports.summary import explanation_rows, explanation_text, number

CASES = [(normalizer, loss) for normalizer in isbe.NORMALIZERS for loss in (None, *isbe.LOSSES)]
SCORES = [2.0, 1.0, 0.1]


def existing():
    """Normalizers with the losses that a head takes."""
    for normalizer, loss in CASES:
        try:
            isbe.Head(normalizer, loss=loss)
        except ValueError:
            continue
        yield normalizer, loss


def words(found):
    return " ".join(found.sentences)


@pytest.fixture
def run(capsys):
    """run(*arguments): what `isbe explain` prints on standard output; its exit code must be 0."""
    def command(*arguments):
        assert cli.main(["explain", *arguments]) == 0
        return capsys.readouterr().out
    return command


def test_the_numbers_of_the_example_that_can_be_done_by_hand():
    found = explain([np.log(2), 0, 0], 0)
    assert found.soft == pytest.approx([0.5, 0.25, 0.25]) and found.targets.tolist() == [1, 0, 0]
    assert found.steps["less its max"] == pytest.approx([0, -np.log(2), -np.log(2)])
    assert found.steps["e^ of that"] == pytest.approx([1, 0.5, 0.5])
    assert found.jacobian == pytest.approx(np.array([[4, -2, -2], [-2, 3, -1], [-2, -1, 3]]) / 16)
    assert found.gradient == pytest.approx([-2, 0, 0]) and found.loss == pytest.approx(np.log(2))
    assert found.terms == pytest.approx(np.array([[-0.5, 0.25, 0.25], [0, 0, 0], [0, 0, 0]]))
    assert found.error == pytest.approx([-0.5, 0.25, 0.25]) and not found.difference.any()


@pytest.mark.parametrize(("normalizer", "loss"), list(existing()))
def test_terms_add_up_to_the_error_of_each_route_that_there_is(normalizer, loss, dtype, assert_close):
    for route in isbe.ROUTES:
        try:
            head = isbe.Head(normalizer, route, "sum", loss=loss)
        except ValueError as fault:
            with pytest.raises(ValueError, match=re.escape(str(fault))):
                explain([0.4, -0.2, 0.1, 0.3], 2, normalizer, route, loss=loss, dtype=dtype.name)
            continue
        found = explain([0.4, -0.2, 0.1, 0.3], 2, normalizer, route, loss=loss, dtype=dtype.name)
        wanted = head.error(np.array([[0.4, -0.2, 0.1, 0.3]], dtype), np.array([2]))[0]
        assert_close(found.error, wanted, 4)
        assert_close(found.difference, wanted - found.errors["isbe"], 4)
        if found.terms is not None:
            assert_close(found.terms.sum(axis=0), found.errors["jacobian"], 4)
            assert set(found.errors) >= {"jacobian", "factored", "isbe"}
        assert found.errors.keys() | found.refused.keys() == set(isbe.ROUTES) | (found.refused.keys() - set(isbe.ROUTES))


@pytest.mark.parametrize(("normalizer", "loss"), list(existing()))
def test_what_does_not_exist_is_said_and_never_nan(normalizer, loss):
    found = explain([0.4, -0.2, 0.1, 0.3], 2, normalizer, loss=loss)
    text = explanation_text(found)
    assert "NaN" not in text and "nan" not in text and "None" not in text
    parts = [row.part for group in explanation_rows(found) for row in group]
    assert ("g" in parts) == ("Jt g" in parts) == (found.gradient is not None)
    assert ("There is no g" in words(found)) == ("g" not in parts)
    for reason in found.refused.values():
        assert re.sub(r"'\w+'", "", reason) in re.sub(r"'\w+'", "", words(found))


@pytest.mark.parametrize("normalizer", ["hardsigmoid", "hardtanh", "sparsemax", "entmax15"])
def test_no_chain_rule_through_flat_zones(normalizer):
    found = explain(SCORES, 0, normalizer)
    assert found.gradient is None and found.terms is None and list(found.errors) == ["fused", "isbe"]
    assert "flat zone" in words(found) and words(found).count("dead unit") == 1


def test_threshold_of_sparsemax():
    found = explain([0.5, 0.3, -2], 0, "sparsemax")
    assert np.maximum(found.steps["over threshold"], 0) == pytest.approx(found.soft) and found.soft[2] == 0


def test_a_soft_score_of_0_in_float32():
    found = explain([200, 0, 0], 1, dtype="float32")
    assert found.gradient.tolist() == [0, -np.inf, 0]
    assert np.isnan(found.errors["jacobian"]).all() and np.isnan(found.errors["factored"]).any()
    assert found.errors["fused"].tolist() == found.errors["isbe"].tolist() == [1, -1, 0]
    said = words(found)
    assert "y[1] is 0 in float32, and the division makes g[1] = -inf" in said
    assert "Routes 'jacobian' and 'factored', which need g, send NaN, NaN, NaN. 0 times infinity" in said
    assert "Routes 'fused' and 'isbe' divide by no soft score: 1, -1, 0, exact to rounding." in said
    assert "In float64 y - t differs from that by 1.4e-87" in said


def test_the_same_scores_in_float64_are_no_trouble():
    found = explain([200, 0, 0], 1)
    assert all(np.isfinite(e).all() for e in found.errors.values())
    assert "Routes 'jacobian', 'factored', 'fused' and 'isbe' send y - t" in words(found)


def test_a_quotient_overflows_before_the_soft_score_is_0():
    found = explain([95, 0, 0], 1, dtype="float32")
    assert 0 < found.soft[1] < 1e-38 and found.gradient[1] == -np.inf
    assert not np.isfinite(found.errors["jacobian"]).all() and found.errors["isbe"][1] == -1


def test_dilation_is_the_factor_between_gradient_and_error():
    found = explain(SCORES, 1, route="factored", dilation=2.5)
    assert found.error == pytest.approx(2.5 * found.errors["isbe"]) and found.steps["k x"] == pytest.approx([5, 2.5, 0.25])
    assert "factor k, which y - t leaves out" in words(found)
    assert "Routes 'jacobian', 'factored' and 'fused' send k (y - t)" in words(found)
    each = explain(SCORES, 1, route="jacobian", dilation=[1, 2, 3])
    assert each.error == pytest.approx(np.array([1, 2, 3]) * each.errors["isbe"])
    assert each.terms.sum(axis=0) == pytest.approx(each.error)  # J is not symmetric here


@pytest.mark.parametrize(("normalizer", "wanted"), [("softmax", [0.8, 0.1, 0.1]), ("tanh", [0.6, -0.8, -0.8])])
def test_smoothing_spreads_a_share_of_the_target(normalizer, wanted):
    found = explain(SCORES, 0, normalizer, smoothing=0.3)
    assert found.targets == pytest.approx(wanted) and "'isbe' send y - t" in words(found)
    assert explain(SCORES, 0, smoothing=1.0).targets == pytest.approx([1 / 3] * 3)


def test_targets_of_another_sum_part_the_routes():
    found = explain(SCORES, [1, 1, 0])
    assert found.errors["fused"] == pytest.approx(2 * found.soft - [1, 1, 0])
    assert "sum to tau = 2, not to 1" in words(found)
    assert "Routes 'jacobian', 'factored' and 'fused' send tau y - t" in words(found)


def test_another_loss_has_another_gradient():
    found = explain([1, -1], 0, "sigmoid", "jacobian", loss="squared")
    ratio = np.linalg.norm(found.error) / np.linalg.norm(found.errors["isbe"])
    assert f"not the matching one of 'sigmoid': its gradient is not y - t, but a vector {ratio:.3g} times" in words(found)


@pytest.mark.parametrize("scores", [[1e38, -1e38, 0], [-np.inf, 0, 1], [30, 0, 0], [0], [-5]])
@pytest.mark.parametrize("normalizer", ["softmax", "identity"])
def test_extreme_scores_are_explained_or_refused(scores, normalizer, dtype):
    if normalizer == "identity" and -np.inf in scores:
        with pytest.raises(ValueError, match="finite"):
            explain(scores, 0, normalizer, dtype=dtype.name)
        return
    found = explain(scores, 0, normalizer, dtype=dtype.name)
    assert np.isfinite(found.errors["isbe"]).all() and explanation_text(found)


def test_a_loss_too_large_for_a_number_is_said():
    found = explain([1e300, 0], 1, "identity")
    assert found.loss is None and "Head.loss" in words(found)


def test_a_normalizer_of_ones_own_with_a_forward_only():
    class Halves:
        def forward(self, scores):
            return scores / 2

    found = explain([1.0, 2.0], 0, Halves())
    assert found.jacobian is None and "There is no J: 'Halves' has no method jacobian" in words(found)
    assert list(found.errors) == ["isbe"] and found.error.tolist() == [-0.5, 1]


@pytest.mark.parametrize(("arguments", "options", "says"), [
    ((range(MOST + 1), 0), {}, "1 to 12 numbers"), (([], 0), {}, "1 to 12 numbers"), (([[1, 2]], 0), {}, "shape (1, 2)"),
    (("ab", 0), {}, "explain(scores) expects numbers"), ((SCORES, 3), {}, "from 0 to 2"), ((SCORES, 0.5), {}, "whole"),
    ((SCORES, [1, 0]), {}, "(1, 3)"),
    ((SCORES, 0), {"smoothing": 1.5}, "0 to 1"), ((SCORES, 0), {"smoothing": np.nan}, "0 to 1"),
    ((SCORES, 0), {"dtype": "float16"}, "float32"), (([1e39, 0], 0), {"dtype": "float32"}, "too large for float32"),
    (([np.nan, 0], 0), {}, "class 0 is nan"), ((SCORES, 0), {"normalizer": "softmx"}, "'softmax'"),
    ((SCORES, 0), {"route": "isb"}, "'isbe'"), ((SCORES, 0), {"normalizer": "tanh", "loss": "cross_entropy"}, "negative"),
    ((SCORES, 0), {"normalizer": "tanh", "dilation": 2}, "softmax"), ((SCORES, 0), {"dilation": [1, 2]}, "2 numbers"),
])
def test_what_cannot_be_explained_is_refused(arguments, options, says):
    with pytest.raises((ValueError, TypeError), match=re.escape(says)):
        explain(*arguments, **options)


@pytest.mark.parametrize(("value", "text"), [
    (0, "0"), (-0.0, "0"), (1, "1"), (1 - 1e-9, "1.0000"), (-0.3410, "-0.3410"), (12.34567, "12.3457"),
    (123.456, "123.46"), (-1e38, "-1.0e+38"),
    (1.4e-87, "1.4e-87"), (0.0009, "9.0e-04"), (np.inf, "inf"), (-np.inf, "-inf"), (np.nan, "NaN"), (200, "200")])
def test_numbers_are_short_and_exact_ones_are_told_from_rounded_ones(value, text):
    assert number(value) == text and len(text) <= 9


@pytest.mark.parametrize("classes", [1, 2, 3, 5, 6, 10, MOST])
def test_the_table_fits_80_columns_and_numbers_stand_under_their_class(classes):
    found = explain(-1.5 * np.arange(classes) - 20, classes - 1, "softmax", "jacobian", dtype="float32")
    text = explanation_text(found, 80)
    assert max(map(len, text.splitlines())) <= 80
    heads = [line for line in text.splitlines() if "class 0" in line or re.search(r"^ +shape", line)]
    assert [int(k) for line in heads for k in re.findall(r"class (\d+)", line)] == list(range(classes))
    last = None
    for line in text.splitlines():
        if line in heads:
            last = [match.end() for match in re.finditer(r"class \d+", line)]
        elif re.match(r"y +\(", line):
            assert all(line[end - 1].isdigit() and line[end:end + 1] in ("", " ") for end in last)
    assert text.count(" sum over j ") == len(heads)


def test_every_row_of_the_table_with_its_shape():
    lines = explanation_text(explain(SCORES, 0)).splitlines()
    wanted = ["x      (3,)    scores              2        1   0.1000",
              "y      (3,)    softmax        0.6590   0.2424   0.0986",
              "J      (3, 3)  J[0, i]        0.2247  -0.1598  -0.0650",
              "g      (3,)    -t / y        -1.5174        0        0",
              "Jt g   (3, 3)  J[0, i] g[0]  -0.3410   0.2424   0.0986",
              "y - t  (3,)                  -0.3410   0.2424   0.0986"]
    assert [line for line in wanted if line not in lines] == []


def test_the_command_prints_writes_and_draws(run, tmp_path):
    out = run("--scores", "2,1,0.1", "--target", "0", "--route", "factored", "--out", str(tmp_path / "figures"), "--json",
              str(tmp_path / "a.json"))
    assert "softmax, loss cross_entropy, route factored, float64" in out and "by factored" in out
    assert (tmp_path / "figures" / "explain.png").read_bytes().startswith(b"\x89PNG") and "explain.png" in out
    found, kept = explain(SCORES, 0, route="factored"), json.loads((tmp_path / "a.json").read_text())
    assert kept["jacobian"] == found.jacobian.tolist() and kept["errors"]["isbe"] == found.errors["isbe"].tolist()
    assert kept["environment"]["numpy"] == np.__version__ and kept["sentences"] == found.sentences


def test_infinity_is_written_as_its_name(run, tmp_path):
    run("--scores", "200,0,0", "--target", "1", "--dtype", "float32", "--json", str(tmp_path / "a.json"))
    kept = json.loads((tmp_path / "a.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert kept["gradient"] == [0, "-inf", 0] and kept["errors"]["jacobian"] == ["nan"] * 3


@pytest.mark.parametrize("scores", [["-1,2,0"], ["-1", "2", "0"], ["-1,", "2,", "0"], ["-1,2", "0"]])
def test_scores_may_be_negative_and_stand_apart(run, scores):
    assert run("--scores", *scores, "--target", "2") == run("--scores=-1,2,0", "--target", "0,0,1")


def test_every_option_reaches_the_head(run):
    out = run("--scores", "2,1", "--target", "0", "--dilation", "2", "--smoothing", "0.5", "--loss", "squared", "--route",
              "jacobian", "--dtype", "float32")
    assert out.startswith("softmax, dilation 2., loss squared, route jacobian, float32") and "0.7500" in out
    assert "sparsemax, loss matching" in run("--scores", "2,1", "--target", "0", "--normalizer", "sparsemax")


@pytest.mark.parametrize("arguments", [
    ["--scores", "a,b", "--target", "0"], ["--scores", "1,,2", "--target", "0"], ["--scores", "1,2"], ["--target", "0"],
    ["--scores", "1,2", "--target", "2"], ["--scores", "1,2", "--target", "-1"], ["--scores", "1,2", "--target", "0.5"],
    ["--scores", ",".join("1" * 13), "--target", "0"], ["--scores", "1,2", "--target", "0", "--route", "no"],
    ["--scores", "1,2", "--target", "0", "--normalizer", "sparsemax", "--route", "jacobian"],
    ["--scores", "nan,2", "--target", "0"], ["--scores", "1,2", "--target", "0", "--smoothing", "2"],
    ["--scores", "1,2", "--target", "0", "--dilation", "0"], ["--scores", "1,2", "--target", "0", "--dtype", "int"]])
def test_bad_input_is_refused_in_a_sentence(arguments, capsys):
    assert cli.main(["explain", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("isbe explain: ") and len(err.splitlines()) == 1 and "Traceback" not in err
