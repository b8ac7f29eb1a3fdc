"""What commands do with an application that is a table of past trainings."""

import re
from pathlib import Path

import pytest

from zerotune.trainers.child_process import PACKAGE
from zerotune.tuner.cli import COMMANDS
from zerotune.tuner.commands import options as options_module
from zerotune.tuner.commands.list.entries import list_entries
from zerotune.tuner.commands.options import TrainingOptions
from zerotune.tuner.errors import BadInput
from zerotune.tuner.study import load_study
from zerotune.tuner.study.table_check import refuse_table


@pytest.mark.parametrize(
    ("study", "app", "is_started"),
    [
        ("replay_small_networks", None, False),
        ("quickstart", None, True),
        ("ours.yaml", "folder/sweep.yaml", False),
        ("ours.yaml", "folder/digits.py:digits", True),
        ("own.yaml", None, False),
        ("missing.yaml", None, True),
    ],
)
def test_ray_is_not_started_early_for_a_table(
    study: str, app: str | None, is_started: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text("name: own\napplication: hpolib_protein_structure\n", encoding="utf-8")
    started: list[int] = []
    monkeypatch.setattr(options_module, "start_ahead", started.append)
    TrainingOptions(study=study, app=app).start_cluster_early()
    assert bool(started) == is_started


def test_a_command_that_trains_refuses_a_table() -> None:
    with pytest.raises(BadInput, match=r"'hpobench_phoneme': is a table of past trainings, and zerotune regime trains"):
        refuse_table(load_study("replay_small_networks"), "regime")


def test_tables_are_listed_as_such() -> None:
    _, rows = list_entries("applications")
    [row] = [row for row in rows if row[0] == "hpobench_car"]
    assert row[1].startswith("a table of 150,000 past trainings: ")


def test_a_refusal_names_a_command_that_there_is() -> None:
    known = {name for commands in COMMANDS.values() for name in commands}
    sources = [path.read_text(encoding="utf-8") for path in (PACKAGE / "tuner" / "commands").rglob("*.py")]
    named = [name for source in sources for name in re.findall(r'refuse_table\(study, "(.*?)"\)', source)]
    assert len(named) == 3
    assert set(named) <= known
