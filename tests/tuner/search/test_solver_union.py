"""Searches over several solvers, each with ranges of its own, by every method; and Optuna's samplers by name."""

from collections import Counter
from typing import get_args

import pytest

from tests.tuner.search.searches import NUM_EPOCHS, Params, quality, run, train
from zerotune.tuner.search import METHODS, SearchContext
from zerotune.tuner.search.enumerated import sobol_points
from zerotune.tuner.search.method import Method, Outcome, Proposal
from zerotune.tuner.search.optuna_search import SAMPLERS, OptunaSearch
from zerotune.tuner.search.solver_union import SolverUnion
from zerotune.tuner.study.definition import ArmDefinition
from zerotune.tuner.study.fields import Sampler
from zerotune.tuner.study.search_space import Choice, Float, Int, Space, grid_size, is_inside, place_in

LR, FAST_LR = Float(low=0.001, high=0.1, scale="log"), Float(low=0.01, high=1.0, scale="log")
INERTIA = Float(low=0.8, high=0.98)
SHARED: Space = {"warmup_epochs": Float(low=0.0, high=4.0), "decay": Choice(choices=("cosine", "poly"))}
SPACES: dict[str, Space] = {
    "adam": {"lr": LR, "beta1": INERTIA, **SHARED},
    "lars": {"lr": FAST_LR, **SHARED},
    "momentum": {"lr": FAST_LR, "momentum": INERTIA, "nesterov": Choice(choices=(False, True)), **SHARED},
}
NUM_TRIALS = 12
LEARNED = {"gp": 6}
"""Trials of methods that take a third of a second to learn."""


def build(method: str, spaces: dict[str, Space] = SPACES, *, seed: int = 0, trials: int | None = None) -> Method:
    num_trials = trials or LEARNED.get(method, NUM_TRIALS)
    definition = ArmDefinition.model_validate({"name": "tuned", "method": method, "trials": num_trials})
    return METHODS[method].build(definition, SearchContext(seed=seed, epochs=NUM_EPOCHS, spaces=spaces))


def points(method: Method) -> list[Params]:
    return [proposal.params for proposal in run(method)[0]]


# -- every method ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["random", "sobol", "gp", "optuna"])
def test_every_trial_has_a_solver_and_its_own_hyperparameters_alone(method: str) -> None:
    found = points(build(method))
    assert len(found) == LEARNED.get(method, NUM_TRIALS)
    assert {str(params["optimizer"]) for params in found} == SPACES.keys()
    for params in found:
        space = SPACES[str(params["optimizer"])]
        assert ["optimizer", *space] == list(params)
        assert is_inside(space, params)


@pytest.mark.parametrize("method", ["random", "sobol", "optuna"])
def test_the_proposals_depend_on_the_seed_alone(method: str) -> None:
    def outcome(method: Method, proposal: Proposal) -> Outcome:
        return Outcome(score=quality({"lr": proposal.params["lr"]}), pruned=False, epoch_scores=())

    alone, _ = run(build(method), outcome)
    together, _ = run(build(method), outcome, num_workers=3)
    assert alone == together
    assert alone != run(build(method, seed=1), outcome)[0]


@pytest.mark.parametrize("method", ["random", "sobol", "optuna"])
def test_a_single_solver_is_searched_in_its_ranges(method: str) -> None:
    found = points(build(method, {"adam": SPACES["adam"]}))
    assert {params["optimizer"] for params in found} == {"adam"}
    assert all(is_inside(SPACES["adam"], params) for params in found)


def test_sobol_points_are_shared_out_evenly_among_the_solvers_and_over_their_ranges() -> None:
    found = points(build("sobol", {name: SPACES[name] for name in ("adam", "momentum")}, trials=16))
    assert Counter(params["optimizer"] for params in found) == {"adam": 8, "momentum": 8}
    for solver in ("adam", "momentum"):
        lr = SPACES[solver]["lr"]
        assert isinstance(lr, Float)
        places = [place_in(lr, float(params["lr"])) for params in found if params["optimizer"] == solver]  # type: ignore[arg-type]
        assert Counter(int(4 * place) for place in places) == {0: 2, 1: 2, 2: 2, 3: 2}


def test_a_grid_has_every_point_of_every_solver() -> None:
    spaces: dict[str, Space] = {
        "adam": {"lr": Choice(choices=(0.001, 0.002, 0.004))},
        "momentum": {"lr": Choice(choices=(0.1, 0.2)), "nesterov": Choice(choices=(False, True))},
    }
    definition = ArmDefinition.model_validate(
        {
            "name": "tuned",
            "method": "grid",
            "solvers": {
                "adam": {"lr": {"choices": [0.001, 0.002, 0.004]}},
                "momentum": {"lr": {"choices": [0.1, 0.2]}, "nesterov": {"choices": [False, True]}},
            },
        }
    )
    found = points(build("grid", spaces))
    assert METHODS["grid"].num_trials(definition) == len(found) == 7
    assert Counter(params["optimizer"] for params in found) == {"adam": 3, "momentum": 4}
    assert len(found) == sum(map(grid_size, spaces.values()))


# -- Optuna ------------------------------------------------------------------------------------------------------------


def search(sampler: Sampler, trials: int = NUM_TRIALS, pruner: str = "none") -> OptunaSearch:
    return OptunaSearch(
        {},
        solvers=SPACES,
        sampler=sampler,
        trials=trials,
        seed=0,
        epochs=NUM_EPOCHS,
        pruner=pruner,  # type: ignore[arg-type]
    )


def test_tpe_begins_with_sobol_points_of_the_solvers_so_that_none_is_missed() -> None:
    union = SolverUnion(SPACES)
    first = [union.params(point) for point in sobol_points(union.space, trials=4, seed=0)]
    assert points(search("tpe"))[:4] == first


def test_tpe_learns_which_solver_is_better() -> None:
    """Where only Adam is any good, most of the learned proposals are Adam's."""

    def outcome(method: Method, proposal: Proposal) -> Outcome:
        is_adam = proposal.params["optimizer"] == "adam"
        return Outcome(score=quality(proposal.params) - 3 * (not is_adam), pruned=False, epoch_scores=())

    proposals, _ = run(search("tpe", trials=30), outcome)
    solvers = Counter(str(proposal.params["optimizer"]) for proposal in proposals[10:])
    assert solvers["adam"] > 10


@pytest.mark.parametrize("sampler", ["sobol", "random"])
def test_sobol_points_and_draws_are_pruned_as_tpes_are(sampler: Sampler) -> None:
    proposals, outcomes = run(search(sampler, trials=18, pruner="median"))
    assert any(outcome.pruned for outcome in outcomes.values())
    assert len({str(proposal.params) for proposal in proposals}) == 18
    again, _ = run(search(sampler, trials=18, pruner="median"), lambda method, p: outcomes[p.index])
    assert proposals == again


def test_the_sampler_sobol_proposes_the_points_of_the_method_sobol() -> None:
    assert points(search("sobol")) == points(build("sobol"))


def test_every_sampler_of_the_schema_is_here() -> None:
    assert sorted(SAMPLERS) == sorted(get_args(Sampler))


def test_sequences_of_numbers_are_choices_for_every_sampler(recwarn: pytest.WarningsRecorder) -> None:
    space: Space = {
        "lr": LR,
        "model.num_blocks": Choice(choices=((1.0, 1.0), (2.0, 2.0))),
        "model.width": Int(low=8, high=64),
    }
    for sampler in ("tpe", "sobol"):
        method = OptunaSearch(space, sampler=sampler, trials=8, seed=0, epochs=1)  # type: ignore[arg-type]
        found, _ = run(method, lambda method, p: Outcome(score=quality(p.params), pruned=False, epoch_scores=()))
        assert {proposal.params["model.num_blocks"] for proposal in found} == {(1.0, 1.0), (2.0, 2.0)}
    assert [str(warning.message) for warning in recwarn] == []


def test_hyperband_prunes_a_search_over_solvers() -> None:
    _, outcomes = run(search("tpe", trials=18, pruner="hyperband"), train)
    assert any(outcome.pruned for outcome in outcomes.values())
