"""The explorer in headless Chromium, as a reader uses it: by mouse, by keyboard, on a phone, in the dark, by an address."""

import re

import numpy as np
import pytest

import isbe_np as isbe

pytestmark = pytest.mark.browser

NAMES = ("softmax", "sigmoid", "tanh", "hardsigmoid", "hardtanh", "identity", "sparsemax")
FLAT = ("hardsigmoid", "hardtanh", "sparsemax")  # their matching loss is no function of the soft scores
PRESETS = ("Worked example", "Even", "Confident", "Wrong and confident", "Ties", "Two classes", "NaN in float32", "Flat zone",
           "Sparse")


def by(page, selector):
    return page.find_elements("css selector", selector)


def text(page, selector):
    return page.find_element("css selector", selector).get_property("textContent")


def shown(page, row):
    """The numbers of a row of the table of terms, in full, as their titles hold them."""
    line = next(tr for tr in by(page, "#terms tr") if by(tr, "th") and by(tr, "th")[0].text == row)
    return [float(td.get_attribute("title") or "nan") for td in by(line, "td")]


def click(page, name):
    next(button for button in by(page, "button") if button.text.strip("✓ ") == name).click()


def press(page, *keys):
    from selenium.webdriver import ActionChains

    ActionChains(page).send_keys(*keys).perform()


def key(name):
    from selenium.webdriver.common.keys import Keys

    return getattr(Keys, name)


def visit(page, setting):
    """Another setting in the address of the open page; its event has come when this returns."""
    page.execute_async_script("""addEventListener("hashchange", () => setTimeout(arguments[1]), { once: true });
        location.hash = arguments[0];""", setting)


def until(page, condition, seconds=10):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(page, seconds, 0.05).until(lambda _: condition())


def test_the_worked_example_is_shown_as_the_package_computes_it(page):
    head = isbe.Head("softmax", "jacobian", "none")
    soft = head.forward(np.array([[2, 1, 0.1]]))
    np.testing.assert_allclose(shown(page, "Jᵀ g"), head.backward([0])[0], rtol=0, atol=1e-15)
    np.testing.assert_allclose(shown(page, "y − t"), soft[0] - [1, 0, 0], rtol=0, atol=1e-15)
    cells = [td.text for td in by(page, "#jacobian td")]
    J = isbe.softmax_jacobian(soft)[0]
    g = [-1 / soft[0, 0], 0, 0]
    wanted = [f"{v:.3f}".replace("-", "−") if v else "0" for i in range(3) for v in (*J[i], g[i])]
    assert cells == wanted
    assert text(page, "#verdict").startswith("Jᵀ g is y − t: the largest difference is ")


def test_dragging_a_slider_changes_what_is_shown(page):
    from selenium.webdriver import ActionChains

    before, slider = shown(page, "y − t"), by(page, "#rows input[type=range]")[2]
    ActionChains(page).drag_and_drop_by_offset(slider, 60, 0).perform()
    score = float(by(page, "#rows input[type=number]")[2].get_property("value"))
    assert score > 1
    wanted = isbe.Head("softmax", reduction="none").error(np.array([[2, 1, score]]), [0])[0]
    np.testing.assert_allclose(shown(page, "y − t"), wanted, rtol=0, atol=1e-14)
    assert shown(page, "y − t") != before
    slider.send_keys(key("ARROW_LEFT"))  # and by the keyboard, one step of a tenth
    assert float(by(page, "#rows input[type=number]")[2].get_property("value")) == pytest.approx(score - 0.1)


def test_a_finger_drags_a_slider(page, resize):
    resize(360, 740)
    page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        x, y, high = page.execute_script("""const slider = document.querySelector("#rows input[type=range]");
            slider.scrollIntoView({ block: "center" }); const box = slider.getBoundingClientRect();
            return [box.left + box.width * 0.7, box.top + box.height / 2, box.height];""")
        assert high >= 44, "a finger needs room"
        for kind, points in (("touchStart", [x]), ("touchMove", [x - 10]), ("touchMove", [x - 60]), ("touchEnd", [])):
            page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": p, "y": y} for p in points]})
        score = float(by(page, "#rows input[type=number]")[0].get_property("value"))
        assert score < 1 and shown(page, "y − t")[0] == pytest.approx(1 / (1 + np.exp(1 - score) + np.exp(0.1 - score)) - 1)
    finally:
        page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_keys_step_through_the_product(page):
    click(page, "Step through the product")
    J = isbe.softmax_jacobian(isbe.Head().forward(np.array([[2, 1, 0.1]])))[0]
    assert text(page, "#words").startswith("Step 0 of 9")
    press(page, key("ARROW_RIGHT"), key("ARROW_RIGHT"), " ", key("ARROW_RIGHT"))
    g = -1 / isbe.Head().forward(np.array([[2, 1, 0.1]]))[0, 0]
    term = f"{J[0, 1] * g:.5f}"
    assert text(page, "#words") == (f"Step 4 of 9, class 1: J[0,1] · g[0] = {J[0, 1]:.5f} · {g:.5f} = {term}. "
                                    f"Running sum: 0 + {term} = {term}.").replace("-", "−")
    current = [td.text.replace("−", "-") for td in by(page, "[aria-current=step]")]
    assert current == [f"{J[0, 1]:.3f}", f"{g:.3f}", *[f"{J[0, 1] * g:.3f}"] * 2]
    press(page, key("ARROW_LEFT"))
    assert "Step 3 of 9, class 0: J[2,0]" in text(page, "#words") and "which is (Jᵀ g)[0]" in text(page, "#words")
    later = [td.text for td in by(page, "#terms td.later")]
    assert later == ["·"] * (6 + 2 + 2)  # terms, sums and differences of classes 1 and 2
    press(page, *[key("ARROW_RIGHT")] * 20)
    assert text(page, "#words").startswith("Step 9 of 9") and not by(page, "#terms td.later")
    assert shown(page, "Jᵀ g") == pytest.approx(shown(page, "y − t"))
    press(page, key("HOME"))
    assert text(page, "#words").startswith("Step 0 of 9")
    page.find_element("tag name", "h1").click()  # with no button in focus the keys are the page's
    press(page, " ", key("ARROW_RIGHT"), " ", key("ARROW_LEFT"), " ")
    assert text(page, "#words").startswith("Step 3 of 9")
    press(page, key("HOME"))
    click(page, "Play")
    until(page, lambda: text(page, "#words").startswith("Step 2 of 9"))
    click(page, "Pause")
    click(page, "Step through the product")
    press(page, key("ARROW_RIGHT"))
    assert text(page, "#words") == "" and not by(page, "[aria-current=step]")


def test_keys_of_a_slider_do_not_step(page):
    click(page, "Step through the product")
    by(page, "#rows input[type=range]")[0].send_keys(key("ARROW_RIGHT"))
    assert text(page, "#words").startswith("Step 0 of 9")


def test_float32_shows_the_nan_and_says_why(page):
    click(page, "NaN in float32")
    words = text(page, "#verdict")
    assert words.startswith("In float32, y of class 2 is rounded to 0, so g = −t / y is −∞ there, and the product is NaN")
    assert "y − t divides by nothing and stays exact" in words
    assert np.isnan(shown(page, "Jᵀ g")).all() and shown(page, "y − t") == pytest.approx([1, 4.248e-18, -1], rel=1e-3)
    assert [td.text for td in by(page, "#terms tr.total td.odd")] == ["NaN"] * 3
    page.find_element("id", "single").click()
    assert text(page, "#verdict").startswith("Jᵀ g is y − t") and np.isfinite(shown(page, "Jᵀ g")).all()


def test_dilation_and_normalizers_without_g_are_explained(page):
    visit(page, "x=2,1,0.1&k=2")
    assert text(page, "#verdict").startswith("Jᵀ g is k (y − t) with k = 2")
    assert shown(page, "Jᵀ g") == pytest.approx([2 * v for v in shown(page, "y − t")])
    for name in NAMES:
        visit(page, f"x=2,1,0.1&n={name}")
        assert text(page, "#verdict").startswith(f"For {name} there is no g" if name in FLAT else "Jᵀ g is y − t")
        assert page.find_element("id", "step").is_enabled() == (name not in FLAT)
        assert page.find_element("css selector", "#dials input").is_enabled() == (name == "softmax")


def test_the_slope_shown_is_that_of_the_direction(page):
    from selenium.webdriver.support.ui import Select

    error = isbe.Head("softmax", reduction="none").error(np.array([[2, 1, 0.1]]), [0])[0]
    assert f"= {np.linalg.norm(error):.3f}, the length of y − t" in text(page, "#slope")
    Select(page.find_element("id", "direction")).select_by_visible_text("the score of class 1")
    assert f"= {error[1]:.3f}, which is y − t of class 1" in text(page, "#slope")
    assert re.match(r"M[\d.]+,[\d.]+(L[\d.]+,[\d.]+){240}$", page.find_element("css selector", ".curve").get_attribute("d"))


def test_classes_are_added_and_removed(page):
    visit(page, "x=2,1,0.1&t=2&d=2")
    for C in (4, 5, 6):
        click(page, "Add a class")
        assert len(by(page, "#rows .score")) == C and len(shown(page, "y − t")) == C
    assert not page.find_element("id", "add").is_enabled()
    for C in (5, 4, 3, 2):
        click(page, "Remove the last")
        assert len(shown(page, "y − t")) == C
    assert not page.find_element("id", "remove").is_enabled()
    assert shown(page, "y − t")[1] < 0, "the target was removed: it is the last class now"


def test_the_address_holds_the_setting(page):
    click(page, "NaN in float32")
    click(page, "Step through the product")
    press(page, key("ARROW_RIGHT"))
    until(page, lambda: "s=1" in page.current_url)
    address, words = page.current_url, text(page, "#words")
    page.get("about:blank")
    page.get(address)
    assert text(page, "#words") == words and "NaN" in text(page, "#verdict")


@pytest.mark.parametrize("setting, parts", [("x=1,two&t=1", "x"), ("x=1", "x"), ("x=1,,2&n=relu", "x, n"), ("t=3", "t"),
                                            ("k=0&e=2&f=16&r=7&d=9&s=1.5", "k, e, f, r, d, s"), ("x=1e39,0", "x")])
def test_an_address_without_a_meaning_is_told(page, setting, parts):
    visit(page, setting)
    assert text(page, "#complaint") == f"The address has no meaning in {parts}: the worked example's value is shown there."
    assert np.isfinite(shown(page, "y − t")).all()


@pytest.mark.parametrize("typed, kept", [("", "2"), ("1e39", "1000"), ("e", "2")])
def test_what_is_no_score_is_refused_with_a_sentence(page, typed, kept):
    """Every character counts at once: of 1e39, 1 and 1e3 are scores."""
    field = by(page, "#rows input[type=number]")[0]
    field.send_keys(key("CONTROL"), "a")
    field.send_keys(key("BACKSPACE"), typed)
    assert text(page, "#complaint") == f"A score must be a number from −1e38 to 1e38; {kept} is kept."
    assert field.get_attribute("aria-invalid") == "true" and np.isfinite(shown(page, "y − t")).all()
    press(page, key("TAB"))
    assert field.get_property("value") == kept and not page.find_element("id", "complaint").is_displayed()


def test_typed_scores_widen_the_sliders(page):
    field = by(page, "#rows input[type=number]")[0]
    field.send_keys(key("CONTROL"), "a")
    field.send_keys("-1e38")
    assert shown(page, "y − t")[0] == -1 and by(page, "#rows input[type=range]")[0].get_property("min") == "-800"


@pytest.mark.parametrize("width", [360, 700, 1000, 1280])
def test_no_screen_needs_sideways_scrolling_or_cuts_numbers(page, resize, width):
    resize(width, 740)
    settings = [f"x={','.join(['-12.345'] * C)}&s=2&r=800&n={name}" for C in range(2, 7) for name in ("softmax", "identity")]
    settings += [f"x=-9.5,3.3{',0.1,7,-20,-13'[:cut]}&t=0&s=3&n={name}" for cut in (0, 4, 6, 10, 14) for name in NAMES]
    settings += ["x=1e38,-1e38,1e38,-1e38,1e38,-1e38&t=1&s=5&f=32", "x=1e30,-1e30,0,1,2,3&n=identity&s=8"]

    def check(what):
        wide = page.execute_script("""return [...document.querySelectorAll("body *")].filter(n => n.getClientRects().length &&
            !n.closest("svg, #live") && (n.getBoundingClientRect().right > arguments[0] + 0.5 ||
            n.matches("td, th") && n.scrollWidth > n.clientWidth + 1)).map(n => n.outerHTML.slice(0, 120))""", width)
        assert wide == [] and page.execute_script("return document.documentElement.scrollWidth") <= width, what
    for setting in settings:
        visit(page, setting)
        check(setting)
    for name in PRESETS:
        click(page, name)
        check(name)


CONTRAST = """
const channels = text => {
  const v = text.match(/[\\d.e-]+/g).map(Number), scale = text.startsWith("color(") ? 1 : 255;
  return { rgb: v.slice(0, 3).map(c => c / scale), alpha: v[3] ?? 1 };
};
const luminance = ({ rgb }) => rgb.map(c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((s, c, i) => s + c * [0.2126, 0.7152, 0.0722][i], 0);
const behind = n => { for (; n; n = n.parentElement) {
  const c = channels(getComputedStyle(n).backgroundColor); if (c.alpha === 1) return c; } };
return [...document.querySelectorAll("h1, h2, p, td, th, caption, b, span, label, legend, dt, dd, button, select, input")]
  .filter(n => n.getClientRects().length && !n.disabled && n.ariaDisabled !== "true" && !n.matches("#live, [type=range]"))
  .map(n => { const [a, b] = [luminance(channels(getComputedStyle(n).color)), luminance(behind(n))].sort((p, q) => q - p);
    return [(a + 0.05) / (b + 0.05), n.outerHTML.slice(0, 100)]; }).filter(([ratio]) => ratio < 4.5);
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(page, resize, scheme):
    resize(1280, 900, scheme)
    dark = page.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    assert dark == (scheme == "dark")
    for setting in ("s=4", "x=60,20,-50&t=2&f=32", "x=4,-4,0&n=identity", "n=hardsigmoid&x=5,-4,0", "x=1,two"):
        visit(page, setting)
        assert page.execute_script(CONTRAST) == [], setting


def test_every_control_has_a_name_and_a_visible_focus(page):
    click(page, "Step through the product")
    nameless = page.execute_script("""return [...document.querySelectorAll("button, input, select, svg")].filter(n =>
        !(n.ariaLabel || n.labels?.length || n.tagName === "BUTTON" && n.textContent.trim())).map(n => n.outerHTML)""")
    assert nameless == []
    page.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
    reached = set()
    for _ in range(60):
        press(page, key("TAB"))
        kind, outline = page.execute_script("""const n = document.activeElement;
            return [n.ariaLabel || n.id || (n === document.body ? "" : n.textContent), getComputedStyle(n).outlineStyle];""")
        if not kind:  # the document itself, between the last and the first
            continue
        if kind in reached:
            break
        assert outline == "solid", kind
        reached.add(kind)
    assert {"Score of class 0", "Score of class 2, as a number", "next", "direction", "normalizer", *PRESETS} <= reached


def test_the_page_is_whole_in_itself(page):
    """Nothing is fetched, and the source names no other file or address but SVG's name space."""
    assert page.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []
    source = page.execute_script("return document.documentElement.outerHTML")
    assert set(re.findall(r"https?://[^\"'\s]+", source)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<link[^>]+href=\"(?!data:)|\bsrc=|@import|fetch\(|XMLHttpRequest", source)
