"""The other workers of a trial on a Ray cluster: actors in the placement group of the trial's Tune worker.

The group holds the resources of all of them, so that a trial has all its workers or none.
"""

import os
import time
from contextlib import ExitStack
from threading import Thread
from typing import Any

from .settings import ray  # before Ray itself, which reads its settings on import

# isort: split
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.util import get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from ....trainers.applications.registry import register_application
from ....trainers.applications.user_file import ApplicationFile
from ....trainers.distributed.data_parallel import SINGLE_PROCESS, ProcessGroup
from ....trainers.distributed.local_workers import WorkerLost
from ....trainers.distributed.rendezvous import (
    LOOPBACK,
    Rendezvous,
    first_failure,
    join_process_group,
    listening_socket,
)
from ....trainers.interrupts import note_interrupts, raise_if_interrupted
from ....trainers.loop import train_as_worker
from ....trainers.memory import configure_malloc
from ....trainers.spec import Placement, TrainConfig
from ..failures import describe_error, find_cause

GRACE_SECONDS = 20.0
"""How long this worker may take to notice that another is lost; it may be connected to a machine that is gone."""
FAILURE_SECONDS = 10.0
"""How long a failed worker may take to report its error."""


class WorkerStartError(Exception):
    """A worker raised an exception while it started, and would do so again."""


def local_address() -> str:
    """Return this machine's address for other machines of the cluster; loopback on a cluster of one machine."""
    own = ray.util.get_node_ip_address()
    nodes = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    return LOOPBACK if nodes == {own} else str(own)


class WorkerActor:
    """Actor for a worker other than rank 0 of a process group."""

    def __init__(self) -> None:
        configure_malloc()
        self._open = ExitStack()
        self._process_group = SINGLE_PROCESS

    def ready(self) -> None:
        """Answer once the process has started."""

    def join(self, rank: int, rendezvous: Rendezvous, device: str) -> None:
        """Join the process group."""
        address = LOOPBACK if rendezvous.host == LOOPBACK else local_address()
        entering = join_process_group(rank, rendezvous, device=device, address=address)
        self._process_group = self._open.enter_context(entering)

    def train(self, config: TrainConfig, placement: Placement, application: ApplicationFile | None) -> str | None:
        """Train this worker's part and return its error, or None.

        After an error, close the connections, so that the other workers do not wait for this one.
        """
        try:
            with note_interrupts() as arrived:
                if application is not None:
                    register_application(application)
                train_as_worker(config, placement, self._process_group)
        except BaseException as error:  # a model or a data set may raise anything
            raise_if_interrupted(arrived, error)
            said = describe_error(error)
            self._open.close()
            return said
        return None


class WorkerGroup:
    """The other workers of a Tune worker's trials, started with the first trial and kept for the next ones.

    Args:
        world_size: number of workers, this one included, >= 1.
        cpus: CPU cores of each worker.
        gpus: GPUs of each worker.
    """

    def __init__(self, world_size: int, *, cpus: int, gpus: float) -> None:
        self._world_size, self._cpus, self._gpus = world_size, cpus, gpus
        self._others: list[Any] = []
        self._parts: list[Any] = []
        self._process_group: ProcessGroup | None = None
        self._open = ExitStack()

    def start_training(
        self, config: TrainConfig, placement: Placement, application: ApplicationFile | None
    ) -> ProcessGroup:
        """Start the others' training and return the process group in which this process trains its part.

        Raises:
            WorkerLost: one of them died while it started.
            WorkerStartError: one of them raised an exception while it started.
        """
        if self._world_size == 1:
            return SINGLE_PROCESS
        try:
            process_group = self._process_group or self._start(placement.device)
        except (RayError, RuntimeError) as error:  # torch raises RuntimeError if the others do not join
            self.close()
            cause = find_cause(str(error)) if isinstance(error, RayActorError) else None
            if cause is not None:
                raise WorkerStartError(f"another worker of the trial could not start: {cause}") from None
            raise WorkerLost(f"a worker could not be started: {str(error).strip().split(chr(10))[0]}") from None
        # Only worker 0 writes checkpoints; the others read the same file if they can see it.
        self._parts = [other.train.remote(config, placement, application) for other in self._others]
        Thread(target=self._watch, args=(self._parts,), name="worker-watch", daemon=True).start()
        return process_group

    def _start(self, device: str) -> ProcessGroup:
        group = get_current_placement_group()
        actor = ray.remote(num_cpus=self._cpus, num_gpus=self._gpus, max_restarts=0)(WorkerActor)
        self._others = [
            actor.options(
                scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=rank)
            ).remote()
            for rank in range(1, self._world_size)
        ]
        ray.get([other.ready.remote() for other in self._others])  # the join would wait for one that is lost
        host = local_address()
        listener = listening_socket(host)
        rendezvous = Rendezvous(host=host, port=listener.getsockname()[1], world_size=self._world_size)
        joining = [other.join.remote(rank, rendezvous, device) for rank, other in enumerate(self._others, start=1)]
        entering = join_process_group(0, rendezvous, device=device, address=host, listener=listener)
        self._process_group = self._open.enter_context(entering)
        ray.get(joining)
        return self._process_group

    def _watch(self, parts: list[Any]) -> None:
        """End this process if another worker is lost and this one keeps waiting for it."""
        left = parts
        while left:
            ready, left = ray.wait(left, num_returns=1)
            try:
                ray.get(ready[0])
            except RayError:
                time.sleep(GRACE_SECONDS)
                if self._parts is parts:
                    os._exit(1)
                return

    def failure(self) -> str | None:
        """Return the error that one of the others reports; None if none does.

        Raises:
            WorkerLost: one of them ended without reporting an error. This comes first, whatever the rest report, since
                they fail as a consequence.
        """
        parts = self._parts
        ready, _ = ray.wait(parts, num_returns=len(parts), timeout=FAILURE_SECONDS) if parts else ([], [])
        said: dict[int, str] = {}
        for part in ready:
            rank = 1 + parts.index(part)
            try:
                last_word = ray.get(part)
            except (RayActorError, RayTaskError) as error:
                reason = str(error).strip().split("\n")[0]
                raise WorkerLost(f"worker {rank} of {self._world_size} was lost: {reason}") from None
            if last_word is not None:
                said[rank] = last_word
        return first_failure(said, self._world_size) if said else None

    def close(self) -> None:
        """End the others; the next training starts new ones."""
        self._parts = []
        for other in self._others:
            ray.kill(other)
        self._others.clear()
        self._process_group = None
        self._open.close()
