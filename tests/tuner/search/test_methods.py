"""Contract tests of every entry in METHODS, and of the methods whose points are fixed beforehand."""

import math
import random
from collections import Counter

import pytest

from tests.tuner.search.searches import FAILED, NUM_EPOCHS, NUM_TRIALS, run, train
from zerotune.tuner.search import METHODS, SearchContext
from zerotune.tuner.search.comprehensive import num_raced
from zerotune.tuner.search.enumerated import random_search, sobol_search
from zerotune.tuner.search.method import Method, Outcome, Proposal
from zerotune.tuner.study import SEARCH_METHODS, SPACE_METHODS, SearchDefinition
from zerotune.tuner.study.search_space import Choice, Float, Int

SPACE = {
    "lr": {"low": 0.001, "high": 1.0, "scale": "log", "num": 3},
    "warmup_epochs": {"low": 0, "high": 4, "type": "int", "num": 3},
    "decay": {"choices": ["constant", "poly"]},
}
NUM_GP_TRIALS = 6  # a learned proposal takes a third of a second
EVERY_METHOD = pytest.mark.parametrize("name", METHODS)


def definition(name: str) -> SearchDefinition:
    if name == "comprehensive":
        return SearchDefinition(method=name, trials=NUM_TRIALS)
    if name not in SPACE_METHODS:
        return SearchDefinition(method=name)
    trials = {"grid": None, "gp": NUM_GP_TRIALS}.get(name, NUM_TRIALS)
    return SearchDefinition.model_validate({"method": name, "trials": trials, "space": SPACE})


def build(name: str, seed: int = 0) -> Method:
    space = {"lr": Float(low=0.001, high=1.0, scale="log"), "momentum": Float(low=0.0, high=1.0)}
    spaces = {"adam": space, "lars": space} if name == "comprehensive" else {}
    context = SearchContext(seed=seed, epochs=NUM_EPOCHS, spaces=spaces, rules=(("legw", "lars"), ("date", "date")))
    return METHODS[name].build(definition(name), context)


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
