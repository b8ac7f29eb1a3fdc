"""The data behind learning curves, importances and the cost breakdown."""

import random
from dataclasses import replace

import optuna
import pytest

from tests.complete_study import complete_facts, complete_results
from tests.synthetic_study import CHANCE, confirmations, epoch_metrics, facts, result, study_results
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.reports.figures.cost import PARTS, PROBES, cost_parts
from zerotune.tuner.reports.figures.registry import applicable_figures, draw_figure
from zerotune.tuner.search import importance
from zerotune.tuner.search.importance import importances
from zerotune.tuner.search.optuna_search import distribution
from zerotune.tuner.study.search_space import Choice, Float, sample

ONE_ARM = {"arms": ("tuned",), "zero_tuning_arms": (), "batch_sizes": (1024,)}


# Learning curves


def with_scores(found, *scores, status="finished"):
    return replace(found, status=status, epochs=tuple(epoch_metrics(i, s) for i, s in enumerate(scores, start=1)))


def test_a_learning_curve_is_a_line_a_seed_and_the_median_of_the_sound_ones():
    first, second, third, fourth = confirmations("tuned", 1024, [0.92, 0.94, CHANCE, 0.96])
    results = [
        with_scores(first, 0.80, 0.90, 0.92),
        with_scores(second, 0.82, 0.91, 0.94),
        with_scores(third, 0.85, float("nan"), status="diverged"),
        with_scores(fourth, 0.84, 0.95, 0.96),
    ]
    figure = draw_figure("learning_curves", compare(facts(**ONE_ARM), results), results, "trials")
    seeds, lost, fallen, line, _ = figure.data
    assert list(line.x) == [1, 2, 3]
    assert list(line.y) == [0.82, 0.91, 0.94]
    assert list(seeds.y) == [0.80, 0.90, 0.92, None, 0.82, 0.91, 0.94, None, 0.84, 0.95, 0.96, None]
    assert (list(lost.x), list(lost.y), lost.line.dash) == ([1, 2, None], [0.85, None, None], "dot")
    assert (list(fallen.x), fallen.marker.symbol) == ([2], "x-thin")
    assert fallen.hovertext == ("tuned, seed 2, lost: no score after epoch 2",)


def test_learning_curves_need_the_epochs_of_confirmation_runs():
    assert "learning_curves" not in applicable_figures(compare(facts(), study_results()), study_results())
    results = [found for found in complete_results() if found.trial.role != "confirmation"]
    assert "learning_curves" not in applicable_figures(compare(complete_facts(), results), results)


def test_the_learning_curves_say_who_led_in_the_middle_and_at_the_end():
    study = facts(**(ONE_ARM | {"arms": ("tuned", "date")}))
    slow, quick = confirmations("tuned", 1024, [0.95]), confirmations("date", 1024, [0.94])
    results = [with_scores(slow[0], 0.2, 0.3, 0.5, 0.95), with_scores(quick[0], 0.5, 0.9, 0.93, 0.94)]
    title = draw_figure("learning_curves", compare(study, results), results, "trials").layout.title.text
    assert "At B=1,024 date led after epoch 2 of 4, tuned at the end" in title


# Importances

SPACE = {
    "lr": Float(low=0.01, high=1.0, scale="log"),
    "warmup_epochs": Float(low=0.0, high=4.0),
    "decay": Choice(choices=("constant", "poly")),
}


def tried(number):
    generator = random.Random(1)
    return [sample(SPACE, generator) for _ in range(number)]


def test_the_hyperparameter_that_alone_decides_has_the_largest_share_and_is_reported_from_chance():
    params = tried(30)
    found = importances(SPACE, params, [-abs(one["lr"] - 0.1) for one in params], higher_is_better=True)
    assert sum(one.share for one in found.values()) == pytest.approx(1.0)
    assert max(found, key=lambda name: found[name].share) == "lr"
    assert found["lr"].chance == 1 / (1 + importance.NUM_RESAMPLES)
    assert min(found["warmup_epochs"].chance, found["decay"].chance) > 0.05
    assert all(0 <= one.low <= one.high <= 1 for one in found.values())


def test_shares_are_those_of_optuna_and_do_not_depend_on_the_direction(monkeypatch):
    monkeypatch.setattr(importance, "NUM_RESAMPLES", 2)
    params = tried(60)
    losses = [abs(one["lr"] - 0.1) + 0.1 * one["warmup_epochs"] for one in params]
    study = optuna.create_study()
    distributions = {name: distribution(param) for name, param in SPACE.items()}
    for one, loss in zip(params, losses, strict=True):
        study.add_trial(optuna.trial.create_trial(params=one, distributions=distributions, value=loss))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
    expected = optuna.importance.get_param_importances(study, evaluator=evaluator)
    for scores, higher_is_better in ((losses, False), ([-loss for loss in losses], True)):
        found = importances(SPACE, params, scores, higher_is_better=higher_is_better)
        assert {name: one.share for name, one in found.items()} == pytest.approx(expected)


def test_importances_are_the_same_on_every_call(monkeypatch):
    monkeypatch.setattr(importance, "NUM_RESAMPLES", 4)
    params = tried(12)
    scores = [one["lr"] for one in params]
    first = importances(SPACE, params, scores, higher_is_better=True)
    assert importances(SPACE, params, scores, higher_is_better=True) == first


def test_where_all_trials_score_the_same_nothing_is_reported_from_chance(monkeypatch):
    monkeypatch.setattr(importance, "NUM_RESAMPLES", 2)
    found = importances(SPACE, tried(10), [0.9] * 10, higher_is_better=True)
    assert [(one.share, one.chance) for one in found.values()] == [(pytest.approx(1 / 3), 1.0)] * 3


@pytest.mark.parametrize(("space", "number", "scores"), [(SPACE, 9, 9), ({"lr": SPACE["lr"]}, 10, 10), (SPACE, 10, 9)])
def test_importances_of_too_little_are_refused(space, number, scores):
    with pytest.raises(ValueError, match="importances need two hyperparameters, 10 trials and 5 scores, got"):
        importances(space, tried(number), [0.9] * scores, higher_is_better=True)


def test_the_importance_figure_leaves_out_searches_that_are_too_small(monkeypatch):
    monkeypatch.setattr(importance, "NUM_RESAMPLES", 2)
    results = complete_results()
    fewer = [r for r in results if r.trial.role != "search" or r.trial.batch_size != 1024 or r.trial.index > 2]
    figure = draw_figure("importances", compare(complete_facts(), fewer), fewer, "trials")
    assert [note.text for note in figure.layout.annotations] == ["B=2,048", "B=4,096"]
    shown = [trace.x for trace in figure.data if trace.x[0] is not None]
    assert [sum(shares) for shares in shown] == pytest.approx([1.0, 1.0])
    assert list(figure.layout.yaxis.ticktext) == ["lr", "warmup_epochs"]
    fewest = [r for r in results if r.trial.role != "search" or r.trial.index > 2]
    assert "importances" not in applicable_figures(compare(complete_facts(), fewest), fewest)
    assert "importances" not in applicable_figures(compare(facts(), results), results)


# Costs


def test_the_parts_of_a_bar_add_up_to_what_the_ledger_spent_and_the_baselines_bill():
    repeats = [result("tuned", 1024, "repeat", index, validation=0.9) for index in range(2)]
    comparison = compare(facts(), [*study_results(), *repeats])
    for row in comparison.rows:
        for currency in ("trials", "flops", "device_seconds"):
            spent = sum(
                getattr(line.cost, currency)
                for line in comparison.ledger.lines
                if (line.arm, line.batch_size) == (row.arm, row.batch_size)
            )
            parts = cost_parts(comparison, row, currency)
            assert sum(parts.values()) == pytest.approx(spent + row.baseline_bill[currency])


def test_the_bars_hold_search_one_training_baseline_and_the_other_confirmations():
    """The best trial of a search is the model: its confirmation runs are all evidence."""
    results = [result("baseline", 256, "baseline", index, validation=0.9) for index in range(4)]
    results += [result("tuned", 1024, "search", index, validation=0.9) for index in range(5)]
    results += [*confirmations("tuned", 1024, [0.9, 0.9, 0.9]), *confirmations("date", 1024, [0.9, 0.9, 0.9])]
    study = facts(arms=("tuned", "date"), zero_tuning_arms=("date",), batch_sizes=(1024,))
    comparison = compare(study, results)
    figure = draw_figure("cost_breakdown", comparison, results, "trials")
    assert list(cost_parts(comparison, comparison.row("tuned", 1024), "trials").values()) == [5, 0, 0, 0, 3]
    assert list(cost_parts(comparison, comparison.row("date", 1024), "trials").values()) == [0, 0, 1, 4, 2]
    bars = [(trace.legendgroup, trace.x[0]) for trace in figure.data if trace.legendgroup]
    assert bars == [
        ("tuned", 5),
        ("date", 0),
        ("tuned", 0),
        ("date", 1),
        ("tuned", 0),
        ("date", 4),
        ("tuned", 3),
        ("date", 2),
    ]
    assert [trace.name for trace in figure.data if trace.name] == [part.name for part in PARTS if part != PROBES]
    assert "A model costs 5 trainings with tuned (at B=1,024); the baselines took 4" in figure.layout.title.text
    assert list(figure.layout.yaxis.ticktext) == ["tuned, B=1,024", "date, B=1,024"]
    (texts,) = [trace.text for trace in figure.data if trace.text is not None]
    assert [text.strip() for text in texts] == ["5 to a model", "1 to a model"]
