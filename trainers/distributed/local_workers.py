"""A gang on this machine: this process leads, and others that it starts follow, each on its own device.

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
from .data_parallel import ALONE, Gang
from .rendezvous import LOOPBACK, Meeting, first_failure, joined, listening_socket


class WorkerLost(Exception):
    """A worker of a gang has gone without a word; the training can be taken up again from its checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a worker is told to train."""

    config: TrainConfig
    placement: Placement
    application: ApplicationFile | None


@dataclass(frozen=True, kw_only=True)
class Other:
    """A worker that was started here.

    Attributes:
        process: its.
        line: to it.
        device: that it trains on.
    """

    process: "subprocess.Popen[bytes]"
    line: Connection
    device: str


class LocalGang:
    """The other workers of this machine, started with the first training and kept for the next ones.

    Args:
        size: workers, this process included, >= 1; nothing is started for 1.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.others: list[Other] = []
        self._gang: Gang | None = None
        self._open = ExitStack()

    def begin(self, config: TrainConfig, placement: Placement, application: ApplicationFile | None = None) -> Gang:
        """Has the others train; this process does its part with the gang that it is given.

        Args:
            config: what to train.
            placement: of this process; the others have the CUDA devices after its own.
            application: the file of the user's own application; None where it is none.

        Raises:
            WorkerLost: one of them could not be started.
        """
        gang = self._started(placement.device)
        for other in self.others:
            theirs = replace(placement, device=other.device)
            send(other.line, Task(config=config, placement=theirs, application=application))
        return gang

    def call(self, device: str, part: Callable[..., object], *arguments: object) -> Gang:
        """Has the others call a function, as `part(gang, device, *arguments)`; this process calls it itself.

        Args:
            device: of this process.
            part: a function of a module's top level.
            arguments: that can be sent to another process.

        Raises:
            WorkerLost: one of them could not be started.
        """
        gang = self._started(device)
        for other in self.others:
            send(other.line, (part, (other.device, *arguments)))
        return gang

    def _started(self, device: str) -> Gang:
        if self._size == 1:
            return ALONE
        if self._gang is not None:
            return self._gang
        listener = listening_socket(LOOPBACK)
        meeting = Meeting(host=LOOPBACK, port=listener.getsockname()[1], size=self._size)
        self.others += [_start(_device(device, rank)) for rank in range(1, self._size)]
        for rank, other in enumerate(self.others, start=1):
            send(other.line, (rank, meeting, other.device))
        self._hear_of_all()  # that their imports are done
        entering = joined(0, meeting, device=_device(device, 0), address=LOOPBACK, listener=listener)
        gang = self._open.enter_context(entering)
        self._hear_of_all()  # that they have joined too: they connect with each other after this one
        self._gang = gang
        return gang

    def _hear_of_all(self) -> None:
        """Waits for a word of each of the others; raises WorkerLost as soon as one has ended."""
        silent = {other.line: rank for rank, other in enumerate(self.others, start=1)}
        while silent:
            for line in wait(list(silent)):
                rank = silent.pop(cast(Connection, line))
                if receive(cast(Connection, line)) is None:
                    self.close()
                    raise WorkerLost(f"worker {rank} of {self._size} ended when it was started")

    def failure(self) -> str | None:
        """What one of the others says that failed; None where none says anything.

        Raises:
            WorkerLost: one of them has ended without a word, whatever the rest says: they fail when it is gone.
        """
        said: dict[int, str] = {}
        for rank, other in enumerate(self.others, start=1):
            with suppress(subprocess.TimeoutExpired):
                other.process.wait(timeout=1.0)  # one that failed ends itself
            if other.process.poll() is not None:
                last_word = receive(other.line)
                if last_word is None:
                    raise WorkerLost(f"worker {rank} of {self._size} was lost")
                said[rank] = last_word
        return first_failure(said, self._size) if said else None

    def close(self) -> None:
        """Ends the others; the next training starts new ones."""
        for other in self.others:
            other.process.kill()
            other.line.close()
            other.process.wait()
        self.others.clear()
        self._gang = None
        self._open.close()


def _start(device: str) -> Other:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            command_of("zerotune.trainers.distributed.worker_process", str(theirs.fileno())),
            stdin=subprocess.DEVNULL,
            stdout=2,  # what an application prints is no answer of ours
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C is for this process, which ends the others
        )
    return Other(process=process, line=Connection(ours.detach()), device=device)


def _device(device: str, rank: int) -> str:
    """That of another worker: the same on CPUs, the CUDA device so many numbers after.

    >>> _device("cpu", 1), _device("cuda", 1), _device("cuda:2", 1)
    ('cpu', 'cuda:1', 'cuda:3')
    """
    kind, _, number = device.partition(":")
    return kind if kind == "cpu" else f"{kind}:{int(number or 0) + rank}"


def send(line: Connection, message: object) -> None:
    """Gives the other side a message; one that has ended does not get it."""
    with suppress(OSError):  # it has ended, which shows where its part is needed
        line.send(message)


def receive(line: Connection) -> Any:
    """The next message; None where the other side has ended."""
    try:
        return line.recv()
    except (EOFError, OSError):
        return None


@contextmanager
def local_gang(size: int) -> Iterator[LocalGang]:
    """The other workers for what is done inside. A sum that fails here, since one of them did, is told as what it said.

    Args:
        size: workers, this process included, >= 1.

    Raises:
        WorkerLost: one of them could not be started, or has ended without a word.
        RuntimeError: what failed at another worker, or here.
    """
    with closing(LocalGang(size)) as others:
        try:
            yield others
        except RuntimeError as error:
            if (said := others.failure()) is not None:
                raise RuntimeError(said) from error
            raise
