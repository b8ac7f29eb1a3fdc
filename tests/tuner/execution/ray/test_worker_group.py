"""How a worker group handles workers that are lost or fail, without Ray."""

from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, RayActorError

from tests.tuner.execution.agendas import make_trial
from zerotune.trainers.distributed.local_workers import WorkerLost
from zerotune.trainers.distributed.rendezvous import LOOPBACK
from zerotune.trainers.spec import Placement
from zerotune.tuner.execution.ray import worker_group
from zerotune.tuner.execution.ray.worker_group import WorkerGroup, WorkerStartError

CLOSED = "RuntimeError: [third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer"
LOST = ActorDiedError()


def get(answer: Any) -> Any:
    """Replace `ray.get`: raise the exception that a worker's process left behind, or return its answer."""
    if isinstance(answer, list):
        return [get(one) for one in answer]
    if isinstance(answer, Exception):
        raise answer
    return answer


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replace Ray by one whose answers are ready at once; return the workers that were killed."""
    killed: list[Any] = []
    for name, value in {
        "get": get,
        "kill": killed.append,
        "wait": lambda parts, num_returns, timeout=None: (parts[:num_returns], parts[num_returns:]),
    }.items():
        monkeypatch.setattr(worker_group.ray, name, value)
    monkeypatch.setattr(worker_group, "local_address", lambda: LOOPBACK)
    monkeypatch.setattr(worker_group, "get_current_placement_group", lambda: None)
    monkeypatch.setattr(worker_group, "PlacementGroupSchedulingStrategy", lambda *_, **__: None)
    return killed


def start(monkeypatch: pytest.MonkeyPatch, ready: list[Any], join_process_group: Any) -> None:
    """Start a training with workers that give these answers when asked whether they have started."""
    answers = iter(ready)

    def follower() -> Any:
        answer = next(answers)
        return SimpleNamespace(
            ready=SimpleNamespace(remote=lambda: answer), join=SimpleNamespace(remote=lambda *_: None)
        )

    actor = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=follower))
    monkeypatch.setattr(worker_group.ray, "remote", lambda **_: lambda _: actor)
    monkeypatch.setattr(worker_group, "join_process_group", join_process_group)
    WorkerGroup(1 + len(ready), cpus=1, gpus=0.0).start_training(make_trial(0).config, Placement(), None)


def test_an_import_that_fails_in_another_worker_is_reported_as_what_it_is(
    monkeypatch: pytest.MonkeyPatch, killed: list[Any]
) -> None:
    text = (
        "The actor died because of an error raised in its creation task\nModuleNotFoundError: No module named 'absent'"
    )
    with pytest.raises(WorkerStartError, match="could not start: ModuleNotFoundError: No module named 'absent'"):
        start(monkeypatch, [RayActorError("the id", text)], nobody_comes)


@contextmanager
def nobody_comes(*_: Any, **__: Any) -> Any:
    raise RuntimeError("1/3 clients joined")
    yield


def test_a_follower_that_is_lost_before_it_has_started_is_not_waited_for(
    killed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    with pytest.raises(WorkerLost, match="a worker could not be started: The actor died"):
        start(monkeypatch, [None, LOST], lambda *_, **__: asked.append(1))
    assert (len(killed), asked) == (2, [])


def test_a_follower_that_does_not_join_is_lost_and_not_the_trials_fault(
    killed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WorkerLost, match=r"^a worker could not be started: 1/3 clients joined$"):
        start(monkeypatch, [None, None], nobody_comes)
    assert len(killed) == 2


def test_a_follower_that_is_lost_is_reported_before_one_that_fails_by_it(killed: list[Any]) -> None:
    group = WorkerGroup(3, cpus=1, gpus=0.0)
    group._parts = [CLOSED, LOST]
    with pytest.raises(WorkerLost, match=r"^worker 2 of 3 was lost: The actor died"):
        group.failure()


def test_a_follower_that_fails_by_its_own_fault_is_reported_before_one_that_fails_by_it(killed: list[Any]) -> None:
    group = WorkerGroup(3, cpus=1, gpus=0.0)
    group._parts = [CLOSED, "ValueError: its own"]
    assert group.failure() == "worker 2 of 3: ValueError: its own"


def test_a_follower_that_is_lost_after_another_has_ended_is_still_watched_for(
    killed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(worker_group, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(worker_group.os, "_exit", ended.append)
    group = WorkerGroup(3, cpus=1, gpus=0.0)
    group._parts = [CLOSED, LOST]
    group._watch(group._parts)
    assert ended == [1]
