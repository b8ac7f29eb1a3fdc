"""`zerotune replicate`: what it prints."""

import json
from pathlib import Path

import pytest

from tests.outputs import printed
from tests.tuner.commands.replicate.known_table import STUDY
from zerotune.tuner.commands.output import OutputFormat
from zerotune.tuner.commands.replicate import command
from zerotune.tuner.commands.replicate.replicates import Replicates
from zerotune.tuner.commands.replicate.summary import Summary, summarise
from zerotune.tuner.commands.replicate.text import first_line, notes, print_replicates
from zerotune.tuner.study import Study


@pytest.fixture
def found(study: Study) -> tuple[Replicates, Summary]:
    replicates = Replicates(study)
    return replicates, summarise(replicates.run_all(12))


def test_the_first_line_counts_every_claim(found: tuple[Replicates, Summary]) -> None:
    replicates, summary = found
    said = {kind: summary.said(kind) for kind in ("yes", "worse")}
    true = {kind: summary.true(kind) for kind in ("yes", "worse")}
    line = first_line(replicates, summary)
    assert line.startswith("known, looked up 12 times with other seeds: ")
    assert f'"yes" was said {said["yes"]} times and true {true["yes"]} times' in line
    assert f'"worse" was said {said["worse"]} times and true {true["worse"]} times' in line


def test_every_verdict_is_counted_once(found: tuple[Replicates, Summary]) -> None:
    _, summary = found
    assert [sum(arm.said.values()) for arm in summary.arms] == [0, 12, 12]
    assert summary.num_trials == 12 * (4 + 5 + 5 + 5 + 5)


def test_the_tables_have_an_arm_a_line(found: tuple[Replicates, Summary]) -> None:
    lines = [line.split() for line in printed(print_replicates, *found).splitlines()]
    assert [line[1] for line in lines if line[:1] == ["64"]] == ["sqrt", "constant", "tuned", "sqrt", "constant"]


def test_notes_tell_that_a_study_saw_a_part_of_the_truth(found: tuple[Replicates, Summary]) -> None:
    assert "means over all 12 seeds of the table, of which a study confirms 5" in " ".join(notes(*found))


def test_json_holds_what_the_text_does(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "known.yaml"
    file.write_text(STUDY, encoding="utf-8")
    monkeypatch.setattr("zerotune.tuner.run.options.check_workload", lambda study, folder: None)
    command.replicate(str(file), times=3, seed=0, format=OutputFormat.json)
    content = json.loads(capsys.readouterr().out)
    assert content["schema"] == "zerotune.replicate"
    assert [content[key] for key in ("study", "replicates", "trials", "failed")] == ["known", 3, 72, 0]
    assert [(arm["arm"], arm["batch_size"]) for arm in content["arms"]] == [
        ("tuned", 64),
        ("sqrt", 64),
        ("constant", 64),
    ]
