"""A baseline's search beyond its method: extended where the best lies at an end, repeated where rates may tie."""

import math

import pytest

from tests.tuner.search.searches import run
from zerotune.trainers.spec import OptionValue
from zerotune.tuner.search.baseline_search import BaselineSearch, num_further
from zerotune.tuner.search.enumerated import EnumeratedMethod
from zerotune.tuner.search.method import Method, Outcome, Proposal
from zerotune.tuner.study.definition import TuneDefinition
from zerotune.tuner.study.search_space import Choice, Float, Param, grid_points

GRID = Float(low=0.1, high=0.4, scale="log", num=3)


def tune(param: Param = GRID, *, extend: bool = False, tie_seeds: int = 0) -> TuneDefinition:
    ties = "smallest" if tie_seeds else "best"
    return TuneDefinition.model_construct(
        method="grid", space={"lr": param}, extend=extend, tie_seeds=tie_seeds, ties=ties
    )


def proposals(definition: TuneDefinition, best: float, *, num_workers: int = 1) -> list[tuple[OptionValue, int]]:
    """Return what a search with this best learning rate proposes, as (lr, repeat), in order."""

    def outcome(method: Method, proposal: Proposal) -> Outcome:
        score = -abs(math.log(float(proposal.params["lr"]) / best))  # type: ignore[arg-type]
        return Outcome(score=score, pruned=False, epoch_scores=())

    search = BaselineSearch(EnumeratedMethod(grid_points(definition.space)), definition)
    asked, outcomes = run(search, outcome, num_workers=num_workers)
    assert list(range(len(asked))) == [proposal.index for proposal in asked]
    assert len(asked) <= 3 + num_further(definition)
    assert len(outcomes) == len(asked)
    return [(proposal.params["lr"], proposal.repeat) for proposal in asked]


def test_the_range_is_extended_step_by_step_until_the_best_lies_inside() -> None:
    found = proposals(tune(extend=True), best=0.8, num_workers=3)
    assert [(0.8, 0), (1.6, 0)] == found[3:]
    assert [(0.05, 0)] == proposals(tune(extend=True), best=0.1)[3:]


def test_a_best_inside_its_range_and_a_search_that_is_not_to_be_extended_are_left_alone() -> None:
    assert len(proposals(tune(extend=True), best=0.2)) == 3
    assert len(proposals(tune(), best=9.0)) == 3


def test_an_extension_ends_after_three_trainings() -> None:
    assert [0.8, 1.6, 3.2] == [lr for lr, _ in proposals(tune(extend=True), best=100.0)[3:]]


@pytest.mark.parametrize(("best", "beyond"), [(1.7, 6.4), (0.09, 0.05)])
def test_a_list_of_numbers_is_extended_by_the_factor_at_its_end(best: float, beyond: float) -> None:
    found = proposals(tune(Choice(choices=(0.1, 0.2, 0.4, 1.6)), extend=True), best=best)
    assert [(beyond, 0)] == found[4:]


def test_the_best_and_the_smaller_learning_rates_are_trained_on_further_seeds() -> None:
    assert [(0.2, 1), (0.1, 1), (0.2, 2), (0.1, 2)] == proposals(tune(tie_seeds=2), best=0.2)[3:]


def test_the_smallest_learning_rate_has_nothing_to_tie_with() -> None:
    assert len(proposals(tune(tie_seeds=2), best=0.1)) == 3


def test_a_search_without_any_score_ends() -> None:
    search = BaselineSearch(EnumeratedMethod(grid_points({"lr": GRID})), tune(extend=True, tie_seeds=1))
    failed = Outcome(score=None, pruned=False, epoch_scores=())
    assert len(run(search, lambda method, proposal: failed)[0]) == 3
