"""Searches for score and cost: proposals, pruning by the score, and what a diverged trial's cost is worth."""

import random

import pytest

from tests.tuner.search.searches import NUM_EPOCHS, run, train
from zerotune.tuner.cost import Cost
from zerotune.tuner.search.method import Method, Outcome, Proposal
from zerotune.tuner.search.optuna_search import OptunaSearch, Sampler
from zerotune.tuner.study.fields import Pruner
from zerotune.tuner.study.search_space import Float, Param

SPACE: dict[str, Param] = {"width": Float(low=0.0, high=1.0), "other": Float(low=0.0, high=1.0)}


def method(
    *,
    trials: int = 12,
    sampler: Sampler = "tpe",
    cost: str | None = "flops",
    pruner: Pruner = "none",
    space: dict[str, Param] = SPACE,
) -> OptunaSearch:
    return OptunaSearch(space, sampler=sampler, trials=trials, seed=3, epochs=NUM_EPOCHS, cost=cost, pruner=pruner)


def outcome(score: float | None, flops: int, *, pruned: bool = False, diverged: bool = False) -> Outcome:
    cost = Cost(trials=1, flops=flops, device_seconds=flops / 7)
    return Outcome(score=score, pruned=pruned, epoch_scores=(), diverged=diverged, cost=cost)


def trade_off(search: Method, proposal: Proposal) -> Outcome:
    """Return an outcome that is better and dearer for a larger width; the other hyperparameter only costs."""
    width, other = (float(proposal.params[name]) for name in ("width", "other"))  # type: ignore[arg-type]
    return outcome(width, round(1e6 * (width + other)))


def test_a_search_for_score_and_cost_comes_closer_to_the_front_than_one_for_the_score() -> None:
    """On the front the other hyperparameter, which only costs, is 0."""
    wasted = {}
    for cost in ("flops", None):
        proposals, _ = run(method(trials=40, cost=cost), trade_off)
        late = [float(p.params["other"]) for p in proposals[len(proposals) // 2 :]]  # type: ignore[arg-type]
        wasted[cost] = sum(late) / len(late)
    assert wasted["flops"] < 0.75 * wasted[None]


@pytest.mark.parametrize("pruner", ["none", "median", "asha", "hyperband"])
def test_stored_outcomes_give_the_same_proposals_in_any_order(pruner: Pruner) -> None:
    def priced(search: Method, proposal: Proposal) -> Outcome:
        found = train(search, proposal)
        cost = Cost(trials=1, flops=round(1e6 * float(proposal.params["lr"])))  # type: ignore[arg-type]
        return Outcome(score=found.score, pruned=found.pruned, epoch_scores=found.epoch_scores, cost=cost)

    space: dict[str, Param] = {"lr": Float(low=0.001, high=1.0, scale="log"), "momentum": Float(low=0.0, high=1.0)}
    proposals, outcomes = run(method(trials=18, pruner=pruner, space=space), priced)
    assert (pruner != "none") == any(one.pruned for one in outcomes.values())
    for num_workers in (1, 3):
        replayed, _ = run(
            method(trials=18, pruner=pruner, space=space),
            lambda search, proposal: outcomes[proposal.index],
            num_workers=num_workers,
            chance=random.Random(num_workers),
        )
        assert proposals == replayed


def test_other_costs_of_a_round_change_the_proposals_after_it() -> None:
    def dear(search: Method, proposal: Proposal) -> Outcome:
        width = float(proposal.params["width"])  # type: ignore[arg-type]
        return outcome(width, round(1e6 * (1 - width)))

    cheap_first, _ = run(method(trials=16), trade_off)
    dear_first, _ = run(method(trials=16), dear)
    assert cheap_first[:4] == dear_first[:4]
    assert cheap_first[8:] != dear_first[8:]


def proposals_where_some_diverge(flops: int, *, diverged: bool, first: bool = False) -> list[Proposal]:
    """Return the proposals if every second trial has the score of chance at a cost, or every one of the first round."""

    def told(search: Method, proposal: Proposal) -> Outcome:
        is_lost = proposal.index < 4 if first else proposal.index % 2
        if is_lost:
            return outcome(0.1, flops, diverged=diverged)
        return outcome(float(proposal.params["width"]), 1_000_000)  # type: ignore[arg-type]

    return run(method(trials=16), told)[0]


def test_a_diverged_trial_counts_with_the_highest_cost_of_the_finished_ones() -> None:
    """It ended early, which is no saving: told its own cost, the search would go where trainings diverge."""
    expected = proposals_where_some_diverge(1_000_000, diverged=False)
    assert proposals_where_some_diverge(10, diverged=True) == expected
    assert proposals_where_some_diverge(10, diverged=False) != expected


def test_diverged_trials_before_any_finished_one_are_told_as_failed() -> None:
    failed = proposals_where_some_diverge(10, diverged=True, first=True)

    def told(search: Method, proposal: Proposal) -> Outcome:
        score = None if proposal.index < 4 else float(proposal.params["width"])  # type: ignore[arg-type]
        return outcome(score, 1_000_000)

    assert failed == run(method(trials=16), told)[0]


def test_failed_and_pruned_trials_have_no_values_and_equal_costs_are_no_mistake() -> None:
    def told(search: Method, proposal: Proposal) -> Outcome:
        kind = proposal.index % 3
        return outcome(None if kind == 1 else 0.5, 5, pruned=kind == 2)

    for sampler in ("tpe", "gp"):
        proposals, _ = run(method(trials=9, sampler=sampler), told)  # type: ignore[arg-type]
        assert len(proposals) == 9
