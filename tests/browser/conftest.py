"""A headless Chromium with the explorer open, for the tests that ask for it by `pytest -m browser`."""

import shutil
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "tutorials" / "explorer.html"
HOW = ('Install Chromium with its driver (on Debian: apt-get install chromium chromium-driver) and '
       'pip install -e ".[browser]", or leave out -m browser.')
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
           "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars")


def find(*names):
    """Path of the first of these programs that is installed; a failure where none is, so that nothing is skipped unseen."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.fail(f"The tests of the explorer need one of {', '.join(names)}, and none is on the PATH. {HOW}", pytrace=False)
    return found


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """One browser for all tests, with an empty profile of its own."""
    try:
        from selenium import webdriver
    except ImportError:
        pytest.fail(f"The tests of the explorer need the package selenium, which is not installed. {HOW}", pytrace=False)
    options = webdriver.ChromeOptions()
    options.binary_location = find("chromium", "chromium-browser", "google-chrome")
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(find("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def page(chromium):
    """The explorer, freshly opened in a window of 1280 × 900; afterwards the browser's log must be empty."""
    screen(chromium, 1280, 900)
    chromium.get("about:blank")
    chromium.get_log("browser")
    chromium.get(PAGE.as_uri())
    yield chromium
    assert chromium.get_log("browser") == []


@pytest.fixture
def resize(page):
    """resize(width, height, scheme): another screen for the page."""
    return lambda *given: screen(page, *given)


def screen(driver, width, height, scheme="light"):
    """A screen of that many CSS pixels, whose reader prefers the scheme "light" or "dark"."""
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
