"""The report of a study: the same numbers in every format, no active content, no requests, all names as text."""

import base64
import hashlib
import html
import json
import re
from dataclasses import asdict, replace

import plotly.graph_objects as go
import pytest
from markupsafe import escape

from tests.complete_study import complete_results
from tests.reported_study import COMMAND, SESSION, definition, reported
from tests.searched_study import ITS_FIGURES
from tests.tuner.reports.read_page import Read
from zerotune.tuner.reports.export import draw_figures
from zerotune.tuner.reports.figures.registry import FIGURES
from zerotune.tuner.reports.html import page as page_module
from zerotune.tuner.reports.html.page import FIGURE_SECTIONS, render_report
from zerotune.tuner.reports.tables.markup import report_json, report_latex, report_markdown
from zerotune.tuner.reports.tables.result_tables import answer_table, ledger_table
from zerotune.tuner.reports.text.provenance import origin_facts
from zerotune.tuner.reports.text.seeds import format_lost, format_seeds
from zerotune.tuner.reports.text.verdict import first_lines, verdict_text


def written(subject) -> str:
    return render_report(subject, draw_figures(subject))


def markdown_rows(text: str, first_heading: str) -> list[list[str]]:
    """Return the rows of the Markdown table whose first column has this heading, without the heading row."""
    start = next(i for i, line in enumerate(text.splitlines()) if line.startswith(f"| {first_heading} |"))
    rows = []
    for line in text.splitlines()[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = re.split(r"(?<!\\) \| ", line.removeprefix("| ").removesuffix(" |"))
        rows.append([html.unescape(re.sub(r"\\(.)", r"\1", cell)).strip() for cell in cells])
    return rows


LATEX_WORDS = {
    r"$\pm$": "±",
    r"$\checkmark$": "✓",
    "$-$": "-",
    r"\textgreater{}": ">",
    r"\%": "%",
    r"\_": "_",
}


def latex_rows(text: str) -> list[list[str]]:
    body = text.split("\\midrule\n", 1)[1].split("\\bottomrule")[0].replace("\\midrule\n", "")
    for word, character in LATEX_WORDS.items():
        body = body.replace(word, character)
    return [[cell.strip() for cell in line.removesuffix("\\\\").split(" & ")] for line in body.strip().splitlines()]


@pytest.fixture(scope="module")
def subject():
    return reported()


@pytest.fixture(scope="module")
def text(subject) -> str:
    return written(subject)


@pytest.fixture(scope="module")
def read(text) -> Read:
    return Read(text)


# Numbers


def test_page_markdown_and_latex_show_the_same_cells(subject, read):
    expected = [list(row) for row in answer_table(subject).rows]
    assert read.tables["answer"][1:] == expected
    assert [[cell.strip() for cell in row] for row in latex_rows(report_latex(subject))] == expected
    assert markdown_rows(report_markdown(subject), "batch size") == expected


def test_the_cells_are_the_comparisons_numbers(subject, read):
    columns, *rows = read.tables["answer"]
    shown = {(row[0], row[1]): dict(zip(columns, row, strict=True)) for row in rows}
    for row in subject.comparison.rows:
        cells = shown[f"{row.batch_size:,}", row.arm]
        assert cells["test accuracy by seed"] == format_seeds(row.seeds, "accuracy")
        assert cells["lost"] == format_lost(row.seeds)
        assert cells["search trials"] == str(row.search.trials)
        assert float(cells["epochs"].replace(",", "")) == pytest.approx(row.bill["epochs"], rel=0.005)
        assert float(cells["device-seconds"].replace(",", "")) == pytest.approx(row.bill["device_seconds"], rel=0.005)
        assert float(cells["TFLOPs"]) * 1e12 == pytest.approx(row.bill["flops"], rel=0.005)
        if row.verdict:
            assert cells["verdict"] == row.verdict.kind
        if row.verdict and row.verdict.num_pairs:
            low, high = (float(end) / 100 for end in cells["better than tuned by (points)"].split(" to "))
            assert (low, high) == pytest.approx((row.verdict.difference.low, row.verdict.difference.high), abs=5e-5)
        assert bool(cells["saved"]) == row.spares_tuning
        if row.spares_tuning:
            share = int(cells["saved"].strip("%")) / 100
            assert row.savings["device_seconds"].share - 0.01 <= share <= row.savings["device_seconds"].share


def test_json_holds_the_comparison_to_the_last_digit(subject):
    content = json.loads(report_json(subject), parse_constant=pytest.fail)
    assert content["comparison"] == json.loads(json.dumps(asdict(subject.comparison)))
    assert content["verdict"] == verdict_text(subject.comparison, cost="device_seconds")
    assert (content["schema"], content["schema_version"]) == ("zerotune.report", 1)
    assert content["provenance"]["definition"] == subject.origin.definition
    assert content["provenance"]["sessions"] == [SESSION]
    assert content["provenance"]["command"] == COMMAND


def test_the_first_training_began_when_its_workers_did():
    """Four workers ran for an hour each: four device-hours, one hour of wall-clock time."""
    (result, *_) = complete_results()
    cost = replace(result.cost, device_seconds=4 * 3600.0)
    subject = reported(results=[replace(result, cost=cost, num_workers=4, finished_at=10 * 3600.0)])
    assert json.loads(report_json(subject))["provenance"]["began_at"] == 9 * 3600.0
    assert origin_facts(subject)["Trainings begun and ended"] == "1970-01-01 09:00 UTC to 1970-01-01 10:00 UTC"


def test_json_says_numbers_that_it_does_not_know_in_words():
    stored = definition()
    stored["arms"][1]["optimizer"] = {"name": "date", "ratio_high": float("inf")}
    content = json.loads(report_json(reported(stored)), parse_constant=pytest.fail)
    assert content["provenance"]["definition"]["arms"][1]["optimizer"]["ratio_high"] == "inf"


def test_the_ledgers_lines_add_up_to_all_results(subject, read):
    columns, *lines = read.tables["ledger"]
    *lines, total = ([cell.replace(",", "") for cell in line] for line in lines)
    for name in ("trainings", "diverged", "failed", "epochs", "iterations", "samples"):
        place = columns.index(name)
        assert sum(int(line[place]) for line in lines) == int(total[place])
    results = complete_results()
    assert int(total[columns.index("trainings")]) == len(results)
    assert int(total[columns.index("samples")]) == sum(result.cost.samples for result in results)
    assert int(total[columns.index("diverged")]) == sum(result.status == "diverged" for result in results)
    assert len(lines) == len(ledger_table(subject).rows) - 1


@pytest.mark.parametrize("cost", ["flops", "trials"])
def test_savings_are_in_the_currency_that_was_asked_for(subject, cost):
    other = replace(subject, cost=cost)
    row = next(row for row in answer_table(other).rows if row[:2] == ("1,024", "date"))
    saved = subject.comparison.row("date", 1024).savings[cost].share
    assert row[answer_table(other).columns.index("saved")] == f"{int(100 * saved)}%"


# What the page is


def test_the_verdict_stands_first_then_the_question_is_answered_in_numbers(text, subject):
    lead, _, evidence = escape(first_lines(subject.comparison, cost="device_seconds")[0]).partition(". ")
    place = text.index(f"<p><strong>{lead}.</strong> {evidence}</p>")
    assert place < text.index("What was found") < text.index('id="table-answer"')


def test_every_figure_is_in_a_section_with_a_heading_a_caption_and_words_for_who_cannot_see_it(read, text):
    names = [name for name in FIGURES if name not in ITS_FIGURES]
    for name in names:
        assert re.search(rf'<figure id="{name}">\s*<h3', text)
        assert escape(FIGURES[name].reading) in text
    boxes = [found for tag, found in read.tags if found.get("class") == "plot"]
    assert all(box["role"] == "img" and box["aria-label"].startswith("Figure: ") for box in boxes)
    assert len(boxes) == len(names)


def test_a_figure_that_no_section_names_is_in_the_last(subject, monkeypatch):
    one = replace(FIGURES["scores"], reading="How one reads it.")
    monkeypatch.setattr(page_module, "FIGURES", {**FIGURES, "brand_new": one})
    text = render_report(subject, {**draw_figures(subject), "brand_new": go.Figure(go.Scatter(x=[1], y=[1]))})
    assert text.index('id="more"') < text.index('id="brand_new"') < text.index('id="methods"')


def test_sections_name_each_figure_once():
    names = [name for section in FIGURE_SECTIONS for name in section.figures]
    assert len(names) == len(set(names))


def test_links_lead_to_places_and_no_two_places_have_the_same_name(read):
    names = read.values("id")
    assert len(names) == len(set(names))
    assert {link.removeprefix("#") for link in read.values("href")} <= set(names)
    assert {label for found in read.values("aria-labelledby") for label in found.split()} <= set(names)


def test_table_cells_have_headings_that_say_what_they_head(read):
    scopes = [found.get("scope") for tag, found in read.tags if tag == "th"]
    assert set(scopes) == {"col", "row"}
    assert all(len(row) == len(table[0]) for table in read.tables.values() for row in table)


def test_nothing_but_two_scripts_known_by_their_hashes_may_run_and_nothing_may_be_fetched(read):
    (policy,) = (found["content"] for tag, found in read.tags if found.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    scripts = [content for kind, content in read.scripts if kind != "application/json"]
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts}
    assert set(rules["script-src"].split()) == hashes
    assert len(scripts) == 2
    assert (rules["default-src"], rules["connect-src"], rules["form-action"]) == ("'none'", "'none'", "'none'")
    assert read.values("src") == []
    assert all(link.startswith("#") for link in read.values("href"))


def test_the_page_says_where_its_numbers_come_from(subject, read, text):
    assert read.tables["sessions"][1] == [
        "1970-01-01T00:00:00+00:00",
        "0123456789ab, with uncommitted changes",
        "python 3.11.7, zerotune 0.1.0, torch 2.13.0",
        "Some CPU, 2 cores, Linux",
        str(len(subject.results)),
    ]
    shown = html.unescape(text.split("<pre>")[1].split("</pre>")[0])
    assert json.loads(shown) == subject.origin.definition
    assert all(fact in text for fact in ("0123456789ab", COMMAND, "9 for every search and its trials; 0, 1, 2 for"))


def test_trainings_are_counted_for_the_session_in_which_they_ended():
    later = {**SESSION, "begun_at": "1970-01-01T00:00:02+00:00", "git.commit": "f" * 40}
    rows = Read(written(reported(sessions=(SESSION, later)))).tables["sessions"][1:]
    ended_later = sum(result.finished_at >= 2 for result in complete_results())
    assert [int(row[-1]) for row in rows] == [len(complete_results()) - ended_later, ended_later]


def test_a_store_that_keeps_no_sessions_is_said_to(subject):
    assert "not kept in this store" in written(reported(sessions=()))


def test_the_same_study_gives_the_same_page(subject, text):
    assert written(subject) == text


# States of a study


def test_a_study_that_has_only_begun_has_a_page():
    text = written(reported(results=[]))
    assert "B=1,024 cannot be judged: date has no confirmed score." in text
    assert 'id="table-answer"' in text


def test_a_metric_that_is_better_lower_is_said_to_be():
    stored = {**definition(), "metric": "perplexity", "higher_is_better": False, "chance_score": 1.2}
    rows = answer_table(reported(stored)).rows
    date = next(row for row in rows if row[:2] == ("2,048", "defaults"))
    assert date[6].startswith("yes")
