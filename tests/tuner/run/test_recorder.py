"""A resumed study reports the journal's epochs of interrupted trials to its campaign."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.tuner.silent import Silent
from zerotune.trainers.spec import EpochMetrics
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.run.journal import Journal, read_journal
from zerotune.tuner.run.recorder import RecordingAgenda
from zerotune.tuner.run.reuse import ResultReuse
from zerotune.tuner.run.run import open_session
from zerotune.tuner.study import study_from_text
from zerotune.tuner.trial import Trial

STUDY = """
name: pruned
application: lenet_mnist
data: {source: mnist5k}
epochs: 9
batch_sizes: [128]
seeds: [1]
reference: tuned
baseline: {batch_size: 32, optimizer: momentum, lr: 0.01}
arms:
  - {name: tuned, method: optuna, pruner: asha, trials: 6, space: {lr: {low: 0.01, high: 0.1, scale: log}}}
"""


class Hearing(Campaign):
    """A campaign that records the epochs reported to it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.heard: list[int] = []

    def report(self, trial: Trial, new_epochs: Sequence[EpochMetrics]) -> bool:
        self.heard += [epoch.epoch for epoch in new_epochs]
        return super().report(trial, new_epochs)


def epoch(number: int) -> EpochMetrics:
    return EpochMetrics(
        epoch=number,
        lr=0.01,
        train_loss=1.0,
        validation_loss=1.0,
        validation_score=0.5,
        iterations=10,
        samples=1280,
        flops=1.0,
        words=1,
        device_seconds=1.0,
    )


def searched(recorder: RecordingAgenda) -> Trial:
    """Return the next trial that may be pruned."""
    while isinstance(trial := recorder.ask(), Trial):
        if recorder.may_prune(trial):
            return trial
    raise AssertionError(trial)


def test_the_method_knows_the_epochs_of_an_interrupted_trial_before_it_goes_on(tmp_path: Path) -> None:
    """Otherwise ASHA would enter the score of epoch 4 in the rung of epoch 1."""
    definition = study_from_text(STUDY, "study.yaml")
    silent: Any = Silent()
    asked, heard = [], []
    for _ in range(2):
        journal = Journal(tmp_path / "pruned")
        open_session(definition, journal, {"torch": "2"})
        campaign = Hearing(definition, journal.content.results)
        recorder = RecordingAgenda(campaign, journal, silent, silent, ResultReuse(None))
        asked.append(searched(recorder))
        heard.append(list(campaign.heard))
        if len(asked) == 1:
            for number in (1, 2, 3):
                assert recorder.report(asked[0], [epoch(number)])
        journal.close()
    assert asked[0].id == asked[1].id
    assert heard == [[], [1, 2, 3]]
    written = read_journal(tmp_path / "pruned" / "journal.jsonl").epochs[asked[0].id]
    assert [each.epoch for each in written] == [1, 2, 3]
