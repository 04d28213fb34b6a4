"""Opens every page of a built site in headless Chromium, at a desk's width and at a phone's, and listens for errors."""

import base64
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
           "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars")
SCREENS = {"desk": (1280, 900, False), "phone": (390, 844, True)}
WORD = "Jacobian"
TALLEST = 6000  # pixels of a page in its picture
WIDE = """return [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 &&
    document.documentElement.scrollWidth > innerWidth + 1).slice(0, 3).map(e => e.tagName + "." + e.className)"""


def start(profile: str):
    """A browser that keeps what its pages write on the console; RuntimeError where one of its parts is not installed."""
    program, driver = next(filter(None, map(shutil.which, BROWSERS)), None), shutil.which("chromedriver")
    try:
        from selenium import webdriver
    except ImportError:
        webdriver = None
    if not (program and driver and webdriver):
        raise RuntimeError("build_site --browser needs Chromium, its driver and the package selenium, and not all are there; "
                           "on Debian: apt-get install chromium chromium-driver, and pip install selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for option in (*OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def problems(root: Path, pictures: Path) -> list[str]:
    """A sentence for each message on a page's console and each page wider than its screen; pictures go to `pictures`.

    The pages of source code are opened at a desk's width alone, without a picture.
    """
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    found = []
    with TemporaryDirectory() as profile:
        browser = start(profile)
        try:
            for page in sorted(root.rglob("*.html")):
                name = page.relative_to(root).as_posix()
                for screen in ["desk"] if "_modules" in page.parts else SCREENS:
                    faults = _open(browser, page, screen)
                    if "_modules" not in page.parts:
                        _picture(browser, pictures / f"{name.removesuffix('.html').replace('/', '-')}-{screen}.png")
                    found += [f"{name} ({screen}): {fault}" for fault in faults]
            found += _search(browser, root / "search.html")
        finally:
            browser.quit()
    return found


def _open(browser, page, screen):
    """What is wrong with one page on one screen."""
    width, height, mobile = SCREENS[screen]
    _resize(browser, width, height, mobile)
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(page.as_uri())
    messages = [entry["message"] for entry in browser.get_log("browser")]
    return messages + [f"wider than the screen: {where}" for where in browser.execute_script(WIDE)]


def _search(browser, page):
    """What is wrong with the search, which has to work from a disk too."""
    from selenium.common.exceptions import TimeoutException
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(f"{page.as_uri()}?q={WORD}")
    try:
        WebDriverWait(browser, 20).until(lambda _: browser.find_elements("css selector", "#search-results li a"))
    except TimeoutException:
        return [f"search.html finds no page with the word {WORD!r}"]
    return [f"search.html: {entry['message']}" for entry in browser.get_log("browser")]


def _resize(browser, width, height, mobile):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1,
                                                                   "mobile": mobile})


def _picture(browser, path):
    """The page from its top to its end, or as far as `TALLEST`; pictures in it load only once they are in sight."""
    width, height = browser.execute_script("return [innerWidth, document.documentElement.scrollHeight]")
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, TALLEST), "scale": 1}
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    path.write_bytes(base64.b64decode(shot["data"]))
