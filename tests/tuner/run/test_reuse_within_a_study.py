"""One arm's trainings serve another arm, a stopped study resumes, and the bill adds up."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from tests.tuner.run.reused_studies import GRID, SECOND, SEEDS, SESSION, journal, run, score_of, study
from zerotune.tuner.analysis.ledger import cost_ledger
from zerotune.tuner.cost import Cost, total_cost
from zerotune.tuner.run.journal import Journal, read_journal
from zerotune.tuner.run.run import open_session

TWINS = (
    (
        "  - {name: tuned",
        "  - {name: twin, method: grid, space: {lr: {choices: [0.02, 0.04]}}}\n  - {name: tuned",
    ),
)
"""An arm placed before the other, with two of its three configurations and the same choice."""


@pytest.mark.parametrize("workers", [1, 2, 3, 20])
def test_two_arms_with_the_same_configuration_train_it_once(tmp_path: Path, workers: int) -> None:
    ran = run(study(*TWINS), tmp_path, workers=workers)
    assert len({trial.content_id for trial in ran.trained}) == len(ran.trained) == SEEDS + GRID + SEEDS
    assert len(ran.results) == SEEDS + 2 + SEEDS + GRID + SEEDS
    for result in ran.results.values():
        assert result.validation_score == score_of(result.trial), result.trial.name
        assert (result.test_score is not None) == (result.trial.role == "confirmation"), result.trial.name
        if result.reused_from is not None:
            assert result.reused_from.partition("/")[0] == "first"


def test_what_waits_for_a_trial_that_fails_is_trained_itself(tmp_path: Path) -> None:
    fails = {"twin"}
    ran = run(study(*TWINS), tmp_path, workers=20, status=lambda t: "failed" if {t.arm} == fails else "finished")
    searched = [(trial.arm, trial.params["lr"]) for trial in ran.trained if trial.role == "search"]
    assert sorted(searched) == [("tuned", 0.01), ("tuned", 0.02), ("tuned", 0.04), ("twin", 0.02), ("twin", 0.04)]
    assert {result.status for result in ran.of("tuned", "search")} == {"finished"}


@pytest.mark.parametrize(("workers", "stop_after"), [*product((1, 3), range(1, 7))])
def test_a_study_that_was_stopped_goes_on_and_trains_only_what_is_missing(
    tmp_path: Path, workers: int, stop_after: int
) -> None:
    whole = run(study(*TWINS), tmp_path / "whole", workers=workers)
    run(study(*TWINS), tmp_path / "stopped", workers=workers, stop_after=stop_after)
    kept = read_journal(journal(tmp_path / "stopped")).results
    resumed = run(study(*TWINS), tmp_path / "stopped", workers=workers)
    assert not {trial.id for trial in resumed.trained} & kept.keys()
    assert resumed.found() == whole.found()
    assert total_cost(r.spent_cost for r in resumed.results.values()).trials == len(whole.trained)


def test_a_trial_that_was_begun_before_keeps_its_bill_and_is_trained_on(tmp_path: Path) -> None:
    """Another study has trained the same meanwhile, but this study's finished epoch stays on its bill."""
    run(study(), tmp_path)
    held = Journal(tmp_path / "second")
    open_session(study(SECOND[0]), held, SESSION)
    (begun,) = [r for r in read_journal(journal(tmp_path)).results.values() if r.trial.params == {"lr": 0.02}][:1]
    trial = replace(begun.trial, study="second")
    held.start(trial.id)
    held.progress(trial.id, [replace(begun.epochs[0], device_seconds=7.0)])
    held.close()
    second = run(study(SECOND[0]), tmp_path)
    assert second.trained == [trial]
    assert second.results[trial.id].spent_cost.epochs == 3
    third = run(study(("name: first", "name: a_third")), tmp_path)
    assert third.results[replace(trial, study="a_third").id].cost.epochs == 2  # without the repeated work


def test_the_ledger_adds_up_with_what_was_reused_beside_it(tmp_path: Path) -> None:
    run(study(), tmp_path)
    ran = run(study(*SECOND, *TWINS), tmp_path)
    results = list(ran.results.values())
    ledger = cost_ledger(results)
    assert (ledger.total.trials, ledger.total.samples) == (len(ran.trained), len(ran.trained) * 2 * 3000)
    assert ledger.reused.trials == len(ran.reused()) == len(results) - len(ran.trained)
    for line in ledger.lines:
        place = (line.arm, line.batch_size, line.role)
        own = [r for r in results if (r.trial.arm, r.trial.batch_size, r.trial.role) == place]
        assert line.cost == total_cost(r.cost for r in own if r.reused_from is None) + total_cost(
            Cost(searcher_seconds=r.cost.searcher_seconds) for r in own if r.reused_from is not None
        )
        assert line.full_cost == total_cost(result.cost for result in own)
    assert ledger.total == total_cost(line.cost for line in ledger.lines)
    assert ledger.total.device_seconds + ledger.reused.device_seconds == 2.5 * len(results)
    assert ledger.wall_seconds == 2.5


def test_a_budget_counts_what_was_reused_so_that_the_choice_does_not_depend_on_the_store(tmp_path: Path) -> None:
    """The budget allows two search trials, by number or by seconds."""
    for name, budget in (("trials", "{trials: 2}"), ("seconds", f"{{device_seconds: {2.5 * 2 - 1}}}")):
        limited = study(("name: first", f"name: {name}\nbudget: {budget}"))
        alone = run(limited, tmp_path / "alone")
        run(study(), tmp_path / "shared")
        shared = run(limited, tmp_path / "shared")
        assert len(alone.of("tuned", "search")) == 2
        assert shared.found() == alone.found()
        assert shared.trained == []
