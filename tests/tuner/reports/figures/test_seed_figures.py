"""Figures show the seeds themselves: sound ones as markers, lost ones as crosses, and the median of the sound."""

from collections.abc import Iterator
from functools import cache

import plotly.graph_objects as go
import pytest

from tests.figure_cases import CASES, DIVERGED, FAILED, MANY_ARMS, Case, lost_seeds, many_arms, near_one, study
from tests.regime_responses import LIMITS, holding_up_to, search
from zerotune.tuner.analysis.comparison import Comparison, compare
from zerotune.tuner.commands.regime.figure import regime_figure
from zerotune.tuner.reports.figures.panels import MOST_ARMS
from zerotune.tuner.reports.figures.registry import applicable_figures, draw_figure
from zerotune.tuner.reports.figures.style import make_panels
from zerotune.tuner.trial import Trial, TrialResult, TrialStatus

CROSS = "x-thin"


def drawn(name: str, case: Case) -> go.Figure:
    facts, results = case
    return draw_figure(name, compare(facts, results), results, "trials")


@cache
def many(name: str) -> go.Figure:
    return draw_figure(name, *compared_many(), "trials")


@cache
def compared_many() -> tuple[Comparison, list[TrialResult]]:
    facts, results = many_arms()
    return compare(facts, results), results


def marks(figure: go.Figure, arm: str, *, level: bool = False) -> Iterator[tuple[str, str, float]]:
    """Yield the symbol, the hover text and the place on the score axis of an arm's markers."""
    for trace in figure.data:
        if trace.legendgroup == arm and trace.mode == "markers" and trace.hovertext:
            for hover, place in zip(trace.hovertext, trace.x if level else trace.y, strict=True):
                yield str(trace.marker.symbol), hover, place


def score_axes(figure: go.Figure) -> list[tuple[float, float]]:
    """Return the ends of the axes that show an accuracy."""
    axes = [*figure.select_xaxes(), *figure.select_yaxes()]
    named = [axis for axis in axes if axis.range and "%" in str(axis.tickformat)]
    return [tuple(axis.range) for axis in named]


@pytest.mark.parametrize("case", CASES)
def test_every_figure_is_drawn_within_the_metrics_bounds_and_without_error_bars(case: str) -> None:
    facts, results = CASES[case]()
    comparison = compared_many()[0] if case == "many_arms" else compare(facts, results)
    names = applicable_figures(comparison, results)
    assert {"scores", "pareto_arms", "search_curves", "learning_curves"} <= set(names)
    for name in names:
        figure = draw_figure(name, comparison, results, "flops")
        assert not [trace for trace in figure.to_plotly_json()["data"] if "error_y" in trace], name
        for low, high in () if name == "tuning_budget" else score_axes(figure):  # its axis is the saving
            assert -0.03 <= low < high <= 1.03, name
        assert name != "scores" or facts.metric != "accuracy" or score_axes(figure)


# Scores


def test_a_row_holds_an_arms_seeds_and_the_median_of_the_sound_ones() -> None:
    figure = drawn("scores", lost_seeds())
    assert list(figure.layout.yaxis.ticktext) == ["baseline (B=256)", "tuned", "date", "sqrt", "linear"]
    assert [(symbol, place) for symbol, _, place in marks(figure, "tuned", level=True)] == [
        ("circle", 0.97),
        ("circle", 0.968),
        ("circle", 0.971),
    ]
    (median,) = [trace for trace in figure.data if trace.legendgroup == "tuned" and trace.mode == "lines"]
    assert list(median.x) == [0.97, 0.97]
    assert median.y[0] < 1 < median.y[1]


def test_lost_seeds_are_crosses_and_sound_ones_off_the_axis_triangles() -> None:
    figure = drawn("scores", lost_seeds())
    found = {hover.split("<br>")[1]: (symbol, place) for symbol, hover, place in marks(figure, "date", level=True)}
    edge = figure.layout.xaxis.range[0] + 0.03 * (figure.layout.xaxis.range[1] - figure.layout.xaxis.range[0])
    assert found == {
        "seed 0: 97.70%": ("circle", 0.977),
        "seed 1: 75.30%": ("triangle-left", pytest.approx(edge)),
        "seed 2: 10.60%": (CROSS, pytest.approx(edge)),
    }
    said = [hover for symbol, hover, _ in marks(figure, "date", level=True) if symbol == CROSS]
    assert said == [
        "date, B=1,024<br>seed 2: 10.60%<br>lost: nearer to guessing than to the baseline<br>"
        "median of the sound seeds 86.50%"
    ]
    assert "lost seed" in [trace.name for trace in figure.data]


def test_a_median_off_the_axis_has_no_line_and_seeds_without_a_score_stand_at_the_edge() -> None:
    figure = drawn("scores", lost_seeds())
    assert not [trace for trace in figure.data if trace.legendgroup == "linear" and trace.mode == "lines"]
    assert sorted(symbol for symbol, _, _ in marks(figure, "linear", level=True)) == ["triangle-left"] * 2 + [CROSS]
    texts = {trace.y[0]: trace.text[0] for trace in figure.data if trace.mode == "text"}
    assert texts == {2: "2 of 3", 4: "3 of 3"}


def test_equal_scores_do_not_cover_each_other() -> None:
    figure = drawn("scores", CASES["ties"]())
    (dots,) = [trace for trace in figure.data if trace.legendgroup == "date" and trace.mode == "markers"]
    assert (set(dots.x), len(set(dots.y))) == ({0.9}, 5)
    assert all(abs(y - 2) < 0.5 for y in dots.y)


def test_the_margin_is_in_view_however_close_together_the_seeds_are() -> None:
    figure = drawn("scores", near_one())
    (line,) = [trace for trace in figure.data if trace.name == "99.5% of the baseline"]
    assert list(line.x) == pytest.approx([0.995 * 0.999] * 2)
    assert figure.layout.xaxis.range[0] < line.x[0]


def test_without_a_sound_seed_no_median_is_drawn() -> None:
    case = study({("baseline", 256): [0.97], ("tuned", 512): [0.96, 0.97], ("date", 512): [DIVERGED, FAILED]})
    for name, level in (("scores", True), ("pareto_arms", False), ("search_curves", False)):
        figure = drawn(name, case)
        assert {symbol for symbol, _, _ in marks(figure, "date", level=level)} == {CROSS}, name
        assert not [trace for trace in figure.data if trace.legendgroup == "date" and "lines" in trace.mode], name


# Costs


def test_the_pareto_figure_shows_seeds_and_their_median_and_no_arm_with_a_lost_seed_is_on_the_front() -> None:
    figure = drawn("pareto_arms", lost_seeds())
    places = [(symbol, place) for symbol, hover, place in marks(figure, "date") if "seed " in hover]
    edge = min(place for _, place in places)
    assert places == [("diamond", 0.977), ("diamond", 0.753), (CROSS, edge)]
    (median,) = [trace for trace in figure.data if trace.name == "date"]
    assert list(median.y) == [pytest.approx((0.977 + 0.753) / 2)]
    (front,) = [trace for trace in figure.data if trace.name == "Pareto front"]
    assert list(front.y) == [0.97, 0.97]


def test_lost_confirmations_are_crosses_among_the_trials() -> None:
    figure = drawn("pareto_trials", lost_seeds())
    said = [hover for symbol, hover, _ in marks(figure, "date") if symbol == CROSS]
    assert [hover.endswith("<br>lost") for hover in said] == [True]
    assert [place for symbol, _, place in marks(figure, "date") if symbol != CROSS] == [0.977, 0.753]


def test_an_arm_that_does_not_search_has_its_seeds_and_their_median_in_the_search_curves() -> None:
    figure = drawn("search_curves", lost_seeds())
    assert [place for symbol, _, place in marks(figure, "sqrt") if symbol == "square"] == pytest.approx(
        [0.966, 0.967, 0.9665]
    )
    assert len([symbol for symbol, _, _ in marks(figure, "sqrt") if symbol == CROSS]) == 1
    (level,) = [trace for trace in figure.data if trace.legendgroup == "sqrt" and trace.mode == "lines"]
    assert list(level.y) == pytest.approx([0.9665, 0.9665])


def test_an_arm_that_lost_a_seed_has_no_trials_to_match() -> None:
    case = study({("tuned", 512): [0.97, 0.97], ("date", 512): [0.96, 0.95], ("sqrt", 512): [0.96, DIVERGED]})
    figure = drawn("best_of_k", case)
    stars = [trace.legendgroup for trace in figure.data if trace.marker.symbol == "star" and trace.legendgroup]
    assert stars == ["date"]
    assert "sqrt" not in figure.layout.title.text


def test_of_many_arms_the_headline_names_the_range_of_trials_to_match() -> None:
    title = many("best_of_k").layout.title.text.replace("<br>", " ")
    assert (
        "tuned needs on average to match an arm that lost no seed: 2 to more than 8 (at B=512, 1,024, 2,048 and 4,096)"
        in title
    )


# Many arms


@pytest.mark.parametrize("name", ["pareto_arms", "pareto_trials", "search_curves", "best_of_k", "learning_curves"])
def test_a_panel_shows_the_reference_and_a_few_arms_and_no_arm_is_left_out(name: str) -> None:
    figure = many(name)
    groups: dict[str, set[str]] = {}
    for trace in figure.data:
        if trace.legendgroup:
            groups.setdefault(trace.xaxis, set()).add(trace.legendgroup)
    assert len(groups) == 4 * 3
    assert all("tuned" in group and len(group) <= 1 + MOST_ARMS for group in groups.values())
    assert [arm for arm in MANY_ARMS if sum(arm in group for group in groups.values()) != 4] == ["tuned"]
    titles = [note.text.replace("<br>", " ") for note in figure.layout.annotations]
    assert titles[0] == "B=512: tuned, date, legw, sqrt, linear, constant"


def test_a_legend_names_every_arm_once() -> None:
    for name in ("pareto_arms", "learning_curves"):
        named = [trace.name for trace in many(name).data if trace.showlegend]
        assert len(named) == len(set(named))
        assert set(MANY_ARMS) <= set(named)


@pytest.mark.parametrize("name", ["pareto_arms", "pareto_trials", "search_curves", "learning_curves"])
def test_an_arm_without_a_sound_seed_is_in_the_legend_too(name: str) -> None:
    named = [trace.name for trace in drawn(name, CASES["all_lost"]()).data if trace.showlegend]
    assert {"tuned", "date"} <= {str(one).removesuffix(" (search)") for one in named}
    assert len(named) == len(set(named))


def test_a_row_of_panels_that_is_not_full_has_no_empty_ones() -> None:
    assert len(list(make_panels(["a", "b", "c", "d"], spacing=0.03).select_xaxes())) == 4


# Regimes


def test_the_regime_figure_shows_seeds_and_a_line_through_the_medians_of_the_sound() -> None:
    def response(trial: Trial) -> tuple[float, float, TrialStatus]:
        score, loss, status = holding_up_to(LIMITS)(trial)
        lost = (trial.arm, trial.batch_size, trial.config.seed) == ("tuned", 1024, 2)
        return (0.1, loss, "diverged") if lost else (score, loss, status)

    figure = regime_figure(search(response).found())
    (line,) = [trace for trace in figure.data if trace.name == "tuned"]
    at_1024 = [place for place, x in enumerate(line.x) if x == pytest.approx(1024, rel=0.1)]
    assert [line.y[place] for place in at_1024] == [pytest.approx(0.9605)]
    crosses = [trace for trace in figure.data if trace.marker.symbol == CROSS and trace.legendgroup == "tuned"]
    assert [trace.hovertext[0].split("<br>")[1:3] for trace in crosses] == [["seed 2: 10.00%", "lost: diverged"]]
    low, high = figure.layout.yaxis.range
    assert low < 0.8 < high <= 1.02
