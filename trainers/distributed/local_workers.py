"""Other workers on this machine: child processes of rank 0, each on its own device.

They run `trainers.distributed.worker_process`, and receive their tasks over a pair of sockets that no other process
has.
"""

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any, cast

from ..applications.user_file import ApplicationFile
from ..child_process import command_of
from ..spec import Placement, TrainConfig
from .data_parallel import SINGLE_PROCESS, ProcessGroup
from .rendezvous import LOOPBACK, Rendezvous, first_failure, join_process_group, listening_socket


class WorkerLost(Exception):
    """A worker died without reporting a failure; the training can be resumed from its checkpoint."""


@dataclass(frozen=True, kw_only=True)
class TrainTask:
    """A training that a worker takes part in."""

    config: TrainConfig
    placement: Placement
    application: ApplicationFile | None


@dataclass(frozen=True, kw_only=True)
class ChildWorker:
    """A worker that was started here; the connection sends it tasks and receives its answers."""

    process: "subprocess.Popen[bytes]"
    connection: Connection
    device: str


class LocalWorkers:
    """The other workers of this machine: started with the first training, kept for the next ones.

    Args:
        world_size: number of workers, this process included, >= 1; with 1, nothing is started.
    """

    def __init__(self, world_size: int) -> None:
        self._world_size = world_size
        self.children: list[ChildWorker] = []
        self._process_group: ProcessGroup | None = None
        self._open = ExitStack()

    def start_training(
        self, config: TrainConfig, placement: Placement, application: ApplicationFile | None = None
    ) -> ProcessGroup:
        """Have the other workers train, and return the group with which this process trains its part.

        The placement is that of this process; the others take the CUDA devices after its own. `application` is None for
        an application of zerotune's.

        Raises:
            WorkerLost: a worker could not be started.
        """
        process_group = self._start_process_group(placement.device)
        for child in self.children:
            their_placement = replace(placement, device=child.device)
            send(child.connection, TrainTask(config=config, placement=their_placement, application=application))
        return process_group

    def call(self, device: str, function: Callable[..., object], *arguments: object) -> ProcessGroup:
        """Have the other workers call `function(process_group, device, *arguments)`; this process calls it itself.

        The function must be at the top level of a module. `device` is that of this process.

        Raises:
            WorkerLost: a worker could not be started.
        """
        process_group = self._start_process_group(device)
        for child in self.children:
            send(child.connection, (function, (child.device, *arguments)))
        return process_group

    def _start_process_group(self, device: str) -> ProcessGroup:
        if self._world_size == 1:
            return SINGLE_PROCESS
        if self._process_group is not None:
            return self._process_group
        listener = listening_socket(LOOPBACK)
        rendezvous = Rendezvous(host=LOOPBACK, port=listener.getsockname()[1], world_size=self._world_size)
        self.children += [_start_child(_device_of_rank(device, rank)) for rank in range(1, self._world_size)]
        for rank, child in enumerate(self.children, start=1):
            send(child.connection, (rank, rendezvous, child.device))
        self._wait_for_all()  # their imports are done
        joining = join_process_group(
            0, rendezvous, device=_device_of_rank(device, 0), address=LOOPBACK, listener=listener
        )
        process_group = self._open.enter_context(joining)
        self._wait_for_all()  # they have joined too: they connect with each other after they did with this process
        self._process_group = process_group
        return process_group

    def _wait_for_all(self) -> None:
        """Wait until each other worker is as far.

        Raises:
            WorkerLost: one of them has ended.
            RuntimeError: one of them reports why it cannot start.
        """
        waiting_for = {child.connection: rank for rank, child in enumerate(self.children, start=1)}
        while waiting_for:
            for connection in wait(list(waiting_for)):
                rank = waiting_for.pop(cast(Connection, connection))
                message = receive(cast(Connection, connection))
                if message in ("ready", "joined"):
                    continue
                self.close()
                if message is None:
                    raise WorkerLost(f"worker {rank} of {self._world_size} ended when it was started")
                raise RuntimeError(f"worker {rank} of {self._world_size} cannot start: {message}")

    def failure(self) -> str | None:
        """Return the failure that another worker has reported; None if there is none.

        Raises:
            WorkerLost: a worker has ended without a report. Reports of others are consequences then, and are ignored.
        """
        failures: dict[int, str] = {}
        for rank, child in enumerate(self.children, start=1):
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(timeout=1.0)  # a worker that failed ends itself
            if child.process.poll() is not None:
                message = receive(child.connection)
                if message is None:
                    raise WorkerLost(f"worker {rank} of {self._world_size} was lost")
                failures[rank] = message
        return first_failure(failures, self._world_size) if failures else None

    def close(self) -> None:
        """Stop the other workers; the next training starts new ones."""
        for child in self.children:
            child.process.kill()
            child.connection.close()
            child.process.wait()
        self.children.clear()
        self._process_group = None
        self._open.close()


def _start_child(device: str) -> ChildWorker:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            command_of("zerotune.trainers.distributed.worker_process", str(theirs.fileno())),
            stdin=subprocess.DEVNULL,
            stdout=2,  # an application's prints must not mix with this program's output
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C reaches this process only, which stops the others
        )
    return ChildWorker(process=process, connection=Connection(ours.detach()), device=device)


def _device_of_rank(device: str, rank: int) -> str:
    """Return the device of a rank, given that of rank 0: the same CPU, or the CUDA device `rank` places further.

    >>> _device_of_rank("cpu", 1), _device_of_rank("cuda", 1), _device_of_rank("cuda:2", 1)
    ('cpu', 'cuda:1', 'cuda:3')
    """
    kind, _, index = device.partition(":")
    return kind if kind == "cpu" else f"{kind}:{int(index or 0) + rank}"


def send(connection: Connection, message: object) -> None:
    """Send a message; a receiver that has ended does not get it."""
    with suppress(OSError):  # that it has ended shows where its answer is needed
        connection.send(message)


def receive(connection: Connection) -> Any:
    """Return the next message; None if the other side has ended."""
    try:
        return connection.recv()
    except (EOFError, OSError):
        return None


@contextmanager
def local_workers(world_size: int) -> Iterator[LocalWorkers]:
    """Keep other workers for the `with` block, and stop them after it.

    A collective operation fails in this process when another worker fails: the error raised is then that worker's.

    Raises:
        WorkerLost: a worker could not be started, or has ended without a report.
        RuntimeError: another worker failed, or this one did.
    """
    with closing(LocalWorkers(world_size)) as workers:
        try:
            yield workers
        except RuntimeError as error:
            if (failure := workers.failure()) is not None:
                raise RuntimeError(failure) from error
            raise
