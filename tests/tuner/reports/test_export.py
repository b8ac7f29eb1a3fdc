"""The files that a study is exported to, and the output on a terminal."""

import io
import json
import shutil
from dataclasses import replace

import plotly.graph_objects as go
import pytest
from rich.console import Console

from tests.outputs import printed, read_csv
from tests.reported_study import reported
from tests.searched_study import ITS_FIGURES
from tests.synthetic_study import facts, study_results
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.reports import export as export_module
from zerotune.tuner.reports.export import export
from zerotune.tuner.reports.figures import images as pictures
from zerotune.tuner.reports.figures.registry import FIGURES
from zerotune.tuner.reports.tables.terminal import print_answer

FIND_CHROME = ("chromium", "chromium-browser", "google-chrome", "chrome")


def test_the_tables_hold_the_comparison(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(export_module, "write_images", lambda figures, to: ([], "no browser"))
    results = study_results()
    comparison = compare(facts(), results)
    subject = replace(reported(), comparison=comparison, results=results, cost="flops")
    files = export(subject, tmp_path / "out")
    assert all(file.is_file() for file in files)
    assert capsys.readouterr().err == "no browser\n"
    rows = read_csv(tmp_path / "out" / "comparison.csv")
    assert len(rows) == 1 + 3 * 6
    date = next(row for row in rows if (row["arm"], row["batch_size"]) == ("date", "1024"))
    assert float(date["test_score"]) == comparison.row("date", 1024).score.mean
    assert float(date["saved.trials"]) == 11 / 12
    assert len(read_csv(tmp_path / "out" / "trials.csv")) == len(results)
    assert {row["over"] for row in read_csv(tmp_path / "out" / "fronts.csv")} == {"arms", "trials"}
    ledger = read_csv(tmp_path / "out" / "ledger.csv")
    assert int(ledger[-1]["flops"]) == sum(int(row["flops"]) for row in ledger[:-1])
    content = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))["comparison"]
    assert content["facts"]["name"] == "synthetic"
    assert len(content["rows"]) == 18


def test_the_report_has_every_figure_that_applies_and_the_pareto_figures_have_pages_of_their_own(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(export_module, "write_images", lambda figures, to: (drawn.extend(figures), ([], None))[1])
    results = study_results()
    files = export(replace(reported(), comparison=compare(facts(), results), results=results), tmp_path)
    html = sorted(file.name for file in files if file.suffix == ".html")
    assert html == ["pareto_arms.html", "pareto_trials.html", "report.html"]
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    need_more = ("learning_curves", "time_to_target", "importances", "surface", *ITS_FIGURES)
    assert drawn == [name for name in FIGURES if name not in need_more]
    assert [name for name in FIGURES if f'"plot-{name}"' in report] == drawn


def test_pictures_are_drawn_where_they_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "write_images", lambda *_: pytest.fail("a picture was drawn"))
    files = export(reported(), tmp_path, pictures=False)
    assert {file.suffix for file in files} == {".html", ".json", ".csv"}


@pytest.mark.skipif(not any(map(shutil.which, FIND_CHROME)), reason="needs Chrome or Chromium on the path")
@pytest.mark.browser
def test_pictures_are_drawn_where_a_browser_is_present(tmp_path):
    files, notice = pictures.write_images({"one": go.Figure(go.Scatter(x=[1, 2], y=[1, 2]))}, tmp_path)
    assert notice is None
    assert [file.name for file in files] == ["one.png", "one.svg"]
    assert files[0].read_bytes().startswith(b"\x89PNG")
    assert "<svg" in files[1].read_text(encoding="utf-8")


def test_a_hanging_browser_costs_the_pictures_and_nothing_else(tmp_path):
    (tmp_path / "one.png").write_bytes(b"of an earlier export")
    files, notice = pictures.write_images({"one": go.Figure()}, tmp_path, time_limit=0.05)
    assert files == []
    assert notice is not None
    assert "took more than 0.05 s" in notice
    assert list(tmp_path.iterdir()) == []


def test_a_missing_browser_is_named_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "absent"))
    files, notice = pictures.write_images({"one": go.Figure()}, tmp_path)
    assert files == []
    assert notice is not None
    assert "no Chrome or Chromium was found" in notice


def answer(comparison, width=100):
    return printed(print_answer, comparison, width=width)


def test_the_answer_fits_a_hundred_columns_and_starts_with_the_finding():
    text = answer(compare(facts(), study_results()))
    assert max(map(len, text.splitlines())) <= 100
    assert text.startswith("Yes, but less certain: skip tuning at B=1,024 (date, legw or sqrt).")
    assert "incl." in text
    assert "12 diverged, 4 failed" in text


def test_what_to_do_stands_out_from_its_evidence():
    console = Console(width=1_000, file=io.StringIO(), force_terminal=True, color_system="standard")
    print_answer(compare(facts(), study_results()), console)
    first, *_ = console.file.getvalue().splitlines()
    assert first.startswith(
        "\x1b[1mYes, but less certain: skip tuning at B=1,024 (date, legw or sqrt).\x1b[0m 3 of 3 trainings"
    )


def test_long_arm_names_still_fit():
    name = "a name of an arm that somebody made far too long for any table"
    study = facts(arms=(name, *facts().arms[1:]), reference=name)
    results = [
        replace(found, trial=replace(found.trial, arm=name)) if found.trial.arm == "tuned" else found
        for found in study_results()
    ]
    assert max(map(len, answer(compare(study, results)).splitlines())) <= 100


def test_a_narrow_terminal_gets_fewer_columns_and_is_reported_so():
    comparison = compare(facts(), study_results())
    wide, narrow = answer(comparison, width=130), answer(comparison, width=80)
    assert max(map(len, narrow.splitlines())) <= 80
    assert "TFLOPs  saved" in wide
    assert "TFLOPs  saved" not in narrow
    assert "device-s" in narrow
    assert "left out" in narrow
    assert "left out" not in wide


def test_names_are_never_read_as_terminal_markup():
    study = facts(name="[red]study[/red]", question="[/]")
    assert "[red]study[/red]: [/]" in answer(compare(study, study_results()))


def test_a_stated_baseline_is_said_to_be_unbilled():
    results = [found for found in study_results() if found.trial.role != "baseline"]
    comparison = compare(facts(), results)
    assert "the baseline was stated, so its tuning is not billed" in answer(comparison)
    assert "stated, not billed" in answer(comparison)


def test_the_baselines_line_has_its_own_trials_and_that_of_an_arm_stands_below():
    own = [replace(run, trial=replace(run.trial, arm="date baseline")) for run in study_results()[:4]]
    lines = answer(compare(facts(), [*study_results(), *own])).splitlines()
    (shared,) = [line for line in lines if line.startswith("Baseline at B0=256")]
    assert "tuned in 12 trials" in shared
    assert [line for line in lines if line.startswith("Date baseline at B0=256: tuned in 4 trials, ")]
    stated = [run for run in study_results() if run.trial.role != "baseline"]
    lines = answer(compare(facts(), [*stated, *own])).splitlines()
    assert [line for line in lines if line.startswith("Baseline at B0=256: stated, not billed; it scores")]


def test_arms_without_a_yes_have_no_saving():
    lines = answer(compare(facts(), study_results())).splitlines()
    assert next(line for line in lines if line.startswith("date ")).count("89%") == 1
    assert next(line for line in lines if line.startswith("linear ")).count("%") == 1  # the median
    assert "(9" not in next(line for line in lines if line.startswith("date"))


def test_a_study_that_has_only_begun_prints_without_numbers():
    text = answer(compare(facts(), []))
    assert "B=1,024 cannot be judged: date has no confirmed score." in text
