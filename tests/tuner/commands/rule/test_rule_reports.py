"""The result of a rule as text and as a figure."""

import io
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.outputs import printed
from zerotune.trainers.scaling import RULES
from zerotune.tuner.commands.rule import figure as rule_figure_module
from zerotune.tuner.commands.rule.answer import RuleAnswer
from zerotune.tuner.commands.rule.figure import rule_figure, write_plot
from zerotune.tuner.commands.rule.options import LongWarmup, RuleOptions, answer_options
from zerotune.tuner.commands.rule.text import print_rule
from zerotune.tuner.errors import BadInput

WORDS = RuleOptions(
    rule="date",
    batch_sizes=[8192, 512],
    baseline_batch_size=1024,
    lr=1.25e-3,
    warmup_epochs=2.0,
    epochs=30,
    num_samples=60_000,
)
FIND_CHROME = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def answer() -> RuleAnswer:
    return answer_options(WORDS)


def text_of(answer: RuleAnswer, width: int = 80) -> str:
    return printed(print_rule, answer, width=width)


def words_of(text: str, first: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.split()[:1] == [first]]


def test_the_tables_hold_the_papers_numbers(answer: RuleAnswer) -> None:
    text = text_of(answer)
    summary, rates = words_of(text, "8,192")
    assert summary == ["8,192", "8", "3.54e-3", "16", "117", "220"]
    assert rates == ["8,192", "3.02e-5", "3.53e-3", "3.51e-3", "1.76e-3", "1e-6"]
    assert ["t=1", "t=117", "t=118", "t=169", "t=220"] in [line.split() for line in text.splitlines()]
    assert words_of(text, "512")[0] == ["512", "0.5", "8.84e-4", "1", "117", "3,516"]
    assert "B0=1,024, learning rate 1.25e-3, linear warm-up over 2 epochs, decay" in text
    assert "linear warm-up, then decay date (floor=1e-6)." in " ".join(text.split())


@pytest.mark.parametrize("width", [80, 110])
@pytest.mark.parametrize("rule", RULES)
def test_what_a_rule_gives_fits_the_terminal(rule: str, width: int) -> None:
    numbers = dict.fromkeys(RULES[rule].numbers, 0.25)
    decay = {"decay": "multistep", "decay_options": ["milestones=10,20,27"], "warmup": "quadratic"}
    words = replace(WORDS, rule=rule, **numbers, **decay)
    assert max(map(len, text_of(answer_options(words), width).splitlines())) <= width


def test_a_rule_that_changes_the_optimizer_shows_its_options() -> None:
    text = text_of(answer_options(replace(WORDS, rule="adam-sde", batch_sizes=[4096])))
    assert words_of(text, "4,096")[0] == ["4,096", "4", "2.5e-3", "8", "117", "440", "0.6", "0.996", "5e-9"]


@pytest.mark.parametrize(
    ("way", "sentence"),
    [
        ("clamp", "B=16,384: the rule's warm-up of 32 epochs outlasts the run: cut to half of it"),
        ("keep", "B=16,384: the rule's warm-up of 32 epochs outlasts the run: it ends at 4.69e-3, with no decay"),
    ],
)
def test_a_warmup_that_outlasts_the_run_does_not_pass_in_silence(way: str, sentence: str) -> None:
    text = text_of(answer_options(replace(WORDS, batch_sizes=[16384], on_long_warmup=LongWarmup(way))), 110)
    assert sentence in " ".join(text.split())


def test_a_terminal_of_ascii_characters_shows_the_tables(answer: RuleAnswer) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    print_rule(answer, Console(width=80, file=file))
    file.seek(0)
    assert "3.54e-3" in file.read()


def test_the_figure_holds_every_iteration_and_the_baselines(answer: RuleAnswer) -> None:
    figure = rule_figure(answer)
    assert [trace.name for trace in figure.data] == [
        "baseline, B0=1,024: peak 1.25e-3",
        "B=8,192: peak 3.54e-3",
        "B=512: peak 8.84e-4",
    ]
    large = figure.data[1]
    schedule = answer.rows[0].schedule
    assert list(large.y) == [schedule.lr(t) for t in range(1, 221)]
    assert (large.x[116], large.x[-1]) == (pytest.approx(117 * 8192 / 60_000), 30)
    assert "peak learning rate 3.54e-3, warm-up of 16 epochs (117 iterations), 220 in all" in figure.layout.title.text


def test_an_html_plot_opens_without_a_network(answer: RuleAnswer, tmp_path: Path) -> None:
    write_plot(answer, tmp_path / "curve.html")
    text = (tmp_path / "curve.html").read_text(encoding="utf-8")
    assert text.count("plotly.js v") == 1
    assert "<script src=" not in text
    assert "zerotune rule date" in text


@pytest.mark.skipif(not any(map(shutil.which, FIND_CHROME)), reason="needs Chrome or Chromium on the path")
@pytest.mark.browser
def test_a_picture_is_drawn_in_the_format_of_its_name(answer: RuleAnswer, tmp_path: Path) -> None:
    write_plot(answer, tmp_path / "curve.png")
    assert [file.name for file in tmp_path.iterdir()] == ["curve.png"]
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_plot_that_cannot_be_written_is_reported_in_a_sentence(
    answer: RuleAnswer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder.html").mkdir()
    monkeypatch.setattr(rule_figure_module, "write_images", lambda *_, **__: ([], "no browser."))
    for name, sentence in {
        "curve.jpg": "must end in .html, .png or .svg",
        "curve": "must end in .html, .png or .svg",
        "absent/curve.html": "there is no folder",
        "folder.html": "cannot be written (Is a directory): name another file",
        "curve.png": "no browser.",
    }.items():
        with pytest.raises(BadInput) as refused:
            write_plot(answer, tmp_path / name)
        assert sentence in str(refused.value)
