"""Makes a picture of the top of a page, docs/figures/report.jpg.

python docs/figures/screenshot.py runs/demo/report.html docs/figures/report.jpg

Needs selenium, Chromium and chromedriver.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

WIDTH, HEIGHT = 1100, 1500


def screenshot(page):
    """Returns a PIL image of the top of an HTML file."""
    options = webdriver.ChromeOptions()
    for argument in ("headless=new", "no-sandbox", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    service = Service(shutil.which("chromedriver"))
    browser = webdriver.Chrome(options=options, service=service)
    try:
        size = {"width": WIDTH, "height": HEIGHT}
        metrics = {**size, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(Path(page).resolve().as_uri())
        drawn = "return document.documentElement.dataset.drawn"
        WebDriverWait(browser, 60).until(lambda driver: driver.execute_script(drawn))
        return Image.open(io.BytesIO(browser.get_screenshot_as_png()))
    finally:
        browser.quit()


if __name__ == "__main__":
    screenshot(sys.argv[1]).convert("RGB").save(sys.argv[2], quality=75)
