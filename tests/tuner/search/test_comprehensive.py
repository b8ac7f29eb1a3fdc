"""Comprehensive tuning: rules first, solvers that lose are left, ranges are extended, finalists race over seeds."""

import math
from collections import Counter
from collections.abc import Callable, Mapping

from zerotune.trainers.spec import OptionValue
from zerotune.tuner.search.comprehensive import Comprehensive, num_raced
from zerotune.tuner.search.method import Outcome, Proposal
from zerotune.tuner.study.search_space import Float

Quality = Callable[[Mapping[str, OptionValue], int], float]
LR = Float(low=0.01, high=0.1, scale="log")
SOLVERS = {"adam": {"lr": LR}, "momentum": {"lr": LR}, "lamb": {"lr": LR}}
HALVES = (slice(0, 12), slice(12, 25))
RULES = (("sqrt", "momentum"), ("date", "date"))


def search(quality: Quality, *, trials: int, solvers: Mapping[str, Mapping[str, Float]] = SOLVERS) -> list[Proposal]:
    """Return the proposals of a search whose trials score (params, repeat) -> quality."""
    method, proposals = Comprehensive(solvers, RULES, trials=trials, seed=0), list[Proposal]()
    told = 0
    while (asked := method.ask()) != "done":
        if isinstance(asked, Proposal):
            proposals.append(asked)
            continue
        for proposal in proposals[told:]:
            score = quality(proposal.params, proposal.repeat)
            method.tell(proposal.index, Outcome(score=score, pruned=False, epoch_scores=()))
        told = len(proposals)
    return proposals


def by_lr(best: float, solver: str = "adam") -> Quality:
    """Return a quality that falls with the distance of the learning rate, and is lower with every other solver."""

    def quality(params: Mapping[str, OptionValue], repeat: int) -> float:
        lr = params.get("lr", 10.0)
        assert isinstance(lr, float)
        return -abs(math.log(lr / best)) - 5 * (params["optimizer"] != solver)

    return quality


def test_rules_come_first_and_every_solver_gets_as_many_points_with_theirs() -> None:
    proposals = search(by_lr(0.03), trials=24)
    assert [proposal.params for proposal in proposals[:2]] == [
        {"rule": "sqrt", "optimizer": "momentum"},
        {"rule": "date", "optimizer": "date"},
    ]
    solvers = Counter(proposal.params["optimizer"] for proposal in proposals[2:7])
    assert solvers == {"adam": 2, "momentum": 1, "lamb": 2}
    assert len(proposals) == 24


def test_few_trials_try_few_solvers_and_rules() -> None:
    proposals = search(by_lr(0.03), trials=4)
    assert [proposal.params["optimizer"] for proposal in proposals] == ["momentum", "adam", "adam", "adam"]


def test_solvers_that_lose_are_left() -> None:
    proposals = search(by_lr(0.03, "lamb"), trials=24)
    assert {proposal.params["optimizer"] for proposal in proposals[12:]} == {"lamb"}


def test_every_solver_gets_two_points_before_one_is_left() -> None:
    solvers = [proposal.params["optimizer"] for proposal in search(by_lr(0.03), trials=12)[:5]]
    assert Counter(solvers) == {"adam": 2, "momentum": 2, "date": 1}


def test_half_of_the_points_of_the_best_solver_are_learned_from_its_outcomes() -> None:
    def distances(best: float) -> list[float]:
        quality, alone = by_lr(best), {"adam": {"lr": LR}}
        return [-quality(proposal.params, 0) for proposal in search(quality, trials=35, solvers=alone)[2:27]]

    found = [distances(best) for best in (0.015, 0.02, 0.03, 0.05, 0.07)]
    first, learned = (sum(sum(each[place]) / len(each[place]) for each in found) for place in HALVES)
    assert learned < 0.6 * first


def test_a_failed_point_is_not_learned_from_and_a_search_of_failures_ends() -> None:
    method = Comprehensive({"adam": {"lr": LR}}, (), trials=16, seed=0)
    asked = 0
    while isinstance(proposal := method.ask(), Proposal):
        method.tell(proposal.index, Outcome(score=None, pruned=False, epoch_scores=()))
        asked += 1
    assert asked == 13  # none is left to race


def test_a_range_is_extended_while_its_best_lies_at_an_end() -> None:
    lrs = [float(proposal.params.get("lr", 0.0)) for proposal in search(by_lr(1.0), trials=40)]  # type: ignore[arg-type]
    assert max(lrs) > 0.7
    lrs = [float(proposal.params.get("lr", 1.0)) for proposal in search(by_lr(0.001), trials=40)]  # type: ignore[arg-type]
    assert min(lrs) < 0.0014


def test_a_range_whose_best_lies_inside_is_not_extended() -> None:
    lrs = [float(proposal.params.get("lr", 0.03)) for proposal in search(by_lr(0.03), trials=24)]  # type: ignore[arg-type]
    assert 0.01 <= min(lrs) < max(lrs) <= 0.1


def test_the_best_race_on_further_seeds_and_the_worst_is_left_after_each_round() -> None:
    proposals = search(by_lr(0.03), trials=24)
    raced = proposals[-num_raced(24) :]
    assert [proposal.repeat for proposal in raced] == [1, 1, 1, 2, 2]
    distance = {proposal.index: by_lr(0.03)(proposal.params, 0) for proposal in proposals[:-5]}
    best = sorted(distance.values(), reverse=True)[:3]
    assert sorted((by_lr(0.03)(proposal.params, 0) for proposal in raced[:3]), reverse=True) == best
    assert {by_lr(0.03)(proposal.params, 0) for proposal in raced[3:]} == set(best[:2])


def test_what_was_lucky_once_is_left_in_the_race() -> None:
    def lucky(params: Mapping[str, OptionValue], repeat: int) -> float:
        return 1.0 if "rule" in params and repeat == 0 else by_lr(0.03)(params, repeat)

    raced = search(lucky, trials=24)[-5:]
    assert sum("rule" in proposal.params for proposal in raced[:3]) == 2
    assert sum("rule" in proposal.params for proposal in raced[3:]) == 1
