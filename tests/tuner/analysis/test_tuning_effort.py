"""How many trials the reference's search needs to be as good as another arm, against values computed by hand."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.synthetic_study import result
from zerotune.tuner.analysis.tuning_effort import TuningEffort, effort_to_match
from zerotune.tuner.trial import Role, TrialResult, TrialStatus

SEARCH = (0.90, 0.93, 0.91, 0.96)


def trials(
    scores: Sequence[float | None], *, role: Role = "search", seed: int = 0, status: TrialStatus = "finished"
) -> list[TrialResult]:
    """Return a search whose trials took ten device-seconds each; a trial without a score failed."""
    statuses: list[TrialStatus] = ["failed" if score is None else status for score in scores]
    return [
        result("tuned", 1024, role, index, validation=score, status=statuses[index], seconds=10.0, seed=seed)
        for index, score in enumerate(scores)
    ]


def effort(
    search: list[TrialResult], level: float, *, repeats: Sequence[TrialResult] = (), learned: bool = False
) -> TuningEffort:
    found = effort_to_match(search, repeats, level, learned=learned, higher_is_better=True)
    assert found is not None
    return found


def test_of_exchangeable_trials_k_star_is_an_expectation_over_their_order() -> None:
    # Expected best of 1, 2, 3, 4 trials: 0.925, (0.91 + 0.93 * 2 + 0.96 * 3) / 6, (0.93 + 0.96 * 3) / 4, 0.96.
    assert [effort(trials(SEARCH), level).trials for level in (0.92, 0.94, 0.95, 0.96, 0.97)] == [1, 2, 3, 4, None]
    assert effort(trials(SEARCH), 0.92).num_trials == 4


def test_of_a_search_that_learns_k_star_is_where_its_best_so_far_gets_there() -> None:
    found = [effort(trials(SEARCH), level, learned=True) for level in (0.90, 0.92, 0.95, 0.97)]
    assert [one.trials for one in found] == [1, 2, 4, None]
    assert {one.num_searches for one in found} == {1}


def test_which_of_the_trials_side_by_side_ends_first_changes_nothing() -> None:
    backwards = [replace(one, finished_at=-one.finished_at) for one in trials(SEARCH)]
    for level in (0.90, 0.92, 0.95, 0.97):
        assert effort(backwards, level, learned=True) == effort(trials(SEARCH), level, learned=True)


def test_repeats_of_a_search_that_learns_are_averaged() -> None:
    repeats = trials((0.80, 0.99, 0.5, 0.5), role="repeat", seed=7)
    # Mean of the best so far: 0.85, 0.96, 0.96, 0.975.
    found = [effort(trials(SEARCH), level, repeats=repeats, learned=True) for level in (0.85, 0.9, 0.97, 0.98)]
    assert [one.trials for one in found] == [1, 2, 4, None]
    assert {(one.num_searches, one.num_trials, one.success.num_trials) for one in found} == {(2, 4, 8)}


def test_a_repeat_that_is_not_complete_is_left_out() -> None:
    repeats = trials((0.99, 0.99), role="repeat", seed=7)
    assert effort(trials(SEARCH), 0.95, repeats=repeats, learned=True) == effort(trials(SEARCH), 0.95, learned=True)


def test_repeats_of_independent_draws_are_one_larger_sample() -> None:
    repeats = trials((0.97, 0.97, 0.97, 0.97), role="repeat", seed=7)
    found = effort(trials(SEARCH), 0.97, repeats=repeats)
    assert (found.success.num_successes, found.success.num_trials, found.num_trials) == (4, 8, 8)
    assert found.trials == 5  # the four worse trials may come first


def test_the_running_time_bills_all_trials_to_those_that_got_there() -> None:
    found = effort(trials((*SEARCH, None)), 0.93)
    assert (found.success.num_successes, found.success.num_trials) == (2, 5)
    assert found.running_time["device_seconds"] == pytest.approx(5 * 10.0 / 2)
    assert found.running_time["trials"] == pytest.approx(5 / 2)
    assert effort(trials(SEARCH), 0.99).running_time == {}


def test_a_pruned_trial_costs_and_reaches_nothing() -> None:
    search = [*trials(SEARCH), *trials((0.99,), status="pruned")]
    found = effort(search, 0.97, learned=True)
    assert (found.trials, found.success.num_successes, found.success.num_trials) == (None, 0, 5)


def test_without_a_search_there_is_no_effort() -> None:
    assert effort_to_match([], [], 0.9, learned=False, higher_is_better=True) is None


def test_where_lower_is_better_the_lowest_trial_is_the_best() -> None:
    found = effort_to_match(trials((120.0, 110.0, 100.0)), [], 110.0, learned=False, higher_is_better=False)
    assert found is not None
    assert (found.trials, found.success.num_successes) == (1, 2)
