"""The method `comprehensive` in a study: its proposals, seeds, choice and description."""

import math
from dataclasses import replace

import pytest

from tests.campaigns import by_lr, completed, execute, result
from zerotune.tuner.analysis.selection import best_trial, find_edges
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.errors import BadInput
from zerotune.tuner.reports.text.configuration import format_arm
from zerotune.tuner.study import Study, study_from_text
from zerotune.tuner.trial import Trial

TEXT = """
name: comprehensive
application: lenet_mnist
data: {source: mnist5k}
epochs: 8
batch_sizes: [128, 512]
seeds: [1, 2, 4, 5, 6]
reference: tuned
baseline:
  batch_size: 32
  optimizer: {name: momentum, momentum: 0.95}
  warmup_epochs: 0.25
  tune: {method: grid, space: {lr: {choices: [0.01, 0.02, 0.04]}}}
arms:
  - {name: tuned, method: comprehensive, trials: 24}
  - {name: legw, method: legw}
  - {name: longer, method: sqrt, epochs: 16}
"""


def study(*changes: tuple[str, str]) -> Study:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return study_from_text(text, "x.yaml")


def adam_is_best(trial: Trial) -> float:
    """Return a score that no solver but Adam reaches, best at a learning rate of 0.01."""
    config = trial.config
    return 0.9 - 0.01 * abs(math.log(config.schedule.peak_lr / 0.01)) - 0.3 * (config.optimizer.name != "adam")


def test_its_first_trial_is_what_the_rules_train_with_that_train_as_long() -> None:
    done = execute(Campaign(study()))
    first, rule = done.of("tuned", "search", 512)[0], done.of("legw", "confirmation", 512)[0]
    assert replace(first.config, seed=1) == rule.config
    assert (first.params["rule"], first.params["optimizer"]) == ("legw", "momentum")
    assert first.params["lr"] == rule.config.schedule.peak_lr
    assert {trial.params.get("rule") for trial in done.of("tuned", "search")} == {"legw", None}


def test_it_waits_for_the_baseline_that_the_rules_scale() -> None:
    campaign = Campaign(study())
    asked = [trial for _ in range(3) if isinstance(trial := campaign.ask(), Trial)]
    assert [trial.role for trial in asked] == ["baseline"] * 3
    assert campaign.ask() == "wait"
    for trial in asked:
        campaign.tell(result(trial, by_lr(trial)))
    following = campaign.ask()
    assert isinstance(following, Trial)
    assert (following.arm, following.params["rule"]) == ("tuned", "legw")


def test_every_solver_trains_with_its_own_options_and_the_baselines_with_the_stated_ones() -> None:
    searched = execute(Campaign(study())).of("tuned", "search", 512)
    options = {trial.config.optimizer.name: trial.config.optimizer.options for trial in searched}
    assert set(options) == {"momentum", "adam", "lamb"}
    assert 0.8 <= float(options["adam"]["beta1"]) <= 0.98  # type: ignore[arg-type]
    assert all(trial.config.schedule.warmup_epochs <= 4 for trial in searched)


def test_its_finalists_train_on_further_seeds_and_on_none_of_the_confirmations() -> None:
    searched = execute(Campaign(study()), adam_is_best).of("tuned", "search", 512)
    assert [trial.config.seed for trial in searched] == [0] * 19 + [3] * 3 + [7] * 2
    assert len(searched) == 24


def test_the_choice_has_the_best_mean_over_the_most_seeds() -> None:
    def lucky_once(trial: Trial) -> float:
        return 1.0 if "rule" in trial.params and trial.config.seed == 0 else adam_is_best(trial)

    results = completed(study(), lucky_once)
    search = [each for each in results.values() if (each.trial.arm, each.trial.role) == ("tuned", "search")]
    best = best_trial([each for each in search if each.trial.batch_size == 512], higher_is_better=True)
    assert best is not None
    confirmed = {
        each.trial.config.optimizer.name
        for each in results.values()
        if each.trial.arm == "tuned" and each.trial.role == "confirmation"
    }
    assert best.trial.config.optimizer.name == "adam"
    assert confirmed == {"adam"}


@pytest.mark.parametrize("stop_after", [1, 10, 30])
def test_a_stopped_study_goes_on_with_the_same_trials(stop_after: int) -> None:
    whole = execute(Campaign(study()), adam_is_best, num_workers=3)
    part = execute(Campaign(study()), adam_is_best, num_workers=3, stop_after=stop_after, seed=1)
    rest = execute(Campaign(study(), part.results), adam_is_best, num_workers=2, known=part.results, seed=2)
    assert whole.ids() == rest.ids()


def test_a_learning_rate_is_on_the_edge_where_none_beyond_it_was_tried() -> None:
    results = completed(study(), adam_is_best).values()
    assert find_edges(results, {"tuned": {}}, arms=["tuned"], higher_is_better=True) == ()
    rising = completed(study(), lambda trial: 1 - 1 / (1 + trial.config.schedule.peak_lr)).values()
    (edge, _) = find_edges(rising, {"tuned": {}}, arms=["tuned"], higher_is_better=True)
    assert (edge.name, edge.value) == ("lr", edge.high)


def test_the_report_says_what_is_searched() -> None:
    text = format_arm(study(), study().arm("tuned"))
    assert text.startswith(
        "comprehensive search of 24 trials: what legw would train with, then Sobol points of up to 3 solvers, further "
        "ones of the best solver, by Sobol and by TPE, 5 of the trials for a race of the best over seeds; "
        "at B=512, momentum: lr 0.01 to 0.64, log; warmup_epochs 0 to 4; "
        "decay constant, poly or cosine; momentum 0.8 to 0.98 | adam: lr 0.0005 to 0.016, log;"
    )
    without_race = study(("trials: 24", "trials: 12"))
    assert "by Sobol and by TPE; at B=512," in format_arm(without_race, without_race.arm("tuned"))


def test_the_records_say_which_solvers_and_how_many_trials() -> None:
    plain = study(("trials: 24", "repeats: 1")).resolved()["arms"][0]
    assert (plain["trials"], plain["solvers"]) == (24, ["momentum", "adam", "lamb"])


def test_a_solver_without_a_range_is_refused() -> None:
    with pytest.raises(BadInput) as error:
        study(("trials: 24", "solvers: [adam, adadelta]"))
    assert str(error.value) == (
        "x.yaml:15: arms[0].solvers.adadelta: zerotune knows no learning rate of it to anchor the range of lr on: "
        "state the range, as in solvers: {adadelta: {lr: {low: 0.001, high: 0.1, scale: log}}}, or choose among adam, "
        "momentum, lamb, adamw, lars, rmsprop."
    )
