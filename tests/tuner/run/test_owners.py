"""No answer mixes the results of two folders, and what is missing or unfinished is said before the answer."""

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tests.user_applications import NUM_TRIALS, Here
from zerotune.tuner.execution import trial_runner
from zerotune.tuner.run.journal import read_journal
from zerotune.tuner.run.recorder import RecordingAgenda
from zerotune.tuner.store import default_tracking_uri

APP = ("--app", "plane.py:sides")
RUN = ("run", "plane.yaml", "--driver", "serial", *APP)
ANSWER = "Not shown at B=60: "
"""The first line of a complete answer: this study has no question."""


@pytest.fixture
def shared(here: Here) -> str:
    """The address of a store that several folders share."""
    return default_tracking_uri(here.folder / "shared")


def finished_at(folder: Path) -> set[float]:
    return {result.finished_at for result in read_journal(folder / "plane" / "journal.jsonl").results.values()}


def answered(here: Here, *words: str) -> dict[str, Any]:
    """Return the report as JSON, of the study in a folder."""
    return dict(json.loads(here.done("report", "plane", "--format", "json", *words)))


def delete_a_run(uri: str, filter_string: str) -> None:
    """Delete a run as MLflow's UI does."""
    client = MlflowClient(uri)
    (experiment,) = client.search_experiments(filter_string="name = 'plane'")
    client.delete_run(client.search_runs([experiment.experiment_id], filter_string)[0].info.run_id)


def test_two_folders_with_one_study_on_one_server_answer_with_their_own_results(here: Here, shared: str) -> None:
    where = ("--tracking-uri", shared)
    first = here.done(*RUN, "--store", "ann", *where)
    assert "also holds" not in first
    second = here.done(*RUN, "--store", "bea", *where)
    assert f"also holds {NUM_TRIALS} results of study 'plane' from elsewhere (" in " ".join(second.split())
    for store, out in (("ann", first), ("bea", second)):
        assert here.compared("--store", store, *where) in out
        ended_at = answered(here, "--store", store, *where)["provenance"]["ended_at"]
        assert ended_at == max(finished_at(here.folder / store))
    elsewhere = here.done("compare", "plane", "--store", "nowhere", *where)
    assert elsewhere.startswith("The results of one of 2 runs of this study: ")
    assert f"{here.folder}/ann, " not in elsewhere.split("Not shown: ")[0]
    assert f"{here.folder}/ann/plane, since " in " ".join(elsewhere.split("Not shown: ")[1].split())


def interrupt(patch: pytest.MonkeyPatch, *, after: int) -> None:
    """Let a run be interrupted after so many results."""
    tell, results = RecordingAgenda.tell, []

    def interrupting(self: RecordingAgenda, result: Any) -> None:
        tell(self, result)
        results.append(result)
        if len(results) == after:
            raise KeyboardInterrupt

    patch.setattr(RecordingAgenda, "tell", interrupting)


def test_an_unfinished_study_says_so_first_until_it_is_finished(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, after=5)
        assert here.zerotune(*RUN)[0] == 130
    out = here.done("compare", "plane")
    assert out.startswith(
        f"Unfinished: 5 of up to {NUM_TRIALS} results so far. The study is still running, or was stop"
    )
    assert "\nNot confirmed by every seed: baseline at B=20 (0 of 2), sqrt at B=60 (1 of 2).\n" in out
    assert len(answered(here)["missing"]) == 2
    assert (
        here.done("report", "plane", "--format", "markdown").splitlines()[2].startswith("**Unfinished: 5 of up to 8 ")
    )
    here.done(*RUN)
    assert here.done("compare", "plane").startswith(ANSWER)
    assert answered(here)["missing"] == []


def test_results_that_were_deleted_in_mlflow_are_missed_first_and_written_again(here: Here) -> None:
    here.done(*RUN)
    complete = here.done("compare", "plane")
    assert complete.startswith(ANSWER)
    uri = default_tracking_uri(here.folder / "mlruns")
    delete_a_run(uri, "tags.role = 'search'")
    out = here.done("compare", "plane")
    assert out.startswith(f"Missing: 1 of {NUM_TRIALS} results, deleted in MLflow or not yet written.")
    assert "Not confirmed" not in out
    delete_a_run(uri, "tags.role = 'confirmation' AND tags.arm = 'sqrt'")
    both = answered(here)["missing"]
    assert [sentence.split(":")[0] for sentence in both] == ["Missing", "Not confirmed by every seed"]
    here.done("sync", "plane.yaml", *APP)
    assert here.done("compare", "plane") == complete


def test_a_study_whose_trials_all_failed_has_ended(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(trial_runner, "Training", broken)
    assert here.zerotune(*RUN)[0] == 3
    out = here.done("compare", "plane")
    assert not out.startswith("Unfinished")
    assert out.startswith("Not confirmed by every seed: baseline at B=20 (2 of 2, 2 failed), tuned at B=60 (0 of 2)")
