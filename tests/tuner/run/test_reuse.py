"""Reuse avoids repeated trainings and changes neither a study's findings nor the cost of a model."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tuner.run import reused_studies
from tests.tuner.run.reused_studies import GRID, PRUNED, SECOND, SEEDS, SESSION, journal, run, score_of, study, trained
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.analysis.provenance import TRAINED_WITH
from zerotune.tuner.analysis.study_facts import facts_of
from zerotune.tuner.run.journal import Journal
from zerotune.tuner.trial import TrialStatus

# -- across the studies of a store -------------------------------------------------------------------------------------


def test_of_two_studies_whose_grids_overlap_the_second_trains_the_rest(tmp_path: Path) -> None:
    first, second = run(study(), tmp_path), run(study(*SECOND), tmp_path)
    assert len(first.trained) == SEEDS + GRID + SEEDS
    assert [(trial.role, trial.params) for trial in second.trained] == [("search", {"lr": 0.08})]
    assert len(second.reused()) == SEEDS + (GRID - 1) + SEEDS


def test_what_is_found_and_what_a_model_costs_is_that_of_training_anew(tmp_path: Path) -> None:
    run(study(), tmp_path / "shared")
    shared, alone = run(study(*SECOND), tmp_path / "shared"), run(study(*SECOND), tmp_path / "alone")
    assert shared.found() == alone.found()
    facts = facts_of(study(*SECOND), metric="accuracy", higher_is_better=True)
    rows = [
        [replace(row, search=replace(row.search, searcher_seconds=0.0), searches=()) for row in comparison.rows]
        for comparison in (compare(facts, list(ran.results.values())) for ran in (shared, alone))
    ]
    assert rows[0] == rows[1]


def test_a_result_says_where_it_was_trained_even_after_several_hands(tmp_path: Path) -> None:
    first = run(study(), tmp_path)
    origins = {f"first/{trial_id}" for trial_id in first.results}
    second = run(study(SECOND[0]), tmp_path)
    journal(tmp_path).unlink()
    third = run(study(("name: first", "name: third")), tmp_path)
    for ran in (second, third):
        assert ran.trained == []
        assert {result.reused_from for result in ran.results.values()} == origins


def test_the_other_studys_journal_is_neither_written_nor_locked(tmp_path: Path) -> None:
    run(study(), tmp_path)
    before = journal(tmp_path).read_bytes()
    held = Journal(tmp_path / "first")
    assert run(study(SECOND[0]), tmp_path).trained == []
    held.close()
    assert journal(tmp_path).read_bytes() == before


@pytest.mark.parametrize("fact", TRAINED_WITH)
def test_what_another_program_trained_or_on_other_data_is_not_reused(tmp_path: Path, fact: str) -> None:
    run(study(), tmp_path)
    for value in ("other", ""):
        second = run(study(("name: first", f"name: second{value}")), tmp_path, session={**SESSION, fact: value})
        assert second.reused() == []


def test_data_that_nothing_identifies_are_never_the_same(tmp_path: Path) -> None:
    unknown = {**SESSION, "training.data": ""}
    run(study(), tmp_path, session=unknown)
    assert run(study(SECOND[0]), tmp_path, session=unknown).reused() == []


@pytest.mark.parametrize("device", ["Another CPU", None])
def test_what_another_or_an_unknown_device_trained_is_not_reused(tmp_path: Path, device: str | None) -> None:
    run(study(), tmp_path)
    assert run(study(SECOND[0]), tmp_path, device=device).reused() == []


def test_only_what_a_session_of_such_a_program_trained_is_reused(tmp_path: Path) -> None:
    other = {**SESSION, "training.code": "other"}
    run(study(), tmp_path, session=other, stop_after=GRID)  # the last one is lost
    run(study(), tmp_path)
    second = run(study(SECOND[0]), tmp_path)
    assert [(trial.arm, trial.role) for trial in second.trained] == [("tuned", "search")] * (GRID - 1)


@pytest.mark.parametrize("status", ["failed", "pruned"])
def test_a_trial_that_failed_or_was_pruned_serves_no_other(tmp_path: Path, status: TrialStatus) -> None:
    run(study(), tmp_path, status=lambda trial: status if trial.params == {"lr": 0.04} else "finished")
    second = run(study(*SECOND), tmp_path)
    assert [trial.params for trial in second.trained] == [{"lr": 0.04}, {"lr": 0.08}]


def test_a_diverged_trial_is_an_outcome_and_serves(tmp_path: Path) -> None:
    run(study(), tmp_path, status=lambda trial: "diverged" if trial.params == {"lr": 0.04} else "finished")
    second = run(study(*SECOND), tmp_path)
    assert [r.status for r in second.of("tuned", "search") if r.trial.params == {"lr": 0.04}] == ["diverged"]


def test_a_trial_that_may_be_pruned_takes_nothing_over(tmp_path: Path) -> None:
    run(study(), tmp_path)
    pruning = run(study(SECOND[0], PRUNED), tmp_path)
    assert [trial.role for trial in pruning.trained].count("search") == 3
    assert pruning.of("baseline", "confirmation") == [r for r in pruning.reused() if r.trial.arm == "baseline"]


def test_a_confirmation_serves_a_search_without_its_test_score(tmp_path: Path) -> None:
    run(study(), tmp_path)
    second = run(study(*SECOND, ("seeds: [1, 2]", "seeds: [5, 6]\nsearch_seed: 1")), tmp_path)
    (served,) = [result for result in second.reused() if result.trial.arm == "tuned"]
    assert (served.trial.role, served.trial.params) == ("search", {"lr": 0.02})  # the first study's choice
    assert (served.test_score, served.test_other_scores) == (None, {})
    assert served.validation_score == score_of(served.trial)


@pytest.mark.parametrize(
    ("status", "score"), [("finished", math.nan), ("finished", math.inf), ("diverged", 0.1)], ids=["nan", "inf", "test"]
)
def test_a_search_takes_over_no_score_that_is_none_and_nothing_that_the_test_split_decided(
    tmp_path: Path, status: TrialStatus, score: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier versions recorded scores that are none. Here a training diverges on the test split alone."""
    with monkeypatch.context() as patch:
        spoilt = {"status": status, "validation_score": score}
        none: dict[str, object] = {}
        patch.setattr(
            reused_studies,
            "trained",
            lambda trial, _: replace(trained(trial), **(spoilt if trial.role == "confirmation" else none)),
        )
        run(study(), tmp_path)
    second = run(study(*SECOND, ("seeds: [1, 2]", "seeds: [5, 6]\nsearch_seed: 1")), tmp_path)
    assert [result for result in second.reused() if result.trial.role == "search"] == []


def test_a_search_trial_serves_no_confirmation(tmp_path: Path) -> None:
    run(study(("seeds: [1, 2]", "seeds: [5, 6]\nsearch_seed: 1")), tmp_path)
    second = run(study(SECOND[0]), tmp_path)
    assert second.reused() == []
    assert all(result.test_score is not None for result in second.of("tuned", "confirmation"))


def test_retrain_trains_everything_and_what_was_reused_before(tmp_path: Path) -> None:
    run(study(), tmp_path)
    assert len(run(study(*SECOND), tmp_path).trained) == 1
    again = run(study(*SECOND), tmp_path, retrain=True)
    assert len(again.trained) == SEEDS + (GRID - 1) + SEEDS
    assert again.reused() == []
    assert run(study(*SECOND), tmp_path).trained == []
