"""Contract tests of every entry in METHODS, and tests of Optuna's rounds, pruners and distributions."""

import math
import random
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from statistics import fmean

import pytest
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from zerotune.trainers.spec import OptionValue
from zerotune.tuner.search import METHODS, SearchContext
from zerotune.tuner.search.comprehensive import num_raced
from zerotune.tuner.search.enumerated import random_search, sobol_search
from zerotune.tuner.search.method import Method, Outcome, Proposal
from zerotune.tuner.search.optuna_search import OptunaSearch, Sampler, distribution
from zerotune.tuner.study import DEFAULTS, SEARCH_METHODS, SPACE_METHODS, SearchDefinition
from zerotune.tuner.study.fields import Pruner
from zerotune.tuner.study.search_space import Choice, Float, Int, Param

SPACE = {
    "lr": {"low": 0.001, "high": 1.0, "scale": "log", "num": 3},
    "warmup_epochs": {"low": 0, "high": 4, "type": "int", "num": 3},
    "decay": {"choices": ["constant", "poly"]},
}
NUM_TRIALS = 18
NUM_GP_TRIALS = 6  # a learned proposal takes a third of a second
NUM_EPOCHS = 9
EVERY_METHOD = pytest.mark.parametrize("name", METHODS)

Params = Mapping[str, OptionValue]
FAILED = Outcome(score=None, pruned=False, epoch_scores=())


def definition(name: str) -> SearchDefinition:
    if name == "comprehensive":
        return SearchDefinition(method=name, trials=NUM_TRIALS)
    if name not in SPACE_METHODS:
        return SearchDefinition(method=name)
    trials = {"grid": None, "gp": NUM_GP_TRIALS}.get(name, NUM_TRIALS)
    return SearchDefinition.model_validate({"method": name, "trials": trials, "space": SPACE})


def build(name: str, seed: int = 0) -> Method:
    space = {"lr": Float(low=0.001, high=1.0, scale="log"), "momentum": Float(low=0.0, high=1.0)}
    context = SearchContext(
        seed=seed, epochs=NUM_EPOCHS, spaces={"adam": space, "lars": space}, rules=(("legw", "lars"), ("date", "date"))
    )
    return METHODS[name].build(definition(name), context)


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


def quality(params: Params) -> float:
    """Return the quality of hyperparameters: the optimum is 0 at lr = 0.1, all others are negative."""
    if "rule" in params:
        return -0.5
    if "default" in params:
        return -float(list(DEFAULTS).index(str(params["default"])))
    distance = math.log10(float(params["lr"])) + 1  # type: ignore[arg-type]
    momentum = params.get("momentum", 0.5)
    assert isinstance(momentum, float)
    return -(distance**2) - (momentum - 0.8) ** 2


def train(method: Method, proposal: Proposal) -> Outcome:
    """Simulate a training of NUM_EPOCHS epochs whose score rises to the quality of its hyperparameters."""
    scores: list[float] = []
    for epoch in range(1, NUM_EPOCHS + 1):
        scores.append(quality(proposal.params) - 1 / epoch)
        if epoch < NUM_EPOCHS and not method.report(proposal.index, epoch, scores[-1]):
            return Outcome(score=scores[-1], pruned=True, epoch_scores=tuple(scores))
    return Outcome(score=scores[-1], pruned=False, epoch_scores=tuple(scores))


def run(
    method: Method,
    outcome_of: Callable[[Method, Proposal], Outcome] = train,
    *,
    num_workers: int = 1,
    chance: random.Random | None = None,
) -> tuple[list[Proposal], dict[int, Outcome]]:
    """Ask and tell until the method is done; `chance` picks the running trial that ends next."""
    chance = chance or random.Random(0)
    proposals: list[Proposal] = []
    running: dict[int, Outcome] = {}
    outcomes: dict[int, Outcome] = {}
    while True:
        answer = method.ask() if len(running) < num_workers else "wait"
        if isinstance(answer, Proposal):
            proposals.append(answer)
            running[answer.index] = outcome_of(method, answer)
        elif running:
            index = chance.choice(sorted(running))
            outcomes[index] = running.pop(index)
            method.tell(index, outcomes[index])
        else:
            assert answer == "done"  # never "wait" with nothing to wait for
            return proposals, outcomes


# -- every method ------------------------------------------------------------------------------------------------------


def test_every_searching_method_of_the_schema_is_here() -> None:
    assert sorted(SEARCH_METHODS) == sorted(METHODS)


@EVERY_METHOD
def test_all_planned_proposals_come_numbered_from_zero(name: str) -> None:
    proposals, _ = run(build(name), num_workers=3)
    num_trials = METHODS[name].num_trials(definition(name))
    assert list(range(num_trials)) == [proposal.index for proposal in proposals]


@EVERY_METHOD
def test_a_method_that_is_done_stays_done(name: str) -> None:
    method = build(name)
    run(method)
    assert (method.ask(), method.ask()) == ("done", "done")


@pytest.mark.parametrize("name", SPACE_METHODS)
def test_every_proposal_lies_in_the_space_and_holds_plain_values(name: str) -> None:
    proposals, _ = run(build(name, seed=5))
    for params in (proposal.params for proposal in proposals):
        assert list(SPACE) == list(params)
        lr, warmup, decay = params.values()
        assert type(lr) is float
        assert 0.001 <= lr <= 1.0
        assert type(warmup) is int
        assert 0 <= warmup <= 4
        assert decay in ("constant", "poly")


@EVERY_METHOD
@pytest.mark.parametrize("num_workers", [2, 5])
def test_proposals_do_not_depend_on_workers_or_on_which_trial_ends_first(name: str, num_workers: int) -> None:
    one_by_one, _ = run(build(name))
    for seed in range(3):
        proposals, _ = run(build(name), num_workers=num_workers, chance=random.Random(seed))
        assert one_by_one == proposals


@EVERY_METHOD
def test_trials_that_fail_do_not_end_the_search(name: str) -> None:
    def every_third_fails(method: Method, proposal: Proposal) -> Outcome:
        return FAILED if proposal.index % 3 == 0 else train(method, proposal)

    num_trials = METHODS[name].num_trials(definition(name))
    assert num_trials == len(run(build(name), every_third_fails, num_workers=2)[0])
    without_race = num_trials - (num_raced(num_trials) if name == "comprehensive" else 0)  # nothing is left to race
    assert without_race == len(run(build(name), lambda method, proposal: FAILED, num_workers=2)[0])


@pytest.mark.parametrize("name", ["random", "sobol", "optuna", "gp", "comprehensive"])
def test_another_seed_gives_other_proposals(name: str) -> None:
    assert run(build(name, seed=1))[0] != run(build(name, seed=2))[0]


# -- grid and random ---------------------------------------------------------------------------------------------------


def test_a_grid_proposes_every_point_once() -> None:
    proposals, _ = run(build("grid"))
    points = [(lr, w, d) for lr in (0.001, 0.0316227766017, 1.0) for w in (0, 2, 4) for d in ("constant", "poly")]
    assert points == [tuple(proposal.params.values()) for proposal in proposals]


def test_random_search_draws_evenly_on_a_log_scale() -> None:
    method = random_search({"lr": Float(low=0.001, high=1.0, scale="log")}, trials=3000, seed=0)
    proposals, _ = run(method, lambda method, proposal: FAILED)
    logs = [math.log10(float(proposal.params["lr"])) for proposal in proposals]  # type: ignore[arg-type]
    shares = [sum(low <= log < low + 1 for log in logs) / 3000 for low in (-3, -2, -1)]
    assert [pytest.approx(1 / 3, abs=0.04)] * 3 == shares


@pytest.mark.parametrize("trials", [4, 7, 8, 16])
def test_every_part_of_a_range_has_its_share_of_sobol_points(trials: int) -> None:
    """Of the first 2^m points, one lies in each of 2^m equal parts of every range."""
    space = {"lr": Float(low=0.001, high=1.0, scale="log"), "warmup_epochs": Float(low=0.0, high=1.0)}
    proposals, _ = run(sobol_search(space, trials=trials, seed=3), lambda method, proposal: FAILED)
    assert len(proposals) == trials
    parts = 1 << (trials.bit_length() - 1)
    for fraction in (lambda p: math.log10(p["lr"]) / 3 + 1, lambda p: p["warmup_epochs"]):
        assert set(range(parts)) == {int(fraction(proposal.params) * parts) for proposal in proposals[:parts]}


def test_choices_and_whole_numbers_have_equal_shares_of_sobol_points() -> None:
    space = {"decay": Choice(choices=("a", "b")), "warmup_epochs": Int(low=1, high=4)}
    proposals, _ = run(sobol_search(space, trials=16, seed=0), lambda method, proposal: FAILED)
    assert Counter(p.params["decay"] for p in proposals) == {"a": 8, "b": 8}
    assert Counter(p.params["warmup_epochs"] for p in proposals) == {1: 4, 2: 4, 3: 4, 4: 4}


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


def test_tpe_comes_closer_to_the_optimum_than_random_search() -> None:
    """Over ten seeds of 30 trials, TPE's mean distance is less than half of random search's."""
    space = {"lr": Float(low=1e-4, high=10.0, scale="log"), "momentum": Float(low=0.0, high=1.0)}

    def best(method: Method) -> float:
        _, outcomes = run(method, lambda m, p: Outcome(score=quality(p.params), pruned=False, epoch_scores=()))
        return max(outcome.score for outcome in outcomes.values() if outcome.score is not None)

    seeds = range(10)
    by_tpe = fmean(best(OptunaSearch(space, trials=30, seed=seed, epochs=1)) for seed in seeds)
    by_chance = fmean(best(random_search(space, trials=30, seed=seed)) for seed in seeds)
    assert by_tpe > by_chance / 2


def test_a_gaussian_process_comes_closer_to_the_optimum_than_random_search_with_ten_trials() -> None:
    """Over two seeds, its mean distance is less than half of random search's."""
    space = {"lr": Float(low=1e-4, high=10.0, scale="log"), "momentum": Float(low=0.0, high=1.0)}

    def best(method: Method) -> float:
        _, outcomes = run(method, lambda m, p: Outcome(score=quality(p.params), pruned=False, epoch_scores=()))
        return max(outcome.score for outcome in outcomes.values() if outcome.score is not None)

    seeds = range(2)
    by_gp = fmean(best(OptunaSearch(space, sampler="gp", trials=10, seed=seed, epochs=1)) for seed in seeds)
    by_chance = fmean(best(random_search(space, trials=10, seed=seed)) for seed in seeds)
    assert by_gp > by_chance / 2


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
