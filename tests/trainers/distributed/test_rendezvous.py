"""How workers join a process group: what torch's process group is given."""

from datetime import timedelta
from typing import Any

import pytest
import torch

from zerotune.trainers.distributed.rendezvous import LOOPBACK, Rendezvous, join_process_group

RENDEZVOUS = Rendezvous(host=LOOPBACK, port=1, world_size=2)


@pytest.mark.parametrize(("device", "number"), [("cuda", 0), ("cuda:3", 3)])
def test_nccl_is_given_the_number_of_the_device(device: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's workers are told "cuda", which torch refuses here: each of them sees its own device alone."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(torch.distributed, "TCPStore", lambda *_, **__: "store")
    monkeypatch.setattr(
        torch.distributed, "init_process_group", lambda backend, **options: given.update(options, backend=backend)
    )
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: None)
    set_later: list[timedelta] = []
    monkeypatch.setattr(torch.distributed.distributed_c10d, "_set_pg_timeout", set_later.append)
    with join_process_group(1, RENDEZVOUS, device=device, address=LOOPBACK) as process_group:
        assert (process_group.rank, process_group.world_size, process_group.is_rank_zero) == (1, 2, False)
    assert given["device_id"] == torch.device("cuda", number)
    assert (given["backend"], given["store"], given["rank"], given["world_size"]) == ("nccl", "store", 1, 2)
    assert given["timeout"] <= timedelta(minutes=5)  # of connecting
    assert set_later[0] > timedelta(hours=1)  # the leader may evaluate meanwhile
