"""What becomes of a trial of several workers that loses one of them: its result, its bill and its checkpoint."""

from dataclasses import replace
from typing import Any

import pytest

from tests.tuner.drivers.agendas import ListAgenda, make_trial
from tests.tuner.drivers.test_dispatch import Workers, slice_
from trainers.local_gang import LocalGang, WorkerLost
from tuner.drivers.dispatch import Dispatch
from tuner.drivers.mishaps import MAX_DEATHS
from tuner.drivers.serial import run_serial
from tuner.drivers.work import Execution, conclude

TRIAL = make_trial(0, epochs=4)


@pytest.mark.parametrize("time_limit", [None, 1e-9])
def test_a_trial_whose_workers_of_rays_are_lost_keeps_their_number(time_limit: float | None) -> None:
    workers = Workers(ListAgenda([TRIAL]))
    execution = Execution(workers_per_trial=3, time_limit=time_limit)
    workers.dispatch = Dispatch(workers.agenda, execution, workers.post)  # type: ignore[arg-type]
    for _ in range(1 if time_limit else MAX_DEATHS):
        workers.ready("one")
        workers.die("one")
    assert [("failed", 3)] == [(result.status, result.num_workers) for result in workers.agenda.told]


def test_a_trial_whose_workers_here_are_lost_keeps_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any) -> None:
        raise WorkerLost("worker 1 of 3 was lost")

    monkeypatch.setattr(LocalGang, "begin", lost)
    agenda = ListAgenda([TRIAL])
    run_serial(agenda, Execution(workers_per_trial=3))
    assert [("failed", 3)] == [(result.status, result.num_workers) for result in agenda.told]


def test_a_trial_that_fails_keeps_how_it_was_trained() -> None:
    piece = slice_(1, of=4, error="ValueError: no")
    assert piece.training is not None
    training = replace(piece.training, num_workers=3, micro_batch_size=50, accumulation_steps=4)
    result = conclude(TRIAL, replace(piece, training=training, num_workers=3))
    assert (result.status, result.num_workers) == ("failed", 3)
    assert (result.micro_batch_size, result.accumulation_steps) == (50, 4)
    begun = conclude(TRIAL, replace(piece, training=None, num_workers=3))
    assert (begun.status, begun.num_workers) == ("failed", 3)
