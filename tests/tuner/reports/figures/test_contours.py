"""The data behind the contours: which pair is drawn, of which trials, over which means."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.searched_study import SPACE, searched_facts, searched_results, trial
from tests.synthetic_study import facts
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.reports.figures.contours import nearby_means, pairs
from zerotune.tuner.reports.figures.ranked_searches import ranked_searches
from zerotune.tuner.reports.figures.registry import applicable_figures, draw_figure
from zerotune.tuner.reports.figures.searches import searches

RESULTS = searched_results()


def test_a_search_over_solvers_is_ranked_without_the_rules_proposal_and_with_one_mean_for_a_raced_configuration():
    ranked = ranked_searches(searched_facts(), RESULTS)["solvers", 1024]
    own = searches(searched_facts(), RESULTS)["solvers", 1024]
    assert len(own) == 30
    assert len(ranked.params) == 30 - 1 - 6
    assert all("rule" not in params for params in ranked.params)
    raced = own[-1].trial.params
    scores = [one.validation_score for one in own if one.trial.params == raced]
    assert len(scores) == 3
    assert ranked.scores[ranked.params.index(raced)] == pytest.approx(sum(scores) / 3)


def test_pruned_trials_are_ranked_without_a_score_and_failed_ones_are_left_out():
    ranked = ranked_searches(searched_facts(), RESULTS)["tuned", 1024]
    own = searches(searched_facts(), RESULTS)["tuned", 1024]
    failed, pruned = (sum(one.status == status for one in own) for status in ("failed", "pruned"))
    assert failed > 0
    assert pruned > 0
    assert (len(ranked.params), ranked.scores.count(None)) == (30 - failed, pruned)


def test_what_has_fewer_than_ten_configurations_or_five_scores_is_not_ranked():
    few = searched_results(9)
    assert "tuned" not in {arm for arm, _ in ranked_searches(searched_facts(), few)}
    pruned = [replace(one, status="pruned") if one.trial.role == "search" else one for one in RESULTS]
    assert ranked_searches(searched_facts(), pruned) == {}
    assert "contours" not in applicable_figures(compare(searched_facts(), pruned), pruned)


def test_the_pair_is_of_the_two_most_important_hyperparameters_and_of_the_trials_that_have_both():
    found = pairs(searched_facts(), RESULTS)
    tuned, solvers = found["tuned", 1024], found["solvers", 1024]
    assert (tuned.across.name, tuned.upwards.name, len(tuned.trials)) == ("lr", "momentum", 30)
    both = {solvers.across.name, solvers.upwards.name}
    assert all(both <= one.trial.params.keys() for one in solvers.trials)
    figure = draw_figure("contours", compare(searched_facts(), RESULTS), RESULTS, "trials")
    titles = [note.text for note in figure.layout.annotations]
    assert "tuned, B=1,024" in titles
    if len(solvers.trials) < 30:
        assert f"solvers, B=1,024 ({len(solvers.trials)} of 30 trials have both)" in titles


def test_the_background_is_the_mean_of_nearby_trials_and_empty_far_from_all():
    params = [{"lr": 0.01, "momentum": 0.8, "decay": "poly"}, {"lr": 0.012, "momentum": 0.81, "decay": "poly"}]
    trials = [trial("tuned", 1024, index, one, 0.9 + 0.02 * index) for index, one in enumerate(params)]
    pair = replace(pairs(searched_facts(), RESULTS)["tuned", 1024], trials=trials)
    across, upwards, means = nearby_means(pair, trials)
    assert means.shape == (len(upwards), len(across))
    assert math.isnan(means[-1, -1])
    assert 0.905 < means[0, 0] < 0.915
    assert np.nanmin(means) >= 0.9
    assert np.nanmax(means) <= 0.92


def test_a_category_has_no_neighbours():
    params = [{"lr": 0.1, "decay": decay} for decay in ("constant", "poly")]
    trials = [trial("tuned", 1024, index, one, 0.9 + 0.05 * index) for index, one in enumerate(params)]
    pair = replace(_pair_with_decay(), trials=trials)
    _, _, means = nearby_means(pair, trials)
    assert means.shape[0] == 2
    assert [float(np.nanmean(row)) for row in means] == pytest.approx([0.9, 0.95])


def _pair_with_decay():
    pair = pairs(searched_facts(), RESULTS)["tuned", 1024]
    return replace(pair, upwards=replace(pair.upwards, name="decay", categories=("constant", "poly")))


def test_trials_without_a_score_are_drawn_as_what_became_of_them_and_are_in_no_mean():
    figure = draw_figure("contours", compare(searched_facts(), RESULTS), RESULTS, "trials")
    markers = [trace for trace in figure.data if trace.type == "scatter"]
    pair = pairs(searched_facts(), RESULTS)["tuned", 1024]
    for status, symbol in (("diverged", "x-thin"), ("pruned", "circle-open"), ("failed", "cross-thin")):
        places = pair.places([one for one in pair.trials if one.status == status])
        drawn = [(list(trace.x), list(trace.y)) for trace in markers if trace.marker.symbol == symbol]
        assert places in drawn
    coloured = [trace for trace in markers if trace.marker.coloraxis]
    assert sum(len(trace.x) for trace in coloured) == sum(
        one.status == "finished" for pair in pairs(searched_facts(), RESULTS).values() for one in pair.trials
    )


def test_a_grid_over_two_numbers_is_drawn_as_a_surface_alone():
    tried = [{"lr": lr, "momentum": m, "decay": "poly"} for lr in (0.1, 0.2, 0.4, 0.8) for m in (0.8, 0.85, 0.9)]
    grid = [{name: one[name] for name in ("lr", "momentum")} for one in tried]
    space = {name: SPACE[name] for name in ("lr", "momentum")}
    study = facts(arms=("tuned",), zero_tuning_arms=(), batch_sizes=(1024,), spaces={"tuned": space})
    results = [trial("tuned", 1024, index, one, 0.9 + 0.001 * index) for index, one in enumerate(grid)]
    names = applicable_figures(compare(study, results), results)
    assert ("surface" in names, "contours" in names) == (True, False)
    names = applicable_figures(compare(study, results[:11]), results[:11])
    assert "importances" in names
