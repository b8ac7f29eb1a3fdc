"""A retry runs exactly the failed trials, bills them in full, and miscounts nothing that depends on them."""

import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.campaigns import by_chance, execute, result
from tests.tuner.analysis.synthetic_results import make_result
from tests.tuner.campaign.test_campaign import study
from tests.user_applications import STUDY, Here
from zerotune.trainers.loop import Training
from zerotune.trainers.spec import EpochMetrics
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.cost import Cost
from zerotune.tuner.errors import BadInput
from zerotune.tuner.execution import trial_runner
from zerotune.tuner.execution.progress_update import failed_result
from zerotune.tuner.run.answer import read_answer
from zerotune.tuner.run.dry_run import dry_run
from zerotune.tuner.run.journal import Journal, JournalContent, format_line, read_journal
from zerotune.tuner.run.reuse import may_reuse
from zerotune.tuner.trial import Trial, TrialResult

# -- the journal -------------------------------------------------------------------------------------------------------


def begun(folder: Path, *results: TrialResult) -> Journal:
    journal = Journal(folder)
    journal.start_study({"name": "small"}, {})
    for each in results:
        journal.finish(each)
    return journal


def reopened(journal: Journal) -> Journal:
    journal.close()
    return Journal(journal.path.parent)


def test_a_result_that_was_taken_back_is_to_be_run_again_and_stays_billed(tmp_path: Path) -> None:
    lost = make_result(status="failed")
    journal = begun(tmp_path, lost, make_result(seed=1))
    before = journal.path.read_bytes()
    journal.retry_trial(lost.trial.id)
    assert journal.path.read_bytes().startswith(before)
    journal = reopened(journal)
    content = journal.content
    assert (None, lost) == (content.result_of(lost.trial.id), content.results[lost.trial.id])
    assert ({lost.trial.id}, {lost.trial.id: lost}) == (content.retried, content.first_failures)
    journal.close()


def test_the_failed_attempt_is_billed_whole_and_once_with_the_new_one(tmp_path: Path) -> None:
    """The failed attempt reported two epochs before its worker died; the new one is interrupted once."""
    good = make_result()
    first, second, third = good.epochs
    journal = begun(tmp_path)
    journal.progress(good.trial.id, [first, second])
    dead = journal.finish(failed_result(good.trial, "its worker died"))
    assert (1, 2, 120_000) == (dead.cost.trials, dead.cost.epochs, dead.cost.samples)
    journal.retry_trial(good.trial.id)
    journal = reopened(journal)
    # The same seconds as in the failed attempt; as an epoch of the new attempt, it is billed anyway.
    journal.progress(good.trial.id, [first])
    journal = reopened(journal)
    journal.progress(good.trial.id, [replace(first, device_seconds=50.0), second, third])
    again = replace(good, epochs=(replace(first, device_seconds=50.0), second, third))
    written = journal.finish(again)
    expected = Cost(trials=1, epochs=2 + 1 + 3, samples=6 * 60_000, iterations=6 * 8, flops=2 * good.cost.flops)
    assert expected == Cost(
        **{name: getattr(written.cost, name) for name in ("trials", "epochs", "samples", "iterations", "flops")}
    )
    assert written.cost.searcher_seconds == dead.cost.searcher_seconds
    journal = reopened(journal)
    assert {good.trial.id: written} == journal.content.results
    assert (set(), {good.trial.id: dead}) == (journal.content.retried, journal.content.first_failures)
    journal.close()


def test_a_trial_that_fails_twice_is_billed_three_times_and_told_as_it_failed_first(tmp_path: Path) -> None:
    first = replace(make_result(status="failed"), epochs=())
    journal = begun(tmp_path, first)
    for error in ("again", None):
        journal.retry_trial(first.trial.id)
        journal.finish(replace(first, status="failed" if error else "finished", error=error))
    assert first == journal.content.first_failures[first.trial.id]
    assert 3 * first.cost.samples == journal.content.results[first.trial.id].cost.samples
    assert journal.content.results[first.trial.id].cost.trials == 1
    journal.close()


def test_only_failed_results_are_taken_back(tmp_path: Path) -> None:
    good = make_result()
    journal = begun(tmp_path, good)
    journal.close()
    with journal.path.open("a") as file:
        for trial in (good.trial.id, "unknown"):
            file.write(format_line(f'{{"kind":"retried","trial":"{trial}"}}') + "\n")
    content = read_journal(journal.path)
    assert (2, set(), good) == (content.unreadable_lines, content.retried, content.result_of(good.trial.id))


# -- the campaign ------------------------------------------------------------------------------------------------------


def as_journal(results: Mapping[str, TrialResult], *, retry_trial: bool) -> JournalContent:
    content = JournalContent(results=dict(results))
    for each in results.values():
        if retry_trial and each.status == "failed":
            content._retry_trial(each.trial.id)
    return content


def some_fail(trial: Trial) -> float | None:
    """Return an arbitrary score; the third trial of every search fails."""
    return None if trial.role != "confirmation" and trial.index == 2 else by_chance(trial)


@pytest.mark.parametrize("num_workers", [1, 3])
def test_a_search_that_learns_proposes_what_it_proposed_and_the_choice_rests_on_the_new_result(
    num_workers: int,
) -> None:
    before = execute(Campaign(study()), some_fail)
    content = as_journal(before.results, retry_trial=True)
    kept = {i: r for i, r in before.results.items() if r.status != "failed"}
    for seed in range(5):
        campaign = Campaign(study(), content.results, content.first_failures)
        again = execute(campaign, lambda trial: 2.0, num_workers=num_workers, seed=seed, known=kept)
        searches = {t.id for t in before.asked if t.role != "confirmation"}
        assert searches == {t.id for t in again.asked if t.role != "confirmation"}
        assert set(content.retried) == {i for i in again.results if again.results[i].trial.role != "confirmation"}
        for trial in again.of("tuned", "confirmation"):
            third = next(t for t in again.of("tuned", "search", trial.batch_size) if t.index == 2)
            assert third.params == trial.params
    # The same holds when the study is resumed afterwards.
    content = as_journal({**before.results, **again.results}, retry_trial=False)
    content.first_failures.update({i: before.results[i] for i in before.results if i not in kept})
    replayed = execute(Campaign(study(), content.results, content.first_failures), known=content.results)
    assert (again.ids(), {}) == (replayed.ids(), replayed.results)


def test_a_trial_that_is_run_again_is_not_pruned_and_not_reused() -> None:
    pruned = study(("    trials: 6\n", "    trials: 6\n    pruner: median\n"))
    before = execute(Campaign(pruned), some_fail)
    content = as_journal(before.results, retry_trial=True)
    campaign = Campaign(pruned, content.results, content.first_failures)
    seen = set()
    while isinstance(trial := campaign.ask(), Trial):
        if (known := content.result_of(trial.id)) is not None:
            campaign.tell(known)
            continue
        if trial.id in content.retried:
            seen.add(trial.id)
            assert (False, False) == (campaign.may_prune(trial), may_reuse(trial, campaign, content))
        campaign.tell(result(trial, 0.5))
    assert content.retried == seen


def test_a_budget_counts_a_trial_once_and_its_seconds_in_full() -> None:
    seconds = study(("reference: tuned\n", "reference: tuned\nbudget: {device_seconds: 1000000}\n"))
    before = execute(Campaign(seconds), some_fail)
    content = as_journal(before.results, retry_trial=True)
    campaign = Campaign(seconds, content.results, content.first_failures)
    spent, trials = campaign._spent_seconds, campaign._spent_trials
    again = execute(
        campaign,
        lambda trial: 0.1,
        known={i: r for i, r in before.results.items() if r.status != "failed"},
        make=lambda trial, score: replace(result(trial, score), cost=Cost(trials=1, device_seconds=25.0)),
    )
    assert len(again.results) == len(content.retried)
    assert spent + 15.0 * len(content.retried) == campaign._spent_seconds
    assert trials == campaign._spent_trials


def test_failed_trials_that_nobody_asks_for_any_more_are_left_alone() -> None:
    def all_confirmations_fail(trial: Trial) -> float | None:
        return None if trial.role == "confirmation" else by_chance(trial)

    results = execute(Campaign(study()), all_confirmations_fail).results
    former = next(r for r in results.values() if r.trial.arm == "tuned" and r.trial.role == "confirmation")
    other = replace(former, trial=replace(former.trial, params={"lr": 1.0}))
    content = as_journal({**results, other.trial.id: other}, retry_trial=False)
    found = dry_run(Campaign(study(), content.results), content, None, retry_failed=True)
    assert {r.trial.id for r in results.values() if r.status == "failed"} == {trial.id for trial in found.failed}
    assert not found.is_complete


# -- the command -------------------------------------------------------------------------------------------------------

JOURNAL = "mlruns/plane/journal.jsonl"
APP = ("--driver", "serial", "--app", "plane.py:sides")
BEST_LR = 0.1


class Breaking(Training):
    """A training that fails in epoch 2 for the search trial with the best rate and a rule's second confirmation."""

    def run_epoch(self) -> EpochMetrics:
        lr, seed = self.config.schedule.peak_lr, self.config.seed
        if len(self._progress.epochs) == 1 and (lr == BEST_LR or (lr not in (0.05, BEST_LR) and seed == 2)):
            raise RuntimeError("the power supply hums")
        return super().run_epoch()


@pytest.fixture
def broken(here: Here) -> Here:
    """Run a study in which a search trial and a confirmation fail."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_runner, "Training", Breaking)
        assert here.run()[0] == 0
    return here


def test_retry_runs_exactly_the_failed_trials_and_what_follows_from_them(broken: Here) -> None:
    path = broken.folder / JOURNAL
    before, text = read_journal(path), path.read_bytes()
    lost = {i for i, r in before.results.items() if r.status == "failed"}
    assert len(lost) == 2
    former = {i for i, r in before.results.items() if (r.trial.arm, r.trial.role) == ("tuned", "confirmation")}
    for trial_id in lost:  # left by a worker that died; its epochs are already billed
        checkpoint = broken.folder / "mlruns/plane/checkpoints" / f"{trial_id}.pt"
        checkpoint.parent.mkdir(exist_ok=True)
        checkpoint.write_bytes(b"taken up, this would be warned of")
    code, out, err = broken.zerotune("retry", "plane.yaml", "--failed", *APP)
    assert (code, err) == (0, "")
    assert "not a readable checkpoint" not in out
    assert "plane: 2 failed trials to be run again\n" in out
    assert "0 failed), " in out  # the ledger of the answer

    after = read_journal(path)
    assert path.read_bytes().startswith(text)
    assert {i: n + (i in lost) for i, n in before.started.items()} == {i: after.started[i] for i in before.started}
    for trial_id, each in after.results.items():
        if trial_id in lost:
            # One epoch of the failed attempt and the updates of its unfinished second, then two epochs.
            assert ("finished", 1, 3) == (each.status, each.cost.trials, each.cost.epochs)
            assert each.cost.device_seconds > before.results[trial_id].cost.device_seconds
        elif trial_id in before.results:
            assert before.results[trial_id] == each
    new = [r for i, r in after.results.items() if i not in before.results]
    assert {("tuned", "confirmation", BEST_LR)} == {(r.trial.arm, r.trial.role, r.trial.params["lr"]) for r in new}
    assert len(new) == len(former) == 2

    # The former choice's confirmations are billed but do not count in a verdict.
    comparison = read_answer("plane").comparison
    row = comparison.row("tuned", 60)
    assert ({"lr": BEST_LR}, 2, 0) == (row.params, row.num_seeds, row.num_failed)
    assert comparison.ledger.total.trials == 10
    assert row.training is not None
    assert row.training["epochs"] == 2.0
    assert broken.compared() in out

    text = path.read_bytes()
    assert "plane: no trial has failed, so none is run again" in broken.done("retry", "plane.yaml", "--failed", *APP)
    assert text == path.read_bytes()


def test_a_retry_that_was_interrupted_is_gone_on_with_by_run(broken: Here) -> None:
    path = broken.folder / JOURNAL
    with pytest.MonkeyPatch.context() as patch:

        def stop(*_: object) -> None:
            signal.raise_signal(signal.SIGINT)

        patch.setattr(trial_runner, "Training", stop)
        code, out, _ = broken.zerotune("retry", "plane.yaml", "--failed", *APP)
    assert code == 130
    assert "zerotune retry plane.yaml --app plane.py:sides --driver serial --failed" in out
    assert len(read_journal(path).retried) == 2
    assert broken.run()[0] == 0
    content = read_journal(path)
    assert (set(), set()) == (content.retried, {r.trial.id for r in content.results.values() if r.status == "failed"})


def test_a_study_of_which_every_trial_failed_says_how_to_go_on(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no such thing")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial_runner, "Training", broken)
        code, _, err = here.run()
    assert code == 3
    assert (
        "Fix the cause, then run them again: zerotune retry plane.yaml --app plane.py:sides --driver serial --failed\n"
        in err
    )
    assert here.zerotune("retry", "plane.yaml", "--failed", *APP)[0] == 0


def test_retry_refuses_what_it_cannot_do(here: Here) -> None:
    assert here.refused("retry", "plane.yaml", *APP) == "error: retry: say which trials to retry: --failed\n"
    assert here.refused("retry", "plane.yaml", "--failed", *APP) == (
        "error: study 'plane': has not been run in the store mlruns: nothing has failed; run it first: "
        "zerotune run plane.yaml --app plane.py:sides --driver serial\n"
    )
    assert not (here.folder / "mlruns").exists()
    here.run()
    other = STUDY.replace("epochs: 2", "epochs: 3")
    (here.folder / "plane.yaml").write_text(other, encoding="utf-8")
    assert "epochs: was 2, now 3" in here.zerotune("retry", "plane.yaml", "--failed", *APP)[2]


def test_a_journal_that_cannot_be_written_ends_a_retry_with_a_sentence(tmp_path: Path) -> None:
    lost = make_result(status="failed")
    journal = begun(tmp_path, lost)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    journal._file = type("Full", (), {"write": full, "close": lambda self: None})()
    with pytest.raises(BadInput, match=r"the journal cannot be written \(No space left on device\): fix that"):
        journal.retry_trial(lost.trial.id)
    assert journal.content.result_of(lost.trial.id) == lost
    journal.close()
