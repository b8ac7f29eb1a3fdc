"""Damaged journals are skipped, and the dry run predicts what is reused."""

import json
from collections.abc import Iterable
from pathlib import Path

from tests.tuner.run.reused_studies import DEVICE, GRID, SECOND, SEEDS, SESSION, journal, run, study
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.run.dry_run import DryRun, dry_run
from zerotune.tuner.run.journal import Journal, read_journal
from zerotune.tuner.run.reuse import ReusableResults


def damage(lines: list[str]) -> Iterable[list[str]]:
    """Yield foreign, truncated and damaged journals."""
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
        assert run(study(SECOND[0]), store).reused() == [], number


def test_beyond_a_damaged_line_nothing_is_taken_since_it_may_have_named_another_program(tmp_path: Path) -> None:
    run(study(), tmp_path)
    lines = journal(tmp_path).read_text(encoding="utf-8").splitlines(keepends=True)
    results = [number for number, line in enumerate(lines) if '"kind":"result"' in line]
    lines[results[2]] = lines[results[2]][:50] + "\n"
    journal(tmp_path).write_text("".join(lines), encoding="utf-8")
    assert len(run(study(SECOND[0]), tmp_path).reused()) == 2


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
        assert found == DryRun(is_complete=True)
    held.close()


def test_results_reused_do_not_complete_a_study_that_is_to_train_everything(tmp_path: Path) -> None:
    run(study(), tmp_path)
    second = study(SECOND[0])
    run(second, tmp_path)
    held = Journal(tmp_path / "second")
    assert all(result.reused_from for result in held.content.results.values())
    assert dry_run(Campaign(second, held.content.results), held.content, None).is_complete is False
    held.close()


def test_it_is_said_beforehand_how_many_trials_are_reused(tmp_path: Path) -> None:
    run(study(), tmp_path)
    second = study(*SECOND)
    reusable = ReusableResults(tmp_path, "second", SESSION, DEVICE)
    held = Journal(tmp_path / "second")
    found = dry_run(Campaign(second), held.content, reusable)
    assert found == DryRun(num_reused=SEEDS + GRID - 1)
    held.close()
    assert len(run(second, tmp_path).reused()) == SEEDS + (GRID - 1) + SEEDS  # the choice was not known before


def test_lines_of_another_journal_are_not_taken_as_trained_by_this_one(tmp_path: Path) -> None:
    """Found by fuzzing: they were trained with other code, as their own journal's first line says."""
    run(study(SECOND[1]), tmp_path / "elsewhere", session={**SESSION, "training.code": "another"})
    run(study(), tmp_path)
    first, *strange = journal(tmp_path / "elsewhere").read_text(encoding="utf-8").splitlines(keepends=True)
    sound = journal(tmp_path).read_text(encoding="utf-8").splitlines(keepends=True)
    alone = len(ReusableResults(tmp_path, "second", SESSION, DEVICE))
    for lines in ([*sound, *strange], [sound[0], *strange, *sound[1:]], [sound[0], first, *strange, *sound[1:]]):
        journal(tmp_path).write_text("".join(lines), encoding="utf-8")
        assert len(ReusableResults(tmp_path, "second", SESSION, DEVICE)) == alone > 0
