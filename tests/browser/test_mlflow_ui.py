"""In a real browser, a user finds, compares and views a study's runs in the MLflow UI."""

import time
from collections.abc import Iterator
from pathlib import Path

import plotly.graph_objects as go
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.chromium import MARKS
from tests.tuner.analysis.synthetic_results import make_result
from tests.tuner.store.mlflow_server import mlflow_server
from zerotune.tuner.store import Store, default_tracking_uri, ui_links

PATIENCE_SECONDS = 60
SCROLL_ALL_TO_THEIR_END = """
for (const part of document.querySelectorAll("*"))
  if (part.scrollHeight > part.clientHeight) part.scrollTop = part.scrollHeight;
"""

pytestmark = MARKS


@pytest.fixture(scope="module")
def links(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Links into the UI of a small study with a tuned arm, a DATE arm and a Pareto figure."""
    root = tmp_path_factory.mktemp("mlruns")
    uri = default_tracking_uri(root)
    _fill(uri, root)
    with mlflow_server(uri, root) as port:
        yield {"experiments": f"http://127.0.0.1:{port}/#/experiments", **dict(ui_links(uri, "small", port))}


def test_the_experiment_list_shows_the_study(browser: WebDriver, links: dict[str, str], screenshots: Path) -> None:
    assert _missing(browser, links["experiments"], ["small", "A zerotune study"]) == []
    browser.save_screenshot(str(screenshots / "experiments.png"))


def test_the_runs_page_shows_the_study_and_its_arms(
    browser: WebDriver, links: dict[str, str], screenshots: Path
) -> None:
    shown = ["study: small", "grid B=8192", "date B=8192", "13 matching runs"]
    assert _missing(browser, links["all runs"], shown) == []
    browser.save_screenshot(str(screenshots / "runs.png"))


def test_the_confirmation_runs_stand_together_with_their_scores(
    browser: WebDriver, links: dict[str, str], screenshots: Path
) -> None:
    names = [
        f"{arm} confirm seed={seed}"
        for arm in ("grid B=8192 lr=0.0035", "date B=8192 lr=0.00354")
        for seed in (0, 1, 2)
    ]
    shown = [*names, "test_score", "lr", "arm", "0.888", "6 matching runs"]
    assert _missing(browser, links["confirmation runs"], shown) == []
    browser.save_screenshot(str(screenshots / "confirmed.png"))


def test_tuned_and_date_runs_are_compared_side_by_side(
    browser: WebDriver, links: dict[str, str], screenshots: Path
) -> None:
    top = [
        *("grid B=8192 lr=0.0035 confirm seed=1", "date B=8192 lr=0.00354 confirm seed=1"),
        *("optimizer.weight_decay", "warmup_epochs", "cost/flops"),
    ]
    assert _missing(browser, links["compare date, grid at B=8192"], top) == []
    browser.save_screenshot(str(screenshots / "compare.png"))

    bottom = ["test_score", "validation_score", "zerotune.fingerprint"]
    assert _missing(browser, None, bottom, scroll=True) == []
    browser.save_screenshot(str(screenshots / "compare-metrics.png"))
    assert "mlflow.zerotune" not in _visible_text(browser)


def test_the_pareto_figure_is_drawn(browser: WebDriver, links: dict[str, str], screenshots: Path) -> None:
    assert _missing(browser, links["figures and tables"], ["study.json", "figures"]) == []
    browser.find_element(By.XPATH, "//*[text()='figures']").click()
    assert _missing(browser, None, ["pareto.html"]) == []
    browser.find_element(By.XPATH, "//*[text()='pareto.html']").click()
    frame = WebDriverWait(browser, PATIENCE_SECONDS).until(lambda page: page.find_element(By.TAG_NAME, "iframe"))
    browser.switch_to.frame(frame)
    try:
        assert _missing(browser, None, ["Pareto front: cost against score", "DATE"]) == []
    finally:
        browser.switch_to.default_content()
        browser.save_screenshot(str(screenshots / "pareto.png"))


def _missing(browser: WebDriver, link: str | None, expected: list[str], *, scroll: bool = False) -> list[str]:
    """Open the page, if a link is given, wait, and return the expected texts that it still does not show.

    Long tables draw only the rows that are visible: `scroll` moves every part of the page to its end first.
    """
    if link:
        browser.get("about:blank")  # the UI reads the part after # only on a fresh load
        browser.get(link)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        if scroll:
            browser.execute_script(SCROLL_ALL_TO_THEIR_END)
        text = _visible_text(browser)
        missing = [part for part in expected if part not in text]
        if not missing or time.monotonic() > deadline:
            return missing
        time.sleep(0.5)


def _visible_text(browser: WebDriver) -> str:
    return str(browser.execute_script("return document.body.innerText") or "")


def _fill(uri: str, root: Path) -> None:
    store = Store(uri, "small", "0123abcd", {"name": "small"}, {"grid": "grid", "date": "date"})
    for index, lr in enumerate((0.001, 0.002, 0.0035, 0.007)):
        store.write(make_result("grid", index, role="search", lr=lr, status="diverged" if lr == 0.007 else "finished"))
    for seed in range(3):
        store.write(make_result("grid", seed, lr=0.0035))
        store.write(make_result("date", seed))
    for arm in ("grid", "date"):
        store.summarise(arm, 8192, {"mean_test_score": 0.888}, {"verdict": "matches"})
    figure = go.Figure(go.Scatter(x=[1, 7], y=[0.888, 0.887], mode="markers+text", text=["DATE", "grid"]))
    figure.update_layout(title="Pareto front: cost against score")
    path = root / "pareto.html"
    figure.write_html(path)
    store.log_artifacts([path], "figures")
    store.finish()
