"""The agenda of a regime search: what it trains, how it decides, and that nothing is trained twice."""

from itertools import product

import pytest

from tests.regime_responses import (
    LIMITS,
    NUM_BASELINE,
    NUM_RULE,
    NUM_SEARCH,
    TEXT,
    Searched,
    holding_up_to,
    not_monotone,
    prepared,
    search,
)
from zerotune.tuner.commands.regime.bisection import Bracket
from zerotune.tuner.commands.regime.scheduler import add_linear_arm
from zerotune.tuner.cost import total_cost
from zerotune.tuner.errors import BadInput
from zerotune.tuner.study import study_from_text
from zerotune.tuner.trial import Trial, TrialStatus

RUNGS = (64, 128, 256, 512, 1024, 2048, 3000)


def boundaries(searched: Searched) -> tuple[int | None, int | None, int | None, int | None]:
    regime = searched.found()
    return regime.large.holds, regime.large.fails, regime.huge.holds, regime.huge.fails


@pytest.mark.parametrize(("linear", "best"), [(a, b) for a, b in product((32, *RUNGS), repeat=2) if a <= b])
def test_every_pair_of_boundaries_is_found(linear: int, best: int) -> None:
    found = boundaries(search(holding_up_to({"linear": linear, "sqrt": 32, "tuned": best})))
    ladder = (32, *RUNGS, None)
    expected = []
    for limit in (linear, best):
        place = ladder.index(limit)
        expected += [ladder[place] if limit > 32 else None, ladder[place + 1]]
    assert found == tuple(expected)


def test_linear_scaling_is_searched_first_and_then_every_method_until_one_holds() -> None:
    searched = search(holding_up_to(LIMITS))
    assert searched.steps() == [
        ("linear", 512),
        ("baseline", 32),
        ("linear", 128),
        ("linear", 256),
        # 512 is above a size that fails already, so no check follows. Now all methods run, linear scaling included.
        ("linear", 1024),
        ("sqrt", 1024),
        ("tuned", 1024),
        ("linear", 2048),
        ("sqrt", 2048),
        ("tuned", 2048),
        ("linear", 3000),
        ("sqrt", 3000),
        ("tuned", 3000),
    ]
    assert boundaries(searched) == (128, 256, 1024, 2048)
    regime = searched.found()
    assert [attempt.arm for attempt in regime.at(1024) if attempt.keeps_score] == ["tuned"]


def test_without_a_check_the_batch_size_above_a_boundary_is_not_tried() -> None:
    assert 3000 not in {trial.batch_size for trial in search(holding_up_to(LIMITS), check=False).asked}


def test_linear_scaling_that_loses_its_loss_only_is_large_but_not_huge() -> None:
    searched = search(holding_up_to({"linear": 2048, "sqrt": 32, "tuned": 32}, loss_limit=128))
    assert boundaries(searched) == (128, 256, 2048, 3000)


def test_a_searching_arm_is_confirmed_at_its_best_by_validation_and_judged_on_that() -> None:
    def response(trial: Trial) -> tuple[float, float, TrialStatus]:
        best = trial.arm != "tuned" or trial.params["lr"] == 0.2
        return (0.96 if trial.arm == "baseline" or (trial.arm == "tuned" and best) else 0.5), 0.1, "finished"

    searched = search(response)
    assert boundaries(searched) == (None, 64, 3000, None)
    confirmed = [t for t in searched.asked if (t.arm, t.role, t.batch_size) == ("tuned", "confirmation", 3000)]
    assert [(trial.params["lr"], trial.config.seed) for trial in confirmed] == [(0.2, 1), (0.2, 2)]


def test_the_baseline_is_trained_once_and_no_trial_is_asked_for_twice() -> None:
    searched = search(holding_up_to(LIMITS))
    ids = [trial.id for trial in searched.asked]
    assert len(ids) == len(set(ids))
    assert len([trial for trial in searched.asked if trial.arm == "baseline"]) == NUM_BASELINE
    num_linear, num_sqrt, num_tuned = (
        len({size for arm, size in searched.steps() if arm == name}) for name in ("linear", "sqrt", "tuned")
    )
    assert len(ids) == NUM_BASELINE + NUM_RULE * (num_linear + num_sqrt) + NUM_SEARCH * num_tuned


def test_every_cell_is_announced_once_before_its_trials() -> None:
    searched = search(holding_up_to(LIMITS))
    assert sorted(searched.cells) == sorted(searched.steps())
    assert len(searched.cells) == len(set(searched.cells))


def test_a_search_that_is_run_again_trains_nothing_and_finds_the_same() -> None:
    first = search(holding_up_to(LIMITS))
    again = search(holding_up_to(LIMITS), known=first.results)
    assert again.asked == []
    assert again.regime == first.regime


def test_a_search_that_was_stopped_anywhere_trains_the_rest_and_finds_the_same() -> None:
    whole = search(holding_up_to(LIMITS))
    order = [trial.id for trial in whole.asked]
    for num_known in range(0, len(order), 5):
        known = {trial_id: whole.results[trial_id] for trial_id in order[:num_known]}
        rest = search(holding_up_to(LIMITS), known=known)
        assert [trial.id for trial in rest.asked] == order[num_known:]
        assert rest.regime == whole.regime


@pytest.mark.parametrize("slots", [2, 3, 8])
def test_several_workers_find_the_same_with_the_same_trials(slots: int) -> None:
    alone, together = search(holding_up_to(LIMITS)), search(holding_up_to(LIMITS), slots=slots)
    assert {trial.id for trial in together.asked} == {trial.id for trial in alone.asked}
    assert boundaries(together) == boundaries(alone)


def test_a_larger_range_goes_on_from_the_trials_of_a_smaller_one() -> None:
    part = search(holding_up_to(LIMITS), span=(64, 512))
    assert boundaries(part) == (128, 256, 512, None)
    whole = search(holding_up_to(LIMITS), known=part.results)
    assert boundaries(whole) == (128, 256, 1024, 2048)
    assert not {trial.id for trial in whole.asked} & {trial.id for trial in part.asked}


def test_the_bill_adds_up_over_baseline_attempts_and_the_rest() -> None:
    text = TEXT.replace(
        "{name: sqrt, method: sqrt}",
        "{name: date, method: date, on_long_warmup: clamp, "
        "baseline: {warmup_epochs: 0.25, tune: {method: grid, space: {lr: {choices: [0.001, 0.002]}}}}}",
    )
    part = search(holding_up_to(LIMITS), text=text)
    searched = search(holding_up_to(LIMITS), text=text, span=(64, 512), known=part.results)
    regime = searched.found()
    assert ("date baseline", 32) in {(line.arm, line.batch_size) for line in regime.others}
    parts = [regime.baseline.cost, *(a.cost for a in regime.attempts), *(line.cost for line in regime.others)]
    assert total_cost(parts) == regime.total == total_cost(result.cost for result in searched.results.values())


@pytest.mark.parametrize("slots", [1, 4])
def test_a_budget_begins_no_training_above_it_and_leaves_the_brackets_open(slots: int) -> None:
    num_whole = len(search(holding_up_to(LIMITS), slots=slots).asked)
    for budget in range(NUM_BASELINE + NUM_RULE, 30, 7):
        searched = search(holding_up_to(LIMITS), max_trainings=budget, slots=slots)
        regime = searched.found()
        assert len(searched.asked) == budget
        assert regime.ended_early
        assert regime.total.trials == budget
        more = search(holding_up_to(LIMITS), known=searched.results, slots=slots)
        assert boundaries(more) == (128, 256, 1024, 2048)
        assert len(more.asked) + budget == num_whole


def test_a_budget_that_ends_before_the_baseline_finds_nothing() -> None:
    searched = search(holding_up_to(LIMITS), max_trainings=1)
    assert searched.regime is None
    assert len(searched.asked) == 1


def test_the_studys_own_budget_of_search_trials_counts_over_all_batch_sizes() -> None:
    searched = search(holding_up_to(LIMITS), text=TEXT + "budget: {trials: 4}\n")
    assert len([trial for trial in searched.asked if trial.role == "search"]) == 4


def test_a_baseline_without_a_score_ends_the_search() -> None:
    def response(trial: Trial) -> tuple[float, float, TrialStatus]:
        return 0.9, 0.1, "failed" if trial.arm == "baseline" else "finished"

    searched = search(response)
    assert searched.regime is None
    assert {arm for arm, _ in searched.steps()} == {"baseline", "linear"}


def test_a_method_whose_runs_all_fail_does_not_hold_and_says_why() -> None:
    def response(trial: Trial) -> tuple[float, float, TrialStatus]:
        return 0.96, 0.1, "failed" if trial.batch_size > 512 else "finished"

    searched = search(response)
    assert boundaries(searched) == (512, 1024, 512, 1024)
    regime = searched.found()
    assert {(a.num_failed, a.error) for a in regime.at(1024)} >= {(2, "out of memory")}


def test_a_response_that_is_not_monotone_is_reported() -> None:
    regime = search(not_monotone).found()
    assert regime.large == Bracket(holds=256, fails=512, closed=True, contradictions=((512, 2048), (1024, 3000)))
    # At 512 only linear scaling was tried, which says nothing about the other methods.
    assert regime.huge == Bracket(holds=3000, fails=None, closed=True, contradictions=((2048,), (3000,)))


def test_an_arm_that_is_linear_scaling_is_not_added_again() -> None:
    text = TEXT.replace("{name: sqrt, method: sqrt}", "{name: times-k, method: linear}")
    study, question = prepared(text)
    assert question.linear == "times-k"
    assert question.arms == ("times-k", "tuned")
    assert [arm.name for arm in study.arms] == ["tuned", "times-k"]


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ("{name: linear, method: sqrt}", "its arm 'linear' is not linear scaling of the study's own baseline"),
        ("{name: linear, method: linear, baseline: {lr: 0.02}}", "its arm 'linear' is not linear scaling"),
    ],
)
def test_another_arm_of_the_name_linear_is_refused(arms: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        add_linear_arm(study_from_text(TEXT.replace("{name: sqrt, method: sqrt}", arms), "x.yaml"))


def test_a_study_of_linear_scaling_alone_is_refused() -> None:
    study = study_from_text(TEXT, "x.yaml")
    alone = study.arms[1].model_copy(update={"method": "linear", "name": "linear"})
    with pytest.raises(BadInput, match="has no arm that could hold where linear scaling fails"):
        add_linear_arm(study.model_copy(update={"arms": (alone,)}))
