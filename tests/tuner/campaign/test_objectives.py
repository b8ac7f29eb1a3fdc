"""A study with a search for score and cost: it chooses, confirms and resumes by both."""

from dataclasses import replace

from tests.campaigns import Executed, by_lr, execute, result
from tests.tuner.campaign.campaign_study import study
from zerotune.tuner.analysis.economy import economy_of
from zerotune.tuner.analysis.selection import best_trial
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.trial import Trial, TrialResult

THRIFTY = study(("trials: 6", "trials: 12\n    objectives: [score, device_seconds]"))


def measured(trial: Trial, score: float | None) -> TrialResult:
    """Return a result that took longer with a larger learning rate, as a clock might find."""
    found = result(trial, score, test_score=score if trial.role == "confirmation" else None)
    return replace(found, cost=replace(found.cost, device_seconds=10 + 100 * trial.config.schedule.peak_lr))


def level(trial: Trial) -> float:
    """Return a score that is nearly the same for most learning rates."""
    return 0.9 + 0.001 * by_lr(trial)


def searched(done: Executed) -> list[TrialResult]:
    return [one for one in done.results.values() if (one.trial.arm, one.trial.role) == ("tuned", "search")]


def test_the_cheapest_trial_within_the_margin_is_confirmed() -> None:
    done = execute(Campaign(THRIFTY), level, make=measured)
    at_128 = [one for one in searched(done) if one.trial.batch_size == 128]
    cheapest = min(at_128, key=lambda one: one.cost.device_seconds)
    economy = economy_of(THRIFTY, THRIFTY.arm("tuned"))
    assert best_trial(at_128, higher_is_better=True, economy=economy) == cheapest
    assert best_trial(at_128, higher_is_better=True) != cheapest
    confirmed = done.of("tuned", "confirmation", 128)
    assert {one.config.schedule.peak_lr for one in confirmed} == {cheapest.trial.config.schedule.peak_lr}


def test_a_resumed_study_goes_by_the_recorded_costs_and_a_new_one_by_its_own() -> None:
    first = execute(Campaign(THRIFTY), level, make=measured)
    known = dict(list(first.results.items())[: len(first.results) // 2])
    again = execute(Campaign(THRIFTY, known), level, make=measured, known=known, num_workers=3)
    assert again.ids() == first.ids()

    def on_another_clock(trial: Trial, score: float | None) -> TrialResult:
        found = measured(trial, score)
        return replace(found, cost=replace(found.cost, device_seconds=1000 - found.cost.device_seconds))

    assert execute(Campaign(THRIFTY), level, make=on_another_clock).ids() != first.ids()


def test_a_search_by_the_score_alone_does_not_depend_on_costs() -> None:
    plain = study(("trials: 6", "trials: 12"))
    assert execute(Campaign(plain), level, make=measured).ids() == execute(Campaign(plain), level).ids()
