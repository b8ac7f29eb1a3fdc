"""The process that carries trials to the workers dies: the study ends with an error message and fails no trial."""

import os
import signal

import psutil
import pytest

from tests.tuner.execution.agendas import ListAgenda, make_trial
from zerotune.tuner.errors import Unreachable
from zerotune.tuner.execution.ray.tune_worker import run_ray
from zerotune.tuner.execution.trial_runner import Execution


@pytest.mark.ray
@pytest.mark.usefixtures("shared_head")
def test_a_study_whose_mailbox_dies_ends_with_a_sentence_and_fails_no_trial() -> None:
    trials = [make_trial(index, epochs=3) for index in range(6)]
    agenda = ListAgenda(trials, pruned_at={trial.id: 99 for trial in trials})  # each asks after every epoch

    def kill_mailbox(*_: object) -> None:
        for child in psutil.Process().children(recursive=True):
            if child.name().startswith("ray::Mailbox"):
                os.kill(child.pid, signal.SIGKILL)

    agenda.on_report = kill_mailbox
    with pytest.raises(Unreachable, match="sends trials to the Ray cluster's workers has died"):
        run_ray(agenda, Execution(max_concurrent=1))
    assert agenda.reported
    assert [result for result in agenda.results if result.status == "failed"] == []
