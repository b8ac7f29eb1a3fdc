"""How workers find each other: a socket of worker 0, and torch's process group on one network interface.

Nothing here asks who connects, since torch's process groups do not: workers listen on one address only, that of the
machine itself where all of them are there, else one of a network that only friends are in,
as Ray's own.
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
"""How long workers that have been started may take to find each other."""
WORKER_TIMEOUT = timedelta(days=1)
"""How long a worker waits for worker 0, which may evaluate; that it is lost is seen by its connections, at once."""
RANK_ZERO_TIMEOUT = timedelta(hours=1)
"""How long worker 0 waits for the others, which may still read their data.

That one is lost is seen at once here too, but for a race in gloo: where the other goes just as a message to it begins,
the wait may not be told. Nor is it where a process of the other's own still holds the connection.
"""
_CONNECTION_ERRORS = ("gloo/transport/", "DistBackendError")
"""Of how gloo and NCCL say that another worker has gone."""
_GET_ADDRESS = 0x8915  # Linux's SIOCGIFADDR


@dataclass(frozen=True, kw_only=True)
class Rendezvous:
    """Where a process group meets.

    Attributes:
        host: address of worker 0's machine.
        port: that worker 0 listens at.
        world_size: of the process group.
    """

    host: str
    port: int
    world_size: int


def listening_socket(host: str) -> socket.socket:
    """A socket that listens on a free port of one address of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind((host, 0))
    listener.listen()
    return listener


def unsupported_reason(device: str) -> str | None:
    """Why several workers cannot train together on such devices, as a sentence; None where they can."""
    backend = _backend(device)
    if torch.distributed.is_available() and torch.distributed.is_backend_available(backend):
        return None
    return f"several workers a trial need torch's {backend}, which this build of torch is without"


def first_failure(said: Mapping[int, str], world_size: int) -> str:
    """The failure to tell where several workers failed: one's connections end with it, and fail others.

    Args:
        said: how each worker failed that did, by rank; at least one.
        world_size: of the process group.

    >>> first_failure({1: "RuntimeError: [gloo/transport/tcp/pair.cc:1] Connection closed", 2: "ValueError: no"}, 3)
    'worker 2 of 3: ValueError: no'
    """
    rank = min(said, key=lambda rank: (any(words in said[rank] for words in _CONNECTION_ERRORS), rank))
    return f"worker {rank} of {world_size}: {said[rank]}"


@contextmanager
def join_process_group(
    rank: int, rendezvous: Rendezvous, *, device: str, address: str, listener: socket.socket | None = None
) -> Iterator[ProcessGroup]:
    """This process as a worker of a process group; the others must join too. One process group a process at a time.

    Args:
        rank: of this worker.
        rendezvous: where.
        device: "cpu", on which torch's gloo carries the sums, or a CUDA device, on which NCCL does.
        address: of this machine, by which the other workers reach it.
        listener: worker 0's `listening_socket` at the rendezvous's port; None for the others.

    Raises:
        RuntimeError: the others do not come.
    """
    store = torch.distributed.TCPStore(  # type: ignore[attr-defined]  # torch shows it to all
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
            device_id=_device_index(device) if backend == "nccl" else None,
        )
    torch.distributed.distributed_c10d._set_pg_timeout(WORKER_TIMEOUT if rank else RANK_ZERO_TIMEOUT)
    try:
        yield ProcessGroup(rank=rank, world_size=rendezvous.world_size)
    finally:
        torch.distributed.destroy_process_group()


def _device_index(device: str) -> torch.device:
    """A CUDA device by its number, which NCCL asks for: the first that the process sees where none is said.

    >>> _device_index("cuda"), _device_index("cuda:2")
    (device(type='cuda', index=0), device(type='cuda', index=2))
    """
    return torch.device("cuda", torch.device(device).index or 0)


def _backend(device: str) -> str:
    return "nccl" if device.startswith("cuda") else "gloo"


@contextmanager
def _use_interface(interface: str | None) -> Iterator[None]:
    """Inside, gloo and NCCL use that network interface; their own choice where it is not known."""
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
    """The name of the network interface that has an address of this machine; None where it cannot be told."""
    names = [name for _, name in socket.if_nameindex()]
    if address.startswith("127."):
        return next((name for name in names if name.startswith("lo")), None)
    if sys.platform != "linux":
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for name in names:
            try:
                answer = fcntl.ioctl(asking.fileno(), _GET_ADDRESS, struct.pack("256s", name.encode()[:15]))
            except OSError:  # this one has no address
                continue
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return None
