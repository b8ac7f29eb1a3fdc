"""Contract of every report."""

import json
import math
import re
from dataclasses import replace

import pytest

from tests.complete_study import complete_facts, complete_results
from tests.searched_study import ITS_FIGURES, searched_facts, searched_results
from tests.synthetic_study import facts
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.analysis.economy import Economy
from zerotune.tuner.cost import CURRENCIES
from zerotune.tuner.errors import BadInput
from zerotune.tuner.reports.figures.registry import FIGURES, applicable_figures, draw_figure
from zerotune.tuner.reports.figures.style import arm_styles
from zerotune.tuner.search import importance

WITHOUT_A_SCORE_AXIS = (
    *("importances", "contours", "surface", "cost_breakdown", "time_to_target", "energy", "tuning_budget"),
)


def study_of(name, **changes):
    """Return the facts of a study that has a figure."""
    return searched_facts(**changes) if name in ITS_FIGURES else complete_facts(**changes)


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(importance, "NUM_RESAMPLES", 2)


@pytest.fixture(scope="module")
def results():
    return complete_results()


@pytest.fixture(scope="module")
def results_of(results):
    """Return the results of a study that has a figure."""
    searched = searched_results(12)
    return {name: searched if name in ITS_FIGURES else results for name in FIGURES}


@pytest.fixture(scope="module")
def comparisons(results_of):
    """Return the comparison that has a figure; those of the same study are one."""
    complete, searched = (compare(study_of(name), results_of[name]) for name in ("scores", "contours"))
    return {name: searched if name in ITS_FIGURES else complete for name in FIGURES}


@pytest.fixture(scope="module")
def figures(comparisons, results_of):
    """Return every report over epochs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importance, "NUM_RESAMPLES", 2)
        return {name: draw_figure(name, comparisons[name], results_of[name], "epochs") for name in FIGURES}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("cost", CURRENCIES)
def test_a_report_has_a_title_axis_titles_and_finite_ranges_in_every_currency(name, cost, comparisons, results_of):
    comparison, results = comparisons[name], results_of[name]
    assert FIGURES[name].applies(comparison, results)
    figure = draw_figure(name, comparison, results, cost)
    assert figure.layout.title.text
    assert all(axis.title.text for axis in figure.select_xaxes())
    assert next(iter(figure.select_yaxes())).title.text
    assert all(math.isfinite(end) for axis in figure.select_yaxes() for end in axis.range)


@pytest.mark.parametrize("name", FIGURES)
def test_an_arm_has_one_colour_in_all_its_traces_and_stands_in_the_legend_once_at_most(name, figures):
    figure = figures[name]
    for arm in study_of(name).arms:
        traces = [trace for trace in figure.data if trace.legendgroup == arm]
        assert len({trace.marker.color or trace.line.color for trace in traces}) <= 1, arm
        assert sum(trace.showlegend is not False for trace in traces) <= 1, arm


@pytest.mark.parametrize("name", ["pareto_arms", "pareto_trials", "search_curves", "best_of_k", "learning_curves"])
def test_a_report_over_arms_has_all_of_them_in_the_legend(name, figures):
    named = [trace.legendgroup for trace in figures[name].data if trace.showlegend is not False]
    assert all(arm in named for arm in facts().arms)


@pytest.mark.parametrize("name", FIGURES)
def test_colours_are_the_same_in_every_report(name, figures):
    baseline = {trace.legendgroup: trace.marker.color for trace in figures["scores"].data}
    colours = baseline | {arm: style.colour for arm, style in arm_styles(study_of(name).arms).items()}
    for trace in figures[name].data:
        if trace.legendgroup and trace.marker.color:
            assert trace.marker.color == colours[trace.legendgroup]


@pytest.mark.parametrize("name", [name for name in FIGURES if name not in WITHOUT_A_SCORE_AXIS])
@pytest.mark.parametrize("higher_is_better", [True, False])
def test_diverged_runs_do_not_squash_the_scores(name, higher_is_better):
    results = searched_results(12) if name in ITS_FIGURES else complete_results()
    flipped = [found if higher_is_better else _with_scores_reversed(found) for found in results]
    metric = "accuracy" if higher_is_better else "error"
    study = study_of(name, higher_is_better=higher_is_better, metric=metric)
    figure = draw_figure(name, compare(study, flipped), flipped, "device_seconds")
    axis = next(iter(figure.select_xaxes() if name == "scores" else figure.select_yaxes()))
    assert metric in axis.title.text
    low, high = axis.range
    assert high - low < 0.12
    edge_symbols = {"x-thin", "x-thin-open", "triangle-down" if higher_is_better else "triangle-up"}
    marked = [
        place
        for trace in figure.data
        for place in _marked(trace, trace.x if name == "scores" else trace.y, edge_symbols)
    ]
    assert marked
    assert all(low < place < high for place in marked)


@pytest.mark.parametrize("name", FIGURES)
def test_a_score_that_is_not_finite_breaks_no_figure(name, results_of):
    """Such scores are in journals of earlier versions."""
    bad = {0: math.nan, 1: math.inf}
    spoilt = [
        replace(
            one,
            validation_score=one.validation_score and bad.get(one.trial.index, one.validation_score),
            test_score=one.test_score and bad.get(one.trial.index, one.test_score),
        )
        for one in results_of[name]
    ]
    comparison = compare(study_of(name), spoilt)
    if FIGURES[name].applies(comparison, spoilt):
        figure = draw_figure(name, comparison, spoilt, "epochs")
        assert all(math.isfinite(end) for axis in figure.select_yaxes() for end in axis.range)
        assert not any(word in figure.layout.title.text for word in ("nan", "inf "))


def _marked(trace, places, wanted):
    """Return the places of a trace's markers of some symbols, given for the whole trace or per marker."""
    symbols = [trace.marker.symbol] * len(places) if isinstance(trace.marker.symbol, str) else trace.marker.symbol or []
    return [place for place, one in zip(places, symbols, strict=False) if one in wanted and place is not None]


@pytest.mark.parametrize("name", FIGURES)
def test_a_study_at_any_point_can_be_drawn(name, results_of):
    results, whole = results_of[name], study_of(name)
    searching = [found for found in results if found.trial.role == "search"]
    confirming = [found for found in results if found.trial.role == "confirmation"]
    for study, part in ((whole, searching), (whole, confirming), (facts(), results[:40])):
        comparison = compare(study, part)
        if FIGURES[name].applies(comparison, part):
            assert draw_figure(name, comparison, part, "epochs").layout.title.text


def test_a_study_without_a_result_can_be_drawn():
    for name in applicable_figures(compare(complete_facts(), []), []):
        assert draw_figure(name, compare(complete_facts(), []), [], "epochs").layout.title.text


def test_a_study_that_has_only_begun_has_the_figures_that_always_apply_and_no_empty_ones(comparisons, results_of):
    always = ["pareto_arms", "pareto_trials", "scores", "search_curves"]
    assert applicable_figures(compare(complete_facts(), []), []) == always
    drawn = applicable_figures(comparisons["scores"], results_of["scores"])
    assert drawn == [name for name in FIGURES if name not in ITS_FIGURES]


@pytest.mark.parametrize("name", FIGURES)
def test_names_never_become_markup(name, results_of):
    hostile, plain = "<b onclick=x>tuned</b>", study_of(name)
    arms = tuple(hostile if arm == "tuned" else arm for arm in plain.arms)
    spaces = {hostile if arm == "tuned" else arm: space for arm, space in plain.spaces.items()}
    economies = dict.fromkeys([hostile] if plain.economies else [], Economy(currency="flops", margin=0.995))
    study = replace(plain, name="<i>study</i>", arms=arms, reference=hostile, spaces=spaces, economies=economies)
    renamed = [_renamed(found, hostile) if found.trial.arm == "tuned" else found for found in results_of[name]]
    figure = draw_figure(name, compare(study, renamed), renamed, "epochs")
    texts = list(strings(json.loads(figure.to_json())["data"])) + list(strings(json.loads(figure.to_json())["layout"]))
    assert [text for text in texts if "<b onclick" in text or "<i>study" in text] == []
    assert any("&lt;b onclick=x&gt;tuned" in text for text in texts)


def test_an_unknown_cost_axis_is_refused_with_the_known_ones(results):
    with pytest.raises(BadInput, match="unknown cost axis 'euros': choose one of trials, epochs"):
        draw_figure("scores", compare(facts(), results), results, "euros")


def _renamed(found, arm):
    return replace(found, trial=replace(found.trial, arm=arm))


def _with_scores_reversed(found):
    validation = None if found.validation_score is None else 1 - found.validation_score
    epochs = tuple(replace(epoch, validation_score=1 - epoch.validation_score) for epoch in found.epochs)
    test = None if found.test_score is None else 1 - found.test_score
    return replace(found, validation_score=validation, test_score=test, epochs=epochs)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_writes_a_batch_size_as_the_text_does(name, figures):
    drawn = " ".join(strings(figures[name].to_dict()))
    assert re.findall(r"\bB0?=\d{4}\S*", drawn) == []
