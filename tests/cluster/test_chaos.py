"""A short run of `benchmarks/chaos.py`: it kills a worker and the driver, and takes the store away and back."""

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.chaos import Outcome, problems, read_outcome, run_study, write_study
from tests.cluster.nodes import MARKS
from tests.user_applications import CommandFolder

pytestmark = MARKS
SIZE = {"trials": 4, "epochs": 6}
SEED = 10
"""Seed that draws a worker, the driver and twice the store, in this order."""


def run_undisturbed(here: CommandFolder) -> Outcome:
    """Run the study serially in this process, which takes less of a core than a program and an MLflow server."""
    write_study(here.folder, **SIZE)
    begin = time.monotonic()
    ended = here.zerotune("run", "chaos.yaml", "--driver", "serial")
    assert ended.code == 0, ended.err
    database = f"sqlite:///{here.folder / 'mlruns' / 'mlflow.db'}"
    return read_outcome(here.folder, database, time.monotonic() - begin, Counter())


def test_a_study_under_fire_comes_to_what_an_undisturbed_one_comes_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("calm", "fire"):
        (tmp_path / name).mkdir()
    calm = run_undisturbed(CommandFolder(tmp_path / "calm", monkeypatch, capsys))
    said: list[str] = []
    disturbed = run_study(tmp_path / "fire", faults=4, interval=3.0, seed=SEED, say=said.append, **SIZE)
    assert problems(calm, disturbed, trials=SIZE["trials"]) == []
    assert len(said) == disturbed.faults.total()
    # The last fault, the store's return, may come after the study's end if trainings are fast.
    assert (disturbed.faults["worker"], disturbed.faults["driver"]) == (1, 1)
    assert disturbed.faults["store"] in (1, 2)

    slow = replace(disturbed, seconds=3 * calm.seconds)
    assert problems(calm, slow, trials=SIZE["trials"]) == []
    (sentence,) = problems(calm, slow, trials=SIZE["trials"], most_times=1.5)
    assert sentence == "it takes at most 1.5 times as long as undisturbed: 3.00"
