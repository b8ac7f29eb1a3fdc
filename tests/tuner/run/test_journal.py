"""The journal never loses a measurement or counts it twice, and has one writing driver at a time."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tuner.analysis.synthetic_results import make_result, read_back
from zerotune.trainers.spec import DecaySpec, EpochMetrics
from zerotune.tuner.cost import Cost, epochs_cost
from zerotune.tuner.errors import BadInput
from zerotune.tuner.execution.progress_update import failed_result
from zerotune.tuner.run.journal import Journal, format_line, parse_line, read_journal
from zerotune.tuner.run.journal_lines import read_identity
from zerotune.tuner.trial import TrialResult, canonical_json, result_from_content

DEFINITION = {"name": "small", "epochs": 3, "arms": ["date"]}
NOTES = {"version.torch": "2.13.0"}


def write(folder: Path, results: list[TrialResult], notes: dict[str, str] = NOTES) -> bytes:
    """Write a journal with these results, in which every trial also reports its first epochs; return its bytes."""
    journal = Journal(folder)
    journal.start_study(DEFINITION, notes)
    for result in results:
        journal.start(result.trial.id)
        journal.progress(result.trial.id, result.epochs[:-1])
        journal.finish(result)
    journal.close()
    return journal.path.read_bytes()


def metrics(epoch: int, seconds: float, loss: float = 0.5) -> EpochMetrics:
    return EpochMetrics(
        epoch=epoch,
        lr=0.1,
        train_loss=loss,
        validation_loss=loss,
        validation_score=0.9,
        iterations=2,
        samples=60,
        flops=600,
        device_seconds=seconds,
    )


def result_of(epochs: tuple[EpochMetrics, ...]) -> TrialResult:
    """Return a result that costs its own epochs plus two seconds of setup."""
    cost = epochs_cost(epochs) + Cost(trials=1, device_seconds=2.0)
    return replace(make_result(), epochs=epochs, cost=cost)


# -- round trip --------------------------------------------------------------------------------------------------------


def test_a_study_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    results = [make_result(seed=1), make_result(seed=2, status="diverged"), make_result(seed=3, status="failed")]
    write(tmp_path, results)
    content = read_journal(tmp_path / "journal.jsonl")
    assert DEFINITION == content.definition
    assert {result.trial.id: result for result in results} == content.results
    assert dict.fromkeys(content.results, 1) == content.started
    assert {result.trial.id: list(result.epochs[:-1]) for result in results} == content.epochs
    assert content.unreadable_lines == 0


def test_losses_that_are_no_numbers_are_read_back(tmp_path: Path) -> None:
    write(tmp_path, [result_of((metrics(1, 1.0), metrics(2, 1.0, loss=math.nan), metrics(3, 1.0, loss=math.inf)))])
    (result,) = read_journal(tmp_path / "journal.jsonl").results.values()
    assert [0.5, math.inf] == [result.epochs[0].train_loss, result.epochs[2].train_loss]
    assert math.isnan(result.epochs[1].train_loss)


def test_a_trial_with_a_list_of_decimals_is_met_again(tmp_path: Path) -> None:
    result = make_result()
    decay = DecaySpec(name="multistep", options={"milestones": (1.0, 2.0), "factor": 0.1})
    config = replace(result.trial.config, schedule=replace(result.trial.config.schedule, decay=decay))
    result = replace(result, trial=replace(result.trial, config=config))
    assert result.trial.id == read_back(result).trial.id


def test_attempts_are_counted_over_several_runs(tmp_path: Path) -> None:
    write(tmp_path, [])
    for attempt in (1, 2, 3):
        journal = Journal(tmp_path)
        assert attempt == journal.start("0123456789ab")
        journal.close()


# -- identity ----------------------------------------------------------------------------------------------------------


def test_a_journal_keeps_its_identity_and_no_two_have_the_same(tmp_path: Path) -> None:
    write(tmp_path / "one", [])
    write(tmp_path / "other", [])
    one, other = (read_journal(tmp_path / name / "journal.jsonl").identity for name in ("one", "other"))
    assert one != other
    journal = Journal(tmp_path / "one")
    assert journal.identity == one == read_identity(journal.path)
    journal.fork()
    journal.finish(make_result(seed=1))
    journal.close()
    content = read_journal(journal.path)
    assert journal.identity == content.identity == read_identity(journal.path) != one
    assert (len(content.results), content.foreign_results, content.unreadable_lines) == (1, 0, 0)


def test_a_journal_of_an_earlier_version_has_an_identity_that_stays(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(tmp_path, [make_result(seed=1)])
    path.write_text("".join(line + "\n" for line in map(without_owner, path.read_text().splitlines())))
    first = read_journal(path)
    journal = Journal(tmp_path)
    journal.finish(make_result(seed=2))
    journal.close()
    again = read_journal(path)
    assert again.identity == first.identity == read_identity(path) != ""
    assert (len(again.results), again.foreign_results) == (2, 0)


@pytest.mark.parametrize("earlier_version", [False, True])
def test_results_of_another_study_or_journal_that_were_put_into_a_file_do_not_count(
    tmp_path: Path, earlier_version: bool
) -> None:
    """Files were joined by hand, and a line of another study was put there."""
    own = make_result(seed=1)
    write(tmp_path / "own", [own])
    write(tmp_path / "other", [replace(own, finished_at=own.finished_at + 1), make_result(seed=2)], {"at": "1"})
    joined = [(tmp_path / name / "journal.jsonl").read_text().splitlines() for name in ("own", "other")]
    of_another = replace(own, trial=replace(own.trial, study="another"))
    strange = format_line(canonical_json({"kind": "result", "result": asdict(of_another)}))
    path = tmp_path / "own" / "journal.jsonl"
    lines = [*joined[0], strange, *joined[1]]
    path.write_text("".join(f"{without_owner(line) if earlier_version else line}\n" for line in lines))
    content = read_journal(path)
    assert content.results == {own.trial.id: own}
    assert content.started == {own.trial.id: 1}
    assert (content.foreign_results, content.unreadable_lines) == (3, 0)


def without_owner(line: str) -> str:
    """Return a line as versions wrote it that kept no identity."""
    record = parse_line(line.encode())
    return format_line(canonical_json({key: record[key] for key in record if key not in ("identity", "owner", "sum")}))


# -- damage ------------------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 5_000))
def test_a_journal_cut_anywhere_keeps_what_stood_before_the_cut_and_takes_more(
    tmp_path_factory: pytest.TempPathFactory, position: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    results = [make_result(seed=1, num_epochs=2), make_result(seed=2, num_epochs=2)]
    whole = write(folder, results)
    cut = position % (len(whole) + 1)
    path = folder / "journal.jsonl"
    path.write_bytes(whole[:cut])

    # A line that lacks only its newline is complete.
    lines = whole.split(b"\n")
    ends = [sum(len(line) + 1 for line in lines[: number + 1]) - 1 for number in range(len(lines) - 1)]
    kinds = [json.loads(line)["kind"] for line in lines[:-1]]
    num_kept = sum(kind == "result" and cut >= end for kind, end in zip(kinds, ends, strict=True))
    kept = {result.trial.id: result for result in results[:num_kept]}

    journal = Journal(folder)
    assert kept == journal.content.results
    assert (DEFINITION if cut >= ends[0] else {}) == journal.content.definition
    if not journal.content.definition:
        journal.start_study(DEFINITION, NOTES)
    added = make_result(seed=3)
    journal.start(added.trial.id)
    journal.finish(added)
    journal.close()
    content = read_journal(path)
    assert DEFINITION == content.definition
    assert kept | {added.trial.id: added} == content.results
    assert content.unreadable_lines <= 1


GARBAGE = [
    b"\x00" * 40,
    b"\xff\xfe\x80 not text",
    b"{}",
    b"[1, 2]",
    b"17",
    b'{"kind": "started", "trial": "a", "attempt": 1}',
    b"[" * 100_000,
    b"",
]
WRONG = [
    '{"trial": "a"}',
    '{"kind": "result", "result": {"status": "finished"}}',
    '{"kind": "epochs", "trial": "a", "epochs": [{"epoch": "one"}]}',
    '{"kind": "started"}',
    '{"kind": "started", "trial": [1]}',
    '{"kind": "something new"}',
]
"""Invalid records with correct checksums."""


@pytest.mark.parametrize(
    "garbage", [*GARBAGE, *(format_line(line).encode() for line in WRONG)], ids=lambda line: line[:30].decode("latin-1")
)
def test_a_damaged_line_in_the_middle_is_skipped_and_counted(tmp_path: Path, garbage: bytes) -> None:
    results = [make_result(seed=1), make_result(seed=2)]
    lines = write(tmp_path, results).split(b"\n")
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"\n".join([*lines[:4], garbage, garbage, *lines[4:]]))
    content = read_journal(path)
    assert {result.trial.id: result for result in results} == content.results
    assert content.unreadable_lines == 2


@pytest.mark.parametrize("value", [0, -1, 10**400])
@pytest.mark.parametrize("name", ["num_workers", "accumulation_steps", "micro_batch_size"])
def test_a_count_that_no_training_has_is_damage(name: str, value: int) -> None:
    """This holds even with a correct checksum. Found by fuzzing, since seconds are divided by workers."""
    content = asdict(make_result())
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        result_from_content(content | {name: value})


ANOTHER_FORMAT = '{"kind":"study","format":99,"definition":{"name":"x"},"provenance":{}}'


def test_a_journal_of_another_format_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(format_line(ANOTHER_FORMAT) + "\n", encoding="utf-8")
    with pytest.raises(BadInput) as error:
        Journal(tmp_path)
    assert str(error.value) == (
        f"{path}: written by another version of zerotune in format 99, which this version cannot read: run the study "
        "with the one that wrote it, or move the folder away to start over"
    )


@pytest.mark.parametrize("first", [b"{broken\n", b"\x00\x00\n", ANOTHER_FORMAT.encode() + b"\n", b""])
def test_a_damaged_or_missing_first_line_is_refused_with_a_sentence(tmp_path: Path, first: bytes) -> None:
    _, rest = write(tmp_path, [make_result()]).split(b"\n", maxsplit=1)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(first + rest)
    with pytest.raises(BadInput) as error:
        Journal(tmp_path)
    assert str(error.value) == (
        f"{path}: the first line is not a study's definition, so this journal cannot be resumed: "
        "move the folder away to start over"
    )
    assert first + rest == path.read_bytes()


# -- cost of lost work -------------------------------------------------------------------------------------------------


def test_the_epochs_of_a_killed_attempt_are_billed_to_the_trial(tmp_path: Path) -> None:
    write(tmp_path, [])
    result = result_of((metrics(1, 1.5), metrics(2, 1.5)))
    killed = Journal(tmp_path)
    killed.start(result.trial.id)
    killed.progress(result.trial.id, [metrics(1, 10.0)])
    killed.progress(result.trial.id, [metrics(2, 20.0)])
    killed.close()

    journal = Journal(tmp_path)
    journal.start(result.trial.id)
    journal.progress(result.trial.id, [metrics(1, 1.5)])
    written = journal.finish(result)
    journal.close()
    expected = Cost(trials=1, epochs=4, iterations=8, samples=240, flops=2400, device_seconds=2 + 3 + 30)
    assert expected == written.cost
    assert written == read_journal(journal.path).results[result.trial.id]


def test_epochs_kept_in_a_checkpoint_are_billed_once(tmp_path: Path) -> None:
    write(tmp_path, [])
    result = result_of((metrics(1, 10.0), metrics(2, 20.0), metrics(3, 1.0), metrics(4, 1.0)))
    killed = Journal(tmp_path)
    killed.progress(result.trial.id, [metrics(1, 10.0), metrics(2, 20.0), metrics(3, 40.0)])
    killed.close()

    journal = Journal(tmp_path)
    journal.progress(result.trial.id, [metrics(3, 1.0)])
    written = journal.finish(result)
    journal.close()
    assert written.cost == result.cost + Cost(epochs=1, iterations=2, samples=60, flops=600, device_seconds=40.0)


def test_epochs_without_a_finite_loss_are_billed_once(tmp_path: Path) -> None:
    write(tmp_path, [])
    result = result_of((metrics(1, 1.0, loss=math.nan), metrics(2, 2.0, loss=math.nan)))
    journal = Journal(tmp_path)
    journal.progress(result.trial.id, result.epochs)
    journal.close()
    journal = Journal(tmp_path)
    assert result.cost == journal.finish(result).cost
    journal.close()


def test_a_trial_given_up_is_billed_every_epoch_that_was_reported(tmp_path: Path) -> None:
    write(tmp_path, [])
    trial = make_result().trial
    journal = Journal(tmp_path)
    for seconds in (1.0, 2.0, 4.0):
        journal.start(trial.id)
        journal.progress(trial.id, [metrics(1, seconds)])
    written = journal.finish(failed_result(trial, "its worker died 3 times"))
    journal.close()
    assert Cost(trials=1, epochs=3, iterations=6, samples=180, flops=1800, device_seconds=7.0) == written.cost
