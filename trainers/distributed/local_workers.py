"""A process group on this machine: this process leads, and others that it starts follow, each on its own device.

What they run is `trainers.distributed.worker_process`. They are told what to train over a pair of sockets that no other
process has.
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
    """A worker of a process group has gone without a word; the training can be taken up again from its checkpoint."""


@dataclass(frozen=True, kw_only=True)
class TrainTask:
    """What a worker is told to train."""

    config: TrainConfig
    placement: Placement
    application: ApplicationFile | None


@dataclass(frozen=True, kw_only=True)
class ChildWorker:
    """A worker that was started here.

    Attributes:
        process: its.
        connection: to it.
        device: that it trains on.
    """

    process: "subprocess.Popen[bytes]"
    connection: Connection
    device: str


class LocalWorkers:
    """The other workers of this machine, started with the first training and kept for the next ones.

    Args:
        world_size: workers, this process included, >= 1; nothing is started for 1.
    """

    def __init__(self, world_size: int) -> None:
        self._world_size = world_size
        self.children: list[ChildWorker] = []
        self._process_group: ProcessGroup | None = None
        self._open = ExitStack()

    def start_training(
        self, config: TrainConfig, placement: Placement, application: ApplicationFile | None = None
    ) -> ProcessGroup:
        """Has the others train; this process trains with the process group that it is given.

        Args:
            config: what to train.
            placement: of this process; the others have the CUDA devices after its own.
            application: the file of the user's own application; None where it is none.

        Raises:
            WorkerLost: one of them could not be started.
        """
        process_group = self._start_process_group(placement.device)
        for child in self.children:
            theirs = replace(placement, device=child.device)
            send(child.connection, TrainTask(config=config, placement=theirs, application=application))
        return process_group

    def call(self, device: str, part: Callable[..., object], *arguments: object) -> ProcessGroup:
        """Has the others call a function, as `part(process_group, device, *arguments)`; this process calls it itself.

        Args:
            device: of this process.
            part: a function of a module's top level.
            arguments: that can be sent to another process.

        Raises:
            WorkerLost: one of them could not be started.
        """
        process_group = self._start_process_group(device)
        for child in self.children:
            send(child.connection, (part, (child.device, *arguments)))
        return process_group

    def _start_process_group(self, device: str) -> ProcessGroup:
        if self._world_size == 1:
            return SINGLE_PROCESS
        if self._process_group is not None:
            return self._process_group
        listener = listening_socket(LOOPBACK)
        rendezvous = Rendezvous(host=LOOPBACK, port=listener.getsockname()[1], world_size=self._world_size)
        self.children += [_start_child(_device(device, rank)) for rank in range(1, self._world_size)]
        for rank, child in enumerate(self.children, start=1):
            send(child.connection, (rank, rendezvous, child.device))
        self._wait_for_all()  # that their imports are done
        entering = join_process_group(0, rendezvous, device=_device(device, 0), address=LOOPBACK, listener=listener)
        process_group = self._open.enter_context(entering)
        self._wait_for_all()  # that they have joined too: they connect with each other after this one
        self._process_group = process_group
        return process_group

    def _wait_for_all(self) -> None:
        """Waits for a word of each of the others; raises WorkerLost as soon as one has ended."""
        silent = {child.connection: rank for rank, child in enumerate(self.children, start=1)}
        while silent:
            for connection in wait(list(silent)):
                rank = silent.pop(cast(Connection, connection))
                if receive(cast(Connection, connection)) is None:
                    self.close()
                    raise WorkerLost(f"worker {rank} of {self._world_size} ended when it was started")

    def failure(self) -> str | None:
        """What one of the others says that failed; None where none says anything.

        Raises:
            WorkerLost: one of them has ended without a word, whatever the rest says: they fail when it is gone.
        """
        said: dict[int, str] = {}
        for rank, child in enumerate(self.children, start=1):
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(timeout=1.0)  # one that failed ends itself
            if child.process.poll() is not None:
                last_word = receive(child.connection)
                if last_word is None:
                    raise WorkerLost(f"worker {rank} of {self._world_size} was lost")
                said[rank] = last_word
        return first_failure(said, self._world_size) if said else None

    def close(self) -> None:
        """Ends the others; the next training starts new ones."""
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
            stdout=2,  # what an application prints is no answer of ours
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C is for this process, which ends the others
        )
    return ChildWorker(process=process, connection=Connection(ours.detach()), device=device)


def _device(device: str, rank: int) -> str:
    """That of another worker: the same on CPUs, the CUDA device so many numbers after.

    >>> _device("cpu", 1), _device("cuda", 1), _device("cuda:2", 1)
    ('cpu', 'cuda:1', 'cuda:3')
    """
    kind, _, number = device.partition(":")
    return kind if kind == "cpu" else f"{kind}:{int(number or 0) + rank}"


def send(connection: Connection, message: object) -> None:
    """Gives the other side a message; one that has ended does not get it."""
    with suppress(OSError):  # it has ended, which shows where its part is needed
        connection.send(message)


def receive(connection: Connection) -> Any:
    """The next message; None where the other side has ended."""
    try:
        return connection.recv()
    except (EOFError, OSError):
        return None


@contextmanager
def local_workers(world_size: int) -> Iterator[LocalWorkers]:
    """The other workers for what is done inside. A sum that fails here, since one of them did, is told as what it said.

    Args:
        world_size: workers, this process included, >= 1.

    Raises:
        WorkerLost: one of them could not be started, or has ended without a word.
        RuntimeError: what failed at another worker, or here.
    """
    with closing(LocalWorkers(world_size)) as workers:
        try:
            yield workers
        except RuntimeError as error:
            if (said := workers.failure()) is not None:
                raise RuntimeError(said) from error
            raise
