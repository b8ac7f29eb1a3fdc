"""A resumed study reports the journal's epochs of interrupted trials to its campaign."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.tuner.run.reused_studies import PRUNED, SESSION, journal, study, trained
from tests.tuner.silent import Silent
from zerotune.trainers.spec import EpochMetrics
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.run.journal import Journal, read_journal
from zerotune.tuner.run.recorder import ENDED_IN, RecordingAgenda
from zerotune.tuner.run.reuse import ResultReuse
from zerotune.tuner.run.run import open_session
from zerotune.tuner.trial import Trial


class ObservedCampaign(Campaign):
    """A campaign that records the epochs reported to it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.observed: list[int] = []

    def report(self, trial: Trial, new_epochs: Sequence[EpochMetrics]) -> bool:
        self.observed += [epoch.epoch for epoch in new_epochs]
        return super().report(trial, new_epochs)


def searched(recorder: RecordingAgenda) -> Trial:
    """Return the next trial that may be pruned."""
    while isinstance(trial := recorder.ask(), Trial):
        if recorder.may_prune(trial):
            return trial
    raise AssertionError(trial)


def test_the_method_knows_the_epochs_of_an_interrupted_trial_before_it_goes_on(tmp_path: Path) -> None:
    """Otherwise ASHA would enter the score of epoch 4 in the rung of epoch 1."""
    definition = study(PRUNED, ("pruner: median", "pruner: asha"), ("epochs: 2", "epochs: 9"))
    silent: Any = Silent()
    asked, observed = [], []
    for _ in range(2):
        held = Journal(tmp_path / "first")
        open_session(definition, held, SESSION)
        campaign = ObservedCampaign(definition, held.content.results)
        recorder = RecordingAgenda(campaign, held, silent, silent, ResultReuse(None))
        asked.append(searched(recorder))
        observed.append(list(campaign.observed))
        if len(asked) == 1:
            for epoch in trained(asked[0]).epochs[:3]:
                assert recorder.report(asked[0], [epoch])
        held.close()
    assert asked[0].id == asked[1].id
    assert observed == [[], [1, 2, 3]]
    written = read_journal(journal(tmp_path)).epochs[asked[0].id]
    assert [each.epoch for each in written] == [1, 2, 3]


class Display(Silent):
    """A display that keeps its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


def first_trial(folder: Path, *, in_this_process: bool = True) -> tuple[Journal, RecordingAgenda, Trial, list[str]]:
    """Start the first trial of a study, as a driver does; return the notes that are shown for it."""
    definition, display, silent = study(PRUNED), Display(), Silent()
    held = Journal(folder)
    open_session(definition, held, SESSION)
    campaign: Any = Campaign(definition, held.content.results)
    arguments: Any = (campaign, held, silent, display, ResultReuse(None))
    recorder = RecordingAgenda(*arguments, in_this_process=in_this_process)
    trial = recorder.ask()
    assert isinstance(trial, Trial)
    recorder.mark_started(trial)
    return held, recorder, trial, display.notes


def end_in_the_first_trial(folder: Path, *, in_this_process: bool = True) -> None:
    """End a process by os._exit while it trains the first trial."""
    if (child := os.fork()) == 0:
        first_trial(folder, in_this_process=in_this_process)
        os._exit(3)
    os.waitpid(child, 0)


def test_the_next_run_names_the_trial_in_which_the_process_ended(tmp_path: Path) -> None:
    end_in_the_first_trial(tmp_path)
    held, recorder, trial, notes = first_trial(tmp_path)
    assert [f"{trial.name}: {ENDED_IN}"] == notes
    recorder.tell(trained(trial))
    held.close()
    assert b"" == (tmp_path / "lock").read_bytes()
    assert Journal(tmp_path).ended_in is None


def test_a_run_that_was_stopped_or_trained_elsewhere_blames_no_trial(tmp_path: Path) -> None:
    first_trial(tmp_path / "stopped")[0].close()
    end_in_the_first_trial(tmp_path / "workers", in_this_process=False)
    assert [[], []] == [first_trial(tmp_path / name)[3] for name in ("stopped", "workers")]
