"""Pruning and budgets limit a search, also when the study is resumed."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.campaigns import by_chance, execute, result
from tests.synthetic_study import epoch_metrics
from tests.tuner.campaign.campaign_study import NUM_CONFIRMATIONS, NUM_SEARCH_TRIALS, study
from zerotune.trainers.applications import APPLICATIONS
from zerotune.tuner.analysis.selection import BASELINE
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.trial import Trial, TrialStatus


def report(campaign: Campaign, trial: Trial, epoch: int, score: float) -> bool:
    return campaign.report(trial, [epoch_metrics(epoch, score)])


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_bad_trial_of_a_pruning_search_is_ended_and_a_good_one_and_a_confirmation_are_not(
    monkeypatch: pytest.MonkeyPatch, higher_is_better: bool
) -> None:
    application = replace(APPLICATIONS["lenet_mnist"], higher_is_better=higher_is_better)
    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", application)
    good, bad = (0.9, 0.1) if higher_is_better else (0.1, 0.9)
    campaign = Campaign(study(("    trials: 6\n", "    trials: 6\n    pruner: median\n")))
    num_results = 0
    while isinstance(trial := campaign.ask(), Trial):
        pruning = trial.arm == "tuned" and trial.role == "search"
        assert pruning == campaign.may_prune(trial)
        scores = [bad if pruning and trial.index == 4 else good] * 11
        goes_on = [report(campaign, trial, epoch, score) for epoch, score in enumerate(scores, start=1)]
        # The median of the four finished trials applies from epochs/4 on.
        assert goes_on == ([True, True] + [False] * 9 if pruning and trial.index == 4 else [True] * 11)
        status: TrialStatus = "finished" if all(goes_on) else "pruned"
        campaign.tell(result(trial, scores[-1], status=status))
        num_results += 1
    assert NUM_SEARCH_TRIALS + NUM_CONFIRMATIONS == num_results


def test_a_search_prunes_by_the_epochs_of_its_own_arm() -> None:
    """With 40 epochs the median applies from the tenth on; with the study's 12 it would apply from the third."""
    campaign = Campaign(study(("    trials: 6\n", "    trials: 6\n    pruner: median\n    epochs: 40\n")))
    ended_after = set()
    while isinstance(trial := campaign.ask(), Trial):
        bad = campaign.may_prune(trial) and trial.index == 4
        score, epochs = 0.1 if bad else 0.9, 1
        while epochs < trial.config.epochs and report(campaign, trial, epochs, score):
            epochs += 1
        if bad:
            ended_after.add(epochs)
        campaign.tell(result(trial, score, status="pruned" if epochs < trial.config.epochs else "finished"))
    assert ended_after == {10}


BUDGET = ("arms:\n", "budget: {trials: 7}\narms:\n")


@pytest.mark.parametrize("num_workers", [1, 4])
def test_a_budget_of_trials_ends_searching_and_what_was_found_is_confirmed(num_workers: int) -> None:
    done = execute(Campaign(study(BUDGET)), num_workers=num_workers)
    assert 7 == sum(trial.role != "confirmation" for trial in done.asked)
    confirmed = {(t.arm, t.batch_size) for t in done.asked if t.role == "confirmation"}
    rules = {(arm, size) for arm in ("linear-warmup", "legw", "date") for size in (128, 512)}
    # Both baselines leave one trial; with a single worker, the arm that tunes at 128 gets it.
    assert {(BASELINE, 32), ("tuned", 128), *rules} == confirmed
    for arm, batch_size in confirmed:
        assert [11, 12] == [t.config.seed for t in done.of(arm, "confirmation", batch_size)]


def test_a_budget_of_seconds_ends_searching_once_that_many_are_spent() -> None:
    seconds = ("arms:\n", "budget: {device_seconds: 75}\narms:\n")
    done = execute(Campaign(study(seconds)))
    # The baseline and DATE's own baseline take 30 s each; the first search reaches 80 s with its second trial.
    searched = Counter(trial.arm for trial in done.asked if trial.role != "confirmation")
    assert searched == {BASELINE: 3, "date baseline": 3, "tuned": 2}
    confirmed = Counter(trial.arm for trial in done.asked if trial.role == "confirmation")
    assert (confirmed[BASELINE], confirmed["legw"]) == (2, 4)


@pytest.mark.parametrize("num_workers", [1, 3])
def test_a_spent_budget_hides_no_result_when_a_study_is_resumed(num_workers: int) -> None:
    first = execute(Campaign(study(BUDGET)), num_workers=num_workers)
    again = execute(Campaign(study(BUDGET), first.results), known=first.results)
    assert first.ids() == again.ids()
    assert again.results == {}


def test_a_resumed_study_spends_what_was_left_of_its_budget() -> None:
    """Four workers waiting for a round continue with later searches; a resumed one finds the earlier ones first."""
    limited = study(("arms:\n", "budget: {trials: 14}\narms:\n"))
    for stop_after in (8, 12, 16, 20):
        first = execute(Campaign(limited), num_workers=9, stop_after=stop_after)
        again = execute(Campaign(limited, first.results), known=first.results)
        results = first.results | again.results
        assert 14 == sum(r.trial.role != "confirmation" for r in results.values())
        assert set(results) == again.ids()


@pytest.mark.parametrize(("arm", "kept"), [(BASELINE, [0, 2]), ("tuned", [0, 2, 3])])
def test_results_behind_a_lost_trial_are_used_where_the_budget_is_spent(arm: str, kept: list[int]) -> None:
    """The second trial was running when the study was stopped; the later trials of its round had ended."""
    searches = [r for r in execute(Campaign(study()), by_chance).results.values() if r.trial.role != "confirmation"]
    known = {r.trial.id: r for r in searches if r.trial.arm != arm or r.trial.index in kept}
    spent = study(("arms:\n", "budget: {device_seconds: 15}\narms:\n"))
    again = execute(Campaign(spent, known), by_chance, known=known)
    for batch_size in {r.trial.batch_size for r in searches if r.trial.arm == arm}:
        search = [t for t in again.asked if (t.arm, t.batch_size) == (arm, batch_size) and t.role != "confirmation"]
        assert kept == [trial.index for trial in search]
        assert [max(search, key=by_chance).params] * 2 == [t.params for t in again.of(arm, "confirmation", batch_size)]
