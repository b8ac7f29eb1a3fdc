"""Small real studies: measurements are kept, counted once, and the same when run again."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import zerotune.tuner.run.run
from tests.tuner import tiny_study
from tests.tuner.tiny_study import NUM_TRIALS
from tests.user_applications import forgotten, write
from zerotune.tuner.commands.user_application import register_user_application
from zerotune.tuner.errors import BadInput, StudyChanged, StudyFailed, StudyLocked
from zerotune.tuner.execution import trial_runner
from zerotune.tuner.reports.answer import Answer
from zerotune.tuner.run.answer import read_answer
from zerotune.tuner.run.journal import Journal, read_journal
from zerotune.tuner.run.recorder import RecordingAgenda
from zerotune.tuner.run.run import run_study
from zerotune.tuner.store import default_tracking_uri, read_results
from zerotune.tuner.study import study_from_text

STUDY = (
    tiny_study.STUDY.replace("epochs: 1", "epochs: 2")
    .replace("application: lenet_mnist\ndata: {source: mnist5k}\n", "application: sides\n")
    .replace("batch_sizes: [3000]", "batch_sizes: [60]")
    .replace("batch_size: 1500", "batch_size: 20")
)
QUESTION = "Is [/red] it [bold] tiny?"
DEAD = "http://127.0.0.1:9"


def run(store: Path, text: str = STUDY, *, tracking_uri: str | None = None) -> Answer:
    return run_study(study_from_text(text, "tiny.yaml"), store=store, driver="serial", tracking_uri=tracking_uri)


def journal(store: Path) -> Path:
    return store / "tiny" / "journal.jsonl"


def numbers(store: Path) -> dict[str, tuple[object, ...]]:
    """Return every trial's findings and work, except what depends on the machine's speed."""
    results = read_journal(journal(store)).results
    return {
        trial_id: (
            result.trial.name,
            result.status,
            result.validation_score,
            result.test_score,
            [(epoch.train_loss, epoch.validation_loss, epoch.validation_score) for epoch in result.epochs],
            (result.cost.trials, result.cost.epochs, result.cost.iterations, result.cost.samples, result.cost.flops),
        )
        for trial_id, result in results.items()
    }


@pytest.fixture(autouse=True, scope="module")
def no_figures() -> Iterator[None]:
    """Skip the figures, which have their own tests and take longer than these studies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zerotune.tuner.run.run, "write_report", lambda *_: [])
        yield


@pytest.fixture(autouse=True, scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Register an application whose trainings take milliseconds."""
    with forgotten():
        register_user_application(f"{write(tmp_path_factory.mktemp('sides'))}:sides")
        yield


@pytest.fixture(scope="module")
def finished(no_figures: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the store of an uninterrupted study."""
    store = tmp_path_factory.mktemp("undisturbed")
    run(store)
    return store


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """Return a store with the finished study's journal and no database."""
    shutil.copytree(finished / "tiny", tmp_path / "tiny")
    return tmp_path


def test_a_finished_study_trains_nothing_again_and_gives_the_same_answer(finished: Path) -> None:
    before = journal(finished).read_bytes()
    first, second = run(finished), run(finished)
    assert journal(finished).read_bytes() == before
    assert first == second


def test_an_interrupted_study_resumes_to_the_numbers_of_an_undisturbed_one(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study is interrupted in its fourth trial, after that trial's first epoch."""
    report = RecordingAgenda.report
    reports = 0

    def interrupting(self: RecordingAgenda, *progress: Any) -> bool:
        nonlocal reports
        reports += 1
        answer = report(self, *progress)
        if reports == 4:
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(RecordingAgenda, "report", interrupting)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    assert len(read_journal(journal(tmp_path)).results) == 3
    run(tmp_path)
    starts = read_journal(journal(tmp_path)).started
    assert sorted(starts.values()) == [1] * (NUM_TRIALS - 1) + [2]
    undisturbed = numbers(finished)
    lost = next(trial_id for trial_id, attempts in starts.items() if attempts == 2)
    resumed = numbers(tmp_path)
    assert {key: value[:-1] for key, value in resumed.items()} == {k: v[:-1] for k, v in undisturbed.items()}
    assert {k: v for k, v in resumed.items() if k != lost} == {k: v for k, v in undisturbed.items() if k != lost}


def test_work_that_was_lost_and_done_again_is_billed_and_changes_no_score(copied: Path, finished: Path) -> None:
    """The journal loses its last result but keeps that trial's first epoch."""
    lines = journal(copied).read_text(encoding="utf-8").splitlines(keepends=True)
    lost = json.loads(lines[-1])["result"]["trial"]
    journal(copied).write_text("".join(lines[:-1]) + lines[-1][:100], encoding="utf-8")
    run(copied)
    content = read_journal(journal(copied))
    (again,) = [trial_id for trial_id, attempts in content.started.items() if attempts == 2]
    result = content.results[again]
    assert (result.trial.arm, result.trial.index) == (lost["arm"], lost["index"])
    assert result.cost.epochs == 3
    assert numbers(copied)[again][:-1] == numbers(finished)[again][:-1]
    assert content.unreadable_lines == 1


def test_a_store_that_was_lost_is_written_anew_from_the_journal(copied: Path, finished: Path) -> None:
    before = journal(copied).read_bytes()
    anew, repeated = run(copied), run(finished)
    anew = replace(anew, origin=replace(anew.origin, command=repeated.origin.command))  # the command names the store
    assert anew == repeated
    assert journal(copied).read_bytes() == before


def test_the_answer_of_a_run_is_the_one_that_the_store_gives(finished: Path) -> None:
    assert run(finished) == read_answer("tiny", store=finished)


def test_a_run_prints_nothing_unless_asked(copied: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (copied / "tiny.yaml").write_text(STUDY, encoding="utf-8")
    run_study(copied / "tiny.yaml", store=str(copied), driver="serial")
    assert capfd.readouterr() == ("", "")
    run_study(str(copied / "tiny.yaml"), store=copied, driver="serial", show=True)
    assert "tiny: up to 8 trials, 8 of them done before" in capfd.readouterr().out


def test_a_changed_question_or_budget_is_no_other_study_and_the_stores_too(copied: Path) -> None:
    before = journal(copied).read_bytes()
    run(copied)
    found = run(copied, STUDY.replace(QUESTION, "Is it?") + "budget: {trials: 100}\n")
    assert found == read_answer("tiny", store=copied)
    assert found.comparison.facts.question == "Is it?"
    assert journal(copied).read_bytes() == before


def test_a_store_that_cannot_be_reached_changes_no_answer(copied: Path, finished: Path) -> None:
    before = journal(copied).read_bytes()
    found, stored = run(copied, tracking_uri=DEAD), run(finished)
    assert (found.is_stored, stored.is_stored) == (False, True)
    assert replace(found, origin=stored.origin, is_stored=True) == stored
    assert journal(copied).read_bytes() == before


def test_a_wrong_address_is_refused_before_the_first_trial(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="it must be sqlite:///FILE"):
        run(tmp_path, tracking_uri="ftp://host/x")
    assert read_journal(journal(tmp_path)).started == {}


def test_a_damaged_database_is_named_and_the_journal_stays(copied: Path) -> None:
    (copied / "mlflow.db").write_bytes(b"not a database, but long enough to be read as one" * 100)
    before = journal(copied).read_bytes()
    with pytest.raises(BadInput, match="file is not a database"):
        run(copied)
    assert journal(copied).read_bytes() == before


def test_a_changed_study_is_refused_with_what_differs_and_nothing_is_lost(copied: Path) -> None:
    before = journal(copied).read_bytes()
    with pytest.raises(StudyChanged) as refusal:
        run(copied, STUDY.replace("epochs: 2", "epochs: 3").replace("high: 0.3", "high: 0.4"))
    assert "epochs: was 2, now 3" in str(refusal.value)
    assert "arms.tuned.space.lr.high: was 0.3, now 0.4 (" in str(refusal.value)
    assert journal(copied).read_bytes() == before


def test_a_study_is_run_by_one_process_at_a_time(copied: Path) -> None:
    holder = Journal(copied / "tiny")
    with pytest.raises(StudyLocked, match="another process is running this study"):
        run(copied)
    holder.close()
    assert len(run(copied).results) == NUM_TRIALS


def test_a_study_whose_trials_all_fail_says_why_and_bills_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise MemoryError("no [memory] left")

    monkeypatch.setattr(trial_runner, "Training", broken)
    with pytest.raises(
        StudyFailed, match=r"all 6 trials failed; the first: out of memory: .*; MemoryError: no \[memory\] left"
    ):
        run(tmp_path)
    results = read_journal(journal(tmp_path)).results.values()
    assert {(result.status, result.cost.trials) for result in results} == {("failed", 1)}
    assert len(read_results(default_tracking_uri(tmp_path), "tiny").results) == 6


def test_one_trial_that_fails_ends_neither_the_study_nor_its_answer(copied: Path) -> None:
    """A confirmation of the rule fails; its row keeps the other seed."""
    content = read_journal(journal(copied))
    broken = next(r for r in content.results.values() if r.trial.arm == "sqrt" and r.trial.config.seed == 2)
    with closing(Journal(copied / "tiny")) as held:
        held.finish(replace(broken, status="failed", validation_score=None, test_score=None, error="lost"))
    row = run(copied).comparison.row("sqrt", 60)
    assert (row.num_seeds, row.num_failed, row.verdict.kind) == (2, 1, "unreliable")


def test_data_that_are_not_there_are_named_before_anything_is_begun(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    study = study_from_text(tiny_study.STUDY.replace("mnist5k", "mnist"), "tiny.yaml")
    with pytest.raises(BadInput, match=r"data source 'mnist': .*nowhere: no such folder"):
        run_study(study, store=tmp_path, driver="serial", data_folder=nowhere)
    assert not (tmp_path / "tiny").exists()
