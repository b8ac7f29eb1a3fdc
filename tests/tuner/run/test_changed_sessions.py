"""A session that trains otherwise continues nothing that an earlier one began, and bills all of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.tuner.run.reused_studies import SESSION, study, trained
from tests.tuner.silent import Silent
from zerotune.tuner.analysis.training_changes import describe_training_changes
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.errors import StudyChanged
from zerotune.tuner.run.journal import Journal, read_journal
from zerotune.tuner.run.recorder import RecordingAgenda
from zerotune.tuner.run.reuse import ResultReuse
from zerotune.tuner.run.run import open_session
from zerotune.tuner.run.same_training import fresh_checkpoints
from zerotune.tuner.trial import Trial

BEFORE = {**SESSION, "training.application": ". 01, helper 02"}
AFTER = {**SESSION, "training.application": ". 01, helper 03"}


def asked_of(journal: Journal, silent: Any = None) -> Trial:
    """Return the first trial that the study asks for."""
    campaign: Any = Campaign(study(), journal.content.results)
    if silent is not None:
        campaign.report = silent
    trial = RecordingAgenda(campaign, journal, *[Silent()] * 2, ResultReuse(None)).ask()  # type: ignore[arg-type]
    assert isinstance(trial, Trial)
    return trial


def interrupted(folder: Path) -> Trial:
    """Start the study, and stop after one epoch of its first trial."""
    held = Journal(folder / "first")
    open_session(study(), held, BEFORE)
    trial = asked_of(held)
    held.progress(trial.id, [replace(trained(trial).epochs[0], device_seconds=7.0)])
    held.close()
    return trial


@pytest.mark.parametrize("reopened", [False, True], ids=["at once", "after another stop"])
def test_epochs_that_other_code_trained_are_billed_and_told_to_no_search(tmp_path: Path, reopened: bool) -> None:
    trial = interrupted(tmp_path)
    held = Journal(tmp_path / "first")
    open_session(study(), held, AFTER)
    if reopened:
        held.close()
        held = Journal(tmp_path / "first")
        open_session(study(), held, AFTER)
    changes: list[object] = []
    assert asked_of(held, lambda *given: changes.append(given)) == trial
    assert changes == []
    result = held.finish(trained(trial))
    held.close()
    assert result.cost.device_seconds == trained(trial).cost.device_seconds + 7.0
    assert read_journal(held.path).results[trial.id].cost.epochs == trial.config.epochs + 1


def test_epochs_that_the_same_code_trained_go_on(tmp_path: Path) -> None:
    trial = interrupted(tmp_path)
    held = Journal(tmp_path / "first")
    open_session(study(), held, {**BEFORE, "git.commit": "other"})
    changes: list[object] = []
    asked_of(held, lambda *given: changes.append(given))
    held.close()
    assert len(changes) == 1
    assert held.content.lost == {}
    assert trial.id in held.content.epochs


def test_checkpoints_of_before_a_change_are_deleted_and_those_after_it_lie_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "a.pt").touch()
    assert fresh_checkpoints(folder, 0) == folder
    assert (folder / "a.pt").exists()
    fresh = fresh_checkpoints(folder, 1)
    assert fresh is not None
    assert fresh != folder
    assert not folder.exists()
    fresh.mkdir()
    assert fresh_checkpoints(folder, 1) == fresh
    assert fresh.exists()


def test_a_change_is_refused_until_it_is_accepted_and_going_back_after_that_too(tmp_path: Path) -> None:
    held = Journal(tmp_path / "first")
    open_session(study(), held, BEFORE)
    held.finish(trained(asked_of(held)))
    with pytest.raises(
        StudyChanged, match=r"its result, which was trained differently:\n  application module helper\.py"
    ):
        open_session(study(), held, AFTER, command="zerotune run x")
    assert open_session(study(), held, AFTER, accept_changes=True)
    assert open_session(study(), held, AFTER) is None
    assert open_session(study(), held, BEFORE) is None  # all results are of before
    open_session(study(), held, AFTER, accept_changes=True)
    held.finish(trained(asked_of(held)))
    with pytest.raises(StudyChanged, match="1 of its 2 results"):
        open_session(study(), held, BEFORE)
    held.close()
    assert [session.get("results", "").count(" ") for session in held.content.stored_sessions()] == [0] * 4


def test_a_journal_of_an_earlier_version_is_compared_in_what_it_knows() -> None:
    earlier = {
        "training.code": "65cf3dd0bd301d7a",
        "training.data": "own",
        "training.packages": "torch 2.9.0+cpu, numpy 2.4.6, timm 1.0.31",
        "training.resources": "1 CPU threads, 0 GPUs, packing off",
        "version.ray": "2.59.0",
    }
    now = {
        **earlier,
        "training.code": "other",
        "training.trainers": "0123",
        "training.application": ". 01",
        "training.packages": "torch 2.9.0+cpu, numpy 2.4.6",
        "version.ray": "2.60.0",
        "git.commit": "other",
    }
    assert describe_training_changes(earlier, now) == []
    other = {**now, "training.packages": "torch 2.10.0", "training.resources": "4 CPU threads, 0.5 GPUs, packing off"}
    assert describe_training_changes(earlier, other) == [
        "torch 2.9.0+cpu was used, 2.10.0 is installed",
        "a trial was trained with 1 CPU threads, now with 4 CPU threads",
        "a trial was trained with no GPU, now with a GPU",
    ]


def test_a_part_of_a_gpu_changes_seconds_and_no_number() -> None:
    half, whole = ({"training.resources": f"1 CPU threads, {gpus} GPUs, packing off"} for gpus in ("0.5", "1"))
    assert describe_training_changes(half, whole) == []


def test_a_package_that_came_or_went_is_said() -> None:
    without, having = ({"training.packages": f"apex {what}"} for what in ("not installed", "0.1"))
    assert describe_training_changes(without, having) == ["apex was not installed, 0.1 is installed"]
    assert describe_training_changes(having, without) == ["apex 0.1 was used, it is not installed"]
