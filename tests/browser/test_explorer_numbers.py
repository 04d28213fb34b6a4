"""The explorer's functions, run in headless Chromium, against fixtures that the package writes."""

import json
import math

import numpy as np
import pytest

import isbe_np as isbe
from isbe_np.heads.losses import gradient

pytestmark = pytest.mark.browser

NAMES = ("softmax", "sigmoid", "tanh", "hardsigmoid", "hardtanh", "identity", "sparsemax")
FLAT = ("hardsigmoid", "hardtanh", "sparsemax")  # their matching loss is no function of the soft scores
FAR = {"float32": 1e38, "float64": 1e300}
BOUND = {"float32": 2e-6, "float64": 1e-12}
# Ties, corners of the hard variants, the edge of sparsemax's support.
CORNERS = ([0, 0], [0] * 6, [1, 1, 0], [2, 2, 2, -1], [1, 0], [3, -3, 1, -1, 0], [0.5, -0.5])


def draw_scores(random, dtype):
    """Scores of every size and number of classes, ties and corners, gaps on both sides of every underflow, and the far end."""
    far = FAR[dtype]
    drawn = [random.normal(size=C) * scale for C in range(2, 7) for scale in (0.3, 1, 3, 10, 30) for _ in range(2)]
    gaps = [scores for gap in (17, 40, 80, 95, 120, 700, 720, 800) for scores in ([gap, 0], [0, gap, gap], [-gap, gap / 3, 1])]
    return [*drawn, *CORNERS, *gaps, [far, -far, 0], [far, far, -far], [-far] * 3]


def case(random, name, dtype, scores):
    """What the package computes for these scores and targets drawn at random, in words that JSON knows."""
    x, C = np.asarray(scores, dtype)[None], len(scores)
    k = float(np.dtype(dtype).type(random.choice([1, 1, 0.5, 2.3]))) if name == "softmax" and abs(x).max() <= 100 else 1.0
    head = isbe.Head(name, "isbe", "none", dilation=k if name == "softmax" else None, strict=False)
    label, smoothing = int(random.integers(C)), float(random.choice([0, 0, 0.1, 1]))
    low, high = head.encoding
    t = (low + (high - low) * ((1 - smoothing) * np.eye(C)[label] + smoothing / C)).astype(dtype)[None]
    soft, d = head.forward(x), random.normal(size=C)
    written = {"name": name, "dtype": dtype, "scores": x, "label": label, "smoothing": smoothing, "dilation": k, "targets": t,
               "soft": soft, "J": head.normalizer.jacobian(x, soft), "error": head.backward(t), "direction": d}
    if name not in FLAT:
        head.route = "jacobian"
        with np.errstate(all="ignore"):
            written["g"] = gradient(head.loss_name, head.normalizer, soft, t)
        written["product"] = head.backward(t)
    wide = isbe.Head(name, "isbe", "none", dilation=k if name == "softmax" else None)
    wide.forward(np.float64(x))
    written["slope"] = float(wide.backward(np.float64(t))[0] @ d)
    if not (name == "identity" and max(map(abs, scores)) > 1e150):  # there the package refuses: the loss is beyond float64
        written["loss"] = float(wide.loss(np.float64(t))[0] / k)
    return {key: spell(value[0] if np.ndim(value) > 1 else value) for key, value in written.items()}


def spell(value):
    """Lists and numbers with JavaScript's words for what JSON cannot write."""
    if isinstance(value, (list, np.ndarray)):
        return [spell(v) for v in value]
    if isinstance(value, (str, int)):
        return value
    return float(value) if math.isfinite(value) else "NaN" if math.isnan(value) else "-Infinity" if value < 0 else "Infinity"


def unspell(value):
    """A float64 array of what `spell` wrote."""
    flat = np.array([float(v) for v in np.ravel(np.asarray(value, object))])
    return flat.reshape(np.shape(np.asarray(value, object)))


@pytest.fixture(scope="module")
def fixtures(tmp_path_factory):
    """Path of a JSON file with the package's numbers, by normalizer and dtype."""
    written = {}
    for name in NAMES:
        for dtype in FAR:
            random = np.random.default_rng([*name.encode(), int(dtype[5:])])
            written[f"{name} {dtype}"] = [case(random, name, dtype, scores) for scores in draw_scores(random, dtype)]
    path = tmp_path_factory.mktemp("fixtures") / "explorer.json"
    path.write_text(json.dumps(written))
    return path


# Every function gets the package's numbers; "all" gets the scores alone.
RUN = """
const revive = (_, v) => (["NaN", "Infinity", "-Infinity"].includes(v) ? Number(v) : v);
return JSON.stringify(JSON.parse(arguments[0], revive).map(c => {
  const s = isbe.normalizers[c.name], r = isbe[c.dtype], k = c.dilation;
  return {
    targets: isbe.targets(c.scores.length, c.label, r(c.smoothing), s.low, r), soft: s.soft(c.scores, r, k),
    J: s.jacobian(c.scores, c.soft, r, k), g: s.gradient && s.gradient(c.soft, c.targets, r),
    product: c.g ? isbe.walk(c.J, c.g, r).product : null, error: isbe.error(c.soft, c.targets, r),
    loss: isbe.lossAlong(c.name, c.scores, c.targets, c.direction, 0, k),
    slope: isbe.slope(c.name, c.scores, c.targets, c.direction, k), all: isbe.evaluate({ ...c, r }),
  };
}), (_, v) => (typeof v === "number" && !isFinite(v) ? String(v) : v));
"""


def assert_same(what, wanted, ours, relative, absolute, case):
    """The same shape, NaN and infinities in the same places, and finite numbers within the bound."""
    wanted, ours = unspell(wanted), unspell(ours)
    np.testing.assert_allclose(ours, wanted, relative, absolute, err_msg=f"{what} of {case}")


@pytest.mark.parametrize("dtype", FAR)
@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_those_of_the_package(page, fixtures, name, dtype):
    cases = json.loads(fixtures.read_text())[f"{name} {dtype}"]
    bound, least = BOUND[dtype], float(np.finfo(dtype).smallest_subnormal)
    for c, got in zip(cases, json.loads(page.execute_script(RUN, json.dumps(cases))), strict=True):
        k, all_of_it = c["dilation"], got["all"]
        assert_same("targets", c["targets"], got["targets"], bound, 0, c)
        # With dilation the page multiplies x − max x by k, and the package x: they part by a rounding of k x.
        wide = bound * (1 if k == 1 else max(map(abs, c["scores"])))
        assert_same("soft scores", c["soft"], got["soft"], wide, 8 * least, c)
        assert_same("J", c["J"], got["J"], bound, k * np.finfo(dtype).eps, c)
        assert_same("error", c["error"], got["error"], bound, 0, c)
        assert_same("all, soft scores", c["soft"], all_of_it["y"], wide, 8 * least, c)
        assert_same("all, error", c["error"], all_of_it["e"], wide, wide, c)
        values = np.concatenate([unspell(v).ravel() for v in all_of_it.values() if v is not None])
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(values, values.astype(dtype), err_msg=f"rounded to {dtype}: {c}")
        assert_same("slope", c["slope"], got["slope"], 1e-12, 1e-12 * max(1, max(map(abs, unspell(c["error"])))), c)
        if "loss" in c:
            assert_same("loss", c["loss"], got["loss"], 1e-12, 1e-12, c)
        if name in FLAT:
            assert got["g"] is None and all_of_it["product"] is None
            continue
        J, g = unspell(c["J"]), unspell(c["g"])
        with np.errstate(all="ignore"):
            terms = np.abs(J * g[:, None])
        largest = terms[np.isfinite(terms)].max(initial=1)
        assert_same("g", c["g"], got["g"], bound, 0, c)
        assert_same("product", c["product"], got["product"], bound, bound * largest, c)
        assert_same("all, product", c["product"], all_of_it["product"], wide, wide * largest, c)
    if name not in (*FLAT, "identity"):
        assert any(v == "NaN" for c in cases for v in c["product"]), "no case shows the NaN"


def test_running_sums_end_in_the_product(page):
    walk = page.execute_script("return isbe.walk([[1, 2], [3, 4]], [5, 7])")
    assert walk == {"terms": [[5, 10], [21, 28]], "sums": [[5, 10], [26, 38]], "product": [26, 38]}


def test_slope_is_that_of_the_loss(page):
    """By central differences, where no score is at a corner."""
    for name in NAMES:
        slope, difference = page.execute_script("""
            const x = [0.8, -0.4, 0.3], d = [1, -2, 0.5], h = 1e-5;
            const t = isbe.targets(3, 1, 0.1, isbe.normalizers[arguments[0]].low);
            const at = s => isbe.lossAlong(arguments[0], x, t, d, s, 1);
            return [isbe.slope(arguments[0], x, t, d), (at(h) - at(-h)) / (2 * h)];""", name)
        assert slope == pytest.approx(difference, abs=1e-9), name
