"""In a real browser, a user finds the answer, compares the arms and views a study's runs in the MLflow UI."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.chromium import MARKS
from tests.judged_study import AS_FIVE, FAR, FARTHER, FIVE, ONE_LOST, judged
from tests.tuner.store.mlflow_server import mlflow_server
from zerotune.tuner.reports.answer import Answer
from zerotune.tuner.reports.export import draw_figures
from zerotune.tuner.reports.html.page import render_figure_page, render_report
from zerotune.tuner.run.answer import write_answer
from zerotune.tuner.store import Store, default_tracking_uri, ui_links

PATIENCE_SECONDS = 40
WIDTH = 1440
SCROLL_ALL_TO_THEIR_END = """
for (const part of document.querySelectorAll("*"))
  if (part.scrollHeight > part.clientHeight) part.scrollTop = part.scrollHeight;
"""
RIGHT_ENDS = """
const leaves = [...document.querySelectorAll("*")].filter(e => !e.children.length);
const found = leaves.filter(e => arguments[0].includes(e.textContent));
return Object.fromEntries(found.map(e => [e.textContent, e.getBoundingClientRect().right]));
"""
"""Where on the screen the elements with these texts end, in pixels from the left."""

pytestmark = MARKS


def answered() -> Answer:
    """Return a study with a clear yes at 1,024, at 2,048 a no and an unreliable rule, and 4,096, which is too large."""
    return judged(
        {
            1024: {"tuned": FIVE, "legw": AS_FIVE, "sqrt": FAR},
            2048: {"tuned": FIVE, "legw": ONE_LOST, "sqrt": FAR},
            4096: {"tuned": FAR, "legw": FARTHER, "sqrt": FARTHER},
        }
    )


@pytest.fixture(scope="module")
def links(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Links into the UI of this study, written as `zerotune run` writes one."""
    root = tmp_path_factory.mktemp("mlruns")
    uri = default_tracking_uri(root)
    _fill(uri, root)
    with mlflow_server(uri, root) as port:
        yield {"experiments": f"http://127.0.0.1:{port}/#/experiments", **dict(ui_links(uri, "synthetic", port))}


@pytest.fixture(autouse=True)
def _laptop(browser: WebDriver) -> None:
    """Give the window the width of a laptop's screen."""
    browser.set_window_size(WIDTH, 900)


def test_the_experiment_list_shows_the_study(browser: WebDriver, links: dict[str, str], screenshots: Path) -> None:
    assert _missing(browser, links["experiments"], ["synthetic", "A zerotune study"]) == []
    browser.save_screenshot(str(screenshots / "experiments.png"))


def test_the_first_screen_answers_the_question(browser: WebDriver, links: dict[str, str], screenshots: Path) -> None:
    arms = [f"{arm} B={size}" for arm in ("tuned", "legw", "sqrt") for size in (1024, 2048, 4096)]
    columns = ["lost_seeds", "skip_tuning", "test_score", "trainings_needed", "trainings_spared", "verdict"]
    verdicts = ["reference", "yes", "worse", "unreliable", "batch too large"]
    shown = ["study: synthetic", "baseline B=256", *arms, *columns, *verdicts, "0.989", "11 matching runs"]
    assert _missing(browser, links["answer"], shown) == []
    browser.save_screenshot(str(screenshots / "answer.png"))
    for close in browser.find_elements(By.XPATH, "//button[@data-component-id='mlflow.assistant.chat_panel.close']"):
        close.click()  # a panel that MLflow opens on its first page, until it is closed
    ends = browser.execute_script(RIGHT_ENDS, columns)
    assert [name for name in columns if ends.get(name, WIDTH) >= WIDTH] == []
    browser.save_screenshot(str(screenshots / "answer-wide.png"))


def test_the_studys_run_begins_with_the_verdict_and_leads_to_the_report(
    browser: WebDriver, links: dict[str, str], screenshots: Path
) -> None:
    overview = links["figures and tables"].replace("/artifacts", "")
    verdict = "At B=1,024 you need not tune again (legw); at B=2,048 you must"
    assert _missing(browser, overview, [verdict, "Report with all figures"]) == []
    browser.save_screenshot(str(screenshots / "study.png"))
    report = browser.find_element(By.XPATH, "//a[text()='Report with all figures']").get_attribute("href")
    assert report is not None
    assert _missing(browser, report, ["report.html", "pareto_arms.html"]) == []
    frame = WebDriverWait(browser, PATIENCE_SECONDS).until(lambda page: page.find_element(By.TAG_NAME, "iframe"))
    browser.switch_to.frame(frame)
    try:
        assert _missing(browser, None, ["Yes: skip tuning at B=1,024 (legw)."]) == []
    finally:
        browser.switch_to.default_content()
        browser.save_screenshot(str(screenshots / "report.png"))


def test_the_runs_page_shows_the_study_its_arms_and_trials(
    browser: WebDriver, links: dict[str, str], screenshots: Path
) -> None:
    shown = ["study: synthetic", "tuned B=2048", "legw B=2048", "83 matching runs"]
    assert _missing(browser, links["all runs"], shown) == []
    browser.save_screenshot(str(screenshots / "runs.png"))


def test_the_confirmation_runs_stand_together_with_their_scores(
    browser: WebDriver, links: dict[str, str], screenshots: Path
) -> None:
    shown = ["legw B=1024 lr=0.12 confirm seed=1", "test_score", "lr", "arm", "0.989", "50 matching runs"]
    assert _missing(browser, links["confirmation runs"], shown) == []
    browser.save_screenshot(str(screenshots / "confirmed.png"))


def test_the_arms_are_compared_side_by_side(browser: WebDriver, links: dict[str, str], screenshots: Path) -> None:
    link = links["compare tuned, legw, sqrt at B=4,096"]
    assert _missing(browser, link, ["Comparing 3 Runs", "tuned B=4096", "legw B=4096", "batch_size"]) == []
    browser.save_screenshot(str(screenshots / "compare.png"))

    bottom = ["test_score", "verdict", "batch too large"]
    assert _missing(browser, None, bottom, scroll=True) == []
    browser.save_screenshot(str(screenshots / "compare-metrics.png"))
    assert "mlflow.zerotune" not in _visible_text(browser)


def test_the_pareto_figure_is_drawn(browser: WebDriver, links: dict[str, str], screenshots: Path) -> None:
    assert _missing(browser, links["figures and tables"], ["study.json", "report"]) == []
    browser.find_element(By.XPATH, "//*[text()='report']").click()
    assert _missing(browser, None, ["pareto_arms.html"]) == []
    browser.find_element(By.XPATH, "//*[text()='pareto_arms.html']").click()
    frame = WebDriverWait(browser, PATIENCE_SECONDS).until(lambda page: page.find_element(By.TAG_NAME, "iframe"))
    browser.switch_to.frame(frame)
    try:
        assert _missing(browser, None, ["legw", "tuned"]) == []
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
    found = answered()
    store = Store(uri, "synthetic", "0123456789ab", found.origin.definition, {"tuned": "grid"})
    store.sync(found.results)
    figures = draw_figures(found)
    pages = {
        "report": render_report(found, figures),
        "pareto_arms": render_figure_page(found, "pareto_arms", figures["pareto_arms"]),
    }
    for name, text in pages.items():
        (root / f"{name}.html").write_text(text, encoding="utf-8")
    write_answer(store, found, [root / f"{name}.html" for name in pages])
