"""One of three workers is lost or fails: it is reported, not the third, whose connection it closed."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.process_group_parts import one_fails
from tests.trainers.distributed.trainings import NEEDS_GLOO
from zerotune.trainers.distributed import local_workers
from zerotune.trainers.distributed.data_parallel import ProcessGroup
from zerotune.trainers.distributed.local_workers import LocalWorkers, WorkerLost
from zerotune.trainers.distributed.rendezvous import Rendezvous

pytestmark = NEEDS_GLOO

BROKEN_WORKER = """
import sys


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == "zerotune.trainers.loop" and "zerotune.trainers.distributed.worker_process" in sys.orig_argv:
            raise ModuleNotFoundError("No module named 'absent'")


sys.meta_path.insert(0, Blocker())
"""


@pytest.fixture
def workers() -> Iterator[LocalWorkers]:
    with closing(LocalWorkers(3)) as workers:
        yield workers


def test_a_worker_lost_while_others_connect_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def joined_at_once(rank: int, rendezvous: Rendezvous, **options: Any) -> Iterator[ProcessGroup]:
        with options["listener"]:
            workers.children[1].process.kill()
            yield ProcessGroup(rank=rank, world_size=rendezvous.world_size)

    monkeypatch.setattr(local_workers, "join_process_group", joined_at_once)
    with (
        closing(LocalWorkers(3)) as workers,
        pytest.raises(WorkerLost, match=r"^worker 2 of 3 ended when it was started$"),
    ):
        workers.call("cpu", one_fails, 0)


def test_a_lost_worker_is_reported_before_the_failures_it_causes(workers: LocalWorkers) -> None:
    process_group = workers.call("cpu", one_fails, 0)
    os.kill(workers.children[1].process.pid, signal.SIGKILL)
    workers.children[1].process.wait()  # gloo may not tell of one that goes just as a message to it begins
    with pytest.raises(RuntimeError):
        one_fails(process_group, "cpu", 3)
    with pytest.raises(WorkerLost, match=r"^worker 2 of 3 was lost$"):
        workers.failure()


def test_the_first_failure_is_reported_before_the_failures_it_causes(workers: LocalWorkers) -> None:
    process_group = workers.call("cpu", one_fails, 2)
    workers.children[1].process.wait()
    with pytest.raises(RuntimeError):
        one_fails(process_group, "cpu", 2)
    assert workers.failure() == "worker 2 of 3: ValueError: its own fault (at process_group_parts.py:35)"


def test_a_worker_that_cannot_import_what_trains_says_which_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not called lost, which a study would take for a lack of memory."""
    (tmp_path / "sitecustomize.py").write_text(BROKEN_WORKER)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    with (
        closing(LocalWorkers(2)) as workers,
        pytest.raises(
            RuntimeError, match=r"^worker 1 of 2 cannot start: ModuleNotFoundError: No module named 'absent'$"
        ),
    ):
        workers.call("cpu", one_fails)
    assert workers.children == []
