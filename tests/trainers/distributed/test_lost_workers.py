"""A training whose other worker is killed ends with the reason, and never hangs."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests import process_group_parts
from tests.trainers.distributed.trainings import NEEDS_GLOO
from tests.trainers.small_trainings import LENET
from zerotune.trainers.applications.user_file import ApplicationFile
from zerotune.trainers.distributed import local_workers
from zerotune.trainers.distributed.data_parallel import ProcessGroup
from zerotune.trainers.distributed.local_workers import LocalWorkers, WorkerLost
from zerotune.trainers.loop import train
from zerotune.trainers.spec import Placement, ScheduleSpec, TrainConfig
from zerotune.trainers.weak_scaling import measure_scaling

ROOT = Path(__file__).parents[3]
PROGRAM = """
import os
import random
import signal
import threading

import torch
from torch import nn

from zerotune.trainers.distributed.data_parallel import Replica
from zerotune.trainers.distributed.rendezvous import LOOPBACK, Rendezvous, join_process_group, listening_socket

torch.set_num_threads(1)


def train(process_group, seconds=None):
    model = nn.Sequential(*[nn.Linear(300, 300) for _ in range(40)])  # gradients of several buckets
    replica = Replica(model, process_group, batch_size=8, ghost_batch_size=None)
    if seconds is not None:
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
    while True:
        (batch,) = replica.local_batches(torch.arange(8))
        with replica.backward_pass(batch):
            replica.module(torch.ones(len(batch.keys), 300)).sum().backward()


def run_rank_zero(rendezvous, listener):
    with join_process_group(0, rendezvous, device="cpu", address=LOOPBACK, listener=listener) as process_group:
        train(process_group)


for attempt in range(12):
    listener = listening_socket(LOOPBACK)
    rendezvous = Rendezvous(host=LOOPBACK, port=listener.getsockname()[1], world_size=2)
    other = os.fork()
    if other == 0:
        listener.close()
        with join_process_group(1, rendezvous, device="cpu", address=LOOPBACK) as process_group:
            train(process_group, random.Random(attempt).uniform(0.05, 0.1))
    try:
        run_rank_zero(rendezvous, listener)
    except RuntimeError:
        os.waitpid(other, 0)
    print("released", flush=True)
"""
OPEN_CONNECTION = """
import os
import signal
from datetime import timedelta

import torch

from zerotune.trainers.distributed import rendezvous
from zerotune.trainers.distributed.rendezvous import LOOPBACK, Rendezvous, join_process_group, listening_socket

rendezvous.RANK_ZERO_TIMEOUT = timedelta(seconds=2)
listener = listening_socket(LOOPBACK)
place = Rendezvous(host=LOOPBACK, port=listener.getsockname()[1], world_size=2)
their_end, our_end = os.pipe()
if os.fork() == 0:
    listener.close()
    with join_process_group(1, place, device="cpu", address=LOOPBACK):
        if os.fork() == 0:  # holds the connection until rank 0 has ended
            os.close(our_end)
            os.read(their_end, 1)
        os.kill(os.getpid(), signal.SIGKILL)
with join_process_group(0, place, device="cpu", address=LOOPBACK, listener=listener) as process_group:
    process_group.all_reduce_sum(torch.ones(1))
"""
CONFIG = replace(LENET, batch_size=100, schedule=ScheduleSpec(peak_lr=0.02))
pytestmark = NEEDS_GLOO


def test_a_worker_lost_during_an_update_causes_no_deadlock() -> None:
    """On a deadlock, which would come within the first few attempts, the program is stopped."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.count("released")) == (0, 12), done.stderr[-2000:]


def test_rank_zero_times_out_if_a_lost_workers_connection_stays_open() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OPEN_CONNECTION], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "Timed out waiting 2000ms" in done.stderr


@pytest.fixture
def others_do(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., object]], None]:
    """Have the other workers call another function than they are asked to."""

    def give(part: Callable[..., object]) -> None:
        class OtherParts(LocalWorkers):
            def start_training(
                self, config: TrainConfig, placement: Placement, application: ApplicationFile | None = None
            ) -> ProcessGroup:
                return super().call(placement.device, part)

            def call(self, device: str, function: Callable[..., object], *arguments: object) -> ProcessGroup:
                return super().call(device, part)

        monkeypatch.setattr(local_workers, "LocalWorkers", OtherParts)

    return give


@pytest.mark.parametrize(
    ("part", "error", "message"),
    [
        (
            process_group_parts.fails,
            RuntimeError,
            r"worker 1 of 2: OSError: no room is left on this disk \(at process_group_parts.py:24\)",
        ),
        (process_group_parts.is_killed, WorkerLost, "worker 1 of 2 was lost"),
    ],
)
def test_training_reports_why_another_worker_failed(
    part: Callable[..., object],
    error: type[Exception],
    message: str,
    others_do: Callable[[Callable[..., object]], None],
) -> None:
    others_do(part)
    with pytest.raises(error, match=f"^{message}$"):
        train(CONFIG, Placement(num_workers=2))
    with pytest.raises(error, match=f"^{message}$"):
        measure_scaling(CONFIG, Placement(), num_workers=2, updates=1, rounds=1)


def test_an_error_of_rank_zero_stays() -> None:
    def report(metrics: object) -> bool:
        raise RuntimeError("the report's own")

    with pytest.raises(RuntimeError, match=r"^the report's own$"):
        train(CONFIG, Placement(num_workers=2), report)
