"""Ties of a baseline's search: which learning rates B0 cannot tell apart, and by what noise."""

from dataclasses import replace

import pytest

from tests.synthetic_study import facts, result
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.analysis.selection import BASELINE, Edge, chosen_trial, find_edges
from zerotune.tuner.analysis.ties import find_tie
from zerotune.tuner.reports.text.carrying import carrying_notes, describe_tie
from zerotune.tuner.study.search_space import Float
from zerotune.tuner.trial import TrialResult, TrialStatus


def tried(
    lr: float,
    score: float | None,
    *,
    index: int = 0,
    seed: int = 0,
    status: str = "finished",
) -> TrialResult:
    found: TrialStatus = "failed" if score is None else status  # type: ignore[assignment]
    one = result(BASELINE, 256, "baseline", index, validation=score, lr=lr, seed=seed, status=found)
    return replace(one, validation_samples=1000)


SEARCH = [tried(lr, score, index=index) for index, (lr, score) in enumerate([(0.1, 0.96), (0.2, 0.971), (0.4, 0.975)])]
"""Two standard errors of 97.5% of 1,000 samples are 1.02 points, so that 0.2 ties and 0.1 does not."""


def test_the_smallest_learning_rate_within_two_standard_errors_of_the_validation_set_is_chosen() -> None:
    tie = find_tie(SEARCH, higher_is_better=True)
    assert tie is not None
    assert (0.2, 0.4) == tie.lrs
    assert (SEARCH[1], SEARCH[2], "validation set", 1000) == (tie.chosen, tie.best, tie.noise, tie.samples)
    assert 0.0102 == pytest.approx(tie.tolerance, abs=1e-4)
    assert chosen_trial(SEARCH, higher_is_better=True, smallest=True) == SEARCH[1]
    assert chosen_trial(SEARCH, higher_is_better=True, smallest=False) == SEARCH[2]


def test_a_larger_validation_set_tells_more_apart() -> None:
    search = [replace(one, validation_samples=10_000) for one in SEARCH]
    assert (0.4,) == (tie.lrs if (tie := find_tie(search, higher_is_better=True)) else ())


def test_where_configurations_have_several_seeds_their_means_and_noise_decide() -> None:
    """0.4 was lucky in its first seed; 0.1 was trained once, and cannot tie."""
    again = [tried(0.2, 0.973, index=3, seed=5), tried(0.4, 0.969, index=4, seed=5)]
    tie = find_tie([*SEARCH, *again], higher_is_better=True)
    assert tie is not None
    assert ((0.2, 0.4), "seeds", 2) == (tie.lrs, tie.noise, tie.samples)
    assert 0.972 == pytest.approx(tie.score)


def test_what_diverged_was_pruned_or_failed_ties_with_nothing() -> None:
    others = [tried(0.01, 0.975, status="diverged", index=7), tried(0.02, 0.975, status="pruned", index=8)]
    tie = find_tie([*SEARCH, *others, tried(0.03, None, index=9)], higher_is_better=True)
    assert tie is not None
    assert (0.2, 0.4) == tie.lrs


def test_without_anything_that_tells_the_noise_the_best_is_chosen() -> None:
    search = [replace(one, validation_samples=None) for one in SEARCH]
    assert find_tie(search, higher_is_better=True) is None
    assert chosen_trial(search, higher_is_better=True, smallest=True) == search[2]
    assert find_tie([], higher_is_better=True) is None


def test_a_lower_score_may_be_the_better_one() -> None:
    search = [tried(lr, 80.0 + change, index=i, seed=s) for i, (lr, s, change) in enumerate(LOSSES)]
    tie = find_tie(search, higher_is_better=False)
    assert tie is not None
    assert (0.1, 0.2) == tie.lrs
    assert 79.5 == pytest.approx(tie.score)


LOSSES = [(0.1, 0, 0.0), (0.1, 1, 0.2), (0.2, 0, -1.0), (0.2, 1, 0.0), (0.4, 0, 5.0), (0.4, 1, 5.5)]


def test_the_answer_says_which_tie_and_what_told_the_noise() -> None:
    comparison = compare(facts(smallest_ties=(BASELINE,)), SEARCH)
    (tie,) = comparison.ties
    assert describe_tie(tie, "accuracy") == (
        "Baseline at B0=256: lr 0.2, the smallest of 0.2 and 0.4 that it cannot tell apart (within 1.02 points, 2 "
        "standard errors of a validation set of 1,000, of the best validation accuracy, 97.50%)."
    )
    alone = find_tie(SEARCH[:1], higher_is_better=True)
    assert alone is not None
    assert "lr 0.1; no smaller one is within 1.27 points" in describe_tie(alone, "accuracy")
    assert () == compare(facts(), SEARCH).ties


def test_the_answer_says_where_no_tie_was_looked_for() -> None:
    search = [replace(one, validation_samples=None) for one in SEARCH]
    (note,) = carrying_notes(compare(facts(smallest_ties=(BASELINE,)), search))
    assert note.startswith("Baseline at B0=256: nothing told the noise of its scores")


def test_a_choice_inside_an_extended_range_lies_on_no_edge() -> None:
    space = {BASELINE: {"lr": Float(low=0.05, high=0.2, scale="log")}}
    inside = [tried(0.2, 0.97, index=0), tried(0.4, 0.9, index=1)]
    assert () == find_edges(inside, space, arms=(), higher_is_better=True)
    beyond = [tried(0.2, 0.9, index=0), tried(0.4, 0.97, index=1)]
    edge = Edge(arm=BASELINE, batch_size=256, name="lr", value=0.4, low=0.05, high=0.4)
    assert (edge,) == find_edges(beyond, space, arms=(), higher_is_better=True)


def test_the_edge_is_that_of_the_choice_not_of_the_best_score() -> None:
    space = {BASELINE: {"lr": Float(low=0.2, high=0.8, scale="log")}}
    (edge,) = find_edges(SEARCH[1:], space, arms=(), higher_is_better=True, smallest=(BASELINE,))
    assert 0.2 == edge.value
