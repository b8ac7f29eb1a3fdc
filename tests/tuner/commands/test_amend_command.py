"""`zerotune run STUDY --amend`, from the refusal of a changed study to its amended answer in the store."""

import shlex
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.user_applications import NUM_TRIALS, Here
from zerotune.tuner.run.journal import Journal, read_journal
from zerotune.tuner.store import default_tracking_uri
from zerotune.tuner.store.connection import search_all_runs

RUN = ("run", "plane.yaml", "--driver", "serial", "--app", "plane.py:sides")
COMMAND = "zerotune run plane.yaml --app plane.py:sides --driver serial --amend"


def add(folder: Path, *edits: tuple[str, str]) -> None:
    """Edit the study's file."""
    text = (folder / "plane.yaml").read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    (folder / "plane.yaml").write_text(text, encoding="utf-8")


def test_a_study_is_amended_with_the_command_that_its_refusal_prints(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zerotune.tuner.run.run.write_report", lambda *_: [])
    assert "has not been run in the store mlruns: there is nothing to amend; run it" in here.refuse(*RUN, "--amend")
    here.done(*RUN)
    add(here.folder, ("seeds: [1, 2]", "seeds: [1, 2, 3]"), ("arms:\n", "arms:\n  - {name: legw, method: legw}\n"))
    refusal = here.refuse(*RUN)
    assert "  seeds 2 -> 3 (3) (may be added)\n  arm legw (may be added)\n" in refusal
    assert refusal.splitlines()[-1].strip() == COMMAND
    out = " ".join(here.done(*shlex.split(COMMAND)[1:]).split())
    assert f"plane: amended after {NUM_TRIALS} of {NUM_TRIALS} results: seeds 2 -> 3 (3); arm legw" in out
    assert f"{NUM_TRIALS} of them done before" in out
    line = f"after {NUM_TRIALS} of {NUM_TRIALS} results: seeds 2 -> 3 (3); arm legw"
    assert line in out
    assert "the verdicts on sqrt and legw are exploratory" in out
    assert line in " ".join(here.done("compare", "plane").split())

    content = read_journal(here.folder / "mlruns" / "plane" / "journal.jsonl")
    assert len(content.results) == NUM_TRIALS + 3 + 3
    client = MlflowClient(default_tracking_uri(here.folder / "mlruns"))
    (experiment,) = client.search_experiments(filter_string="name = 'plane'")
    runs = search_all_runs(client, experiment.experiment_id, "")
    trials = [run.data.tags["zerotune.trial"] for run in runs if "zerotune.trial" in run.data.tags]
    assert sorted(trials) == sorted(content.results)
    (study,) = [run.data.tags for run in runs if run.data.tags.get("role") == "study"]
    assert line in study["amended"]
    assert study["zerotune.fingerprint"] == content.fingerprint


def test_a_study_that_is_running_is_not_amended(here: Here) -> None:
    holder = Journal(here.folder / "mlruns" / "plane")
    holder.start_study({"name": "plane"}, {})
    ended = here.zerotune(*RUN, "--amend")
    holder.close()
    assert ended.code == 5
    assert "another process is running this study" in ended.err
