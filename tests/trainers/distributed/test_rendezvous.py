"""How workers join a process group: what torch is given."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from zerotune.trainers.distributed.rendezvous import LOOPBACK, Rendezvous, join_process_group

RENDEZVOUS = Rendezvous(host=LOOPBACK, port=1, world_size=2)


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace torch's process group; return its options, and the timeout that is set later as "later_timeout"."""
    given: dict[str, Any] = {}
    world = SimpleNamespace(set_timeout=lambda timeout: given.update(later_timeout=timeout))
    monkeypatch.setattr(torch.distributed, "group", SimpleNamespace(WORLD=world))
    monkeypatch.setattr(torch.distributed, "TCPStore", lambda *_, **__: "store")
    monkeypatch.setattr(
        torch.distributed, "init_process_group", lambda backend, **options: given.update(options, backend=backend)
    )
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: None)
    return given


@pytest.mark.parametrize(("device", "index"), [("cuda", 0), ("cuda:3", 3)])
def test_nccl_is_given_the_index_of_the_device(device: str, index: int, options: dict[str, Any]) -> None:
    """Ray's workers are given "cuda", which torch refuses here: each of them sees its own device alone."""
    with join_process_group(1, RENDEZVOUS, device=device, address=LOOPBACK) as process_group:
        assert (process_group.rank, process_group.world_size, process_group.is_rank_zero) == (1, 2, False)
    assert options["device_id"] == torch.device("cuda", index)
    assert (options["backend"], options["store"], options["rank"], options["world_size"]) == ("nccl", "store", 1, 2)


def test_joining_has_a_shorter_timeout_than_training(options: dict[str, Any]) -> None:
    with join_process_group(1, RENDEZVOUS, device="cpu", address=LOOPBACK):
        pass
    assert options["timeout"] <= timedelta(minutes=5)
    assert options["later_timeout"] > timedelta(hours=1)  # rank 0 may evaluate meanwhile
