"""A store that others write to may hold any text anywhere; it stays text on pages, in tables and in papers."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.complete_study import complete_results
from tests.outputs import read_csv
from tests.reported_study import SESSION, definition, reported
from tests.tuner.reports.read_page import Read
from zerotune.tuner.reports import export as export_module
from zerotune.tuner.reports.answer import Answer
from zerotune.tuner.reports.export import export
from zerotune.tuner.reports.tables.csv_files import escape_cell, write_csv
from zerotune.tuner.reports.tables.markup import report_json, report_latex, report_markdown
from zerotune.tuner.reports.tables.result_tables import answer_table
from zerotune.tuner.sanitize import INVISIBLE
from zerotune.tuner.trial import TrialResult

HOSTILE = (
    "=</script><script>alert(1)</script>\"'<img src=x onerror=alert(2)>\x1b[2J\u202e\n\\input{x}%$[x](javascript:x)"
    "&amp;#_{}|`*"
)
HANDLER = re.compile(r"on[a-z]+")


def hostile_result(result: TrialResult) -> TrialResult:
    trial = replace(
        result.trial,
        study=HOSTILE,
        arm=HOSTILE if result.trial.arm == "tuned" else result.trial.arm,
        params={**{(HOSTILE if name == "lr" else name): value for name, value in result.trial.params.items()}},
        config=replace(result.trial.config, application=HOSTILE, data=HOSTILE, data_options={HOSTILE: HOSTILE}),
    )
    return replace(result, trial=trial, error=HOSTILE, host=HOSTILE, device=HOSTILE, reused_from=HOSTILE)


@pytest.fixture(scope="module")
def subject() -> Answer:
    """The synthetic study with a hostile text wherever a store holds one."""
    stored: dict[str, Any] = definition(name=HOSTILE, question=HOSTILE, reference=HOSTILE, metric=HOSTILE)
    stored["arms"][0]["name"] = HOSTILE
    stored["application"] = stored["data"]["source"] = HOSTILE
    stored["model"] = {HOSTILE: HOSTILE}
    for search in (stored["arms"][0], stored["baseline"]["tune"]):
        search["space"][HOSTILE] = search["space"].pop("lr")
    results = [hostile_result(result) for result in complete_results()]
    found = reported(stored, results, [{**SESSION, "cpu": HOSTILE, HOSTILE: HOSTILE}])
    assert HOSTILE in found.comparison.facts.arms
    return replace(found, origin=replace(found.origin, fingerprint=HOSTILE, command=HOSTILE))


@pytest.fixture(scope="module")
def files(subject: Answer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_module, "write_images", lambda figures, to: ([], None))
        yield export(subject, tmp_path_factory.mktemp("report"))


def test_files_have_their_own_names_and_stay_in_their_folder(files: list[Path]) -> None:
    (folder,) = {file.parent for file in files}
    assert sorted(file.name for file in folder.iterdir()) == sorted(
        [
            *("report.html", "report.json", "pareto_arms.html", "pareto_trials.html"),
            *("comparison.csv", "trials.csv", "fronts.csv", "budgets.csv", "ledger.csv", "time_to_target.csv"),
        ]
    )


def test_pages_have_no_tag_or_attribute_of_it(files: list[Path]) -> None:
    for page in (file for file in files if file.suffix == ".html"):
        text = page.read_text(encoding="utf-8")
        assert text.count("plotly.js v") == 1, "a page opens without a network"
        assert f"plot-{'pareto_arms' if page.stem == 'report' else page.stem}" in text
        body = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)  # plotly's scripts and ours
        assert "alert(1)" in body
        tags = Read(body).tags
        assert not [tag for tag, _ in tags if tag in ("img", "iframe", "object", "base", "form")]
        assert {attributes.get("type") for tag, attributes in tags if tag == "script"} == {"application/json"}
        assert not [name for _, attributes in tags for name in attributes if HANDLER.fullmatch(name)]
        assert not [a["href"] for tag, a in tags if tag == "a" and not a["href"].startswith("#")]
        assert INVISIBLE.search(body) is None


def test_figures_take_it_for_no_tag_of_theirs(files: list[Path]) -> None:
    text = next(file for file in files if file.name == "report.html").read_text(encoding="utf-8")
    figures = re.findall(r'<script type="application/json">(.*?)</script>', text, flags=re.DOTALL)
    assert all(json.loads(figure).keys() == {"data", "layout", "narrow", "printed"} for figure in figures)
    texts = [found for figure in figures for found in strings(json.loads(figure))]
    assert any("alert(1)" in found for found in texts)
    assert not [found for found in texts if "<script" in found or "<img" in found or INVISIBLE.search(found)]


def strings(value: Any) -> Iterator[str]:
    """Yield every string in JSON-like content."""
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(item)


def test_spreadsheets_are_given_no_formula(files: list[Path]) -> None:
    for table in (file for file in files if file.suffix == ".csv"):
        cells = [text for row in read_csv(table) for text in row.values()]
        assert not [text for text in cells if re.match(r"[=@\t\r]|[+-](?![\d.]|inf)", text)]
        assert not [text for text in cells if INVISIBLE.search(text)]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_a_spreadsheet_would_compute_is_a_text(tmp_path: Path, start: str) -> None:
    assert str(escape_cell(f"{start}1+cmd|x")).startswith(("'", "�"))
    write_csv(tmp_path / "x.csv", [{"a": f"{start}1", "b": -1.5, "c": None}])
    assert (tmp_path / "x.csv").read_text(encoding="utf-8").splitlines()[1].endswith(",-1.5,")


def test_markdown_has_no_tag_and_no_link_of_it(subject: Answer) -> None:
    text = report_markdown(subject)
    assert "alert(1)" in text
    assert "<" not in text
    assert not re.search(r"(?<!\\)\]\(", text)
    table = answer_table(subject)
    rows = [line for line in text.splitlines() if line.startswith("|")][: 2 + len(table.rows)]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {1 + len(table.columns)}
    assert INVISIBLE.search(text) is None


def test_latex_has_no_command_of_it(subject: Answer) -> None:
    text = report_latex(subject)
    assert "alert(1)" in text
    code = [line for line in text.splitlines() if not line.startswith("% ")]
    assert not [line for line in code if r"\input" in line or re.search(r"(?<!\\)[%#]", line)]
    rows = [line for line in code if " & " in line]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(answer_table(subject).columns) - 1}
    assert not [row for row in rows if re.search(r"(?<!\\)_", row)]
    assert INVISIBLE.search(text) is None


def test_json_holds_it_as_it_is_in_characters_that_are_seen(subject: Answer) -> None:
    text = report_json(subject)
    assert INVISIBLE.search(text) is None
    assert json.loads(text)["comparison"]["facts"]["question"] == HOSTILE
