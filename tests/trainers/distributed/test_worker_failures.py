"""What is told of a gang of three in which one worker was lost or failed: the third fails by its closed connection."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import torch.distributed

from tests.process_group_parts import one_fails
from zerotune.trainers.distributed import local_workers as local_gang
from zerotune.trainers.distributed.data_parallel import Gang
from zerotune.trainers.distributed.local_workers import LocalGang, WorkerLost
from zerotune.trainers.distributed.rendezvous import Meeting

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this build of torch has no gloo, which workers on CPUs need",
)


@pytest.fixture
def others() -> Iterator[LocalGang]:
    with closing(LocalGang(3)) as gang:
        yield gang


def test_a_worker_that_is_lost_while_others_still_connect_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def joined_at_once(rank: int, meeting: Meeting, **options: Any) -> Iterator[Gang]:
        with options["listener"]:
            others.others[1].process.kill()
            yield Gang(rank=rank, size=meeting.size)

    monkeypatch.setattr(local_gang, "joined", joined_at_once)
    with closing(LocalGang(3)) as others, pytest.raises(WorkerLost, match=r"^worker 2 of 3 ended when it was started$"):
        others.call("cpu", one_fails, 0)


def test_a_worker_that_is_lost_is_told_before_one_that_fails_by_it(others: LocalGang) -> None:
    gang = others.call("cpu", one_fails, 0)
    os.kill(others.others[1].process.pid, signal.SIGKILL)
    others.others[1].process.wait()  # gloo may not tell of one that goes just as a message to it begins
    with pytest.raises(RuntimeError):
        one_fails(gang, "cpu", 3)
    with pytest.raises(WorkerLost, match=r"^worker 2 of 3 was lost$"):
        others.failure()


def test_a_worker_that_fails_by_its_own_fault_is_told_before_one_that_fails_by_it(others: LocalGang) -> None:
    gang = others.call("cpu", one_fails, 2)
    others.others[1].process.wait()
    with pytest.raises(RuntimeError):
        one_fails(gang, "cpu", 2)
    assert others.failure() == "worker 2 of 3: ValueError: its own fault"
