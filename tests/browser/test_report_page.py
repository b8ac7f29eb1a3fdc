"""A study's report in a real browser: on a phone, on a desktop and on paper, offline and without errors."""

import base64
import json
import re
import socket
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.chromium import MARKS
from tests.reported_study import renamed, reported
from zerotune.tuner.reports.export import draw_figures
from zerotune.tuner.reports.html.document import page_figure, render_page
from zerotune.tuner.reports.html.page import render_report

PATIENCE_SECONDS = 120
PHONE, TABLET, DESK = 390, 820, 1200
PAPER_HEIGHT = 1017
"""Height of an A4 page between its margins, in CSS pixels."""
MODES = "return Array.from(document.querySelectorAll('.plot'), plot => plot.dataset.drawn)"
EMPTY = """
return Array.from(document.querySelectorAll('.plot')).filter(plot => {
  const canvas = plot.querySelector('canvas'), marks = plot.querySelectorAll('.main-svg path, .main-svg .point');
  return !canvas && marks.length < 3;
}).map(plot => plot.id)
"""
TOO_WIDE = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
WATCH_PRINTING = """
window.printed = null;
addEventListener('beforeprint', () => { window.printed = {
  modes: Array.from(document.querySelectorAll('.plot'), plot => plot.dataset.drawn),
  closed: document.querySelectorAll('details:not([open])').length,
  heights: Array.from(document.querySelectorAll('.plot .main-svg'), svg => svg.getAttribute('height') * 0.72),
}; })
"""

pytestmark = MARKS
"""The tests come in an order in which most find their page open."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the synthetic study, with three batch sizes."""
    file = tmp_path_factory.mktemp("page") / "report.html"
    subject = reported()
    file.write_text(render_report(subject, draw_figures(subject)), encoding="utf-8")
    return file


def check_page(browser: Chrome, mode: str) -> None:
    """Check that every figure is drawn, with no error and no request, and that nothing is wider than the screen."""
    assert set(browser.execute_script(MODES)) == {mode}
    assert browser.execute_script(EMPTY) == []
    assert browser.execute_script(TOO_WIDE) <= 0
    assert errors(browser) == []
    assert requests(browser) == set()


def show(browser: Chrome, file: Path, width: int) -> None:
    """Open a page on a screen of this width and wait until its figures are drawn. Discards earlier logs.

    A page that is open at this width is kept, since drawing its figures takes seconds.
    """
    if (browser.current_url, browser.execute_script("return innerWidth")) == (file.as_uri(), width):
        return
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(file.as_uri())
    wait_for(browser, lambda modes: all(modes))


def wait_for(browser: Chrome, wanted: Any) -> None:
    WebDriverWait(browser, PATIENCE_SECONDS).until(lambda page: wanted(page.execute_script(MODES)))


def errors(browser: Chrome) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def requests(browser: Chrome) -> set[str]:
    """Return the addresses that the page requested, without inlined ones and its own file."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    ours = [found for found in asked if found["documentURL"].startswith("file:")]
    return {found["request"]["url"] for found in ours if not found["request"]["url"].startswith(("file:", "data:"))}


def test_on_paper_figures_are_redrawn_whole_and_what_was_folded_is_open(
    browser: Chrome, report: Path, screenshots: Path
) -> None:
    show(browser, report, DESK)
    browser.execute_script(WATCH_PRINTING)
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    (screenshots / "report.pdf").write_bytes(pdf)
    printed = browser.execute_script("return window.printed")
    assert set(printed["modes"]) == {"printed"}
    assert printed["closed"] == 0
    assert 0 < max(printed["heights"]) < PAPER_HEIGHT
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 4
    wait_for(browser, lambda modes: set(modes) == {"wide"})
    assert browser.execute_script("return document.querySelectorAll('details[open]').length") == 0
    assert errors(browser) == []


@pytest.mark.parametrize(("width", "mode"), [(DESK, "wide"), (PHONE, "narrow")])
def test_every_figure_is_drawn_without_an_error_a_request_or_a_page_wider_than_the_screen(
    browser: Chrome, report: Path, screenshots: Path, width: int, mode: str
) -> None:
    show(browser, report, width)
    check_page(browser, mode)
    whole = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    (screenshots / f"report-{width}.png").write_bytes(base64.b64decode(whole["data"]))


def test_a_screen_that_is_turned_gets_the_other_layout(browser: Chrome, report: Path) -> None:
    """A phone that is turned is about as wide as a tablet."""
    show(browser, report, PHONE)
    turned = {"width": TABLET, "height": PHONE, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", turned)
    wait_for(browser, lambda modes: set(modes) == {"wide"})
    check_page(browser, "wide")


def test_what_finds_a_way_in_neither_runs_nor_sends(browser: Chrome, report: Path) -> None:
    show(browser, report, TABLET)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(1)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        browser.execute_script(
            "const own = document.createElement('script'); own.textContent = 'window.ran = 1';"
            "document.body.append(own);"
            "const far = document.createElement('script'); far.src = arguments[0]; document.body.append(far);"
            "const picture = new Image(); picture.src = arguments[0]; document.body.append(picture);",
            f"{address}/x.js",
        )
        fetched = "fetch(arguments[0]).then(() => arguments[1]('sent'), () => arguments[1]('refused'))"
        assert browser.execute_async_script(fetched, address) == "refused"
        with pytest.raises(TimeoutError):
            listener.accept()
    assert browser.execute_script("return window.ran || 0") == 0
    assert len([message for message in errors(browser) if "Content Security Policy" in message]) >= 4


def test_names_that_are_scripts_do_nothing(browser: Chrome, tmp_path: Path) -> None:
    subject = renamed("tuned", "</script><script>window.ran = 1</script><img src=x onerror='window.ran = 2'>")
    (tmp_path / "hostile.html").write_text(render_report(subject, draw_figures(subject)), encoding="utf-8")
    show(browser, tmp_path / "hostile.html", DESK)
    assert browser.execute_script("return window.ran || 0") == 0
    assert browser.execute_script(EMPTY) == []
    assert errors(browser) == []
    assert requests(browser) == set()


def test_figures_of_any_kind_are_drawn_under_the_pages_policy(browser: Chrome, tmp_path: Path) -> None:
    figures = {
        "lines": go.Figure(go.Scatter(x=[1, 2, 3], y=[1, 3, 2])),
        "parallel": go.Figure(go.Parcoords(dimensions=[{"label": name, "values": [1, 2, 3]} for name in "abc"])),
        "surface": go.Figure(go.Contour(z=[[1, 2, 3], [2, 3, 4]])),
        "cells": go.Figure(go.Heatmap(z=[[1, 2], [3, 4]])),
    }
    drawn = [page_figure(name, figure, "How it is read.") for name, figure in figures.items()]
    (tmp_path / "any.html").write_text(render_page("any", drawn), encoding="utf-8")
    show(browser, tmp_path / "any.html", PHONE)
    assert set(browser.execute_script(MODES)) == {"narrow"}
    assert browser.execute_script("return document.querySelectorAll('.plot .main-svg').length") >= len(figures)
    assert browser.execute_script(TOO_WIDE) <= 0
    assert errors(browser) == []
    assert requests(browser) == set()
