"""Optuna's samplers in reproducible rounds, its pruners and distributions."""

import math
import warnings
from functools import partial
from statistics import fmean

import pytest
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tests.tuner.search.searches import NUM_EPOCHS, NUM_TRIALS, Params, quality, run, train
from zerotune.tuner.search.enumerated import random_search, sobol_search
from zerotune.tuner.search.method import Method, Outcome, Proposal
from zerotune.tuner.search.optuna_search import OptunaSearch, Sampler, distribution
from zerotune.tuner.search.terminator import is_within_regret_bound
from zerotune.tuner.study.fields import Pruner
from zerotune.tuner.study.search_space import Choice, Float, Int, Param


def tpe(
    *,
    sampler: Sampler = "tpe",
    seed: int = 0,
    trials: int = NUM_TRIALS,
    parallel: int = 4,
    pruner: Pruner = "none",
    epochs: int = NUM_EPOCHS,
) -> OptunaSearch:
    space: dict[str, Param] = {"lr": Float(low=0.001, high=1.0, scale="log"), "momentum": Float(low=0.0, high=1.0)}
    return OptunaSearch(
        space, sampler=sampler, trials=trials, seed=seed, epochs=epochs, pruner=pruner, parallel=parallel
    )


# -- Optuna's rounds ---------------------------------------------------------------------------------------------------


def test_a_round_waits_for_its_last_outcome_only() -> None:
    method = tpe(parallel=3, trials=7)
    answers = [method.ask() for _ in range(3)]
    assert [Proposal, Proposal, Proposal] == [type(answer) for answer in answers]
    for index in (2, 0):
        assert method.ask() == "wait"
        method.tell(index, Outcome(score=-1.0, pruned=False, epoch_scores=(-1.0,)))
    assert method.ask() == "wait"
    method.tell(1, Outcome(score=-1.0, pruned=False, epoch_scores=(-1.0,)))
    assert isinstance(method.ask(), Proposal)


def test_a_proposal_rests_on_earlier_rounds() -> None:
    """With other outcomes, the first round is the same and later ones differ."""
    kind, _ = run(tpe())
    unkind, _ = run(tpe(), lambda method, p: Outcome(score=quality(p.params) * -1, pruned=False, epoch_scores=()))
    assert kind[:4] == unkind[:4]
    assert kind[8:] != unkind[8:]


@pytest.mark.parametrize("pruner", ["none", "median", "asha", "hyperband"])
def test_telling_stored_outcomes_gives_the_same_proposals(pruner: Pruner) -> None:
    """A resumed study tells the journal's outcomes and reports nothing."""
    proposals, outcomes = run(tpe(pruner=pruner))
    assert (pruner != "none") == any(outcome.pruned for outcome in outcomes.values())
    for num_workers in (1, 3):
        replayed, _ = run(tpe(pruner=pruner), lambda method, p: outcomes[p.index], num_workers=num_workers)
        assert proposals == replayed


@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband"])
def test_a_search_resumed_halfway_goes_on_as_if_it_had_not_stopped(pruner: Pruner) -> None:
    proposals, outcomes = run(tpe(pruner=pruner))

    def first_half_stored(method: Method, proposal: Proposal) -> Outcome:
        return outcomes[proposal.index] if proposal.index < 10 else train(method, proposal)

    assert (proposals, outcomes) == run(tpe(pruner=pruner), first_half_stored)


# -- pruners -----------------------------------------------------------------------------------------------------------


def epochs_until_pruned(method: OptunaSearch, index: int, score: float) -> int | None:
    """Return the epochs after which a trial with this score is pruned, or None if it may finish."""
    for epoch in range(1, NUM_EPOCHS):
        if not method.report(index, epoch, score):
            return epoch
    return None


@pytest.mark.parametrize(("pruner", "stops_at"), [("median", 2), ("asha", 1)])
def test_a_hopeless_trial_is_stopped_at_the_first_rung_and_a_good_one_is_not(pruner: Pruner, stops_at: int) -> None:
    method = tpe(pruner=pruner)
    for _ in range(4):
        method.ask()
    for index, score in enumerate([0.90, 0.92, 0.94, 0.96]):
        assert epochs_until_pruned(method, index, score) is None
        method.tell(index, Outcome(score=score, pruned=False, epoch_scores=(score,) * NUM_EPOCHS))
    for _ in range(4, 6):
        method.ask()
    assert epochs_until_pruned(method, 4, 0.1) == stops_at
    assert epochs_until_pruned(method, 5, 0.97) is None


def test_without_a_pruner_nothing_is_stopped() -> None:
    method = tpe()
    for _ in range(4):
        method.ask()
    assert [None] * 4 == [epochs_until_pruned(method, index, -index) for index in range(4)]


def test_an_epoch_that_is_done_again_after_a_lost_worker_is_taken_once() -> None:
    method = tpe(pruner="median")
    proposal = method.ask()
    assert isinstance(proposal, Proposal)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        method.report(0, 1, 0.5)
        method.report(0, 2, 0.6)
        assert train(method, proposal).pruned is False


@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband"])
@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_scores_that_are_not_finite_are_worth_no_score_and_decide_no_pruning(pruner: Pruner, score: float) -> None:
    """Such scores are in journals of earlier versions."""

    def outcomes(method: OptunaSearch, bad: float | None) -> list[Params]:
        proposals, values = [], [bad, bad, 0.94, 0.96] * 4
        for index in range(16):
            proposal = method.ask()
            assert isinstance(proposal, Proposal)
            proposals.append(proposal.params)
            if index % 4 == 3:
                for each in range(index - 3, index + 1):
                    value = values[each]
                    epochs = () if value is None else (value,) * NUM_EPOCHS
                    method.tell(each, Outcome(score=value, pruned=False, epoch_scores=epochs))
        return proposals

    method, failing = tpe(pruner=pruner), tpe(pruner=pruner)
    assert outcomes(method, score) == outcomes(failing, None)
    assert isinstance(method.ask(), Proposal)
    assert epochs_until_pruned(method, 16, 0.97) is None


# -- Optuna's distributions --------------------------------------------------------------------------------------------

DISTRIBUTIONS: list[tuple[Param, BaseDistribution]] = [
    (Float(low=0.0, high=0.5), FloatDistribution(0.0, 0.5)),
    (Float(low=0.001, high=1.0, scale="log"), FloatDistribution(0.001, 1.0, log=True)),
    (Int(low=0, high=7), IntDistribution(0, 7)),
    (Int(low=1, high=64, scale="log"), IntDistribution(1, 64, log=True)),
    (Choice(choices=("constant", "poly")), CategoricalDistribution(("constant", "poly"))),
]


@pytest.mark.parametrize(("param", "expected"), DISTRIBUTIONS, ids=lambda value: type(value).__name__)
def test_a_range_becomes_optunas_form_of_it(param: Param, expected: BaseDistribution) -> None:
    assert expected == distribution(param)


# -- search quality ----------------------------------------------------------------------------------------------------


def mean_best(sampler: Sampler | None, *, trials: int, num_seeds: int) -> float:
    """Return the best quality of a search, mean over seeds; None for random search."""
    space = {"lr": Float(low=1e-4, high=10.0, scale="log"), "momentum": Float(low=0.0, high=1.0)}
    found = []
    for seed in range(num_seeds):
        method: Method = random_search(space, trials=trials, seed=seed)
        if sampler is not None:
            method = OptunaSearch(space, sampler=sampler, trials=trials, seed=seed, epochs=1)
        _, outcomes = run(method, lambda m, p: Outcome(score=quality(p.params), pruned=False, epoch_scores=()))
        found.append(max(outcome.score for outcome in outcomes.values() if outcome.score is not None))
    return fmean(found)


@pytest.mark.parametrize(("sampler", "trials", "num_seeds"), [("tpe", 30, 10), ("gp", 10, 2)])
def test_a_sampler_comes_closer_to_the_optimum_than_random_search(
    sampler: Sampler, trials: int, num_seeds: int
) -> None:
    """Its mean distance is less than half of random search's."""
    by_chance = mean_best(None, trials=trials, num_seeds=num_seeds)
    assert mean_best(sampler, trials=trials, num_seeds=num_seeds) > by_chance / 2


def test_a_gaussian_process_begins_with_sobol_points_and_leaves_torch_its_threads() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        proposals, _ = run(tpe(sampler="gp", trials=5))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    space: dict[str, Param] = {"lr": Float(low=0.001, high=1.0, scale="log"), "momentum": Float(low=0.0, high=1.0)}
    points, _ = run(sobol_search(space, trials=4, seed=0))
    assert [p.params for p in proposals[:4]] == [p.params for p in points]


# -- Optuna's terminator -----------------------------------------------------------------------------------------------


def test_a_search_ends_within_optunas_regret_bound_and_not_before_20_trials() -> None:
    """Scores that differ by next to nothing cannot be improved by a tenth of the best one."""

    def flat(method: Method, proposal: Proposal) -> Outcome:
        return Outcome(score=0.9 + 1e-4 * quality(proposal.params), pruned=False, epoch_scores=())

    def search(margin: float) -> OptunaSearch:
        space: dict[str, Param] = {"lr": Float(low=0.001, high=1.0, scale="log")}
        ends = partial(is_within_regret_bound, margin=margin, seed=0)
        return OptunaSearch(space, trials=28, seed=0, epochs=1, parallel=4, ends=ends)

    assert [len(run(search(0.9), flat, num_workers=workers)[0]) for workers in (1, 3)] == [20, 20]
    assert len(run(search(1.0), flat)[0]) == 28
