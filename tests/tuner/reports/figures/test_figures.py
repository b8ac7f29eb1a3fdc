"""The data behind the figures, and their axes."""

import pytest

from tests.synthetic_study import facts, study_results, traces
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.reports.figures.pareto import arm_front
from zerotune.tuner.reports.figures.registry import draw_figure
from zerotune.tuner.reports.figures.style import arm_styles, fit_score_range, log_ticks, wrap_text


@pytest.fixture(scope="module")
def results():
    return study_results()


@pytest.fixture(scope="module")
def comparison(results):
    return compare(facts(), results)


def test_the_pareto_line_goes_through_the_front_and_on_to_the_edge(comparison, results):
    figure = draw_figure("pareto_arms", comparison, results, "device_seconds")
    lines = traces(figure, "Pareto front")
    assert len(lines) == 3
    for line, batch_size in zip(lines, facts().batch_sizes, strict=True):
        front = arm_front(comparison, batch_size, "device_seconds")
        assert list(line.x)[:-1] == [point.cost for point in front]
        assert list(line.y) == [*(point.score for point in front), front[-1].score]
        assert line.line.shape == "hv"


def test_the_hollow_marker_adds_the_baselines_bill(comparison, results):
    figure = draw_figure("pareto_arms", comparison, results, "trials")
    lines = [trace for trace in figure.data if trace.legendgroup == "date" and trace.mode == "lines+markers"]
    assert [line.x[1] / line.x[0] for line in lines] == pytest.approx([13.0, 13.0, 13.0])


def test_a_search_curve_ends_at_the_cost_of_the_search(comparison, results):
    figure = draw_figure("search_curves", comparison, results, "trials")
    assert [trace.x[-1] for trace in traces(figure, "tuned (search)")] == [12.0, 12.0, 12.0]
    assert [trace.x[0] for trace in traces(figure, "date")] == [1.0, 1.0, 1.0]


def test_every_panel_has_the_same_cost_axis(comparison, results):
    figure = draw_figure("pareto_trials", comparison, results, "device_seconds")
    ranges = [axis.range for axis in figure.select_xaxes()]
    assert len(ranges) == 3
    assert len(set(ranges)) == 1
    assert {axis.type for axis in figure.select_xaxes()} == {"log"}


def test_many_batch_sizes_break_into_rows():
    study = facts(batch_sizes=(64, 128, 256, 512, 1024, 2048, 4096))
    figure = draw_figure("pareto_arms", compare(study, study_results()), study_results(), "epochs")
    assert len(list(figure.select_xaxes())) >= 7


def test_fourteen_arms_share_no_colour_and_no_symbol_and_more_share_no_pair():
    styles = arm_styles([f"arm {i}" for i in range(14)]).values()
    assert len({style.colour for style in styles}) == len({style.symbol for style in styles}) == 14
    styles = arm_styles([f"arm {i}" for i in range(40)]).values()
    assert len({(style.colour, style.symbol) for style in styles}) == 40


def test_the_scale_leaves_out_a_hopeless_score_and_keeps_ordinary_ones():
    scale = fit_score_range([0.990, 0.988, 0.987, 0.985, 0.60], "accuracy", higher_is_better=True)
    assert scale.off(0.60)
    assert not scale.off(0.985)
    scale = fit_score_range([78.0, 80.0, 79.0, 82.0, 900.0], "perplexity", higher_is_better=False)
    assert scale.off(900.0)
    assert not scale.off(82.0)


@pytest.mark.parametrize("scores", [[], [0.9], [0.9, 0.9], [0.0]])
def test_the_scale_is_never_empty(scores):
    scale = fit_score_range(scores, "accuracy", higher_is_better=True)
    assert scale.low < scale.high
    assert not any(scale.off(score) for score in scores)


@pytest.mark.parametrize(
    ("scores", "metric", "ends"),
    [
        ([0.2, 1.0], "accuracy", (0.08, 1.02)),
        ([0.0, 0.5], "accuracy", (-0.0125, 0.55)),
        ([0.1, 0.9], "r2", (-0.02, 0.98)),
        ([1.0, 41.0], "perplexity", (0.0, 47.0)),
        ([], "perplexity", (1.0, 2.0)),
    ],
)
def test_a_score_axis_ends_at_the_metrics_bounds(scores, metric, ends):
    scale = fit_score_range(scores, metric, higher_is_better=metric != "perplexity")
    assert (scale.low, scale.high) == pytest.approx(ends)


def test_a_range_is_extended_to_include_a_score_that_would_be_off_it():
    scale = fit_score_range([0.90, 0.91], "accuracy", higher_is_better=True)
    assert scale.off(0.80)
    assert not scale.including(0.80).off(0.80)
    assert scale.including(0.905) == scale.including(None) == scale


def test_logarithmic_axes_always_have_marks():
    for low, high in ((0.74, 1.35), (1.0, 1.9), (3.0, 900.0), (0.001, 5e6), (9.9, 10.2)):
        ticks = log_ticks(low, high)
        assert 2 <= len(ticks) <= 12, (low, high, ticks)
        assert all(low <= tick <= high for tick in ticks)


def test_a_title_is_broken_at_spaces_and_loses_no_word():
    assert wrap_text("one two three four", 9) == "one two<br>three<br>four"
    assert wrap_text("", 9) == ""
