"""Performance profiles as a table, a figure and files, and the command that writes them."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tests.outputs import printed, read_csv
from tests.synthetic_study import confirmations, facts, result, study_results
from zerotune.tuner.analysis.comparison import Comparison, compare
from zerotune.tuner.analysis.provenance import Origin
from zerotune.tuner.commands import page_files
from zerotune.tuner.commands.options import StoredStudy
from zerotune.tuner.commands.profile.command import profile
from zerotune.tuner.commands.profile.figure import profile_figure, write_profile
from zerotune.tuner.commands.profile.profiles import TAU_MAX, PerformanceProfiles, performance_profiles
from zerotune.tuner.commands.profile.text import print_profiles
from zerotune.tuner.commands.terminal import console
from zerotune.tuner.errors import BadInput
from zerotune.tuner.reports.answer import Answer
from zerotune.tuner.reports.figures.style import arm_styles

NAME = "<b>date</b> [red]"
NOWHERE = Origin(definition={}, fingerprint="", sessions=(), command="")


@pytest.fixture(scope="module")
def comparisons() -> list[Comparison]:
    scores = [0.90, 0.92, 0.91]
    other = [result("tuned", 1024, "search", index, validation=0.9, finished_at=-1.0) for index in range(4)]
    other += [*confirmations("tuned", 1024, scores), *confirmations("date", 1024, scores)]
    return [
        compare(facts(), study_results()),
        compare(facts(name="other", arms=("tuned", "date"), batch_sizes=(1024,)), other),
    ]


@pytest.fixture(scope="module")
def found(comparisons: list[Comparison]) -> PerformanceProfiles:
    return performance_profiles(comparisons, "trials", with_baseline=False)


def renamed(found: PerformanceProfiles, name: str) -> PerformanceProfiles:
    return replace(found, arms=tuple(replace(profile, arm=name) for profile in found.arms[:1]))


# The table


@pytest.mark.parametrize("width", [80, 110])
def test_the_table_counts_workloads_and_shows_both_areas(
    comparisons: list[Comparison], found: PerformanceProfiles, width: int
) -> None:
    with_baseline = performance_profiles(comparisons, "trials", with_baseline=True)
    text = printed(print_profiles, found, with_baseline, width=width)
    cells = [re.split(r"(?<!of) +(?!of)", line) for line in text.splitlines()]
    rows = {row[0]: [re.sub(" +", " ", cell) for cell in row[1:]] for row in cells if row[0] in ("tuned", "date")}
    # date costs 1 training, tuned 12, 12, 12 and 4. With the baseline's 12 trials date costs 13 in one study; the other
    # study's baseline was stated.
    assert rows["date"] == ["4 of 4", "0 of 4", "4 of 4", "4 of 4", "4 of 4", "1.00", "0.98"]  # 0.987, rounded down
    area = 1 - (3 * math.log(12) + math.log(4)) / math.log(100) / 4
    with_baseline_area = 1 - math.log(4) / math.log(100) / 4
    assert rows["tuned"] == [
        "4 of 4", "0 of 4", "0 of 4", "0 of 4", "1 of 4", f"{area:.2f}", f"{with_baseline_area:.2f}"
    ]  # fmt: skip
    assert "synthetic at B=1,024, 2,048, 4,096; other at B=1,024" in " ".join(text.split())
    assert "Left out: legw, sqrt, linear, defaults, which do not stand in other." in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= width


def test_the_arm_with_the_largest_area_stands_first_and_in_the_headline(found: PerformanceProfiles) -> None:
    text = printed(print_profiles, found, found)
    assert text.index("\ndate ") < text.index("\ntuned ")
    assert text.startswith(
        "Of 2 arms date comes first, with an area of 1.00: cheapest of those as good as the reference"
    )


def test_an_arm_that_no_other_is_compared_with_is_not_called_the_first(comparisons: list[Comparison]) -> None:
    alone = compare(facts(name="alone", arms=("tuned",), batch_sizes=(1024,)), study_results())
    text = printed(print_profiles, *[performance_profiles([alone], "trials", with_baseline=False)] * 2)
    assert text.startswith("tuned is the only arm that all studies have: there is nothing to compare it with")


def test_arms_of_one_area_come_first_together(found: PerformanceProfiles) -> None:
    equal = replace(found, arms=tuple(replace(profile, area=0.75) for profile in found.arms))
    assert printed(print_profiles, equal, equal).startswith("tuned and date come first together, with an area of 0.75")


def test_names_are_never_read_as_markup(found: PerformanceProfiles) -> None:
    odd = renamed(found, NAME)
    assert NAME in printed(print_profiles, odd, odd)
    assert "<b>date" not in str(profile_figure(odd).to_plotly_json()["data"])


# The figure


def test_the_line_of_an_arm_is_its_profile(found: PerformanceProfiles) -> None:
    figure = profile_figure(found)
    lines = {trace.legendgroup: trace for trace in figure.data if trace.mode == "lines"}
    assert list(lines["date"].x) == [1.0, TAU_MAX]
    assert list(lines["date"].y) == [1.0, 1.0]
    assert list(lines["tuned"].x) == [1.0, 4.0, 12.0, 12.0, 12.0, TAU_MAX]
    assert list(lines["tuned"].y) == [0.0, 0.25, 1.0, 1.0, 1.0, 1.0]
    assert lines["tuned"].line.shape == "hv"
    styles = arm_styles(["tuned", "date"])
    assert {name: line.line.color for name, line in lines.items()} == {
        name: style.colour for name, style in styles.items()
    }


def test_a_marker_is_a_workload_that_the_arm_solved(found: PerformanceProfiles) -> None:
    markers = {trace.legendgroup: trace for trace in profile_figure(found).data if trace.mode == "markers"}
    assert list(markers["date"].x) == [1.0] * 4
    assert list(markers["tuned"].x) == [4.0, 12.0, 12.0, 12.0]
    assert any(
        "tuned on other at B=1,024: reference, 4 times the cheapest" in text for text in markers["tuned"].hovertext
    )


# The files


def test_the_files_hold_the_figure_and_every_number_behind_it(
    found: PerformanceProfiles, tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(page_files, "write_images", lambda *_, **__: ([], "no browser"))
    files = write_profile(found, tmp_path / "new")
    assert [file.name for file in files] == ["profile.html", "profile.csv"]
    assert capsys.readouterr().err == "no browser\n"
    page = files[0].read_text(encoding="utf-8")
    assert "Left out: legw, sqrt, linear, defaults, which do not stand in other." in page
    assert "<script src" not in page
    records = read_csv(files[1])
    shown = [(r["arm"], r["study"], r["batch_size"], r["finding"], r["bill"], r["ratio"]) for r in records]
    assert len(shown) == 8
    assert ("tuned", "other", "1024", "reference", "4.0", "4.0") in shown
    assert ("date", "synthetic", "4096", "yes, but", "1.0", "1.0") in shown


# The command


def command(comparisons: list[Comparison], *words: str) -> tuple[int, str, BaseException | None]:
    by_name = {comparison.facts.name: comparison for comparison in comparisons}
    app = typer.Typer()
    app.command()(profile)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(console, "width", 110)
        patch.setattr(
            StoredStudy,
            "read_answer",
            lambda stored: Answer(comparison=by_name[stored.study], results=(), origin=NOWHERE),
        )
        ended = CliRunner().invoke(app, list(words))
    return ended.exit_code, ended.stdout, ended.exception


def test_the_command_reads_every_study_and_prints_the_table(comparisons: list[Comparison]) -> None:
    code, text, _ = command(comparisons, "synthetic", "other", "--cost", "trials")
    assert code == 0
    without = performance_profiles(comparisons, "trials", with_baseline=False)
    other = performance_profiles(comparisons, "trials", with_baseline=True)
    assert text == printed(print_profiles, without, other, width=110)


def test_the_command_bills_the_baseline_where_asked_and_writes_where_told(
    comparisons: list[Comparison], tmp_path: Path, without_images: list[str]
) -> None:
    words = ["synthetic", "other", "--cost", "trials", "--with-baseline", "--to", str(tmp_path)]
    code, text, _ = command(comparisons, *words)
    assert code == 0
    assert text.splitlines()[-2:] == [str(tmp_path / "profile.html"), str(tmp_path / "profile.csv")]
    assert without_images == ["profile.png"]
    bills = {(r["arm"], r["study"]): r["bill"] for r in read_csv(tmp_path / "profile.csv")}
    assert (bills["date", "synthetic"], bills["tuned", "synthetic"]) == ("13.0", "12.0")


def test_a_folder_that_cannot_be_written_is_named(comparisons: list[Comparison], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    code, _, error = command(comparisons, "other", "--to", str(tmp_path / "file" / "in"))
    assert code != 0
    assert isinstance(error, BadInput)
    assert "cannot be written (Not a directory): name another folder" in str(error)
