"""The Ray driver's worker and mailbox, without Ray."""

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray import cloudpickle

from tests.tuner.execution.agendas import SINGLE_WORKER, make_trial
from zerotune.trainers.spec import Placement
from zerotune.tuner.execution.ray import tune_worker
from zerotune.tuner.execution.ray.messages import (
    CONTINUE,
    PRUNED,
    STOP,
    Assignment,
    Idle,
    Mailbox,
    ProgressUpdates,
    Ready,
)
from zerotune.tuner.execution.ray.tune_worker import IDLE_SECONDS, TuneWorker
from zerotune.tuner.trial import Trial


@pytest.fixture
def worker_and_items(monkeypatch: pytest.MonkeyPatch) -> tuple[TuneWorker, list[Any]]:
    """A worker in this process, and the items that it will find in its mailbox."""
    items: list[Any] = []

    def take(name: str, seconds: float) -> Any:
        assert seconds == IDLE_SECONDS
        return cloudpickle.dumps(items.pop(0)) if items else None

    monkeypatch.setattr(ray, "get", lambda answer: answer)
    worker = TuneWorker.__new__(TuneWorker)
    worker.setup({"post": SimpleNamespace(take=SimpleNamespace(remote=take)), "worker_group": SINGLE_WORKER})
    return worker, items


def epochs(message: ProgressUpdates) -> list[int]:
    """Return the new epochs of the worker's only trial."""
    (update,) = message.updates.values()
    return [epoch.epoch for epoch in update.new_epochs]


def assignment(trial: Trial, *, may_be_pruned: bool, checkpoint: Path | None = None) -> Assignment:
    placement = Placement(checkpoint=None if checkpoint is None else str(checkpoint), checkpoint_seconds=0.0)
    return Assignment(trials=(trial,), placements=(placement,), may_be_pruned=may_be_pruned)


def test_a_worker_names_a_new_mailbox_at_every_start(worker_and_items: tuple[TuneWorker, list[Any]]) -> None:
    worker, _ = worker_and_items
    first = worker.step()["message"]
    worker.setup({"post": None, "worker_group": SINGLE_WORKER})
    second = worker.step()["message"]
    assert (Ready, Ready) == (type(first), type(second))
    assert first.mailbox != second.mailbox


def test_a_worker_trains_what_it_finds_and_stops_when_told(worker_and_items: tuple[TuneWorker, list[Any]]) -> None:
    worker, items = worker_and_items
    worker.step()
    assert {"message": Idle()} == worker.step()
    items.append(assignment(make_trial(0), may_be_pruned=False))
    (update,) = worker.step()["message"].updates.values()
    assert (True, 1) == (update.done, len(update.new_epochs))
    assert {"message": Idle()} == worker.step()
    items.append(STOP)
    assert {"message": Idle(), "done": True} == worker.step()


def test_a_worker_asks_after_every_epoch_of_a_trial_that_may_be_pruned(
    worker_and_items: tuple[TuneWorker, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, items = worker_and_items
    limits: list[float | None] = []
    monkeypatch.setattr(tune_worker, "end_process_after", limits.append)
    worker.step()
    hopeless = assignment(make_trial(0, epochs=4), may_be_pruned=True, checkpoint=tmp_path / "pruned.pt")
    items.append(replace(hopeless, time_limit=60.0))
    assert [1] == epochs(worker.step()["message"])
    assert {"message": Idle()} == worker.step()
    items.append(CONTINUE)
    assert [2] == epochs(worker.step()["message"])
    assert ([tmp_path / "pruned.pt"], [60.0]) == (list(tmp_path.iterdir()), limits)
    items.append(PRUNED)
    assert {"message": Idle()} == worker.step()
    assert ([], [60.0, None]) == (list(tmp_path.iterdir()), limits), "while it waits it must not end itself"
    items.append(assignment(make_trial(1), may_be_pruned=False))
    (update,) = worker.step()["message"].updates.values()
    assert update.done


def test_mailboxes_keep_the_order_and_do_not_mix() -> None:
    async def talk() -> list[Any]:
        mailbox = Mailbox()
        waiting = asyncio.create_task(mailbox.take("b", 5.0))
        for name, item in (("a", b"1"), ("a", b"2"), ("b", b"3")):
            await mailbox.put(name, item)
        return [await mailbox.take("a", 5.0), await mailbox.take("a", 5.0), await waiting]

    assert [b"1", b"2", b"3"] == asyncio.run(talk())


def test_an_empty_mailbox_gives_nothing_and_loses_nothing_later() -> None:
    async def talk() -> list[Any]:
        mailbox = Mailbox()
        nothing = await mailbox.take("a", 0.01)
        await mailbox.put("a", b"1")
        return [nothing, await mailbox.take("a", 5.0)]

    assert [None, b"1"] == asyncio.run(talk())
