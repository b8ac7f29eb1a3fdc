"""The configuration that a search chooses, and the warning if its range was too narrow."""

import math

import pytest

from tests.synthetic_study import result
from tests.tuner.search.test_search_keys import study
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.analysis.selection import Edge, best_trial, find_edges
from zerotune.tuner.analysis.study_facts import facts_of
from zerotune.tuner.reports.tables.terminal import notes
from zerotune.tuner.study.search_space import Choice, Float, Space
from zerotune.tuner.trial import TrialResult, TrialStatus


def scored(index: int, score: float | None, status: TrialStatus = "finished", *, lr: float = 0.1) -> TrialResult:
    status = "failed" if score is None else status
    return result("tuned", 512, "search", index, validation=score, status=status, lr=lr)


def test_the_best_finished_trial_is_chosen_and_the_earliest_of_equals() -> None:
    search = [scored(2, 0.9), scored(1, 0.9), scored(0, 0.1), scored(3, 0.99, "pruned"), scored(4, None)]
    assert best_trial(search, higher_is_better=True) == search[1]
    assert best_trial(search, higher_is_better=False) == search[2]


def test_a_diverged_trial_is_chosen_only_where_nothing_else_is_there() -> None:
    diverged = scored(0, 0.95, "diverged")
    assert best_trial([diverged, scored(1, 0.1)], higher_is_better=True) == scored(1, 0.1)
    assert best_trial([diverged, scored(1, None)], higher_is_better=True) == diverged
    assert best_trial([scored(1, None)], higher_is_better=True) is None


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, 1e308, -1e308])
@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_score_that_is_not_finite_is_never_chosen(score: float, higher_is_better: bool) -> None:
    """Such scores are in journals of earlier versions."""
    sound = scored(1, 0.5)
    assert best_trial([scored(0, score), sound, scored(2, score)], higher_is_better=higher_is_better) == sound
    assert best_trial([scored(0, score)], higher_is_better=higher_is_better) is None


def test_a_score_of_zero_is_a_score() -> None:
    assert best_trial([scored(0, 0.0), scored(1, -1.0)], higher_is_better=True) == scored(0, 0.0)


SPACE: Space = {"lr": Float(low=0.01, high=1.0, scale="log"), "decay": Choice(choices=("constant", "poly"))}


@pytest.mark.parametrize(("lr", "on_edge"), [(0.01, True), (0.1, False), (0.9, True), (0.79, False), (1.0, True)])
def test_a_choice_within_five_percent_of_its_range_from_an_end_is_on_the_edge(lr: float, on_edge: bool) -> None:
    search = [scored(0, 0.9, lr=lr), scored(1, 0.5, lr=0.5)]
    edge = Edge(arm="tuned", batch_size=512, name="lr", value=lr, low=0.01, high=1.0)
    found = find_edges(search, {"tuned": SPACE}, arms=("tuned",), higher_is_better=True)
    assert found == ((edge,) if on_edge else ())


def test_a_comparison_warns_of_edges_in_its_notes() -> None:
    facts = facts_of(study(), metric="accuracy", higher_is_better=True)
    assert facts.spaces == {"tuned": study().arm("tuned").space}
    comparison = compare(facts, [scored(0, 0.9, lr=1.28)])
    assert (
        "On the edge: tuned at B=512 chose lr 1.28 of 0.005 to 1.28; a better value may lie outside, so widen its "
        "range."
    ) in notes(comparison, cost="trials")
