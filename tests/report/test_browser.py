"""Pages in Chromium: they open from the disk, draw every chart and fit the window."""

import math
import shutil

import pytest

from bt_keras.report.contents import SECTIONS
from bt_keras.report.gather import read
from bt_keras.report.html_page import render
from tests.report.made_up import accuracy, contents

pytestmark = pytest.mark.browser

WIDE, NARROW = 1200, 360
# Elements that are wider than the window, and do not scroll inside another one.
TOO_WIDE = """
    return [...document.querySelectorAll("body *")]
        .filter((e) => !e.closest(".scroll, pre") && !e.parentElement.closest("svg"))
        .filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5)
        .map((e) => e.outerHTML.slice(0, 200));
"""
SCROLLS = "return document.documentElement.scrollWidth > innerWidth"
BROKEN = """
    return [...document.querySelectorAll("img")]
        .filter((e) => !(e.complete && e.naturalWidth > 0)).length;
"""


@pytest.fixture(scope="module")
def browser():
    """A Chromium without a network."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for argument in ("headless=new", "no-sandbox", "host-resolver-rules=MAP * ~"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


def open_page(browser, path, width, scheme="light"):
    """Opens a page and waits until its charts are drawn."""
    from selenium.webdriver.support.wait import WebDriverWait

    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(path.as_uri())
    drawn = "return document.documentElement.dataset.drawn"
    WebDriverWait(browser, 60).until(lambda driver: driver.execute_script(drawn))


@pytest.fixture(scope="module", params=["made up", "several", "gaps", "nan", "run"])
def path(request, tmp_path_factory):
    """A page on the disk."""
    if request.param == "made up":
        runs = [contents()]
    elif request.param == "several":
        runs = [contents(), contents("a" * 120, seed=1)]
    elif request.param == "gaps":
        gaps = {section: "not there " + "x" * 120 for section in SECTIONS}
        runs = [contents(gaps=gaps)]
    elif request.param == "nan":
        values = (("untrained", 0.5), ("pretrained", math.nan))
        runs = [contents(results=tuple(accuracy(*pair) for pair in values))]
    else:
        runs = [read(request.getfixturevalue("evaluated"))]
    path = tmp_path_factory.mktemp("page") / "report.html"
    render(runs).save(path)
    return path


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_opens_without_errors_and_fits(browser, path, width, scheme):
    open_page(browser, path, width, scheme)
    assert browser.get_log("browser") == []
    assert browser.execute_script(BROKEN) == 0
    assert browser.execute_script(TOO_WIDE) == []
    assert browser.execute_script(SCROLLS) is False
    charts = browser.find_elements("css selector", "[data-chart]")
    assert all(chart.find_elements("css selector", "svg") for chart in charts)
    text = browser.find_element("css selector", "body").text
    for title in (*SECTIONS.values(), "Recipe"):
        assert title in text


def test_the_colors_follow_the_browser(browser, path):
    colors = set()
    for scheme in ("light", "dark"):
        open_page(browser, path, WIDE, scheme)
        colors.add(
            browser.execute_script("return getComputedStyle(document.body).color")
        )
    assert len(colors) == 2


@pytest.mark.parametrize("path", ["made up"], indirect=True)
def test_pointing_at_the_map_shows_the_image(browser, path):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.support.wait import WebDriverWait

    open_page(browser, path, WIDE)
    point = browser.find_element(
        "css selector", "[data-chart^=feature_map] .mark-symbol.role-mark path"
    )
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", point)
    ActionChains(browser).move_to_element(point).perform()
    shown = "#vg-tooltip-element.visible img"
    image = WebDriverWait(browser, 30).until(
        lambda driver: driver.find_elements("css selector", shown)
    )[0]
    assert image.get_attribute("src").startswith("data:image/")
    assert browser.execute_script(BROKEN) == 0
