"""What was trained before is not trained again, and changes neither what a study finds nor what a model costs."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.tuner.silent import Silent
from zerotune.trainers.spec import EpochMetrics
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.analysis.ledger import cost_ledger
from zerotune.tuner.analysis.provenance import TRAINED_WITH
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.cost import Cost, epochs_cost, total_cost
from zerotune.tuner.execution.progress_update import failed_result
from zerotune.tuner.run.answer import stored_definition, study_facts
from zerotune.tuner.run.dry_run import DryRun, dry_run
from zerotune.tuner.run.journal import Journal, read_journal
from zerotune.tuner.run.recorder import RecordingAgenda
from zerotune.tuner.run.reuse import ResultReuse, ReusableResults
from zerotune.tuner.run.run import open_session
from zerotune.tuner.study import Study, study_from_text
from zerotune.tuner.trial import Trial, TrialResult, TrialStatus

SESSION = dict.fromkeys(TRAINED_WITH, "same")
DEVICE = "Some CPU"
STUDY = """
name: first
application: lenet_mnist
data: {source: mnist5k}
epochs: 2
batch_sizes: [128]
seeds: [1, 2]
reference: tuned
baseline: {batch_size: 32, optimizer: momentum, lr: 0.01}
arms:
  - {name: tuned, method: grid, space: {lr: {choices: [0.01, 0.02, 0.04]}}}
"""
GRID = 3
SEEDS = 2
"""Confirmation runs of an arm; those of the stated baseline are as many."""
SECOND = (("name: first", "name: second"), ("[0.01, 0.02, 0.04]", "[0.02, 0.04, 0.08]"))
"""Changes that make another study of it, whose grid has two points of the first one's."""
PRUNING = """\
  - {name: tuned, method: optuna, pruner: median, trials: 3, space: {lr: {choices: [0.01, 0.02, 0.04]}}}
"""

Status = Callable[[Trial], TrialStatus]


def study(*edits: tuple[str, str]) -> Study:
    text = STUDY
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return study_from_text(text, "study.yaml")


def score_of(trial: Trial) -> float:
    """What the training gives: a function of the configuration alone, and best at a learning rate of 0.02."""
    lr = trial.config.schedule.peak_lr
    return 0.9 - abs(lr - 0.02) - 0.001 * trial.config.seed - 0.0001 * trial.batch_size


def trained(trial: Trial, status: TrialStatus = "finished") -> TrialResult:
    """The result of a training that took a second an epoch and half a second of setting up."""
    if status == "failed":
        return replace(failed_result(trial, "out of memory"), device=DEVICE)
    score = score_of(trial)
    epochs = tuple(
        EpochMetrics(
            epoch=epoch,
            lr=0.1,
            train_loss=1.0,
            validation_loss=1.0,
            validation_score=score,
            iterations=4,
            samples=3000,
            flops=10**9,
            device_seconds=1.0,
        )
        for epoch in range(1, 1 + (1 if status == "pruned" else trial.config.epochs))
    )
    tested = trial.role == "confirmation"
    return TrialResult(
        trial=trial,
        status=status,
        epochs=epochs,
        validation_score=score,
        test_score=score - 0.01 if tested else None,
        test_other_scores={"top-5": 0.99} if tested else {},
        cost=epochs_cost(epochs) + Cost(trials=1, device_seconds=0.5),
        host="somewhere",
        device=DEVICE,
        finished_at=1000.0,
    )


@dataclass
class Ran:
    """What a run of a study did: the trials it trained, in their order, and the results it ended with."""

    trained: list[Trial] = field(default_factory=list)
    results: dict[str, TrialResult] = field(default_factory=dict)

    def of(self, arm: str, role: str) -> list[TrialResult]:
        return [r for r in self.results.values() if (r.trial.arm, r.trial.role) == (arm, role)]

    def taken_over(self) -> list[TrialResult]:
        return [result for result in self.results.values() if result.reused_from is not None]

    def found(self) -> dict[str, tuple[Any, ...]]:
        """What every trial found, and what it costs a model, but for the searcher's own seconds."""
        return {
            trial_id: (r.status, r.validation_score, r.test_score, replace(r.cost, searcher_seconds=0.0), r.epochs)
            for trial_id, r in self.results.items()
        }


def run(
    definition: Study,
    store: Path,
    *,
    session: dict[str, str] = SESSION,
    device: str | None = DEVICE,
    workers: int = 1,
    retrain: bool = False,
    status: Status = lambda trial: "finished",
    stop_after: int | None = None,
) -> Ran:
    """Runs a study whose trainings are made up; the trial that was begun first ends first."""
    journal, ran = Journal(store / definition.name), Ran()
    running: list[Trial] = []
    open_session(definition, journal, session)
    reusable = None if retrain else ReusableResults(store, definition.name, session, device)
    silent: Any = Silent()
    campaign = Campaign(definition, journal.content.results)
    recorder = RecordingAgenda(campaign, journal, silent, silent, ResultReuse(reusable))
    while stop_after is None or len(ran.trained) < stop_after:
        asked = recorder.ask() if len(running) < workers else "wait"
        if isinstance(asked, Trial):
            ran.trained.append(asked)
            running.append(asked)
        elif running:
            trial = running.pop(0)
            recorder.tell(trained(trial, status(trial)))
        else:
            assert asked == "done"  # never "wait" with nothing to wait for
            break
    journal.close()
    ran.results = read_journal(journal.path).results
    return ran


def journal(store: Path, name: str = "first") -> Path:
    return store / name / "journal.jsonl"


# -- across the studies of a store -------------------------------------------------------------------------------------


def test_of_two_studies_whose_grids_overlap_the_second_trains_the_rest(tmp_path: Path) -> None:
    first, second = run(study(), tmp_path), run(study(*SECOND), tmp_path)
    assert len(first.trained) == SEEDS + GRID + SEEDS
    assert [(trial.role, trial.params) for trial in second.trained] == [("search", {"lr": 0.08})]
    assert len(second.taken_over()) == SEEDS + (GRID - 1) + SEEDS


def test_what_is_found_and_what_a_model_costs_is_that_of_training_anew(tmp_path: Path) -> None:
    run(study(), tmp_path / "shared")
    shared, alone = run(study(*SECOND), tmp_path / "shared"), run(study(*SECOND), tmp_path / "alone")
    assert shared.found() == alone.found()
    facts = study_facts(stored_definition(study(*SECOND), metric="accuracy", higher_is_better=True))
    rows = [
        [replace(row, search=replace(row.search, searcher_seconds=0.0)) for row in comparison.rows]
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
def test_what_another_program_trained_or_on_other_data_is_not_taken_over(tmp_path: Path, fact: str) -> None:
    run(study(), tmp_path)
    for value in ("other", ""):
        second = run(study(("name: first", f"name: second{value}")), tmp_path, session={**SESSION, fact: value})
        assert second.taken_over() == []


def test_data_that_nothing_identifies_are_never_the_same(tmp_path: Path) -> None:
    unknown = {**SESSION, "training.data": ""}
    run(study(), tmp_path, session=unknown)
    assert run(study(SECOND[0]), tmp_path, session=unknown).taken_over() == []


@pytest.mark.parametrize("device", ["Another CPU", None])
def test_what_another_or_an_unknown_device_trained_is_not_taken_over(tmp_path: Path, device: str | None) -> None:
    run(study(), tmp_path)
    assert run(study(SECOND[0]), tmp_path, device=device).taken_over() == []


def test_only_what_a_session_of_such_a_program_trained_is_taken_over(tmp_path: Path) -> None:
    other = {**SESSION, "training.code": "other"}
    run(study(), tmp_path, session=other, stop_after=GRID)  # the last of them is lost
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
    arm = STUDY[STUDY.index("  - {name: tuned") :]
    pruning = run(study(SECOND[0], (arm, PRUNING)), tmp_path)
    assert [trial.role for trial in pruning.trained].count("search") == 3
    assert pruning.of("baseline", "confirmation") == [r for r in pruning.taken_over() if r.trial.arm == "baseline"]


def test_a_confirmation_serves_a_search_without_its_test_score(tmp_path: Path) -> None:
    run(study(), tmp_path)
    second = run(study(*SECOND, ("seeds: [1, 2]", "seeds: [5, 6]\nsearch_seed: 1")), tmp_path)
    (served,) = [result for result in second.taken_over() if result.trial.arm == "tuned"]
    assert (served.trial.role, served.trial.params) == ("search", {"lr": 0.02})  # the first study's choice
    assert (served.test_score, served.test_other_scores) == (None, {})
    assert served.validation_score == score_of(served.trial)


def test_a_search_trial_serves_no_confirmation(tmp_path: Path) -> None:
    run(study(("seeds: [1, 2]", "seeds: [5, 6]\nsearch_seed: 1")), tmp_path)
    second = run(study(SECOND[0]), tmp_path)
    assert second.taken_over() == []
    assert all(result.test_score is not None for result in second.of("tuned", "confirmation"))


def test_retrain_trains_everything_and_what_was_taken_over_before(tmp_path: Path) -> None:
    run(study(), tmp_path)
    assert len(run(study(*SECOND), tmp_path).trained) == 1
    again = run(study(*SECOND), tmp_path, retrain=True)
    assert len(again.trained) == SEEDS + (GRID - 1) + SEEDS
    assert again.taken_over() == []
    assert run(study(*SECOND), tmp_path).trained == []


# -- within a study ----------------------------------------------------------------------------------------------------

TWINS = (
    (
        "  - {name: tuned",
        "  - {name: twin, method: grid, space: {lr: {choices: [0.02, 0.04]}}}\n  - {name: tuned",
    ),
)
"""An arm before the other, with two of its three configurations, and the same choice."""


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
    """Another study trained the same meanwhile: the epoch that this one had done is billed to it all the same."""
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
    assert third.results[replace(trial, study="a_third").id].cost.epochs == 2  # not of the work that was done twice


# -- the bill ----------------------------------------------------------------------------------------------------------


def test_the_ledger_adds_up_with_what_was_taken_over_beside_it(tmp_path: Path) -> None:
    run(study(), tmp_path)
    ran = run(study(*SECOND, *TWINS), tmp_path)
    results = list(ran.results.values())
    ledger = cost_ledger(results)
    assert (ledger.total.trials, ledger.total.samples) == (len(ran.trained), len(ran.trained) * 2 * 3000)
    assert ledger.reused.trials == len(ran.taken_over()) == len(results) - len(ran.trained)
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


def test_a_budget_counts_what_was_taken_over_so_that_the_choice_does_not_depend_on_the_store(tmp_path: Path) -> None:
    """Two search trials, or seconds for them."""
    for name, budget in (("trials", "{trials: 2}"), ("seconds", f"{{device_seconds: {2.5 * 2 - 1}}}")):
        limited = study(("name: first", f"name: {name}\nbudget: {budget}"))
        alone = run(limited, tmp_path / "alone")
        run(study(), tmp_path / "shared")
        shared = run(limited, tmp_path / "shared")
        assert len(alone.of("tuned", "search")) == 2
        assert shared.found() == alone.found()
        assert shared.trained == []


# -- journals ----------------------------------------------------------------------------------------------------------


def damage(lines: list[str]) -> Iterable[list[str]]:
    """Journals that are foreign, cut or damaged."""
    yield []
    yield ["not JSON\n"]
    yield ["[1, 2]\n", '"text"\n', "null\n"]
    yield ['{"kind": "study"}\n', *lines[1:]]
    yield [json.dumps({**json.loads(lines[0]), "provenance": ["no", "facts"]}) + "\n", *lines[1:]]
    yield [lines[0], '{"kind":"result","result":null}\n', *lines[1:]]
    yield [lines[0], *(line.replace('"samples":', '"samples_":') for line in lines[1:])]
    yield ["[" * 100_000 + "\n", *lines]


def test_a_damaged_journal_is_passed_over(tmp_path: Path) -> None:
    run(study(), tmp_path / "sound")
    lines = journal(tmp_path / "sound").read_text(encoding="utf-8").splitlines(keepends=True)
    for number, damaged in enumerate(damage(lines)):
        store = tmp_path / str(number)
        journal(store).parent.mkdir(parents=True)
        journal(store).write_text("".join(damaged), encoding="utf-8")
        (store / "binary").mkdir()
        (store / "binary" / "journal.jsonl").write_bytes(bytes(range(256)) * 40)
        (store / "folder" / "journal.jsonl").mkdir(parents=True)
        assert run(study(SECOND[0]), store).taken_over() == [], number


def test_beyond_a_damaged_line_nothing_is_taken_since_it_may_have_named_another_program(tmp_path: Path) -> None:
    run(study(), tmp_path)
    lines = journal(tmp_path).read_text(encoding="utf-8").splitlines(keepends=True)
    results = [number for number, line in enumerate(lines) if '"kind":"result"' in line]
    lines[results[2]] = lines[results[2]][:50] + "\n"
    journal(tmp_path).write_text("".join(lines), encoding="utf-8")
    assert len(run(study(SECOND[0]), tmp_path).taken_over()) == 2


def test_a_result_that_has_gone_since_the_study_began_is_trained(tmp_path: Path) -> None:
    run(study(), tmp_path)
    reusable = ReusableResults(tmp_path, "second", SESSION, DEVICE)
    (trial, *_) = [result.trial for result in read_journal(journal(tmp_path)).results.values()]
    assert reusable.find(trial) is not None
    journal(tmp_path).unlink()
    assert reusable.find(trial) is None


def test_a_finished_study_is_foreseen_to_have_nothing_left(tmp_path: Path) -> None:
    run(study(), tmp_path)
    held = Journal(tmp_path / "first")
    reusable = ReusableResults(tmp_path, "first", SESSION, DEVICE)
    for known in (reusable, None):
        found = dry_run(Campaign(study(), held.content.results), held.content, known)
        assert found == DryRun(num_reused=0, is_complete=True)
    held.close()


def test_results_taken_over_do_not_complete_a_study_that_is_to_train_everything(tmp_path: Path) -> None:
    run(study(), tmp_path)
    second = study(SECOND[0])
    run(second, tmp_path)
    held = Journal(tmp_path / "second")
    assert all(result.reused_from for result in held.content.results.values())
    assert dry_run(Campaign(second, held.content.results), held.content, None).is_complete is False
    held.close()


def test_it_is_said_beforehand_how_many_trials_are_taken_over(tmp_path: Path) -> None:
    run(study(), tmp_path)
    second = study(*SECOND)
    reusable = ReusableResults(tmp_path, "second", SESSION, DEVICE)
    held = Journal(tmp_path / "second")
    found = dry_run(Campaign(second), held.content, reusable)
    assert found == DryRun(num_reused=SEEDS + GRID - 1, is_complete=False)
    held.close()
    assert len(run(second, tmp_path).taken_over()) == SEEDS + (GRID - 1) + SEEDS  # the choice was known only then
