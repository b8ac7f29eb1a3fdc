"""How workers find each other: a TCP store of rank 0, and torch's process group on one network interface.

Torch's process groups authenticate nobody. So workers listen on one address only: the loopback address where all of
them are on this machine, else an address of a trusted network such as Ray's own.
"""

import fcntl
import os
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed

from .data_parallel import ProcessGroup

LOOPBACK = "127.0.0.1"
JOIN_TIMEOUT = timedelta(minutes=5)
"""Within this time, workers that have been started must find each other."""
WORKER_TIMEOUT = timedelta(days=1)
"""Longest wait of another worker for rank 0, which may be evaluating. A lost connection ends the wait at once."""
RANK_ZERO_TIMEOUT = timedelta(hours=1)
"""Longest wait of rank 0 for the others, which may still be reading their data.

A lost worker normally ends the wait at once. Two cases need the timeout: gloo has a race where the worker dies just as
a message to it is sent, and a process that the worker started may still hold its connection.
"""
_CONNECTION_ERRORS = ("gloo/transport/", "DistBackendError")
"""Parts of the messages with which gloo and NCCL report that another worker has gone."""
_GET_ADDRESS = 0x8915  # Linux's SIOCGIFADDR


@dataclass(frozen=True, kw_only=True)
class Rendezvous:
    """Where workers meet.

    Attributes:
        host: address of rank 0's machine.
        port: port that rank 0 listens on.
        world_size: number of workers.
    """

    host: str
    port: int
    world_size: int


def listening_socket(host: str) -> socket.socket:
    """Return a socket that listens on a free port of one address of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind((host, 0))
    listener.listen()
    return listener


def unsupported_reason(device: str) -> str | None:
    """Say why several workers cannot train together on such devices, as a sentence; None if they can."""
    backend = _backend(device)
    if torch.distributed.is_available() and torch.distributed.is_backend_available(backend):
        return None
    return f"several workers a trial need torch's {backend}, which this build of torch lacks"


def first_failure(failures: Mapping[int, str], world_size: int) -> str:
    """Pick the failure that caused the others: when one worker fails, the connections of the others fail too.

    Args:
        failures: error message of each failed worker by rank; at least one.
        world_size: number of workers.

    >>> first_failure({1: "RuntimeError: [gloo/transport/tcp/pair.cc:1] Connection closed", 2: "ValueError: no"}, 3)
    'worker 2 of 3: ValueError: no'
    """
    rank = min(failures, key=lambda rank: (any(part in failures[rank] for part in _CONNECTION_ERRORS), rank))
    return f"worker {rank} of {world_size}: {failures[rank]}"


@contextmanager
def join_process_group(
    rank: int, rendezvous: Rendezvous, *, device: str, address: str, listener: socket.socket | None = None
) -> Iterator[ProcessGroup]:
    """Make this process a worker of a process group for the `with` block; one group a process at a time.

    Args:
        rank: rank of this worker.
        rendezvous: where the workers meet.
        device: "cpu", on which gloo carries the sums, or a CUDA device, on which NCCL does.
        address: address of this machine by which the other workers reach it.
        listener: rank 0's `listening_socket` at the rendezvous's port; None for the others.

    Raises:
        RuntimeError: the other workers did not join within `JOIN_TIMEOUT`.
    """
    store = torch.distributed.TCPStore(  # type: ignore[attr-defined]  # public, but missing in torch's __all__
        rendezvous.host,
        rendezvous.port,
        rendezvous.world_size,
        is_master=rank == 0,
        wait_for_workers=False,
        timeout=JOIN_TIMEOUT,
        master_listen_fd=None if listener is None else listener.detach(),
    )
    backend = _backend(device)
    with _use_interface(_find_interface(address)):
        torch.distributed.init_process_group(
            backend,
            store=store,
            rank=rank,
            world_size=rendezvous.world_size,
            timeout=JOIN_TIMEOUT,
            device_id=_with_index(device) if backend == "nccl" else None,
        )
    group = torch.distributed.group.WORLD
    assert group is not None
    timeout = WORKER_TIMEOUT if rank else RANK_ZERO_TIMEOUT
    group.set_timeout(timeout)
    del group  # the group ends when its last holder lets go of it, which must not be this frame
    try:
        yield ProcessGroup(rank=rank, world_size=rendezvous.world_size, timeout=timeout)
    finally:
        torch.distributed.destroy_process_group()


def _with_index(device: str) -> torch.device:
    """Return a CUDA device with the index that NCCL asks for: the first device of this process if none is given.

    >>> _with_index("cuda"), _with_index("cuda:2")
    (device(type='cuda', index=0), device(type='cuda', index=2))
    """
    return torch.device("cuda", torch.device(device).index or 0)


def _backend(device: str) -> str:
    return "nccl" if device.startswith("cuda") else "gloo"


@contextmanager
def _use_interface(interface: str | None) -> Iterator[None]:
    """Have gloo and NCCL use a network interface; None, or a user's own setting, leaves the choice as it is."""
    names = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
    before = {name: os.environ.get(name) for name in names}
    for name in names:
        if interface is not None and before[name] is None:
            os.environ[name] = interface
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)


def _find_interface(address: str) -> str | None:
    """Return the name of the network interface that has an address of this machine; None if it is not found."""
    names = [name for _, name in socket.if_nameindex()]
    if address.startswith("127."):
        return next((name for name in names if name.startswith("lo")), None)
    if sys.platform != "linux":
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
        for name in names:
            try:
                answer = fcntl.ioctl(query.fileno(), _GET_ADDRESS, struct.pack("256s", name.encode()[:15]))
            except OSError:  # an interface without an address
                continue
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return None
