"""Measured joules survive the journal and the store, and older records without joules or words can be read."""

from dataclasses import asdict, replace
from pathlib import Path

from tests.tuner.analysis.synthetic_results import make_result, read_back
from zerotune.trainers.spec import TrainResult
from zerotune.tuner.cost import Cost, epochs_cost
from zerotune.tuner.execution.progress_update import ProgressUpdate, conclude
from zerotune.tuner.run.journal import Journal, read_journal
from zerotune.tuner.store import record
from zerotune.tuner.trial import TrialResult, result_from_content


def metered(joules: tuple[float | None, ...] = (10.5, None, 30.25)) -> TrialResult:
    """A result with three epochs, two of them covered by a meter."""
    result = make_result()
    epochs = tuple(
        replace(epoch, words=61_706 * epoch.iterations, measured_joules=amount)
        for epoch, amount in zip(result.epochs, joules, strict=True)
    )
    return replace(result, epochs=epochs, cost=Cost(trials=1) + epochs_cost(epochs))


def read_again(result: TrialResult) -> TrialResult:
    """Write and read a result the way MLflow stores it: as tags, and as metrics by name and step."""
    tags = {record.TAG_TRIAL: result.trial.id, **record.record_tags(result)}
    history: dict[str, dict[int, float]] = {}
    for point in record.points(result):
        history.setdefault(point.key, {})[point.step] = point.value
    stored, num_epochs = record.result_from_tags(tags)
    return replace(stored, epochs=record.epochs_from_history(tags, num_epochs, history))


def test_joules_that_were_measured_in_part_are_read_back_exactly() -> None:
    result = metered()
    assert read_again(result) == result
    assert read_back(result) == result
    assert (result.cost.measured_joules, result.cost.metered_seconds) == (40.75, 8.2)
    assert result.cost.device_seconds > result.cost.metered_seconds


def test_what_was_not_measured_has_no_metric_rather_than_zero() -> None:
    keys = {point.key for point in record.points(metered((None, None, None)))}
    assert not {"cost/measured_joules", "epoch/measured_joules"} & keys
    points = {point.key: point.value for point in record.points(metered())}
    assert (points["cost/measured_joules"], points["cost/metered_seconds"]) == (40.75, 8.2)


def test_a_training_is_billed_what_setting_up_and_its_epochs_drew() -> None:
    result = metered((1.0, 2.0, 4.0))
    training = TrainResult(
        status="finished",
        epochs=result.epochs,
        validation_score=0.9,
        test_score=0.9,
        setup_seconds=0.5,
        setup_joules=8.0,
    )
    piece = ProgressUpdate(new_epochs=(), training=training, error=None, host="", device="")
    cost = conclude(result.trial, piece).cost
    assert (cost.measured_joules, cost.metered_seconds) == (15.0, cost.device_seconds)
    unmetered = replace(piece, training=replace(training, setup_joules=None))
    cost = conclude(result.trial, unmetered).cost
    assert (cost.measured_joules, cost.metered_seconds) == (7.0, cost.device_seconds - 0.5)


def test_epochs_that_were_lost_are_billed_their_words_and_joules(tmp_path: Path) -> None:
    result = metered((1.0, 2.0, 4.0))
    lost = replace(result.epochs[0], device_seconds=100.0, measured_joules=32.0)
    journal = Journal(tmp_path)
    journal.start_study({"name": "small"}, {})
    journal.progress(result.trial.id, [lost])
    written = journal.finish(result)
    journal.close()
    assert written.cost.words == result.cost.words + lost.words
    assert (written.cost.measured_joules, written.cost.metered_seconds) == (39.0, written.cost.device_seconds)
    assert read_journal(tmp_path / "journal.jsonl").results[result.trial.id] == written


def without(values: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in values.items() if name not in names}


def test_a_journals_result_of_an_earlier_version_is_read() -> None:
    result = make_result()
    old = asdict(result)
    old["epochs"] = [without(epoch, "words", "measured_joules") for epoch in old["epochs"]]
    old["cost"] = without(old["cost"], "measured_joules", "metered_seconds")
    read = result_from_content(old)
    assert read == result
    assert (read.cost.measured_joules, read.cost.metered_seconds) == (None, 0.0)


def test_a_stores_run_of_an_earlier_version_is_read() -> None:
    result = make_result()
    tags = {record.TAG_TRIAL: result.trial.id, **record.record_tags(result)}
    history: dict[str, dict[int, float]] = {}
    for point in record.points(result):
        if point.key not in ("epoch/words", "epoch/measured_joules"):
            history.setdefault(point.key, {})[point.step] = point.value
    assert record.epochs_from_history(tags, len(result.epochs), history) == result.epochs
